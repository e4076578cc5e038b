//! One credential: where its secrets are, and the form of it that calls carry now.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderName;

use super::chain;
use super::grant::{Grant, Term, redact, spellings};
use super::live::{Held, Live};
use super::lookup::{Lookup, Stamp};
use super::scheme::{Built, build, complete, find_headers};
use super::sign::refuse;
use crate::client::Client;
use crate::codec::catalog::{Auth, AwsKeys, Mint, Provider, SecretRef, SigV4, placeholders};
use crate::codec::{Error, Result};
use crate::config::Environment;
use crate::secret::Secret;

/// Most models with a token of their own that are remembered.
const MODELS: usize = 1024;

/// What a credential is made from.
pub(crate) struct Recipe {
    /// Whose it is, for messages.
    pub(crate) provider: String,
    pub(crate) auth: Auth,
    /// The provider's own headers, beside the credential.
    pub(crate) headers: BTreeMap<String, SecretRef>,
    pub(crate) environment: Environment,
    /// How long a command may take.
    pub(crate) patience: Duration,
}

/// One credential.
pub(crate) struct Source {
    recipe: Arc<Recipe>,
    state: State,
}

enum State {
    /// Known once and for all: no lock, no look at a clock.
    Still(Grant),
    /// Read again, or asked for again, now and then.
    Live(Arc<Live>),
    /// The same, for each model apart.
    PerModel(Mutex<HashMap<String, Arc<Live>>>),
}

/// What became of a provider's secret.
pub(crate) enum Found {
    /// It is there, or none is needed.
    Ready(Source),
    /// These variables would have held it.
    Missing(Vec<String>),
}

/// A credential as one call carries it.
pub(crate) enum Hold<'a> {
    Still(&'a Grant),
    Live(Arc<Held>),
}

impl Deref for Hold<'_> {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        match self {
            Hold::Still(grant) => grant,
            Hold::Live(held) => &held.grant,
        }
    }
}

impl Source {
    /// Chooses among the ways that a provider knows the first whose secrets are there. `local`: none at all will do.
    /// Reads files, runs no command and contacts nobody.
    ///
    /// # Errors
    /// When a file cannot be used, or a secret is not of the kind that the scheme takes.
    pub(crate) fn open(mut recipe: Recipe, local: bool) -> Result<Found> {
        let lookup = Lookup::new(&recipe.environment, recipe.patience);
        match recipe.auth.ways().iter().find(|way| is_there(way, &lookup)) {
            Some(way) => recipe.auth = way.clone(),
            None if local => recipe.auth = Auth::None,
            None => return Ok(Found::Missing(recipe.auth.ways().iter().map(|way| missing(way, &recipe.environment)).collect())),
        }
        let state = begin(&recipe)?;
        Ok(Found::Ready(Source { recipe: Arc::new(recipe), state }))
    }

