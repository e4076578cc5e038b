//! An answer within a session, as it comes.

use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt as _;
use trunkline::ir::{Message, Request, Response, Role};
use trunkline::monitor::reckon_whole;
use trunkline::{ChatStream, Client, Error, Losses, Piece, Result};
use trunkline_store::{TurnRow, Word};

use super::Session;

/// A streamed answer of a session: its pieces, then [`Answering::keep`]. One that is dropped leaves no turn; the call is
/// cancelled, and recorded in the ledger as what it was.
///
/// ```no_run
/// # async fn example(session: &mut trunkline_work::session::Session) -> trunkline::Result<()> {
/// let mut answer = session.stream(session.question("And then?")).await?;
/// while let Some(piece) = answer.next().await {
///     if let trunkline::Piece::Text(text) = piece? {
///         eprint!("{text}");
///     }
/// }
/// let turn = answer.keep().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an answer that is dropped leaves no turn"]
pub struct Answering<'s> {
    session: &'s mut Session,
    stream: ChatStream,
    draft: Draft,
    error: Option<Error>,
    ended: bool,
}

impl<'s> Answering<'s> {
    pub(super) const fn new(session: &'s mut Session, stream: ChatStream, draft: Draft) -> Self {
        Answering { session, stream, draft, error: None, ended: false }
    }

    /// The next piece; nothing at the end. After an error nothing comes.
    ///
    /// # Errors
    /// The provider's, or that the stream broke off: what had come can be kept all the same.
    pub async fn next(&mut self) -> Option<Result<Piece>> {
        let piece = self.stream.next().await;
        match &piece {
            None => self.ended = self.error.is_none(),
            Some(Err(error)) => self.error = Some(error.clone()),
            Some(Ok(_)) => {}
        }
        piece
    }

    /// Who answers, `provider/model`.
    pub fn target(&self) -> &str {
        &self.stream.target
    }

    /// What could not be told: of the history, and of the request.
    pub const fn losses(&self) -> &Losses {
        &self.stream.losses
    }

    /// What has come so far, in canonical form.
    pub fn response(&self) -> Option<&Response> {
        self.stream.response()
    }

    /// Makes a turn of what has come: a whole one after the last piece, a partial one before, or after an error. What a
    /// partial one costs is estimated. Cancels what has not come.
    ///
    /// # Errors
    /// When the store cannot take it: the session has it all the same, as long as it is open.
    pub async fn keep(self) -> Result<TurnRow> {
        let Answering { session, stream, draft, error, ended } = self;
        let response = stream.response().cloned().unwrap_or_default();
        let turn = draft.turn(&session.client, &stream.target, response, ended, error.as_ref());
        drop(stream);
        session.keep(turn).await
    }
}

/// A turn before it is answered, which knows when it began.
pub struct Draft {
    asked: Vec<Message>,
    model: String,
    began: SystemTime,
    clock: Instant,
    /// What the prompt is estimated at.
    prompt: u64,
    row: TurnRow,
}

impl Draft {
    /// A turn that begins now: `asked` is what is new, of all that `request` says. `row` has its place,
    /// and the model's name where that was asked for by another one than the request's.
    pub fn new(row: TurnRow, asked: Vec<Message>, request: &Request) -> Self {
        let prompt = trunkline::call::estimate(request).input;
        let model = if row.model.is_empty() { request.model.clone() } else { row.model.clone() };
        Draft { asked, model, began: SystemTime::now(), clock: Instant::now(), prompt, row }
    }

    /// The turn that an answer makes of it: a whole one, or what had come when it ended with an error or otherwise.
    pub fn turn(self, client: &Client, target: &str, response: Response, ended: bool, error: Option<&Error>) -> TurnRow {
        let told = response.usage.is_some();
        let mut usage = reckon_whole(&response);
        if !told {
            usage.input = self.prompt;
        }
        usage.estimated |= !ended;
        let cost = client.cost(target, usage);
        let mut turn = TurnRow {
            begun_us: micros(self.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            elapsed_us: micros(self.clock.elapsed()),
            model: self.model,
            target: Some(target.to_owned()),
            told_model: Some(response.model.clone()).filter(|model| !model.is_empty()),
            asked: self.asked,
            error: error.map(|error| word(&error.kind)),
            input: Some(usage.input),
            output: Some(usage.output),
            usage_estimated: usage.estimated,
            cost_micros: cost.map(|cost| cost.micros),
            currency: cost.map(|cost| Word::Borrowed(cost.currency.as_str())),
            ..self.row
        };
        answer(&mut turn, response, ended);
        turn
    }
}

/// Puts the first answer of a response into a turn. `ended`: it is whole.
fn answer(turn: &mut TurnRow, response: Response, ended: bool) {
    let Some(choice) = response.choices.into_iter().next() else { return };
    turn.finish = ended.then(|| word(&choice.finish.reason));
    if !choice.parts.is_empty() {
        turn.answered = Some(Message { role: Role::Assistant, name: None, parts: choice.parts, extra: choice.extra });
    }
}

/// The word that is written for it everywhere.
fn word(what: &impl serde::Serialize) -> Word {
    let word = serde_json::to_value(what).ok();
    Word::Owned(word.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned())
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
