//! The scanner agrees with serde_json, and edits change what they say and nothing else.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use trunkline_codec::json::{self, Edit, Patch, Piece};

/// Any JSON value, a few levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[ -~\\n\\t\"\\\\é😀]{0,80}", "[a-z ]{60,300}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters survive serde_json's approximate reading of fractions.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "[a-c\"\\\\\n]{0,3}", any::<String>()]
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    vec((key(), value()), 0..8).prop_map(|pairs| pairs.into_iter().collect())
}

fn write(value: &impl serde::Serialize, pretty: bool) -> Vec<u8> {
    if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) }.unwrap()
}

/// One key's text with some characters written as `\u` escapes, in quotes.
fn write_escaped(key: &str) -> String {
    let units: Vec<u16> = key.encode_utf16().collect();
    format!("\"{}\"", units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>())
}

proptest! {
    #[test]
    fn good_json_is_good(value in value(), pretty: bool) {
        prop_assert!(json::check(&write(&value, pretty)).is_ok());
    }

    #[test]
    fn mutated_json_is_judged_as_serde_judges_it(
        value in value(), pretty: bool,
        changes in vec((any::<Index>(), select(b"{}[]\":,\\ut0e-.+1 \n\r\t\0\x1f\xff\xc3\xa9/fnab"), 0_usize..3), 1..4),
    ) {
        let mut body = write(&value, pretty);
        for (place, byte, kind) in changes {
            let at = place.index(body.len() + 1);
            match kind {
                0 => body.insert(at, byte),
                1 if at < body.len() => drop(body.remove(at)),
                _ => if let Some(old) = body.get_mut(at) { *old = byte },
            }
        }
        let good = serde_json::from_slice::<&RawValue>(&body).is_ok();
        prop_assert_eq!(json::check(&body).is_ok(), good, "{:?}", String::from_utf8_lossy(&body));
        if let Err(fault) = json::check(&body) {
            prop_assert!(fault.at <= body.len());
        }
        if let Ok(members) = json::members(&body) {
            prop_assert!(members.iter().all(|member| serde_json::from_slice::<&RawValue>(&body[member.value.clone()]).is_ok()));
        }
    }

    #[test]
    fn tokens_are_judged_as_serde_judges_them(
        tokens in vec(select(vec!["{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u00", "e9\"", "1", "-", "0", ".", "e", "E+", "true", "nul", "l", " ", "\n", "{}", "[]", "\"b\":"]), 0..16),
    ) {
        let body = tokens.concat();
        prop_assert_eq!(json::check(body.as_bytes()).is_ok(), serde_json::from_str::<&RawValue>(&body).is_ok(), "{}", body);
    }

    #[test]
    fn members_say_what_serde_says(object in object(), pretty: bool) {
        let body = write(&object, pretty);
        let members = json::members(&body).unwrap();
        prop_assert_eq!(members.len(), object.len());
        for (member, (key, value)) in members.iter().zip(&object) {
            let quoted = &body[member.key.start - 1..member.key.end + 1];
            prop_assert_eq!(json::unquote(quoted).unwrap(), key.as_str());
            prop_assert_eq!(&serde_json::from_slice::<Value>(&body[member.value.clone()]).unwrap(), value);
            prop_assert_eq!(json::find(&body, &members, key), Some(member));
            prop_assert_eq!(json::member(&body, key), Some(member.value.clone()));
        }
    }

    #[test]
    fn a_key_repeats_however_it_is_written(object in object(), which: Index, more in 0_usize..40) {
        prop_assume!(!object.is_empty());
        let key = object.keys().nth(which.index(object.len())).unwrap();
        let mut body = String::from_utf8(write(&object, false)).unwrap();
        body.pop();
        body.extend((0..more).map(|n| format!(",\"more than three letters {n}\":0")));
        let fine = format!("{body}}}");
        prop_assert!(json::members(fine.as_bytes()).is_ok());
        let at = body.len() + 1;
        let twice = format!("{body},{}:0}}", write_escaped(key));
        let fault = json::members(twice.as_bytes()).unwrap_err();
        prop_assert_eq!((fault.at, fault.what), (at, json::REPEATED_KEY));
        prop_assert!(json::members_any(twice.as_bytes()).is_ok());
    }

    #[test]
    fn patching_equals_changing_the_tree(
        object in object(), pretty: bool,
        changes in vec((key(), any::<Index>(), any::<bool>(), proptest::option::of(value())), 0..8),
    ) {
        let body = write(&object, pretty);
        let members = json::members(&body).unwrap();
        let (mut patch, mut tree) = (Patch::new(&body, &members), object.clone());
        for (key, which, known, new) in changes {
            let key = if known && !object.is_empty() { object.keys().nth(which.index(object.len())).unwrap().clone() } else { key };
            match new {
                Some(value) => {
                    patch.set(&key, serde_json::to_vec(&value).unwrap());
                    tree.insert(key, value);
                }
                None => {
                    patch.remove(&key);
                    tree.shift_remove(&key);
                }
            }
        }
        let out = patch.apply();
        prop_assert!(json::members(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
        prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&out).unwrap(), tree);
    }

    #[test]
    fn bytes_outside_the_spans_stay(
        body in vec(any::<u8>(), 0..200), cuts in vec((0_usize..20, 0_usize..20, vec(any::<u8>(), 0..10)), 0..8), shift: Index,
    ) {
        let (mut edits, mut expected, mut at) = (Vec::new(), Vec::new(), 0);
        for (skip, len, with) in cuts {
            let start = (at + skip).min(body.len());
            let end = (start + len).min(body.len());
            expected.extend_from_slice(&body[at..start]);
            expected.extend_from_slice(&with);
            edits.push(Edit { span: start..end, with });
            at = end;
        }
        expected.extend_from_slice(&body[at..]);
        // The order in which edits are given does not matter, unless two start at one place.
        let distinct = edits.windows(2).all(|two| two[0].span.start < two[1].span.start);
        if distinct && !edits.is_empty() {
            let by = shift.index(edits.len());
            edits.rotate_left(by);
        }
        let joined: Vec<u8> = json::pieces(body.len(), edits.clone())
            .into_iter()
            .flat_map(|piece| match piece { Piece::Kept(span) => body[span].to_vec(), Piece::New(bytes) => bytes })
            .collect();
        let out = json::apply(&body, &mut edits);
        prop_assert_eq!(&out, &expected);
        prop_assert_eq!(out.capacity(), out.len());
        prop_assert_eq!(joined, expected);
    }

    #[test]
    fn any_edits_are_safe(body in vec(any::<u8>(), 0..20), spans in vec((0_usize..30, 0_usize..30), 0..6)) {
        let mut edits: Vec<_> = spans.into_iter().map(|(start, end)| Edit { span: start..end, with: b"+".to_vec() }).collect();
        let applied = json::apply(&body, &mut edits.clone());
        let parts = json::pieces(body.len(), std::mem::take(&mut edits));
        let len: usize = parts.iter().map(|piece| match piece { Piece::Kept(span) => span.len(), Piece::New(bytes) => bytes.len() }).sum();
        prop_assert_eq!(applied.len(), len);
    }

    #[test]
    fn quoting_agrees_with_serde(text: String) {
        let quoted = json::quote(&text);
        prop_assert_eq!(&quoted, &serde_json::to_string(&text).unwrap());
        prop_assert_eq!(json::unquote(quoted.as_bytes()).unwrap(), text.as_str());
        let escaped = write_escaped(&text);
        prop_assert_eq!(json::unquote(escaped.as_bytes()).unwrap(), text);
    }

    #[test]
    fn unquoting_any_string_agrees_with_serde(inner in "([a-z\"é]|\\\\[\"\\\\/bfnrtux]|\\\\u[dD][89aAcC]00|\\\\u00e9){0,12}") {
        let quoted = format!("\"{inner}\"");
        prop_assert_eq!(json::unquote(quoted.as_bytes()).map(|text| text.into_owned()), serde_json::from_str::<String>(&quoted).ok());
    }
}
