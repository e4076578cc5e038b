//! Prompts of the store, asked for by their names in every dialect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::Shelf;
use trunkline_store::{Opening, Store};
use trunkline_testkit::provider::{LocalProvider, Seen};

use crate::gateway::{CREDENTIAL, Gateway, providers, until_within};
use crate::rehearse::wants_stream;
use crate::speech::{self, Speech, TEXT};
use crate::wire::Ask;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-prompt-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("trunkline.db")
    }

    fn store<T>(&self, work: impl AsyncFnOnce(&mut Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut store = Store::open(&Opening::at(self.path())).await.unwrap();
            let done = work(&mut store).await;
            store.close().await;
            done
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn source(model: &str, text: &str) -> String {
    format!(
        "model = '{model}'\nmax_tokens = 77\nsystem = 'For {{{{ company }}}}.'\nprompt = '{text} {{{{ topic }}}}'\n[vars]\ncompany = 'us'\ntopic = {{ type = 'text' }}\n"
    )
}

fn gateway(provider: &LocalProvider, folder: &Folder) -> Gateway {
    let config =
        format!("[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[calls]\nattempts = 1\n{}", providers(&provider.url()));
    let client = Client::builder().config(Config::parse(&config, "test.toml").unwrap());
    let client = client.environment(Environment::of([("HOUSE_KEY", CREDENTIAL)])).build().unwrap();
    Gateway::start(client, Arc::default(), Shelf::of(Some(folder.path())))
}

/// In which its own dialect's provider, and another's, get the prompt before what the caller says.
#[test]
fn a_prompt_is_asked_for_by_name_in_every_dialect() {
    for (caller, provider) in speech::pairs().filter(|(caller, other)| caller.name == other.name || other.name == "openai-chat") {
        let cell = format!("{} → {}", caller.name, provider.name);
        let folder = Folder::new(&format!("{}-{}", caller.name, provider.name));
        folder.store(async |store| store.add_prompt("greet", "toml", &source(&provider.model(), "Greet"), 1).await.unwrap());
        let server =
            LocalProvider::start(move |seen: &Seen| if wants_stream(seen) { provider.stream() } else { provider.answer() });
        let gateway = gateway(&server, &folder);
        for stream in [false, true] {
            let ask = caller.ask("prompt:greet@1", stream).header("x-trunkline-vars", r#"{"topic":"café","company":"them"}"#);
            let reply = gateway.ask(&ask);
            assert_eq!((reply.status(), reply.header("x-trunkline-prompt")), (200, "greet@1"), "{cell}: {}", reply.text());
            assert_eq!(reply.header("x-trunkline-target"), provider.model(), "{cell}");
            if stream {
                assert_eq!(caller.text(reply.text()), TEXT, "{cell}");
            }
            let seen = server.requests().pop().unwrap();
            let sent = String::from_utf8_lossy(&seen.body).into_owned();
            let place = |what: &str| sent.find(what).unwrap_or_else(|| panic!("{cell}: {what} in {sent}"));
            assert!(place("For them.") != place("Greet caf"), "{cell}");
            assert!(!sent.contains("prompt:greet") && !seen.path.contains("greet"), "{cell}: {} {sent}", seen.path);
            assert!(sent.contains("tiny-1") || seen.path.contains("tiny-1"), "{cell}: {sent}");
        }
        let (status, message) = caller.refusal(&gateway.ask(&caller.ask("prompt:greet", false)));
        assert!(status == 400 && message.contains("topic is not set"), "{cell}: {status} {message}");
        let (status, message) = caller.refusal(&gateway.ask(&caller.ask("prompt:gret", false)));
        assert!(status == 404 && message.contains("did you mean `greet`?"), "{cell}: {status} {message}");
    }
}

fn chat() -> &'static Speech {
    speech::all().find(|speech| speech.name == "openai-chat").unwrap()
}

fn ask(model: &str, more: &str) -> Ask {
    Ask::post(
        "/v1/chat/completions",
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"mine"}}],"seed":12345678901234567{more}}}"#),
    )
}

