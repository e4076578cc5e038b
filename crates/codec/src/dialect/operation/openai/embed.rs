//! `POST /embeddings`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::number::{Vector, read_vector};
use super::super::{OPENAI, Told, Wire, unsupported};
use super::{outgoing, read_object};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Embed, EmbedInput, Embeddings};
use crate::loss::Losses;

/// Embeddings.
pub(in super::super) struct Embeds;

/// What `input` may be.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    Lists(Vec<Vec<u32>>),
}

fn read_input(raw: &RawValue) -> Result<(Vec<EmbedInput>, bool)> {
    const WHAT: &str = "input: expected a string, a list of strings, a list of token numbers or a list of such lists";
    let input = serde_json::from_str(raw.get()).map_err(|_| Error::bad_request(WHAT).at("input"))?;
    let (inputs, single) = match input {
        Input::One(text) => (vec![EmbedInput::Text(text)], true),
        Input::Texts(texts) => (texts.into_iter().map(EmbedInput::Text).collect(), false),
        Input::Tokens(tokens) => (vec![EmbedInput::Tokens(tokens)], true),
        Input::Lists(lists) => (lists.into_iter().map(EmbedInput::Tokens).collect(), false),
    };
    if inputs.is_empty() {
        return Err(Error::bad_request("input is an empty list; send at least one text").at("input"));
    }
    Ok((inputs, single))
}

fn write_input(wanted: &Embed) -> Result<serde_json::Value> {
    let mut values = Vec::with_capacity(wanted.inputs.len());
    for input in &wanted.inputs {
        values.push(match input {
            EmbedInput::Text(text) => text.as_str().into(),
            EmbedInput::Tokens(tokens) => tokens.clone().into(),
            EmbedInput::Image(_) => return Err(unsupported("this provider's dialect embeds texts, not pictures", "input")),
        });
    }
    match values.pop() {
        Some(one) if values.is_empty() && wanted.single => Ok(one),
        last => Ok(values.into_iter().chain(last).collect()),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow)]
    data: Vec<Row<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Serialize)]
struct AnswerOut<'a> {
    object: &'static str,
    data: Vec<RowOut<'a>>,
    model: &'a str,
    usage: UsageOut,
}

#[derive(Serialize)]
struct RowOut<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
struct UsageOut {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl Wire<Embed> for Embeds {
    fn write_request(&self, wanted: &Embed, _: &Quirks) -> Result<Outgoing> {
        let mut losses = Losses::default();
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        body.put("input", &write_input(wanted)?);
        body.put_some("dimensions", wanted.dimensions.as_ref());
        body.put_some("user", wanted.user.as_ref());
        losses.add_if_some(&wanted.purpose, "purpose", "openai embeddings do not know what they are for");
        losses.add_if_some(&wanted.title, "title", "openai embeddings have no titles");
        losses.add_if_some(&wanted.truncate, "truncate", "openai embeddings refuse what is too long");
        Ok(outgoing(Operation::Embed, body, &wanted.extra, losses))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Embeddings> {
        let Ok(mut answer) = serde_json::from_slice::<Answer<'_>>(body) else {
            read_object(body)?;
            return Err(Error::malformed("the provider's answer holds no embeddings").with_raw(body));
        };
        answer.data.sort_by_key(|row| row.index);
        let vectors = answer.data.iter().map(|row| read_vector(row.embedding)).collect::<Result<_>>()?;
        let mut watch = super::super::Watch::new(OPENAI);
        watch.feed(body);
        let (id, model) = (answer.id.unwrap_or_default(), answer.model.unwrap_or_default());
        Ok(Embeddings { id, model, vectors, usage: watch.usage() })
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8]) -> Result<Embed> {
        let mut fields = Fields::read(body, "")?;
        let (inputs, single) = read_input(fields.need("input")?)?;
        let base64 = match fields.take::<String>("encoding_format")?.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                let what = format!("encoding_format: expected float or base64, found {other}");
                return Err(Error::bad_request(what).at("encoding_format"));
            }
        };
        Ok(Embed {
            model: fields.take("model")?.unwrap_or_default(),
            inputs,
            single,
            dimensions: fields.take("dimensions")?,
            base64,
            user: fields.take("user")?,
            extra: fields.rest(OPENAI),
            ..Embed::default()
        })
    }

    fn write_answer(&self, wanted: &Embed, answer: &Embeddings, cx: &Cx) -> Told {
        let input = answer.usage.map_or(0, |usage| usage.input);
        let rows = answer.vectors.iter().enumerate();
        let rows =
            rows.map(|(index, vector)| RowOut { object: "embedding", index, embedding: Vector::new(vector, wanted.base64) });
        Told::json(&AnswerOut {
            object: "list",
            data: rows.collect(),
            model: if answer.model.is_empty() { &cx.model } else { &answer.model },
            usage: UsageOut { prompt_tokens: input, total_tokens: input },
        })
    }
}
