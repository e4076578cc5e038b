//! The laws of the house that no compiler checks.

pub(crate) mod source;

use std::collections::BTreeSet;

use source::{Source, files, read};

/// Most lines of code in a file, and in half of the files.
const FILE_LINES: usize = 500;
const MEDIAN_FILE_LINES: usize = 150;
/// Most lines of code in a function, and in 99 of 100.
const FUNCTION_LINES: usize = 80;
const USUAL_FUNCTION_LINES: usize = 60;
/// Most lines of a provider's file.
const PROVIDER_LINES: usize = 40;

/// Flat tables may be longer than a function should: file, function, why.
const TABLES: &[(&str, &str, &str)] = &[];

/// What `codec` may stand on: none of it opens a socket or a file, tells time, rolls dice or logs.
const PURE: &[&str] =
    &["base64", "bytes", "crc32fast", "http", "itoa", "memchr", "serde", "serde_json", "simdutf8", "thiserror", "toml"];

/// What `codec` may not say.
const IMPURE: &[&str] = &[
    // input and output
    "fs",
    "net",
    "env",
    "process",
    "stdin",
    "stdout",
    "stderr",
    "TcpStream",
    "UdpSocket",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "dbg!",
    // time, dice, threads, waiting
    "SystemTime",
    "Instant",
    "UNIX_EPOCH",
    "getrandom",
    "rand",
    "RandomState",
    "thread",
    "async",
    "await",
    "Mutex",
    "RwLock",
    // logs
    "log",
    "tracing",
];

/// Every arrow that there may be between crates; the testkit may point at any of them and none but tests at it.
const ARROWS: &[(&str, &[&str])] = &[
    ("trunkline-codec", &[]),
    ("trunkline", &["trunkline-codec"]),
    ("trunkline-store", &["trunkline-codec"]),
    ("trunkline-work", &["trunkline-codec", "trunkline", "trunkline-store"]),
    ("trunkline-gateway", &["trunkline-codec", "trunkline", "trunkline-work", "trunkline-store"]),
    ("trunkline-cli", &["trunkline-codec", "trunkline", "trunkline-work", "trunkline-store", "trunkline-gateway"]),
];

/// Provider names that may stand in code, because there they are something else: file, text, what it is there.
const NOT_A_PROVIDER: &[(&str, &str, &str)] = &[
    ("crates/codec/src/catalog/address.rs", "sim", "the scheme of addresses that are answered in the process"),
    ("crates/client/src/client.rs", "sim", "the scheme of addresses that are answered in the process"),
];

/// Nobody knows what is in a file of such a name.
const VAGUE: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "manager", "handler", "handlers", "impl", "impls", "misc"];

/// The code that ships or supports tests: no tests, benches, examples.
fn code() -> Vec<Source> {
    let paths = files("crates", "rs").into_iter();
    let paths = paths.filter(|path| !["/tests/", "/benches/", "/examples/", "/fuzz/"].iter().any(|part| path.contains(part)));
    paths.map(|path| Source::read(&path)).collect()
}

fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn no_file_outgrows_its_budget() {
    let mut sizes: Vec<(usize, String)> = code().into_iter().map(|source| (source.lines(), source.path)).collect();
    sizes.sort();
    let large = sizes.iter().filter(|(lines, _)| *lines > FILE_LINES);
    complain(
        "too many lines of code; cut the file at a seam",
        &large.map(|(lines, path)| format!("{path}: {lines}")).collect::<Vec<_>>(),
    );
    let median = sizes[sizes.len() / 2].0;
    assert!(median <= MEDIAN_FILE_LINES, "half of the files have more than {median} lines of code");
}

#[test]
fn no_function_outgrows_its_budget() {
    let mut sizes = Vec::new();
    for source in code() {
        let is_table = |name: &str| TABLES.iter().any(|(path, table, _)| *path == source.path && *table == name);
        let functions = source.functions().into_iter().filter(|function| !is_table(&function.name));
        sizes.extend(functions.map(|function| (function.lines, format!("{}:{} {}", source.path, function.line, function.name))));
    }
    sizes.sort();
    let large = sizes.iter().filter(|(lines, _)| *lines > FUNCTION_LINES);
    complain(
        "too many lines of code; a part of it wants a name",
        &large.map(|(lines, at)| format!("{at}: {lines}")).collect::<Vec<_>>(),
    );
    let usual = sizes[sizes.len() * 99 / 100].0;
    assert!(usual <= USUAL_FUNCTION_LINES, "more than one function in 100 has {usual} lines of code");
}

#[test]
fn no_file_has_a_vague_name() {
    let stem = |path: &str| path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default().to_owned();
    let vague = files("crates", "rs").into_iter().filter(|path| VAGUE.contains(&stem(path).as_str()));
    complain("name the file after what is in it", &vague.collect::<Vec<_>>());
}

