//! A streamed reply, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::Piece;
use crate::codec::{Losses, Result};
use crate::ir::fold::Fold;
use crate::ir::{Delta, Event, PartStart, Response};
use crate::relay::{Step, Stitched};

/// A streamed reply: a [`Stream`] of [`Piece`]s of the first answer. Dropping it cancels the call at once.
pub struct ChatStream {
    /// Who answers, `provider/model`.
    pub target: String,
    /// What the provider could not be told.
    pub losses: Losses,
    inner: Pin<Box<dyn Stream<Item = Result<Step>> + Send>>,
    gather: Gather,
    fold: Option<Fold>,
}

impl ChatStream {
    pub(super) fn new(target: String, losses: Losses, events: Stitched, folded: bool) -> Self {
        ChatStream { target, losses, inner: Box::pin(steps(events)), gather: Gather::default(), fold: folded.then(Fold::default) }
    }

    /// The answer as far as it has come: at the end what the unstreamed call would have given, with the signatures of its
    /// parts. `None` unless [`Call::folded`](super::Call::folded) asked for it.
    pub fn response(&self) -> Option<&Response> {
        self.fold.as_ref().map(Fold::response)
    }
}

impl Stream for ChatStream {
    type Item = Result<Piece>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let event = match ready!(self.inner.as_mut().poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Step::Continued(target))) => {
                    self.target = target.as_ref().to_owned();
                    continue;
                }
                Some(Ok(Step::Event(event))) => event,
            };
            if let Some(fold) = &mut self.fold {
                fold.push(event.clone());
            }
            if let Some(piece) = self.gather.piece(event) {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }
}

fn steps(events: Stitched) -> impl Stream<Item = Result<Step>> + Send {
    futures_util::stream::unfold(events, |mut events| async move { Some((events.next().await?, events)) })
}

/// The parts of the first answer that are open: tool calls are given whole.
#[derive(Default)]
struct Gather(Vec<Open>);

enum Open {
    Text,
    Reasoning,
    Refusal,
    ToolCall { id: String, name: String, arguments: String },
    Other,
}

impl Gather {
    fn piece(&mut self, event: Event) -> Option<Piece> {
        match event {
            Event::PartStart { choice: 0, start, .. } => {
                self.0.push(match start {
                    PartStart::Text => Open::Text,
                    PartStart::Reasoning => Open::Reasoning,
                    PartStart::Refusal => Open::Refusal,
                    PartStart::ToolCall { id, name } => Open::ToolCall { id, name, arguments: String::new() },
                    PartStart::Audio { .. } | PartStart::Whole { .. } => Open::Other,
                });
                None
            }
            Event::Delta { choice: 0, part, delta } => match (self.0.get_mut(part as usize)?, delta) {
                (Open::Text, Delta::Text(text)) => Some(Piece::Text(text)),
                (Open::Reasoning, Delta::Text(text)) => Some(Piece::Reasoning(text)),
                (Open::Refusal, Delta::Text(text)) => Some(Piece::Refusal(text)),
                (Open::ToolCall { arguments, .. }, Delta::Arguments(more)) => {
                    arguments.push_str(&more);
                    None
                }
                _ => None,
            },
            Event::PartEnd { choice: 0, part } => match std::mem::replace(self.0.get_mut(part as usize)?, Open::Other) {
                Open::ToolCall { id, name, arguments } => Some(Piece::ToolCall { id, name, arguments }),
                _ => None,
            },
            Event::Finish { choice: 0, finish } => Some(Piece::Finish(finish)),
            Event::Usage { usage } => Some(Piece::Usage(usage)),
            _ => None,
        }
    }
}
