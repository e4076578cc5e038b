//! The client: who can be called, and by which transport.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::carry::{Label, Nowhere, Stage};
use crate::clock::{Clock, SystemClock};
use crate::codec::Result;
use crate::codec::catalog::{Cost, Models, Pieces};
use crate::codec::dialect::Operation;
use crate::config::{Config, Environment, Overlay, ReplayFrom};
use crate::ir::{Model, Usage};
use crate::monitor::{Counters, OpenCall, Recorder};
use crate::route::{Dice, Need, Shadows, Tries, task_names};
use crate::runtime::{ConfigView, Runtime, Tell, Variables, Written};
use crate::secret::Secret;
use crate::target::{Service, Target};
use crate::transport::{FaultPlan, HttpTransport, Options, Payload, Sending, SimTransport, Transport, WebSocketTransport};

/// Calls models. Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Client {
    runtime: Arc<Runtime>,
    http: Arc<dyn Transport>,
    wire: Arc<HttpTransport>,
    socket: Arc<dyn Transport>,
    sim: Arc<dyn Transport>,
    recorder: Arc<dyn Recorder>,
    stage: Arc<Stage>,
    shadows: Arc<Shadows>,
}

/// Makes a [`Client`].
#[derive(Default)]
pub struct Builder {
    config: Option<Config>,
    config_path: Option<PathBuf>,
    overlay: Overlay,
    variables: Option<Variables>,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    recorder: Option<Arc<dyn Recorder>>,
    seed: Option<u64>,
    tell: Option<Tell>,
}

impl Builder {
    /// This configuration instead of the one that is found. If it says where it was read from, [`Client::reload`] reads
    /// it from there again.
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
    pub fn environment(self, environment: Environment) -> Self {
        self.variables(move || Ok(environment.clone()))
    }

    /// The variables from wherever this takes them, at first and with every [`Client::reload`].
    #[must_use]
    pub fn variables(mut self, read: impl Fn() -> Result<Environment> + Send + Sync + 'static) -> Self {
        self.variables = Some(Box::new(read));
        self
    }

    /// Has calls go wrong by this plan, whatever the configuration says of that.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.overlay.faults = Some(plan);
        self
    }

    /// Keeps every exchange in this folder, without secrets. What cannot be kept is told ([`Builder::on_notice`]) and fails
    /// no call. The last clone of the client that goes waits until all is written.
    #[must_use]
    pub fn record(mut self, folder: impl Into<PathBuf>) -> Self {
        self.overlay.record = Some(folder.into());
        self
    }

    /// Plays exchanges back from this folder and contacts nobody; no credential is needed for that. With `timing` each
    /// piece of a reply comes when it came.
    #[must_use]
    pub fn replay(mut self, folder: impl Into<PathBuf>, timing: bool) -> Self {
        self.overlay.replay = Some(ReplayFrom { dir: folder.into(), timing });
        self
    }

    /// Has the simulator answer whatever the model's name, and knows no other provider: for testing a program that asks for
    /// models by their own names.
    #[must_use]
    pub const fn simulate(mut self) -> Self {
        self.overlay.simulate = true;
        self
    }

    /// Whoever calls keeps a pace of its own: each target is asked once, also one that has asked for silence, and what it
    /// says of that is the caller's to heed. Limits of the configuration hold all the same.
    #[must_use]
    pub const fn own_pace(mut self) -> Self {
        self.overlay.own_pace = true;
        self
    }

    /// Another transport for `http` and `https`: a test's, a recording.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Another clock: a test's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told of every call that the library makes, once it is over.
    #[must_use]
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// What chance follows from, where calls are shared out or waits are spread: a test's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Who is told what the operator should know: a credential that was rejected, a token that could not be renewed. One
    /// sentence each, without any secret. It must not block.
    #[must_use]
    pub fn on_notice(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When the configuration is not valid; no provider is contacted.
    pub fn build(self) -> Result<Client> {
        let written = match (self.config, self.config_path) {
            (Some(config), _) => Written::Given(Box::new(config)),
            (None, Some(path)) => Written::File(path),
            (None, None) => Written::Found,
        };
        let variables = self.variables.unwrap_or_else(|| Box::new(Environment::read));
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let tell = self.tell.unwrap_or_else(|| Box::new(|_| {}));
        let dice = self.seed.map_or_else(Dice::loaded_by_chance, Dice::new);
        let runtime = Arc::new(Runtime::new((written, self.overlay), variables, clock, tell, dice)?);
        let options = options(&runtime);
        let recorder = self.recorder.unwrap_or_else(|| Arc::new(Counters::default()));
        let told = Arc::clone(&runtime);
        let stage = Arc::new(Stage::new(&runtime.config(), move |sentence| (told.tell)(sentence))?);
        let wire = Arc::new(HttpTransport::new(options.clone()));
        let sim = Arc::new(SimTransport::new(runtime.config().simulate));
        if stage.replays() {
            let nowhere: Arc<dyn Transport> = Arc::new(Nowhere);
            let (http, socket) = (Arc::clone(&nowhere), Arc::clone(&nowhere));
            return Ok(Client { runtime, http, wire, socket, sim: nowhere, stage, recorder, shadows: Arc::default() });
        }
        let http = self.transport.unwrap_or_else(|| Arc::clone(&wire) as _);
        let socket = Arc::new(WebSocketTransport::new(&options));
        Ok(Client { runtime, http, wire, socket, sim, stage, recorder, shadows: Arc::default() })
    }
}

