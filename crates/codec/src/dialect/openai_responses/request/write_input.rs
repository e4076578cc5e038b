//! The conversation of a request as a provider is sent it: every call, result and thought is an item of its own.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::{NAME, seal};
use crate::catalog::{Quirks, ReasoningReplay, SystemRole};
use crate::dialect::openai_chat::free_text::unwrap_input;
use crate::dialect::openai_chat::request::cache_breakpoint;
use crate::dialect::openai_chat::response::DataUrl;
use crate::ir::{CacheMark, Content, Message, Part, Raw, Request, Role, Source, ToolKind};
use crate::loss::Losses;

/// An item.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ItemOut<'a> {
    Known(Box<KnownOut<'a>>),
    Own(&'a Raw),
}

#[derive(Default, Serialize)]
pub(super) struct KnownOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<ContentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentOut<'a> {
    Text(Cow<'a, str>),
    List(Vec<PieceOut<'a>>),
}

#[derive(Default, Serialize)]
struct PieceOut<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<DataUrl<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<DataUrl<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_breakpoint: Option<Value>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

impl<'a> KnownOut<'a> {
    fn of(kind: &'static str) -> Self {
        KnownOut { r#type: Some(kind), ..KnownOut::default() }
    }
}

/// What the writing of items needs to know and to tell.
struct Pen<'a, 'l> {
    request: &'a Request,
    quirks: &'a Quirks,
    losses: &'l mut Losses,
    out: Vec<ItemOut<'a>>,
}

/// Writes the conversation.
pub(super) fn write_input<'a>(request: &'a Request, quirks: &'a Quirks, losses: &mut Losses) -> Vec<ItemOut<'a>> {
    let mut pen = Pen { request, quirks, losses, out: Vec::with_capacity(request.messages.len()) };
    for (index, message) in request.messages.iter().enumerate() {
        pen.message(message, &format!("messages[{index}]"));
    }
    pen.out
}

impl<'a> Pen<'a, '_> {
    fn message(&mut self, message: &'a Message, at: &str) {
        if message.name.is_some() {
            self.losses.add(format!("{at}.name"), format!("{NAME} has no names"));
        }
        self.losses.add_foreign(at, &message.extra, NAME);
        let role = match (message.role, self.quirks.system_role) {
            (Role::User, _) => "user",
            (Role::Assistant, _) => "assistant",
            (Role::System, SystemRole::System) => "system",
            (Role::System, SystemRole::Developer) => "developer",
        };
        // Texts, pictures and files in a row are one message; whatever else stands between them is an item.
        let mut said: Vec<(&'a Part, String)> = Vec::new();
        for (index, part) in message.parts.iter().enumerate() {
            let at = format!("{at}.parts[{index}]");
            match self.item(part, &at, message) {
                Some(items) => {
                    self.say(role, &mut said, message);
                    self.out.extend(items);
                }
                None => said.push((part, at)),
            }
        }
        if message.parts.is_empty() {
            let content = Some(ContentOut::Text(Cow::Borrowed("")));
            return self.push(KnownOut { role: Some(role), content, ..KnownOut::default() });
        }
        self.say(role, &mut said, message);
    }

    fn push(&mut self, item: KnownOut<'a>) {
        self.out.push(ItemOut::Known(Box::new(item)));
    }

    /// A message of the pieces so far.
    fn say(&mut self, role: &'static str, said: &mut Vec<(&'a Part, String)>, message: &'a Message) {
        if said.is_empty() {
            return;
        }
        let is_answer = message.role == Role::Assistant;
        let mut list = Vec::with_capacity(said.len());
        for (part, at) in said.drain(..) {
            list.extend(self.piece(part, &at, is_answer));
        }
        if list.is_empty() {
            return;
        }
        let content = plain(list, is_answer);
        let extra = message.extra.of(NAME).cloned().unwrap_or_default();
        self.push(KnownOut { role: Some(role), content: Some(content), extra, ..KnownOut::default() });
    }

    /// The item that a part is; `None`: a piece of a message.
    fn item(&mut self, part: &'a Part, at: &str, message: &'a Message) -> Option<Option<ItemOut<'a>>> {
        let item = match &part.content {
            Content::Reasoning { text, .. } => match self.reasoning(part, text, at, message) {
                Some(item) => item,
                None => return Some(None),
            },
            Content::ToolCall { id, name, arguments } => {
                self.note_signature(part, at);
                self.call(part, id, name, arguments)
            }
            Content::ToolResult { id, parts, failed, .. } => self.result(part, id, parts, *failed, at),
            Content::Foreign { from, value } if *from == NAME => return Some(Some(ItemOut::Own(value))),
            Content::Image { source: Source::Base64 { media_type, data }, .. } if message.role == Role::Assistant => KnownOut {
                status: Some("completed"),
                result: Some(data),
                extra: picture(part, media_type),
                ..KnownOut::of("image_generation_call")
            },
            _ => return None,
        };
        Some(Some(ItemOut::Known(Box::new(item))))
    }

    /// Thinking goes back to its maker with its state; what others thought goes along only where that is wanted.
    fn reasoning(&mut self, part: &'a Part, text: &'a str, at: &str, message: &Message) -> Option<KnownOut<'a>> {
        let own = part.signature.as_ref().filter(|signature| signature.owner == NAME);
        if own.is_none() && part.signature.is_some() {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
        let extra = part.extra.of(NAME).cloned().unwrap_or_default();
        let calls = || message.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let replay = match self.quirks.reasoning_replay {
            ReasoningReplay::Never => false,
            ReasoningReplay::Tools | ReasoningReplay::Required => calls(),
            ReasoningReplay::Always => true,
        };
        if own.is_none() && extra.is_empty() && !replay {
            self.losses.add(at.to_owned(), "this provider does not take thinking back");
            return None;
        }
        let mut item = KnownOut::of("reasoning");
        let is_content = own.is_none() && extra.is_empty() && !text.is_empty();
        if is_content {
            let piece = json!([{ "type": "reasoning_text", "text": text }]);
            item.extra.insert("content".to_owned(), piece);
        }
        let in_summary = !text.is_empty() && !is_content && !extra.contains_key("content");
        if !extra.contains_key("summary") {
            item.summary = Some(in_summary.then(|| json!({ "type": "summary_text", "text": text })).into_iter().collect());
        }
        if let Some(signature) = own {
            let (id, state) = seal::split(&signature.value);
            item.id = Some(id).filter(|id| !id.is_empty());
            item.encrypted_content = Some(state);
        }
        item.extra.extend(extra);
        Some(item)
    }

    fn note_signature(&mut self, part: &Part, at: &str) {
        if part.signature.is_some() {
            self.losses.add(format!("{at}.signature"), "only its maker understands it");
        }
    }

    fn is_custom(&self, name: &str, part: &Part) -> bool {
        let is_custom = match self.request.tools.iter().find(|tool| tool.name == name).map(|tool| &tool.kind) {
            Some(kind) => matches!(kind, ToolKind::Custom { .. }),
            None => part.extra.of(NAME).is_some_and(|extra| extra.get("type").is_some_and(|kind| kind == "custom_tool_call")),
        };
        is_custom && !self.quirks.refuses("tools.custom")
    }

    fn call(&mut self, part: &'a Part, id: &'a str, name: &'a str, arguments: &'a str) -> KnownOut<'a> {
        let mut extra = part.extra.of(NAME).cloned().unwrap_or_default();
        extra.remove("type");
        let item = KnownOut { call_id: Some(id), name: Some(name), extra, ..KnownOut::default() };
        if self.is_custom(name, part) {
            return KnownOut { r#type: Some("custom_tool_call"), input: Some(unwrap_input(arguments)), ..item };
        }
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        KnownOut { r#type: Some("function_call"), arguments: Some(arguments), ..item }
    }

    fn result(&mut self, part: &'a Part, id: &'a str, parts: &'a [Part], failed: bool, at: &str) -> KnownOut<'a> {
        let mut list = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            list.extend(self.piece(part, &format!("{at}.parts[{index}]"), false));
        }
        let mut output = plain(list, false);
        if failed {
            self.losses.add(format!("{at}.failed"), "said in the text instead");
            match &mut output {
                ContentOut::Text(text) => text.to_mut().insert_str(0, "Error: "),
                ContentOut::List(list) => {
                    list.insert(0, PieceOut { r#type: "input_text", text: Some("Error:"), ..PieceOut::default() })
                }
            }
        }
        if part.cache.is_some() {
            self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        }
        self.losses.add_foreign(at, &part.extra, NAME);
        let called = self.request.messages.iter().flat_map(|message| &message.parts).find_map(|part| match &part.content {
            Content::ToolCall { id: call, name, .. } if call == id => Some((name, part)),
            _ => None,
        });
        let kind = match called {
            Some((name, part)) if self.is_custom(name, part) => "custom_tool_call_output",
            _ => "function_call_output",
        };
        let extra = part.extra.of(NAME).cloned().unwrap_or_default();
        KnownOut { call_id: Some(id), output: Some(output), extra, ..KnownOut::of(kind) }
    }

    fn piece(&mut self, part: &'a Part, at: &str, is_answer: bool) -> Option<PieceOut<'a>> {
        let Some(mut piece) = self.body(part, at, is_answer) else {
            self.losses.add(at.to_owned(), format!("{NAME} has no such content"));
            return None;
        };
        self.losses.add_foreign(at, &part.extra, NAME);
        self.note_signature(part, at);
        piece.prompt_cache_breakpoint = self.cache(part.cache.as_ref(), at);
        piece.extra = part.extra.of(NAME);
        Some(piece)
    }

    fn body(&mut self, part: &'a Part, at: &str, is_answer: bool) -> Option<PieceOut<'a>> {
        let piece = |kind| PieceOut { r#type: kind, ..PieceOut::default() };
        let text = |text: &'a str| match is_answer {
            true => PieceOut { text: Some(text), annotations: Some([]), ..piece("output_text") },
            false => PieceOut { text: Some(text), ..piece("input_text") },
        };
        Some(match &part.content {
            Content::Text { text: said, .. } => text(said),
            Content::Refusal { text: said } if !is_answer => text(said),
            Content::Refusal { text } => PieceOut { refusal: Some(text), ..piece("refusal") },
            Content::Audio { transcript: Some(said), .. } => {
                self.losses.add(at.to_owned(), "only its transcript is sent");
                text(said)
            }
            _ if is_answer => return None,
            Content::Image { source, .. } if self.refuses_image(source) => return None,
            Content::Document { .. } if self.quirks.refuses("file") => return None,
            Content::Image { source, detail } => {
                let file_id = file_id(source);
                let image_url = DataUrl::new(source);
                if file_id.is_none() && image_url.is_none() {
                    return None;
                }
                PieceOut { image_url, file_id, detail: Some(detail.as_deref().unwrap_or("auto")), ..piece("input_image") }
            }
            Content::Document { source: Source::Text { text: said }, title, .. } => {
                if title.is_some() {
                    self.losses.add(format!("{at}.title"), "sent as plain text");
                }
                text(said)
            }
            Content::Document { source, title, cite } => {
                if cite.is_some() {
                    self.losses.add(format!("{at}.cite"), format!("{NAME} has no citations of documents"));
                }
                let file = PieceOut { filename: title.as_deref(), ..piece("input_file") };
                match source {
                    Source::Url { url, .. } => PieceOut { file_url: Some(url), ..file },
                    Source::File { id } => PieceOut { file_id: Some(id), ..file },
                    _ => {
                        let filename = file.filename.or(Some("document.pdf"));
                        PieceOut { filename, file_data: DataUrl::new(source), ..file }
                    }
                }
            }
            _ => return None,
        })
    }

    fn refuses_image(&self, source: &Source) -> bool {
        match source {
            Source::Url { .. } => self.quirks.refuses("image_url"),
            Source::Base64 { .. } => self.quirks.refuses("image_base64"),
            _ => false,
        }
    }

    fn cache(&mut self, mark: Option<&CacheMark>, at: &str) -> Option<Value> {
        let mark = mark?;
        if self.quirks.accepts("prompt_cache_breakpoint") {
            return Some(cache_breakpoint(mark));
        }
        self.losses.add(format!("{at}.cache"), "the provider caches by itself");
        None
    }
}

fn file_id(source: &Source) -> Option<&str> {
    match source {
        Source::File { id } => Some(id),
        _ => None,
    }
}

/// One plain text is written as such.
fn plain(list: Vec<PieceOut<'_>>, is_answer: bool) -> ContentOut<'_> {
    let kind = if is_answer { "output_text" } else { "input_text" };
    match list.as_slice() {
        [] => ContentOut::Text(Cow::Borrowed("")),
        [PieceOut { r#type, text: Some(text), prompt_cache_breakpoint: None, extra: None, .. }] if *r#type == kind => {
            ContentOut::Text(Cow::Borrowed(text))
        }
        _ => ContentOut::List(list),
    }
}

/// The fields of a picture that was made, but for the picture.
fn picture(part: &Part, media_type: &str) -> Map<String, Value> {
    let mut fields = part.extra.of(NAME).cloned().unwrap_or_default();
    let format = media_type.strip_prefix("image/").unwrap_or("png");
    fields.insert("output_format".to_owned(), format.into());
    fields
}
