//! Print an answer as it comes.
//!
//! `cargo run --example 02-stream`, or with a key `cargo run --example 02-stream -- anthropic/claude-sonnet-4-5`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::Write;

use futures_util::StreamExt;
use trunkline::{Client, Piece};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "sim/lorem".to_owned());
    let client = Client::from_env()?;
    let mut stream = client.chat(model, "Tell me a story.").stream().await?;
    while let Some(piece) = stream.next().await {
        match piece? {
            Piece::Text(text) => print!("{text}"),
            Piece::Finish(finish) => println!("\n-- finished: {:?}", finish.reason),
            Piece::Usage(usage) => println!("-- {} tokens", usage.total()),
            // Reasoning, refusals, tool calls: see 03-tools.
            _ => {}
        }
        std::io::stdout().flush()?;
    }
    // Dropping the stream earlier would have hung up: the provider stops at once, and stops counting.
    Ok(())
}
