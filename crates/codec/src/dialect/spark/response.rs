//! Messages of an answer.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::openai_chat::wire::{Answer, Choice, Content, Function, Said, Scalar, Tokens};
use super::error::read_error_within;
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    header: Option<Header<'a>>,
    #[serde(borrow)]
    payload: Option<Payload<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header<'a> {
    #[serde(borrow)]
    code: Option<Scalar<'a>>,
    #[serde(borrow)]
    sid: Option<Scalar<'a>>,
    #[serde(borrow)]
    status: Option<Scalar<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload<'a> {
    #[serde(borrow)]
    choices: Option<Choices<'a>>,
    usage: Option<Usage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choices<'a> {
    #[serde(borrow)]
    status: Option<Scalar<'a>>,
    #[serde(borrow)]
    text: Option<Vec<Text<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text<'a> {
    #[serde(borrow)]
    content: Option<Scalar<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Scalar<'a>>,
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
    #[serde(borrow)]
    index: Option<Scalar<'a>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Usage {
    text: Option<Tokens>,
}

/// The status of the last message.
const LAST: i64 = 2;

/// Reads a message; a code that is not zero is an `Err`.
pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let malformed = |fault| Error::malformed(format!("the answer cannot be read: {fault}")).with_raw(body);
    let message: Message<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let header = message.header.unwrap_or_default();
    if header.code.as_ref().and_then(Scalar::number).unwrap_or(0) != 0 {
        return Err(read_error_within(body));
    }
    let payload = message.payload.unwrap_or_default();
    let choices = payload.choices.unwrap_or_default();
    let is_last = [&header.status, &choices.status].into_iter().flatten().any(|status| status.number() == Some(LAST));
    let mut read: Vec<Choice<'_>> = choices.text.unwrap_or_default().into_iter().map(read_text).collect();
    if is_last {
        if read.is_empty() {
            read.push(Choice::default());
        }
        read.iter_mut().for_each(|choice| choice.finish_reason = Some(Scalar::Text(Cow::Borrowed("stop"))));
    }
    let usage = payload.usage.and_then(|usage| usage.text);
    Ok(Answer { id: header.sid, choices: Some(read), usage, ..Answer::default() })
}

fn read_text(text: Text<'_>) -> Choice<'_> {
    let content = text.content.as_ref().and_then(Scalar::text).map(|text| Content::Text(text.to_owned()));
    let said = Said { content, reasoning_content: text.reasoning_content, function_call: text.function_call, ..Said::default() };
    Choice { index: text.index, message: Some(Box::new(said)), ..Choice::default() }
}
