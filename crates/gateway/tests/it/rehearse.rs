//! Faults, recordings and the simulator behind the gateway, as callers of every dialect see them.

use std::path::PathBuf;

use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline::transport::FaultPlan;
use trunkline_testkit::provider::{LocalProvider, Seen};

use crate::gateway::{CREDENTIAL, Gateway, House, providers};
use crate::speech;
use crate::wire::Ask;

const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n";

#[test]
fn a_fault_is_told_in_the_words_of_every_dialect_and_asks_nobody() {
    let house =
        House::with(|_: &Seen| unreachable!("nobody is asked"), "[[faults]]\ntarget = \"at-*\"\nstatus = 429\nretry_after = 2\n");
    for speech in speech::all() {
        for stream in [false, true] {
            let reply = house.gateway.ask(&speech.ask(&speech.model(), stream));
            assert_eq!((reply.status(), reply.header("retry-after")), (429, "2"), "{}: {}", speech.name, reply.text());
            let (_, message) = speech.refusal(&reply);
            assert!(message.contains("the fault plan answers this call with status 429"), "{}: {message}", speech.name);
        }
    }
    assert!(house.provider.requests().is_empty());
}

#[test]
fn a_stream_that_is_cut_by_plan_ends_in_an_error_of_the_dialect() {
    for speech in speech::all() {
        let plan = "[[faults]]\ncut_after = 250\npiece_bytes = 11\n";
        let house = House::with(speech.stream(), plan);
        let text = String::from_utf8_lossy(&house.gateway.ask(&speech.ask(&speech.model(), true)).body).into_owned();
        let message = speech.broken(&text);
        assert!(message.contains("as the fault plan has it"), "{}: {message}", speech.name);
    }
}

pub(crate) fn wants_stream(seen: &Seen) -> bool {
    seen.path.contains("stream") || String::from_utf8_lossy(&seen.body).contains("\"stream\":true")
}

/// A folder of its own, gone when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_recorded_session_comes_back_in_every_dialect_byte_for_byte() {
    let folder = Folder(std::env::temp_dir().join(format!("trunkline-rehearse-{}", std::process::id())));
    let client = |config: &str| {
        let config = Config::parse(&format!("{SERVER}{config}"), "test.toml").unwrap();
        Client::builder().config(config)
    };
    for speech in speech::all() {
        let provider =
            LocalProvider::start(move |seen: &Seen| if wants_stream(seen) { speech.stream() } else { speech.answer() });
        let config = providers(&provider.url());
        let keys = Environment::of([("HOUSE_KEY", CREDENTIAL)]);
        let asks = [speech.ask(&speech.model(), false), speech.ask(&speech.model(), true)];
        let gateway = Gateway::run(client(&config).environment(keys).record(&folder.0).build().unwrap());
        let heard = asks.each_ref().map(|ask| gateway.ask(ask).body);
        drop(gateway);
        drop(provider);
        let gateway = Gateway::run(client(&config).environment(Environment::default()).replay(&folder.0, false).build().unwrap());
        for (ask, body) in asks.iter().zip(&heard) {
            let reply = gateway.ask(ask);
            assert_eq!((reply.status(), &reply.body), (200, body), "{}", speech.name);
        }
        // A program that knows nothing of our providers asks for the model by its own name.
        let bare = client("").environment(Environment::default()).simulate().replay(&folder.0, false);
        let simulator = Gateway::run(bare.build().unwrap());
        for (stream, body) in [false, true].into_iter().zip(&heard) {
            let reply = simulator.ask(&speech.ask("tiny-1", stream));
            assert_eq!((reply.status(), &reply.body), (200, body), "{}", speech.name);
        }
        drop(simulator);
        let missing = gateway.ask(&speech.ask(&format!("at-{}/other", speech.name), false));
        assert!(missing.status() == 404 && missing.text().contains("there is no recording of this POST"), "{}", missing.text());
        assert!(!missing.text().contains("model_not_found"), "{}", missing.text());
    }
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(CREDENTIAL), "{text}");
    }
}

/// A form goes through without being held, is kept all the same, and found again whatever its boundary.
#[test]
fn a_form_is_recorded_in_passing() {
    let folder = Folder(std::env::temp_dir().join(format!("trunkline-rehearse-form-{}", std::process::id())));
    let provider = LocalProvider::start(|_: &Seen| trunkline_testkit::provider::Answer::json(200, r#"{"text":"said"}"#));
    let config = || Config::parse(&format!("{SERVER}{}", providers(&provider.url())), "test.toml").unwrap();
    let ask = |boundary: &str, sound: &str| {
        let body = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nat-openai-chat/tiny-1\r\n--{boundary}\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"x.wav\"\r\n\r\n{sound}\r\n--{boundary}--\r\n"
        );
        let length = body.len();
        let head = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: gate\r\ncontent-type: multipart/form-data; boundary={boundary}\r\n\
             content-length: {length}\r\n"
        );
        Ask { head, body: body.into() }
    };
    let sound = "\0sound".repeat(100_000);
    let keys = Environment::of([("HOUSE_KEY", CREDENTIAL)]);
    let gateway = Gateway::run(Client::builder().config(config()).environment(keys).record(&folder.0).build().unwrap());
    assert_eq!(gateway.ask(&ask("one", &sound)).json()["text"], "said");
    drop(gateway);
    let client = Client::builder().config(config()).environment(Environment::default());
    let gateway = Gateway::run(client.replay(&folder.0, false).build().unwrap());
    assert_eq!(gateway.ask(&ask("another", &sound)).json()["text"], "said");
    assert_eq!(gateway.ask(&ask("another", "other")).status(), 404);
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn the_simulator_answers_to_any_name_in_every_dialect() {
    let config =
        Config::parse(&format!("{SERVER}[calls]\nattempts = 1\n[models.fast]\ntargets = [\"openai/gpt-4o\"]\n"), "test.toml")
            .unwrap();
    let client = Client::builder().config(config).environment(Environment::of([("OPENAI_API_KEY", "sk-real-0123456789")]));
    let plan = FaultPlan::parse("target = 'sim/unlucky*', status = 503").unwrap();
    let gateway = Gateway::run(client.simulate().faults(plan).build().unwrap());
    for speech in speech::all() {
        for model in ["gpt-4o", "fast", "anthropic/claude-sonnet-4-5", "sim/echo", "any-name-at-all"] {
            let reply = gateway.ask(&speech.ask(model, false));
            assert_eq!(
                (reply.status(), reply.header("x-trunkline-target").starts_with("sim/")),
                (200, true),
                "{}: {}",
                speech.name,
                reply.text()
            );
            let reply = gateway.ask(&speech.ask(model, true));
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(reply.status() == 200 && speech.ends.iter().any(|end| text.contains(end)), "{}: {text}", speech.name);
        }
        assert_eq!(gateway.ask(&speech.ask(&format!("unlucky-{}", speech.name), false)).status(), 503);
    }
    let embedded = gateway.ask(&Ask::post("/v1/embeddings", r#"{"model":"text-embedding-3-small","input":"hi","dimensions":3}"#));
    assert_eq!(embedded.status(), 200, "{}", embedded.text());
    let listed = gateway.ask(&Ask::get("/v1/models")).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
}
