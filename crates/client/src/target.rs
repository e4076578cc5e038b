//! A provider that can be called, and one model of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::body_values::BodyValues;
use crate::client::Client;
use crate::clock::Clock;
use crate::codec::catalog::{Auth, Catalog, Provider, Quirks, SecretRef};
use crate::codec::dialect::advice::ProviderLimits;
use crate::codec::dialect::{self, Dialect, Operation, operation};
use crate::codec::{Error, Kind, Origin, Result, Retry};
use crate::config::{Config, Environment};
use crate::credential::{Credentials, Errand, Opened, Turn, with_region};
use crate::monitor::Trail;
use crate::route::{Fitness, Gate, Look, Standing};
use crate::secret::Secret;
use crate::transport::recorded_providers;

/// Models of a provider of which something is remembered, and the longest name of such a model.
const KNOWN_MAX: usize = 1024;
const MODEL_NAME_MAX: usize = 256;

/// A provider and whether it can be called.
pub struct Service {
    /// The data.
    pub provider: Provider,
    /// Named in the configuration.
    pub configured: bool,
    /// Not to be chosen by a bare model name: recordings are played back, and it has none.
    idle: bool,
    credentials: Result<Credentials, Lack>,
    pub(crate) body_values: BodyValues,
    /// Those of its models that have been asked for.
    known: Mutex<HashMap<Arc<str>, Known>>,
    /// Our own limits for it.
    pub(crate) gate: Arc<Gate>,
}

/// Why a provider cannot be called.
#[derive(Clone, Debug)]
pub enum Lack {
    /// None of these environment variables is set; `A and B` where it takes both.
    Variables(Vec<String>),
    /// Its secret could not be read.
    Unusable(Error),
}

/// Provider, model and credential: whom a call goes to. Copies are cheap.
#[derive(Clone)]
pub struct Target {
    /// The provider.
    pub service: Arc<Service>,
    /// The provider's own name for the model.
    pub model: Arc<str>,
    known: Known,
    /// Of the exchange that this copy is for.
    trail: Option<Trail>,
}

/// What is remembered of a provider's model.
#[derive(Clone)]
struct Known {
    /// `provider/model`.
    name: Arc<str>,
    /// The provider's quirks with this model, where they are special.
    special: Option<Arc<Quirks>>,
    standing: Arc<Standing>,
}

impl Service {
    /// Whether calls may go there by a bare model name: its credential is there, and a local server was named.
    pub fn is_ready(&self) -> bool {
        !self.idle && self.credentials.is_ok() && (self.configured || !self.provider.local)
    }

    /// What it lacks.
    pub fn lack(&self) -> Option<&Lack> {
        self.credentials.as_ref().err()
    }

