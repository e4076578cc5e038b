//! Older turns in a few words, made once and kept.

use trunkline::config::Window;
use trunkline::ir::{Message, Request, Role};
use trunkline::{Client, Result};
use trunkline_store::{SessionRow, Summary, TurnRow};

use super::history::{History, first_kept, last_questions, questions};
use super::{Session, now_us};

const ASK: &str = "Summarise this conversation for somebody who has to go on with it: what is wanted, what was found out and \
    decided, names, figures and open questions. Keep what earlier summaries say. Answer with the summary only, in the language \
    of the conversation.";

impl Session {
    /// The turns that the next call gets as they were, and what those before them come to.
    pub(super) fn shown(&self, new: &[Message]) -> (&[TurnRow], Option<&str>) {
        if !matches!(self.window, Window::Summary { .. }) {
            let first = first_kept(&self.turns, new, &self.window);
            return (self.turns.get(first..).unwrap_or_default(), None);
        }
        let (first, text) = self.summed();
        (self.turns.get(first..).unwrap_or_default(), text)
    }

    /// The first turn that is not in the summary, and that.
    fn summed(&self) -> (usize, Option<&str>) {
        let Some(summary) = &self.summary else { return (0, None) };
        let place = self.turns.iter().position(|turn| turn.id == summary.turn);
        // The turn that it ends with may be before those that were read.
        (place.map_or(0, |at| at + 1), Some(&summary.text))
    }

    /// Has the older turns summed up, if the window wants it and there are enough of them.
    ///
    /// # Errors
    /// The provider's.
    pub(super) async fn sum_up(&mut self, new: &[Message]) -> Result<()> {
        let Window::Summary { turns: most, model } = &self.window else { return Ok(()) };
        // In the middle of a question nothing is summed up: its calls belong to what comes.
        if super::history::goes_on(new) {
            return Ok(());
        }
        let Some(older) = due(&self.turns, self.summary.as_ref(), *most) else { return Ok(()) };
        let summary = summarise(&self.client, (model, &self.row), self.summary.as_ref(), older).await?;
        if let (true, Some(store)) = (self.kept, &mut self.store) {
            store.add_summary(&summary).await?;
        }
        self.summary = Some(summary);
        Ok(())
    }
}

/// The turns that are to be summed up now, with what was before: all but the last `most` questions, as soon as twice as many
/// are in no summary. `None` when there are not.
pub fn due<'t>(turns: &'t [TurnRow], summary: Option<&Summary>, most: u32) -> Option<&'t [TurnRow]> {
    let summed = summary.and_then(|summary| turns.iter().position(|turn| turn.id == summary.turn));
    let rest = turns.get(summed.map_or(0, |at| at + 1)..).unwrap_or_default();
    let enough = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(2).max(1);
    if questions(rest) < enough {
        return None;
    }
    let (older, _) = rest.split_at_checked(last_questions(rest, most)).unwrap_or((rest, &[]));
    (!older.is_empty()).then_some(older)
}

/// Has a model say what these turns of a session come to, with what those before them did. The call is its user's.
///
/// # Errors
/// The provider's, or that there are no turns.
pub async fn summarise(
    client: &Client,
    (model, session): (&str, &SessionRow),
    before: Option<&Summary>,
    older: &[TurnRow],
) -> Result<Summary> {
    let last = older.last().map(|turn| turn.id).ok_or_else(|| crate::fault::wrong("there is nothing to be summed up"))?;
    let history = History { system: None, summary: before.map(|summary| summary.text.as_str()), turns: older };
    let (mut messages, _) = history.messages(&[Message::text(Role::User, ASK)], None);
    strip_thinking(&mut messages);
    let request = Request { model: model.to_owned(), messages, ..Request::default() };
    let mut call = client.call(request).key(session.key_id.as_deref());
    if let Some(user) = &session.user_id {
        call = call.user(user);
    }
    let reply = call.send().await?;
    Ok(Summary { turn: last, made_us: now_us(), target: Some(reply.target.clone()), text: reply.text() })
}

/// How the answers were thought out is of no use to a summary.
fn strip_thinking(messages: &mut Vec<Message>) {
    for message in messages.iter_mut() {
        message.parts.retain(|part| !matches!(part.content, trunkline::ir::Content::Reasoning { .. }));
    }
    messages.retain(|message| !message.parts.is_empty());
}
