//! Callers who go on with a conversation by its name, or by an answer's id: checked on what providers were sent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::Record;
use trunkline_store::{Opening, Store, TurnRow};
use trunkline_testkit::provider::{Answer, LocalProvider, Script, Seen};

use crate::gateway::{Gateway, providers, until};
use crate::speech::events;
use crate::wire::{Ask, Reply};

pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) record: Arc<Record>,
    pub(crate) provider: LocalProvider,
    pub(crate) folder: PathBuf,
    /// What the operator was told.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
}

impl House {
    pub(crate) fn new(name: &str, more: &str) -> Self {
        House::of(name, more, answer)
    }

    pub(crate) fn of(name: &str, more: &str, script: impl Script) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-session-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let provider = LocalProvider::start(script);
        let told = Arc::default();
        let (gateway, record) = House::open(&provider, &folder, more, &told);
        House { gateway, record, provider, folder, told }
    }

    pub(crate) fn open(
        provider: &LocalProvider,
        folder: &std::path::Path,
        more: &str,
        told: &Arc<Mutex<Vec<String>>>,
    ) -> (Gateway, Arc<Record>) {
        let more = if more.contains("[server]") { more.to_owned() } else { format!("[server]\n{more}") };
        let more = more.replace("[server]", "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2");
        let config = format!("[calls]\nattempts = 1\n{more}\n{}", providers(&provider.url()));
        let environment = Environment::of([("HOUSE_KEY", "k"), ("GATE_KEY", "gate-key-1")]);
        let record = Arc::new(Record::default());
        let client = Client::builder().config(Config::parse(&config, "test").unwrap()).environment(environment);
        let client = client.recorder(Arc::clone(&record) as _).build().unwrap();
        let told = Arc::clone(told);
        let tell = Arc::new(move |line: &str| told.lock().unwrap().push(line.to_owned()));
        record.keep_sessions_in(Opening::at(folder.join("trunkline.db")), tell);
        (Gateway::recording(client, Arc::clone(&record)), record)
    }

    pub(crate) fn ask(&self, ask: &Ask) -> Reply {
        let reply = self.gateway.ask(ask);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        reply
    }

    pub(crate) fn sent(&self) -> String {
        String::from_utf8(self.provider.requests().pop().unwrap().body.to_vec()).unwrap()
    }

    pub(crate) fn store<T>(&self, work: impl AsyncFnOnce(&mut Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut store = Store::open(&Opening::existing(self.folder.join("trunkline.db"))).await.unwrap();
            work(&mut store).await
        })
    }

    pub(crate) fn turns(&self, session: &str) -> Vec<TurnRow> {
        self.store(async |store| match store.session(session).await.unwrap().and_then(|session| session.head) {
            Some(head) => store.turns(head, 100).await.unwrap(),
            None => Vec::new(),
        })
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Repeats the last words of the user, in the dialect of the path, signed where that has signatures. `cut` breaks off.
pub(crate) fn answer(seen: &Seen) -> Answer {
    let body = seen.json();
    let list = body["messages"].as_array().or(body["input"].as_array()).or(body["contents"].as_array());
    let said = list.map_or(&body["input"], |list| list.last().unwrap()).to_string();
    let word = ["one", "two", "three", "four", "five", "six", "cut"].into_iter().rfind(|word| said.contains(word)).unwrap_or("?");
    let text = format!("You said {word}.");
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "input_tokens": 9, "output_tokens": 3});
    if seen.json()["model"] == "small" {
        let text = json!({"role": "assistant", "content": "They counted."});
        return Answer::json(
            200,
            json!({"id": "x", "choices": [{"index": 0, "finish_reason": "stop", "message": text}]}).to_string(),
        );
    }
    if body["stream"] == json!(true) {
        let chunk = |delta: Value, finish: Value| {
            format!(
                "data: {}\n\n",
                json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            )
        };
        let mut frames = vec![chunk(json!({"role": "assistant", "content": text}), Value::Null)];
        if word == "cut" {
            return Answer::sse(frames).ending(trunkline_testkit::provider::Ending::Hang);
        }
        frames.push(chunk(json!({}), json!("stop")));
        frames.push(format!("data: {}\n\n", json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1", "choices": [], "usage": usage})));
        frames.push("data: [DONE]\n\n".to_owned());
        return Answer::sse(frames);
    }
    let whole = match seen.path.as_str() {
        "/v1/messages" => {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "stop_reason": "end_turn",
            "stop_sequence": null, "usage": usage, "content": [{"type": "thinking", "thinking": "Hm.", "signature": "claude-sig"}, {"type": "text", "text": text}]})
        }
        "/v1/responses" => {
            json!({"id": "resp_theirs", "object": "response", "created_at": 1, "status": "completed", "model": "tiny-1", "usage": usage,
            "output": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "responses-sig"},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}]})
        }
        "/v1/chat/completions" => {
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tiny-1", "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]})
        }
        _ => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text, "thoughtSignature": "gemini-sig"}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}, "modelVersion": "tiny-1", "responseId": "x"})
        }
    };
    Answer::json(200, whole.to_string())
}

