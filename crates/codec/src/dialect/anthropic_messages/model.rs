//! The list of models, written.

use serde::Serialize;

use crate::dialect::time::write_time;
use crate::ir::Model;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Row<'a>>,
    first_id: Option<&'a str>,
    has_more: bool,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    line: Option<()>,
    max_input_tokens: Option<()>,
    max_tokens: Option<()>,
    deprecated_at: Option<()>,
    retires_at: Option<()>,
    capabilities: Option<()>,
}

/// Writes the list.
pub(super) fn write_models(models: &[Model]) -> Vec<u8> {
    let list = List {
        data: models.iter().map(row).collect(),
        first_id: models.first().map(|model| model.id.as_str()),
        has_more: false,
        last_id: models.last().map(|model| model.id.as_str()),
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// Writes one model.
pub(super) fn write_model(model: &Model) -> Vec<u8> {
    serde_json::to_vec(&row(model)).unwrap_or_default()
}

fn row(model: &Model) -> Row<'_> {
    Row {
        id: &model.id,
        kind: "model",
        display_name: &model.id,
        created_at: write_time(model.created),
        lifecycle: "active",
        line: None,
        max_input_tokens: None,
        max_tokens: None,
        deprecated_at: None,
        retires_at: None,
        capabilities: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_its_ends() {
        let model = |id: &str| Model { id: id.to_owned(), owner: String::new(), created: 0 };
        let list = String::from_utf8(write_models(&[model("a"), model("b")])).unwrap();
        assert!(list.contains(r#""first_id":"a","has_more":false,"last_id":"b""#), "{list}");
        assert!(list.contains(r#""id":"a","type":"model","display_name":"a","created_at":"1970-01-01T00:00:00Z""#), "{list}");
        assert!(String::from_utf8(write_models(&[])).unwrap().contains(r#""first_id":null"#));
    }
}
