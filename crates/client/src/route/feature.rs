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
        Ability::Reasoning => &["reasoning", "hink", "effort"],
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

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::codec::catalog::Quirks;
    use crate::codec::dialect::{ALL, Head, Operation};
    use crate::ir::{Message, Raw, Reasoning, Role, Signature, Tool, ToolKind};
    use crate::route::Said;

    fn user(parts: Vec<Part>) -> Request {
        let messages = vec![Message { parts, ..Message::text(Role::User, "") }];
        Request { model: "m".to_owned(), messages, max_tokens: Some(100), ..Request::default() }
    }

    fn base64(media_type: &str) -> Source {
        Source::Base64 { media_type: media_type.to_owned(), data: "aGk=".to_owned() }
    }

    fn needy() -> Vec<(Ability, Request)> {
        let text = || Part::text("hi");
        let url = Source::Url { url: "https://example.com/a.png".to_owned(), media_type: None };
        let image = |source| Content::Image { source, detail: None }.into();
        let document = Content::Document { source: base64("application/pdf"), title: None, cite: None };
        let audio = Content::Audio { source: base64("audio/wav"), transcript: None, id: None };
        let schema = || Raw::parse("{\"type\":\"object\",\"properties\":{}}").unwrap();
        let kind = ToolKind::Function { schema: Some(schema()), strict: None };
        let tool = Tool { name: "look".to_owned(), description: None, kind, cache: None, extra: Default::default() };
        let format = Format::Schema { name: Some("x".to_owned()), description: None, schema: schema(), strict: None };
        let reasoning = |it| Request { reasoning: Some(it), ..user(vec![text()]) };
        vec![
            (Ability::Vision, user(vec![text(), image(base64("image/png"))])),
            (Ability::Vision, user(vec![text(), image(url)])),
            (Ability::Documents, user(vec![text(), document.into()])),
            (Ability::Audio, user(vec![text(), audio.into()])),
            (Ability::Video, user(vec![text(), Content::Video { source: base64("video/mp4") }.into()])),
            (Ability::Tools, Request { tools: vec![tool], ..user(vec![text()]) }),
            (Ability::JsonSchema, Request { format, ..user(vec![text()]) }),
            (Ability::Reasoning, reasoning(Reasoning { effort: Some(Effort::High), ..Reasoning::default() })),
            (Ability::Reasoning, reasoning(Reasoning { enabled: Some(true), budget: Some(2048), ..Reasoning::default() })),
        ]
    }

    /// What every dialect's own writer makes of a request, read back by it.
    fn written(request: &Request) -> Vec<(&'static str, Request, Vec<u8>)> {
        let speakers = ALL.iter().filter(|dialect| dialect.downstream.is_some());
        let headers = HeaderMap::new();
        let written = speakers.filter_map(|dialect| {
            let outgoing = dialect.upstream.write_request(request, Operation::Chat, &Quirks::default()).ok()?;
            let path = format!("/v1beta{}", outgoing.path);
            let head = Head { path: path.split('?').next()?, query: None, headers: &headers };
            let read = dialect.downstream().read_request(&head, &outgoing.body, Operation::Chat).ok()?;
            Some((dialect.name, read, outgoing.body))
        });
        written.collect()
    }

    fn holds(body: &[u8], words: &[&str]) -> bool {
        let dialect = ALL.first().unwrap();
        let head = Head { path: "", query: None, headers: &HeaderMap::new() };
        Said::Raw { dialect, head, body, operation: Operation::Chat, max_tokens: None }.may_hold(words)
    }

    #[test]
    fn no_need_stays_unseen_in_any_dialect() {
        for (ability, request) in needy() {
            assert_eq!(Features::of(&request).needs.iter().collect::<Vec<_>>(), [ability], "{request:?}");
            let read = written(&request);
            let needing = read.iter().filter(|(_, read, _)| Features::of(read).needs.has(ability));
            let mut count = 0;
            for (name, _, body) in needing {
                assert!(holds(body, words(ability)), "{name}: {ability:?} in {}", String::from_utf8_lossy(body));
                let is_medium = matches!(ability, Ability::Vision | Ability::Documents | Ability::Audio | Ability::Video);
                assert!(!is_medium || holds(body, MEDIA), "{name}: {ability:?}");
                count += 1;
            }
            assert!(count >= if ability == Ability::Video { 1 } else { 2 }, "{ability:?}: said in {count} dialects");
        }
    }

    #[test]
    fn no_opaque_state_stays_unseen_in_any_dialect() {
        for owner in ALL.iter().map(|dialect| dialect.name) {
            let thought = Content::Reasoning { text: "hm".to_owned(), redacted: false };
            let signature = Some(Signature { owner, value: "c2lnbmVkLXN0YXRl".to_owned() });
            let mut request = user(vec![Part::text("hi")]);
            let parts = vec![Part { signature, ..thought.into() }, Part::text("well")];
            request.messages.push(Message { parts, ..Message::text(Role::Assistant, "") });
            request.messages.push(Message::text(Role::User, "go on"));
            assert_eq!(Features::of(&request).owners, [owner]);
            for (name, _, body) in written(&request).iter().filter(|(_, read, _)| !Features::of(read).owners.is_empty()) {
                assert!(holds(body, OPAQUE), "{name}: {}", String::from_utf8_lossy(body));
            }
        }
    }
}