pub(crate) fn chat(model: &str, stream: bool, messages: &Value) -> Ask {
    Ask::post(
        "/v1/chat/completions",
        json!({"model": format!("at-{model}/tiny-1"), "stream": stream, "messages": messages}).to_string(),
    )
}

pub(crate) fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

pub(crate) fn in_session(ask: Ask) -> Ask {
    ask.header("x-trunkline-session", "s-1").header("x-trunkline-user", "ann")
}

pub(crate) fn in_order(text: &str, wanted: &[&str]) {
    let mut rest = text;
    for wanted in wanted {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("{wanted} is not (there) in {text}"));
        rest = &rest[at + wanted.len()..];
    }
}

#[test]
fn a_session_goes_on_in_every_dialect_over_every_provider() {
    let house = House::new("dialects", "");
    house.ask(&in_session(chat(
        "openai-chat",
        false,
        &json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}]),
    )));
    // Another dialect of caller and provider; its own instructions count.
    let body = json!({"model": "at-anthropic-messages/tiny-1", "max_tokens": 99, "system": "Be kind.", "messages": user("two")});
    house.ask(&in_session(Ask::post("/v1/messages", body.to_string())));
    let sent = house.sent();
    in_order(&sent, &["one", "You said one.", "two"]);
    assert!(sent.contains("Be kind.") && !sent.contains("Be brief."), "{sent}");
    let body = json!({"model": "at-openai-responses/tiny-1", "input": "three", "store": false});
    let reply = house.ask(&in_session(Ask::post("/v1/responses", body.to_string())));
    in_order(&house.sent(), &["one", "You said one.", "two", "You said two.", "three"]);
    assert!(!house.sent().contains("claude-sig"));
    assert!(reply.header("x-trunkline-lost").contains("signature"), "{}", reply.header("x-trunkline-lost"));
    // Streamed; what was written is there for the next one, on whichever thread it is.
    for (text, known) in [("four", vec!["three"]), ("five", vec!["three", "You said three.", "four", "You said four."])] {
        house.ask(&in_session(chat("openai-chat", true, &user(text))));
        in_order(&house.sent(), &known);
    }
    // Who made it gets it back.
    let body = json!({"model": "at-anthropic-messages/tiny-1", "max_tokens": 99, "messages": user("six"), "thinking": {"type": "enabled", "budget_tokens": 50}});
    house.ask(&in_session(Ask::post("/v1/messages", body.to_string())));
    assert!(house.sent().contains("claude-sig") && !house.sent().contains("responses-sig"), "{}", house.sent());
    // After a restart it is still there.
    house.record.close();
    let turns = house.turns("s-1");
    assert_eq!(turns.len(), 6);
    assert!(
        turns.iter().all(|turn| !turn.is_partial() && turn.asked.len() == 1 && turn.input == Some(9) && turn.output == Some(3))
    );
    let (gateway, _record) = House::open(&house.provider, &house.folder, "[sessions]\nwindow = \"2 turns\"", &house.told);
    assert_eq!(gateway.ask(&in_session(chat("openai-chat", false, &user("six")))).status(), 200);
    assert!(!house.sent().contains("four") && house.sent().contains("You said five."), "{}", house.sent());
    // It is its user's, and nobody else's.
    let others = gateway.ask(&chat("openai-chat", false, &user("one")).header("x-trunkline-session", "s-1"));
    assert_eq!(others.status(), 404, "{}", others.text());
}

