//! Callers and providers of bedrock-converse: binary streams in both lanes, exceptions, keys; and the other dialects where
//! the model stands in the path.

use serde_json::{Value, json};
use trunkline::codec::frame::event_stream::{Message, Value as Header, message_len, read_message, write_header, write_message};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider, Seen};

use crate::gateway::{Gateway, House};
use crate::speech;
use crate::wire::{Ask, Reply};

const STREAM: &str = "application/vnd.amazon.eventstream";
const WHOLE: &str = "{ \"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":\"Hello \\u2603\"}]}},\n\
    \"stopReason\":\"end_turn\",\"x_new\":123456789012345678901234567890,\"usage\":{\"inputTokens\":7,\"outputTokens\":3,\"totalTokens\":10},\"metrics\":{\"latencyMs\":9}} \n";
const BODY: &str = "{ \"x_unknown\":{\"b\":123456789012345678901234567890},\n \"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"h\\u00e9llo\"}]}]} ";
const PATH: &str = "/model/at-bedrock%2Ftiny-1%3A0/converse";

/// A provider of bedrock-converse behind a gateway: `at-bedrock/…`.
struct Rock {
    gateway: Gateway,
    provider: LocalProvider,
}

impl Rock {
    fn new(script: impl trunkline_testkit::provider::Script) -> Self {
        Rock::with(script, "")
    }

    fn with(script: impl trunkline_testkit::provider::Script, server: &str) -> Self {
        let provider = LocalProvider::start(script);
        let gateway = Gateway::with(&format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n{server}\n[providers.at-bedrock]\nbase_url = \"{}\"\n\
             dialects = [\"bedrock-converse\"]\nauth = {{ bearer = \"env:HOUSE_KEY\" }}\n",
            provider.url()
        ));
        Rock { gateway, provider }
    }

    fn stream(&self) -> Reply {
        self.gateway.ask(&Ask::post(&format!("{PATH}-stream"), BODY))
    }
}

fn message(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let (mut headers, mut out) = (Vec::new(), Vec::new());
    write_header(&format!(":{kind}-type"), Header::Text(name), &mut headers);
    write_header(":content-type", Header::Text("application/json"), &mut headers);
    write_header(":message-type", Header::Text(kind), &mut headers);
    write_message(&headers, &mut out, |out| out.extend_from_slice(payload.to_string().as_bytes()));
    out
}

fn event(name: &str, payload: Value) -> Vec<u8> {
    message("event", name, &payload)
}

fn begun() -> Vec<Vec<u8>> {
    let delta = |text: &str| event("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"}));
    vec![event("messageStart", json!({"role": "assistant"})), delta("Hel"), delta("lo ☃")]
}

fn good() -> Vec<Vec<u8>> {
    let mut all = begun();
    all.push(event("contentBlockStop", json!({"contentBlockIndex": 0})));
    all.push(event("messageStop", json!({"stopReason": "end_turn"})));
    let usage = json!({"inputTokens": 7, "outputTokens": 3, "totalTokens": 10});
    all.push(event("metadata", json!({"usage": usage, "metrics": {"latencyMs": 9}})));
    all
}

fn streamed(messages: Vec<Vec<u8>>) -> Answer {
    Answer::status(200).header("content-type", STREAM).chunks(messages)
}

fn well(seen: &Seen) -> Answer {
    match seen.path.rsplit('/').next() {
        Some("converse") => Answer::json(200, WHOLE),
        Some("converse-stream") => streamed(good()),
        _ => Answer::status(404),
    }
}

/// The messages of a stream: event or exception, and the payload. Panics unless every checksum is right.
fn messages(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (front, rest) = bytes.split_at(message_len(bytes, usize::MAX).unwrap());
        let read: Message<'_> = read_message(front).unwrap();
        let kind = read.text(":message-type").unwrap();
        assert_eq!(read.text(":content-type"), Some("application/json"));
        let name = read.text(&format!(":{kind}-type")).unwrap();
        all.push((format!("{kind} {name}"), serde_json::from_slice(read.payload).unwrap()));
        bytes = rest;
    }
    all
}

fn text(messages: &[(String, Value)]) -> String {
    messages.iter().filter_map(|(_, payload)| payload["delta"]["text"].as_str()).collect()
}

