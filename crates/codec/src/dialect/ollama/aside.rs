//! The small paths that programs ask before they call.

use crate::dialect::aside::Aside;
use crate::dialect::fields::Fields;
use crate::error::{Error, Result};

use super::request::untag;

/// The version of the protocol that is spoken here: programs turn away from servers that are older than they need.
const VERSION: &str = r#"{"version":"0.12.6"}"#;

/// What the path stands for.
pub(crate) fn aside(path: &str) -> Option<Aside> {
    const JSON: &str = "application/json";
    Some(match path {
        "/" => Aside::Fixed { media: "text/plain; charset=utf-8", body: "Ollama is running" },
        "/api/version" => Aside::Fixed { media: JSON, body: VERSION },
        // Nothing is loaded here; what providers have loaded is not known.
        "/api/ps" => Aside::Fixed { media: JSON, body: r#"{"models":[]}"# },
        "/api/tags" => Aside::Models,
        "/api/show" => Aside::Model(read_name),
        _ => return None,
    })
}

/// The model that is asked about.
fn read_name(body: &[u8]) -> Result<String> {
    let mut fields = Fields::read(body, "")?;
    let name: Option<String> = fields.take("model")?;
    let name = match name {
        Some(name) => Some(name),
        None => fields.take("name")?,
    };
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| Error::bad_request("model is required").at("model"))?;
    Ok(untag(&name).to_owned())
}
