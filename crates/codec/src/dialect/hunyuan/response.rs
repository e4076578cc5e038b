//! Answers, whole and in frames.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::openai_chat::wire::{self, Answer, Call, Content, Count, Details, Function, Many, Scalar, Tokens};
use super::error::read_error_within;
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Reply<'a> {
    /// Whole answers are wrapped; a few samples show them bare.
    #[serde(borrow)]
    response: Option<Box<Reply<'a>>>,
    #[serde(borrow)]
    id: Option<Scalar<'a>>,
    #[serde(borrow)]
    created: Option<Scalar<'a>>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_msg: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Choice<'a> {
    #[serde(borrow)]
    index: Option<Scalar<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Scalar<'a>>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Scalar<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ToolCall<'a> {
    #[serde(borrow)]
    index: Option<Scalar<'a>>,
    #[serde(borrow)]
    id: Option<Scalar<'a>>,
    #[serde(borrow)]
    function: Option<Called<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Called<'a> {
    #[serde(borrow)]
    name: Option<Scalar<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Usage {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<Cached>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Cached {
    cached_tokens: Option<Count>,
}

/// Reads an answer or a frame of one; an error in it is an `Err`, whatever the status was.
pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let malformed = |fault| Error::malformed(format!("the answer cannot be read: {fault}")).with_raw(body);
    let mut reply: Reply<'_> = serde_json::from_slice(body).map_err(malformed)?;
    if let Some(inner) = reply.response.take() {
        reply = *inner;
    }
    if let Some(error) = reply.error.or(reply.error_msg).filter(|error| error.get() != "null") {
        return Err(read_error_within(error.get(), body));
    }
    Ok(Answer {
        id: reply.id,
        created: reply.created,
        choices: reply.choices.map(|choices| choices.into_iter().map(plain_choice).collect()),
        usage: reply.usage.map(plain_usage),
        ..Answer::default()
    })
}

fn plain_choice(choice: Choice<'_>) -> wire::Choice<'_> {
    wire::Choice {
        index: choice.index,
        message: choice.message.map(|said| Box::new(plain_said(said))),
        delta: choice.delta.map(plain_said),
        finish_reason: choice.finish_reason,
        ..wire::Choice::default()
    }
}

fn plain_said(said: Said<'_>) -> wire::Said<'_> {
    let calls = said.tool_calls.map(|calls| Many(calls.into_iter().map(plain_call).collect()));
    wire::Said { content: said.content, reasoning_content: said.reasoning_content, tool_calls: calls, ..wire::Said::default() }
}

fn plain_call(call: ToolCall<'_>) -> Call<'_> {
    let function = call.function.map(|called| Function { name: called.name, arguments: called.arguments });
    Call { index: call.index, id: call.id, function, ..Call::default() }
}

fn plain_usage(usage: Usage) -> Tokens {
    let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens);
    Tokens {
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        total_tokens: usage.total_tokens,
        prompt_tokens_details: Some(Details { cached_tokens: cached, ..Details::default() }),
        ..Tokens::default()
    }
}
