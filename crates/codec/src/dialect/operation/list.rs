//! A provider's own list of its models.

use serde_json::Value;

use crate::catalog::Quirks;
use crate::error::{Error, Result};

/// Where a provider of this dialect lists its models; `None` where the dialect has no such path.
pub fn list_path(dialect: &str, quirks: &Quirks) -> Option<String> {
    Some(match dialect {
        "openai-chat" | "openai-completions" | "openai-responses" => "/models".to_owned(),
        "anthropic-messages" => "/v1/models?limit=1000".to_owned(),
        super::GEMINI => format!("/{}/models?pageSize=1000", quirks.gemini_version),
        super::COHERE => "/v1/models?page_size=1000".to_owned(),
        super::OLLAMA => "/api/tags".to_owned(),
        _ => return None,
    })
}

/// The names in such a list, as calls must write them, sorted.
///
/// # Errors
/// When it is none.
pub fn read_list(body: &[u8]) -> Result<Vec<String>> {
    let wrong = || Error::malformed("the provider's answer is not a list of models").with_raw(body);
    let list: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    let rows = list.get("data").or_else(|| list.get("models")).unwrap_or(&list).as_array().ok_or_else(wrong)?;
    let name = |row: &Value| {
        let name = row.get("id").or_else(|| row.get("name"))?.as_str()?;
        Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
    };
    let mut names: Vec<String> = rows.iter().filter_map(name).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_list_is_read() {
        for list in [
            r#"{"object":"list","data":[{"id":"b","object":"model"},{"id":"a"},{"id":"b"}]}"#,
            r#"{"models":[{"name":"models/b","version":"1"},{"name":"models/a"}]}"#,
            r#"{"models":[{"name":"b","model":"b"},{"name":"a","model":"a"},{"digest":"x"}]}"#,
            r#"[{"id":"a"},{"id":"b"}]"#,
        ] {
            assert_eq!(read_list(list.as_bytes()).unwrap(), ["a", "b"], "{list}");
        }
        assert!(read_list(b"{}").is_err() && read_list(b"<html>").is_err());
    }
}