#[test]
fn the_same_lane_changes_nothing_but_the_path() {
    let rock = Rock::new(well);
    let whole = rock.gateway.ask(&Ask::post(PATH, BODY));
    assert_eq!((whole.status(), whole.text()), (200, WHOLE));
    assert_eq!(whole.header("x-trunkline-target"), "at-bedrock/tiny-1:0");
    assert!(!whole.header("x-amzn-requestid").is_empty());
    let stream = rock.stream();
    assert_eq!(stream.body, good().concat());
    assert_eq!(stream.header("content-type"), STREAM);
    let seen = rock.provider.requests();
    assert_eq!(seen[0].path, "/model/tiny-1%3A0/converse");
    assert_eq!(seen[1].path, "/model/tiny-1%3A0/converse-stream");
    assert!(seen.iter().all(|seen| seen.body == BODY.as_bytes()));
    let stats = rock.gateway.stats();
    assert_eq!((stats.calls, stats.errors), (2, 0));
    assert_eq!((&stats.all["input_tokens"], &stats.all["output_tokens"]), (&json!(14), &json!(6)));
}

#[test]
fn a_binary_stream_cut_anywhere_on_the_wire_comes_back_byte_for_byte() {
    let all = good().concat();
    let rock = Rock::new(move |seen: &Seen| {
        let size = seen.header("idempotency-key").parse().unwrap();
        streamed(all.chunks(size).map(<[u8]>::to_vec).collect())
    });
    for size in [1, 2, 3, 7, 64, 150, 500] {
        let ask = Ask::post(&format!("{PATH}-stream"), BODY).header("idempotency-key", &size.to_string());
        assert_eq!(rock.gateway.ask(&ask).body, good().concat(), "by {size}");
    }
    assert_eq!(rock.gateway.stats().errors, 0);
}

/// How a stream goes wrong, and the exception that ends it for the caller.
fn broken() -> Vec<(&'static str, Answer, &'static str)> {
    let with = |last: Vec<u8>| streamed([begun(), vec![last]].concat());
    let mut corrupt = good().swap_remove(3);
    corrupt[20] ^= 1;
    let half = good().swap_remove(3)[..30].to_vec();
    let slow = message("exception", "throttlingException", &json!({"message": "slow down"}));
    vec![
        ("ended too early", streamed(begun()), "modelStreamErrorException"),
        ("cut within a message", with(half.clone()).ending(Ending::Cut), "modelStreamErrorException"),
        ("ended within a message", with(half), "modelStreamErrorException"),
        ("a wrong checksum", streamed([begun(), vec![corrupt], good()].concat()), "modelStreamErrorException"),
        ("something else", with(b"<html>this is no message</html>".to_vec()), "modelStreamErrorException"),
        ("the provider's own exception", with(slow), "throttlingException"),
    ]
}

#[test]
fn a_broken_stream_ends_with_an_exception_after_what_came() {
    for (what, answer, exception) in broken() {
        let rock = Rock::new(answer);
        let reply = rock.stream();
        let all = messages(&reply.body);
        assert_eq!(text(&all), "Hello ☃", "{what}");
        assert_eq!(all.last().unwrap().0, format!("exception {exception}"), "{what}");
        assert!(all.last().unwrap().1["message"].is_string(), "{what}");
        assert!(!all.iter().any(|(name, _)| name.ends_with("messageStop")), "{what}");
        let stats = rock.gateway.stats();
        assert_eq!((stats.calls, stats.errors), (1, 1), "{what}");
    }
}

#[test]
fn callers_of_other_dialects_get_their_own_streams() {
    let rock = Rock::new(well);
    for speech in speech::all() {
        let whole = rock.gateway.ask(&speech.ask("at-bedrock/tiny-1", false));
        assert_eq!(speech.whole_text(&whole), speech::TEXT, "{}", speech.name);
        let reply = rock.gateway.ask(&speech.ask("at-bedrock/tiny-1", true));
        assert_eq!(speech.text(reply.text()), speech::TEXT, "{}", speech.name);
        let seen = rock.provider.requests().pop().unwrap();
        assert_eq!(seen.path, "/model/tiny-1/converse-stream", "{}", speech.name);
        assert_eq!(seen.json()["messages"][0]["content"][0]["text"], "hi", "{}", speech.name);
    }
    for (what, answer, _) in broken() {
        let rock = Rock::new(answer);
        for speech in speech::all() {
            let reply = rock.gateway.ask(&speech.ask("at-bedrock/tiny-1", true));
            assert_eq!(speech.text(reply.text()), speech::TEXT, "{}: {what}", speech.name);
            assert!(speech.broken(reply.text()).contains("at-bedrock"), "{}: {what}", speech.name);
        }
    }
}

