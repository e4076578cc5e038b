//! Everything but chat: embeddings, images, speech, transcripts, rerank, moderation.
//!
//! An operation is a request and an answer in canonical form ([`Wanted`]) and, for each dialect that has it, a
//! [`Wire`]: how the dialect asks and answers. [`route`] says which caller's path wants what, [`peek`] and [`forward`]
//! are the same lane, [`multipart`] finds the model's name in a form that goes by, [`Watch`] the usage in an answer
//! that goes by.
//!
//! Sources: the type definitions of the official SDKs; for `/rerank`, which no one dialect owns, what several servers
//! of the field have in common.

mod cohere;
mod gemini;
mod lane;
mod list;
pub mod multipart;
mod number;
mod ollama;
mod openai;
mod usage;

use std::borrow::Cow;

use super::{Cx, Head, Operation, Outgoing};
use crate::catalog::{Pieces, Quirks};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{
    Draw, Embed, Embeddings, Images, Moderate, Moderation, Ranking, Rerank, Sound, Speak, Transcribe, Transcript, Usage,
};

pub use lane::{forward, peek};
pub use list::{list_path, read_list};
pub use usage::Watch;

const OPENAI: &str = "openai-chat";
const GEMINI: &str = "gemini";
const COHERE: &str = "cohere-chat";
const OLLAMA: &str = "ollama";

/// A request of an operation, in canonical form.
pub trait Wanted: Clone + Send + Sync + 'static {
    /// What comes back.
    type Answer: Send;

    /// Which operation it is.
    fn operation(&self) -> Operation;

    /// The model's name, to be replaced by a provider's.
    fn model_mut(&mut self) -> &mut String;

    /// How a dialect speaks it; `None` where it does not have it.
    fn wire(dialect: &str) -> Option<&'static dyn Wire<Self>>;

    /// About how many bytes of text the model has to read; 0 where that is not what is counted.
    fn length(&self) -> usize {
        0
    }

    /// The same in pieces of at most `most` inputs, where a provider takes no more at once.
    fn split(self, most: usize) -> Vec<Self> {
        let _ = most;
        vec![self]
    }

    /// What an answer took, as far as it was told.
    fn usage(answer: &Self::Answer) -> Option<Usage>;

    /// What a call took that is not counted in tokens.
    fn pieces(&self, answer: &Self::Answer) -> Pieces {
        let _ = answer;
        Pieces::default()
    }

    /// Adds the answer to a later piece.
    fn join(answer: &mut Self::Answer, next: Self::Answer) {
        let _ = (answer, next);
    }
}

/// How a dialect asks for an operation and answers it.
pub trait Wire<W: Wanted>: Sync {
    /// Writes a request for a provider. `content-type` is among the headers where it is not JSON.
    fn write_request(&self, wanted: &W, quirks: &Quirks) -> Result<Outgoing>;

    /// Reads a provider's answer of this media type. A body that holds an error in spite of its status is an `Err`.
    fn read_answer(&self, media: &str, body: &[u8]) -> Result<W::Answer>;

    /// Reads a caller's request.
    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<W>;

    /// Writes the answer to a caller's request.
    fn write_answer(&self, wanted: &W, answer: &W::Answer, cx: &Cx) -> Told;

    /// Most inputs (or pictures) in one request.
    fn most(&self, wanted: &W) -> usize {
        let _ = wanted;
        usize::MAX
    }
}

/// An answer as a caller gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its media type.
    pub media: Cow<'static, str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Told {
    fn json(value: &impl serde::Serialize) -> Self {
        Told { media: Cow::Borrowed("application/json"), body: serde_json::to_vec(value).unwrap_or_default() }
    }
}

/// Where callers send an operation, and where providers take it.
struct Place {
    dialect: &'static str,
    operation: Operation,
    caller: &'static str,
    provider: &'static str,
}

const fn place(dialect: &'static str, operation: Operation, caller: &'static str, provider: &'static str) -> Place {
    Place { dialect, operation, caller, provider }
}

