//! The list of models, and one model.

use serde::Serialize;
use serde_json::json;

use crate::ir::{Model, TokenCount};

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    is_deprecated: bool,
    endpoints: [&'static str; 1],
    finetuned: bool,
    context_length: Option<f64>,
    tokenizer_url: Option<&'static str>,
    default_endpoints: [&'static str; 0],
    features: [&'static str; 0],
}

fn row(model: &Model) -> Row<'_> {
    Row {
        name: &model.id,
        is_deprecated: false,
        endpoints: ["chat"],
        finetuned: false,
        context_length: None,
        tokenizer_url: None,
        default_endpoints: [],
        features: [],
    }
}

/// Writes the list.
pub(super) fn write_models(models: &[Model]) -> Vec<u8> {
    #[derive(Serialize)]
    struct List<'a> {
        models: Vec<Row<'a>>,
        next_page_token: Option<&'static str>,
    }
    serde_json::to_vec(&List { models: models.iter().map(row).collect(), next_page_token: None }).unwrap_or_default()
}

/// Writes one model.
pub(super) fn write_model(model: &Model) -> Vec<u8> {
    serde_json::to_vec(&row(model)).unwrap_or_default()
}

/// The dialect has no such answer; this is what it would look like.
pub(super) fn write_count(count: TokenCount) -> Vec<u8> {
    json!({ "meta": { "tokens": { "input_tokens": count.input } } }).to_string().into_bytes()
}
