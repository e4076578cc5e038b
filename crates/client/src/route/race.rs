//! The loop over the exchanges of a call, and the race of two of them where one alone takes too long (*hedging*).
//!
//! ```text
//! asks the first ──► head in time ──────────────────────────────► its answer
//!       │
//!       └─ no head after `hedge_ms` ──► asks the next beside it ──► the first good answer; the other exchange is dropped
//! ```
//!
//! Every exchange beside another one costs a retry of its target's budget, and there are never more than two at once.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, pending};

use super::leg::{Entry, Headed, Leg, Out};
use super::tries::Tries;
use crate::codec::{Error, Kind, Origin};
use crate::exchange::Failed;
use crate::monitor::OpenCall;

/// Exchanges of one call at once.
const AT_ONCE: usize = 2;

/// An exchange that is out, and the work on it.
struct Racer<W> {
    out: Out,
    headed: Option<Headed>,
    work: W,
}

impl Tries {
    /// The first good answer to `call`, of whoever gives it: `ask` makes the exchange of one leg. It waits where waiting
    /// may help. The call stays open, because the answer's body may be still to come.
    ///
    /// # Errors
    /// The last failure when nobody may be asked any more; `RateLimited` or `Unavailable` when nobody was, with the time
    /// after which somebody may be.
    pub async fn answer<T, F>(&mut self, call: &mut OpenCall, ask: impl Fn(Leg) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let hedge = self.rules().hedge;
        let mut begun = false;
        loop {
            let Entry { leg, time, out, headed } = self.next(call).await?;
            let work = pin!(ask(leg));
            let mut work = pin!(time.within(work));
            if hedge.is_some() && !std::mem::replace(&mut begun, true) {
                self.earn_beside();
            }
            let (tries, call) = (&mut *self, &mut *call);
            // Waited for in one place, or the work would be kept beside what comes before it, in every call.
            let answered = match hedge {
                None => Either::Left(async move {
                    let tried = work.await;
                    tries.hear(out, tried, call)
                }),
                // In a box, so that calls without it need not keep room for it.
                Some(patience) => {
                    let first = Racer { out, headed, work: work.as_mut() };
                    Either::Right(Box::pin(tries.race(first, patience, call, &ask)))
                }
            };
            if let Some(answer) = answered.await {
                return Ok(answer);
            }
        }
    }

    /// The first good answer of `first` and of whoever is asked beside it; none if all fail.
    async fn race<T, F, W>(
        &mut self,
        first: Racer<Pin<&mut W>>,
        patience: Duration,
        call: &mut OpenCall,
        ask: &impl Fn(Leg) -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, Failed>>,
        W: Future<Output = Result<T, Failed>>,
    {
        let Racer { out, headed, work } = first;
        let mut racers = Vec::with_capacity(AT_ONCE);
        racers.push(Racer { out, headed, work: Either::Left(work) });
        // When another one may be asked; `None`: not any more.
        let mut patience = Some(patience);
        while !racers.is_empty() {
            let Some((racer, tried)) = first_of(&mut racers, patience).await else {
                patience = None;
                let headed = racers.iter().any(|racer| racer.headed.as_ref().is_some_and(Headed::is_there));
                if !headed && let Some(Entry { leg, time, out, headed }) = self.beside(call) {
                    let work = Box::pin(time.within(ask(leg)));
                    racers.push(Racer { out, headed, work: Either::Right(work) });
                }
                continue;
            };
            // Whoever fails makes room for the next, at once.
            patience = Some(Duration::ZERO);
            let answer = self.hear(racer.out, tried, call);
            if answer.is_some() {
                for loser in racers {
                    call.failed(loser.out.exchange, &outrun(), None);
                }
                return answer;
            }
        }
        None
    }
}

/// Waits for the first exchange that is over, and takes it out; nothing when none is after so long.
async fn first_of<W: Future + Unpin>(racers: &mut Vec<Racer<W>>, patience: Option<Duration>) -> Option<(Racer<W>, W::Output)> {
    let over = std::future::poll_fn(|context| {
        for (at, racer) in racers.iter_mut().enumerate() {
            if let Poll::Ready(tried) = Pin::new(&mut racer.work).poll(context) {
                return Poll::Ready((racers.remove(at), tried));
            }
        }
        Poll::Pending
    });
    let patience = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        over = over => Some(over),
        () = patience => None,
    }
}

/// Another one was faster. That is nobody's fault.
fn outrun() -> Error {
    Error::new(Kind::Cancelled, Origin::Gateway, "another target answered first")
}