#[test]
fn who_tells_the_whole_conversation_is_not_told_it_twice() {
    let house = House::new("again", "");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    let mut said = vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": "one"}),
        json!({"role": "assistant", "content": "You said one."}),
    ];
    for text in ["two", "three"] {
        said.push(json!({"role": "user", "content": text}));
        house.ask(&in_session(chat("openai-chat", true, &json!(said))));
        assert_eq!(house.sent().matches("You said one.").count(), 1, "{}", house.sent());
        said.push(json!({"role": "assistant", "content": format!("You said {text}.")}));
    }
    // Asks something else instead of the last question: the session goes back with it.
    said.truncate(5);
    said.push(json!({"role": "user", "content": "four"}));
    house.ask(&in_session(chat("openai-chat", false, &json!(said))));
    house.ask(&in_session(chat("openai-chat", false, &user("five"))));
    in_order(&house.sent(), &["one", "two", "You said two.", "four", "You said four.", "five"]);
    assert!(!house.sent().contains("three"), "{}", house.sent());
}

#[test]
fn what_had_come_of_an_answer_is_kept_when_it_breaks_off_or_the_caller_leaves() {
    let house = House::new("cut", "");
    let mut line = in_session(chat("openai-chat", true, &user("cut"))).open(house.gateway.address);
    line.head();
    line.chunks_until("You said cut.");
    drop(line);
    assert!(until(|| {
        house.record.close();
        house.turns("s-1").len() == 1
    }));
    let turn = house.turns("s-1").remove(0);
    assert!(turn.is_partial() && turn.usage_estimated);
    assert_eq!(turn.answered.unwrap().plain_text(), "You said cut.");
    house.ask(&in_session(chat("openai-chat", false, &user("one"))));
    in_order(&house.sent(), &["cut", "You said cut.", "one"]);
}

pub(crate) fn respond(model: &str, input: &str, more: Value) -> Ask {
    let mut body = json!({"model": format!("at-{model}/tiny-1"), "input": input});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Ask::post("/v1/responses", body.to_string())
}