#[test]
fn codec_stands_on_pure_crates_only() {
    let depends = dependencies(&manifest("crates/codec/Cargo.toml"), "dependencies");
    let impure = depends.into_iter().filter(|name| !PURE.contains(&name.as_str()));
    complain("not known to be free of I/O, clocks, randomness and logging", &impure.collect::<Vec<_>>());
}

#[test]
fn codec_does_no_io_tells_no_time_and_rolls_no_dice() {
    let mut found = Vec::new();
    for source in code().into_iter().filter(|source| source.path.starts_with("crates/codec/src/")) {
        let impure = source.words().into_iter().filter(|(_, word)| IMPURE.contains(&word.as_str()));
        found.extend(impure.map(|(line, word)| format!("{}:{line} {word}", source.path)));
    }
    complain("codec is pure: bytes and values in, bytes and values out", &found);
}

#[test]
fn no_provider_is_named_in_code() {
    let providers: Vec<(String, toml::Table)> = files("providers", "toml")
        .into_iter()
        .map(|path| (path.trim_start_matches("providers/").trim_end_matches(".toml").to_owned(), read(&path).parse().unwrap()))
        .collect();
    let ids: BTreeSet<&str> = providers.iter().map(|(id, _)| id.as_str()).collect();
    let hosts: BTreeSet<String> = providers.iter().flat_map(|(_, table)| hosts(table)).collect();
    // A dialect may be called what its maker is called.
    let spoken = providers.iter().flat_map(|(_, table)| dialects(table));
    let dialects: BTreeSet<&str> = spoken.chain(trunkline_codec::catalog::DIALECTS.iter().copied()).collect();
    assert!(ids.len() >= 30 && hosts.len() >= 30, "{} providers, {} hosts", ids.len(), hosts.len());
    let names_one = |text: &str| {
        let first = text.split_once('/').map_or(text, |(first, _)| first);
        let named = ids.contains(first) && (first == text || !text.contains(' ')) && !dialects.contains(text);
        named || hosts.iter().any(|host| text.contains(host))
    };
    let mut found = Vec::new();
    for source in code().into_iter().filter(|source| !source.path.starts_with("crates/testkit/")) {
        let is_known = |text: &str| NOT_A_PROVIDER.iter().any(|(path, known, _)| *path == source.path && *known == text);
        let named = source.texts.iter().filter(|(_, text)| names_one(text) && !is_known(text));
        found.extend(named.map(|(line, text)| format!("{}:{line} {text:?}", source.path)));
    }
    complain("a provider is data: its name stands in providers/*.toml", &found);
}

/// The hosts of a provider's addresses, without those of this machine.
fn hosts(table: &toml::Table) -> Vec<String> {
    let others = table.get("dialect_url").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let urls = table.get("base_url").into_iter().chain(others).filter_map(toml::Value::as_str);
    let hosts = urls.filter_map(|url| url.strip_prefix("https://")?.split(['/', ':']).next());
    // What the environment fills in is no name.
    hosts.filter(|host| !host.contains('{')).map(str::to_owned).collect()
}

fn dialects(table: &toml::Table) -> Vec<&str> {
    let dialects = table.get("dialects").and_then(toml::Value::as_array).into_iter().flatten();
    dialects.filter_map(toml::Value::as_str).collect()
}

#[test]
fn no_provider_file_is_long() {
    let long = files("providers", "toml").into_iter().filter(|path| read(path).lines().count() > PROVIDER_LINES);
    complain("a provider is a few lines of data", &long.collect::<Vec<_>>());
}

#[test]
fn crates_point_one_way() {
    let members: Vec<toml::Table> = files("crates", "toml")
        .iter()
        .filter(|path| path.split('/').count() == 3 && path.ends_with("/Cargo.toml"))
        .map(|path| manifest(path))
        .collect();
    assert!((5..=9).contains(&members.len()), "{} crates", members.len());
    let mut found = Vec::new();
    for member in &members {
        let name = member["package"]["name"].as_str().unwrap();
        let allowed = ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        if allowed.is_none() && name != "trunkline-testkit" {
            found.push(format!("{name} has no place in ARROWS yet"));
        }
        let ours =
            dependencies(member, "dependencies").into_iter().filter(|to| to == "trunkline" || to.starts_with("trunkline-"));
        let wrong = ours.filter(|to| allowed.is_some_and(|allowed| !allowed.contains(&to.as_str())));
        found.extend(wrong.map(|to| format!("{name} -> {to}")));
    }
    complain("an arrow that the house does not have", &found);
    let features = members.iter().filter_map(|member| member.get("features")?.as_table()).map(toml::Table::len).sum::<usize>();
    assert!(features <= 6, "{features} cargo features");
}

fn manifest(path: &str) -> toml::Table {
    read(path).parse().unwrap()
}

/// The packages that a manifest depends on, by their real names, for all targets.
fn dependencies(manifest: &toml::Table, kind: &str) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = targets.filter_map(toml::Value::as_table).chain([manifest]);
    let entries = tables.filter_map(|table| table.get(kind)?.as_table()).flatten();
    let real =
        |(name, value): (&String, &toml::Value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned();
    entries.map(real).collect()
}
