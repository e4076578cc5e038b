//! `POST /api/embed` and the older `/api/embeddings`, which takes one text under another name.

use http::{HeaderMap, Method};
use serde::Deserialize;

use super::super::fields::Fields;
use super::super::object::Object;
use super::{OLLAMA, Told, Wire, provider_path, unsupported};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Embed, EmbedInput, Embeddings, Truncate, Usage};
use crate::loss::Losses;

/// Embeddings.
pub(super) struct Embeds;

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    model: String,
    #[serde(default)]
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    error: Option<String>,
}

impl Wire<Embed> for Embeds {
    fn write_request(&self, wanted: &Embed, _: &Quirks) -> Result<Outgoing> {
        let mut losses = Losses::default();
        let texts = wanted.inputs.iter().map(|input| {
            input.text().ok_or_else(|| unsupported("this provider's dialect embeds texts, not tokens or pictures", "input"))
        });
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        body.put("input", &texts.collect::<Result<Vec<_>>>()?);
        body.put_some("dimensions", wanted.dimensions.as_ref());
        match wanted.truncate {
            Some(Truncate::Start) => losses.add("truncate", "only the end of a text can be cut"),
            Some(truncate) => body.put("truncate", &(truncate == Truncate::End)),
            None => {}
        }
        losses.add_if_some(&wanted.purpose, "purpose", "this dialect does not say what vectors are for");
        losses.add_if_some(&wanted.title, "title", "this dialect has no titles");
        losses.add_if_some(&wanted.user, "user", "this dialect has no users");
        match wanted.extra.of(OLLAMA) {
            Some(fields) => body.put_all(fields),
            None => losses.add_foreign("", &wanted.extra, OLLAMA),
        }
        let path = provider_path(OLLAMA, Operation::Embed).to_owned();
        Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.finish(), losses })
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Embeddings> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the provider's answer holds no embeddings").with_raw(body))?;
        if let Some(error) = answer.error {
            return Err(Error::new(Kind::Server, Origin::Provider, error).with_raw(body));
        }
        let vectors = answer.embeddings.into_iter().chain(answer.embedding).collect();
        let usage = answer.prompt_eval_count.map(|input| Usage { input, ..Usage::default() });
        Ok(Embeddings { id: String::new(), model: answer.model, vectors, usage })
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<Embed> {
        let mut fields = Fields::read(body, "")?;
        // The older path answers with one vector, the newer one always with a list.
        let single = head.path.ends_with("/embeddings");
        let inputs = if single {
            vec![EmbedInput::Text(fields.need("prompt")?)]
        } else {
            let raw: &serde_json::value::RawValue = fields.need("input")?;
            let wrong = |_| Error::bad_request("input: expected a string or a list of strings").at("input");
            match serde_json::from_str(raw.get()).map_err(wrong)? {
                Input::One(text) => vec![EmbedInput::Text(text)],
                Input::Many(texts) => texts.into_iter().map(EmbedInput::Text).collect(),
            }
        };
        let truncate = fields.take::<bool>("truncate")?.map(|end| if end { Truncate::End } else { Truncate::None });
        Ok(Embed {
            model: fields.take("model")?.unwrap_or_default(),
            inputs,
            single,
            dimensions: fields.take("dimensions")?,
            truncate,
            extra: fields.rest(OLLAMA),
            ..Embed::default()
        })
    }

    fn write_answer(&self, wanted: &Embed, answer: &Embeddings, cx: &Cx) -> Told {
        let mut body = Object::with_capacity(1024);
        if wanted.single {
            body.put("embedding", &answer.vectors.first());
        } else {
            body.put("model", if answer.model.is_empty() { &cx.model } else { &answer.model });
            body.put("embeddings", &answer.vectors);
            body.put("total_duration", &0);
            body.put("load_duration", &0);
            body.put_some("prompt_eval_count", answer.usage.map(|usage| usage.input).as_ref());
        }
        Told { media: "application/json".into(), body: body.finish() }
    }
}
