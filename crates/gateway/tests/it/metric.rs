//! The page for Prometheus: what it says is well written, agrees with the calls, and does not grow with callers' words.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use crate::gateway::{Gateway, House};
use crate::lane::well;
use crate::speech::{self, pairs};
use crate::wire::Ask;
use trunkline_testkit::provider::Answer;

/// A page, read strictly: what a scraper would refuse is a panic.
pub(crate) struct Page {
    series: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

impl Page {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let reply = gateway.ask(&Ask::get("/metrics"));
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Page::read(reply.text())
    }

    fn read(text: &str) -> Self {
        let (mut kinds, mut helped) = (HashMap::new(), HashSet::new());
        let mut now = String::new();
        let mut series = BTreeMap::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none() && helped.contains(name), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                name.clone_into(&mut now);
                continue;
            }
            let (name, labels, value) = read_line(line);
            let family = match kinds.get(&now).map(String::as_str) {
                Some("histogram") => ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap(),
                _ => name.as_str(),
            };
            assert_eq!(family, now, "a figure outside of its family: {line}");
            assert!(series.insert((name.clone(), labels), value).is_none(), "twice: {line}");
        }
        let page = Page { series };
        page.check_histograms(&kinds);
        page
    }

    fn check_histograms(&self, kinds: &HashMap<String, String>) {
        for name in kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut rising: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), value) in self.series.iter().filter(|((of, _), _)| *of == format!("{name}_bucket")) {
                let mut labels = labels.clone();
                let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
                rising.entry(labels).or_default().push((bound, *value));
            }
            for (labels, mut buckets) in rising {
                buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
                assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name} {labels:?}");
                let count = self.series[&(format!("{name}_count"), labels.clone())];
                assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, count), "{name} {labels:?}");
                assert!(self.series.contains_key(&(format!("{name}_sum"), labels)));
            }
        }
    }

    /// The sum of a family's figures that have these labels.
    pub(crate) fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let fits = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(label, value)| labels.get(*label).map_or("", String::as_str) == *value)
        };
        self.series.iter().filter(|((of, labels), _)| of == name && fits(labels)).map(|(_, value)| value).sum()
    }
}

fn read_line(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let (mut value, mut chars) = (String::new(), after.char_indices());
            let end = loop {
                match chars.next().unwrap() {
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        same @ ('\\' | '"') => same,
                        other => panic!("\\{other} in {line}"),
                    }),
                    (at, '"') => break at,
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').unwrap_or_else(|| panic!("{line}"));
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

const SIM: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2\n[models.fast]\ntargets = [\"sim/echo\"]\n\
                   [models.\"a \\\"b\\\" \\\\ c\"]\ntargets = [\"sim/lorem\"]\n[tasks]\nplain = \"fast\"\n\
                   [prices.\"sim/echo\"]\ninput = \"1000000\"\noutput = \"2000000\"\n";

fn ask(model: &str, stream: bool) -> Ask {
    let message = json!({"role": "user", "content": "one two three"});
    Ask::post("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": [message]}).to_string())
}

#[test]
fn the_figures_are_those_of_the_calls() {
    let gateway = Gateway::with(SIM);
    for number in 0..12 {
        assert_eq!(gateway.ask(&ask("fast", number % 3 == 0)).status(), 200);
    }
    assert_eq!(gateway.ask(&ask("task:plain", false)).status(), 200);
    assert_eq!(gateway.ask(&ask("a \"b\" \\ c", false)).status(), 200);
    assert_eq!(gateway.ask(&ask("nowhere", false)).status(), 404);
    let page = Page::of(&gateway);
    let name = "trunkline_calls_total";
    let fast = [("operation", "chat"), ("provider", "sim"), ("target", "sim/echo"), ("model", "fast"), ("error", "none")];
    assert_eq!(page.sum(name, &fast), 12.0);
    assert_eq!(page.sum(name, &[("streamed", "true")]), 4.0);
    assert_eq!(page.sum(name, &[("task", "plain")]), 1.0);
    assert_eq!(page.sum(name, &[("model", "a \"b\" \\ c"), ("target", "sim/lorem")]), 1.0);
    assert_eq!(page.sum(name, &[("error", "not_found"), ("model", "other"), ("target", "")]), 1.0);
    assert_eq!(page.sum(name, &[]), 15.0);
    let stats = gateway.ask(&Ask::get("/stats")).json();
    for kind in ["input", "output", "cache_read", "reasoning"] {
        assert_eq!(page.sum("trunkline_tokens_total", &[("kind", kind)]), stats[format!("{kind}_tokens")].as_f64().unwrap());
    }
    let tokens = |kind| page.sum("trunkline_tokens_total", &[("kind", kind), ("target", "sim/echo")]);
    let cost = page.sum("trunkline_cost_micros_total", &[("currency", "USD"), ("target", "sim/echo")]);
    assert!(cost > 0.0 && cost == (tokens("input") + 2.0 * tokens("output")) * 1e6, "{cost}");
    assert_eq!(page.sum("trunkline_exchanges_total", &[("target", "sim/echo"), ("error", "none")]), 13.0);
    assert_eq!(page.sum("trunkline_call_seconds_count", &[]), 14.0);
    assert_eq!(page.sum("trunkline_first_byte_seconds_count", &[]), 4.0);
    assert_eq!(page.sum("trunkline_target_state", &[("target", "sim/echo")]), 1.0);
    assert!(page.sum("trunkline_connections_open", &[]) >= 1.0);
    assert!(stats["latency"]["p50_us"].as_u64().unwrap() <= stats["latency"]["p99_us"].as_u64().unwrap());
    assert!(stats["targets"]["sim/echo"]["p90_us"].is_u64(), "{stats}");
}

