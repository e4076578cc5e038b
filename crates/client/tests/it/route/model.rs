//! Any faults over any targets: what must hold whatever happens.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use trunkline::Kind;

use super::world::{Act, Ended, Script, call, text, world};

const DEADLINE: Duration = Duration::from_secs(20);
const ATTEMPTS: usize = 3;

#[derive(Clone, Debug)]
struct Plan {
    scripts: Vec<Script>,
    strategy: &'static str,
    /// When each call begins, in milliseconds, and whether it is streamed.
    calls: Vec<(u64, bool)>,
    /// After how many milliseconds another target is asked, too.
    hedge: Option<u64>,
    /// How many of a hundred calls are mirrored, to whom.
    mirror: Option<(u32, Script)>,
    seed: u64,
}

impl Plan {
    fn config(&self) -> String {
        let names: Vec<String> = (0..self.scripts.len()).map(|at| format!("\"p{at}/m\"")).collect();
        let mut config = format!(
            "[calls]\ndeadline_seconds = {}\nattempts = {ATTEMPTS}\n[network]\nidle_seconds = 30\n[models.any]\ntargets = [{}]\nstrategy = \"{}\"\nfirst_byte_seconds = 4\n",
            DEADLINE.as_secs(),
            names.join(", "),
            self.strategy
        );
        if let Some(ms) = self.hedge {
            config.push_str(&format!("hedge_ms = {ms}\n"));
        }
        if let Some((percent, _)) = &self.mirror {
            config.push_str(&format!("mirror = {{ target = \"{}/m\", percent = {percent} }}\n", self.shadow()));
        }
        config
    }

    /// Who gets the copies: it stands behind the others.
    fn shadow(&self) -> String {
        format!("p{}", self.scripts.len())
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Good),
        1 => (prop_oneof![Just(500_u16), Just(503), Just(529), Just(408), Just(409)], proptest::option::of(0..4_u64))
            .prop_map(|(status, after)| Act::Refuse(status, after)),
        1 => proptest::option::of(0..40_u64).prop_map(|after| Act::Refuse(429, after)),
        1 => Just(Act::Refuse(401, None)),
        1 => Just(Act::Unreachable),
        1 => Just(Act::Reset),
        1 => Just(Act::Silence),
        1 => (0..8_usize).prop_map(Act::Cut),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let acts = prop_oneof![
        1 => Just(vec![Act::Good]),
        3 => proptest::collection::vec(act(), 1..12),
        1 => act().prop_map(|act| vec![act]),
    ];
    (acts, 1..3000_u64).prop_map(|(acts, ms)| Script::new(acts, ms))
}

fn plan() -> impl Strategy<Value = Plan> {
    let strategy = prop_oneof![Just("order"), Just("weighted"), Just("latency"), Just("busy")];
    let calls = proptest::collection::vec((0..30_000_u64, any::<bool>()), 1..60);
    let hedge = proptest::option::of(prop_oneof![Just(0), 1..3000_u64]);
    let mirror = proptest::option::of((prop_oneof![Just(100), 0..100_u32], script()));
    (proptest::collection::vec(script(), 1..5), strategy, calls, hedge, mirror, any::<u64>())
        .prop_map(|(scripts, strategy, calls, hedge, mirror, seed)| Plan { scripts, strategy, calls, hedge, mirror, seed })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_ends_well_whenever_anybody_could_have_answered_it(plan in plan()) {
        check(&plan);
    }
}

fn check(plan: &Plan) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(run(plan));
}

