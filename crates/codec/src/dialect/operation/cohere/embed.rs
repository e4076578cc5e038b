//! `POST /v2/embed`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::number::{Vector, read_vector};
use super::super::{COHERE, Told, Wire, unsupported};
use super::{outgoing, read_object, write_meta};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Embed, EmbedInput, Embeddings, Purpose, Truncate};
use crate::loss::Losses;

/// Embeddings.
pub(in super::super) struct Embeds;

/// Most texts in one request.
const MOST: usize = 96;

/// The words that there are for what vectors are for.
const PURPOSES: [(Purpose, &str); 8] = [
    (Purpose::Document, "search_document"),
    (Purpose::Query, "search_query"),
    (Purpose::Classification, "classification"),
    (Purpose::Clustering, "clustering"),
    // The nearest, for purposes that it has no word of its own for; read as the first of that word.
    (Purpose::Similarity, "clustering"),
    (Purpose::Question, "search_query"),
    (Purpose::FactCheck, "search_query"),
    (Purpose::CodeQuery, "search_query"),
];

const TRUNCATES: [(Truncate, &str); 3] = [(Truncate::None, "NONE"), (Truncate::Start, "START"), (Truncate::End, "END")];

fn write_purpose(wanted: &Embed, is_image: bool) -> &'static str {
    if is_image {
        return "image";
    }
    // It must be named; what is put into an index is what is embedded most.
    let found = PURPOSES.iter().find(|(purpose, _)| Some(*purpose) == wanted.purpose);
    found.map_or("search_document", |(_, word)| word)
}

/// The inputs under the name of their kind; a mixture is a list of contents.
fn write_inputs(wanted: &Embed, body: &mut Object) -> Result<bool> {
    let texts: Option<Vec<&str>> = wanted.inputs.iter().map(EmbedInput::text).collect();
    if let Some(texts) = texts {
        body.put("texts", &texts);
        return Ok(false);
    }
    let contents = wanted.inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => Ok(json!({ "content": [{ "type": "text", "text": text }] })),
        EmbedInput::Image(url) => Ok(json!({ "content": [{ "type": "image_url", "image_url": { "url": url } }] })),
        EmbedInput::Tokens(_) => Err(unsupported("this provider's dialect takes no tokens; send the texts", "input")),
    });
    body.put("inputs", &contents.collect::<Result<Vec<_>>>()?);
    Ok(wanted.inputs.iter().all(|input| matches!(input, EmbedInput::Image(_))))
}

fn read_content(index: usize, input: &Value) -> Result<EmbedInput> {
    let at = format!("inputs[{index}]");
    match input.get("content").and_then(Value::as_array).map(Vec::as_slice) {
        Some([part]) => {
            let text = part.get("text").and_then(Value::as_str).map(|text| EmbedInput::Text(text.to_owned()));
            let image = part.pointer("/image_url/url").and_then(Value::as_str).map(|url| EmbedInput::Image(url.to_owned()));
            text.or(image).ok_or_else(|| Error::bad_request(format!("{at}.content[0]: expected text or image_url")).at(at))
        }
        Some([_, _, ..]) => Err(unsupported("this model is reached by translation, which takes one part an input", "inputs")),
        _ => Err(Error::bad_request(format!("{at}.content: expected a list of parts")).at(at)),
    }
}

fn read_inputs(fields: &mut Fields<'_>) -> Result<Vec<EmbedInput>> {
    let mut inputs: Vec<EmbedInput> = Vec::new();
    let texts: Option<Vec<String>> = fields.take("texts")?;
    inputs.extend(texts.into_iter().flatten().map(EmbedInput::Text));
    let images: Option<Vec<String>> = fields.take("images")?;
    inputs.extend(images.into_iter().flatten().map(EmbedInput::Image));
    let contents: Option<Vec<Value>> = fields.take("inputs")?;
    for (index, content) in contents.iter().flatten().enumerate() {
        inputs.push(read_content(index, content)?);
    }
    if inputs.is_empty() {
        return Err(Error::bad_request("texts is required").at("texts"));
    }
    Ok(inputs)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    meta: Option<Value>,
    #[serde(borrow)]
    embeddings: &'a RawValue,
}

