//! What an answer repeats of its request.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::dialect::openai_chat::free_text::custom_names;
use crate::dialect::openai_responses::PREFIX;
use crate::dialect::shared::compact;
use crate::dialect::{Asked, Kept};
use crate::ir::Raw;
use crate::json;

/// What an answer repeats. Not `store`, `background` and the like, which are answered as it is: nothing is stored, and
/// all is done at once; nor `service_tier`, which is the provider's to tell.
const REPEATED: [&str; 15] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

/// What is longer than this, in bytes, is not repeated: a stream would tell it three times.
const LONGEST: usize = 256 * 1024;

/// Finds the members of a caller's request that the answer repeats, and the tools that take free text.
pub(crate) fn recall(body: &[u8]) -> Option<Arc<Asked>> {
    let members = json::members_any(body).ok()?;
    let mut asked = Asked::default();
    for name in REPEATED {
        let value = json::find(body, &members, name).and_then(|member| body.get(member.value.clone()));
        let Some(raw) = value.and_then(|value| serde_json::from_slice::<&RawValue>(value).ok()) else { continue };
        if name == "tools" {
            asked.custom_tools = custom_names(raw);
        }
        if raw.get() == "null" || raw.get().len() > LONGEST {
            continue;
        }
        // A frame of a stream is one line.
        asked.repeated.extend(Raw::parse(compact(raw.get())).map(|raw| (name, raw)));
    }
    Some(Arc::new(asked))
}

/// Finds what is said of answers that are kept. An answer is, unless the caller says that it shall not be.
pub(crate) fn read_kept(body: &[u8]) -> Kept {
    let Ok(members) = json::members_any(body) else { return Kept { prefix: PREFIX, ..Kept::default() } };
    let value = |name| {
        let span = json::find(body, &members, name)?.value.clone();
        let raw: &RawValue = serde_json::from_slice(body.get(span.clone())?).ok()?;
        (raw.get() != "null").then_some((raw.get(), span))
    };
    let previous = value("previous_response_id").and_then(|(raw, span)| Some((serde_json::from_str(raw).ok()?, span)));
    let store = value("store").is_none_or(|(raw, _)| raw != "false");
    Kept { previous, store, prefix: PREFIX, instructed: value("instructions").is_some() }
}
