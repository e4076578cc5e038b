//! The credentials of one provider: which of them a call carries, and what becomes of those that are rejected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::health::Health;
use super::source::{Found, Hold, Recipe, Source};
use super::when::drift;
use crate::client::Client;
use crate::clock::Clock;
use crate::codec::catalog::{ApiKey, Limits, Provider};
use crate::codec::{Error, Kind, Origin, Result, Retry};
use crate::config::Environment;
use crate::secret::Secret;

/// All credentials of a provider. Never empty.
pub(crate) struct Credentials {
    keys: Vec<Key>,
    /// Counts calls, to share them out.
    calls: AtomicU64,
    provider: String,
}

struct Key {
    source: Source,
    limits: Limits,
    share: u32,
    health: Health,
}

/// What became of a provider's secrets.
pub(crate) enum Opened {
    /// One at least is there, or none is needed; beside it, what is wrong with others.
    Ready(Credentials, Vec<Error>),
    /// These would have held one.
    Missing(Vec<String>),
}

/// What a call is, as far as it matters for who pays for it.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) model: &'a str,
    pub(crate) dialect: &'a str,
}

/// Which credentials a call has carried: a bit each, [`API_KEYS_MAX`](crate::codec::catalog::API_KEYS_MAX) at most.
#[derive(Clone, Copy, Default)]
struct Tried(u64);

impl Tried {
    const fn is_none(self) -> bool {
        self.0 == 0
    }

    fn has(self, at: usize) -> bool {
        self.0 & bit(at) != 0
    }

    fn add(&mut self, at: usize) {
        self.0 |= bit(at);
    }
}

fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

impl Credentials {
    /// Finds the secrets of a provider.
    ///
    /// # Errors
    /// When none can be used, and one at least is there but broken.
    pub(crate) fn open(provider: &Provider, environment: &Environment, patience: Duration) -> Result<Opened> {
        let only = [ApiKey { auth: provider.auth.clone(), limits: Limits::default(), share: 1 }];
        let written = if provider.api_keys.is_empty() { &only[..] } else { &provider.api_keys[..] };
        let (mut keys, mut missing, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for key in written {
            let recipe = Recipe {
                provider: provider.id.clone(),
                auth: key.auth.clone(),
                headers: provider.headers.clone(),
                environment: environment.clone(),
                patience,
            };
            match Source::open(recipe, provider.local) {
                Ok(Found::Ready(source)) => {
                    keys.push(Key { source, limits: key.limits.clone(), share: key.share, health: Health::default() });
                }
                Ok(Found::Missing(names)) => missing.extend(names),
                Err(error) => broken.push(error),
            }
        }
        match (keys.is_empty(), broken.is_empty()) {
            (false, _) => {
                let unset = missing.into_iter().map(|names| {
                    Error::new(Kind::Internal, Origin::Gateway, format!("one of its `api_keys` is left out: set {names}"))
                });
                let notices = broken.into_iter().chain(unset).map(|error| error.from_provider(&provider.id)).collect();
                Ok(Opened::Ready(Credentials { keys, calls: AtomicU64::new(0), provider: provider.id.clone() }, notices))
            }
            (true, true) => Ok(Opened::Missing(missing)),
            (true, false) => Err(broken.swap_remove(0)),
        }
    }

    /// Begins a call.
    pub(crate) fn turn<'a>(&'a self, client: &'a Client, errand: Errand<'a>) -> Turn<'a> {
        Turn {
            set: self,
            client,
            errand,
            tried: Tried::default(),
            carried: None,
            stays: false,
            renewed: false,
            refused: false,
            remedy: None,
        }
    }

    /// Takes every secret that is known out of somebody's words.
    pub(crate) fn redact(&self, error: &mut Error) {
        self.keys.iter().for_each(|key| key.source.redact(error));
    }

    /// Every secret that is known now.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> {
        self.keys.iter().flat_map(|key| key.source.secrets())
    }

    /// How long it takes until one of them is fit, when all rest.
    pub(crate) fn rest(&self, now: Duration) -> Option<Duration> {
        let rests: Option<Vec<Duration>> = self.keys.iter().map(|key| key.unfit(now)).collect();
        rests?.into_iter().min()
    }

    /// Those that rest: their fingerprints, and for how long yet.
    pub(crate) fn resting(&self, now: Duration) -> Vec<(String, Duration)> {
        let resting = self.keys.iter().filter_map(|key| Some((key.source.fingerprint()?, key.unfit(now)?)));
        resting.collect()
    }

    /// Whether one of several that rest has been replaced since, or may have been: what its provider said was about the old.
    pub(crate) fn has_news(&self, now: Duration) -> bool {
        self.keys.len() > 1 && self.keys.iter().any(|key| key.health.rest(now).is_some() && key.unfit(now).is_none())
    }

    /// Whether there is no other than the first.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.keys.as_slice(), [_])
    }

    /// Whether a call may be made again because one was refused.
    pub(crate) fn may_repeat(&self) -> bool {
        self.keys.len() > 1 || self.keys.first().is_some_and(|key| key.source.is_live())
    }

    /// Whether others made from the same data now would be the same.
    pub(crate) fn is_like(&self, other: &Credentials) -> bool {
        self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(mine, theirs)| mine.source.is_like(&theirs.source))
    }

    /// The operator has done something: look at files again, and give everybody another chance.
    pub(crate) fn recheck(&self) {
        for key in &self.keys {
            key.health.forgive();
            key.source.recheck();
        }
    }

    /// The next credential for a call that has tried these. The first time one that rests will do when there is no other:
    /// the one whose rest is over first.
    fn choose(&self, errand: &Errand<'_>, path: &str, tried: Tried, client: &Client) -> Option<usize> {
        if let [only] = self.keys.as_slice() {
            return (tried.is_none() && only.allows(errand, path)).then_some(0);
        }
        let now = client.clock().ticks();
        let keys = self.keys.iter().enumerate().filter(|(at, key)| !tried.has(*at) && key.allows(errand, path));
        // Looked at once: one may go to rest at any moment.
        let fit: Vec<_> = keys.filter(|(_, key)| key.unfit(now).is_none()).collect();
        let shares: u64 = fit.iter().map(|(_, key)| u64::from(key.share)).sum();
        if shares == 0 {
            let mut allowed: Vec<_> = self.keys.iter().enumerate().filter(|(_, key)| key.allows(errand, path)).collect();
            allowed.sort_by_key(|(_, key)| key.health.rest(now));
            return allowed.first().filter(|_| tried.is_none()).map(|(at, _)| *at);
        }
        let mut turn = self.calls.fetch_add(1, Ordering::Relaxed) % shares;
        let hit = |(_, key): &(usize, &Key)| {
            let share = u64::from(key.share);
            let hit = turn < share;
            turn = turn.saturating_sub(share);
            hit
        };
        fit.into_iter().find(hit).map(|(at, _)| at)
    }
}

