//! Credentials over sockets: a provider that checks what it is sent, a token server that can be told to misbehave, and a
//! clock that is moved by hand.

mod bad;
mod chain;
mod hidden;
mod mint;
mod oauth;
mod quota;
mod replaced;
mod rotation;
mod secret;
mod several;
mod signed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trunkline::clock::Clock;
use trunkline::config::{Config, Environment};
use trunkline::{Client, Error};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

pub(crate) const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

/// 2026-01-02T03:04:05Z
pub(crate) const START: u64 = 1_767_323_045;

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START + self.seconds())
    }

    fn ticks(&self) -> Duration {
        Duration::from_secs(10 + self.seconds())
    }
}

/// A client, what it was told, and its clock.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) clock: Arc<Hand>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn new(config: &str, variables: &[(&str, &str)]) -> Self {
        let variables = Environment::of(variables.iter().copied());
        World::changing(config, move || variables.clone())
    }

    pub(crate) fn changing(config: &str, variables: impl Fn() -> Environment + Send + Sync + 'static) -> Self {
        // Its clock stands still: nobody is to wait for it.
        let config = &format!("[calls]\nattempts = 1\nwait_seconds = 0\n{config}");
        let config = Config::parse(config, "test.toml").unwrap_or_else(|error| panic!("{error}"));
        World::build(Client::builder().config(config).variables(move || Ok(variables())))
    }

    pub(crate) fn build(builder: trunkline::Builder) -> Self {
        let (clock, notices) = (Arc::new(Hand::default()), Arc::new(Mutex::new(Vec::new())));
        let told: Arc<Mutex<Vec<String>>> = Arc::clone(&notices);
        let builder = builder.clock(Arc::clone(&clock) as _);
        let client = builder.on_notice(move |sentence| told.lock().unwrap().push(sentence.to_owned())).build().unwrap();
        World { client, clock, notices }
    }

    pub(crate) async fn call(&self) -> Result<String, Error> {
        self.ask("house/m").await
    }

    pub(crate) async fn ask(&self, model: &str) -> Result<String, Error> {
        self.client.chat(model, "hi").await.map(|reply| reply.text())
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap().clone()
    }

    /// Waits for the work behind the callers' back.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `[providers.house]` with this `auth`.
pub(crate) fn house(url: &str, auth: &str) -> String {
    format!("[providers.house]\nbase_url = \"{url}/v1\"\ndialects = [\"openai-chat\"]\n{auth}\n")
}

/// What a token server does.
#[derive(Clone)]
pub(crate) enum Mood {
    /// Tokens that live so long, by their own word.
    Good(u64),
    /// Always this.
    Says(Answer),
}

/// A token server and a provider that takes its tokens, as long as they live by the clock and are not revoked.
pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) server: LocalProvider,
    pub(crate) provider: LocalProvider,
    mood: Arc<Mutex<Mood>>,
    tokens: Arc<Mutex<HashMap<String, u64>>>,
}

impl House {
    pub(crate) fn new(lifetime: u64) -> Self {
        House::with(lifetime, "")
    }

    pub(crate) fn with(lifetime: u64, more: &str) -> Self {
        let mood = Arc::new(Mutex::new(Mood::Good(lifetime)));
        let tokens: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
        let ticks: Arc<Mutex<Option<Arc<Hand>>>> = Arc::default();
        let now = {
            let ticks = Arc::clone(&ticks);
            move || ticks.lock().unwrap().as_ref().map_or(0, |hand| hand.seconds())
        };
        let server = {
            let (mood, tokens, now) = (Arc::clone(&mood), Arc::clone(&tokens), now.clone());
            LocalProvider::start(move |_: &Seen| match mood.lock().unwrap().clone() {
                Mood::Says(answer) => answer,
                Mood::Good(lifetime) => {
                    let mut tokens = tokens.lock().unwrap();
                    let token = format!("token-{}", tokens.len() + 1);
                    tokens.insert(token.clone(), now() + lifetime);
                    let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{lifetime}}}"#);
                    Answer::json(200, body).delay(Duration::from_millis(20))
                }
            })
        };
        let provider = {
            let (tokens, now) = (Arc::clone(&tokens), now.clone());
            LocalProvider::start(move |seen: &Seen| {
                let sent = seen.header("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
                match tokens.lock().unwrap().get(&sent) {
                    Some(end) if now() < *end => Answer::json(200, ANSWER),
                    _ => Answer::json(401, format!(r#"{{"error":{{"message":"the token {sent} is not valid"}}}}"#)),
                }
            })
        };
        let auth = format!(
            "auth = {{ oauth2 = {{ token_url = \"{}/token\", client_id = \"me\", client_secret = \"env:SECRET\"{more} }} }}",
            server.url()
        );
        let world = World::new(&house(&provider.url(), &auth), &[("SECRET", "the-client-secret")]);
        *ticks.lock().unwrap() = Some(Arc::clone(&world.clock));
        House { world, server, provider, mood, tokens }
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn revoke_all(&self) {
        self.tokens.lock().unwrap().values_mut().for_each(|end| *end = 0);
    }

    pub(crate) fn minted(&self) -> usize {
        self.server.requests().len()
    }
}