fn options(runtime: &Runtime) -> Options {
    let state = runtime.state();
    let network = &state.config.network;
    let variable = |name: &&str| Some(((*name).to_owned(), state.environment.get(name)?.to_owned()));
    Options {
        ca_file: network.ca_file.clone(),
        connect_timeout: Duration::from_secs(network.connect_seconds),
        head_timeout: Duration::from_secs(network.head_seconds),
        piece_timeout: Duration::from_secs(network.idle_seconds),
        proxy: crate::transport::PROXY_VARIABLES.iter().filter_map(variable).collect(),
        ..Options::default()
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
        let shadows = Arc::default();
        if self.stage.replays() {
            return Client { shadows, ..self.clone() };
        }
        let wire = Arc::new(self.wire.sibling());
        Client { http: Arc::clone(&wire) as _, wire, shadows, ..self.clone() }
    }

    /// Reads configuration, variables and secret files again, for all clones. Calls that have begun finish with what they
    /// began with; every call after this carries the new credentials. What has not changed keeps its tokens, and
    /// credentials that were at rest get another chance. Reads files; contacts nobody.
    ///
    /// # Errors
    /// When the new configuration is not valid: then everything stays as it was.
    pub fn reload(&self) -> Result<()> {
        self.reload_if(|_, _| Ok(()))
    }

    /// As [`Client::reload`], if `accept` has nothing against the new configuration and variables.
    ///
    /// # Errors
    /// As there, or what `accept` says: then everything stays as it was.
    pub fn reload_if(&self, accept: impl FnOnce(&Config, &Environment) -> Result<()>) -> Result<()> {
        self.runtime.reload(accept)?;
        self.stage.refresh(&self.config());
        Ok(())
    }

    /// Whether the configuration's file or `.env` looks different from when it was read last: then [`Client::reload`] has
    /// something to do. Secret files do not count, they are looked at by themselves.
    pub fn is_stale(&self) -> bool {
        self.runtime.is_stale()
    }

    /// Whether one of these files looks different: [`Client::is_stale`] is also said of one that was so new when it was read
    /// that a change right after that would not be seen.
    pub fn is_changed(&self) -> bool {
        self.runtime.is_changed()
    }

    /// The configuration.
    pub fn config(&self) -> ConfigView {
        self.runtime.config()
    }

    /// The environment that was read last.
    pub fn environment(&self) -> Environment {
        self.runtime.state().environment.clone()
    }

    /// Every provider, by id.
    pub fn services(&self) -> Vec<Arc<Service>> {
        self.runtime.state().services().cloned().collect()
    }

    /// The provider of this id.
    pub fn service(&self, id: &str) -> Option<Arc<Service>> {
        self.runtime.state().services.get(id).cloned()
    }

    /// The targets for a model's name, as they are written: an alias, else `provider/model`, else a bare name that a
    /// provider's pattern claims; of `task:NAME`, those of the task's model.
    ///
    /// # Errors
    /// `NotFound` with the nearest name, or what is missing.
    pub fn plan(&self, model: &str) -> Result<Vec<Target>> {
        self.runtime.state().plan_named(model)
    }

    /// Begins a call: who is asked, in which order, and again when they fail.
    ///
    /// # Errors
    /// As [`Client::plan`].
    pub fn tries(&self, need: &Need<'_>) -> Result<Tries> {
        let Runtime { clock, dice, .. } = &*self.runtime;
        let routed = self.runtime.state().route(need, clock.ticks(), dice.throw())?;
        Ok(Tries::new(routed, Arc::clone(clock), Arc::clone(dice)))
    }

    /// Begins a call that goes to this target, once, and to nobody else: as soon as our own limits let it.
    pub fn tries_at(&self, target: Target, need: &Need<'_>) -> Tries {
        let Runtime { clock, dice, .. } = &*self.runtime;
        Tries::new(self.runtime.state().route_to(target, need), Arc::clone(clock), Arc::clone(dice))
    }

    /// A call of the library's that begins now.
    pub(crate) fn open_call(&self, operation: Operation, model: &str) -> OpenCall {
        OpenCall::new(String::new(), Arc::clone(&self.recorder), self.model_data()).of(operation, model)
    }

    /// The model to ask when nobody names one: the `default` task, else the first alias of the file, else the simulator.
    pub fn default_model(&self) -> String {
        self.usual_model().unwrap_or_else(|| format!("{}/echo", self.runtime.state().simulator()))
    }

    /// The same, but nothing where nobody was named: then the simulator would answer, who was not asked for either.
    pub fn usual_model(&self) -> Option<String> {
        let state = self.runtime.state();
        let named = state.config.usual_model().map(str::to_owned);
        named.or_else(|| state.config.simulate.then(|| format!("{}/echo", state.simulator())))
    }

    /// The id of the provider that answers in process.
    pub fn simulator(&self) -> String {
        self.runtime.state().simulator().to_owned()
    }

    /// What is known of models: limits, abilities and prices.
    pub fn model_data(&self) -> Arc<Models> {
        Arc::clone(&self.runtime.state().models)
    }

    /// What a call to `target` (`provider/model`) came to that ended now. `None` when its price is not known.
    pub fn cost(&self, target: &str, usage: Usage) -> Option<Cost> {
        self.price(target, Some(usage), Pieces::default())
    }

    pub(crate) fn price(&self, target: &str, usage: Option<Usage>, pieces: Pieces) -> Option<Cost> {
        crate::monitor::price(&self.runtime.state().models, target, usage, pieces)
    }

    /// The names that can be asked for: aliases, and the models that ready providers list in full.
    pub fn models(&self) -> Vec<Model> {
        let state = self.runtime.state();
        let ours = |id: String| Model { id, owner: "trunkline".to_owned(), created: 0 };
        let aliases = state.config.models.keys().cloned().map(ours);
        let tasks = task_names(&state.config).map(ours);
        let ready = state.services().filter(|service| service.is_ready());
        let listed = ready.flat_map(|service| {
            let provider = &service.provider;
            let whole = provider.models.iter().filter(|pattern| !pattern.contains('*'));
            whole.map(|model| Model { id: format!("{}/{model}", provider.id), owner: provider.id.clone(), created: 0 })
        });
        aliases.chain(tasks).chain(listed).collect()
    }

    /// Tells the operator one sentence; see [`Builder::on_notice`].
    pub fn tell(&self, sentence: &str) {
        (self.runtime.tell)(sentence);
    }

    /// Every secret of every provider that is known now.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.runtime.state().services.values().flat_map(|service| service.secrets()).collect()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.runtime.clock
    }

    /// The copies that it has out.
    pub(crate) fn shadows(&self) -> &Arc<Shadows> {
        &self.shadows
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Sends a request to a target: by the wire, or by what stands before it.
    pub(crate) fn carry<'a>(&'a self, request: http::Request<Payload>, label: Label<'a>) -> Sending<'a> {
        let wire = self.transport(request.uri().scheme_str());
        self.stage.carry(request, label, wire, self.clock())
    }

    pub(crate) fn transport(&self, scheme: Option<&str>) -> &dyn Transport {
        match scheme {
            Some("sim") => &*self.sim,
            Some("ws" | "wss") => &*self.socket,
            _ => &*self.http,
        }
    }
}