impl Credentials {
    /// Whether one is left that is fit.
    fn has_other(&self, errand: &Errand<'_>, path: &str, tried: Tried, client: &Client) -> bool {
        let now = client.clock().ticks();
        let mut left = self.keys.iter().enumerate().filter(|(at, key)| !tried.has(*at) && key.allows(errand, path));
        left.any(|(_, key)| key.unfit(now).is_none())
    }

    /// What is to be told of a call whose last credential was refused or is used up, where there are several.
    fn remedy(&self, errand: &Errand<'_>, path: &str, now: Duration) -> Remedy {
        let of_model = self.keys.iter().filter(|key| key.is_for(errand.model));
        // One that rests for ever, as far as anybody knows, is not waited for.
        let waits =
            of_model.filter_map(|key| Some((key, key.unfit(now).map_or(Some(Duration::ZERO), |_| key.health.wait(now))?)));
        let waits: Vec<_> = waits.collect();
        let wait = waits.iter().filter(|(key, _)| key.allows(errand, path)).map(|(_, left)| *left).min();
        let soonest = waits.iter().map(|(_, left)| *left).min();
        let sooner_for_others = soonest.is_some_and(|left| left.is_zero() || wait.is_none_or(|wait| left < wait));
        Remedy { wait, sooner_for_others }
    }
}

/// When another credential of a provider will do what one did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// Until one is fit for such a call; `None`: nobody knows.
    pub(crate) wait: Option<Duration>,
    /// One is fit for something else of the same model before that, or for this already.
    pub(crate) sooner_for_others: bool,
}

