//! Conversations through several providers, checked on the requests that were sent.

use std::path::PathBuf;

use futures_util::future::join_all;
use serde_json::{Value, json};
use trunkline::config::{Config, Environment, Window};
use trunkline::ir::{Content, Message, Part, Raw, Request, Role, Tool, ToolKind};
use trunkline::{Client, Piece};
use trunkline_store::{Opening, Sought, Store, TurnRow};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};
use trunkline_work::session::{Session, Start, write_jsonl, write_markdown};

/// A provider of each dialect, whose answers name it: first thinking and a call of a tool, then thinking and a text.
struct Houses {
    all: Vec<(&'static str, LocalProvider)>,
    folder: PathBuf,
}

const DIALECTS: [(&str, &str); 5] = [
    ("chat", "openai-chat"),
    ("claude", "anthropic-messages"),
    ("gemini2", "gemini"),
    ("responses", "openai-responses"),
    ("claude2", "anthropic-messages"),
];

impl Houses {
    fn open(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-work-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let all = DIALECTS.map(|(id, dialect)| (id, LocalProvider::start(move |seen: &Seen| answer(id, dialect, seen))));
        Houses { all: all.into(), folder }
    }

    fn client(&self) -> Client {
        let mut text = String::new();
        for ((id, provider), (_, dialect)) in self.all.iter().zip(DIALECTS) {
            let version = if dialect.starts_with("openai") { "/v1" } else { "" };
            text += &format!(
                "[providers.{id}]\nbase_url = \"{}{version}\"\ndialects = [\"{dialect}\"]\nauth = {{ none = true }}\nquirks = {{ reasoning_replay = \"always\", reasoning_field = \"reasoning_details\" }}\n",
                provider.url()
            );
        }
        let config = Config::parse(&text, "test").unwrap();
        Client::builder().config(config).environment(Environment::default()).build().unwrap()
    }

    async fn store(&self) -> Store {
        Store::open(&Opening::at(self.folder.join("trunkline.db"))).await.unwrap()
    }

    async fn session(&self, window: Window) -> Session {
        let start = Start { model: Some("chat/m".to_owned()), system: Some("Be kind.".to_owned()), window, ..Start::default() };
        Session::new(self.client(), Some(self.store().await), start)
    }

    /// What a provider was sent last.
    fn sent(&self, id: &str) -> String {
        let (_, provider) = self.all.iter().find(|(name, _)| *name == id).unwrap();
        String::from_utf8(provider.requests().last().unwrap().body.to_vec()).unwrap()
    }
}

impl Drop for Houses {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The answer of a house: a call of its tool to a question, a text to the tool's result.
fn answer(id: &str, dialect: &str, seen: &Seen) -> Answer {
    let body = seen.json();
    let (text, sent) = (format!("{id} says it rains."), body.to_string());
    let last = body["messages"]
        .as_array()
        .or(body["input"].as_array())
        .or(body["contents"].as_array())
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    if sent.contains("Summarise this conversation") {
        return Answer::json(
            200,
            json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "They spoke of rain."}}]})
            .to_string(),
        );
    }
    let call = !(last.contains("result of") || last.contains("plain"));
    let sign = format!("{id}-sig-{}", if call { "call" } else { "text" });
    let arguments = json!({"city": id});
    let whole = match dialect {
        "openai-chat" => {
            let mut message = json!({"role": "assistant", "content": if call { Value::Null } else { json!(text) },
                "reasoning_details": [{"type": "reasoning.text", "text": "Let me see.", "signature": sign, "index": 0}]});
            if call {
                message["tool_calls"] = json!([{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments.to_string()}}]);
            }
            json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                "choices": [{"index": 0, "message": message, "finish_reason": if call { "tool_calls" } else { "stop" }}]})
        }
        "anthropic-messages" => {
            let said = if call {
                json!({"type": "tool_use", "id": "call_1", "name": "weather", "input": arguments})
            } else {
                json!({"type": "text", "text": text})
            };
            if body["stream"] == json!(true) {
                return claude_stream(&sign, &said);
            }
            json!({"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": if call { "tool_use" } else { "end_turn" },
                "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 3},
                "content": [{"type": "thinking", "thinking": "Hm.", "signature": sign}, {"type": "redacted_thinking", "data": format!("{id}-hidden")}, said]})
        }
        "gemini" => {
            let part = if call {
                json!({"functionCall": {"name": "weather", "args": arguments}, "thoughtSignature": sign})
            } else {
                json!({"text": text, "thoughtSignature": sign})
            };
            json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}, "modelVersion": "m", "responseId": "x"})
        }
        _ => {
            let said = if call {
                json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": arguments.to_string(), "status": "completed"})
            } else {
                json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]})
            };
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sign}, said],
                "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}})
        }
    };
    Answer::json(200, whole.to_string())
}

