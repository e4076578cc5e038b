//! Faults by plan: what a call sees, when, and that it is the same each time.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use trunkline::codec::dialect::{Operation, find};
use trunkline::config::{Config, Environment};
use trunkline::exchange::{Ask, exchange};
use trunkline::ir::{Message, Request, Role};
use trunkline::transport::FaultPlan;
use trunkline::{Client, Error, Kind, Piece, Retry};

fn client(plan: &str) -> Client {
    let plan = FaultPlan::parse(plan).unwrap_or_else(|error| panic!("{error}"));
    // A fault is looked at here, not how calls get around it.
    let config = Config::parse("[calls]\nattempts = 1\n", "test.toml").unwrap();
    Client::builder().config(config).environment(Environment::default()).faults(plan).build().unwrap()
}

async fn ask(client: &Client) -> Result<String, Error> {
    client.chat("sim/echo", "one two three").await.map(|reply| reply.text())
}

/// The status of a provider's error, from a single exchange; 200 without one.
async fn status(client: &Client, model: &str) -> u16 {
    let target = client.plan(model).unwrap().remove(0);
    let request =
        Request { model: target.model.to_string(), messages: vec![Message::text(Role::User, "hi")], ..Request::default() };
    let ask = Ask::Write { request: &request, operation: Operation::Chat, headers: None };
    let answer = exchange(client, &target, find("openai-chat").unwrap(), ask).await;
    answer.map_or_else(|failed| failed.error.status.unwrap_or_default(), |answer| answer.status.as_u16())
}

async fn stream(client: &Client) -> (Vec<Duration>, String, Option<Error>) {
    let start = Instant::now();
    let (mut times, mut text) = (Vec::new(), String::new());
    let mut stream = match client.chat("sim/echo", "one two three").stream().await {
        Ok(stream) => stream,
        Err(error) => return (times, text, Some(error)),
    };
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(Piece::Text(more)) => {
                times.push(start.elapsed());
                text.push_str(&more);
            }
            Ok(_) => {}
            Err(error) => return (times, text, Some(error)),
        }
    }
    (times, text, None)
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_what_a_provider_would_do() {
    let error = ask(&client("status = 429, retry_after = 2")).await.unwrap_err();
    assert_eq!((error.kind, error.status, error.retry), (Kind::RateLimited, Some(429), Retry::After(Duration::from_secs(2))));
    let error = ask(&client("status = 529")).await.unwrap_err();
    assert_eq!((error.kind, error.status), (Kind::Overloaded, Some(529)));
    assert_eq!(ask(&client("connection = 'refused'")).await.unwrap_err().kind, Kind::Network);
    assert_eq!(ask(&client("connection = 'reset'")).await.unwrap_err().kind, Kind::Network);

    let start = Instant::now();
    assert_eq!(ask(&client("connection = 'silent'")).await.unwrap_err().kind, Kind::Timeout);
    assert_eq!(start.elapsed().as_secs(), 600, "as long as one waits for a head");
    let start = Instant::now();
    assert_eq!(ask(&client("end = 'never'")).await.unwrap_err().kind, Kind::Timeout);
    assert_eq!(start.elapsed().as_secs(), 300, "as long as one waits for a piece");

    for (plan, kind) in [
        ("cut_after = 20", Kind::Truncated),
        ("cut_after = 20, end = 'half_close'", Kind::Malformed),
        ("garbage = true", Kind::Malformed),
        ("cut_after = 20, garbage = true", Kind::Malformed),
        ("end = 'reset'", Kind::Truncated),
    ] {
        assert_eq!(ask(&client(plan)).await.unwrap_err().kind, kind, "{plan}");
    }
    // What follows the whole answer changes nothing for it.
    assert_eq!(ask(&client("cut_after = 100000")).await.unwrap(), "one two three");
    assert_eq!(ask(&client("piece_bytes = 1")).await.unwrap(), "one two three");
}

