//! Task types and what a request needs, over sockets, from callers of every dialect.

use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use crate::gateway::{Gateway, House, providers};
use crate::speech;
use crate::wire::Ask;

const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n";

/// One that answers every chat alike, whatever the model.
fn chat() -> LocalProvider {
    LocalProvider::start(speech::all().next().unwrap().answer())
}

fn gateway(provider: &LocalProvider, config: &str) -> Gateway {
    Gateway::with(&format!("{SERVER}{}{config}", providers(&provider.url())))
}

#[test]
fn a_task_is_asked_for_by_name_or_header_in_every_dialect() {
    for speech in speech::all() {
        let more = format!("[tasks]\ndefault = \"nowhere/x\"\ncreative = \"{}\"\n", speech.model());
        let more = more.replace("nowhere/x", "sim/echo");
        let house = House::with(speech.answer(), &more);
        for ask in [speech.ask("task:creative", false), speech.ask("some-model", false).header("x-trunkline-task", "creative")] {
            let reply = house.gateway.ask(&ask);
            assert_eq!(reply.status(), 200, "{}: {}", speech.name, reply.text());
            assert_eq!(reply.header("x-trunkline-task"), "creative", "{}", speech.name);
            assert_eq!(reply.header("x-trunkline-target"), speech.model());
            let seen = house.provider.requests().pop().unwrap();
            let told = format!("{} {}", seen.path, String::from_utf8_lossy(&seen.body));
            assert!(told.contains("tiny-1") && !told.contains("some-model") && !told.contains("task:"), "{told}");
        }
        let plain = house.gateway.ask(&speech.ask(&speech.model(), false));
        assert_eq!((plain.status(), plain.header("x-trunkline-task")), (200, ""));
        let reply = house.gateway.ask(&speech.ask("task:creativ", false));
        let (_, message) = speech.refusal(&reply);
        assert!(reply.status() == 404 && message.contains("did you mean `creative`?"), "{}: {message}", speech.name);
    }
}

const TALK: &str = r#"{"model":"MODEL","messages":[{"role":"user","content":"TEXT"}],"max_tokens":99}"#;
const LOOK: &str = r#"{"model":"MODEL","messages":[{"role":"user","content":[{"type":"text","text":"TEXT"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}"#;

fn post(body: &str, model: &str, text: &str) -> Ask {
    Ask::post("/v1/chat/completions", body.replace("MODEL", model).replace("TEXT", text))
}

