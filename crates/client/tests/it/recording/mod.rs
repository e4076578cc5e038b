//! Exchanges that are kept and played back: byte for byte, in their time, and without a secret.

mod play;
mod secret;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline::codec::dialect::{Operation, find};
use trunkline::config::{Config, Environment};
use trunkline::exchange::{Ask, exchange};
use trunkline::ir::{Message, Request, Role};
use trunkline::transport::{Body, Failure};
use trunkline::{Builder, Client};

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("trunkline-recording-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Names and texts of what is in it, in order.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (name(&path), std::fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A builder with this configuration and these variables, and what it is told.
pub(crate) fn builder(config: &str, variables: &[(&str, &str)]) -> (Builder, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let notices = Arc::clone(&told);
    let config = Config::parse(config, "test.toml").unwrap_or_else(|error| panic!("{error}"));
    let builder = Client::builder().config(config).environment(Environment::of(variables.iter().copied()));
    (builder.on_notice(move |sentence| notices.lock().unwrap().push(sentence.to_owned())), told)
}

/// What a provider says, on the way by the wire: status, some of its headers, and every piece of the body.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) broke: Option<String>,
}

/// Pieces as they come, and when, from the first question on.
pub(crate) async fn listen(mut body: Body) -> (Vec<(Duration, Vec<u8>)>, Option<Failure>, Duration) {
    let start = tokio::time::Instant::now();
    let mut pieces = Vec::new();
    while let Some(next) = body.chunk().await {
        match next {
            Ok(piece) => pieces.push((start.elapsed(), piece.to_vec())),
            Err(failure) => return (pieces, Some(failure), start.elapsed()),
        }
    }
    (pieces, None, start.elapsed())
}

/// Asks a provider that speaks openai-chat; `Err` with the error's sentence.
pub(crate) async fn hear(client: &Client, model: &str, prompt: &str, stream: bool) -> Result<Heard, String> {
    let target = client.plan(model).unwrap().remove(0);
    let messages = vec![Message::text(Role::User, prompt)];
    let request = Request { model: target.model.to_string(), messages, stream, ..Request::default() };
    let ask = Ask::Write { request: &request, operation: Operation::Chat, headers: None };
    let answer = exchange(client, &target, find("openai-chat").unwrap(), ask).await.map_err(|failed| failed.error.to_string())?;
    let kind = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let (pieces, broke, _) = listen(answer.body).await;
    Ok(Heard {
        status: answer.status.as_u16(),
        kind,
        pieces: pieces.into_iter().map(|(_, piece)| piece).collect(),
        broke: broke.map(|failure| failure.message),
    })
}
