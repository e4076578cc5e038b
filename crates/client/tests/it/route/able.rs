//! Who is asked first, by what the request needs, what it costs and whose it is.

use std::time::Duration;

use proptest::prelude::*;
use trunkline::Client;
use trunkline::codec::dialect::{self, Head, Operation};
use trunkline::ir::{Content, Format, Message, Part, Raw, Reasoning, Request, Role, Signature, Source};
use trunkline::route::{Candidate, Fitness, Look, Need, Said, Strategy as Share, plan};

use super::world::{Act, Script, world};

fn good() -> Script {
    Script { acts: vec![Act::Good], latency: Duration::from_millis(1), weather: Vec::new() }
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn user(text: &str) -> Request {
    Request { model: "any".to_owned(), messages: vec![Message::text(Role::User, text)], ..Request::default() }
}

fn with(content: Content) -> Request {
    let mut request = user("look");
    request.messages[0].parts.push(content.into());
    request
}

fn base64(media_type: &str) -> Source {
    Source::Base64 { media_type: media_type.to_owned(), data: "aGk=".to_owned() }
}

fn image() -> Request {
    with(Content::Image { source: base64("image/png"), detail: None })
}

/// Who is asked first, by the request in canonical form and by the same as a caller wrote it.
async fn first(client: &Client, request: &Request) -> String {
    let asked = client.call(request.clone()).await.unwrap().target;
    let chat = dialect::find("openai-chat").unwrap();
    let outgoing = chat.upstream.write_request(request, Operation::Chat, &Default::default()).unwrap();
    let headers = Default::default();
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };
    let raw = Said::Raw { dialect: chat, head, body: &outgoing.body, operation: Operation::Chat, max_tokens: request.max_tokens };
    let mut call = trunkline::monitor::OpenCall::new(String::new(), std::sync::Arc::new(Nobody), client.model_data());
    let mut tries = client.tries(&Need { said: raw, ..Need::of(&request.model) }).unwrap();
    let name = tries.answer(&mut call, |leg| async move { Ok(leg.target.name().to_owned()) }).await;
    assert_eq!(name.unwrap_or_else(|failed| panic!("{}", failed.error)), asked, "read or raw");
    asked
}

struct Nobody;

impl trunkline::monitor::Recorder for Nobody {
    fn record(&self, _: trunkline::monitor::Outcome) {}
}

const ANY: &str = "[models.any]\ntargets = [\"p0/m\", \"p1/m\", \"p2/m\"]\n";

#[test]
fn a_request_goes_first_to_whom_is_known_to_be_able() {
    let config = format!(
        "{ANY}[prices.\"p0/m\"]\nable = [\"chat\"]\ncontext = 1000\n\
         [prices.\"p1/m\"]\nable = [\"chat\", \"vision\", \"documents\", \"audio\", \"tools\", \"json_schema\"]\ncontext = 4000\nmax_output = 1000\n"
    );
    paused(async {
        let (_, client) = world(&[good(), good(), good()], &config, 1);
        assert_eq!(first(&client, &user("hi")).await, "p0/m");
        assert_eq!(first(&client, &user("an image, an audio file and a tool in words")).await, "p0/m");
        assert_eq!(first(&client, &image()).await, "p1/m");
        assert_eq!(
            first(&client, &with(Content::Audio { source: base64("audio/wav"), transcript: None, id: None })).await,
            "p1/m"
        );
        let document = Content::Document { source: base64("application/pdf"), title: None, cite: None };
        assert_eq!(first(&client, &with(document)).await, "p1/m");
        let schema = Raw::parse("{\"type\":\"object\"}").unwrap();
        let format = Format::Schema { name: None, description: None, schema, strict: None };
        assert_eq!(first(&client, &Request { format, ..user("hi") }).await, "p1/m");
        let reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
        // Of p2 nothing is known: it may be able.
        assert_eq!(client.call(Request { reasoning, ..user("hi") }).await.unwrap().target, "p2/m");
        assert_eq!(first(&client, &user(&"word ".repeat(1000))).await, "p1/m");
        assert_eq!(first(&client, &user(&"word ".repeat(10_000))).await, "p2/m");
        assert_eq!(first(&client, &Request { max_tokens: Some(950), ..user("hi") }).await, "p0/m");
        assert_eq!(first(&client, &Request { max_tokens: Some(999), ..user("hi") }).await, "p1/m");
        assert_eq!(first(&client, &Request { max_tokens: Some(2000), ..user("hi") }).await, "p2/m");
    });
}

#[test]
fn who_seems_unable_is_still_asked_when_nobody_else_answers() {
    let config = "[models.any]\ntargets = [\"p0/m\", \"p1/m\"]\n[prices.\"p0/m\"]\nable = [\"chat\"]\n";
    paused(async {
        let broken = Script { acts: vec![Act::Refuse(500, None)], latency: Duration::ZERO, weather: Vec::new() };
        let (world, client) = world(&[good(), broken], config, 1);
        assert_eq!(client.call(image()).await.unwrap().target, "p0/m");
        assert!(world.asked("p1") > 0, "but after the others");
    });
}

