//! `POST /v2/rerank`.

use serde_json::{Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::openai::rerank::{read_documents, read_results, repeated};
use super::super::{COHERE, Told, Wire};
use super::{outgoing, read_object, text_of, write_meta};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::Result;
use crate::ir::{Ranking, Raw, Rerank};
use crate::loss::Losses;

/// Rerank.
pub(in super::super) struct Reranks;

impl Wire<Rerank> for Reranks {
    fn write_request(&self, wanted: &Rerank, _: &Quirks) -> Result<Outgoing> {
        let mut losses = Losses::default();
        // Documents are texts here; those of several fields go as the text that they have, or as their JSON.
        let texts: Vec<&str> = wanted.documents.iter().map(|document| document.text.as_str()).collect();
        if wanted.documents.iter().any(|document| document.fields.is_some()) {
            losses.add("documents.fields", "documents are texts in this dialect");
        }
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        body.put("query", &wanted.query);
        body.put("documents", &texts);
        body.put_some("top_n", wanted.top.as_ref());
        body.put_some("max_tokens_per_doc", wanted.max_tokens_per_document.as_ref());
        Ok(outgoing(Operation::Rerank, body, &wanted.extra, losses))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Ranking> {
        let answer = read_object(body, "results")?;
        let units = answer.pointer("/meta/billed_units/search_units").and_then(Value::as_f64);
        Ok(Ranking {
            id: text_of(&answer, "id"),
            model: String::new(),
            results: read_results(&answer).map_err(|error| error.with_raw(body))?,
            usage: answer.get("meta").and_then(super::super::usage::read),
            searches: units.map(|units| units.max(0.0) as u64),
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
            extra: fields.rest(COHERE),
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
        Told::json(&json!({
            "id": if answer.id.is_empty() { &cx.id } else { &answer.id },
            "results": results.collect::<Vec<_>>(),
            "meta": write_meta(answer.usage.as_ref(), answer.searches),
        }))
    }
}