    /// Begins a call: says which credential it carries.
    pub(crate) fn turn<'a>(&'a self, client: &'a Client, errand: Errand<'a>) -> Result<Turn<'a>> {
        self.credentials().map(|credentials| credentials.turn(client, errand))
    }

    /// The credentials, or the sentence that says why there are none.
    pub(crate) fn credentials(&self) -> Result<&Credentials> {
        self.credentials.as_ref().map_err(|lack| match lack {
            // Waiting brings no file back.
            Lack::Unusable(error) => Error { retry: Retry::Never, ..error.clone() }.from_provider(&self.provider.id),
            Lack::Variables(names) => {
                let what = format!("{} is not set up: set {} (a .env file will do)", self.provider.id, names.join(" or "));
                // Waiting brings no key.
                Error { retry: Retry::Never, ..Error::new(Kind::Unavailable, Origin::Gateway, what) }
            }
        })
    }

    /// This provider's error: named, and without our credential should it be repeated in there.
    pub(crate) fn sign(&self, mut error: Error) -> Error {
        if let Ok(credentials) = &self.credentials {
            credentials.redact(&mut error);
        }
        error.from_provider(&self.provider.id)
    }

    /// Every secret of this provider's that is known now.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> {
        let credentials = self.credentials.as_ref().ok().into_iter().flat_map(Credentials::secrets);
        credentials.chain(self.body_values.secrets())
    }

    /// Whether one made from `other`'s data now would be the same: then this one stays, with its tokens.
    pub(crate) fn is_like(&self, other: &Service) -> bool {
        let alike = match (&self.credentials, &other.credentials) {
            (Ok(mine), Ok(theirs)) => mine.is_like(theirs),
            _ => false,
        };
        alike && self.provider == other.provider && self.configured == other.configured
    }

    /// One of its models, with what is remembered of it.
    fn known(&self, model: &str) -> (Arc<str>, Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((model, known)) = known.get_key_value(model) {
            return (Arc::clone(model), known.clone());
        }
        let special = match self.provider.quirks.of_model(model) {
            Cow::Owned(quirks) => Some(Arc::new(quirks)),
            Cow::Borrowed(_) => None,
        };
        let name = format!("{}/{model}", self.provider.id).into();
        let (model, new): (Arc<str>, _) = (model.into(), Known { name, special, standing: Arc::default() });
        // Names are the callers': of odd ones nothing is remembered, and what says nothing makes room.
        if known.len() >= KNOWN_MAX {
            known.retain(|_, Known { standing, .. }| Arc::strong_count(standing) > 1 || !standing.is_blank());
        }
        if known.len() < KNOWN_MAX && model.len() <= MODEL_NAME_MAX {
            known.insert(Arc::clone(&model), new.clone());
        }
        (model, new)
    }

    /// How those of its models stand that have been asked for, by name.
    pub fn standings(&self) -> Vec<(Arc<str>, Arc<Standing>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.iter().map(|(model, known)| (Arc::clone(model), Arc::clone(&known.standing))).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// How long it takes until one of its credentials is fit, when all rest.
    fn rest_of_credentials(&self, now: Duration) -> Option<Duration> {
        self.credentials.as_ref().ok().and_then(|credentials| credentials.rest(now))
    }

    /// Its credentials that rest: their fingerprints, and for how long yet.
    pub(crate) fn resting_credentials(&self, now: Duration) -> Vec<(String, Duration)> {
        self.credentials.as_ref().map(|credentials| credentials.resting(now)).unwrap_or_default()
    }

    /// The operator has done something about the secrets.
    pub(crate) fn recheck(&self) {
        self.standings().iter().for_each(|(_, standing)| standing.forgive());
        if let Ok(credentials) = &self.credentials {
            credentials.recheck();
        }
    }

    /// The dialect to speak for a caller of `inbound` about `model`: the same if the provider has it, else its preferred
    /// one.
    pub fn choose(&self, inbound: Option<&'static Dialect>, operation: Operation, model: &str) -> Option<&'static Dialect> {
        let spoken = || self.provider.dialects.iter().filter_map(|name| dialect::find(name));
        let able =
            |dialect: &&Dialect| self.provider.speaks_for(dialect.name, operation, model) && dialect.upstream.can(operation);
        inbound.filter(able).or_else(|| spoken().find(able))
    }
}

impl Service {
    /// The dialect in which to ask for an operation beyond chat: what the provider's data says, else the caller's
    /// (`inbound`) if the provider speaks it, else its first that has it.
    ///
    /// # Errors
    /// `Unsupported` when it has none.
    pub fn dialect_for(&self, inbound: Option<&str>, operation: Operation) -> Result<&str> {
        let provider = &self.provider;
        let able = |dialect: &&str| operation::can(dialect, operation);
        let spoken = || provider.dialects.iter().map(String::as_str);
        let found = match provider.operations.get(operation.key()).map(String::as_str) {
            Some(named) => Some(named).filter(able),
            None => spoken().filter(able).find(|dialect| Some(*dialect) == inbound).or_else(|| spoken().find(able)),
        };
        found.ok_or_else(|| {
            let what = format!("{} does not offer {}", provider.id, operation.key());
            Error::new(Kind::Unsupported, Origin::Gateway, what).at("model")
        })
    }
}

impl Target {
    /// One model of a provider, by the provider's own name for it.
    pub fn new(service: Arc<Service>, model: &str) -> Self {
        let (model, known) = service.known(model);
        Target { service, model, known, trail: None }
    }

    /// What it is spoken to in for a caller of `inbound`.
    pub(crate) fn speaks(&self, inbound: Option<&str>, operation: Operation) -> Option<&'static str> {
        let dialect = match operation {
            Operation::Chat | Operation::CountTokens => {
                self.service.choose(inbound.and_then(dialect::find), operation, &self.model)
            }
            other => self.service.dialect_for(inbound, other).ok().and_then(dialect::find),
        };
        dialect.map(|dialect| dialect.name)
    }

    /// How it stands now, its provider's credentials included.
    pub(crate) fn look(&self, streamed: bool, now: Duration) -> Look {
        let look = self.standing().look(streamed, now);
        match (look.fitness, self.service.rest_of_credentials(now)) {
            (Fitness::Fit | Fitness::OnTrial | Fitness::Recovering(_), Some(left)) => {
                let why = "its credential was rejected, is used up, or cannot be had for now".to_owned();
                Look { fitness: Fitness::Resting { left, hard: false, why }, ..look }
            }
            (fitness, _) => Look { fitness, ..look },
        }
    }

    /// Lets calls through again that it had asked not to be sent, if that was when all of its credentials were used up, and one
    /// of them is another by now.
    pub(crate) fn reopen(&self, now: Duration) {
        let has_news = || self.service.credentials.as_ref().is_ok_and(|credentials| credentials.has_news(now));
        if self.standing().closed(now).is_some() && has_news() {
            self.standing().forgive();
        }
    }

    /// Whether it is fit, how busy and how fast.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.known.standing
    }

    /// How much is left of what may go there, in thousandths: of our own limits, and of what its provider has told of its.
    pub(crate) fn room(&self, now: Duration) -> Option<u32> {
        let ours = self.service.gate.room(&self.model, now);
        [ours, self.standing().learned().room(now)].into_iter().flatten().min()
    }

    /// Notes what an answer's headers tell of the provider's own limits, unless the configuration does not want that. Of
    /// several credentials nobody knows whose limits these are.
    pub(crate) fn learn(&self, headers: &http::HeaderMap, clock: &dyn Clock) {
        if !ProviderLimits::may_be_told(headers) {
            return;
        }
        let alone = self.service.credentials.as_ref().is_ok_and(Credentials::is_one);
        if alone && self.service.gate.learns(&self.model) {
            self.standing().learned().hear(&ProviderLimits::read(headers, clock.unix()), clock.ticks());
        }
    }

    /// The same for one exchange, which may take more than one credential.
    pub(crate) fn for_exchange(self) -> Self {
        let may_repeat = self.service.credentials.as_ref().is_ok_and(Credentials::may_repeat);
        Target { trail: may_repeat.then(Trail::default), ..self }
    }

    /// Where it is noted which credentials were refused.
    pub(crate) const fn trail(&self) -> Option<&Trail> {
        self.trail.as_ref()
    }

    /// Where the provider departs from its dialects with this model.
    pub fn quirks(&self) -> &Quirks {
        self.known.special.as_deref().unwrap_or(&self.service.provider.quirks)
    }

    /// `provider/model`.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// The same, to be kept without being copied.
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.known.name)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The catalogue with the configuration and the environment applied to it; and what is wrong with single credentials.
pub(crate) fn assemble(config: &Config, environment: &Environment) -> Result<(Catalog, Vec<Service>, Vec<Error>)> {
    let wrong = |error: crate::codec::catalog::ParseError| {
        Error::new(
            Kind::Internal,
            Origin::Gateway,
            match &config.path {
                Some(path) => format!("{}: [providers] {error}", path.display()),
                None => error.to_string(),
            },
        )
    };
    let mut catalog = Catalog::builtin().map_err(wrong)?;
    if config.simulate {
        catalog = only_simulator(&catalog, config.replay.is_some());
    }
    let recorded = config.replay.as_ref().map(|replay| recorded_providers(&replay.dir)).transpose()?;
    move_by_environment(&mut catalog, environment).map_err(wrong)?;
    for (id, patch) in &config.providers {
        catalog.apply(id, patch.clone()).map_err(wrong)?;
    }
    if let Some(custom) = custom_provider(environment) {
        catalog.apply("custom", custom).map_err(wrong)?;
    }
    // While recordings speak, nobody's files are looked at.
    let views = catalog.iter().filter(|_| recorded.is_none());
    let views: HashMap<String, Environment> =
        views.map(|provider| (provider.id.clone(), with_region(provider, environment))).collect();
    let view = |id: &str| views.get(id).unwrap_or(environment);
    catalog.fill(&|id, name| view(id).get(name).map(str::to_owned)).map_err(wrong)?;
    let patience = Duration::from_secs(config.network.command_seconds);
    let mut notices = Vec::new();
    let services = catalog.iter().map(|provider| {
        if let Some(recorded) = &recorded {
            let idle = !recorded.contains(&provider.id) && !config.simulate;
            return played_back(provider, environment, config.providers.contains_key(&provider.id), idle);
        }
        let credentials = match Credentials::open(provider, view(&provider.id), patience) {
            Ok(Opened::Ready(credentials, more)) => {
                notices.extend(more);
                Ok(credentials)
            }
            Ok(Opened::Missing(names)) => Err(Lack::Variables(names)),
            Err(error) => {
                notices.push(error.clone().from_provider(&provider.id));
                Err(Lack::Unusable(error))
            }
        };
        let credentials = match provider.unset.as_slice() {
            [] => credentials,
            unset => Err(Lack::Variables(unset.to_vec())),
        };
        let configured = config.providers.contains_key(&provider.id);
        let (credentials, body_values) = match (credentials, BodyValues::find(provider, environment)) {
            (Ok(credentials), Ok(Ok(values))) => (Ok(credentials), values),
            (Ok(_), Ok(Err(names))) => (Err(Lack::Variables(names)), BodyValues::default()),
            (Ok(_), Err(error)) => (Err(Lack::Unusable(error)), BodyValues::default()),
            (Err(lack), _) => (Err(lack), BodyValues::default()),
        };
        let (known, gate) = (Mutex::default(), Gate::new(config.limits_of(&provider.id)));
        Service { provider: provider.clone(), configured, idle: false, credentials, body_values, known, gate }
    });
    let services = services.collect();
    Ok((catalog, services, notices))
}

