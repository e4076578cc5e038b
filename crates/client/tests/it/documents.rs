//! The documents do what they say: what a reader would copy out of them is run here.

use std::path::{Path, PathBuf};

use trunkline::codec::catalog::{Catalog, Lang, Models, parse_provider, provider_table};
use trunkline::config::{Config, Environment};
use trunkline::{Client, Piece};
use trunkline_testkit::provider::{Answer, LocalProvider};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a document in this language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let mut parts = text.split("```").skip(1).step_by(2);
    let blocks = parts.by_ref().filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(str::to_owned).collect()
}

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"acme-small","choices":[{"index":0,
    "message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

/// *Add a provider in five minutes*: the lines from the page, in a file, at an address that answers.
#[tokio::test]
async fn a_provider_is_added_as_contributing_says() {
    let blocks = blocks("CONTRIBUTING.md", "toml");
    let [table, quirks, models] = blocks.as_slice() else { panic!("CONTRIBUTING.md has {} blocks of TOML", blocks.len()) };
    assert!(table.starts_with("[providers.acme]\n"), "{table}");
    let provider = LocalProvider::start(Answer::json(200, ANSWER));

    // 1. and 3. Into a trunkline.toml; only the address is not the page's.
    let here = table.replace("https://api.acme.example", &provider.url());
    let folder = std::env::temp_dir().join(format!("trunkline-contributing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("trunkline.toml");
    std::fs::write(&file, format!("{here}\n{quirks}")).unwrap();

    // 2. By its full name, and by a name that its pattern claims.
    let variables = Environment::of([("ACME_API_KEY", "sk-of-acme")]);
    let client = Client::builder().config_file(&file).environment(variables).build();
    std::fs::remove_dir_all(&folder).unwrap();
    let client = client.unwrap();
    for model in ["acme/acme-small", "acme-small"] {
        let reply = client.chat(model, "Say hello in one word.").max_tokens(16).temperature(1.5).await.unwrap();
        assert_eq!((reply.text().as_str(), reply.target.as_str()), ("Hello.", "acme/acme-small"));
        assert!(reply.losses.iter().any(|loss| loss.field.contains("temperature")), "{:?}", reply.losses);
    }
    for seen in provider.requests() {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/chat/completions"));
        assert_eq!(seen.header("authorization"), "Bearer sk-of-acme");
        let sent = seen.json();
        assert_eq!((&sent["model"], &sent["max_completion_tokens"]), (&"acme-small".into(), &16.into()), "{sent}");
    }

    // 4. The same lines as a file of the catalogue.
    let lines = format!("{table}\n{quirks}").replace("[providers.acme]\n", "").replace("[providers.acme.quirks]", "[quirks]");
    let parsed = parse_provider("acme", &lines).unwrap();
    Models::check("acme", models).unwrap();
    assert!(parsed.quirks.refuses("n") && parsed.claims("acme-large-2"));
    let mut catalog = Catalog::builtin().unwrap();
    catalog.insert(parsed);
    assert!(provider_table(&catalog, Lang::English).contains("[Acme AI](https://acme.example/docs) | `acme`"));
}

#[tokio::test]
async fn the_full_configuration_is_valid() {
    let text = read("examples/trunkline.toml");
    let config = Config::parse(&text, "examples/trunkline.toml").unwrap();
    Client::builder().config(config).environment(Environment::default()).build().unwrap();

    // What is commented out is as true as the rest.
    let is_key = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let setting = |line: &&str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key));
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(setting).unwrap_or(line));
    let all = lines.collect::<Vec<_>>().join("\n");
    let config = Config::parse(&all, "examples/trunkline.toml, all of it").unwrap();
    let Config { server, network, calls, .. } = Config::default();
    let default = format!("{server:?}{network:?}{calls:?}");
    let mut section = "";
    for line in all.lines() {
        section = if line.starts_with('[') { line } else { section };
        let number = || line.split_once(" = ")?.1.split(' ').next()?.parse::<u64>().ok();
        if let (Some(number), "[server]" | "[network]" | "[calls]") = (number(), section) {
            assert!(default.contains(&number.to_string()), "{section} {number} is not a default any more");
        }
    }
    assert!(config.server.key.is_some() && config.network.ca_file.is_some());
}

#[test]
fn the_configurations_in_the_readmes_are_valid() {
    for document in ["README.md", "README.zh-CN.md"] {
        let blocks = blocks(document, "toml");
        assert!(blocks.len() > 1, "{document}");
        for block in blocks.iter().filter(|block| !block.starts_with("# Cargo.toml")) {
            let config = Config::parse(block, document).unwrap();
            Client::builder().config(config).environment(Environment::default()).build().unwrap();
        }
    }
}

/// Examples are compiled, and what the READMEs show of Rust is in one of them.
#[test]
fn the_rust_in_the_readmes_is_an_example() {
    let course = ["01-ask", "02-stream", "03-tools", "04-json-schema", "05-errors"];
    let examples: Vec<String> = course.iter().map(|name| read(&format!("examples/{name}.rs"))).collect();
    for (name, text) in course.iter().zip(&examples) {
        assert!(text.lines().count() <= 60, "examples/{name}.rs is longer than a screen");
    }
    for document in ["README.md", "README.zh-CN.md"] {
        for block in blocks(document, "rust") {
            let known = examples.iter().any(|text| text.contains(block.trim_end()));
            assert!(known, "{document} shows what is in no example:\n{block}");
        }
    }
}

/// The first line of the library's manual, as a reader would type it: without a key there is the simulator.
#[tokio::test]
async fn the_simulator_needs_nothing() {
    let client = Client::builder().config(Config::default()).environment(Environment::default()).build().unwrap();
    let reply = client.chat("sim/echo", "Hello").await.unwrap();
    assert_eq!(reply.text(), "Hello");
    let mut stream = client.chat("sim/echo", "Hello, who is there?").stream().await.unwrap();
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = futures_util::StreamExt::next(&mut stream).await {
        if let Piece::Text(more) = piece.unwrap() {
            text.push_str(&more);
            pieces += 1;
        }
    }
    assert!(text == "Hello, who is there?" && pieces > 1, "{text} in {pieces}");
}

/// Every block and every scheme of the page is taken as it stands there.
#[test]
fn credentials_are_written_as_their_page_says() {
    let english = blocks("docs/credentials.md", "toml");
    assert!(english.len() >= 5, "{} blocks of TOML", english.len());
    for block in english.iter().chain(&blocks("docs/credentials.zh-CN.md", "toml")) {
        let config = Config::parse(block, "docs/credentials.md").unwrap_or_else(|error| panic!("{error}\n{block}"));
        Client::builder().config(config).environment(Environment::default()).build().unwrap();
    }
    for page in ["docs/credentials.md", "docs/credentials.zh-CN.md"] {
        let text = read(page);
        let schemes: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && line.contains("`{ ")).collect();
        let schemes =
            schemes.iter().filter_map(|line| line.split('|').nth(2)?.split('`').nth(1)).filter(|code| !code.contains("cmd ="));
        let mut count = 0;
        for scheme in schemes {
            let house = "[providers.house]\nbase_url = \"http://127.0.0.1:1/v1\"\ndialects = [\"openai-chat\"]\n";
            Config::parse(&format!("{house}auth = {scheme}\n"), page).unwrap_or_else(|error| panic!("{error}: {scheme}"));
            count += 1;
        }
        assert_eq!(count, 8, "{page}");
    }
}

