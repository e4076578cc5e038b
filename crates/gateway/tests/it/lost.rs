//! What the caller's dialect has no words for is told, not dropped in silence.

use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::House;
use crate::wire::Ask;

const THOUGHT: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"tiny-1","content":[
    {"type":"thinking","thinking":"Let me see.","signature":"c2ln"},{"type":"text","text":"Hello"}],
    "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#;

fn think(_: &Seen) -> Answer {
    Answer::json(200, THOUGHT)
}

fn ask(path: &str, stream: bool) -> Ask {
    let what = if path == "/v1/completions" { r#""prompt":"hi""# } else { r#""messages":[{"role":"user","content":"hi"}]"# };
    Ask::post(path, format!(r#"{{"model":"at-anthropic-messages/tiny-1","max_tokens":16,"stream":{stream},{what}}}"#))
}

#[test]
fn thinking_that_a_dialect_has_no_words_for_is_told() {
    let house = House::new(think);
    for stream in [false, true] {
        let reply = house.gateway.ask(&ask("/v1/completions", stream));
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert!(reply.text().contains("Hello") && !reply.text().contains("Let me see"), "{}", reply.text());
        assert_eq!(reply.header("x-trunkline-lost"), "answer.reasoning", "stream: {stream}");
        let told = house.gateway.ask(&ask("/v1/chat/completions", stream));
        assert!(told.text().contains("Let me see"), "{}", told.text());
        assert_eq!(told.header("x-trunkline-lost"), "", "stream: {stream}");
    }
}

#[test]
fn headers_of_another_dialect_stay_behind_even_when_nothing_is_lost() {
    let house = House::new(|seen: &Seen| think(seen).header("request-id", "req_theirs").header("anthropic-x", "1"));
    let reply = house.gateway.ask(&ask("/v1/chat/completions", false));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!((reply.header("anthropic-x"), reply.header("request-id")), ("", ""));
}
