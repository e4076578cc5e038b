//! The messages of a request as a provider is sent them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::NAME;
use super::super::response::{CallOut, DataUrl, DetailOut, detail_out};
use super::content::audio_format;
use super::write::{cache_breakpoint, cache_control};
use crate::catalog::{Quirks, ReasoningField, ReasoningReplay, SystemRole};
use crate::ir::{CacheMark, Content, Message, Part, Request, Role, Source, ToolKind};
use crate::loss::Losses;

#[derive(Default, Serialize)]
pub(super) struct MessageOut<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<DetailOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallOut<'a>>,
    /// Goes before the text, in tags.
    #[serde(skip)]
    think: String,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentOut<'a> {
    Null(()),
    Text(Cow<'a, str>),
    Parts(Vec<PartOut<'a>>),
}

#[derive(Serialize)]
struct PartOut<'a> {
    #[serde(flatten)]
    body: BodyOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_breakpoint: Option<Value>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BodyOut<'a> {
    Text {
        text: &'a str,
    },
    ImageUrl {
        image_url: UrlOut<'a>,
    },
    VideoUrl {
        video_url: UrlOut<'a>,
    },
    InputAudio {
        input_audio: AudioOut<'a>,
    },
    File {
        file: FileOut<'a>,
    },
    Refusal {
        refusal: &'a str,
    },
    #[serde(untagged)]
    Own(Value),
}

#[derive(Serialize)]
struct UrlOut<'a> {
    url: DataUrl<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct AudioOut<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct FileOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<DataUrl<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// What the writing of messages needs to know and to tell.
struct Pen<'a, 'l> {
    request: &'a Request,
    quirks: &'a Quirks,
    losses: &'l mut Losses,
}