/// All but gemini's, where the model stands in the path. The first of an operation is the one that we use ourselves.
static PLACES: &[Place] = &[
    place(OPENAI, Operation::Embed, "/v1/embeddings", "/embeddings"),
    place(OPENAI, Operation::ImageGenerate, "/v1/images/generations", "/images/generations"),
    place(OPENAI, Operation::ImageEdit, "/v1/images/edits", "/images/edits"),
    place(OPENAI, Operation::Speak, "/v1/audio/speech", "/audio/speech"),
    place(OPENAI, Operation::Transcribe, "/v1/audio/transcriptions", "/audio/transcriptions"),
    place(OPENAI, Operation::TranslateAudio, "/v1/audio/translations", "/audio/translations"),
    place(OPENAI, Operation::Rerank, "/v1/rerank", "/rerank"),
    place(OPENAI, Operation::Moderate, "/v1/moderations", "/moderations"),
    place(COHERE, Operation::Embed, "/v2/embed", "/v2/embed"),
    place(COHERE, Operation::Rerank, "/v2/rerank", "/v2/rerank"),
    place(OLLAMA, Operation::Embed, "/api/embed", "/api/embed"),
    place(OLLAMA, Operation::Embed, "/api/embeddings", "/api/embeddings"),
];

/// The dialect and operation that a caller's path belongs to; `None` for any other path.
pub fn route(path: &str) -> Option<(&'static str, Operation)> {
    if let Some(place) = PLACES.iter().find(|place| place.caller == path) {
        return Some((place.dialect, place.operation));
    }
    gemini::route(path).map(|operation| (GEMINI, operation))
}

/// Whether a dialect has an operation (of those beyond chat).
pub fn can(dialect: &str, operation: Operation) -> bool {
    match operation {
        Operation::Chat | Operation::CountTokens => false,
        Operation::Embed => Embed::wire(dialect).is_some(),
        Operation::ImageGenerate | Operation::ImageEdit => Draw::wire(dialect).is_some(),
        Operation::Speak | Operation::Transcribe | Operation::TranslateAudio | Operation::Moderate => dialect == OPENAI,
        Operation::Rerank => Rerank::wire(dialect).is_some(),
    }
}

/// Whether a caller of this dialect sends this operation as a form with files in it.
pub fn is_form(operation: Operation) -> bool {
    matches!(operation, Operation::ImageEdit | Operation::Transcribe | Operation::TranslateAudio)
}

/// Where a provider takes an operation.
fn provider_path(dialect: &str, operation: Operation) -> &'static str {
    let found = PLACES.iter().find(|place| place.dialect == dialect && place.operation == operation);
    found.map_or("/", |place| place.provider)
}

fn unsupported(what: impl Into<String>, at: &'static str) -> Error {
    Error::new(Kind::Unsupported, Origin::Caller, what).at(at)
}

impl Wanted for Embed {
    type Answer = Embeddings;

    fn length(&self) -> usize {
        let bytes = |input: &crate::ir::EmbedInput| match input {
            crate::ir::EmbedInput::Text(text) => text.len(),
            // A token is about four bytes.
            crate::ir::EmbedInput::Tokens(tokens) => tokens.len().saturating_mul(4),
            crate::ir::EmbedInput::Image(_) => 0,
        };
        self.inputs.iter().map(bytes).sum()
    }

    fn operation(&self) -> Operation {
        Operation::Embed
    }

    fn model_mut(&mut self) -> &mut String {
        &mut self.model
    }

    fn usage(answer: &Self::Answer) -> Option<Usage> {
        answer.usage
    }

    fn wire(dialect: &str) -> Option<&'static dyn Wire<Self>> {
        Some(match dialect {
            OPENAI => &openai::Embeds,
            GEMINI => &gemini::Embeds,
            COHERE => &cohere::Embeds,
            OLLAMA => &ollama::Embeds,
            _ => return None,
        })
    }

    fn split(self, most: usize) -> Vec<Self> {
        if self.inputs.len() <= most {
            return vec![self];
        }
        let rest = Embed { inputs: Vec::new(), ..self.clone() };
        self.inputs.chunks(most.max(1)).map(|inputs| Embed { inputs: inputs.to_vec(), ..rest.clone() }).collect()
    }

    fn join(answer: &mut Embeddings, next: Embeddings) {
        answer.vectors.extend(next.vectors);
        answer.usage = usage::sum(answer.usage, next.usage);
    }
}

