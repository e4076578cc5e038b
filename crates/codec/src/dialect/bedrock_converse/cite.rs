//! Sources of a text.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use super::out::{self, Line, Location};
use crate::ir::{Citation, Raw};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    title: Option<String>,
    source: Option<String>,
    source_content: Option<Vec<Piece>>,
    location: Option<Place>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Piece {
    text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place {
    web: Option<Web>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Web {
    url: Option<String>,
}

/// Reads one citation; one that cannot be understood is kept as it came.
pub(super) fn read_citation(raw: &RawValue) -> Citation {
    let wire: Wire = serde_json::from_str(raw.get()).unwrap_or_default();
    let text: String = wire.source_content.into_iter().flatten().filter_map(|piece| piece.text).collect();
    let url = wire.location.and_then(|place| place.web).and_then(|web| web.url);
    Citation {
        url: url.or(wire.source.filter(|source| source.starts_with("http"))),
        title: wire.title,
        cited_text: Some(text).filter(|text| !text.is_empty()),
        start: None,
        end: None,
        from: NAME,
        raw: Some(Raw(raw.to_owned())),
    }
}

/// A citation as it came, or another dialect's as that of a page.
pub(super) fn write_citation(citation: &Citation) -> out::Citation<'_> {
    match &citation.raw {
        Some(raw) if citation.from == NAME => out::Citation::Own(&raw.0),
        _ => out::Citation::Web {
            title: citation.title.as_deref(),
            source_content: citation.cited_text.as_deref().map(|text| [Line { text }]),
            location: citation.url.as_deref().map(|url| Location::Web { url }),
        },
    }
}