/// Writes the conversation.
pub(super) fn write_messages<'a>(request: &'a Request, quirks: &'a Quirks, losses: &mut Losses) -> Vec<MessageOut<'a>> {
    let mut pen = Pen { request, quirks, losses };
    let mut out = Vec::with_capacity(request.messages.len());
    for (index, message) in request.messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let first = out.len();
        match message.role {
            Role::Assistant => out.push(pen.assistant(message, &at)),
            Role::User => pen.user(message, &at, &mut out),
            Role::System => {
                let role = match quirks.system_role {
                    SystemRole::System => "system",
                    SystemRole::Developer => "developer",
                };
                let content = pen.content(message.parts.iter().enumerate(), &at);
                out.push(MessageOut { role, content: Some(content), ..MessageOut::default() });
            }
        }
        let Some(last) = out.get_mut(first..).and_then(<[MessageOut<'_>]>::last_mut) else { continue };
        last.name = message.name.as_deref();
        if last.name.is_some() && quirks.refuses("name") {
            last.name = None;
            pen.losses.add(format!("{at}.name"), "not supported by this provider");
        }
        last.extra = message.extra.of(NAME);
        pen.losses.add_foreign(&at, &message.extra, NAME);
    }
    out
}

impl<'a> Pen<'a, '_> {
    /// Results of tools first, each a message of its own; then what the person says, and pictures that the results held.
    fn user(&mut self, message: &'a Message, at: &str, out: &mut Vec<MessageOut<'a>>) {
        let mut moved: Vec<PartOut<'a>> = Vec::new();
        let is_result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
        for (index, part) in message.parts.iter().enumerate().filter(|(_, part)| is_result(part)) {
            let at = format!("{at}.parts[{index}]");
            out.push(self.result(part, &at, &mut moved));
        }
        let others: Vec<_> = message.parts.iter().enumerate().filter(|(_, part)| !is_result(part)).collect();
        if others.is_empty() && moved.is_empty() {
            if message.parts.is_empty() {
                let content = Some(ContentOut::Text(Cow::Borrowed("")));
                out.push(MessageOut { role: "user", content, ..MessageOut::default() });
            }
            return;
        }
        let mut content = self.content(others.into_iter(), at);
        if !moved.is_empty() {
            let said = match content {
                ContentOut::Parts(parts) => parts,
                ContentOut::Text(Cow::Borrowed(text)) if !text.is_empty() => vec![PartOut::plain(BodyOut::Text { text })],
                _ => Vec::new(),
            };
            moved.extend(said);
            content = ContentOut::Parts(moved);
        }
        out.push(MessageOut { role: "user", content: Some(content), ..MessageOut::default() });
    }

    fn result(&mut self, part: &'a Part, at: &str, moved: &mut Vec<PartOut<'a>>) -> MessageOut<'a> {
        let Content::ToolResult { id, name, parts, failed } = &part.content else { return MessageOut::default() };
        let mut text: Cow<'a, str> = Cow::Borrowed("");
        let mut media = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Text { text: more, .. } if text.is_empty() => text = Cow::Borrowed(more),
                Content::Text { text: more, .. } => {
                    text.to_mut().push('\n');
                    text.to_mut().push_str(more);
                }
                _ => media.extend(self.part(part, &format!("{at}.parts[{index}]"))),
            }
        }
        if !media.is_empty() {
            moved.push(PartOut::plain(BodyOut::Own(json!({ "type": "text", "text": format!("From tool call {id}:") }))));
            moved.append(&mut media);
            if text.is_empty() {
                text = Cow::Borrowed("(see the next message)");
            }
        }
        if *failed {
            self.losses.add(format!("{at}.failed"), "said in the text instead");
            text = Cow::Owned(format!("Error: {text}"));
        }
        let content = match self.cache(part.cache.as_ref(), at) {
            (None, None) => ContentOut::Text(text),
            (cache_control, prompt_cache_breakpoint) => {
                let body = BodyOut::Own(json!({ "type": "text", "text": text }));
                ContentOut::Parts(vec![PartOut { body, cache_control, prompt_cache_breakpoint, extra: None }])
            }
        };
        self.losses.add_foreign(at, &part.extra, NAME);
        MessageOut {
            role: "tool",
            content: Some(content),
            name: name.as_deref().filter(|_| !self.quirks.refuses("name")),
            tool_call_id: Some(id),
            extra: part.extra.of(NAME),
            ..MessageOut::default()
        }
    }

    fn assistant(&mut self, message: &'a Message, at: &str) -> MessageOut<'a> {
        let mut out = MessageOut { role: "assistant", ..MessageOut::default() };
        let mut said: Vec<(usize, &'a Part)> = Vec::new();
        let mut spoken: Option<&'a str> = None;
        let calls = message.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let replay = match self.quirks.reasoning_replay {
            ReasoningReplay::Never => false,
            ReasoningReplay::Tools | ReasoningReplay::Required => calls,
            ReasoningReplay::Always => true,
        };
        for (index, part) in message.parts.iter().enumerate() {
            let at = format!("{at}.parts[{index}]");
            match &part.content {
                Content::Reasoning { text, .. } => self.reasoning(part, text, replay, &at, &mut out),
                Content::ToolCall { id, name, arguments } => {
                    out.tool_calls.push(self.call(part, id, name, arguments, &at));
                }
                Content::Refusal { text } if out.refusal.is_none() => out.refusal = Some(text),
                Content::Audio { id: Some(id), .. } => out.audio = Some(json!({ "id": id })),
                Content::Audio { transcript: Some(text), .. } => {
                    self.losses.add(at, "only its transcript is sent");
                    spoken = Some(text);
                }
                _ => said.push((index, part)),
            }
        }
        if !said.is_empty() {
            out.content = Some(join(self.content(said.into_iter(), at)));
        }
        if self.quirks.reasoning_replay == ReasoningReplay::Required && calls && out.reasoning_content.is_empty() {
            out.reasoning_content.push(' ');
        }
        if let (None, Some(text)) = (&out.content, spoken) {
            out.content = Some(ContentOut::Text(Cow::Borrowed(text)));
        }
        if out.content.is_none() {
            let silent = out.tool_calls.is_empty() && out.refusal.is_none() && out.audio.is_none();
            out.content = Some(if silent { ContentOut::Text(Cow::Borrowed("")) } else { ContentOut::Null(()) });
        }
        if !out.think.is_empty() {
            let think = format!("<think>{}</think>\n\n", out.think);
            out.content = out.content.map(|content| content.after(think));
        }
        out
    }

    fn reasoning(&mut self, part: &'a Part, text: &'a str, replay: bool, at: &str, out: &mut MessageOut<'a>) {
        let own = part.signature.as_ref().filter(|signature| signature.owner == NAME);
        if own.is_none() && part.signature.is_some() {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        if let Some(signature) = own {
            let detail = detail_out(part, Some(signature.value.clone()), out.reasoning_details.len());
            out.reasoning_details.extend(detail);
        }
        if replay {
            match self.quirks.reasoning_field {
                ReasoningField::ReasoningContent => out.reasoning_content.push_str(text),
                ReasoningField::Reasoning => out.reasoning.push_str(text),
                ReasoningField::Think => out.think.push_str(text),
                ReasoningField::Details if own.is_some() => {}
                ReasoningField::Details => {
                    let detail = detail_out(part, None, out.reasoning_details.len());
                    out.reasoning_details.extend(detail);
                }
            }
        } else if own.is_none() {
            self.losses.add(at.to_owned(), "this provider does not take thinking back");
        }
    }

    fn call(&mut self, part: &'a Part, id: &'a str, name: &'a str, arguments: &'a str, at: &str) -> CallOut<'a> {
        let own = part.extra.of(NAME);
        let declared = self.request.tools.iter().find(|tool| tool.name == name);
        let is_custom = match declared.map(|tool| &tool.kind) {
            Some(ToolKind::Custom { .. }) => true,
            Some(_) => false,
            None => own.is_some_and(|extra| extra.get("type").is_some_and(|kind| kind == "custom")),
        };
        let extra_content = own.and_then(|extra| extra.get("extra_content").cloned());
        if extra_content.is_none() && part.signature.is_some() {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        CallOut::new(id, name, arguments, is_custom && !self.quirks.refuses("tools.custom"), extra_content)
    }

    /// Text alone stays text; everything else is a list.
    fn content(&mut self, parts: impl Iterator<Item = (usize, &'a Part)>, at: &str) -> ContentOut<'a> {
        let mut list: Vec<PartOut<'a>> = Vec::new();
        for (index, part) in parts {
            list.extend(self.part(part, &format!("{at}.parts[{index}]")));
        }
        match list.as_slice() {
            [] => ContentOut::Text(Cow::Borrowed("")),
            [PartOut { body: BodyOut::Text { text }, cache_control: None, prompt_cache_breakpoint: None, extra: None }] => {
                ContentOut::Text(Cow::Borrowed(text))
            }
            _ => ContentOut::Parts(list),
        }
    }

    fn part(&mut self, part: &'a Part, at: &str) -> Option<PartOut<'a>> {
        let Some(body) = self.body(part, at) else {
            self.losses.add(at.to_owned(), format!("{NAME} has no such content"));
            return None;
        };
        self.losses.add_foreign(at, &part.extra, NAME);
        if part.signature.is_some() {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        let (cache_control, prompt_cache_breakpoint) = self.cache(part.cache.as_ref(), at);
        Some(PartOut { body, cache_control, prompt_cache_breakpoint, extra: part.extra.of(NAME) })
    }

    fn body(&mut self, part: &'a Part, at: &str) -> Option<BodyOut<'a>> {
        Some(match &part.content {
            Content::Text { text, .. } => BodyOut::Text { text },
            Content::Refusal { text } => BodyOut::Refusal { refusal: text },
            Content::Image { source: Source::Url { .. }, .. } if self.quirks.refuses("image_url") => return None,
            Content::Image { source: Source::Base64 { .. }, .. } if self.quirks.refuses("image_base64") => return None,
            Content::Video { .. } if self.quirks.refuses("video") => return None,
            Content::Audio { .. } if self.quirks.refuses("audio") => return None,
            Content::Document { .. } if self.quirks.refuses("file") => return None,
            Content::Image { source, detail } => {
                BodyOut::ImageUrl { image_url: UrlOut { url: DataUrl::new(source)?, detail: detail.as_deref() } }
            }
            Content::Video { source } => BodyOut::VideoUrl { video_url: UrlOut { url: DataUrl::new(source)?, detail: None } },
            Content::Audio { source: Source::Base64 { media_type, data }, .. } => {
                BodyOut::InputAudio { input_audio: AudioOut { data, format: audio_format(media_type) } }
            }
            Content::Document { source, title, cite } => {
                if cite.is_some() {
                    self.losses.add(format!("{at}.cite"), format!("{NAME} has no citations of documents"));
                }
                let filename = title.as_deref();
                match source {
                    Source::File { id } => BodyOut::File { file: FileOut { filename, file_data: None, file_id: Some(id) } },
                    Source::Text { text } => {
                        if title.is_some() {
                            self.losses.add(format!("{at}.title"), "sent as plain text");
                        }
                        BodyOut::Text { text }
                    }
                    Source::Url { .. } => return None,
                    Source::Base64 { .. } => {
                        let filename = Some(filename.unwrap_or("document.pdf"));
                        BodyOut::File { file: FileOut { filename, file_data: DataUrl::new(source), file_id: None } }
                    }
                }
            }
            Content::Foreign { from, value } if *from == NAME => BodyOut::Own(value.value()),
            _ => return None,
        })
    }

    /// A cache marker in the provider's words: `cache_control`, `prompt_cache_breakpoint`, or none.
    fn cache(&mut self, mark: Option<&CacheMark>, at: &str) -> (Option<Value>, Option<Value>) {
        let Some(mark) = mark else { return (None, None) };
        if self.quirks.accepts("cache_control") {
            return (Some(cache_control(mark)), None);
        }
        if self.quirks.accepts("prompt_cache_breakpoint") {
            return (None, Some(cache_breakpoint(mark)));
        }
        self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        (None, None)
    }
}

impl ContentOut<'_> {
    /// The same with a text before it.
    fn after(self, front: String) -> Self {
        match self {
            ContentOut::Null(()) => ContentOut::Text(Cow::Owned(front)),
            ContentOut::Text(text) => ContentOut::Text(Cow::Owned(front + &text)),
            ContentOut::Parts(mut parts) => {
                parts.insert(0, PartOut::plain(BodyOut::Own(json!({ "type": "text", "text": front }))));
                ContentOut::Parts(parts)
            }
        }
    }
}

impl<'a> PartOut<'a> {
    fn plain(body: BodyOut<'a>) -> Self {
        PartOut { body, cache_control: None, prompt_cache_breakpoint: None, extra: None }
    }
}

/// An assistant's texts as one: many servers take nothing else in history.
fn join(content: ContentOut<'_>) -> ContentOut<'_> {
    let ContentOut::Parts(parts) = content else { return content };
    let plain = |part: &PartOut<'_>| {
        matches!(part, PartOut { body: BodyOut::Text { .. }, cache_control: None, prompt_cache_breakpoint: None, extra: None })
    };
    if !parts.iter().all(plain) {
        return ContentOut::Parts(parts);
    }
    let text = parts.iter().filter_map(|part| match &part.body {
        BodyOut::Text { text } => Some(*text),
        _ => None,
    });
    ContentOut::Text(Cow::Owned(text.collect()))
}