impl Key {
    fn allows(&self, errand: &Errand<'_>, path: &str) -> bool {
        self.limits.allow(errand.model, errand.dialect, path)
    }

    /// Whether it may be used for something of this model.
    fn is_for(&self, model: &str) -> bool {
        Limits { models: self.limits.models.clone(), ..Limits::default() }.allow(model, "", "")
    }

    /// How long it has to rest yet; nothing when it is fit, or has been replaced, or may have been. Only one that rests is
    /// looked at.
    fn unfit(&self, now: Duration) -> Option<Duration> {
        self.rest(now).filter(|_| !self.source.may_be_another(now))
    }

    /// The same by what is held now.
    fn rest(&self, now: Duration) -> Option<Duration> {
        let left = self.health.rest(now)?;
        if self.health.is_of_another(self.source.current().as_deref()) {
            self.health.forgive();
            return None;
        }
        Some(left)
    }

    /// Whether what calls on their way carry is what others are given now.
    fn is_current(&self, hold: &Hold<'_>) -> bool {
        let (current, carried) = (self.source.current(), hold.fingerprint());
        current.as_deref().zip(carried).is_none_or(|(current, carried)| current == carried)
    }
}

/// The credentials that one call carries, one after another.
pub(crate) struct Turn<'a> {
    set: &'a Credentials,
    client: &'a Client,
    errand: Errand<'a>,
    tried: Tried,
    carried: Option<(&'a Key, Hold<'a>)>,
    /// The one that is carried may be had in a newer form.
    stays: bool,
    renewed: bool,
    /// The provider did not like it.
    refused: bool,
    /// What it said was about the credential, and there are others.
    remedy: Option<Remedy>,
}

/// What a provider says to a credential.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It takes it.
    Accepted,
    /// It does not: how it says so, and whether a newer form of the same one may do.
    Refused {
        /// `HTTP 401`
        told: String,
        /// What was refused may have had its time.
        may_renew: bool,
    },
    /// It has had enough of it: another may do meanwhile.
    Spent {
        /// For so long.
        rest: Duration,
        /// Then it takes it again; otherwise somebody has to do something about it.
        passes: bool,
    },
    /// Nothing: there is some other trouble.
    Silent,
}

impl Verdict {
    /// By the status alone; `is_over` where a token is said to have had its time.
    pub(crate) fn of(status: StatusCode, is_over: bool) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let may_renew = is_over || status == StatusCode::UNAUTHORIZED;
                Verdict::Refused { told: format!("HTTP {}", status.as_u16()), may_renew }
            }
            status if status.is_success() => Verdict::Accepted,
            _ => Verdict::Silent,
        }
    }
}

