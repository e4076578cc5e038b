//! What a request needs of whoever answers it. Pure.

use crate::codec::catalog::{Abilities, Ability};
use crate::ir::{Content, Effort, Format, Part, Request, Source};

/// What an image, a document or a sound is counted as: nobody can tell without opening it.
const MEDIUM_TOKENS: u64 = 1000;

/// What a request needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What the model must be able to do.
    pub needs: Abilities,
    /// The prompt's length in tokens: a guess of one for four bytes of text, a few for each message, and a thousand for
    /// each image, document or sound.
    pub tokens: u64,
    /// The output limit.
    pub max_tokens: Option<u64>,
    /// The dialects whose opaque state (signed thinking, encrypted reasoning) the conversation carries.
    pub owners: Vec<&'static str>,
}

impl Features {
    /// Looks at all of a request.
    pub fn of(request: &Request) -> Self {
        let mut found = Found::default();
        for message in &request.messages {
            found.bytes = 0;
            message.parts.iter().for_each(|part| found.part(part));
            found.tokens += found.bytes.div_ceil(4) + 4;
        }
        for tool in &request.tools {
            found.needs.push(Ability::Tools);
            found.tokens += serde_json::to_string(tool).map_or(0, |text| text.len() as u64 / 4);
        }
        if matches!(request.format, Format::Schema { .. }) {
            found.needs.push(Ability::JsonSchema);
        }
        if request.reasoning.as_ref().is_some_and(|it| it.enabled != Some(false) && it.effort != Some(Effort::None)) {
            found.needs.push(Ability::Reasoning);
        }
        Features {
            needs: found.needs.into_iter().collect(),
            tokens: found.tokens,
            max_tokens: request.max_tokens,
            owners: found.owners,
        }
    }
}

#[derive(Default)]
struct Found {
    needs: Vec<Ability>,
    tokens: u64,
    /// Text of the message that is looked at.
    bytes: u64,
    owners: Vec<&'static str>,
}

impl Found {
    fn part(&mut self, part: &Part) {
        if let Some(signature) = &part.signature
            && !self.owners.contains(&signature.owner)
        {
            self.owners.push(signature.owner);
        }
        match &part.content {
            Content::Text { text, .. } | Content::Reasoning { text, .. } | Content::Refusal { text } => self.text(text),
            Content::Image { .. } => self.medium(Ability::Vision),
            Content::Document { source: Source::Text { text }, .. } => self.text(text),
            Content::Document { .. } => self.medium(Ability::Documents),
            Content::Audio { .. } => self.medium(Ability::Audio),
            Content::Video { .. } => self.medium(Ability::Video),
            Content::ToolCall { name, arguments, .. } => {
                self.text(name);
                self.text(arguments);
            }
            Content::ToolResult { parts, .. } => parts.iter().for_each(|part| self.part(part)),
            Content::Foreign { value, .. } => self.text(value.get()),
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes += text.len() as u64;
    }

    fn medium(&mut self, ability: Ability) {
        self.needs.push(ability);
        self.tokens += MEDIUM_TOKENS;
    }
}

/// Words of which one stands in every request, of whatever dialect, that needs this.
pub(super) const fn words(ability: Ability) -> &'static [&'static str] {
    match ability {
        Ability::Vision => &["image", "ileData", "ile_data", "lineData", "line_data"],
        Ability::Documents => &["file", "document", "ileData", "ile_data", "lineData", "line_data"],
        Ability::Audio => &["audio", "ileData", "ile_data"],
        Ability::Video => &["video", "ileData", "ile_data"],
        Ability::Tools => &["tool", "function"],
        Ability::JsonSchema => &["format", "chema"],
        Ability::Reasoning => &["reasoning", "hink"],
        _ => &[],
    }
}

/// Words of which one stands in every request with an image, a document or a sound, of whatever size.
pub(super) const MEDIA: &[&str] =
    &["image", "audio", "video", "document", "file", "ileData", "ile_data", "lineData", "line_data"];

/// Words of which one stands in every request that carries opaque state.
pub(super) const OPAQUE: &[&str] = &["ignature", "ncrypted", "edacted", "tl."];

/// Abilities that a chat may need.
pub(super) const NEEDED: &[Ability] = &[
    Ability::Vision,
    Ability::Documents,
    Ability::Audio,
    Ability::Video,
    Ability::Tools,
    Ability::JsonSchema,
    Ability::Reasoning,
];