#[test]
fn providers_of_other_dialects_answer_in_binary_streams() {
    let house = House::new(crate::lane::well);
    for speech in speech::all() {
        let model = speech.model().replace('/', "%2F");
        let whole = house.gateway.ask(&Ask::post(&format!("/model/{model}/converse"), BODY));
        assert_eq!(whole.json()["output"]["message"]["content"][0]["text"], speech::TEXT, "{}", speech.name);
        assert_eq!((&whole.json()["stopReason"], &whole.json()["usage"]["totalTokens"]), (&json!("end_turn"), &json!(10)));
        let reply = house.gateway.ask(&Ask::post(&format!("/model/{model}/converse-stream"), BODY));
        assert_eq!(reply.header("content-type"), STREAM);
        let all = messages(&reply.body);
        assert_eq!(text(&all), speech::TEXT, "{}", speech.name);
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"event messageStart"), "{}", speech.name);
        assert_eq!(
            names[names.len() - 3..],
            ["event contentBlockStop", "event messageStop", "event metadata"],
            "{}",
            speech.name
        );
    }
}

#[test]
fn errors_name_their_exception() {
    let answers = [
        (429, "ThrottlingException", 429, "ThrottlingException"),
        (424, "ModelErrorException", 424, "ModelErrorException"),
        (403, "AccessDeniedException", 502, "ServiceUnavailableException"),
    ];
    for (status, name, towards, told) in answers {
        let refusal = json!({"message": "the provider's own words"}).to_string();
        let rock = Rock::new(Answer::json(status, refusal).header("x-amzn-errortype", name));
        let reply = rock.gateway.ask(&Ask::post(PATH, BODY));
        assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (towards, told));
        assert!(reply.json()["message"].as_str().unwrap().contains("the provider's own words"));
    }
    let house = House::new(Answer::json(429, r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#));
    let reply = house.gateway.ask(&Ask::post("/model/at-openai-chat%2Ftiny-1/converse-stream", BODY));
    assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (429, "ThrottlingException"));
    assert_eq!(reply.header("content-type"), "application/json");
    let reply = house.gateway.ask(&Ask::post("/model/nobody/converse", BODY));
    assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
    let reply = house.gateway.ask(&Ask::post("/model/at-openai-chat%2Ftiny-1/converse", "{"));
    assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (400, "ValidationException"));
    let reply = house.gateway.ask(&Ask::get(PATH));
    assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (405, "ValidationException"));
}

#[test]
fn a_signer_is_known_by_the_id_of_its_key() {
    let rock = Rock::with(well, "key = \"env:GATE_KEY\"");
    let signed = |id: &str| {
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={id}/20261122/eu-west-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=0a1b"
        );
        rock.gateway.ask(&Ask::post(PATH, BODY).header("authorization", &value))
    };
    assert_eq!(signed("gate-key-1").status(), 200);
    assert!(!format!("{:?}", rock.provider.requests()[0].headers).contains("gate-key-1"));
    for wrong in ["wrong-key-2", "", "gate-key-12", "gate-key"] {
        let reply = signed(wrong);
        assert_eq!((reply.status(), reply.header("x-amzn-errortype")), (401, "UnrecognizedClientException"), "{wrong}");
    }
    let bearer = Ask::post(PATH, BODY).header("authorization", "Bearer gate-key-1");
    assert_eq!(rock.gateway.ask(&bearer).status(), 200);
}

