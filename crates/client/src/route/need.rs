//! What a call asks for.

use std::time::Duration;

use super::said::Said;
use crate::codec::dialect::Operation;
use crate::ir::Request;

/// What a call asks for, as far as it matters for where it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need<'a> {
    /// The model's name as asked for.
    pub model: &'a str,
    /// Whether the answer comes as a stream.
    pub streamed: bool,
    /// Whether a request that may have been carried out may be sent again.
    pub repeatable: bool,
    /// The task whose model is asked for, whatever `model` says.
    pub task: Option<&'a str>,
    /// Whose calls shall always find the same target, if the model's alias wants that.
    pub session: Option<&'a str>,
    /// What the call says, to be looked into if that matters.
    pub said: Said<'a>,
    /// When the caller gives up, if it says; counted from now.
    pub patience: Option<Duration>,
    /// The request's body is still coming.
    pub uploads: bool,
    /// What it may take in tokens, of input and output together: an estimate.
    pub tokens: u64,
}

/// Output tokens of a call that does not say how many it wants at most. What it really took counts in the end.
const USUAL_OUTPUT: u64 = 500;

impl<'a> Need<'a> {
    /// It will take about as many tokens as there are in a text of so many bytes, and as many as it wants at most.
    #[must_use]
    pub fn taking(self, bytes: usize, output: Option<u64>) -> Self {
        let input = u64::try_from(bytes / 4).unwrap_or(u64::MAX);
        Need { tokens: input.saturating_add(output.unwrap_or(USUAL_OUTPUT)), ..self }
    }

    /// A whole answer of this model to a request that may be sent again.
    pub fn of(model: &'a str) -> Self {
        Need { model, repeatable: true, ..Need::default() }
    }

    /// A whole answer to this chat.
    pub fn to(request: &'a Request) -> Self {
        Need { said: Said::Request(request, Operation::Chat), ..Need::of(&request.model) }
    }
}