    /// The credential for a call of `model`. Waits only where something has to be asked for first.
    ///
    /// # Errors
    /// When it cannot be had, and there is no older one that is still good.
    pub(crate) async fn grant(&self, client: &Client, model: &str) -> Result<Hold<'_>> {
        match &self.state {
            State::Still(grant) => Ok(Hold::Still(grant)),
            State::Live(live) => live.grant(&self.recipe, client, model).await.map(Hold::Live),
            State::PerModel(models) => {
                let live = of_model(models, model);
                live.grant(&self.recipe, client, model).await.map(Hold::Live)
            }
        }
    }

    /// The provider refused it. Whether another form of it may be better: a new token, a file's new content.
    pub(crate) fn refused(&self, hold: &Hold<'_>, client: &Client, model: &str) -> bool {
        let Hold::Live(held) = hold else { return false };
        match &self.state {
            State::Still(_) => false,
            State::Live(live) => live.refused(held, client),
            State::PerModel(models) => of_model(models, model).refused(held, client),
        }
    }

    /// Whether it may have been replaced since it was last used, as far as a look from outside tells. What every model has
    /// a token of its own from is not looked at.
    pub(crate) fn may_be_another(&self, now: Duration) -> bool {
        matches!(&self.state, State::Live(live) if live.may_be_another(now))
    }

    /// What the one form of it that calls are given now is known by, if that may change.
    pub(crate) fn current(&self) -> Option<String> {
        match &self.state {
            State::Live(live) => live.fingerprint(),
            State::Still(_) | State::PerModel(_) => None,
        }
    }

    /// Whether a refused call may be made again with another form of it.
    pub(crate) const fn is_live(&self) -> bool {
        !matches!(self.state, State::Still(_))
    }

    /// Has files looked at and commands run again before the next call.
    pub(crate) fn recheck(&self) {
        match &self.state {
            State::Still(_) => {}
            State::Live(live) => live.recheck(),
            State::PerModel(models) => {
                models.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|live| live.recheck());
            }
        }
    }

    /// Whether one made from this recipe now would be the same.
    pub(crate) fn is_like(&self, other: &Source) -> bool {
        let (mine, theirs) = (&*self.recipe, &*other.recipe);
        mine.auth == theirs.auth
            && mine.headers == theirs.headers
            && mine.patience == theirs.patience
            && variables(mine).eq(variables(theirs))
            && chain_variables(mine) == chain_variables(theirs)
    }

    /// By what it is known to the operator; nothing before it is made.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let mut found = None;
        self.each(|grant| found = found.take().or_else(|| grant.fingerprint().map(str::to_owned)));
        found
    }

    /// The secrets that are known now.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut all = Vec::new();
        self.each(|grant| all.extend_from_slice(grant.secrets()));
        all
    }

    /// Takes the secrets that are known now out of somebody's words.
    pub(crate) fn redact(&self, error: &mut Error) {
        self.each(|grant| grant.redact(error));
    }

    /// Whether these bytes hold one of them.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let mut found = false;
        self.each(|grant| found = found || grant.is_in(bytes));
        found
    }

    /// Every form of it that calls may carry now.
    fn each(&self, mut see: impl FnMut(&Grant)) {
        match &self.state {
            State::Still(grant) => see(grant),
            State::Live(live) => live.each(&mut see),
            State::PerModel(models) => {
                models.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|live| live.each(&mut see));
            }
        }
    }
}

impl Recipe {
    /// Looks everything up and, where that takes a request, asks for a token.
    pub(super) async fn make(self: Arc<Self>, client: &Client, model: &str) -> Result<Held> {
        let start = client.clock().ticks();
        let recipe = Arc::clone(&self);
        // Files and commands: not on the thread that serves the calls.
        let looked = if self.blocks() {
            let looking = tokio::task::spawn_blocking(move || recipe.look());
            looking.await.map_err(|_| refuse("reading the secret was interrupted"))?
        } else {
            self.look()
        };
        let Looked { built, headers, secrets, stamps, lifetime, end } = looked?;
        let left = end.map(|end| end.duration_since(client.clock().now()));
        let left = left.transpose().map_err(|_| refuse("the keys that were found have had their time already"))?;
        let own = lifetime.map(Duration::from_secs).into_iter().chain(left).min();
        let minted = matches!(built, Built::Exchange(_));
        let (mut grant, term) = match built {
            Built::Grant(grant) => (grant, own.map_or(Term::ENDLESS, |own| Term::new(start, own))),
            Built::Exchange(exchange) => {
                let minted = exchange.run(client, model).await.map_err(|mut error| {
                    redact(&mut error, &spellings(&secrets));
                    error
                })?;
                if let Some(notice) = minted.notice {
                    client.tell(&format!("{}: {notice}", self.provider));
                }
                (minted.grant, Term::new(start, own.map_or(minted.lifetime, |own| own.min(minted.lifetime))))
            }
        };
        complete(&mut grant, headers, secrets)?;
        Ok(Held::new(grant, term, stamps, minted))
    }

    /// All that has to be looked up, also what is added to a token that is still to be asked for: where files are read
    /// and commands run, and nowhere else.
    fn look(&self) -> Result<Looked> {
        let mut lookup = Lookup::new(&self.environment, self.patience);
        let built = build(&self.auth, &mut lookup)?;
        let headers = find_headers(&self.headers, &mut lookup)?;
        let Lookup { secrets, stamps, lifetime, end, .. } = lookup;
        Ok(Looked { built, headers, secrets, stamps, lifetime, end })
    }

    fn blocks(&self) -> bool {
        let files = matches!(&self.auth, Auth::ServiceAccount(_)) || signature(&self.auth).is_some();
        files || self.references().any(SecretRef::is_live)
    }

    fn references(&self) -> impl Iterator<Item = &SecretRef> {
        self.auth.references().into_iter().map(|(reference, _)| reference).chain(self.headers.values())
    }
}

struct Looked {
    built: Built,
    headers: Vec<(HeaderName, Secret)>,
    secrets: Vec<Secret>,
    stamps: Vec<Stamp>,
    lifetime: Option<u64>,
    end: Option<SystemTime>,
}