fn claude_stream(sign: &str, said: &Value) -> Answer {
    let frame = |event: &str, mut data: Value| {
        data["type"] = json!(event);
        format!("event: {event}\ndata: {data}\n\n")
    };
    let mut block = said.clone();
    let delta = if said["type"] == "text" {
        block["text"] = json!("");
        json!({"type": "text_delta", "text": said["text"]})
    } else {
        block["input"] = json!({});
        json!({"type": "input_json_delta", "partial_json": said["input"].to_string()})
    };
    Answer::sse([
        frame(
            "message_start",
            json!({"message": {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        ),
        frame("content_block_start", json!({"index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}})),
        frame("content_block_delta", json!({"index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}})),
        frame("content_block_delta", json!({"index": 0, "delta": {"type": "signature_delta", "signature": sign}})),
        frame("content_block_stop", json!({"index": 0})),
        frame("content_block_start", json!({"index": 1, "content_block": block})),
        frame("content_block_delta", json!({"index": 1, "delta": delta})),
        frame("content_block_stop", json!({"index": 1})),
        frame(
            "message_delta",
            json!({"delta": {"stop_reason": if said["type"] == "text" { "end_turn" } else { "tool_use" }}, "usage": {"output_tokens": 3}}),
        ),
        frame("message_stop", json!({})),
    ])
}

fn tool() -> Tool {
    let schema = Raw::parse(r#"{"type":"object","properties":{"city":{"type":"string"}}}"#).unwrap();
    let kind = ToolKind::Function { schema: Some(schema), strict: None };
    Tool { name: "weather".to_owned(), description: None, kind, cache: None, extra: Default::default() }
}

/// A question to this model, the call of the tool that comes of it, its result, and the answer.
async fn ask(session: &mut Session, model: &str) -> TurnRow {
    session.set_model(format!("{model}/m")).await.unwrap();
    let question = Request { tools: vec![tool()], ..session.question(format!("How is it in {model}?")) };
    let first = session.ask(question).await.unwrap();
    let results = results(&first, model);
    session.ask(Request { messages: vec![results], tools: vec![tool()], ..Request::default() }).await.unwrap()
}

fn results(turn: &TurnRow, model: &str) -> Message {
    let parts = turn.answered.iter().flat_map(|message| &message.parts).filter_map(|part| match &part.content {
        Content::ToolCall { id, name, arguments } => {
            assert_eq!(arguments.replace(' ', ""), format!("{{\"city\":\"{model}\"}}"));
            let parts = vec![Part::text(format!("result of {model}"))];
            Some(Part::from(Content::ToolResult { id: id.clone(), name: Some(name.clone()), parts, failed: false }))
        }
        _ => None,
    });
    let parts: Vec<Part> = parts.collect();
    assert_eq!(parts.len(), 1, "{turn:?}");
    Message { role: Role::User, name: None, parts, extra: Default::default() }
}

/// These stand in the text, in this order.
fn in_order(text: &str, wanted: &[String]) {
    let mut rest = text;
    for wanted in wanted {
        let at = rest.find(wanted.as_str()).unwrap_or_else(|| panic!("{wanted} is not (there) in {text}"));
        rest = &rest[at + wanted.len()..];
    }
}

fn said_in(models: &[&str]) -> Vec<String> {
    let of = |model: &&str| [format!("How is it in {model}?"), format!("result of {model}"), format!("{model} says it rains.")];
    std::iter::once("Be kind.".to_owned()).chain(models.iter().flat_map(of)).collect()
}

#[tokio::test]
async fn a_conversation_keeps_its_sense_through_four_providers_and_back() {
    let houses = Houses::open("four");
    let mut session = houses.session(Window::All).await;
    let models = ["chat", "claude", "gemini2", "responses"];
    for (at, model) in models.into_iter().enumerate() {
        let turn = ask(&mut session, model).await;
        assert_eq!((turn.target.unwrap(), turn.finish.unwrap()), (format!("{model}/m"), "stop".into()));
        let sent = houses.sent(model);
        let mut wanted = said_in(&models[..at]);
        wanted.extend([format!("How is it in {model}?"), format!("{model}-sig-call"), format!("result of {model}")]);
        if model == "gemini2" {
            wanted.truncate(wanted.len() - 2);
        }
        // A dialect may write its instructions last.
        in_order(&sent, &wanted[1..]);
        assert!(sent.contains("Be kind."), "{sent}");
        for other in models.iter().filter(|other| **other != model) {
            assert!(!sent.contains(&format!("{other}-sig")) && !sent.contains(&format!("{other}-hidden")), "{model}: {sent}");
        }
        // Every call has its result and no id comes twice, as the strictest dialect wants it.
        assert_eq!(sent.matches("result of").count(), at + 1, "{sent}");
    }
    assert_eq!(session.turns().len(), 8);

    // After a restart the first one has everything of its own, and nobody else's.
    drop(session);
    let mut session = Session::last(houses.client(), houses.store().await).await.unwrap().ok().unwrap();
    assert_eq!((session.title(), session.turns().len()), ("How is it in chat?", 8));
    ask(&mut session, "chat").await;
    let sent = houses.sent("chat");
    in_order(&sent, &said_in(&models));
    for signature in ["chat-sig-call", "chat-sig-text"] {
        assert!(sent.contains(signature), "{signature} is not in {sent}");
    }
    for other in &models[1..] {
        assert!(!sent.contains(&format!("{other}-sig")) && !sent.contains(&format!("{other}-hidden")), "{sent}");
    }
    let ids: Vec<String> = calls(&sent);
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| ids.iter().filter(|other| *other == id).count() == 1), "{ids:?}");

    // Another provider of the same dialect gets no signature either, and it is told.
    session.set_model("claude2/m").await.unwrap();
    let (request, losses) = session.request(&session.question("plain"), Some("claude2"));
    assert_eq!(request.messages.len(), 22);
    assert!(losses.iter().any(|loss| loss.why.contains("only claude, which has made it, can read it")), "{losses:?}");
    session.ask(session.question("plain")).await.unwrap();
    let sent = houses.sent("claude2");
    in_order(&sent, &said_in(&models)[1..]);
    assert!(!sent.contains("-sig-") && !sent.contains("-hidden"), "{sent}");
    // And when the one returns that made them, it gets them, here in a stream.
    session.set_model("claude/m").await.unwrap();
    let mut answer = session.stream(session.question("plain")).await.unwrap();
    assert!(!answer.losses().is_empty());
    let mut text = String::new();
    while let Some(piece) = answer.next().await {
        if let Piece::Text(more) = piece.unwrap() {
            text += &more;
        }
    }
    assert_eq!(text, "claude says it rains.");
    let turn = answer.keep().await.unwrap();
    let thought = &turn.answered.as_ref().unwrap().parts[0];
    assert_eq!(thought.signature.as_ref().unwrap().value, "claude-sig-text");
    assert_eq!((turn.input, turn.output, turn.finish.as_deref()), (Some(9), Some(3), Some("stop")));
    let sent = houses.sent("claude");
    in_order(&sent, &["claude-sig-call".to_owned(), "claude-hidden".to_owned(), "claude-sig-text".to_owned()]);
    assert!(!sent.contains("claude2-sig"), "{sent}");
}

/// The ids of all calls of tools in a request of the first dialect; each has its result.
fn calls(sent: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(sent).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let calls = messages.iter().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
    let ids: Vec<String> = calls.map(|call| call["id"].as_str().unwrap().to_owned()).collect();
    let results: Vec<&str> = messages.iter().filter_map(|message| message["tool_call_id"].as_str()).collect();
    assert_eq!(ids, results);
    ids
}

#[tokio::test]
async fn windows_leave_out_whole_turns_and_summaries_are_made_once() {
    let houses = Houses::open("window");
    let mut session = houses.session(Window::Turns(2)).await;
    for model in ["chat", "claude", "responses"] {
        ask(&mut session, model).await;
    }
    // The present question is none of the two while it is asked, and one of them when its tool has answered.
    let sent = |session: &Session, new: Message| {
        let request = Request { messages: vec![new], ..Request::default() };
        session.request(&request, None).0.messages.iter().map(Message::plain_text).collect::<Vec<_>>().join("|")
    };
    let text = sent(&session, Message::text(Role::User, "plain"));
    assert!(!text.contains("chat") && text.contains("claude") && text.contains("responses"), "{text}");
    session.set_window(Window::Tokens(60)).await.unwrap();
    let text = sent(&session, Message::text(Role::User, "plain"));
    assert!(!text.contains("in claude") && text.contains("in responses"), "{text}");
    session.set_window(Window::Tokens(1)).await.unwrap();
    assert_eq!(sent(&session, Message::text(Role::User, "plain")), "Be kind.|plain");
    // Results keep their call whatever the window.
    let called = session.ask(Request { tools: vec![tool()], ..session.question("How is it in responses?") }).await.unwrap();
    let results = results(&called, "responses");
    assert!(sent(&session, results.clone()).contains("How is it in responses?"));
    session.ask(Request { messages: vec![results], ..Request::default() }).await.unwrap();

    session.set_window(Window::Summary { turns: 1, model: "chat/small".to_owned() }).await.unwrap();
    for _ in 0..2 {
        session.ask(session.question("plain")).await.unwrap();
    }
    let sent = houses.sent("responses");
    assert!(sent.contains("They spoke of rain.") && !sent.contains("in claude"), "{sent}");
    let summaries = || houses.all[0].1.requests().iter().filter(|seen| seen.json()["model"] == "small").count();
    let made = summaries();
    // It is there after a restart, and not made again.
    let id = session.id().to_owned();
    drop(session);
    let session = Session::open(houses.client(), houses.store().await, &id).await.unwrap();
    let (request, _) = session.request(&session.question("plain"), None);
    assert!(request.messages[1].plain_text().contains("They spoke of rain."));
    assert_eq!((summaries(), session.window().to_string()), (made, "summarise after 1 turns with chat/small".to_owned()));
    assert!((1..=2).contains(&made), "{made}");
}

#[tokio::test]
async fn going_back_branching_and_two_at_once() {
    let houses = Houses::open("branch");
    let mut session = houses.session(Window::All).await;
    for text in ["plain one", "plain two", "plain three"] {
        session.ask(session.question(text)).await.unwrap();
    }
    let first = session.id().to_owned();
    let gone = session.take_back().await.unwrap().unwrap();
    assert_eq!((gone[0].plain_text(), session.turns().len()), ("plain three".to_owned(), 2));
    session.branch(Some("Elsewhere".to_owned())).await.unwrap();
    session.ask(session.question("plain four")).await.unwrap();
    let branch = session.id().to_owned();
    assert_ne!(first, branch);
    let texts = async |id: &str| {
        let session = Session::open(houses.client(), houses.store().await, id).await.unwrap();
        session.turns().iter().map(|turn| turn.asked[0].plain_text()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&first).await, ["plain one", "plain two"]);
    assert_eq!(texts(&branch).await, ["plain one", "plain two", "plain four"]);

    // Two programs at the same session: the later one goes on as a branch, and nothing is lost.
    let open = async || Session::open(houses.client(), houses.store().await, &first).await.unwrap();
    let mut both = join_all([open(), open()]).await;
    for (session, text) in both.iter_mut().zip(["plain left", "plain right"]) {
        session.ask(session.question(text)).await.unwrap();
    }
    assert_eq!(both[0].id(), first);
    assert_eq!(both[1].row().branch_of.as_deref(), Some(first.as_str()));
    assert_eq!(texts(both[1].id()).await, ["plain one", "plain two", "plain right"]);
    // One who is behind is told, and does not undo the other's turn.
    let mut behind = open().await;
    let more = both[0].question("plain more");
    both[0].ask(more).await.unwrap();
    assert!(behind.undo().await.unwrap_err().message.contains("open it again"));

    let sessions = houses.store().await.sessions(&Sought { limit: 9, ..Sought::default() }).await.unwrap();
    assert_eq!(sessions.len(), 3);
    let markdown = write_markdown(both[0].row(), both[0].turns());
    assert!(
        markdown.starts_with(
            "# plain one\n\n## System\n\nBe kind.\n\n## You\n\nplain one\n\n## chat/m\n\n> Let me see.\n\nchat says it rains.\n"
        ),
        "{markdown}"
    );
    let lines = write_jsonl(both[0].row(), both[0].turns());
    let read: Vec<TurnRow> = lines.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, both[0].turns());
}

#[tokio::test]
async fn an_answer_that_broke_off_is_kept_or_dropped_as_one_likes() {
    let houses = Houses::open("broken");
    let mut session = houses.session(Window::All).await;
    session.set_model("claude/m").await.unwrap();
    let mut answer = session.stream(session.question("plain")).await.unwrap();
    while !matches!(answer.next().await.unwrap().unwrap(), Piece::Reasoning(_)) {}
    drop(answer);
    assert!(session.turns().is_empty());
    let mut answer = session.stream(session.question("plain")).await.unwrap();
    while !matches!(answer.next().await.unwrap().unwrap(), Piece::Reasoning(_)) {}
    let turn = answer.keep().await.unwrap();
    assert!(turn.is_partial() && turn.usage_estimated && turn.input.is_some());
    // Of a call of a tool that nobody answered nothing is sent.
    session.ask(Request { tools: vec![tool()], ..session.question("How is it?") }).await.unwrap();
    session.ask(session.question("plain")).await.unwrap();
    assert!(!houses.sent("claude").contains("tool_use"), "{}", houses.sent("claude"));
    // Without a store it lasts as long as the value.
    let mut fleeting = Session::new(houses.client(), None, Start { model: Some("chat/m".to_owned()), ..Start::default() });
    fleeting.ask(fleeting.question("plain")).await.unwrap();
    fleeting.ask(fleeting.question("plain again")).await.unwrap();
    assert_eq!(fleeting.undo().await.unwrap().unwrap().asked[0].plain_text(), "plain again");
    assert_eq!(fleeting.turns().len(), 1);
}
