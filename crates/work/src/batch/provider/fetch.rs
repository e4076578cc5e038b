//! Results from the provider: its batches are asked after, and fetched when they have ended.

use std::time::Duration;

use trunkline::batch::Told;
use trunkline::codec::dialect::batch::{Answer, Outcome, State};
use trunkline::{Error, Kind, Result};

use super::super::Progress;
use super::super::journal::{Ending, Figures, Record};
use super::hand_in::key;
use super::{LONGEST_PAUSE, Out, Row, Run};
use crate::fault::wrong;

/// The first pause between two questions; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What came of asking after a batch.
enum Seen {
    /// It is not at its end, and may be asked after again after this long, if the provider says so.
    Going(Option<Duration>),
    /// Its results are recorded.
    Fetched,
    /// It was not begun.
    Refused(Error),
}

impl<T: FnMut(&Progress)> Run<'_, T> {
    /// Asks until all batches have ended and their results are recorded. Gives whether lines are to be handed in again that
    /// were too many for the provider.
    pub(super) async fn wait(&mut self) -> Result<bool> {
        let (mut pause, mut fetched, mut crowded) = (FIRST_PAUSE, false, None);
        loop {
            let mut wait = pause;
            let mut at = 0;
            while at < self.parts.len() && !self.leaving {
                let part = self.parts.remove(at);
                let (part, seen) = self.see(part).await;
                if let Some(part) = part {
                    self.parts.insert(at, part);
                    at += 1;
                }
                match seen {
                    Ok(Seen::Going(told)) => wait = wait.max(told.unwrap_or_default()),
                    Ok(Seen::Fetched) => fetched = true,
                    Ok(Seen::Refused(error)) if error.kind == Kind::RateLimited => crowded = Some(error),
                    Ok(Seen::Refused(error)) => {
                        self.stop(format!("the provider refused a batch: {error}; its lines are free again: mend it, and run the same command again"));
                    }
                    Err(Trouble::Mine(error)) => return Err(error),
                    Err(Trouble::Theirs(error)) => match self.patience(&error) {
                        Some(told) => wait = wait.max(told),
                        None => self.leave(gone_or_going(&error)),
                    },
                }
            }
            if self.parts.is_empty() || self.leaving || !self.wish.wait {
                break;
            }
            self.rest(wait).await;
            pause = (pause + pause / 2).min(LONGEST_PAUSE);
        }
        match crowded {
            // There was room for others, so there will be for these.
            Some(_) if fetched => Ok(true),
            Some(error) => {
                self.stop(format!("the provider takes no more for now: {error}; run the same command again later"));
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Asks after a batch once, and fetches its results if it has ended. The batch comes back unless it is over.
    async fn see(&mut self, mut part: Out) -> (Option<Out>, Result<Seen, Trouble>) {
        let told = match part.target.status(&part.id).await {
            Ok(told) => told,
            Err(error) => return (Some(part), Err(Trouble::Theirs(error))),
        };
        self.good();
        part.done = told.status.done;
        match &told.status.state {
            State::Going => {
                let wait = told.wait;
                (Some(part), Ok(Seen::Going(wait)))
            }
            State::Refused(error) => {
                let error = Error::clone(error);
                let released = self.release(&part).await;
                (None, released.map(|()| Seen::Refused(error)).map_err(Trouble::Mine))
            }
            State::Ended(why) => match self.fetch(&mut part, &told, why).await {
                Ok(()) => (None, Ok(Seen::Fetched)),
                Err(trouble) => (Some(part), Err(trouble)),
            },
        }
    }

    /// Lines of a batch that was not begun are as if they had not been handed in.
    async fn release(&mut self, part: &Out) -> Result<()> {
        for number in &part.lines {
            if let Some(row) = self.rows.remove(number) {
                self.spend.settle(row.bound, None, false);
            }
        }
        let mut numbers: Vec<u64> = part.lines.iter().copied().collect();
        numbers.sort_unstable();
        self.keep(Record::Released(numbers)).await
    }

    /// Records the results of a batch that has ended. What was recorded before, when fetching broke off, is passed over.
    async fn fetch(&mut self, part: &mut Out, told: &Told, why: &Error) -> Result<(), Trouble> {
        for place in &told.status.results {
            let mut answers = part.target.answers(told, place).await.map_err(Trouble::Theirs)?;
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(answer) => self.hear(part, answer).await.map_err(Trouble::Mine)?,
                    // A line that cannot be read is nobody's: whose it was has no result in the end.
                    Err(error) if error.kind == Kind::Malformed => {}
                    Err(error) => {
                        self.flush().await.map_err(Trouble::Mine)?;
                        return Err(Trouble::Theirs(error));
                    }
                }
            }
        }
        let mut left: Vec<u64> = part.lines.iter().copied().collect();
        left.sort_unstable();
        for number in left {
            let answer = Answer { key: key(number), outcome: Outcome::Lost(Box::new(why.clone())) };
            self.hear(part, answer).await.map_err(Trouble::Mine)?;
        }
        self.flush().await.map_err(Trouble::Mine)
    }

    /// Records what came of a line.
    async fn hear(&mut self, part: &mut Out, answer: Answer) -> Result<()> {
        let number = answer.key.strip_prefix("line-").and_then(|number| number.parse().ok());
        // A line that comes twice counts once.
        let Some(number) = number.filter(|number| part.lines.contains(number)) else { return Ok(()) };
        let Some(row) = self.rows.remove(&number) else {
            return Err(wrong(format!("line {number} has a result and is not in the input; go on with the same input")));
        };
        part.lines.remove(&number);
        let answer = part.target.read(&answer.outcome);
        part.target.record(&part.model, &answer);
        match &answer {
            Ok(reply) => self.answered(&row, reply).await,
            Err(error) => {
                self.spend.settle(row.bound, None, false);
                self.fail(&row, error).await
            }
        }
    }

    async fn answered(&mut self, row: &Row, reply: &trunkline::Reply) -> Result<()> {
        self.spend.settle(row.bound, reply.cost(), true);
        let usage = reply.response.usage.unwrap_or_default();
        let micros = reply.cost().map_or(0, |cost| cost.micros);
        let figures = Figures { micros, input: usage.input, output: usage.output };
        let line = row.sender().answered(reply);
        self.record(row, (Ending::Answered, figures), line).await
    }
}

/// Whose trouble it is.
enum Trouble {
    /// A file's, here.
    Mine(Error),
    /// The provider's, or that of the way there.
    Theirs(Error),
}

fn gone_or_going(error: &Error) -> String {
    match error.kind {
        Kind::NotFound => {
            let what = "ask with the key of the account that handed it in; if the batch is gone, begin anew with another output";
            format!("{error}: {what}")
        }
        _ => format!("{error}; its batches go on: the same command fetches the results"),
    }
}
