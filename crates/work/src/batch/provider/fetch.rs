//! Results from the provider: its batches are asked after, and fetched when they have ended.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use trunkline::batch::Told;
use trunkline::codec::dialect::batch::{Answer, Outcome, State};
use trunkline::{Error, Kind, Result};

use super::super::Progress;
use super::super::journal::{Ending, Figures, Record};
use super::hand_in::key;
use super::patience::bound;
use super::{Call, LONGEST_PAUSE, Out, Row, Run};
use crate::fault::wrong;

/// The first pause between two questions; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Batches that a message names, and stretches of the lines of each.
const NAMED: usize = 3;
const SPANS: usize = 5;

/// What came of asking after a batch.
enum Seen {
    /// It is not at its end.
    Going,
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
            let begun = Instant::now();
            let mut at = 0;
            while let Some(is_due) = self.parts.get(at).map(|part| part.due <= begun) {
                if !is_due {
                    at += 1;
                    continue;
                }
                let part = self.parts.remove(at);
                let (mut part, seen) = self.see(part).await;
                match seen {
                    Ok(Seen::Going) => {}
                    Ok(Seen::Fetched) => fetched = true,
                    Ok(Seen::Refused(error)) if error.kind == Kind::RateLimited => crowded = Some(error),
                    Ok(Seen::Refused(error)) => {
                        self.stop(format!("the provider refused a batch: {error}; its lines are free again: mend it, and run the same command again"));
                    }
                    Err(Trouble::Mine(error)) => return Err(error),
                    Err(Trouble::Theirs(error)) => {
                        let wait = part.as_mut().and_then(|part| part.patience.bear(&error));
                        match part.take() {
                            Some(kept) if wait.is_some() => part = Some(Out { wait, ..kept }),
                            // The others are asked after all the same.
                            lost => self.aside.extend(lost.map(|lost| (lost, error))),
                        }
                    }
                }
                if let Some(part) = part {
                    self.parts.insert(at, part);
                    at += 1;
                }
            }
            let now = Instant::now();
            for part in &mut self.parts {
                if let Some(wait) = part.wait.take() {
                    part.due = now + wait.max(pause);
                }
            }
            let Some(due) = self.parts.iter().map(|part| part.due).min().filter(|_| self.wish.wait) else { break };
            self.rest(due.saturating_duration_since(now)).await;
            if self.is_halted() {
                return Ok(false);
            }
            pause = (pause + pause / 2).min(LONGEST_PAUSE);
        }
        if let Some(why) = lost(&self.aside) {
            let before = self.stopped.take().map(|before| format!("{before}; ")).unwrap_or_default();
            self.leave(format!("{before}{why}"));
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
        part.done = told.status.done;
        match &told.status.state {
            State::Going => {
                part.patience.good();
                part.wait = Some(bound(told.wait.unwrap_or_default()));
                (Some(part), Ok(Seen::Going))
            }
            State::Refused(error) => {
                let error = Error::clone(error);
                let released = self.release(&part).await;
                (None, released.map(|()| Seen::Refused(error)).map_err(Trouble::Mine))
            }
            State::Ended(why) => {
                let before = part.lines.len();
                let fetched = self.fetch(&mut part, &told, why).await;
                if part.lines.len() < before {
                    part.patience.good();
                }
                match fetched {
                    Ok(()) => (None, Ok(Seen::Fetched)),
                    Err(trouble) => (Some(part), Err(trouble)),
                }
            }
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
        let (ending, line) = match &answer {
            Ok(reply) => (self.answered(&row, reply), row.sender().answered(reply)),
            Err(error) => {
                self.spend.settle(row.bound, None, false);
                ((Ending::Failed, Figures::default()), row.sender().failed(error))
            }
        };
        self.calls.push(Call { target: part.target.clone(), model: part.model.clone(), answer });
        self.record(&row, ending, line).await
    }

    fn answered(&mut self, row: &Row, reply: &trunkline::Reply) -> (Ending, Figures) {
        self.spend.settle(row.bound, reply.cost(), true);
        let usage = reply.response.usage.unwrap_or_default();
        let micros = reply.cost().map_or(0, |cost| cost.micros);
        (Ending::Answered, Figures { micros, input: usage.input, output: usage.output })
    }
}

/// Whose trouble it is.
enum Trouble {
    /// A file's, here.
    Mine(Error),
    /// The provider's, or that of the way there.
    Theirs(Error),
}

/// Of batches that could not be fetched: which, whose lines, why, and what to do.
fn lost(aside: &[(Out, Error)]) -> Option<String> {
    let (_, error) = aside.first()?;
    let (same, others): (Vec<_>, Vec<_>) = aside.iter().partition(|(_, its)| its.kind == error.kind);
    let mut names: Vec<String> =
        same.iter().take(NAMED).map(|(part, _)| format!("{} ({})", part.id, spans(&part.lines))).collect();
    if same.len() > NAMED {
        names.push(format!("{} more", same.len() - NAMED));
    }
    let what = match error.kind {
        Kind::NotFound => {
            "ask with the key of the account that handed it in; if the batch is gone, begin anew with another output"
        }
        _ => "nothing is lost: the same command fetches the results",
    };
    let others = match others.len() {
        0 => String::new(),
        n => format!("; {n} more could not be fetched for other reasons"),
    };
    Some(format!("batch {}: {error}; {what}{others}", names.join(", ")))
}

/// `lines 1-4, 9`.
fn spans(lines: &HashSet<u64>) -> String {
    let mut sorted: Vec<u64> = lines.iter().copied().collect();
    sorted.sort_unstable();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for number in sorted {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let one = |(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let more = if spans.len() > SPANS { ", …" } else { "" };
    let shown: Vec<String> = spans.iter().take(SPANS).map(one).collect();
    format!("line{} {}{more}", if lines.len() == 1 { "" } else { "s" }, shown.join(", "))
}