#[tokio::test(start_paused = true)]
async fn streams_are_paced_and_cut() {
    let (times, text, error) = stream(&client("delay_ms = 70, between_ms = 30")).await;
    assert_eq!((text.as_str(), error), ("one two three", None));
    assert!(times[0] >= Duration::from_millis(70), "{times:?}");
    let gaps: Vec<u128> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(gaps.iter().all(|gap| (30..=32).contains(gap)), "{gaps:?}");

    for plan in [
        "cut_after = 900",
        "cut_after = 900, end = 'half_close'",
        "cut_after = 900, garbage = true",
        "cut_after = 900, piece_bytes = 7",
    ] {
        let (_, text, error) = stream(&client(plan)).await;
        assert_eq!((text.as_str(), error.map(|error| error.kind)), ("one two", Some(Kind::Truncated)), "{plan}");
    }
    let (_, text, error) = stream(&client("cut_after = 900, end = 'never'")).await;
    assert_eq!((text.as_str(), error.map(|error| error.kind)), ("one two", Some(Kind::Timeout)));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_hits_the_same_calls() {
    let run = |plan: &'static str| async move {
        let client = client(plan);
        let mut hits = Vec::new();
        for nth in 0..200 {
            let start = Instant::now();
            if status(&client, "sim/echo").await != 200 {
                hits.push((nth, start.elapsed().as_millis()));
            }
        }
        hits
    };
    let seven = run("rate = 0.1, status = 503, delay_ms = [50, 200], seed = 7").await;
    assert_eq!(seven, run("rate = 0.1, status = 503, delay_ms = [50, 200], seed = 7").await);
    assert!((8..=34).contains(&seven.len()), "{seven:?}");
    assert!(seven.iter().all(|(_, wait)| (50..=201).contains(wait)) && seven.iter().any(|(_, wait)| *wait != seven[0].1));
    assert_ne!(seven, run("rate = 0.1, status = 503, delay_ms = [50, 200], seed = 8").await);
    let count = |hits: Vec<(i32, u128)>| hits.into_iter().map(|(nth, _)| nth).collect::<Vec<_>>();
    assert_eq!(count(run("skip = 2, times = 3, status = 500").await), [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_hits_decides() {
    let plan = "[[faults]]\ntarget = 'sim/lorem'\nstatus = 500\n[[faults]]\ntimes = 1\nstatus = 429\n[[faults]]\ntarget = 'sim'\nstatus = 503\n";
    let client = client(plan);
    let statuses = [status(&client, "sim/echo").await, status(&client, "sim/echo").await, status(&client, "sim/lorem").await];
    assert_eq!(statuses, [429, 503, 500]);
}

#[test]
fn a_configuration_has_them_too_and_is_strict() {
    let read = |text: &str| Config::parse(text, "trunkline.toml");
    let config = read("record = 'here'\n[[faults]]\ntarget = 'openai/*'\nrate = 0.01\nstatus = 500\n").unwrap();
    assert!(!config.faults.is_empty() && config.record.is_some() && config.replay.is_none());
    let error = read("[server]\n[[faults]]\nrate = 0.1\nstatuss = 500\n").unwrap_err();
    assert_eq!(error.message, "trunkline.toml, line 4: unknown key `statuss`; the nearest known key is `status`");
    let error = read("\n[faults]\nrate = 7\nstatus = 500\n").unwrap_err();
    assert!(error.message.starts_with("trunkline.toml, line 2: `rate` is the share"), "{error}");
    let error = read("replay = { dir = 'x', timings = true }").unwrap_err();
    assert!(error.message.contains("the nearest known key is `timing`"), "{error}");
    let replay = read("replay = { dir = 'x', timing = true }").unwrap().replay.unwrap();
    assert!(replay.timing && read("replay = 'x'").unwrap().replay.unwrap().dir == replay.dir);
}

#[tokio::test]
async fn a_plan_is_begun_and_ended_while_calls_run() {
    let path = std::env::temp_dir().join(format!("trunkline-fault-{}.toml", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("");
    let client = Client::builder().config_file(&path).environment(Environment::default()).build().unwrap();
    assert_eq!(status(&client, "sim/echo").await, 200);
    let plan = "[faults]\nskip = 1\nstatus = 503\n";
    write(plan);
    client.reload().unwrap();
    assert_eq!((status(&client, "sim/echo").await, status(&client, "sim/echo").await), (200, 503));
    // The same plan goes on where it was.
    write(&format!("# the same\n{plan}"));
    client.reload().unwrap();
    assert_eq!(status(&client, "sim/echo").await, 503);
    // Also where something else changes: how long a silence lasts.
    let silent = "[faults]\nconnection = 'silent'\nskip = 1\n[calls]\nattempts = 1\n";
    write(&format!("{silent}[network]\nhead_seconds = 3600\n"));
    client.reload().unwrap();
    assert_eq!(status(&client, "sim/echo").await, 200);
    write(&format!("{silent}[network]\nhead_seconds = 1\n"));
    client.reload().unwrap();
    let told = tokio::time::timeout(std::time::Duration::from_secs(30), ask(&client)).await;
    assert_eq!(told.expect("the new patience counts").unwrap_err().kind, Kind::Timeout);
    write("");
    client.reload().unwrap();
    assert_eq!(status(&client, "sim/echo").await, 200);
    std::fs::remove_file(&path).unwrap();
}
