//! What can go wrong, and what a program can do about it.
//!
//! `cargo run --example 05-errors` asks for a model that is not there, a provider that is not there, and one without a key.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::Duration;

use trunkline::{Client, Error, Kind, Reply, Retry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> trunkline::Result<()> {
    let client = Client::from_env()?;
    for model in ["sim/ehco", "opnai/gpt-4o", "venice/some-model"] {
        match ask(&client, model).await {
            Ok(reply) => println!("{model}: {}", reply.text()),
            Err(error) => explain(model, &error),
        }
    }
    Ok(())
}

/// Trunkline does not try again by itself: only the caller knows how long an answer is worth waiting for.
async fn ask(client: &Client, model: &str) -> trunkline::Result<Reply> {
    for attempt in 0..3 {
        match client.chat(model, "Hello").await {
            Err(Error { retry: Retry::After(wait), .. }) => tokio::time::sleep(wait).await,
            Err(Error { retry: Retry::Backoff, .. }) => tokio::time::sleep(Duration::from_secs(1 << attempt)).await,
            done => return done,
        }
    }
    client.chat(model, "Hello").await
}

fn explain(model: &str, error: &Error) {
    println!("{model}: {error}");
    println!("   kind {:?}, to blame {:?}, try again {:?}", error.kind, error.origin, error.retry);
    match error.kind {
        Kind::NotFound => println!("   the name is wrong; the message says what it might have been"),
        Kind::ContextTooLong => println!("   the prompt is too long for this model"),
        Kind::RateLimited => println!("   too fast"),
        Kind::Unavailable => println!("   nobody can take the call now, or the provider is not set up"),
        _ => println!("   the provider's own words: {}", error.raw.as_deref().unwrap_or("none")),
    }
}
