//! What a call came to.

use std::sync::{Arc, Mutex};

use trunkline::codec::catalog::{Cost, Currency, Models};
use trunkline::config::Environment;
use trunkline::ir::Usage;
use trunkline::monitor::{OpenCall, Outcome, Recorder};
use trunkline::{Client, Config};

fn client(config: &str) -> Client {
    let none = Environment::of::<String, String>([]);
    Client::builder().config(Config::parse(config, "test").unwrap()).environment(none).build().unwrap()
}

#[tokio::test]
async fn a_reply_knows_what_it_cost() {
    let client = client("[prices.'sim/echo']\ninput = '1000000'\noutput = '2000000'\ncurrency = 'CNY'");
    let reply = client.chat("sim/echo", "Hello").await.unwrap();
    let usage = reply.response.usage.unwrap();
    let micros = (usage.input + 2 * usage.output) * 1_000_000;
    assert_eq!(reply.cost(), Some(Cost { currency: Currency::Cny, micros }));
    assert_eq!(client.cost(&reply.target, usage), reply.cost());
    assert_eq!(client.chat("sim/lorem", "Hello").await.unwrap().cost(), None);
}

/// What is not counted in tokens has its price, too.
#[tokio::test]
async fn operations_know_what_they_cost() {
    let client = client(
        "[prices.'sim/*']\nimage = '0.04'\ncharacters = '15'\nrequest = '0.002'\n[prices.'sim/echo']\ninput = '1000000'\noutput = '0'",
    );
    let drawn = client.image("sim/lorem", "A line").count(3).await.unwrap();
    let micros = drawn.cost.map(|cost| cost.micros);
    assert_eq!((drawn.pieces.images, micros), (3, Some(3 * 40_000 + 2_000)));
    let spoken = client.speak("sim/lorem", "Hello").await.unwrap();
    assert_eq!((spoken.pieces.characters, spoken.cost.map(|cost| cost.micros)), (5, Some(75 + 2_000)));
}

#[derive(Default)]
struct Kept(Mutex<Vec<Outcome>>);

impl Recorder for Kept {
    fn record(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

#[test]
fn an_outcome_has_the_cost_of_its_target() {
    let kept = Arc::new(Kept::default());
    let models = Arc::new(Models::default());
    let usage = Usage { input: 1_000_000, output: 1_000_000, ..Usage::default() };
    for (target, usage) in [
        (Some("anthropic/claude-sonnet-4-5"), Some(usage)),
        (Some("house/unheard-of"), Some(usage)),
        (Some("anthropic/claude-sonnet-4-5"), None),
        (None, Some(usage)),
    ] {
        let mut call = OpenCall::new("id".to_owned(), Arc::clone(&kept) as _, Arc::clone(&models));
        let outcome = call.outcome().unwrap();
        outcome.target = target.map(Into::into);
        outcome.usage = usage;
        call.close(None);
    }
    let costs: Vec<Option<u64>> = kept.0.lock().unwrap().iter().map(|outcome| outcome.cost.map(|cost| cost.micros)).collect();
    assert_eq!(costs, [Some(18_000_000), None, None, None]);
}