/// The built-in provider that needs no network, and answers to any model's name. If recordings speak for it (`replays`),
/// it does so in all dialects of callers.
fn only_simulator(catalog: &Catalog, replays: bool) -> Catalog {
    let mut only = Catalog::default();
    for provider in catalog.iter().filter(|provider| provider.base_url.starts_with("sim:")) {
        let mut provider = provider.clone();
        provider.models.push("*".to_owned());
        if replays {
            let spoken = dialect::ALL.iter().filter(|dialect| dialect.downstream.is_some());
            provider.dialects = spoken.map(|dialect| dialect.name.to_owned()).collect();
        }
        only.insert(provider);
    }
    only
}

/// A provider of which there are recordings only: it is called without a credential, for nobody is called.
fn played_back(provider: &Provider, environment: &Environment, configured: bool, idle: bool) -> Service {
    let open = Provider { auth: Auth::None, api_keys: Vec::new(), headers: Default::default(), ..provider.clone() };
    let credentials = match Credentials::open(&open, environment, Duration::ZERO) {
        Ok(Opened::Ready(credentials, _)) => Ok(credentials),
        Ok(Opened::Missing(names)) => Err(Lack::Variables(names)),
        Err(error) => Err(Lack::Unusable(error)),
    };
    let mut provider = provider.clone();
    if !provider.unset.is_empty() {
        // Where that would be does not matter, as long as it is an address.
        provider.base_url = "http://recorded.invalid".to_owned();
        provider.dialect_url.clear();
        provider.unset.clear();
    }
    let body_values = BodyValues::hidden(&provider);
    Service { provider, configured, idle, credentials, body_values, known: Mutex::default(), gate: Arc::default() }
}

/// The variables by which the vendors' own SDKs are pointed elsewhere.
fn move_by_environment(catalog: &mut Catalog, environment: &Environment) -> Result<(), crate::codec::catalog::ParseError> {
    let moved: Vec<(String, String)> = catalog
        .iter()
        .filter_map(|provider| Some((provider.id.clone(), environment.first(&provider.base_url_env)?.to_owned())))
        .collect();
    for (id, url) in moved {
        catalog.set_base_url(&id, &url)?;
    }
    Ok(())
}

/// `API_ENDPOINT` and `API_KEY` make a provider of the most common dialect.
fn custom_provider(environment: &Environment) -> Option<crate::codec::catalog::ProviderPatch> {
    let endpoint = environment.get("API_ENDPOINT")?;
    let base_url = endpoint.trim_end_matches('/').trim_end_matches("/chat/completions").to_owned();
    let secret = SecretRef::Env(vec!["API_KEY".to_owned()]);
    Some(crate::codec::catalog::ProviderPatch {
        base_url: Some(base_url),
        dialects: Some(vec!["openai-chat".to_owned()]),
        auth: Some(if environment.get("API_KEY").is_some() { Auth::Bearer(secret) } else { Auth::None }),
        ..Default::default()
    })
}