async fn run(plan: &Plan) {
    let shadow = plan.mirror.iter().map(|(_, script)| script.clone());
    let scripts: Vec<Script> = plan.scripts.iter().cloned().chain(shadow).collect();
    let (world, client) = world(&scripts, &plan.config(), plan.seed);
    let begin = world.now();
    let calls = plan.calls.iter().map(|(at, streamed)| {
        let (world, client) = (&world, &client);
        async move {
            tokio::time::sleep(Duration::from_millis(*at)).await;
            call(world, client, "any", *streamed).await
        }
    });
    let ended = futures_util::future::join_all(calls).await;
    let elapsed = world.now() - begin;

    for (ended, (_, streamed)) in ended.iter().zip(&plan.calls) {
        one_answer_and_no_byte_twice(plan, ended, *streamed);
        assert!(ended.opened <= DEADLINE + Duration::from_millis(50), "late: {ended:?}");
        // A target that always answers is enough: the call may only fail by a stream that broke off after it had begun.
        let sure = plan.scripts.iter().any(|script| script.acts == [Act::Good]);
        if sure && ended.text.is_empty() {
            assert_eq!(ended.error, None, "somebody would have answered");
        }
    }
    // Copies may still be out; calls are not.
    assert_eq!(world.log.lock().unwrap().outcomes.iter().filter(|outcome| outcome.mirror_of.is_none()).count(), plan.calls.len());
    tokio::time::sleep(DEADLINE * 2).await;
    let log = world.log.lock().unwrap();
    let (copies, real): (Vec<_>, Vec<_>) = log.outcomes.iter().partition(|outcome| outcome.mirror_of.is_some());
    assert_eq!(real.len(), plan.calls.len(), "one outcome a call");
    let exchanges: usize = log.outcomes.iter().map(|outcome| outcome.exchanges.len()).sum();
    assert_eq!(exchanges, log.asked.values().map(Vec::len).sum::<usize>(), "every exchange is in an outcome");
    assert!(log.at_once.values().all(|(now, _)| *now == 0), "whoever is not waited for is told: {:?}", log.at_once);
    let name = format!("{}/m", plan.shadow());
    assert!(copies.iter().all(|copy| copy.exchanges.len() == 1 && copy.target.as_deref() == Some(name.as_str())));
    assert!(real.iter().flat_map(|outcome| &outcome.exchanges).all(|exchange| *exchange.target != *name));
    match plan.mirror {
        Some((100, _)) => assert_eq!(copies.len() + log.skipped, plan.calls.len(), "a copy of each, or a skip"),
        Some(_) => assert!(copies.len() + log.skipped <= plan.calls.len()),
        None => assert_eq!(copies.len() + log.skipped, 0),
    }
    let mut firsts: HashMap<&str, usize> = HashMap::new();
    for outcome in &real {
        let asked = |name: &str| outcome.exchanges.iter().filter(|exchange| *exchange.target == *name).count();
        let failed = outcome.exchanges.iter().filter(|exchange| exchange.error.is_some()).count();
        match &outcome.error {
            None => assert_eq!(failed + 1, outcome.exchanges.len(), "one good exchange: {outcome:?}"),
            Some(error) => {
                assert_eq!(failed, outcome.exchanges.len(), "{outcome:?}");
                let late = error.kind == Kind::Timeout;
                let broke_off = outcome
                    .exchanges
                    .iter()
                    .filter(|exchange| Some(&exchange.target) == outcome.target.as_ref())
                    .any(|exchange| exchange.error.as_ref().is_some_and(|error| error.kind == Kind::Truncated));
                for (at, script) in plan.scripts.iter().enumerate() {
                    // Not asked is only who has asked for silence.
                    let silence = script.acts.iter().any(|act| matches!(act, Act::Refuse(429 | 503 | 529, _)));
                    let fair = asked(&format!("p{at}/m")) > 0 || silence || late || broke_off;
                    assert!(fair, "p{at} was not asked: {outcome:?}");
                }
            }
        }
        for at in 0..plan.scripts.len() {
            let name = format!("p{at}/m");
            assert!(asked(&name) <= ATTEMPTS, "{outcome:?}");
        }
        for exchange in &outcome.exchanges {
            let first = outcome.exchanges.iter().find(|other| other.target == exchange.target).unwrap();
            *firsts.entry(&exchange.target).or_default() += usize::from(std::ptr::eq(first, exchange));
        }
    }
    for (host, asked) in log.asked.iter().filter(|(host, _)| **host != plan.shadow()) {
        let firsts = firsts.get(format!("{host}/m").as_str()).copied().unwrap_or(0);
        // A call that may be hedged brings its share to a second target as well.
        let hedged = if plan.hedge.is_some() { plan.calls.len() } else { 0 };
        let allowed = firsts + (firsts + hedged) / 5 + 10 + usize::try_from(elapsed.as_secs()).unwrap() + 1;
        assert!(asked.len() <= allowed, "{host}: {} requests for {firsts} calls in {elapsed:?}", asked.len());
    }
}

/// The text is one answer whole, or, of a stream that broke off, its beginning.
fn one_answer_and_no_byte_twice(plan: &Plan, ended: &Ended, streamed: bool) {
    if ended.text.is_empty() {
        assert!(ended.error.is_some(), "a silent end: {ended:?}");
        return;
    }
    let mut said = ended.text.split(' ');
    let host = said.next().unwrap();
    let number = said.nth(1).map(str::parse::<usize>);
    let whole = |number| text(host, number);
    match &ended.error {
        None => assert_eq!(ended.text, whole(number.unwrap().unwrap())),
        Some(_) => {
            assert!(streamed, "half an answer: {ended:?}");
            let begins = (0..plan.calls.len() * ATTEMPTS).any(|number| whole(number).starts_with(&ended.text));
            assert!(begins, "{ended:?}");
        }
    }
}