#[test]
fn values_come_by_body_metadata_or_header_and_everything_else_goes_on() {
    let folder = Folder::new("values");
    folder.store(async |store| store.add_prompt("p", "toml", &source(&chat().model(), "Say"), 1).await.unwrap());
    let server = LocalProvider::start(chat().answer());
    let gateway = gateway(&server, &folder);
    for (given, topic) in [
        (ask("prompt:p", r#","prompt_vars":{"topic":"one"}"#), "one"),
        (ask("prompt:p", r#","metadata":{"topic":"two","other":"x"}"#), "two"),
        (ask("prompt:p", r#","prompt_vars":{"topic":"one"},"metadata":{"topic":"two"}"#), "one"),
        (ask("prompt:p", r#","prompt_vars":{"topic":"one"}"#).header("x-trunkline-vars", r#"{"topic":"three"}"#), "three"),
    ] {
        let reply = gateway.ask(&given);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let sent = server.requests().pop().unwrap().json();
        let said: Vec<_> =
            sent["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!(said, ["For us.".to_owned(), format!("Say {topic}"), "mine".to_owned()]);
        assert_eq!((sent["seed"].as_u64(), &sent["prompt_vars"]), (Some(12345678901234567), &serde_json::Value::Null), "{sent}");
        assert!(sent["max_tokens"] == 77 || sent["max_completion_tokens"] == 77, "{sent}");
    }
    for (given, told) in [
        (ask("prompt:p", r#","prompt_vars":[1]"#), "prompt_vars: expected an object"),
        (ask("prompt:p", "").header("x-trunkline-vars", "topic=x"), "x-trunkline-vars: expected an object"),
        (ask("prompt:p", r#","prompt_vars":{"topik":"x"}"#), "did you mean topic?"),
    ] {
        let reply = gateway.ask(&given);
        assert!(reply.status() == 400 && reply.text().contains(told), "{}", reply.text());
    }
    // A value is a value, and never a file of the gateway's.
    gateway.ask(&ask("prompt:p", r#","prompt_vars":{"topic":"@/etc/hostname"}"#));
    assert!(server.requests().pop().unwrap().json()["messages"][1]["content"] == "Say @/etc/hostname");
    // Who names no prompt may have such a member; that is his provider's to judge.
    gateway.ask(&ask(&chat().model(), r#","prompt_vars":{"topic":"one"}"#));
    assert_eq!(server.requests().pop().unwrap().json()["prompt_vars"]["topic"], "one");
}

#[test]
fn what_is_added_later_is_seen_and_versions_share_the_calls() {
    let folder = Folder::new("later");
    let server = LocalProvider::start(chat().answer());
    let gateway = gateway(&server, &folder);
    let given = r#","prompt_vars":{"topic":"x"}"#;
    assert_eq!(gateway.ask(&ask("prompt:p", given)).status(), 404);
    folder.store(async |store| {
        for text in ["One", "Two"] {
            store.add_prompt("p", "toml", &source(&chat().model(), text), 1).await.unwrap();
        }
    });
    let second = std::time::Duration::from_secs(1);
    assert!(until_within(8 * second, || gateway.ask(&ask("prompt:p", given)).header("x-trunkline-prompt") == "p@2"));
    let listed = gateway.ask(&Ask::get("/v1/models")).json();
    assert!(listed["data"].as_array().unwrap().iter().any(|model| model["id"] == "prompt:p"), "{listed}");
    folder.store(async |store| store.share_prompt("p", &BTreeMap::from([(1, 50), (2, 50)])).await.unwrap());
    assert!(until_within(8 * second, || gateway.ask(&ask("prompt:p", given)).header("x-trunkline-prompt") == "p@1"));
    for header in ["x-trunkline-session", "x-trunkline-user"] {
        let mut found = std::collections::BTreeSet::new();
        for who in 0..16 {
            let call = || {
                gateway.ask(&ask("prompt:p", given).header(header, &format!("w{who}"))).header("x-trunkline-prompt").to_owned()
            };
            let first = call();
            assert!((0..3).all(|_| call() == first), "{header} {who}");
            found.insert(first);
        }
        assert_eq!(found.len(), 2, "{header}: both are tried out");
    }
}

#[test]
fn an_answer_to_a_prompt_is_kept_and_gone_on_from() {
    let folder = Folder::new("kept");
    let server = LocalProvider::start(chat().answer());
    folder.store(async |store| store.add_prompt("p", "toml", &source(&chat().model(), "On"), 1).await.unwrap());
    let config = format!("[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n{}", providers(&server.url()));
    let record = Arc::new(trunkline_gateway::Record::default());
    let client = Client::builder().config(Config::parse(&config, "test.toml").unwrap()).recorder(Arc::clone(&record) as _);
    let client = client.environment(Environment::of([("HOUSE_KEY", CREDENTIAL)])).build().unwrap();
    record.keep_sessions_in(Opening::at(folder.path()), Arc::new(|_: &str| {}));
    let gateway = Gateway::start(client, record, Shelf::of(Some(folder.path())));
    let respond = |more: &str| {
        let body = format!(r#"{{"model":"prompt:p","prompt_vars":{{"topic":"tea"}}{more}}}"#);
        gateway.ask(&Ask::post("/v1/responses", body)).json()
    };
    let first = respond(r#","input":"one""#);
    assert_eq!((&first["store"], first["id"].as_str().map(|id| id.starts_with("resp_"))), (&true.into(), Some(true)), "{first}");
    let second = respond(&format!(r#","input":"two","previous_response_id":{}"#, first["id"]));
    assert_eq!(second["previous_response_id"], first["id"], "{second}");
    let sent = String::from_utf8(server.requests().pop().unwrap().body.to_vec()).unwrap();
    assert!(["one", TEXT, "two"].iter().all(|text| sent.contains(text)), "{sent}");
    let loose = respond(r#","input":"three","store":false"#);
    assert_eq!(loose["store"], false, "{loose}");
}