impl<'a> Turn<'a> {
    /// The credential to carry now to `path`. One that cannot be had makes room for the next.
    ///
    /// # Errors
    /// When there is none for this call, or none can be had.
    pub(crate) async fn grant(&mut self, path: &str) -> Result<&Hold<'a>> {
        let mut last = None;
        let mut same = self.carried.take().filter(|_| self.stays).map(|(key, _)| key);
        let (key, hold) = loop {
            let key = match same.take() {
                Some(key) => key,
                None => self.next(path, last.take())?,
            };
            match key.source.grant(self.client, self.errand.model).await {
                // It looked as if it had been replaced, and was not.
                Ok(_) if self.rests(key) && self.has_other(path) => {}
                Ok(hold) => break (key, hold),
                Err(error) => {
                    if let Retry::After(wait) = error.retry {
                        key.health.rest_for(wait, true, self.client.clock().ticks(), None);
                    }
                    last = Some(error);
                }
            }
        };
        Ok(&self.carried.insert((key, hold)).1)
    }

    fn rests(&self, key: &Key) -> bool {
        key.rest(self.client.clock().ticks()).is_some()
    }

    fn has_other(&self, path: &str) -> bool {
        self.set.keys.len() > 1 && self.set.has_other(&self.errand, path, self.tried, self.client)
    }

    fn next(&mut self, path: &str, last: Option<Error>) -> Result<&'a Key> {
        let chosen = self.set.choose(&self.errand, path, self.tried, self.client);
        let found = chosen.and_then(|at| Some((at, self.set.keys.get(at)?)));
        let Some((at, key)) = found else {
            return Err(last.unwrap_or_else(|| self.none()));
        };
        self.tried.add(at);
        Ok(key)
    }

    fn none(&self) -> Error {
        let Errand { model, dialect, .. } = self.errand;
        let what = format!("none of its `api_keys` may be used for {model} in {dialect}");
        Error { retry: Retry::Never, ..Error::new(Kind::Unavailable, Origin::Gateway, what) }.from_provider(&self.set.provider)
    }

    /// Whether the call may have to be made again: then its body must be kept.
    pub(crate) fn may_repeat(&self) -> bool {
        self.set.may_repeat()
    }

    /// Hears what the provider says to it. Whether the call had better be made again, with another credential or a newer
    /// form of this one.
    pub(crate) fn hear(&mut self, verdict: Verdict, path: &str) -> bool {
        let of_credential = matches!(verdict, Verdict::Refused { .. } | Verdict::Spent { .. });
        let again = self.weigh(verdict, path);
        let told = of_credential && self.set.keys.len() > 1;
        self.remedy = told.then(|| self.set.remedy(&self.errand, path, self.client.clock().ticks()));
        again
    }

    fn weigh(&mut self, verdict: Verdict, path: &str) -> bool {
        let Some((key, hold)) = &self.carried else { return false };
        let now = self.client.clock().ticks();
        self.refused = matches!(verdict, Verdict::Refused { .. });
        let (told, may_renew) = match verdict {
            Verdict::Refused { told, may_renew } => (hold.clean(told), may_renew && !self.renewed),
            Verdict::Accepted => {
                key.health.accept();
                if let Hold::Live(held) = hold {
                    held.accept();
                }
                return false;
            }
            Verdict::Spent { rest, passes } => {
                // What has been replaced meanwhile is another one's to answer for.
                if self.set.keys.len() > 1 && key.is_current(hold) {
                    key.health.rest_for(rest, passes, now, hold.fingerprint());
                }
                return self.has_other(path);
            }
            Verdict::Silent => return false,
        };
        self.stays = may_renew && key.source.refused(hold, self.client, self.errand.model);
        if self.stays {
            self.renewed = true;
            return true;
        }
        if key.is_current(hold) {
            self.put_to_rest(key, hold, &told);
        }
        // A renewed token of one credential says nothing about the next.
        self.renewed = false;
        self.has_other(path)
    }

    fn put_to_rest(&self, key: &Key, hold: &Hold<'_>, told: &str) {
        let Some(rest) = key.health.reject(self.client.clock().ticks(), hold.fingerprint()) else { return };
        let name = hold.fingerprint().map(|name| format!(" {name}")).unwrap_or_default();
        let then = match self.set.keys.len() {
            1 => "it is the only one".to_owned(),
            _ => format!("it rests for {} s and the others carry on", rest.as_secs()),
        };
        let provider = &self.set.provider;
        self.client.tell(&format!("{provider}: the credential{name} was rejected ({told}); {then}"));
    }

    /// What to tell of an answer that was about the credential alone, where there are others.
    pub(crate) const fn remedy(&self) -> Option<Remedy> {
        self.remedy
    }

    /// What tells the time for the call.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.client.clock()
    }

    /// Says in a refusal which credential it was, and whether the clock may be to blame. Takes our secrets out.
    pub(crate) fn explain(&self, mut error: Error, headers: &HeaderMap) -> Error {
        let Some((_, hold)) = &self.carried else { return error };
        hold.redact(&mut error);
        // The others may have been tried, by this call or another.
        self.set.redact(&mut error);
        if self.refused {
            if let Some(name) = hold.fingerprint() {
                error.message = format!("{} (credential {name})", error.message);
            }
            if hold.is_timed()
                && let Some(sentence) = drift(headers, self.client.clock().now())
            {
                error.message = format!("{}; {sentence}", error.message);
            }
        }
        error
    }

    /// By what the credential that the call carries is known.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.carried.as_ref().and_then(|(_, hold)| hold.fingerprint())
    }

    /// The secrets of the credential that the call carries.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.carried.as_ref().map(|(_, hold)| hold.secrets().to_vec()).unwrap_or_default()
    }

    /// Whether these bytes hold the secret that the call carried, or another of the provider's.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let carried = self.carried.as_ref().is_some_and(|(_, hold)| hold.is_in(bytes));
        carried || self.set.keys.iter().any(|key| key.source.is_in(bytes))
    }
}
