//! How the targets and the credentials stand, for people and machines to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::standing::Fitness;
use crate::client::Client;
use crate::target::{Service, Target};

/// How everything stands that calls may go to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Those that aliases name, and those that have been asked.
    pub targets: Vec<TargetHealth>,
    /// Those credentials that rest.
    pub credentials: Vec<CredentialHealth>,
    /// Those providers whose calls are limited by the configuration.
    #[serde(default)]
    pub limits: Vec<LimitHealth>,
}

/// One provider whose calls are limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHealth {
    /// Its id.
    pub provider: String,
    /// Calls that are out.
    pub in_flight: u32,
    /// Calls that wait for their turn.
    pub waiting: u32,
}

/// Whether a target is fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    Fit,
    /// It is again, and treated with care.
    Recovering,
    /// One call is out to see whether it is again.
    OnTrial,
    /// It is not.
    Resting,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// `provider/model`.
    pub target: String,
    /// Whether it is fit.
    pub state: State,
    /// Why it rests.
    pub why: Option<String>,
    /// For how many seconds yet, rounded up.
    pub rest_seconds: Option<u64>,
    /// Calls that are out.
    pub in_flight: u32,
    /// What a whole answer may be expected to take, in milliseconds.
    pub answer_ms: Option<u64>,
    /// What the beginning of a stream may be expected to take, in milliseconds.
    pub stream_ms: Option<u64>,
}

/// One credential that rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialHealth {
    /// Whose it is.
    pub provider: String,
    /// By its fingerprint.
    pub credential: String,
    /// For how many seconds yet, rounded up.
    pub rest_seconds: u64,
}

impl Client {
    /// How the targets and credentials stand now.
    pub fn health(&self) -> Health {
        let now = self.clock().ticks();
        let services = self.services();
        let mut targets: BTreeMap<Arc<str>, Target> = BTreeMap::new();
        for target in self.config().models.keys().filter_map(|alias| self.plan(alias).ok()).flatten() {
            targets.insert(target.shared_name(), target);
        }
        for service in &services {
            let asked = service.standings().into_iter().filter(|(_, standing)| !standing.is_blank());
            let asked = asked.map(|(model, _)| Target::new(Arc::clone(service), &model));
            targets.extend(asked.map(|target| (target.shared_name(), target)));
        }
        let targets = targets.into_values().map(|target| TargetHealth::of(&target, now));
        let credentials = services.iter().flat_map(|service| resting(service, now));
        let limited = services.iter().filter(|service| service.gate.holds()).map(|service| {
            let (in_flight, waiting) = service.gate.count();
            LimitHealth { provider: service.provider.id.clone(), in_flight, waiting }
        });
        Health { targets: targets.collect(), credentials: credentials.collect(), limits: limited.collect() }
    }
}

fn resting(service: &Service, now: Duration) -> impl Iterator<Item = CredentialHealth> {
    let provider = service.provider.id.clone();
    service.resting_credentials(now).into_iter().map(move |(credential, left)| CredentialHealth {
        provider: provider.clone(),
        credential,
        rest_seconds: seconds(left),
    })
}

impl TargetHealth {
    fn of(target: &Target, now: Duration) -> Self {
        let look = target.look(false, now);
        let (state, why, left) = match look.fitness {
            Fitness::Fit => (State::Fit, None, None),
            Fitness::Recovering(_) => (State::Recovering, None, None),
            Fitness::OnTrial => (State::OnTrial, None, None),
            Fitness::Resting { left, why, .. } => (State::Resting, Some(why), Some(left)),
        };
        TargetHealth {
            target: target.name().to_owned(),
            state,
            why,
            rest_seconds: left.map(seconds),
            in_flight: look.in_flight,
            answer_ms: look.latency.map(millis),
            stream_ms: target.look(true, now).latency.map(millis),
        }
    }
}

fn seconds(time: Duration) -> u64 {
    millis(time).div_ceil(1000)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
