//! Prompts by name: what is in the store, kept at hand, and the request that a call of `prompt:NAME` becomes.
//!
//! The request is read, the prompt's messages are put before the caller's, and it is written again in the caller's own
//! dialect: from there on it is a call like any other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};
use trunkline::Client;
use trunkline::codec::catalog::Quirks;
use trunkline::codec::dialect::{Head, Operation, Peek};
use trunkline::codec::{Dialect, Error, Kind, Losses, Origin, Result};
use trunkline::ir;
use trunkline_store::{Opening, PromptRow, Store};
use trunkline_work::prompt::{PREFIX, Prompts};

use crate::header::{SESSION, USER, word};
use crate::worker::Worker;

/// The reply's header that tells which version of which prompt it was.
pub(crate) const PROMPT: &str = "x-trunkline-prompt";
/// The header with the values of a prompt's variables: a JSON object.
const VALUES: &str = "x-trunkline-vars";
/// The member of a body that says the same; it does not go on.
const MEMBER: &str = "prompt_vars";

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long the start waits for the first look.
const PATIENCE: Duration = Duration::from_secs(3);

/// The prompts of a store as they were a moment ago. Clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    held: Arc<ArcSwap<Prompts>>,
    path: Option<PathBuf>,
}

/// What is remembered between two looks.
#[derive(Default)]
struct Looked {
    store: Option<Store>,
    rows: Vec<PromptRow>,
    told: bool,
}

impl Shelf {
    /// The shelf of this store, which need not be there yet.
    pub fn of(path: Option<PathBuf>) -> Self {
        Shelf { path, ..Shelf::default() }
    }

    /// Looks once, and from then on every few seconds until the gateway stops: in a thread of its own, for the store is slow.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) async fn begin(&self, client: Client, stop: watch::Receiver<bool>) -> Result<()> {
        if self.path.is_none() {
            return Ok(());
        }
        let wrong = |why: std::io::Error| Error::new(Kind::Internal, Origin::Gateway, format!("cannot start a thread: {why}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(wrong)?;
        let (shelf, (ready, begun)) = (self.clone(), oneshot::channel());
        let watch = move || runtime.block_on(shelf.watch(&client, stop, ready));
        std::thread::Builder::new().name("prompts".to_owned()).spawn(watch).map_err(wrong)?;
        let _ = tokio::time::timeout(PATIENCE, begun).await;
        Ok(())
    }

    async fn watch(self, client: &Client, mut stop: watch::Receiver<bool>, ready: oneshot::Sender<()>) {
        let mut looked = Looked::default();
        self.look(&mut looked, client).await;
        let _ = ready.send(());
        loop {
            let stopped = tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await.is_ok();
            if stopped {
                return;
            }
            self.look(&mut looked, client).await;
        }
    }

    /// Takes what the store has now. What cannot be read leaves everything as it was.
    async fn look(&self, looked: &mut Looked, client: &Client) {
        let Some(path) = self.path.as_ref().filter(|path| path.exists()) else { return };
        looked.store = looked.store.take().filter(Store::is_there);
        let read = async {
            if looked.store.is_none() {
                looked.store = Some(Store::open(&Opening::existing(path)).await?);
            }
            match &mut looked.store {
                Some(store) => store.prompts().await,
                None => Ok(Vec::new()),
            }
        };
        match read.await {
            Ok(rows) if rows != looked.rows => {
                self.held.store(Arc::new(self.held.load().refresh(rows.clone())));
                (looked.rows, looked.told) = (rows, false);
            }
            Ok(_) => looked.told = false,
            Err(error) => {
                looked.store = None;
                if !std::mem::replace(&mut looked.told, true) {
                    client.tell(&format!("prompts cannot be read, those that are known stay: {error}"));
                }
            }
        }
    }

    /// The names that can be asked for.
    pub(crate) fn models(&self) -> Vec<ir::Model> {
        let model = |name: &str| ir::Model { id: format!("{PREFIX}{name}"), owner: "trunkline".to_owned(), created: 0 };
        self.held.load().names().map(model).collect()
    }
}

/// A request with its prompt in it.
pub(crate) struct Filled {
    /// In the caller's dialect.
    pub(crate) body: Bytes,
    /// What was seen of that; the model is the prompt's.
    pub(crate) peek: Peek,
    /// `NAME@VERSION`.
    pub(crate) name: String,
    /// What the caller's dialect cannot say of it.
    pub(crate) losses: Losses,
}

/// Puts the prompt into a request whose model is one; nothing to do for any other.
///
/// # Errors
/// When there is no such prompt, its variables are not what they should be, or the request cannot be read.
pub(crate) fn fill(
    worker: &Worker,
    (dialect, operation): (&'static Dialect, Operation),
    head: &Head<'_>,
    peek: &Peek,
    body: &Bytes,
) -> Result<Option<Filled>> {
    let Some(asked) = peek.model.strip_prefix(PREFIX) else { return Ok(None) };
    let (mut given, body) = values(head, body)?;
    let mut request = dialect.downstream().read_request(head, &body, operation)?;
    let said = |name: &str| head.headers.get(name).and_then(word);
    let stick = said(SESSION).or_else(|| said(USER)).or(request.user.as_deref());
    let mut seed = [0; 8];
    // Without random bytes the first version gets the call.
    let _ = getrandom::fill(&mut seed);
    let chosen = worker.shelf.held.load().choose(asked, stick, u64::from_ne_bytes(seed))?;
    for (name, value) in request.metadata.iter().filter(|(name, _)| chosen.prompt.takes(name)) {
        given.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
    }
    chosen.prompt.extend(&mut request, &given)?;
    if request.model.starts_with(PREFIX) {
        request.model = worker.client.default_model();
    }
    request.stream = peek.stream;
    let written = dialect.upstream.write_request(&request, operation, &Quirks::default())?;
    let body = Bytes::from(written.body);
    let seen = dialect.downstream().peek(head, &body, operation)?;
    let peek = Peek { model: request.model, stream: peek.stream, ..seen };
    Ok(Some(Filled { body, peek, name: chosen.name, losses: written.losses }))
}

/// The values that a call gives, those of the header over those of the body; and the body without them.
fn values(head: &Head<'_>, body: &Bytes) -> Result<(Map<String, Value>, Bytes)> {
    let wrong = |place: &str| Error::bad_request(format!("{place}: expected an object of variables and their values")).at(place);
    let mut given = Map::new();
    let mut rest = body.clone();
    if std::str::from_utf8(body).is_ok_and(|text| text.contains(MEMBER))
        && let Ok(Value::Object(mut members)) = serde_json::from_slice(body)
        && let Some(values) = members.shift_remove(MEMBER)
    {
        let Value::Object(values) = values else { return Err(wrong(MEMBER)) };
        given = values;
        rest = serde_json::to_vec(&members).map_err(|_| wrong(MEMBER))?.into();
    }
    if let Some(header) = head.headers.get(VALUES) {
        let values: Map<String, Value> = serde_json::from_slice(header.as_bytes()).map_err(|_| wrong(VALUES))?;
        given.extend(values);
    }
    Ok((given, rest))
}