#[derive(Deserialize)]
struct ByType<'a> {
    #[serde(borrow, default)]
    float: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    base64: Option<Vec<&'a RawValue>>,
}

/// `{"float": [[…]]}`, or without types `[[…]]`.
fn read_vectors(embeddings: &RawValue) -> Result<Vec<Vec<f32>>> {
    let wrong = || Error::malformed("the provider's answer holds no embeddings as float");
    let rows: Vec<&RawValue> = if embeddings.get().starts_with('[') {
        serde_json::from_str(embeddings.get()).map_err(|_| wrong())?
    } else {
        let by: ByType<'_> = serde_json::from_str(embeddings.get()).map_err(|_| wrong())?;
        by.float.or(by.base64).ok_or_else(wrong)?
    };
    rows.into_iter().map(read_vector).collect()
}

impl Wire<Embed> for Embeds {
    fn write_request(&self, wanted: &Embed, _: &Quirks) -> Result<Outgoing> {
        let mut losses = Losses::default();
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        let is_image = write_inputs(wanted, &mut body)?;
        body.put("input_type", write_purpose(wanted, is_image));
        body.put("embedding_types", &["float"]);
        body.put_some("output_dimension", wanted.dimensions.as_ref());
        let truncate = TRUNCATES.iter().find(|(truncate, _)| Some(*truncate) == wanted.truncate);
        body.put_some("truncate", truncate.map(|(_, word)| word));
        losses.add_if_some(&wanted.title, "title", "this dialect has no titles");
        losses.add_if_some(&wanted.user, "user", "this dialect has no users");
        Ok(outgoing(Operation::Embed, body, &wanted.extra, losses))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Embeddings> {
        let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
            read_object(body, "embeddings")?;
            return Err(Error::malformed("the provider's answer holds no embeddings").with_raw(body));
        };
        let vectors = read_vectors(answer.embeddings).map_err(|error| error.with_raw(body))?;
        let usage = answer.meta.as_ref().and_then(super::super::usage::read);
        Ok(Embeddings { id: answer.id, model: String::new(), vectors, usage })
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8]) -> Result<Embed> {
        let mut fields = Fields::read(body, "")?;
        let types: Vec<String> = fields.take("embedding_types")?.unwrap_or_default();
        let base64 = match types.as_slice() {
            [] => false,
            [one] if one == "float" => false,
            [one] if one == "base64" => true,
            _ => {
                let what = "embedding_types: this model is reached by translation, which gives float or base64 alone";
                return Err(unsupported(what, "embedding_types"));
            }
        };
        let word: Option<String> = fields.take("input_type")?;
        let purpose = word.and_then(|word| PURPOSES.iter().find(|(_, known)| *known == word));
        let truncate: Option<String> = fields.take("truncate")?;
        let truncate = truncate.and_then(|word| TRUNCATES.iter().find(|(_, known)| *known == word));
        Ok(Embed {
            model: fields.take("model")?.unwrap_or_default(),
            inputs: read_inputs(&mut fields)?,
            dimensions: fields.take("output_dimension")?,
            purpose: purpose.map(|(purpose, _)| *purpose),
            truncate: truncate.map(|(truncate, _)| *truncate),
            base64,
            extra: fields.rest(COHERE),
            ..Embed::default()
        })
    }

    fn write_answer(&self, wanted: &Embed, answer: &Embeddings, cx: &Cx) -> Told {
        let kind = if wanted.base64 { "base64" } else { "float" };
        let vectors: Vec<_> = answer.vectors.iter().map(|vector| Vector::new(vector, wanted.base64)).collect();
        let mut by_type = Object::with_capacity(1024);
        by_type.put(kind, &vectors);
        let mut body = Object::with_capacity(1024);
        body.put("id", if answer.id.is_empty() { &cx.id } else { &answer.id });
        body.put("embeddings", &by_type);
        body.put("texts", &wanted.inputs.iter().filter_map(EmbedInput::text).collect::<Vec<_>>());
        body.put("meta", &write_meta(answer.usage.as_ref(), None));
        body.put("response_type", "embeddings_by_type");
        Told { media: "application/json".into(), body: body.finish() }
    }

    fn most(&self, _: &Embed) -> usize {
        MOST
    }
}
