//! `POST /rerank`, the shape that most servers of rerankers have in common: `{"model","query","documents","top_n",
//! "return_documents"}` to `{"results":[{"index","relevance_score","document"}]}`.

use serde_json::{Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::{OPENAI, Told, Wire};
use super::{outgoing, read_object, read_usage, text_of};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Document, Ranked, Ranking, Raw, Rerank};
use crate::loss::Losses;

/// Rerank.
pub(in super::super) struct Reranks;

/// Reads a list of documents: texts, or objects that have a `text`.
pub(in super::super) fn read_documents(raw: &[Raw]) -> Result<Vec<Document>> {
    let documents = raw.iter().enumerate().map(|(index, raw)| match raw.value() {
        Value::String(text) => Ok(Document { text, fields: None }),
        Value::Object(fields) => {
            let text = fields.get("text").and_then(Value::as_str).map(str::to_owned);
            let fields = Some(raw.clone()).filter(|_| fields.len() > 1 || text.is_none());
            Ok(Document { text: text.unwrap_or_else(|| raw.get().to_owned()), fields })
        }
        _ => {
            let at = format!("documents[{index}]");
            Err(Error::bad_request(format!("{at}: expected a string or an object with a text")).at(at))
        }
    });
    let documents: Vec<Document> = documents.collect::<Result<_>>()?;
    if documents.is_empty() {
        return Err(Error::bad_request("documents is an empty list; send at least one").at("documents"));
    }
    Ok(documents)
}

/// Reads the results of an answer, by any of the names that they are known to have.
pub(in super::super) fn read_results(answer: &Value) -> Result<Vec<Ranked>> {
    let inner = answer.get("output").unwrap_or(answer);
    let rows = inner.get("results").or_else(|| inner.get("data")).and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Error::malformed("the provider's answer holds no results"))?;
    let results = rows.iter().map(|row| {
        let score = row.get("relevance_score").or_else(|| row.get("score")).and_then(Value::as_f64);
        let index = row.get("index").and_then(Value::as_u64);
        let (Some(index), Some(score)) = (index, score) else {
            return Err(Error::malformed("a result in the provider's answer has no index or no score"));
        };
        let document = row.get("document");
        let text = document.and_then(|document| document.as_str().map(str::to_owned).or_else(|| text_of(document, "text")));
        Ok(Ranked { index, score, text })
    });
    results.collect()
}

/// A document's text for a caller who wants it repeated.
pub(in super::super) fn repeated(wanted: &Rerank, result: &Ranked) -> Option<String> {
    let sent = || wanted.documents.get(usize::try_from(result.index).ok()?).map(|document| document.text.clone());
    (wanted.repeat == Some(true)).then(|| result.text.clone().or_else(sent)).flatten()
}

impl Wire<Rerank> for Reranks {
    fn write_request(&self, wanted: &Rerank, _: &Quirks) -> Result<Outgoing> {
        let documents = wanted.documents.iter().map(|document| match &document.fields {
            Some(fields) => fields.value(),
            None => Value::from(document.text.as_str()),
        });
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        body.put("query", &wanted.query);
        body.put("documents", &documents.collect::<Vec<_>>());
        body.put_some("top_n", wanted.top.as_ref());
        body.put_some("return_documents", wanted.repeat.as_ref());
        body.put_some("max_tokens_per_doc", wanted.max_tokens_per_document.as_ref());
        Ok(outgoing(Operation::Rerank, body, &wanted.extra, Losses::default()))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Ranking> {
        let answer = read_object(body)?;
        let units = answer.pointer("/meta/billed_units/search_units").or_else(|| answer.pointer("/usage/search_units"));
        let meta = answer.get("meta").and_then(super::super::usage::read);
        Ok(Ranking {
            id: text_of(&answer, "id").unwrap_or_default(),
            model: text_of(&answer, "model").unwrap_or_default(),
            results: read_results(&answer).map_err(|error| error.with_raw(body))?,
            usage: read_usage(&answer).or(meta),
            searches: units.and_then(Value::as_f64).map(|units| units.max(0.0) as u64),
        })
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8]) -> Result<Rerank> {
        let mut fields = Fields::read(body, "")?;
        let documents: Vec<Raw> = fields.need("documents")?;
        Ok(Rerank {
            model: fields.take("model")?.unwrap_or_default(),
            query: fields.need("query")?,
            documents: read_documents(&documents)?,
            top: fields.take("top_n")?,
            repeat: fields.take("return_documents")?,
            max_tokens_per_document: fields.take("max_tokens_per_doc")?,
            extra: fields.rest(OPENAI),
        })
    }

    fn write_answer(&self, wanted: &Rerank, answer: &Ranking, cx: &Cx) -> Told {
        let results = answer.results.iter().map(|result| {
            let mut row = json!({ "index": result.index, "relevance_score": result.score });
            if let (Some(text), Some(row)) = (repeated(wanted, result), row.as_object_mut()) {
                row.insert("document".to_owned(), json!({ "text": text }));
            }
            row
        });
        let input = answer.usage.map_or(0, |usage| usage.input);
        let id = if answer.id.is_empty() { format!("rerank-{}", cx.id) } else { answer.id.clone() };
        let mut told = json!({
            "id": id,
            "object": "rerank",
            "model": if answer.model.is_empty() { &cx.model } else { &answer.model },
            "results": results.collect::<Vec<_>>(),
            "usage": { "prompt_tokens": input, "total_tokens": input },
        });
        if let (Some(units), Some(told)) = (answer.searches, told.as_object_mut()) {
            told.insert("meta".to_owned(), json!({ "billed_units": { "search_units": units } }));
        }
        Told::json(&told)
    }
}
