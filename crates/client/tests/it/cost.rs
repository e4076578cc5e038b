//! What a call came to.

use std::sync::{Arc, Mutex};

use trunkline::codec::catalog::{Cost, Currency, Models};
use trunkline::config::Environment;
use trunkline::ir::Usage;
use trunkline::monitor::{OpenCall, Outcome, Recorder};
use trunkline::{Client, Config, Error, Kind, Origin, Phase, Target};

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

/// Whoever was asked, and failed on the way, is paid, too; who refused is not.
#[test]
fn every_exchange_is_counted_and_an_estimate_is_marked() {
    let of = |kind, origin| Error { provider: Some("sim".to_owned()), ..Error::new(kind, origin, "failed") };
    let refused = Error { status: Some(500), ..of(Kind::Server, Origin::Provider) };
    let unreached = Error { phase: Some(Phase::Connect), ..of(Kind::Network, Origin::Network) };
    let unsent = Error::bad_request("cannot be said");
    let said = Usage { output: 40, estimated: true, ..Usage::default() };
    let guess = |output| Some((100, output, true));
    let config = "[prices.'sim/*']\ninput = '1000000'\noutput = '2000000'\ncurrency = 'CNY'";
    let client = client(config);
    let target = Target::new(client.service("sim").unwrap(), "lorem");
    for (error, used, expected) in [
        (refused, None, None),
        (unreached, None, None),
        (unsent, None, None),
        (of(Kind::Truncated, Origin::Network), None, guess(0)),
        (of(Kind::Truncated, Origin::Network), Some(said), guess(40)),
        (of(Kind::Overloaded, Origin::Provider), Some(said), guess(40)),
        (of(Kind::Overloaded, Origin::Provider), None, None),
        (of(Kind::Timeout, Origin::Network), None, guess(0)),
    ] {
        let kept = Arc::new(Kept::default());
        let mut call = OpenCall::new("id".to_owned(), Arc::clone(&kept) as _, client.model_data());
        call.prompt(100);
        let first = call.begin(&target);
        call.failed(first, &error, used);
        call.begin(&target);
        call.outcome().unwrap().usage = Some(Usage { input: 7, output: 3, ..Usage::default() });
        call.close(None);
        let outcome = kept.0.lock().unwrap().pop().unwrap();
        let seen = |usage: Option<Usage>| usage.map(|usage| (usage.input, usage.output, usage.estimated));
        let usages: Vec<_> = outcome.exchanges.iter().map(|exchange| seen(exchange.usage)).collect();
        assert_eq!(usages, [expected, Some((7, 3, false))], "{error:?}");
        let (input, output, estimated) = expected.unwrap_or_default();
        assert_eq!(seen(outcome.usage), Some((input + 7, output + 3, estimated)), "{error:?}");
        let micros = outcome.exchanges.iter().filter_map(|exchange| exchange.cost).map(|cost| cost.micros).sum::<u64>();
        assert_eq!(outcome.cost.map(|cost| cost.micros), Some(micros), "{error:?}");
        assert_eq!(micros, (input + 7 + 2 * (output + 3)) * 1_000_000, "{error:?}");
    }
}

/// A call that ends before anything is known of its answer has asked for it all the same.
#[test]
fn who_leaves_early_has_used_the_prompt() {
    let client = client("");
    let target = Target::new(client.service("sim").unwrap(), "lorem");
    for prompt in [Some(100), None] {
        let kept = Arc::new(Kept::default());
        let mut call = OpenCall::new("id".to_owned(), Arc::clone(&kept) as _, client.model_data());
        if let Some(prompt) = prompt {
            call.prompt(prompt);
        }
        call.begin(&target);
        drop(call);
        let outcome = kept.0.lock().unwrap().pop().unwrap();
        let expected = prompt.map(|input| Usage { input, estimated: true, ..Usage::default() });
        assert_eq!((outcome.usage, outcome.exchanges[0].usage), (expected, expected));
    }
}

/// Whatever kept a call from being sent: it took nothing, and nothing is guessed of it.
#[tokio::test]
async fn what_was_never_sent_has_used_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[providers.gone]\nbase_url = 'http://{closed}/v1'\nauth = {{ none = true }}\ndialects = ['openai-chat']\n\
         [providers.bare]\nbase_url = 'http://{closed}/v1'\napi_key = 'env:BARE_KEY'\ndialects = ['openai-chat']\n\
         [providers.keyless]\nbase_url = 'http://{closed}/v1'\napi_key = 'file:/nowhere/key'\ndialects = ['openai-chat']\n\
         [prices.'gone/*']\ninput = '1000000'\noutput = '1000000'"
    );
    let kept = Arc::new(Kept::default());
    let builder = Client::builder().config(Config::parse(&config, "test").unwrap());
    let client = builder.environment(Environment::of::<String, String>([])).recorder(Arc::clone(&kept) as _).build().unwrap();
    for model in ["gone/m", "bare/m", "keyless/m", "openai/gpt-4o-mini", "nobody-serves-this"] {
        let error = client.chat(model, "hello there").await.unwrap_err();
        let outcome = kept.0.lock().unwrap().pop().unwrap();
        assert_eq!((outcome.usage, outcome.cost), (None, None), "{model}: {error}");
        assert!(outcome.exchanges.iter().all(|exchange| exchange.usage.is_none()), "{model}: {error}");
    }
}