fn begin(recipe: &Recipe) -> Result<State> {
    let per_model = matches!(&recipe.auth, Auth::Mint(mint) if names_model(mint));
    let live = |held| if per_model { State::PerModel(Mutex::default()) } else { State::Live(Arc::new(Live::new(held))) };
    let runs_command = recipe.references().any(|reference| matches!(reference, SecretRef::Cmd { .. }));
    let is_chain = signature(&recipe.auth).is_some_and(|sigv4| matches!(sigv4.keys, AwsKeys::Chain { .. }));
    if runs_command || is_chain {
        return Ok(live(None));
    }
    // What is wrong with a file or a key is said at the start, not with the first call.
    let Looked { built, headers, secrets, stamps, .. } = recipe.look()?;
    let Built::Grant(mut grant) = built else { return Ok(live(None)) };
    complete(&mut grant, headers, secrets)?;
    Ok(match stamps.is_empty() {
        true => State::Still(grant),
        false => live(Some(Held::new(grant, Term::ENDLESS, stamps, false))),
    })
}

/// The environment as a provider sees it: where no variable names a region, the one of the profile that signs does so. Then
/// addresses and signatures agree on it.
pub(crate) fn with_region(provider: &Provider, environment: &Environment) -> Environment {
    let written = std::iter::once(&provider.auth).chain(provider.api_keys.iter().map(|key| &key.auth));
    let profile = written.flat_map(Auth::ways).filter_map(signature).find_map(|sigv4| match &sigv4.keys {
        AwsKeys::Chain { profile } => Some(profile.as_deref()),
        _ => None,
    });
    let mut lookup = Lookup::new(environment, Duration::ZERO);
    match profile.and_then(|profile| chain::region_of(profile, &mut lookup)) {
        Some(region) => environment.with("AWS_REGION", &region),
        None => environment.clone(),
    }
}

/// The signature whose keys may stand in files that no reference names: the calls' own, or that of the request for a
/// token.
fn signature(auth: &Auth) -> Option<&SigV4> {
    match auth {
        Auth::SigV4(sigv4) => Some(sigv4),
        Auth::Mint(mint) => signature(mint.sign.as_deref()?),
        _ => None,
    }
}

fn names_model(mint: &Mint) -> bool {
    [Some(&mint.url), mint.body.as_ref()].into_iter().flatten().flat_map(|text| placeholders(text)).any(|name| name == "model")
}

fn of_model(models: &Mutex<HashMap<String, Arc<Live>>>, model: &str) -> Arc<Live> {
    let mut models = models.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(live) = models.get(model) {
        return Arc::clone(live);
    }
    if models.len() >= MODELS {
        models.clear();
    }
    let live = Arc::new(Live::new(None));
    models.insert(model.to_owned(), Arc::clone(&live));
    live
}

fn is_there(way: &Auth, lookup: &Lookup<'_>) -> bool {
    match way {
        Auth::SigV4(SigV4 { keys: AwsKeys::Chain { profile }, .. }) => chain::is_there(profile.as_deref(), lookup),
        Auth::ServiceAccount(account) if account.json.is_none() => account.files.iter().any(|file| lookup.path(file).is_some()),
        way => way.secrets().into_iter().all(|reference| match reference {
            SecretRef::Env(_) => lookup.first(reference).is_some(),
            _ => true,
        }),
    }
}

/// What to set for this way to be there.
fn missing(way: &Auth, environment: &Environment) -> String {
    let lookup = Lookup::new(environment, Duration::ZERO);
    let unset = |reference: &&SecretRef| matches!(reference, SecretRef::Env(_)) && lookup.first(reference).is_none();
    let secrets = way.secrets();
    let needed: Vec<String> = secrets.iter().copied().filter(unset).map(|reference| reference.env_names().join(" or ")).collect();
    match (needed.is_empty(), way) {
        (false, _) => needed.join(" and "),
        (true, Auth::SigV4(_)) => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
        (true, way) => way.env_names().join(" or "),
    }
}

/// What the variables say that a recipe names.
fn variables(recipe: &Recipe) -> impl Iterator<Item = Option<&str>> {
    recipe.references().map(|reference| recipe.environment.first(reference.env_names()))
}

/// What the variables say that stand in no configuration.
fn chain_variables(recipe: &Recipe) -> Vec<Option<&str>> {
    let names = if signature(&recipe.auth).is_some() { chain::VARIABLES } else { &[] };
    names.iter().map(|name| recipe.environment.get(name)).collect()
}