impl Wanted for Rerank {
    type Answer = Ranking;

    fn length(&self) -> usize {
        // Each document is read beside the question.
        self.documents.iter().map(|document| document.text.len() + self.query.len()).sum()
    }

    fn operation(&self) -> Operation {
        Operation::Rerank
    }

    fn model_mut(&mut self) -> &mut String {
        &mut self.model
    }

    fn usage(answer: &Self::Answer) -> Option<Usage> {
        answer.usage
    }

    fn pieces(&self, answer: &Ranking) -> Pieces {
        Pieces { requests: answer.searches.unwrap_or(1), ..Pieces::default() }
    }

    fn wire(dialect: &str) -> Option<&'static dyn Wire<Self>> {
        Some(match dialect {
            OPENAI => &openai::Reranks,
            COHERE => &cohere::Reranks,
            _ => return None,
        })
    }
}

impl Wanted for Draw {
    type Answer = Images;

    fn length(&self) -> usize {
        self.prompt.len()
    }

    fn operation(&self) -> Operation {
        if self.images.is_empty() { Operation::ImageGenerate } else { Operation::ImageEdit }
    }

    fn model_mut(&mut self) -> &mut String {
        &mut self.model
    }

    fn usage(answer: &Self::Answer) -> Option<Usage> {
        answer.usage
    }

    fn pieces(&self, answer: &Images) -> Pieces {
        Pieces { images: answer.images.len() as u64, ..Pieces::default() }
    }

    fn wire(dialect: &str) -> Option<&'static dyn Wire<Self>> {
        Some(match dialect {
            OPENAI => &openai::Draws,
            GEMINI => &gemini::Draws,
            _ => return None,
        })
    }

    fn split(self, most: usize) -> Vec<Self> {
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let Some(n) = self.n.filter(|n| *n > most) else { return vec![self] };
        // Nobody makes this many at once; it bounds what one request may cost.
        let n = n.min(PICTURES);
        let starts = (0..n).step_by(usize::try_from(most).unwrap_or(1));
        starts.map(|start| Draw { n: Some(most.min(n - start)), ..self.clone() }).collect()
    }

    fn join(answer: &mut Images, next: Images) {
        answer.images.extend(next.images);
        answer.usage = usage::sum(answer.usage, next.usage);
    }
}

/// Most pictures that are made for one caller's request by asking more than once.
const PICTURES: u32 = 10;

/// The operations that only one dialect has.
macro_rules! only_openai {
    ($wanted:ty, $answer:ty, $wire:expr, |$it:ident| $operation:expr, |$wish:ident, $done:ident| $pieces:expr) => {
        impl Wanted for $wanted {
            type Answer = $answer;

            fn operation(&self) -> Operation {
                let $it = self;
                $operation
            }

            fn model_mut(&mut self) -> &mut String {
                &mut self.model
            }

            fn usage(answer: &Self::Answer) -> Option<Usage> {
                answer.usage
            }

            fn pieces(&self, $done: &Self::Answer) -> Pieces {
                let $wish = self;
                $pieces
            }

            fn wire(dialect: &str) -> Option<&'static dyn Wire<Self>> {
                (dialect == OPENAI).then_some(&$wire as &'static dyn Wire<Self>)
            }
        }
    };
}

only_openai!(Speak, Sound, openai::Speaks, |_it| Operation::Speak, |wish, _done| {
    Pieces { characters: wish.input.chars().count() as u64, ..Pieces::default() }
});
only_openai!(
    Transcribe,
    Transcript,
    openai::Transcribes,
    |it| if it.translate { Operation::TranslateAudio } else { Operation::Transcribe },
    |_wish, done| Pieces { milliseconds: done.duration.and_then(milliseconds).unwrap_or(0), ..Pieces::default() }
);
only_openai!(Moderate, Moderation, openai::Moderates, |_it| Operation::Moderate, |_wish, _done| Pieces::default());

/// Seconds as they are told, in whole milliseconds; none for what is no length.
fn milliseconds(seconds: f64) -> Option<u64> {
    // A cast would need a lint lifted; the text of a whole number in this range always reads back.
    (0.0..=1e9).contains(&seconds).then(|| format!("{:.0}", seconds * 1000.0).parse().ok())?
}
