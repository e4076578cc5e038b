//! Whole answers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use super::NAME;
use crate::dialect::Cx;
use crate::dialect::openai_chat::response::UsageOut;
use crate::ir::{Content, Finish, Part, Reason, Response, TokenLogprob};

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<ChoiceOut<'a>>,
    usage: Option<UsageOut>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct ChoiceOut<'a> {
    text: String,
    index: u32,
    logprobs: Option<ColumnsOut<'a>>,
    finish_reason: &'static str,
}

/// Writes a whole answer.
pub(super) fn write_response(response: &Response, cx: &Cx) -> Vec<u8> {
    let choices = response.choices.iter().map(|choice| ChoiceOut {
        text: choice.parts.iter().filter_map(text_of).collect(),
        index: choice.index,
        logprobs: ColumnsOut::new(&choice.logprobs, 0),
        finish_reason: write_finish(&choice.finish),
    });
    let reply = ReplyOut {
        id: match response.id.as_str() {
            "" => Cow::Owned(format!("cmpl-{}", cx.id)),
            id => Cow::Borrowed(id),
        },
        object: "text_completion",
        created: response.created.unwrap_or(cx.created),
        model: if response.model.is_empty() { &cx.model } else { &response.model },
        choices: choices.collect(),
        usage: response.usage.as_ref().map(UsageOut::new),
        extra: response.extra.of(NAME),
    };
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => Some(text),
        _ => None,
    }
}

/// The word for why an answer ended.
pub(super) fn write_finish(finish: &Finish) -> &'static str {
    match finish.reason {
        Reason::Length | Reason::ContextFull => "length",
        Reason::Filtered | Reason::Refusal => "content_filter",
        Reason::Failed => "error",
        Reason::Stop | Reason::StopSequence | Reason::Pause | Reason::ToolCalls => "stop",
    }
}

/// Token probabilities, in lists side by side.
#[derive(Debug, Serialize)]
pub(super) struct ColumnsOut<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Vec<Map<String, Value>>,
    text_offset: Vec<usize>,
}

impl<'a> ColumnsOut<'a> {
    /// `None` when there are none; `offset` is how many characters of the answer came before.
    pub(super) fn new(tokens: &'a [TokenLogprob], offset: usize) -> Option<Self> {
        let starts = tokens.iter().scan(offset, |at, token| {
            let start = *at;
            *at += token.token.chars().count();
            Some(start)
        });
        let tops = |token: &TokenLogprob| token.top.iter().map(|top| (top.token.clone(), top.logprob.into())).collect();
        (!tokens.is_empty()).then(|| ColumnsOut {
            tokens: tokens.iter().map(|token| token.token.as_str()).collect(),
            token_logprobs: tokens.iter().map(|token| token.logprob).collect(),
            top_logprobs: tokens.iter().map(tops).collect(),
            text_offset: starts.collect(),
        })
    }
}
