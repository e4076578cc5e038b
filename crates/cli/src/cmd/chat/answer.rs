//! A question is asked, and its answer shown, stopped, kept.

use std::pin::pin;

use serde_json::json;
use trunkline::ir::{Message, Request, Response, Role};
use trunkline::{Error, Losses};
use trunkline_store::TurnRow;

use super::{Open, Talk};

use crate::ledger::{duration, money, number};
use crate::screen::Screen;
use crate::signal::Signal;

/// How an answer ended.
enum Ended {
    Whole,
    /// By Ctrl-C or SIGTERM.
    Stopped(Signal),
    Broken(Box<Error>),
}

/// What came of it.
struct Came {
    ended: Ended,
    target: Option<String>,
    response: Response,
    losses: Losses,
    /// Whether the conversation has it.
    kept: bool,
    /// It could not be written down.
    unwritten: Option<Box<Error>>,
}

impl Came {
    fn nothing(ended: Ended) -> Self {
        let (response, losses) = (Response::default(), Losses::default());
        Came { ended, target: None, response, losses, kept: false, unwritten: None }
    }
}

impl Talk<'_> {
    /// Asks, and shows the answer. What goes wrong with the call is told, and the conversation goes on.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(super) async fn ask(&mut self, messages: Vec<Message>) -> anyhow::Result<()> {
        let mut screen = Screen::new(self.global);
        let mut request = Request { messages: messages.clone(), max_tokens: self.max_tokens, ..Request::default() };
        request.sampling.temperature = self.temperature;
        let before = self.session.id().to_owned();
        let came = self.stream(request, &mut screen).await?;
        screen.finish()?;
        let whole = matches!(came.ended, Ended::Whole);
        self.open = (!whole).then(|| Open { asked: messages.clone(), kept: came.kept });
        self.hold(&messages, !came.kept);
        self.tell(&messages, &came);
        if self.session.id() != before {
            self.note(&format!("{before} was gone on with elsewhere: this goes on as session {}", self.session.id()));
        }
        match came.ended {
            Ended::Whole => self.answered += 1,
            Ended::Broken(error) => self.fail(&error.to_string()),
            Ended::Stopped(signal) if !self.typed || signal == Signal::Terminate => self.stopped = true,
            Ended::Stopped(_) => {
                self.note(if came.kept { "stopped; what came is kept, /retry asks again" } else { "stopped; /retry asks again" })
            }
        }
        if self.typed {
            crate::terminal::complain("");
        }
        Ok(())
    }

    /// What a prompt says before the first question is still to go when a question that had it is not in the conversation.
    pub(super) fn hold(&mut self, asked: &[Message], still: bool) {
        if asked.starts_with(&self.opening) {
            self.pending = if still { self.opening.clone() } else { Vec::new() };
        }
    }

    async fn stream(&mut self, request: Request, screen: &mut Screen) -> anyhow::Result<Came> {
        // One for all of the answer: what is pressed between two pieces counts, too.
        let mut stop = pin!(crate::signal::next());
        let opened = tokio::select! {
            opened = self.session.stream(request) => opened,
            signal = &mut stop => return Ok(Came::nothing(Ended::Stopped(signal))),
        };
        let mut answer = match opened {
            Ok(answer) => answer,
            Err(error) => return Ok(Came::nothing(Ended::Broken(Box::new(error)))),
        };
        let ended = loop {
            let piece = tokio::select! {
                piece = answer.next() => piece,
                signal = &mut stop => break Ended::Stopped(signal),
            };
            match piece {
                Some(Ok(piece)) => screen.show(&piece)?,
                Some(Err(error)) => break Ended::Broken(Box::new(error)),
                None => break Ended::Whole,
            }
        };
        let response = answer.response().cloned().unwrap_or_default();
        let (target, losses) = (Some(answer.target().to_owned()), answer.losses().clone());
        let some = response.choices.first().is_some_and(|choice| !choice.parts.is_empty());
        let kept = some || matches!(ended, Ended::Whole);
        let unwritten = if kept { answer.keep().await.err().map(Box::new) } else { None };
        Ok(Came { ended, target, response, losses, kept, unwritten })
    }

    /// Asks the last question again: the one that was not answered, else the one that was.
    pub(super) async fn retry(&mut self) -> anyhow::Result<()> {
        let open = self.open.take();
        let asked = match open {
            Some(Open { asked, kept: false }) => Ok(Some(asked)),
            Some(Open { kept: true, .. }) | None => self.session.take_back().await,
        };
        match asked {
            Ok(Some(messages)) => return self.ask(messages).await,
            Ok(None) => self.fail("nothing was asked yet"),
            Err(error) => self.fail(&error.to_string()),
        }
        Ok(())
    }

    /// What there is to say beside an answer.
    fn tell(&mut self, asked: &[Message], came: &Came) {
        let turn = self.session.turns().last().filter(|_| came.kept).cloned();
        if self.global.json {
            self.told.push(turn_json(self.session.id(), asked, came, turn.as_ref()));
        }
        if let Some(error) = &came.unwritten {
            self.note(&format!("this turn is not written down: {error}"));
        }
        if let Some(turn) = turn.as_ref().filter(|_| self.global.verbose) {
            self.note(&figures(turn));
        }
        // The same is lost turn by turn: once is enough for those who do not want to know more.
        for loss in came.losses.iter() {
            let first = self.lost.insert(loss.why.to_string());
            if self.global.verbose || (first && !self.global.quiet) {
                self.note(&format!("not sent: {} ({})", loss.field, loss.why));
            }
        }
    }
}

/// Who answered, what it took.
fn figures(turn: &TurnRow) -> String {
    let sign = if turn.usage_estimated { "~" } else { "" };
    let tokens =
        turn.input.zip(turn.output).map(|(input, output)| format!("{sign}{} + {sign}{} tokens", number(input), number(output)));
    let cost = turn.cost_micros.zip(turn.currency.as_deref()).map(|(micros, currency)| money(currency, micros));
    let parts = [turn.target.clone(), tokens, cost, Some(duration(turn.elapsed_us))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn turn_json(session: &str, asked: &[Message], came: &Came, turn: Option<&TurnRow>) -> serde_json::Value {
    let answered = turn.and_then(|turn| turn.answered.as_ref()).map(Message::plain_text).unwrap_or_default();
    let error = match &came.ended {
        Ended::Whole => None,
        Ended::Stopped(_) => Some("stopped".to_owned()),
        Ended::Broken(error) => Some(error.to_string()),
    };
    json!({
        "session": session,
        // The question alone: a prompt may have said more before it.
        "prompt": asked.iter().rfind(|message| message.role == Role::User).map(Message::plain_text).unwrap_or_default(),
        "text": answered,
        "target": came.target,
        "model": came.response.model,
        "reason": turn.and_then(|turn| turn.finish.as_deref()),
        "usage": came.response.usage,
        "cost_micros": turn.and_then(|turn| turn.cost_micros),
        "currency": turn.and_then(|turn| turn.currency.as_deref()),
        "elapsed_us": turn.map(|turn| turn.elapsed_us),
        "losses": came.losses,
        "error": error,
    })
}
