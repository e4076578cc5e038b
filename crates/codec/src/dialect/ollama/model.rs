//! The list of models, and one model.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::dialect::time::write_time;
use crate::ir::{Model, TokenCount};

/// Of a model's file nothing is known but that there is one.
#[derive(Serialize)]
struct Details<'a> {
    parent_model: &'static str,
    format: &'static str,
    family: &'a str,
    families: [&'a str; 1],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

impl<'a> Details<'a> {
    fn new(model: &'a Model) -> Self {
        let owner = model.owner.as_str();
        Details { parent_model: "", format: "", family: owner, families: [owner], parameter_size: "", quantization_level: "" }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: String,
    size: u64,
    digest: &'static str,
    details: Details<'a>,
}

/// Writes the answer of `GET /api/tags`.
pub(super) fn write_models(models: &[Model]) -> Vec<u8> {
    #[derive(Serialize)]
    struct List<'a> {
        models: Vec<Row<'a>>,
    }
    let row = |model| Row {
        name: name(model),
        model: name(model),
        modified_at: write_time(model.created),
        size: 0,
        digest: "",
        details: Details::new(model),
    };
    serde_json::to_vec(&List { models: models.iter().map(row).collect() }).unwrap_or_default()
}

fn name(model: &Model) -> &str {
    &model.id
}

/// Writes the answer of `POST /api/show`. Programs ask it whether a model takes tools; those that are reached here
/// mostly do, and a call that cannot be carried says so.
pub(super) fn write_model(model: &Model) -> Vec<u8> {
    #[derive(Serialize)]
    struct Show<'a> {
        modelfile: String,
        parameters: &'static str,
        template: &'static str,
        license: &'static str,
        modified_at: String,
        details: Details<'a>,
        model_info: Map<String, Value>,
        capabilities: [&'static str; 2],
    }
    let info = json!({ "general.basename": model.id });
    let show = Show {
        modelfile: format!("FROM {}\n", model.id),
        parameters: "",
        template: "{{ .Prompt }}",
        license: "",
        modified_at: write_time(model.created),
        details: Details::new(model),
        model_info: info.as_object().cloned().unwrap_or_default(),
        capabilities: ["completion", "tools"],
    };
    serde_json::to_vec(&show).unwrap_or_default()
}

/// The dialect has no such answer; this is what it would look like.
pub(super) fn write_count(count: TokenCount) -> Vec<u8> {
    json!({ "prompt_eval_count": count.input }).to_string().into_bytes()
}
