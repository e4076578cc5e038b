//! What a client knows: configuration, environment, catalogue, credentials. Replaced as a whole while calls run: those
//! that have begun finish with what they began with.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::clock::Clock;
use crate::codec::catalog::{Catalog, Models, Provider, ResolveError};
use crate::codec::{Error, Kind, Origin, Result};
use crate::config::{Choice, Config, Environment, Mirror, Overlay, locate};
use crate::credential::Stamp;
use crate::redact::Redactor;
use crate::route::{Dice, Lineup, TaskRules, check_tasks, task_model};
use crate::target::{Lack, Service, Target, assemble};

/// Where the variables come from, each time that they are read.
pub(crate) type Variables = Box<dyn Fn() -> Result<Environment> + Send + Sync>;
/// Who is told what the operator should know, in sentences.
pub(crate) type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// Where the configuration comes from, each time that it is read.
pub(crate) enum Written {
    /// From a value, for good.
    Given(Box<Config>),
    /// From this file.
    File(PathBuf),
    /// From wherever one is found.
    Found,
}

/// Everything that the clones and siblings of a client share.
pub(crate) struct Runtime {
    state: ArcSwap<State>,
    written: Written,
    overlay: Overlay,
    variables: Variables,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tell: Tell,
    pub(crate) dice: Arc<Dice>,
    /// The files as they were when they were read last. Locked as long as they are read.
    seen: Mutex<Vec<Stamp>>,
}

/// What is known at one time.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) environment: Environment,
    pub(crate) catalog: Catalog,
    pub(crate) models: Arc<Models>,
    pub(crate) services: HashMap<String, Arc<Service>>,
    pub(crate) task_rules: TaskRules,
    /// What is known of the targets of each alias that has several.
    pub(crate) lineups: HashMap<String, OnceLock<Lineup>>,
}

/// The configuration as it is now. Hold it for a moment only: it does not change while it is held.
pub struct ConfigView(Guard<Arc<State>>);

impl Deref for ConfigView {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0.config
    }
}

/// Where variables may stand, beside the process's own.
const VARIABLES: &str = ".env";

impl Written {
    /// The files behind it all, as they are now.
    fn look(&self) -> Vec<Stamp> {
        let file = match self {
            Written::File(path) => Some(path.as_path()),
            Written::Given(_) | Written::Found => None,
        };
        file.into_iter().chain([Path::new(VARIABLES)]).map(Stamp::take).collect()
    }

    /// With the place found, if it was to be found.
    fn locate(self, environment: &Environment) -> Self {
        match self {
            // From now on it is this file, even if a more important place gets one.
            Written::Found => locate(environment).map_or(Written::Found, Written::File),
            Written::Given(config) => match &config.path {
                Some(path) => Written::File(path.clone()),
                None => Written::Given(config),
            },
            file @ Written::File(_) => file,
        }
    }

    fn read(&self, environment: &Environment) -> Result<Config> {
        match self {
            Written::Given(config) => Ok(Config::clone(config)),
            Written::File(path) => Config::read(path),
            Written::Found => Config::find(None, environment),
        }
    }
}

impl Runtime {
    pub(crate) fn new(
        (written, overlay): (Written, Overlay),
        variables: Variables,
        clock: Arc<dyn Clock>,
        tell: Tell,
        dice: Dice,
    ) -> Result<Self> {
        let environment = variables()?;
        let given = match &written {
            Written::Given(config) => Some(Config::clone(config)),
            Written::File(_) | Written::Found => None,
        };
        let written = written.locate(&environment);
        // Looked at before they are read: what changes from here on is seen later.
        let seen = Mutex::new(written.look());
        let mut config = given.map_or_else(|| written.read(&environment), Ok)?;
        overlay.apply(&mut config);
        let (state, notices) = State::new(config, environment)?;
        notices.iter().for_each(|notice| tell(notice));
        let dice = Arc::new(dice);
        Ok(Runtime { state: ArcSwap::from_pointee(state), written, overlay, variables, clock, tell, dice, seen })
    }