#[test]
fn what_is_left_to_the_rules_is_decided_by_the_first_that_fits() {
    let provider = chat();
    let tasks = "[tasks]\ndefault = \"at-openai-chat/usual\"\nvision = \"at-openai-chat/seeing\"\nchinese = \"at-openai-chat/zh\"\n\
                 embed = \"at-openai-chat/vectors\"\n";
    let rules = "[[task_rules]]\ntask = \"vision\"\nimage = true\n[[task_rules]]\ntask = \"chinese\"\nlanguage = \"zh\"\n\
                 [[task_rules]]\ntask = \"embed\"\noperation = \"embed\"\n";
    let gateway = gateway(&provider, &format!("{tasks}{rules}"));
    let listed = gateway.ask(&Ask::get("/v1/models")).json();
    let listed: Vec<_> = listed["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    for task in ["task:default", "task:vision", "task:auto"] {
        assert!(listed.contains(&task), "people choose from what is listed: {task} of {listed:?}");
    }
    for (ask, task, model) in [
        (post(TALK, "task:auto", "hello"), "default", "usual"),
        (post(TALK, "x", "你好").header("x-trunkline-task", "auto"), "chinese", "zh"),
        (post(LOOK, "task:auto", "你好"), "vision", "seeing"),
        (post(LOOK, "at-openai-chat/named", "你好"), "", "named"),
    ] {
        let reply = gateway.ask(&ask);
        assert_eq!((reply.status(), reply.header("x-trunkline-task")), (200, task), "{}", reply.text());
        assert_eq!(reply.header("x-trunkline-target"), format!("at-openai-chat/{model}"));
    }
    let reply = gateway.ask(&post(r#"{"model":"MODEL","messages":"TEXT"}"#, "task:auto", "no list"));
    assert_eq!(reply.status(), 400, "{}", reply.text());
}

#[test]
fn other_operations_have_tasks_too() {
    let vectors = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let provider = LocalProvider::start(move |seen: &Seen| {
        let flags = r#"{"results":[{"flagged":false}]}"#;
        Answer::json(200, if seen.path.ends_with("/moderations") { flags } else { vectors })
    });
    let tasks = "[tasks]\nvectors = \"at-openai-chat/vec\"\ndefault = \"at-openai-chat/usual\"\n\
                 [[task_rules]]\ntask = \"vectors\"\noperation = \"embed\"\n";
    let gateway = gateway(&provider, tasks);
    for ask in [
        Ask::post("/v1/embeddings", r#"{"model":"task:vectors","input":"x"}"#),
        Ask::post("/v1/embeddings", r#"{"model":"task:auto","input":"x"}"#),
        Ask::post("/v1/embeddings", r#"{"model":"text-embedding-9","input":"x"}"#).header("x-trunkline-task", "vectors"),
    ] {
        let reply = gateway.ask(&ask);
        assert_eq!((reply.status(), reply.header("x-trunkline-task")), (200, "vectors"), "{}", reply.text());
        assert!(String::from_utf8_lossy(&provider.requests().pop().unwrap().body).contains("\"model\":\"vec\""));
    }
    // Where no model is named, the header says which it is.
    let reply = gateway.ask(&Ask::post("/v1/moderations", r#"{"input":"x"}"#).header("x-trunkline-task", "default"));
    assert_eq!((reply.status(), reply.header("x-trunkline-target")), (200, "at-openai-chat/usual"), "{}", reply.text());
    assert_eq!(reply.header("x-trunkline-task"), "default");
    for body in [r#"{"input":"x"}"#, r#"{"model":null,"input":"x"}"#, r#"{"model":"","input":"x"}"#] {
        let reply = gateway.ask(&Ask::post("/v1/embeddings", body).header("x-trunkline-task", "vectors"));
        assert_eq!((reply.status(), reply.header("x-trunkline-task")), (200, "vectors"), "{body}: {}", reply.text());
        assert_eq!(provider.requests().pop().unwrap().json()["model"], "vec", "{body}");
        let reply = gateway.ask(&Ask::post("/v1/embeddings", body));
        assert!(reply.status() == 400 && reply.text().contains("has a `embed` among its [tasks]"), "{}", reply.text());
    }
}

#[test]
fn an_operation_whose_key_is_a_task_needs_no_model() {
    let vectors = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let provider = LocalProvider::start(move |seen: &Seen| {
        let flags = r#"{"results":[{"flagged":false}]}"#;
        let pictures = r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#;
        let ranks = r#"{"results":[{"index":0,"relevance_score":0.5}]}"#;
        let path = seen.path.as_str();
        let body = [("/moderations", flags), ("/generations", pictures), ("/rerank", ranks)];
        Answer::json(200, body.iter().find(|(end, _)| path.ends_with(end)).map_or(vectors, |(_, body)| body))
    });
    let keys = ["embed", "moderate", "image_generate", "rerank"];
    let tasks: Vec<String> = keys.iter().map(|key| format!("{key} = \"at-openai-chat/of-{key}\"\n")).collect();
    let gateway = gateway(&provider, &format!("[tasks]\n{}", tasks.concat()));
    for (path, body, key) in [
        ("/v1/embeddings", r#"{"input":"x"}"#, "embed"),
        ("/v1/moderations", r#"{"input":"x"}"#, "moderate"),
        ("/v1/images/generations", r#"{"prompt":"x"}"#, "image_generate"),
        ("/v1/rerank", r#"{"query":"q","documents":["d"]}"#, "rerank"),
        // In translation, too.
        ("/v2/embed", r#"{"texts":["x"],"input_type":"search_query"}"#, "embed"),
        ("/v2/rerank", r#"{"query":"q","documents":["d"]}"#, "rerank"),
    ] {
        let reply = gateway.ask(&Ask::post(path, body));
        assert_eq!((reply.status(), reply.header("x-trunkline-task")), (200, key), "{path}: {}", reply.text());
        assert_eq!(reply.header("x-trunkline-target"), format!("at-openai-chat/of-{key}"), "{path}");
        assert_eq!(provider.requests().pop().unwrap().json()["model"], format!("of-{key}"), "{path}");
    }
}

const EYES: &str = "[models.any]\ntargets = [\"at-openai-chat/blind\", \"at-openai-chat/seeing\"]\n\
                    [prices.\"at-openai-chat/blind\"]\nable = [\"chat\"]\n\
                    [prices.\"at-openai-chat/seeing\"]\nable = [\"chat\", \"vision\"]\n";

#[test]
fn a_picture_goes_to_who_can_see_it() {
    let provider = chat();
    let gateway = gateway(&provider, EYES);
    for (ask, model) in
        [(post(TALK, "any", "hi"), "blind"), (post(TALK, "any", "what an image!"), "blind"), (post(LOOK, "any", "hi"), "seeing")]
    {
        let reply = gateway.ask(&ask);
        assert_eq!((reply.status(), reply.header("x-trunkline-target")), (200, &*format!("at-openai-chat/{model}")));
        assert_eq!(reply.header("x-trunkline-attempts"), "1");
    }
    // As a caller of another dialect has it.
    let source = r#"{"type":"base64","media_type":"image/png","data":"aGk="}"#;
    let body = format!(
        r#"{{"model":"any","max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"image","source":{source}}}]}}]}}"#
    );
    let reply = gateway.ask(&Ask::post("/v1/messages", body));
    assert_eq!(reply.header("x-trunkline-target"), "at-openai-chat/seeing", "{}", reply.text());
}

#[test]
fn a_picture_still_goes_to_the_blind_when_nobody_else_answers() {
    let provider = LocalProvider::start(|seen: &Seen| {
        let seeing = String::from_utf8_lossy(&seen.body).contains("\"seeing\"");
        if seeing { Answer::json(500, r#"{"error":{"message":"no"}}"#) } else { speech::all().next().unwrap().answer() }
    });
    let gateway = gateway(&provider, EYES);
    let reply = gateway.ask(&post(LOOK, "any", "hi"));
    assert_eq!((reply.status(), reply.header("x-trunkline-target")), (200, "at-openai-chat/blind"));
    assert_eq!(reply.header("x-trunkline-attempts"), "2");
}

#[test]
fn a_session_stays_at_its_target() {
    let provider = chat();
    let targets: Vec<String> = (0..5).map(|at| format!("\"at-openai-chat/m{at}\"")).collect();
    // The header only chooses the target here.
    let config = format!(
        "[sessions]\nkeep = false\n[models.any]\nstrategy = \"weighted\"\nsticky = \"session\"\ntargets = [{}]\n",
        targets.join(", ")
    );
    let gateway = gateway(&provider, &config);
    let mut seen = std::collections::BTreeSet::new();
    for session in 0..12 {
        let ask = |at: usize| match at % 2 {
            0 => post(TALK, "any", "hi").header("x-trunkline-session", &format!("s{session}")),
            _ => {
                post(&TALK.replace("\"max_tokens\"", &format!("\"prompt_cache_key\":\"s{session}\",\"max_tokens\"")), "any", "hi")
            }
        };
        let targets: Vec<String> = (0..4).map(|at| gateway.ask(&ask(at)).header("x-trunkline-target").to_owned()).collect();
        assert!(targets.windows(2).all(|pair| pair[0] == pair[1]), "{targets:?}");
        seen.insert(targets[0].clone());
    }
    assert!(seen.len() > 1, "{seen:?}");
}