#[test]
fn what_nobody_can_do_does_not_hide_what_somebody_can() {
    let config = format!(
        "{ANY}[prices.\"p0/m\"]\nable = [\"chat\"]\n[prices.\"p1/m\"]\nable = [\"chat\", \"vision\"]\n[prices.\"p2/m\"]\nable = [\"chat\"]\n"
    );
    paused(async {
        let (_, client) = world(&[good(), good(), good()], &config, 1);
        let reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
        assert_eq!(client.call(Request { reasoning, ..image() }).await.unwrap().target, "p1/m");
    });
}

#[test]
fn the_cheapest_for_this_call_is_asked_first() {
    let prices = "[prices.\"p0/m\"]\ninput = \"1\"\noutput = \"10\"\n[prices.\"p1/m\"]\ninput = \"3\"\noutput = \"3\"\n";
    let config = format!("{ANY}strategy = \"cost\"\n{prices}");
    paused(async {
        let (_, client) = world(&[good(), good(), good()], &config, 1);
        assert_eq!(first(&client, &user("hi")).await, "p1/m", "500 tokens out are expected");
        assert_eq!(first(&client, &Request { max_tokens: Some(10), ..user(&"word ".repeat(1000)) }).await, "p0/m");
        // What is in another currency cannot be compared: it comes after those that can.
        let other = config.replace("[prices.\"p1/m\"]\n", "[prices.\"p1/m\"]\ncurrency = \"CNY\"\n");
        let (_, client) = world(&[good(), good(), good()], &other, 1);
        assert_eq!(first(&client, &user("hi")).await, "p0/m");
    });
}

#[test]
fn users_and_sessions_stay_where_they_are() {
    paused(async {
        for (sticky, who) in [("user", "user"), ("session", "key"), ("session", "call"), ("session", "metadata")] {
            let config = format!("{ANY}strategy = \"weighted\"\nsticky = \"{sticky}\"\n");
            let (_, client) = world(&[good(), good(), good()], &config, 1);
            let mut seen = std::collections::BTreeSet::new();
            for name in 0..20 {
                let name = format!("name-{name}");
                let ask = || {
                    let mut request = user("hi");
                    match who {
                        "user" => request.user = Some(name.clone()),
                        "key" => request.cache_key = Some(name.clone()),
                        "metadata" => _ = request.metadata.insert("session_id".to_owned(), name.clone()),
                        _ => {}
                    }
                    let call = client.call(request);
                    if who == "call" { call.session(&name) } else { call }
                };
                let target = ask().await.unwrap().target;
                for _ in 0..5 {
                    assert_eq!(ask().await.unwrap().target, target, "{sticky} by {who}");
                }
                seen.insert(target);
            }
            assert_eq!(seen.len(), 3, "{sticky} by {who}: all get some");
        }
    });
}

#[test]
fn signed_thinking_goes_back_to_who_can_read_it() {
    paused(async {
        let config = "[models.any]\ntargets = [\"p0/m\", \"ant/m\"]\n[providers.ant]\nbase_url = \"http://p1\"\n\
                      dialects = [\"anthropic-messages\"]\nauth = { none = true }\n";
        let (world, client) = world(&[good(), good()], config, 1);
        let mut request = user("hi");
        let thought = Content::Reasoning { text: "hm".to_owned(), redacted: false };
        let signature = Some(Signature { owner: "anthropic-messages", value: "c2ln".to_owned() });
        let parts = vec![Part { signature, ..thought.into() }, Part::text("well")];
        request.messages.push(Message { parts, ..Message::text(Role::Assistant, "") });
        request.messages.push(Message::text(Role::User, "go on"));
        // The script answers in another dialect, which is an error; what counts is who was asked first.
        let reply = client.call(request).await.unwrap();
        assert_eq!(reply.target, "p0/m", "a fallback all the same");
        assert!(!reply.losses.is_empty(), "that tells what is lost");
        assert!(world.asked("p1") > 0);
        assert_eq!(client.call(user("hi")).await.unwrap().target, "p0/m");
    });
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let fitness = prop_oneof![
        Just(Fitness::Fit),
        (1..100_u32).prop_map(Fitness::Recovering),
        Just(Fitness::OnTrial),
        (0..100_u64, any::<bool>())
            .prop_map(|(left, hard)| { Fitness::Resting { left: Duration::from_secs(left), hard, why: String::new() } }),
    ];
    let looks = (fitness, 0..9_u32, proptest::option::of(0..900_u64));
    (looks, 0..3_u32, 0..4_u32, any::<(bool, bool)>(), proptest::option::of(any::<u64>()), any::<u64>()).prop_map(
        |((fitness, in_flight, latency), tier, weight, (able, strange), price, name_hash)| {
            let latency = latency.map(Duration::from_millis);
            let look = Look { fitness, in_flight, latency };
            Candidate { look, tier, weight, able, strange, price, room: None, name_hash }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_left_out_and_the_able_come_first(
        candidates in proptest::collection::vec(candidate(), 1..7),
        share in prop_oneof![
            Just(Share::Order), Just(Share::Weighted), Just(Share::Latency), Just(Share::Busy), Just(Share::Cost), Just(Share::Tokens)
        ],
        sticky in proptest::option::of(any::<u64>()),
        seed in any::<u64>(),
    ) {
        let order = plan(share, &candidates, sticky, seed);
        let mut all = order.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..candidates.len()).collect::<Vec<_>>());
        let able: Vec<bool> = order.iter().map(|at| candidates[*at].able).collect();
        prop_assert!(able.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", able);
        prop_assert_eq!(plan(share, &candidates, sticky, seed), order, "the same throw, the same order");
    }
}
