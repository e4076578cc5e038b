//! Tokens: `UsageMetadata` both ways, and a cheap look at it in passing.

use std::sync::LazyLock;

use serde_json::value::RawValue;

use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::KeyFinder;

use crate::dialect::gemini::text::Object;
use crate::dialect::gemini::wire::{Many, ModalityCount, Num, UsageMetadata};

/// The prompt is what was sent and what tools of the provider added; the answer is the text and the thoughts.
pub(crate) fn read(usage: &UsageMetadata<'_>) -> Usage {
    let count = |number: Option<Num>| number.map_or(0, Num::count);
    let input = count(usage.prompt).saturating_add(count(usage.tool_prompt));
    let output = match (usage.answer, usage.thoughts) {
        // Some servers give the sum alone.
        (None, None) => count(usage.total).saturating_sub(input),
        (answer, thoughts) => count(answer).saturating_add(count(thoughts)),
    };
    Usage {
        input,
        output,
        cache_read: usage.cached.map(Num::count),
        reasoning: usage.thoughts.map(Num::count),
        audio_input: audio(usage.prompt_details),
        audio_output: audio(usage.answer_details),
        ..Usage::default()
    }
}

fn audio(details: Option<&RawValue>) -> Option<u64> {
    // Nearly every frame of a stream has such a list, and hardly any tells of sound.
    let details = details.map(RawValue::get).filter(|json| json.contains("\"AUDIO\""))?;
    let Many(details) = serde_json::from_str::<Many<ModalityCount<'_>>>(details).ok()?;
    let is_audio = |detail: &&ModalityCount<'_>| detail.modality.as_deref().is_some_and(|word| word == "AUDIO");
    details.iter().find(is_audio)?.count.map(Num::count)
}

/// Writes the field `usageMetadata`.
pub(crate) fn write(usage: &Usage, object: &mut Object<'_>) {
    let mut inner = object.object("usageMetadata");
    inner.put("promptTokenCount", &usage.input);
    inner.put_some("cachedContentTokenCount", &usage.cache_read);
    let reasoning = usage.reasoning.unwrap_or(0).min(usage.output);
    inner.put("candidatesTokenCount", &(usage.output - reasoning));
    inner.put_some("thoughtsTokenCount", &usage.reasoning.map(|_| reasoning));
    inner.put("totalTokenCount", &usage.total());
    put_details(&mut inner, "promptTokensDetails", usage.input, usage.audio_input);
    put_details(&mut inner, "candidatesTokensDetails", usage.output - reasoning, usage.audio_output);
    inner.end();
}

fn put_details(object: &mut Object<'_>, key: &str, total: u64, audio: Option<u64>) {
    let Some(audio) = audio else { return };
    let mut list = object.list(key);
    for (modality, count) in [("TEXT", total.saturating_sub(audio)), ("AUDIO", audio)] {
        let mut one = list.object();
        one.put("modality", modality);
        one.put("tokenCount", &count);
        one.end();
    }
    list.end();
}

static USAGE: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("usageMetadata"));
static FINISH: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("finishReason"));
static BLOCK: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("blockReason"));
static ERROR: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("error"));

/// The usage that a whole reply tells; of a streamed array, the last one.
pub(crate) fn find(body: &[u8]) -> Option<Usage> {
    let mut found = None;
    let mut rest = body;
    while let Some(span) = USAGE.value(rest) {
        found = rest.get(span.clone()).and_then(parse).or(found);
        rest = rest.get(span.end..)?;
    }
    found
}

fn parse(json: &[u8]) -> Option<Usage> {
    serde_json::from_slice(json).ok().as_ref().map(read)
}

/// Watches a stream that passes by.
#[derive(Default)]
pub(crate) struct Observer {
    /// The last `usageMetadata` as it came: nearly every frame has one, and only the last one counts.
    usage: Vec<u8>,
    complete: bool,
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 2]> = LazyLock::new(|| ["text", "args"].map(KeyFinder::new));

impl Observe for Observer {
    fn frame(&mut self, frame: Frame<'_>) {
        let usage = USAGE.value(frame.data).and_then(|span| frame.data.get(span));
        if let Some(json) = usage {
            self.usage.clear();
            self.usage.extend_from_slice(json);
        }
        self.complete = self.complete
            || FINISH.is_set(frame.data)
            || BLOCK.is_set(frame.data)
            || (usage.is_none() && ERROR.is_set(frame.data));
    }

    fn usage(&self) -> Option<Usage> {
        parse(&self.usage)
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn said_in(&self) -> &'static [KeyFinder] {
        &*SAID
    }
}
