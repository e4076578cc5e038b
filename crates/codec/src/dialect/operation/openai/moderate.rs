//! `POST /moderations`.

use serde_json::{Map, Value, json};

use super::super::super::fields::Fields;
use super::super::super::object::Object;
use super::super::{OPENAI, Told, Wire};
use super::{list_of, outgoing, read_object, read_usage, text_of};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Category, Moderate, Moderation, Suspect, Verdict};
use crate::loss::Losses;

/// Moderation.
pub(in super::super) struct Moderates;

/// A list of texts is as many items; a list of objects is one item of several parts.
fn read_input(input: Value) -> Result<(Vec<Vec<Suspect>>, bool)> {
    let list = match input {
        Value::String(text) => return Ok((vec![vec![Suspect::Text(text)]], true)),
        Value::Array(list) if !list.is_empty() => list,
        _ => {
            let what = "input: expected a string, a list of strings or a list of parts";
            return Err(Error::bad_request(what).at("input"));
        }
    };
    let (mut items, mut parts) = (Vec::new(), Vec::new());
    for (index, element) in list.into_iter().enumerate() {
        let image = element.pointer("/image_url/url").and_then(Value::as_str);
        match (&element, image, element.get("text").and_then(Value::as_str)) {
            (Value::String(text), ..) => items.push(vec![Suspect::Text(text.clone())]),
            (_, Some(url), _) => parts.push(Suspect::Image(url.to_owned())),
            (_, None, Some(text)) => parts.push(Suspect::Text(text.to_owned())),
            _ => {
                let at = format!("input[{index}]");
                return Err(Error::bad_request(format!("{at}: expected a string, or a part with text or image_url")).at(at));
            }
        }
    }
    if !parts.is_empty() {
        items.push(parts);
    }
    Ok((items, false))
}

fn write_part(part: &Suspect) -> Value {
    match part {
        Suspect::Text(text) => json!({ "type": "text", "text": text }),
        Suspect::Image(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
    }
}

fn write_input(wanted: &Moderate) -> Value {
    let texts: Option<Vec<&str>> = wanted
        .items
        .iter()
        .map(|item| match item.as_slice() {
            [Suspect::Text(text)] => Some(text.as_str()),
            _ => None,
        })
        .collect();
    match texts.as_deref() {
        Some([one]) if wanted.single => Value::from(*one),
        Some(texts) => json!(texts),
        None => wanted.items.iter().flatten().map(write_part).collect(),
    }
}

fn read_verdict(row: &Value) -> Verdict {
    let categories = row.get("categories").and_then(Value::as_object).into_iter().flatten();
    let part = |key: &str, name: &str| row.get(key).and_then(|map| map.get(name)).cloned();
    let categories = categories.map(|(name, flagged)| Category {
        name: name.clone(),
        flagged: flagged.as_bool().unwrap_or(false),
        score: part("category_scores", name).and_then(|score| score.as_f64()),
        by: part("category_applied_input_types", name).and_then(|by| serde_json::from_value(by).ok()).unwrap_or_default(),
    });
    let categories: Vec<Category> = categories.collect();
    let any = categories.iter().any(|category| category.flagged);
    Verdict { flagged: row.get("flagged").and_then(Value::as_bool).unwrap_or(any), categories }
}

fn write_verdict(verdict: &Verdict) -> Value {
    let map = |value: fn(&Category) -> Value| {
        verdict.categories.iter().map(|category| (category.name.clone(), value(category))).collect::<Map<_, _>>()
    };
    json!({
        "flagged": verdict.flagged,
        "categories": map(|category| category.flagged.into()),
        "category_scores": map(|category| category.score.unwrap_or(0.0).into()),
        "category_applied_input_types": map(|category| json!(category.by)),
    })
}

impl Wire<Moderate> for Moderates {
    fn write_request(&self, wanted: &Moderate, _: &Quirks) -> Result<Outgoing> {
        let mut body = Object::with_capacity(1024);
        body.put("model", &wanted.model);
        body.put("input", &write_input(wanted));
        Ok(outgoing(Operation::Moderate, body, &wanted.extra, Losses::default()))
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Moderation> {
        let answer = read_object(body)?;
        let rows = list_of(&answer, "results");
        if rows.is_empty() {
            return Err(Error::malformed("the provider's answer holds no results").with_raw(body));
        }
        Ok(Moderation {
            id: text_of(&answer, "id").unwrap_or_default(),
            model: text_of(&answer, "model").unwrap_or_default(),
            verdicts: rows.iter().map(read_verdict).collect(),
            usage: read_usage(&answer),
        })
    }

    fn read_request(&self, _: &Head<'_>, body: &[u8]) -> Result<Moderate> {
        let mut fields = Fields::read(body, "")?;
        let (items, single) = read_input(fields.need("input")?)?;
        Ok(Moderate { model: fields.take("model")?.unwrap_or_default(), items, single, extra: fields.rest(OPENAI) })
    }

    fn write_answer(&self, _: &Moderate, answer: &Moderation, cx: &Cx) -> Told {
        Told::json(&json!({
            "id": if answer.id.is_empty() { format!("modr-{}", cx.id) } else { answer.id.clone() },
            "model": if answer.model.is_empty() { &cx.model } else { &answer.model },
            "results": answer.verdicts.iter().map(write_verdict).collect::<Vec<_>>(),
        }))
    }
}
