//! Misbehaving by plan: what a provider does to its callers on a bad day, when you want it to.

mod dice;
mod rule;
mod spoil;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use tokio::time::sleep;

use self::dice::Dice;
pub use self::rule::FaultPlan;
use self::rule::{Connection, Rule};
use super::{Body, Failure, Phase, Reply};
use crate::codec::{Error, Kind, Origin, Retry};

/// A plan that is being followed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: FaultPlan,
    /// How often each of its rules was asked and has hit.
    counts: Arc<[Count]>,
    /// How long whoever waits for a head, and for the next piece of what is collected, would wait for a real one.
    head: Duration,
    piece: Duration,
}

#[derive(Debug, Default)]
struct Count {
    seen: AtomicU64,
    hits: AtomicU64,
}

/// A call that is hit.
pub(crate) struct Strike<'a> {
    faults: &'a Faults,
    rule: &'a Rule,
    dice: Dice,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan, head: Duration, piece: Duration) -> Self {
        let counts = plan.0.iter().map(|_| Count::default()).collect();
        Faults { plan, counts, head, piece }
    }

    /// The same plan where it is now, if that is what is wanted from now on.
    pub(crate) fn go_on(&self, plan: &FaultPlan, head: Duration, piece: Duration) -> Option<Self> {
        (self.plan == *plan).then(|| Faults { plan: plan.clone(), counts: Arc::clone(&self.counts), head, piece })
    }

    /// Whether a call to `target` (`provider/model`) is hit. The same calls in the same order get the same answers.
    pub(crate) fn strike(&self, target: &str) -> Option<Strike<'_>> {
        self.plan.0.iter().zip(self.counts.iter()).find_map(|(rule, count)| {
            let dice = count.hit(rule, target)?;
            Some(Strike { faults: self, rule, dice })
        })
    }
}

impl Count {
    fn hit(&self, rule: &Rule, target: &str) -> Option<Dice> {
        if !rule.covers(target) {
            return None;
        }
        let nth = self.seen.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::new(rule.seed, nth);
        let hit = nth >= rule.skip && dice.fraction() < rule.rate;
        (hit && self.hits.fetch_add(1, Ordering::Relaxed) < rule.times).then_some(dice)
    }
}

impl Strike<'_> {
    /// Does what the rule says. `onward` asks the provider, if it comes to that; `dialect` is what the error is told in.
    pub(crate) async fn carry(
        mut self,
        dialect: &str,
        onward: impl Future<Output = Result<Reply, Failure>>,
    ) -> Result<Reply, Failure> {
        let delay = self.rule.delay.draw(&mut self.dice);
        if delay >= self.faults.head || self.rule.connection == Some(Connection::Silent) {
            sleep(self.faults.head).await;
            let message = format!("no reply came within {:?}, as the fault plan has it", self.faults.head);
            return Err(Failure::new(Phase::Head, message).timed_out());
        }
        sleep(delay).await;
        match self.rule.connection {
            Some(Connection::Refused) => {
                return Err(Failure::new(Phase::Connect, "the connection was refused, as the fault plan has it"));
            }
            Some(Connection::Reset) => {
                return Err(Failure::new(Phase::Head, "the connection broke before its reply, as the fault plan has it"));
            }
            Some(Connection::Silent) | None => {}
        }
        let reply = match self.rule.status {
            Some(status) => refuse(dialect, status, self.rule.retry_after),
            None => onward.await?,
        };
        let (head, body) = reply.into_parts();
        Ok(spoil::spoil(head, body, self.rule, self.dice, self.faults.piece))
    }
}

/// An error in the words of a dialect.
fn refuse(dialect: &str, status: u16, retry_after: Option<u64>) -> Reply {
    let message = format!("the fault plan answers this call with status {status}");
    let mut error = Error::new(Kind::from_status(status), Origin::Caller, message);
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        error.retry = Retry::After(Duration::from_secs(seconds));
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let Some(errors) = crate::operate::error_dialect(dialect) else { return reply };
    headers.extend(errors.downstream().error_headers(&error));
    *reply.body_mut() = Body::whole(errors.downstream().write_error(&error, "fault-plan"));
    reply
}
