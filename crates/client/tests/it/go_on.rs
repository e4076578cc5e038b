//! Streams of the library that break off and are gone on with (`continue_cut`), and what is recorded of that.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use trunkline::config::Environment;
use trunkline::monitor::{Outcome, Recorder};
use trunkline::{Client, Config, Kind, Piece};
use trunkline_testkit::provider::{Answer, Ending, LocalProvider};

#[derive(Default)]
struct Kept(Mutex<Vec<Outcome>>);

impl Recorder for Kept {
    fn record(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

fn say(text: &str) -> String {
    format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

fn end() -> [&'static str; 2] {
    [
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    ]
}

fn client(alias: &str, providers: &[&LocalProvider], kept: &Arc<Kept>) -> Client {
    let mut config = format!("[calls]\nattempts = 1\n[models.any]\n{alias}\ntargets = [");
    config.push_str(&(0..providers.len()).map(|at| format!("\"p{at}/m\",")).collect::<String>());
    config.push_str("]\n");
    for (at, provider) in providers.iter().enumerate() {
        let url = provider.url();
        config.push_str(&format!(
            "[providers.p{at}]\nbase_url = \"{url}/v1\"\ndialects = [\"openai-chat\"]\nauth = {{ none = true }}\n"
        ));
        config.push_str(&format!("[prices.'p{at}/m']\ninput = '1000000'\noutput = '2000000'\n"));
    }
    let config = Config::parse(&config, "test.toml").unwrap();
    let none = Environment::of::<String, String>([]);
    Client::builder().config(config).environment(none).recorder(Arc::clone(kept) as _).build().unwrap()
}

async fn read(client: &Client) -> (String, Option<trunkline::Error>, Vec<trunkline::ir::Usage>, usize) {
    let mut stream = client.chat("any", "Say hello").stream().await.unwrap();
    let (mut text, mut error, mut usages, mut finishes) = (String::new(), None, Vec::new(), 0);
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(Piece::Text(more)) => text.push_str(&more),
            Ok(Piece::Usage(usage)) => usages.push(usage),
            Ok(Piece::Finish(_)) => finishes += 1,
            Ok(_) => {}
            Err(told) => error = Some(told),
        }
    }
    (text, error, usages, finishes)
}

#[tokio::test]
async fn a_stream_of_the_library_is_gone_on_with_and_both_exchanges_are_recorded() {
    let first = LocalProvider::start(Answer::sse([say("Hel"), say("lo, ")]).ending(Ending::Cut));
    let second = LocalProvider::start(Answer::sse([say("you")]).chunks(end()));
    let kept = Arc::new(Kept::default());
    let client = client("continue_cut = true", &[&first, &second], &kept);
    let (text, error, usages, finishes) = read(&client).await;
    assert_eq!((text.as_str(), finishes), ("Hello, you", 1), "{error:?}");
    let outcome = kept.0.lock().unwrap().pop().unwrap();
    assert!(kept.0.lock().unwrap().is_empty() && outcome.error.is_none(), "{outcome:?}");
    let [one, two] = &outcome.exchanges[..] else { panic!("{outcome:?}") };
    assert_eq!((&*one.target, &*two.target, outcome.target.as_deref()), ("p0/m", "p1/m", Some("p1/m")));
    assert_eq!(one.error.as_ref().map(|error| error.kind), Some(Kind::Truncated));
    let (used, went_on) = (one.usage.unwrap(), two.usage.unwrap());
    // 7 bytes of text are two tokens.
    assert!(used.estimated && used.input > 0 && used.output == 2, "{used:?}");
    assert_eq!((went_on.input, went_on.output, went_on.estimated), (30, 2, false));
    let sum = outcome.usage.unwrap();
    assert_eq!((sum.input, sum.output, sum.estimated), (used.input + 30, 4, true));
    assert_eq!(usages.last(), Some(&sum), "the caller is told the same");
    let micros = (used.input + 30 + 2 * 4) * 1_000_000;
    assert_eq!(outcome.cost.map(|cost| cost.micros), Some(micros), "{outcome:?}");
}

#[tokio::test]
async fn without_it_and_with_nobody_left_the_error_comes() {
    for (alias, asked) in [("continue_cut = true", 1), ("", 0)] {
        let first = LocalProvider::start(Answer::sse([say("Hel")]).ending(Ending::Cut));
        let second = LocalProvider::start(Answer::json(503, "{}"));
        let kept = Arc::new(Kept::default());
        let client = client(alias, &[&first, &second], &kept);
        let (text, error, _, finishes) = read(&client).await;
        assert_eq!((text.as_str(), finishes, second.requests().len()), ("Hel", 0, asked));
        let outcome = kept.0.lock().unwrap().pop().unwrap();
        assert_eq!(outcome.error.map(|error| error.kind), error.map(|error| error.kind));
        let usages: Vec<bool> = outcome.exchanges.iter().map(|exchange| exchange.usage.is_some()).collect();
        assert_eq!(usages, [true, false][..=asked], "who refuses has used nothing");
    }
}

/// A lone target may be asked to go on itself, as often as it may be asked at all.
#[tokio::test]
async fn a_lone_target_goes_on_itself() {
    let answers = [
        Answer::sse([say("One, ")]).ending(Ending::Cut),
        Answer::sse([say("two, ")]).ending(Ending::Cut),
        Answer::sse([say("three")]).chunks(end()),
    ];
    let provider = LocalProvider::start(answers);
    let kept = Arc::new(Kept::default());
    let client = client("continue_cut = true\nattempts = 3", &[&provider], &kept);
    let (text, error, ..) = read(&client).await;
    assert_eq!(text, "One, two, three", "{error:?}");
    assert_eq!(kept.0.lock().unwrap()[0].exchanges.len(), 3);
}
