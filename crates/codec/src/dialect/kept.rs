//! What a caller's request says of answers that are kept for later ones, in dialects that have such.

use std::ops::Range;

/// What a request says of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The id of the answer that it goes on from, without telling the conversation again, and where that stands.
    pub previous: Option<(String, Range<usize>)>,
    /// Whether its own answer shall be kept.
    pub store: bool,
    /// What an answer's id begins with that is made from that of its call.
    pub prefix: &'static str,
    /// Whether its first message is for this answer only.
    pub instructed: bool,
}
