//! The canonical call. Nobody's dialect: every wire format is read into it and written from it.
//!
//! Content is a list of [`Part`]s; a stream is a list of [`Event`]s that open, fill and close the same
//! parts (`PartStart / Delta / PartEnd`), then one [`Event::Finish`] a choice and the [`Usage`].
//! Folding the events of a stream ([`fold`]) gives the [`Response`] that the unstreamed call would have given.

mod audio;
mod count;
mod embed;
mod event;
pub mod fold;
mod image;
mod message;
mod model;
mod moderate;
mod request;
mod rerank;
mod response;
mod usage;

pub use audio::{Segment, Sound, Speak, Transcribe, Transcript};
pub use count::TokenCount;
pub use embed::{Embed, EmbedInput, Embeddings, Purpose, Truncate};
pub use event::{Delta, Event, PartStart};
pub use image::{Draw, File, Image, Images};
pub use message::{CacheMark, Citation, Content, DialectName, Extra, Message, Part, Raw, Role, Signature, Source};
pub use model::Model;
pub use moderate::{Category, Moderate, Moderation, Suspect, Verdict};
pub use request::{Effort, Format, Reasoning, Request, Sampling, Speech, Tool, ToolChoice, ToolKind};
pub use rerank::{Document, Ranked, Ranking, Rerank};
pub use response::{Choice, Finish, Reason, Response, TokenLogprob, TopLogprob};
pub use usage::Usage;
