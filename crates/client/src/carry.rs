//! The last stretch to a provider: past the fault plan, then to a recording or, listened to by the recorder, to the wire.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};

use crate::body_values::BodyValues;
use crate::clock::Clock;
use crate::codec::Result;
use crate::config::{Config, wrong};
use crate::target::Target;
use crate::transport::{
    EXCHANGE_LIMIT, Failure, Faults, Keeper, Payload, Phase, Plain, Replay, Reply, Sending, Transport, Wanted, With,
};

/// What stands between calls and the wire. Nothing, mostly.
#[derive(Default)]
pub(crate) struct Stage {
    faults: Option<Faults>,
    keeper: Option<Keeper>,
    replay: Option<Replay>,
}

/// What is known of a request beside the request itself.
pub(crate) struct Label<'a> {
    pub(crate) target: &'a Target,
    pub(crate) dialect: &'a str,
    /// The request before its credential, if [`Stage::looks`].
    pub(crate) plain: Option<Plain>,
}

impl Stage {
    /// What the configuration asks for. `told` hears of exchanges that could not be recorded.
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub(crate) fn new(config: &Config, told: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let network = &config.network;
        let seconds = Duration::from_secs;
        let faults = (!config.faults.is_empty())
            .then(|| Faults::new(&config.faults, seconds(network.head_seconds), seconds(network.idle_seconds)));
        let replay =
            config.replay.as_ref().map(|replay| Replay::open(&replay.dir, replay.timing, config.simulate)).transpose()?;
        let keeper = match (&config.record, &replay) {
            (Some(_), Some(_)) => {
                return Err(wrong("`record` and `replay` exclude one another: what is played back is recorded already"));
            }
            (Some(folder), None) => Some(Keeper::open(folder, Arc::new(told))?),
            (None, _) => None,
        };
        Ok(Stage { faults, keeper, replay })
    }

    /// Whether anybody looks at requests.
    pub(crate) const fn looks(&self) -> bool {
        self.keeper.is_some() || self.replay.is_some()
    }

    /// Whether nobody is contacted.
    pub(crate) const fn replays(&self) -> bool {
        self.replay.is_some()
    }

    /// Sends a request by `wire`, as far as that is what the stage has it come to.
    pub(crate) fn carry<'a>(
        &'a self,
        request: Request<Payload>,
        label: Label<'a>,
        wire: &'a dyn Transport,
        clock: &'a dyn Clock,
    ) -> Sending<'a> {
        let Some(faults) = &self.faults else {
            return if self.looks() { Box::pin(self.reach(request, label, wire, clock)) } else { wire.send(request) };
        };
        let strike = faults.strike(&label.target.name());
        let dialect = label.dialect;
        let onward = self.reach(request, label, wire, clock);
        match strike {
            Some(strike) => Box::pin(strike.carry(dialect, onward)),
            None => Box::pin(onward),
        }
    }

    async fn reach(
        &self,
        request: Request<Payload>,
        label: Label<'_>,
        wire: &dyn Transport,
        clock: &dyn Clock,
    ) -> Result<Reply, Failure> {
        let Some(plain) = label.plain else { return wire.send(request).await };
        let with = With {
            provider: label.target.service.provider.id.clone(),
            target: label.target.name(),
            dialect: label.dialect.to_owned(),
        };
        match (&self.replay, &self.keeper) {
            (Some(replay), _) => {
                let (head, payload) = request.into_parts();
                let body = Limited::new(payload, EXCHANGE_LIMIT).collect().await;
                let long = |_| Failure::new(Phase::Replay, "there is no recording of a request of this length, or it broke off");
                let mut body = body.map_err(long)?.to_bytes().to_vec();
                plain.values.apply(&mut body);
                replay.play(Wanted { with, method: &head.method, plain: &plain, body: &body }).await
            }
            (None, Some(keeper)) => keeper.listen((with, plain), request, wire, clock.now()).await,
            (None, None) => wire.send(request).await,
        }
    }
}

impl Plain {
    /// A request before it gets its credential.
    pub(crate) fn new(path: &str, headers: &HeaderMap) -> Self {
        Plain { path: path.to_owned(), headers: headers.clone(), secrets: Vec::new(), values: BodyValues::default() }
    }
}

/// A wire that leads nowhere.
pub(crate) struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: Request<Payload>) -> Sending<'_> {
        Box::pin(async { Err(Failure::new(Phase::Replay, "nobody is contacted while recordings are played back")) })
    }
}
