//! The client: who can be called, and by which transport.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::catalog::{Catalog, Cost, Models, Provider, Work};
use crate::codec::{Error, Kind, Origin, Result};
use crate::config::{Config, Environment};
use crate::ir::{Model, Usage};
use crate::target::{Service, Target, assemble};
use crate::transport::{HttpTransport, Options, SimTransport, Transport, WebSocketTransport};

/// Calls models. Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    http: Arc<dyn Transport>,
    wire: Arc<HttpTransport>,
    socket: Arc<dyn Transport>,
    sim: Arc<dyn Transport>,
}

struct Shared {
    config: Config,
    environment: Environment,
    catalog: Catalog,
    models: Arc<Models>,
    services: HashMap<String, Arc<Service>>,
}

/// Makes a [`Client`].
#[derive(Default)]
pub struct Builder {
    config: Option<Config>,
    config_path: Option<PathBuf>,
    environment: Option<Environment>,
    transport: Option<Arc<dyn Transport>>,
}

impl Builder {
    /// This configuration instead of the one that is found.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// The configuration in this file.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_path = Some(path.into());
        self
    }

    /// These variables instead of the process's.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Another transport for `http` and `https`: a test's, a recording.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When the configuration is not valid; no provider is contacted.
    pub fn build(self) -> Result<Client> {
        let environment = match self.environment {
            Some(environment) => environment,
            None => Environment::read()?,
        };
        let config = match self.config {
            Some(config) => config,
            None => Config::find(self.config_path.as_deref(), &environment)?,
        };
        let (catalog, services) = assemble(&config, &environment)?;
        let services = services.into_iter().map(|service| (service.provider.id.clone(), Arc::new(service))).collect();
        let models = Arc::new(config.models(&environment)?);
        let shared = Arc::new(Shared { config, environment, catalog, models, services });
        let options = shared.options();
        let socket = Arc::new(WebSocketTransport::new(&options));
        let wire = Arc::new(HttpTransport::new(options));
        let http = self.transport.unwrap_or_else(|| Arc::clone(&wire) as _);
        let client = Client { shared, http, wire, socket, sim: Arc::new(SimTransport::default()) };
        client.check_aliases()?;
        Ok(client)
    }
}

impl Shared {
    fn options(&self) -> Options {
        let network = &self.config.network;
        let variable = |name: &&str| Some(((*name).to_owned(), self.environment.get(name)?.to_owned()));
        Options {
            ca_file: network.ca_file.clone(),
            connect_timeout: Duration::from_secs(network.connect_seconds),
            head_timeout: Duration::from_secs(network.head_seconds),
            proxy: crate::transport::PROXY_VARIABLES.iter().filter_map(variable).collect(),
            ..Options::default()
        }
    }
}

