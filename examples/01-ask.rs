//! Ask a model something.
//!
//! `cargo run --example 01-ask -- "Why is the sky blue?"` asks the simulator, which needs no key and repeats what it hears.
//! With a key in the environment or in `.env`: `cargo run --example 01-ask -- "Why?" openai/gpt-4o-mini`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use trunkline::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> trunkline::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or_else(|| "Hello".to_owned());
    let model = arguments.next().unwrap_or_else(|| "sim/echo".to_owned());

    let client = Client::from_env()?;
    let reply = client.chat(model, prompt).system("Answer in one sentence.").max_tokens(200).await?;
    println!("{}", reply.text());

    // Who answered, what it took, and what that provider could not be told.
    let usage = reply.response.usage.unwrap_or_default();
    println!("-- {}: {} tokens in, {} out", reply.target, usage.input, usage.output);
    for loss in reply.losses.iter() {
        println!("-- lost: {} ({})", loss.field, loss.why);
    }
    Ok(())
}