/// Every table of the pages on faults and recordings is taken as it stands there, and their file is a recording.
#[test]
fn faults_and_recordings_are_written_as_their_pages_say() {
    for page in ["faults", "recordings"].into_iter().flat_map(|name| [format!("docs/{name}.md"), format!("docs/{name}.zh-CN.md")])
    {
        let tables = blocks(&page, "toml");
        assert!(!tables.is_empty(), "{page}");
        for table in tables {
            let config = Config::parse(&table, &page).unwrap_or_else(|error| panic!("{error}\n{table}"));
            assert!(!config.faults.is_empty() || config.record.is_some() || config.replay.is_some(), "{table}");
        }
        for file in blocks(&page, "json") {
            let folder = std::env::temp_dir().join(format!("trunkline-page-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("000001-of-the-page.json"), file).unwrap();
            let client = Client::builder().config(Config::default()).environment(Environment::default()).replay(&folder, false);
            let built = client.build();
            std::fs::remove_dir_all(&folder).unwrap();
            assert_eq!(built.unwrap().plan("gpt-4o-mini").unwrap()[0].name(), "openai/gpt-4o-mini", "{page}");
        }
    }
}

/// The settings of the page on limits are settings.
#[test]
fn limits_are_written_as_their_page_says() {
    for page in ["docs/limits.md", "docs/limits.zh-CN.md"] {
        let text = blocks(page, "toml").concat();
        let config = Config::parse(&text, page).unwrap();
        assert_eq!(config.limits["openai"].in_flight.unwrap().get(), 50);
        assert_eq!(config.limits["openai"].queue(), 100);
        let usual = trunkline::config::Server::default();
        assert_eq!((config.server.max_calls, config.server.body_memory), (usual.max_calls, usual.body_memory));
        Client::builder().config(config).environment(Environment::default()).build().unwrap();
    }
}
