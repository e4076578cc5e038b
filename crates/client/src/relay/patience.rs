//! How long an answer that has begun is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::stalled;
use crate::codec::{Error, Kind, Origin};

/// What the body of a reply needs to know beside the answer.
pub struct Settings {
    /// Seconds without a byte after which the provider is given up.
    pub idle_seconds: u64,
    /// The longest frame.
    pub frame_limit: usize,
    /// Turns true when running streams must end.
    pub cut: watch::Receiver<bool>,
}

/// Runs out when nothing has come for too long, or when running streams must end.
pub(super) struct Patience {
    idle: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Patience {
    pub(super) fn new(settings: Settings) -> Self {
        let idle = Duration::from_secs(settings.idle_seconds);
        let mut cut = settings.cut;
        Patience {
            idle,
            last: Instant::now(),
            timer: Box::pin(tokio::time::sleep(idle)),
            cut: Box::pin(async move {
                if cut.wait_for(|cut| *cut).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
        }
    }

    /// Something has come.
    pub(super) fn renew(&mut self) {
        self.last = Instant::now();
    }

    /// Nothing is coming: has patience run out, or must the stream be cut?
    pub(super) fn run_out(&mut self, context: &mut Context<'_>) -> Option<Error> {
        if self.cut.as_mut().poll(context).is_ready() {
            let what = "the gateway is shutting down; send the request again";
            return Some(Error::new(Kind::Unavailable, Origin::Gateway, what));
        }
        while let Poll::Ready(()) = self.timer.as_mut().poll(context) {
            if self.last.elapsed() >= self.idle {
                return Some(stalled(self.idle.as_secs()));
            }
            // Re-armed only now and then: a reset for every piece would cost more than the piece.
            let next = self.last + self.idle;
            self.timer.as_mut().reset(next.into());
        }
        None
    }
}