#[test]
fn retries_and_failovers_are_told_apart() {
    let answers = [Answer::json(503, "{}"), Answer::json(503, "{}"), speech::all().next().unwrap().answer()];
    let speech = speech::all().next().unwrap();
    let house = House::with(answers, "[calls]\nattempts = 3\n");
    assert_eq!(house.gateway.ask(&speech.ask(&speech.model(), false)).status(), 200);
    let page = Page::of(&house.gateway);
    assert_eq!(page.sum("trunkline_retries_total", &[]), 2.0);
    assert_eq!(page.sum("trunkline_failovers_total", &[]), 0.0);
    assert_eq!(page.sum("trunkline_exchanges_total", &[("error", "none")]), 1.0);
    assert_eq!(page.sum("trunkline_exchanges_total", &[]), 3.0);
    assert_eq!(page.sum("trunkline_calls_total", &[("error", "none")]), 1.0);
}

#[test]
fn every_pair_of_dialects_is_counted_with_its_tokens() {
    let house = House::new(well);
    let mut calls = 0.0;
    for (caller, provider) in pairs() {
        for stream in [false, true] {
            house.gateway.ask(&caller.ask(&provider.model(), stream));
            calls += 1.0;
        }
    }
    let page = Page::of(&house.gateway);
    assert_eq!(page.sum("trunkline_calls_total", &[("error", "none")]), calls);
    assert_eq!(page.sum("trunkline_tokens_total", &[("kind", "input")]), calls * 7.0);
    assert_eq!(page.sum("trunkline_tokens_total", &[("kind", "output")]), calls * 3.0);
}

/// `sim` takes any model's name, so these are good calls with ten thousand names of the caller's.
#[test]
fn ten_thousand_names_do_not_make_it_grow() {
    let gateway = Gateway::with(SIM);
    let most: usize = std::env::var("NAMES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let address = gateway.address;
            scope.spawn(move || {
                let mut line = crate::wire::Line::connect(address);
                for number in 0..most / 2 {
                    let model =
                        if number % 2 == 0 { format!("sim/echo:{thread}-{number}") } else { format!("no-{thread}-{number}") };
                    line.write(&ask(&model, false).bytes());
                    line.reply();
                }
            });
        }
    });
    let page = Page::of(&gateway);
    assert_eq!(page.sum("trunkline_calls_total", &[]), most as f64, "none is left out");
    assert!(page.series.len() < 6000, "{} series", page.series.len());
    assert_eq!(gateway.ask(&ask("fast", false)).status(), 200);
    assert_eq!(
        Page::of(&gateway).sum("trunkline_calls_total", &[("model", "fast")]),
        1.0,
        "and there is room for the configured"
    );
}

#[test]
fn it_takes_the_key_unless_it_is_open_or_off() {
    let status = |more: &str| {
        let house = House::with(well, &format!("[server]\nkey = \"env:GATE_KEY\"\n{more}"));
        let get = || Ask::get("/metrics");
        [get(), get().header("authorization", "Bearer gate-key-1")].map(|ask| house.gateway.ask(&ask).status())
    };
    assert_eq!(status(""), [401, 200]);
    assert_eq!(status("metrics = \"open\""), [200, 200]);
    assert_eq!(status("metrics = \"off\""), [401, 404]);
}
