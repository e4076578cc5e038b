//! One exchange of a call: what whoever makes it is given, and what the call keeps of it meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::standing::Pass;
use crate::codec::{Error, Kind, Origin, Phase};
use crate::exchange::Failed;
use crate::monitor::is_unused;
use crate::relay::Hold;
use crate::target::{Service, Target};

/// One exchange with one target that may begin now.
pub struct Leg {
    /// Whom to ask.
    pub target: Target,
    /// How much of a streamed answer is kept back.
    pub hold: Hold,
    /// A streamed answer that breaks off is gone on with, so it has to be read.
    pub continues: bool,
    /// To the head of the answer.
    pub(super) first_byte: Option<Duration>,
    /// Is told when the head has come, if somebody wants to know.
    pub(super) headed: Option<Headed>,
}

/// Whether the head of an answer has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Headed(Arc<AtomicBool>);

impl Headed {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// An exchange that may begin, for all who have to do with it.
pub(super) struct Entry {
    pub(super) leg: Leg,
    pub(super) time: Time,
    pub(super) out: Out,
    pub(super) headed: Option<Headed>,
}

/// An exchange that is out.
pub(super) struct Out {
    pub(super) pass: Pass,
    /// Of the call's targets, this one.
    pub(super) at: usize,
    /// Of the outcome's exchanges, this one.
    pub(super) exchange: usize,
}

impl Out {
    /// It has failed, as far as its target is concerned.
    pub(super) fn failed(self, failed: &Failed) {
        let Failed { error, used, of_credential, .. } = failed;
        let mut pass = self.pass;
        pass.settle((used.is_none() && is_unused(error)).then_some(0));
        // Too much for one credential is not too much for the target.
        let too_much = matches!(error.kind, Kind::RateLimited | Kind::QuotaExhausted | Kind::Overloaded);
        if !(*of_credential && too_much) {
            pass.over(Some(error));
        }
    }

    /// The head of a good answer is there.
    pub(super) fn answered(mut self) -> Pass {
        self.pass.head();
        self.pass
    }
}

/// How much time there is for an exchange.
pub(super) struct Time {
    pub(super) service: Arc<Service>,
    /// To the end of the call's time.
    pub(super) left: Duration,
    /// Whether that is as much as the configuration gives one target.
    pub(super) all: bool,
}

impl Time {
    /// The work's result, or that the call's time is over: the target's fault only if it had all the time that there is.
    pub(super) async fn within<T>(self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        if let Ok(done) = tokio::time::timeout(self.left, work).await {
            return done;
        }
        let (phase, origin) = if self.all { (Phase::FirstByte, Origin::Provider) } else { (Phase::Whole, Origin::Gateway) };
        Err(late(&self.service, phase, origin, self.left))
    }
}

impl Leg {
    /// The head of an answer, or that it took too long.
    ///
    /// # Errors
    /// Its own, and `Timeout`.
    pub async fn begin<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let begun = match self.first_byte {
            None => work.await,
            Some(patience) => match tokio::time::timeout(patience, work).await {
                Ok(done) => done,
                Err(_) => Err(late(&self.target.service, Phase::FirstByte, Origin::Provider, patience)),
            },
        };
        if let (Some(headed), Ok(_)) = (&self.headed, &begun) {
            headed.0.store(true, Relaxed);
        }
        begun
    }
}

fn late(service: &Service, phase: Phase, origin: Origin, patience: Duration) -> Failed {
    let provider = &service.provider.id;
    let what = match origin {
        Origin::Gateway => {
            format!("the call's time was over before {provider} answered, which had {} ms", patience.as_millis())
        }
        _ => format!("gave no answer within {} ms", patience.as_millis()),
    };
    Error::timeout(phase, origin, what).from_provider(provider).into()
}