    pub(crate) fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    pub(crate) fn config(&self) -> ConfigView {
        ConfigView(self.state())
    }

    /// Whether the files look different from when they were read last.
    pub(crate) fn is_stale(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().any(Stamp::is_stale)
    }

    /// Whether a file that was read looks different now.
    pub(crate) fn is_changed(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().any(Stamp::is_changed)
    }

    /// Reads everything again; see [`crate::Client::reload`].
    pub(crate) fn reload(&self, accept: impl FnOnce(&Config, &Environment) -> Result<()>) -> Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = self.written.look();
        let environment = (self.variables)()?;
        let mut config = self.written.read(&environment)?;
        self.overlay.apply(&mut config);
        let (mut state, mut notices) = State::new(config, environment)?;
        accept(&state.config, &state.environment)?;
        let old = self.state.load_full();
        for (id, service) in &mut state.services {
            let Some(before) = old.services.get(id) else { continue };
            let spoilt = service.lack().is_some_and(|lack| matches!(lack, Lack::Unusable(_)));
            if spoilt && before.lack().is_none() && before.provider == service.provider {
                // A file that is gone for a moment takes no call along.
                notices.push(format!("{id}: its credential cannot be read now; calls go on with the one that is still good"));
                *service = Arc::clone(before);
            } else if before.is_like(service) {
                before.gate.set(service.gate.rules(), self.clock.ticks());
                *service = Arc::clone(before);
            }
        }
        let fixed = state.fixed(&old);
        let state = Arc::new(state);
        self.state.store(Arc::clone(&state));
        state.services.values().for_each(|service| service.recheck());
        notices.iter().for_each(|notice| (self.tell)(notice));
        if let Some(keys) = fixed {
            (self.tell)(&format!("{keys}: this change takes effect at the next start; all others have done so now"));
        }
        Ok(())
    }
}

impl State {
    fn new(config: Config, environment: Environment) -> Result<(Self, Vec<String>)> {
        let (catalog, services, notices) = assemble(&config, &environment)?;
        let services = services.into_iter().map(|service| (service.provider.id.clone(), Arc::new(service))).collect();
        let models = Arc::new(config.models(&environment)?);
        check_tasks(&config)?;
        let task_rules = TaskRules::new(&config.task_rules)?;
        Redactor::new(&[], &config.store.redact)?;
        let several = config.models.iter().filter(|(_, alias)| alias.targets.len() > 1);
        let lineups = several.map(|(name, _)| (name.clone(), OnceLock::new())).collect();
        let state = State { config, environment, catalog, models, services, task_rules, lineups };
        state.check_aliases()?;
        state.check_limits()?;
        Ok((state, notices.iter().map(Error::to_string).collect()))
    }

    /// The settings among those that differ which cannot change while calls run.
    fn fixed(&self, old: &State) -> Option<String> {
        let (new, old) = (&self.config, &old.config);
        let changed = [
            ("[server] listen", new.server.listen != old.server.listen),
            ("[server] threads", new.server.threads != old.server.threads),
            ("[server] drain_seconds", new.server.drain_seconds != old.server.drain_seconds),
            ("record", new.record != old.record),
            ("replay", new.replay != old.replay),
            ("[log]", new.log != old.log),
            ("[store] log_content", new.store.log_content != old.store.log_content),
            ("[network] ca_file", new.network.ca_file != old.network.ca_file),
            ("[network] connect_seconds", new.network.connect_seconds != old.network.connect_seconds),
            ("[network] head_seconds", new.network.head_seconds != old.network.head_seconds),
        ];
        let changed: Vec<&str> = changed.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }

    /// Every provider, by id.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.catalog.iter().filter_map(|provider| self.services.get(&provider.id))
    }

    pub(crate) fn plan(&self, model: &str) -> Result<Vec<Target>> {
        match self.config.models.get(model) {
            Some(alias) => alias.targets.iter().map(|choice| self.target(&choice.target)).collect(),
            None => Ok(vec![self.target(model)?]),
        }
    }

    /// As [`State::plan`], of a task's name too.
    pub(crate) fn plan_named(&self, model: &str) -> Result<Vec<Target>> {
        self.plan(&task_model(&self.config, model)?)
    }

    /// The id of the provider that answers in process.
    pub(crate) fn simulator(&self) -> &str {
        let simulated = |provider: &&Provider| provider.base_url.starts_with("sim:");
        self.catalog.iter().find(simulated).map_or("", |provider| provider.id.as_str())
    }

    pub(crate) fn target(&self, name: &str) -> Result<Target> {
        let ready = |id: &str| self.services.get(id).is_some_and(|service| service.is_ready());
        let (provider, model) = self.catalog.resolve(name, &ready).map_err(|error| {
            let alias = crate::codec::catalog::nearest(name, self.config.models.keys().map(String::as_str));
            let message = match alias {
                Some(alias) => format!("there is no model `{name}`; did you mean `{alias}`?"),
                None => error.to_string(),
            };
            Error::new(Kind::NotFound, Origin::Caller, message).at("model")
        })?;
        let service = self.services.get(&provider.id);
        let service =
            service.ok_or_else(|| Error::new(Kind::Internal, Origin::Gateway, format!("{} is not set up", provider.id)))?;
        Ok(Target::new(Arc::clone(service), model))
    }

    fn check_limits(&self) -> Result<()> {
        for name in self.config.limits.keys() {
            let id = name.split_once('/').map_or(name.as_str(), |(id, _)| id);
            if !self.services.contains_key(id) {
                let known = self.services.keys().map(String::as_str);
                let nearest = crate::codec::catalog::nearest(id, known).map(|known| format!("; did you mean `{known}`?"));
                let nearest = nearest.unwrap_or_else(|| "; name a provider, or `provider/model`".to_owned());
                return Err(crate::config::wrong(format!("[limits.\"{name}\"] there is no provider `{id}`{nearest}")));
            }
        }
        Ok(())
    }

    fn check_aliases(&self) -> Result<()> {
        for (name, alias) in &self.config.models {
            let wrong = |what: String| crate::config::wrong(format!("[models.{name}] {what}"));
            if alias.targets.is_empty() {
                return Err(wrong("targets is empty; name at least one `provider/model`".to_owned()));
            }
            let check = |target: &str| {
                let known = target.split_once('/').is_none_or(|(id, _)| self.services.contains_key(id));
                if known { Ok(()) } else { self.target(target).map(|_| ()) }
            };
            for Choice { target, .. } in &alias.targets {
                let unknown = || matches!(self.catalog.resolve(target, &|_| true), Err(ResolveError::Unknown { .. }));
                if self.config.models.contains_key(target) && unknown() {
                    return Err(wrong(format!("`{target}` is an alias itself; name the targets behind it, `provider/model`")));
                }
                check(target).map_err(|error| wrong(error.message))?;
            }
            if let Some(Mirror { target, percent }) = &alias.mirror {
                check(target).map_err(|error| wrong(format!("mirror: {}", error.message)))?;
                if *percent > 100 {
                    return Err(wrong(format!("mirror: percent is {percent}; of a hundred calls at most 100 can be mirrored")));
                }
                if alias.targets.iter().any(|choice| choice.target == *target) {
                    return Err(wrong(format!("mirror: `{target}` is one of the targets already; mirror to another one")));
                }
            }
        }
        for (task, model) in &self.config.tasks {
            // Who is not ready yet may be so at the next start.
            let unknown = matches!(self.catalog.resolve(model, &|_| true), Err(ResolveError::Unknown { .. }));
            if unknown && !self.config.models.contains_key(model) {
                self.target(model).map_err(|error| crate::config::wrong(format!("[tasks] {task}: {}", error.message)))?;
            }
        }
        Ok(())
    }
}
