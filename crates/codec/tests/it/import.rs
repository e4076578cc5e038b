//! Price lists of others.

use std::collections::BTreeMap;

use trunkline_codec::catalog::{Catalog, Currency, Import, ModelPatch, Models, Rate, import_prices, write_prices};

const LITELLM: &str = r#"{
  "sample_spec": { "litellm_provider": "one of many", "mode": "chat", "input_cost_per_token": 0.0 },
  "new-1": { "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 400000.0, "max_output_tokens": 128000,
    "input_cost_per_token": 1.5000000000000002e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.5e-07,
    "input_cost_per_token_above_272k_tokens": 3e-06, "input_cost_per_token_batches": 7.5e-07,
    "supports_function_calling": true, "supports_vision": true, "source": "https://example.com/prices" },
  "together_ai/acme/Big-7B": { "litellm_provider": "together_ai", "mode": "chat", "input_cost_per_token": 2e-7, "output_cost_per_token": 2e-7 },
  "vertex_ai/thing": { "litellm_provider": "vertex_ai-thing_models", "mode": "chat", "input_cost_per_token": 1e-7 },
  "hd/1024-x-1024/draw-1": { "litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.08 },
  "draw-1": { "litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 0.0, "output_cost_per_image": 0.04 },
  "rank-1": { "litellm_provider": "cohere", "mode": "rerank", "input_cost_per_token": 0.0, "input_cost_per_query": 0.002 },
  "hear-1": { "litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001 },
  "bad-1": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1e-7 },
  "bare-1": { "litellm_provider": "openai", "mode": "chat" },
  "film-1": { "litellm_provider": "openai", "mode": "video_generation", "output_cost_per_video_per_second": 0.1 },
  "doubao-new": { "litellm_provider": "volcengine", "mode": "chat", "input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7 },
  "tiered": { "litellm_provider": "openai", "mode": "chat", "tiered_pricing": [
    { "input_cost_per_token": 1.2e-06, "output_cost_per_token": 6e-06, "range": [0, 32000.0] },
    { "input_cost_per_token": 2.4e-06, "output_cost_per_token": 1.2e-05, "range": [32000.0, 128000.0] } ] }
}"#;

const MODELS_DEV: &str = r#"{
  "togetherai": { "id": "togetherai", "name": "T", "doc": "https://example.com/t", "models": {
    "acme/Big-7B": { "id": "acme/Big-7B", "tool_call": true, "reasoning": true, "last_updated": "2026-10-01",
      "modalities": { "input": ["text", "image"], "output": ["text"] },
      "cost": { "input": 0.2, "output": 0.6, "cache_read": 0.02, "context_over_200k": { "input": 0.4, "output": 1.2 } },
      "limit": { "context": 262144, "output": 8192 } },
    "acme/Unpriced": { "id": "acme/Unpriced" } } },
  "nobody": { "models": { "x": { "cost": { "input": 1, "output": 1 } } } }
}"#;

fn import(text: &str) -> Import {
    import_prices(text, &Catalog::builtin().unwrap(), "https://example.com/list", "2026-11-22").unwrap()
}

fn why<'i>(import: &'i Import, entry: &str) -> &'i str {
    let skipped = import.skipped.iter().find(|skipped| skipped.entry == entry);
    skipped.map_or_else(|| panic!("{entry} was not skipped"), |skipped| skipped.why.as_ref())
}

fn price(text: &str) -> Option<Rate> {
    Some(Rate::parse(text).unwrap())
}

#[test]
fn reads_litellm() {
    let import = import(LITELLM);
    assert_eq!(import.format, "LiteLLM");
    let row = &import.rows["openai/new-1"];
    assert_eq!((row.input, row.output, row.cache_read), (price("1.5"), price("10"), price("0.15")));
    assert_eq!((row.context, row.max_output, row.currency), (Some(400_000), Some(128_000), Some(Currency::Usd)));
    assert_eq!(row.able.unwrap().to_string(), "chat, tools, vision");
    let tier = &row.tiers.as_ref().unwrap()[0];
    assert_eq!((tier.above, tier.input, tier.output), (272_000, price("3"), None));
    assert_eq!(row.batch.as_ref().unwrap().input, price("0.75"));
    assert_eq!(row.source.as_deref(), Some("https://example.com/prices"));
    assert_eq!(import.rows["together/acme/Big-7B"].source.as_deref(), Some("https://example.com/list"));
    assert_eq!(import.rows["openai/draw-1"].image, price("0.04"));
    assert_eq!(import.rows["openai/draw-1"].input, None);
    assert_eq!(import.rows["cohere/rank-1"].request, price("0.002"));
    assert_eq!(import.rows["openai/hear-1"].second, price("0.0001"));
    let tiered = &import.rows["openai/tiered"];
    assert_eq!((tiered.input, tiered.tiers.as_ref().unwrap()[0].above), (price("1.2"), 32_000));
    assert!(why(&import, "sample_spec").contains("one of many"));
    assert!(why(&import, "hd/1024-x-1024/draw-1").contains("size"));
    assert!(why(&import, "bad-1").contains("not a number"));
    assert!(why(&import, "bare-1").contains("no price") && why(&import, "film-1").contains("no price"));
    assert!(why(&import, "doubao/doubao-new").contains("CNY"));
}

#[test]
fn reads_models_dev() {
    let import = import(MODELS_DEV);
    assert_eq!(import.format, "models.dev");
    let row = &import.rows["together/acme/Big-7B"];
    assert_eq!((row.input, row.output, row.cache_read), (price("0.2"), price("0.6"), price("0.02")));
    assert_eq!((row.context, row.date.as_deref()), (Some(262_144), Some("2026-10-01")));
    assert_eq!(row.tiers.as_ref().unwrap()[0].input, price("0.4"));
    assert_eq!(row.able.unwrap().to_string(), "chat, tools, vision, reasoning");
    assert_eq!(row.source.as_deref(), Some("https://example.com/t"));
    assert!(why(&import, "nobody/x").contains("`nobody`"));
    assert!(why(&import, "togetherai/acme/Unpriced").contains("no price"));
}

#[test]
fn what_is_written_is_read_back() {
    #[derive(serde::Deserialize)]
    struct File {
        prices: BTreeMap<String, ModelPatch>,
    }
    for text in [LITELLM, MODELS_DEV] {
        let import = import(text);
        let file: File = toml::from_str(&write_prices(&import.rows)).unwrap();
        assert_eq!(file.prices, import.rows);
        Models::default().add("prices.toml", file.prices).unwrap();
    }
    let odd = "a\"b\\c\u{7f}/ü\n";
    let mut rows = BTreeMap::new();
    let row = "input = '1'\noff_peak = { utc = ['sat-sun'], input = '0.5' }\ntiers = [{ above = 5, input = '2', batch = { input = '1' } }]";
    rows.insert(odd.to_owned(), toml::from_str::<ModelPatch>(row).unwrap());
    assert_eq!(toml::from_str::<File>(&write_prices(&rows)).unwrap().prices, rows);
}

#[test]
fn other_lists_are_refused() {
    let catalog = Catalog::builtin().unwrap();
    for text in ["", "[]", "{}", "null", r#"{"a": 1}"#, r#"{"a": {"b": 1}}"#, "<html>", r#"{"a": {"litellm_provider": "#] {
        assert!(import_prices(text, &catalog, "", "").is_err(), "{text}");
    }
}
