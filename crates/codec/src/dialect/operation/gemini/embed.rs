//! `:embedContent` for one text, `:batchEmbedContents` for several.

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::super::fault::read_json;
use super::super::super::gemini::path::{self, Verb};
use super::super::{GEMINI, Told, Wire, unsupported};
use super::read_object;
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Embed, EmbedInput, Embeddings, Purpose, Truncate};
use crate::loss::Losses;

/// Embeddings.
pub(in super::super) struct Embeds;

/// Most texts in one request.
const MOST: usize = 100;

const PURPOSES: [(Purpose, &str); 8] = [
    (Purpose::Query, "RETRIEVAL_QUERY"),
    (Purpose::Document, "RETRIEVAL_DOCUMENT"),
    (Purpose::Similarity, "SEMANTIC_SIMILARITY"),
    (Purpose::Classification, "CLASSIFICATION"),
    (Purpose::Clustering, "CLUSTERING"),
    (Purpose::Question, "QUESTION_ANSWERING"),
    (Purpose::FactCheck, "FACT_VERIFICATION"),
    (Purpose::CodeQuery, "CODE_RETRIEVAL_QUERY"),
];

/// One request as callers write it, in either spelling.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct One {
    content: Option<Content>,
    #[serde(flatten)]
    config: Config,
    #[serde(alias = "embed_content_config")]
    embed_content_config: Option<Config>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Content {
    parts: Vec<Part>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    text: Option<String>,
    #[serde(alias = "inline_data")]
    inline_data: Option<Blob>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Blob {
    #[serde(alias = "mime_type")]
    mime_type: String,
    data: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    #[serde(alias = "task_type")]
    task_type: Option<String>,
    title: Option<String>,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<u32>,
    #[serde(alias = "auto_truncate")]
    auto_truncate: Option<bool>,
}

impl Config {
    /// This, and what the older place says where this says nothing.
    fn or(self, older: Config) -> Self {
        Config {
            task_type: self.task_type.or(older.task_type),
            title: self.title.or(older.title),
            output_dimensionality: self.output_dimensionality.or(older.output_dimensionality),
            auto_truncate: self.auto_truncate.or(older.auto_truncate),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Batch {
    requests: Vec<One>,
}

fn read_content(content: Option<Content>, at: &str) -> Result<EmbedInput> {
    let parts = content.map(|content| content.parts).unwrap_or_default();
    if let [Part { text: None, inline_data: Some(blob) }] = parts.as_slice() {
        return Ok(EmbedInput::Image(format!("data:{};base64,{}", blob.mime_type, blob.data)));
    }
    if parts.iter().any(|part| part.inline_data.is_some()) {
        return Err(unsupported("this model is reached by translation, which takes a text or a picture, not both", "content"));
    }
    if parts.iter().all(|part| part.text.is_none()) {
        return Err(Error::bad_request(format!("{at} is required")).at(at));
    }
    Ok(EmbedInput::Text(parts.into_iter().filter_map(|part| part.text).collect()))
}

fn write_content(input: &EmbedInput) -> Result<Value> {
    let part = match input {
        EmbedInput::Text(text) => json!({ "text": text }),
        EmbedInput::Tokens(_) => return Err(unsupported("this provider's dialect takes no tokens; send the texts", "input")),
        EmbedInput::Image(url) => {
            let (media, data) = url
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once(";base64,"))
                .ok_or_else(|| unsupported("this provider's dialect takes pictures as data: URIs only", "input"))?;
            json!({ "inlineData": { "mimeType": media, "data": data } })
        }
    };
    Ok(json!({ "parts": [part] }))
}

fn write_one(wanted: &Embed, input: &EmbedInput) -> Result<Value> {
    let mut one = Map::new();
    one.insert("model".to_owned(), Value::from(path::resource(&wanted.model)));
    one.insert("content".to_owned(), write_content(input)?);
    let purpose = PURPOSES.iter().find(|(purpose, _)| Some(*purpose) == wanted.purpose);
    one.extend(purpose.map(|(_, word)| ("taskType".to_owned(), Value::from(*word))));
    one.extend(wanted.title.as_ref().map(|title| ("title".to_owned(), Value::from(title.as_str()))));
    one.extend(wanted.dimensions.map(|length| ("outputDimensionality".to_owned(), Value::from(length))));
    if let Some(truncate) = wanted.truncate {
        one.insert("embedContentConfig".to_owned(), json!({ "autoTruncate": truncate != Truncate::None }));
    }
    one.extend(wanted.extra.of(GEMINI).cloned().unwrap_or_default());
    Ok(Value::Object(one))
}

/// A provider's answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    embedding: Option<Values>,
    #[serde(default)]
    embeddings: Vec<Values>,
    #[serde(default)]
    usage_metadata: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Values {
    values: Vec<f32>,
}

/// An answer to a caller; numbers are written as short as `f32` allows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<ValuesOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<ValuesOut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ValuesOut<'a> {
    values: &'a [f32],
}

impl Wire<Embed> for Embeds {
    fn write_request(&self, wanted: &Embed, quirks: &Quirks) -> Result<Outgoing> {
        let mut losses = Losses::default();
        if wanted.truncate == Some(Truncate::Start) {
            losses.add("truncate", "only the end of a text can be cut");
        }
        losses.add_if_some(&wanted.user, "user", "this dialect has no users");
        losses.add_foreign("", &wanted.extra, GEMINI);
        let (verb, body) = match wanted.inputs.as_slice() {
            [one] => (Verb::Embed, write_one(wanted, one)?),
            many => {
                let requests = many.iter().map(|input| write_one(wanted, input)).collect::<Result<Vec<_>>>()?;
                (Verb::EmbedBatch, json!({ "requests": requests }))
            }
        };
        let path = path::write(&wanted.model, verb, quirks)?;
        Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body: body.to_string().into_bytes(), losses })
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Embeddings> {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            read_object(body, &["embedding", "embeddings"])?;
            return Err(Error::malformed("the provider's answer holds no embeddings").with_raw(body));
        };
        if answer.embedding.is_none() && answer.embeddings.is_empty() {
            read_object(body, &["embedding", "embeddings"])?;
        }
        let vectors = answer.embedding.into_iter().chain(answer.embeddings).map(|one| one.values).collect();
        let usage = answer.usage_metadata.as_ref().and_then(super::super::usage::read);
        Ok(Embeddings { id: String::new(), model: String::new(), vectors, usage })
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<Embed> {
        let (model, verb) = path::read(head.path)?;
        let single = verb == Verb::Embed;
        let requests = if single { vec![read_json(body, "")?] } else { read_json::<Batch>(body, "")?.requests };
        let mut wanted = Embed { model, single, ..Embed::default() };
        let mut agreed: Option<Config> = None;
        for (index, one) in requests.into_iter().enumerate() {
            let config = one.embed_content_config.unwrap_or_default().or(one.config);
            if agreed.as_ref().is_some_and(|agreed| *agreed != config) {
                let what = "this model is reached by translation, which takes the same settings for all requests of a batch";
                return Err(unsupported(what, "requests"));
            }
            agreed = Some(config);
            let at = if single { "content".to_owned() } else { format!("requests[{index}].content") };
            wanted.inputs.push(read_content(one.content, &at)?);
        }
        let config = agreed.ok_or_else(|| Error::bad_request("requests is required").at("requests"))?;
        let purpose = PURPOSES.iter().find(|(_, word)| Some(*word) == config.task_type.as_deref());
        wanted.purpose = purpose.map(|(purpose, _)| *purpose);
        wanted.title = config.title;
        wanted.dimensions = config.output_dimensionality;
        wanted.truncate = config.auto_truncate.map(|end| if end { Truncate::End } else { Truncate::None });
        Ok(wanted)
    }

    fn write_answer(&self, wanted: &Embed, answer: &Embeddings, _: &Cx) -> Told {
        let mut vectors = answer.vectors.iter().map(|vector| ValuesOut { values: vector });
        let (embedding, embeddings) = if wanted.single { (vectors.next(), None) } else { (None, Some(vectors.collect())) };
        let usage_metadata = answer.usage.map(|usage| json!({ "promptTokenCount": usage.input }));
        Told::json(&AnswerOut { embedding, embeddings, usage_metadata })
    }

    fn most(&self, _: &Embed) -> usize {
        MOST
    }
}
