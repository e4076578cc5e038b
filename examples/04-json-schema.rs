//! Get an answer that a program can read.
//!
//! `cargo run --example 04-json-schema`, or with a key `cargo run --example 04-json-schema -- openai/gpt-4o-mini`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use serde::Deserialize;
use trunkline::Client;
use trunkline::ir::{Format, Raw};

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["name", "population"],
    "additionalProperties": false
}"#;

#[derive(Debug, Deserialize)]
struct City {
    name: String,
    population: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "sim/echo".to_owned());
    let schema = Raw::parse(SCHEMA).ok_or("the schema is not JSON")?;
    let format = Format::Schema { name: Some("city".to_owned()), description: None, schema, strict: Some(true) };

    let client = Client::from_env()?;
    let call = client.chat(model, "The capital of France, with its population.");
    let reply = call.with(|request| request.format = format).await?;
    // Not every provider binds its models to a schema; where it does not, this is the place where it shows.
    let city: City = serde_json::from_str(&reply.text())?;
    println!("{} has {} inhabitants", city.name, city.population);
    Ok(())
}
