//! Answers, whole and in frames.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::openai_chat::wire::{Answer, Choice, Content, Many, Said, Scalar, Tokens, list_of};
use super::error::read_error_within;
use crate::error::{Error, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply<'a> {
    #[serde(borrow)]
    request_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    code: Option<Scalar<'a>>,
    #[serde(borrow)]
    output: Option<Output<'a>>,
    usage: Option<Tokens>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    text: Option<Scalar<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Scalar<'a>>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    search_info: Option<SearchInfo<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SearchInfo<'a> {
    #[serde(borrow)]
    search_results: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    url: Scalar<'a>,
}

/// Reads an answer or a frame of one; a code in it that means an error is an `Err`, whatever the status was.
pub(super) fn read_answer(body: &[u8]) -> Result<Answer<'_>> {
    let malformed = |fault| Error::malformed(format!("the answer cannot be read: {fault}")).with_raw(body);
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let code = reply.code.as_ref().and_then(Scalar::word).unwrap_or_default();
    if !matches!(code.as_str(), "" | "0" | "200" | "Success") {
        return Err(read_error_within(body));
    }
    let Some(output) = reply.output else { return Err(Error::malformed("the answer has no output").with_raw(body)) };
    let choices = output.choices.unwrap_or_else(|| vec![read_text(output.text, output.finish_reason)]);
    let found: Vec<Found<'_>> = list_of(output.search_info.and_then(|info| info.search_results));
    Ok(Answer {
        id: reply.request_id,
        choices: Some(choices),
        usage: reply.usage,
        citations: (!found.is_empty()).then(|| Many(found.into_iter().map(|found| found.url).collect())),
        ..Answer::default()
    })
}

/// The older form of an answer, which is text and nothing else.
fn read_text<'a>(text: Option<Scalar<'a>>, finish_reason: Option<Scalar<'a>>) -> Choice<'a> {
    let content = text.as_ref().and_then(Scalar::text).map(|text| Content::Text(text.to_owned()));
    let message = Some(Box::new(Said { content, ..Said::default() }));
    Choice { message, finish_reason, ..Choice::default() }
}