/// A gateway with one provider, whose table begins after its address.
fn elsewhere(script: impl trunkline_testkit::provider::Script, table: &str) -> (Gateway, LocalProvider) {
    let provider = LocalProvider::start(script);
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[providers.there]\nauth = {{ bearer = \"env:HOUSE_KEY\" }}\n{}",
        table.replace("{URL}", &provider.url())
    );
    (Gateway::with(&config), provider)
}

#[test]
fn messages_are_posted_with_the_model_in_the_path_and_come_back_in_chunks() {
    let speech = speech::all().find(|speech| speech.name == "anthropic-messages").unwrap();
    let script = move |seen: &Seen| {
        if seen.path.ends_with("/invoke") {
            return speech.answer();
        }
        let data = |frame: &&str| frame.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
        let chunk = |data: String| event("chunk", json!({"bytes": base64(data.as_bytes()), "p": "ab"}));
        streamed(speech.frames.iter().filter_map(data).map(chunk).collect())
    };
    let table = "base_url = \"{URL}\"\ndialects = [\"bedrock-converse\", \"anthropic-messages\"]\n\
        [providers.there.dialect_models]\nanthropic-messages = [\"maker.*\"]\n\
        [providers.there.paths.anthropic-messages]\nchat = \"/model/{model}/invoke\"\nchat_stream = \"/model/{model}/invoke-with-response-stream\"\n\
        [providers.there.quirks]\nbody_version = \"some-2023-05-31\"\nstream_field = false\n";
    let (gateway, provider) = elsewhere(script, table);
    let whole = gateway.ask(&speech.ask("there/maker.large-v1:0", false));
    assert_eq!(speech.whole_text(&whole), speech::TEXT);
    let reply = gateway.ask(&speech.ask("there/maker.large-v1:0", true));
    assert_eq!(speech.text(reply.text()), speech::TEXT, "{}", reply.text());
    let seen = provider.requests();
    assert_eq!(seen[0].path, "/model/maker.large-v1%3A0/invoke");
    assert_eq!(seen[1].path, "/model/maker.large-v1%3A0/invoke-with-response-stream");
    for seen in &seen {
        let body = seen.json();
        assert_eq!(body["anthropic_version"], "some-2023-05-31");
        assert!(body.get("model").is_none() && body.get("stream").is_none(), "{body}");
        assert!(!seen.headers.contains_key("anthropic-version"));
    }
    // Other models are asked in the first dialect.
    gateway.ask(&speech.ask("there/other.small", false));
    assert_eq!(provider.requests().pop().unwrap().path, "/model/other.small/converse");
}

#[test]
fn a_chunked_stream_may_end_with_an_exception() {
    let script = |_: &Seen| {
        let start =
            json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}});
        let chunk = event("chunk", json!({"bytes": base64(start.to_string().as_bytes())}));
        streamed(vec![chunk, message("exception", "modelTimeoutException", &json!({"message": "too slow"}))])
    };
    let table = "base_url = \"{URL}\"\ndialects = [\"anthropic-messages\"]\n\
        [providers.there.paths.anthropic-messages]\nchat = \"/{model}/x\"\n[providers.there.quirks]\nbody_version = \"v\"\n";
    let (gateway, _provider) = elsewhere(script, table);
    let speech = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let reply = gateway.ask(&speech.ask("there/m", true));
    assert!(speech.broken(reply.text()).contains("too slow"), "{}", reply.text());
}

#[test]
fn paths_are_data() {
    let house = crate::lane::well;
    let chat = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let script = move |seen: &Seen| if seen.path.contains("/deployments/") { chat.answer() } else { house(seen) };
    let table = "base_url = \"{URL}\"\ndialects = [\"openai-chat\"]\n\
        [providers.there.paths.openai-chat]\nchat = \"/openai/deployments/{model}/chat/completions?api-version=2024-10-21\"\n";
    let (gateway, provider) = elsewhere(script, table);
    for caller in speech::all() {
        assert_eq!(caller.whole_text(&gateway.ask(&caller.ask("there/my~d:1", false).clone())), speech::TEXT, "{}", caller.name);
        let seen = provider.requests().pop().unwrap();
        assert_eq!(seen.path, "/openai/deployments/my~d%3A1/chat/completions?api-version=2024-10-21", "{}", caller.name);
    }

    let google = "base_url = \"{URL}/v1/projects/p/locations/{env:NOWHERE|=global}/publishers/google\"\ndialects = [\"gemini\"]\n\
        quirks = { gemini_version = \"\" }\n";
    let gemini = speech::all().find(|speech| speech.name == "gemini").unwrap();
    let (gateway, provider) = elsewhere(move |_: &Seen| gemini.answer(), google);
    for caller in speech::all().filter(|caller| caller.name == "gemini" || caller.name == "openai-chat") {
        assert_eq!(caller.whole_text(&gateway.ask(&caller.ask("there/some-2.5", false))), speech::TEXT, "{}", caller.name);
        let seen = provider.requests().pop().unwrap();
        assert_eq!(seen.path, "/v1/projects/p/locations/global/publishers/google/models/some-2.5:generateContent");
    }
}

#[test]
fn an_address_that_lacks_a_variable_says_which() {
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[providers.there]\nbase_url = \"https://{env:NO_SUCH_PLACE|NOR_THIS}.example\"\n\
        dialects = [\"openai-chat\"]\nauth = { none = true }\n";
    let gateway = Gateway::with(config);
    let speech = speech::all().find(|speech| speech.name == "openai-chat").unwrap();
    let reply = gateway.ask(&speech.ask("there/x", false));
    assert_eq!(reply.status(), 503, "{}", reply.text());
    assert!(reply.text().contains("set NO_SUCH_PLACE or NOR_THIS"), "{}", reply.text());
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
