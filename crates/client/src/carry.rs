//! The last stretch to a provider: past the fault plan, then to a recording or, listened to by the recorder, to the wire.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};

use crate::body_values::BodyValues;
use crate::clock::Clock;
use crate::codec::Result;
use crate::config::{Config, ReplayFrom, wrong};
use crate::target::Target;
use crate::transport::{
    EXCHANGE_LIMIT, Failure, Faults, Keeper, Payload, Phase, Plain, Replay, Reply, Sending, Transport, Wanted, With,
};

/// What stands between calls and the wire. Nothing, mostly.
#[derive(Default)]
pub(crate) struct Stage {
    /// May be another plan with every reload.
    faults: ArcSwapOption<Faults>,
    keeper: Option<Keeper>,
    replay: Option<Arc<Replay>>,
}

/// What is known of a request beside the request itself.
pub(crate) struct Label<'a> {
    pub(crate) target: &'a Target,
    pub(crate) dialect: &'a str,
    /// The request before its credential, if [`Stage::looks`].
    pub(crate) plain: Option<Plain>,
    /// The recording of the same request with another credential, which was not good enough.
    pub(crate) instead_of: Option<u64>,
}

impl Stage {
    /// What the configuration asks for. `told` hears of exchanges that could not be recorded.
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub(crate) fn new(config: &Config, told: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let open = |replay: &ReplayFrom| Replay::open(&replay.dir, replay.timing, config.simulate).map(Arc::new);
        let replay = config.replay.as_ref().map(open).transpose()?;
        let keeper = match (&config.record, &replay) {
            (Some(_), Some(_)) => {
                return Err(wrong("`record` and `replay` exclude one another: what is played back is recorded already"));
            }
            (Some(folder), None) => Some(Keeper::open(folder, Arc::new(told))?),
            (None, _) => None,
        };
        let stage = Stage { faults: ArcSwapOption::empty(), keeper, replay };
        stage.refresh(config);
        Ok(stage)
    }

    /// Follows the fault plan of this configuration from now on. If it is the one that is followed, that goes on where it
    /// is, with the patience that this configuration has.
    pub(crate) fn refresh(&self, config: &Config) {
        let seconds = Duration::from_secs;
        let (head, piece) = (seconds(config.network.head_seconds), seconds(config.network.idle_seconds));
        let followed = self.faults.load();
        let same = followed.as_ref().and_then(|followed| followed.go_on(&config.faults, head, piece));
        let faults = || same.unwrap_or_else(|| Faults::new(config.faults.clone(), head, piece));
        self.faults.store((!config.faults.is_empty()).then(|| Arc::new(faults())));
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
        let Some(faults) = self.faults.load_full() else {
            return if self.looks() { Box::pin(self.reach(request, label, wire, clock)) } else { wire.send(request) };
        };
        Box::pin(async move {
            let (strike, dialect) = (faults.strike(label.target.name()), label.dialect);
            let onward = self.reach(request, label, wire, clock);
            match strike {
                Some(strike) => strike.carry(dialect, onward).await,
                None => onward.await,
            }
        })
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
            target: label.target.name().to_owned(),
            dialect: label.dialect.to_owned(),
            instead_of: label.instead_of,
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