impl Client {
    /// A client from `trunkline.toml` if there is one, `.env` and the process's environment.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn from_env() -> Result<Self> {
        Builder::default().build()
    }

    /// A client from this configuration and the process's environment.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn from_config(config: Config) -> Result<Self> {
        Builder::default().config(config).build()
    }

    /// Starts a [`Builder`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The same client with a pool of its own: one a thread, so that no lock is shared. Replaces a transport given to the
    /// [`Builder`].
    #[must_use]
    pub fn with_own_pool(&self) -> Self {
        let wire = Arc::new(self.wire.sibling());
        Client { http: Arc::clone(&wire) as _, wire, ..self.clone() }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The environment that the client was made with.
    pub fn environment(&self) -> &Environment {
        &self.shared.environment
    }

    /// Every provider, by id.
    pub fn services(&self) -> Vec<&Arc<Service>> {
        self.shared.catalog.iter().filter_map(|provider| self.shared.services.get(&provider.id)).collect()
    }

    /// The provider of this id.
    pub fn service(&self, id: &str) -> Option<&Arc<Service>> {
        self.shared.services.get(id)
    }

    /// The targets for a model's name, in the order in which they are tried: an alias, else `provider/model`, else a
    /// bare name that a provider's pattern claims.
    ///
    /// # Errors
    /// `NotFound` with the nearest name, or what is missing.
    pub fn plan(&self, model: &str) -> Result<Vec<Target>> {
        match self.shared.config.models.get(model) {
            Some(alias) => alias.targets.iter().map(|name| self.target(name)).collect(),
            None => Ok(vec![self.target(model)?]),
        }
    }

    /// The model to ask when nobody names one: the `default` task, else the first alias, else the simulator.
    pub fn default_model(&self) -> String {
        let config = &self.shared.config;
        let named = config.tasks.get("default").or_else(|| config.models.keys().next());
        named.cloned().unwrap_or_else(|| format!("{}/echo", self.simulator()))
    }

    /// The id of the provider that answers in process.
    pub fn simulator(&self) -> &str {
        let simulated = |provider: &&Provider| provider.base_url.starts_with("sim:");
        self.shared.catalog.iter().find(simulated).map_or("", |provider| provider.id.as_str())
    }

    /// What is known of models: limits, abilities and prices.
    pub fn model_data(&self) -> &Arc<Models> {
        &self.shared.models
    }

    /// What a call to `target` (`provider/model`) came to that ended now. `None` when its price is not known.
    pub fn cost(&self, target: &str, usage: Usage) -> Option<Cost> {
        self.shared.models.cost(target, &Work { minute: crate::monitor::minute_of_week(), ..Work::from(usage) })
    }

    /// The names that can be asked for: aliases, and the models that ready providers list in full.
    pub fn models(&self) -> Vec<Model> {
        let aliases =
            self.shared.config.models.keys().map(|name| Model { id: name.clone(), owner: "trunkline".to_owned(), created: 0 });
        let ready = self.services().into_iter().filter(|service| service.is_ready());
        let listed = ready.flat_map(|service| {
            let provider = &service.provider;
            let whole = provider.models.iter().filter(|pattern| !pattern.contains('*'));
            whole.map(|model| Model { id: format!("{}/{model}", provider.id), owner: provider.id.clone(), created: 0 })
        });
        aliases.chain(listed).collect()
    }

    pub(crate) fn transport(&self, scheme: Option<&str>) -> &dyn Transport {
        match scheme {
            Some("sim") => &*self.sim,
            Some("ws" | "wss") => &*self.socket,
            _ => &*self.http,
        }
    }

    fn target(&self, name: &str) -> Result<Target> {
        let ready = |id: &str| self.shared.services.get(id).is_some_and(|service| service.is_ready());
        let (provider, model) = self.shared.catalog.resolve(name, &ready).map_err(|error| {
            let alias = crate::codec::catalog::nearest(name, self.shared.config.models.keys().map(String::as_str));
            let message = match alias {
                Some(alias) => format!("there is no model `{name}`; did you mean `{alias}`?"),
                None => error.to_string(),
            };
            Error::new(Kind::NotFound, Origin::Caller, message).at("model")
        })?;
        let service = self.shared.services.get(&provider.id);
        let service =
            service.ok_or_else(|| Error::new(Kind::Internal, Origin::Gateway, format!("{} is not set up", provider.id)))?;
        Ok(Target::new(Arc::clone(service), model))
    }

    fn check_aliases(&self) -> Result<()> {
        for (name, alias) in &self.shared.config.models {
            let wrong = |what: String| crate::config::wrong(format!("[models.{name}] {what}"));
            if alias.targets.is_empty() {
                return Err(wrong("targets is empty; name at least one `provider/model`".to_owned()));
            }
            for target in &alias.targets {
                let known = target.split_once('/').is_none_or(|(id, _)| self.shared.services.contains_key(id));
                if !known {
                    self.target(target).map_err(|error| wrong(error.message))?;
                }
            }
        }
        Ok(())
    }
}
