//! `trunkline models` and `trunkline prices`.

use serde_json::Value;

use crate::terminal::{Folder, run, text};

fn json(folder: &Folder, arguments: &[&str]) -> Value {
    let output = run(folder, arguments, "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments, "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn write(folder: &Folder, name: &str, content: &str) {
    std::fs::write(folder.0.join(name), content).unwrap();
}

#[test]
fn lists_what_is_able_with_prices() {
    let folder = Folder::new();
    let rows = json(&folder, &["models", "--provider", "anthropic", "--able", "tools,vision", "--json"]);
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 5);
    let row = rows.iter().find(|row| row["model"] == "anthropic/claude-sonnet-4-5").unwrap();
    assert_eq!((row["context"].as_u64(), row["price"]["currency"].as_str()), (Some(200_000), Some("USD")));
    assert_eq!((row["price"]["input"].as_str(), row["price"]["cache_write_1h"].as_str()), (Some("3.00"), Some("6.00")));
    assert!(rows.iter().all(|row| row["able"].as_array().unwrap().iter().any(|word| word == "vision")));
    let none = json(&folder, &["models", "--provider", "anthropic", "--able", "embeddings", "--json"]);
    assert_eq!(none.as_array().map(Vec::len), Some(0));
}

/// Plain text, in a pipe: no colour, columns that begin and end together, one line a model.
#[test]
fn columns_stand_under_one_another() {
    let folder = Folder::new();
    let output = run(&folder, &["models", "--provider", "qwen"], "");
    let lines = text(&output.stdout);
    assert!(!lines.contains('\x1b') && lines.lines().all(|line| line == line.trim_end()), "{lines}");
    let head = lines.lines().next().unwrap();
    assert!(head.contains("context") && head.contains("able"), "{head}");
    let place = |line: &str, mark: &str| line[..line.find(mark).unwrap()].chars().count();
    let priced: Vec<&str> = lines.lines().filter(|line| line.contains("  chat, ")).collect();
    assert!(priced.len() > 30 && priced.iter().all(|line| line.contains('¥')), "{lines}");
    assert!(priced.iter().all(|line| place(line, "  chat, ") + 2 == place(head, "able")), "{lines}");
}

#[test]
fn tells_all_of_one_model() {
    let folder = Folder::new();
    let told = text(&run(&folder, &["models", "deepseek/deepseek-v4-pro"], "").stdout);
    for part in ["1000000 tokens", "off-peak", "mon-fri 04:00-06:00", "input $1.32", "api-docs.deepseek.com"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let rows = json(&folder, &["models", "claude-sonnet-4-5-20250929", "--json"]);
    assert!(rows.as_array().unwrap().iter().any(|row| row["model"] == "anthropic/claude-sonnet-4-5-20250929"), "{rows}");
    let unpriced = text(&run(&folder, &["models", "ollama/llama3.2"], "").stdout);
    assert!(unpriced.contains("not known"), "{unpriced}");
    assert!(fails(&folder, &["models", "klaude-sonnet-4-5"]).contains("did you mean `claude-sonnet-4-5`"));
    assert!(fails(&folder, &["models", "--able", "tols"]).contains("did you mean `tools`"));
    assert!(fails(&folder, &["models", "--provider", "antropic"]).contains("did you mean `anthropic`"));
}

#[test]
fn the_configuration_has_the_last_word_and_is_strict() {
    let folder = Folder::new();
    write(&folder, "prices.toml", "[prices.\"openai/gpt-4o\"]\ninput = \"1.25\"\noutput = \"7\"\n");
    write(
        &folder,
        "trunkline.toml",
        "[prices.\"openai/gpt-4o\"]\ninput = \"2\"\n[prices.\"house/*\"]\ninput = \"1\"\noutput = \"1\"\ncurrency = \"CNY\"\n",
    );
    let row = &json(&folder, &["models", "openai/gpt-4o", "--json"])[0];
    assert_eq!((row["price"]["input"].as_str(), row["price"]["output"].as_str()), (Some("2.00"), Some("7.00")));
    for (content, part) in [
        ("[prices.\"openai/gpt-4o\"]\ninptu = \"2\"\n", "line 2: unknown key `inptu`; the nearest known key is `input`"),
        ("[prices.\"openai/gpt-4o\"]\ninput = 2.5\n", "a price in quotes"),
        ("[prices.gpt-4o]\ninput = \"2\"\n", "provider/model"),
    ] {
        write(&folder, "trunkline.toml", content);
        let told = fails(&folder, &["models"]);
        assert!(told.contains(part), "{told}");
    }
    write(&folder, "trunkline.toml", "");
    write(&folder, "prices.toml", "[price.x]\n");
    assert!(fails(&folder, &["check"]).contains("prices.toml, line 1"));
}

#[test]
fn imports_a_list_and_says_what_it_skipped() {
    let folder = Folder::new();
    write(
        &folder,
        "trunkline.toml",
        "[providers.house]\nbase_url = \"http://127.0.0.1:9/v1\"\ndialects = [\"openai-chat\"]\nauth = { none = true }\n",
    );
    let list = r#"{
        "together_ai/acme/Big": { "litellm_provider": "together_ai", "mode": "chat", "input_cost_per_token": 2.5e-07, "output_cost_per_token": 1e-06 },
        "house/small": { "litellm_provider": "house", "mode": "chat", "input_cost_per_token": 1e-07, "output_cost_per_token": 1e-07 },
        "elsewhere/x": { "litellm_provider": "elsewhere", "mode": "chat", "input_cost_per_token": 1e-07 }
    }"#;
    write(&folder, "list.json", list);
    let output = run(&folder, &["prices", "import", "list.json", "--date", "2026-11-01"], "");
    let told = text(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty(), "{told}");
    assert!(told.contains("2 models written to") && told.contains("skipped 1: there is no provider `elsewhere` here"), "{told}");
    let prices = json(&folder, &["prices", "--provider", "house", "--json"]);
    assert_eq!((prices[0]["model"].as_str(), prices[0]["price"]["input"].as_str()), (Some("house/small"), Some("0.10")));
    assert_eq!(prices[0]["date"], "2026-11-01");
    let told = json(&folder, &["models", "together/acme/Big", "--json"]);
    assert_eq!(told[0]["price"]["input"], "0.25");
    // Standard input, another file, one provider, JSON.
    let output = run(&folder, &["prices", "import", "-", "-o", "other.toml", "--provider", "house", "--json"], list);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["rows"].as_u64(), report["format"].as_str()), (Some(1), Some("LiteLLM")));
    assert_eq!(report["skipped"][0]["entry"], "elsewhere/x");
    assert!(folder.0.join("other.toml").is_file());
    for (name, content) in [("bad.json", "<html>"), ("none.json", "{\"x\": {\"litellm_provider\": \"y\"}}")] {
        write(&folder, name, content);
        assert!(fails(&folder, &["prices", "import", name]).starts_with("trunkline: "), "{name}");
    }
    assert!(fails(&folder, &["prices", "import", "missing.json"]).contains("cannot read missing.json"));
}
