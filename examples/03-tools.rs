//! Let a model call a function of yours.
//!
//! `cargo run --example 03-tools`. The simulator calls a tool when the prompt names it, and makes up the arguments.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use trunkline::Client;
use trunkline::ir::{Content, Extra, Message, Raw, Request, Role, Tool, ToolKind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> trunkline::Result<()> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "sim/echo".to_owned());
    let client = Client::from_env()?;
    let mut request = Request {
        model,
        messages: vec![Message::text(Role::User, "Use get_weather to tell me the weather in Paris.")],
        tools: vec![get_weather()],
        ..Request::default()
    };
    // A model may call tools several times before it answers; this one gets five rounds.
    for _ in 0..5 {
        let reply = client.call(request.clone()).await?;
        let results: Vec<_> = reply.tool_calls().map(|(id, name, arguments)| run(id, name, arguments).into()).collect();
        if results.is_empty() {
            println!("{}", reply.text());
            break;
        }
        // Its turn goes back as it came, reasoning and signatures included; then the results.
        let parts = reply.response.choices.into_iter().next().map(|choice| choice.parts).unwrap_or_default();
        request.messages.push(Message { role: Role::Assistant, name: None, parts, extra: Extra::default() });
        request.messages.push(Message { role: Role::User, name: None, parts: results, extra: Extra::default() });
    }
    Ok(())
}

fn get_weather() -> Tool {
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    Tool {
        name: "get_weather".to_owned(),
        description: Some("The weather in a city.".to_owned()),
        kind: ToolKind::Function { schema: Raw::parse(schema), strict: None },
        cache: None,
        extra: Extra::default(),
    }
}

/// `arguments` is JSON text, written by a model: read it with care.
fn run(id: &str, name: &str, arguments: &str) -> Content {
    println!("-- {name}({arguments})");
    let parts = vec![trunkline::ir::Part::text("18 °C, light rain")];
    Content::ToolResult { id: id.to_owned(), name: Some(name.to_owned()), parts, failed: false }
}