#[test]
fn an_answers_id_leads_on_over_every_provider() {
    let house = House::new("response", "");
    let first = house.ask(&respond("openai-chat", "one", json!({"instructions": "Be brief."}))).json();
    assert_eq!((&first["store"], &first["previous_response_id"]), (&json!(true), &Value::Null));
    let id = first["id"].as_str().unwrap();
    assert!(id.starts_with("resp_"), "{id}");
    let more = json!({"previous_response_id": id, "instructions": "Be kind."});
    let second = house.ask(&respond("anthropic-messages", "two", more)).json();
    in_order(&house.sent(), &["one", "You said one.", "two"]);
    assert!(house.sent().contains("Be kind.") && !house.sent().contains("Be brief."), "{}", house.sent());
    assert_eq!(second["previous_response_id"], id);
    // Streamed, and to one that speaks the caller's dialect: the id is ours, so the conversation is sent.
    let stream = house.ask(&respond("openai-chat", "three", json!({"previous_response_id": second["id"], "stream": true})));
    let last = events(stream.text()).pop().unwrap()["response"].clone();
    assert_eq!((&last["status"], &last["store"]), (&json!("completed"), &json!(true)));
    let fourth = house.ask(&respond("openai-responses", "four", json!({"previous_response_id": last["id"]}))).json();
    assert_ne!(fourth["id"], "resp_theirs");
    in_order(&house.sent(), &["one", "You said one.", "two", "You said two.", "three", "You said three.", "four"]);
    assert!(!house.sent().contains("previous_response_id"), "{}", house.sent());
    // Two go on from one.
    house.ask(&respond("openai-chat", "five", json!({"previous_response_id": id})));
    in_order(&house.sent(), &["one", "You said one.", "five"]);
    assert!(!house.sent().contains("two"));

    // What is not ours is its provider's, or nobody's.
    house.ask(&respond("openai-responses", "six", json!({"previous_response_id": "resp_theirs"})));
    assert!(house.sent().contains("resp_theirs"), "{}", house.sent());
    let refused = |ask: &Ask, param: &str| {
        let reply = house.gateway.ask(ask);
        assert_eq!(reply.status(), 400, "{}", reply.text());
        assert_eq!(reply.json()["error"]["param"], param, "{}", reply.text());
        reply.json()["error"]["code"].clone()
    };
    let unkept = house.ask(&respond("openai-chat", "six", json!({"store": false}))).json();
    assert_eq!(unkept["store"], false);
    for id in [unkept["id"].as_str().unwrap(), "resp_theirs"] {
        let code = refused(&respond("openai-chat", "six", json!({"previous_response_id": id})), "previous_response_id");
        assert_eq!(code, "previous_response_not_found");
    }
    let theirs = respond("openai-chat", "six", json!({"previous_response_id": first["id"]})).header("x-trunkline-user", "bob");
    assert_eq!(refused(&theirs, "previous_response_id"), "previous_response_not_found");
    let both = in_session(respond("openai-chat", "six", json!({"previous_response_id": first["id"]})));
    refused(&both, "previous_response_id");

    let again = house.ask(&Ask::get(&format!("/v1/responses/{}", second["id"].as_str().unwrap()))).json();
    for member in ["id", "object", "status", "previous_response_id", "store", "model", "output"] {
        assert_eq!(again[member], second[member], "{member}: {again}");
    }
    let streamed = house.ask(&Ask::get(&format!("/v1/responses/{}", last["id"].as_str().unwrap()))).json();
    assert_eq!((&streamed["output"], &streamed["model"]), (&last["output"], &last["model"]));
    assert_eq!(again["usage"]["total_tokens"], 12);
    assert_eq!(house.gateway.ask(&Ask::get("/v1/responses/resp_theirs")).status(), 404);
    house.record.close();
    let asked = house.store(async |store| store.turn_of_response(id).await.unwrap().unwrap().model);
    assert_eq!(asked, "at-openai-chat/tiny-1");

    let gone = |id: &Value| house.gateway.ask(&Ask::method("DELETE", &format!("/v1/responses/{}", id.as_str().unwrap())));
    let deleted = gone(&fourth["id"]);
    assert_eq!(deleted.json(), json!({"id": fourth["id"], "object": "response", "deleted": true}), "{}", deleted.text());
    assert_eq!(gone(&fourth["id"]).status(), 404);
    refused(&respond("openai-chat", "six", json!({"previous_response_id": fourth["id"]})), "previous_response_id");
}

/// Who asks opens the store, too: while it gets its first turn, and before that its tables.
#[test]
fn who_asks_for_another_answer_does_not_wait_for_the_first_turn_of_a_new_store() {
    for round in 0..5 {
        let house = House::new(&format!("new-{round}"), "");
        house.ask(&respond("openai-chat", "one", json!({})));
        assert_eq!(house.gateway.ask(&Ask::get("/v1/responses/resp_theirs")).status(), 404);
    }
}

#[test]
fn without_a_store_it_is_said_and_keeping_can_be_switched_off() {
    let provider = LocalProvider::start(answer);
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{}", providers(&provider.url()));
    let gateway = Gateway::with(&config);
    let reply = gateway.ask(&in_session(chat("openai-chat", false, &user("one"))));
    assert_eq!(reply.status(), 400);
    assert!(reply.text().contains("[store] path"), "{}", reply.text());
    let reply = gateway.ask(&respond("openai-chat", "one", json!({})));
    assert_eq!((reply.status(), &reply.json()["store"]), (200, &json!(false)));

    let house = House::new("off", "[sessions]\nkeep = false");
    for text in ["one", "two"] {
        house.ask(&in_session(chat("openai-chat", false, &user(text))));
    }
    assert!(!house.sent().contains("one"));
    assert!(!house.folder.exists());
    assert!(house.told().is_empty(), "{:?}", house.told());
}
