//! Answers of several targets as one: when one breaks off after a part of it has gone out, the next target goes on with it.
//! Only for aliases that want it (`continue_cut`).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use http::HeaderMap;

use super::story::{Story, is_plain};
use super::{Events, Hold, hold, is_stream};
use crate::call::estimate;
use crate::client::Client;
use crate::codec::dialect::{Dialect, Framing, Operation};
use crate::codec::{Error, Kind, Losses, Origin, Result};
use crate::config::HoldBack;
use crate::exchange::{Ask, Failed, exchange};
use crate::ir::{Event, Request, Usage};
use crate::monitor::{OpenCall, Tally};
use crate::route::{Leg, Tries};

/// What it takes to ask another target to go on.
pub struct GoOn {
    /// Who asks.
    pub client: Client,
    /// Whom, and when.
    pub tries: Tries,
    /// What was asked for.
    pub request: Request,
    /// In whose dialect, if there is a choice, and with which headers.
    pub caller: Option<(&'static Dialect, HeaderMap)>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Step {
    /// An event of the answer.
    Event(Event),
    /// From here on this target answers.
    Continued(Arc<str>),
}

/// The events of an answer that may be made of several. Dropping it closes the provider's connection and records that the
/// caller left.
pub struct Stitched {
    events: Events,
    call: OpenCall,
    tally: Tally,
    /// Whether the present answer has told its usage, and whether one before it had.
    told: (bool, bool),
    ready: VecDeque<Step>,
    fault: Option<Error>,
    more: Option<(Box<GoOn>, Story)>,
}

impl Stitched {
    /// These events, for a call that they end. With `more` others are asked when they break off, if that is possible.
    pub fn new(events: Events, call: OpenCall, more: Option<Box<GoOn>>) -> Self {
        let more = more.filter(|more| is_plain(&more.request)).map(|more| (more, Story::default()));
        Stitched { events, call, tally: Tally::default(), told: (false, false), ready: VecDeque::new(), fault: None, more }
    }

    /// The call that these are the answer to.
    pub fn call(&mut self) -> &mut OpenCall {
        &mut self.call
    }

    /// What can be had without waiting.
    pub fn ready(&mut self) -> Option<Step> {
        self.ready.pop_front()
    }

    /// What comes next; nothing at the end, and nothing after an error. With either the call is over.
    ///
    /// # Errors
    /// The provider's, or that the stream broke off, when nobody goes on with it.
    pub async fn next(&mut self) -> Option<Result<Step>> {
        let step = self.step().await;
        match &step {
            Some(Ok(_)) => {}
            Some(Err(error)) => self.call.close(Some(error.clone())),
            None => self.call.close(None),
        }
        step
    }

    /// The same, for whoever ends the call itself, because it has more to say of it.
    pub(super) async fn step(&mut self) -> Option<Result<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(Ok(step));
            }
            if let Some(error) = self.fault.take() {
                return Some(Err(error));
            }
            match self.events.next().await {
                None => return None,
                Some(Ok(event)) => self.take(event),
                Some(Err(error)) => self.break_off(error).await,
            }
            while let Some(event) = self.events.ready() {
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.tally.hear(&event);
        self.told.0 |= matches!(event, Event::Usage { .. });
        if let Some(outcome) = self.call.outcome() {
            outcome.usage = Some(self.tally.usage());
        }
        let Some((_, story)) = &mut self.more else {
            return self.ready.push_back(Step::Event(event));
        };
        let mut out = VecDeque::new();
        // Who is told what the first one used shall be told of the others, too.
        if matches!(event, Event::End) && self.told == (false, true) {
            let usage = self.call.spent(Some(self.tally.usage())).unwrap_or_default();
            story.take(Event::Usage { usage }, &mut out);
        }
        story.take(event, &mut out);
        self.ready.extend(out.into_iter().map(Step::Event));
    }

    /// The present answer has broken off: another one follows, or the error does.
    async fn break_off(&mut self, error: Error) {
        let used = self.call.spent(Some(self.tally.usage())).unwrap_or_default();
        let may = self.more.as_ref().is_some_and(|(_, story)| story.may_go_on() && is_passing(&error));
        let gone_on = if may { self.go_on(error, used).await } else { Err(error) };
        let Some((_, story)) = &mut self.more else {
            self.fault = gone_on.err();
            return;
        };
        let mut out = VecDeque::new();
        match gone_on {
            Ok(target) => {
                story.turn(used, &mut out);
                (self.tally, self.told) = (Tally::default(), (false, self.told.0 || self.told.1));
                self.ready.extend(out.into_iter().map(Step::Event));
                self.ready.push_back(Step::Continued(target));
            }
            Err(error) => {
                story.flush(&mut out);
                self.ready.extend(out.into_iter().map(Step::Event));
                self.fault = Some(error);
            }
        }
    }

    /// Asks whoever may be asked to go on.
    async fn go_on(&mut self, error: Error, used: Usage) -> Result<Arc<str>> {
        let Some((more, story)) = &mut self.more else { return Err(error) };
        let call = &mut self.call;
        call.broke_off(&error, used);
        more.tries.broke_off(&error);
        let request = story.request(&more.request);
        call.prompt(estimate(&request).input);
        let GoOn { client, tries, caller, .. } = &mut **more;
        let asked = tries.answer(call, |leg| ask(client, leg, &request, caller.as_ref())).await;
        let (target, losses, events) = asked.map_err(|failed| failed.error)?;
        if let Some(outcome) = call.outcome() {
            outcome.losses = losses;
        }
        self.events = events;
        Ok(target)
    }
}

async fn ask(
    client: &Client,
    leg: Leg,
    request: &Request,
    caller: Option<&(&'static Dialect, HeaderMap)>,
) -> Result<(Arc<str>, Losses, Events), Failed> {
    let target = &leg.target;
    let chosen = target.service.choose(caller.map(|(dialect, _)| *dialect), Operation::Chat, &target.model);
    let dialect = chosen.ok_or_else(|| {
        let what = format!("{} speaks no dialect that can chat", target.service.provider.id);
        Error::new(Kind::Unsupported, Origin::Gateway, what)
    })?;
    let ask = Ask::Write { request, operation: Operation::Chat, headers: caller.map(|(_, headers)| headers) };
    let mut answer = leg.begin(pin!(exchange(client, target, dialect, ask))).await?;
    let losses = std::mem::take(&mut answer.losses);
    if is_stream(&answer) {
        // Until it has said something, nothing is lost when it fails.
        answer = hold(answer, Framing::Sse, Hold { until: HoldBack::FirstToken, ..leg.hold }).await?;
    }
    Ok((target.shared_name(), losses, Events::open(answer, &client.config().network).await?))
}

/// Whether it may be otherwise elsewhere, or the next time.
fn is_passing(error: &Error) -> bool {
    matches!(error.kind, Kind::RateLimited | Kind::Overloaded | Kind::Server | Kind::Timeout | Kind::Network | Kind::Truncated)
}
