//! Playing recordings back.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::canonical::Canonical;
use super::file::{End, Fault, Recording, Told, VERSION, read_headers, read_ms};
use super::keep::{number, turn};
use super::{Wanted, With};
use crate::codec::Result;
use crate::config::wrong;
use crate::transport::{Body, Failure, Phase, Reply};

/// The longest file that is read.
const FILE_LIMIT: u64 = 512 * 1024 * 1024;
/// Most recordings that are compared with a request that has none.
const COMPARED: usize = 1000;

/// Answers from a folder of recordings, and from nowhere else.
pub(crate) struct Replay {
    folder: PathBuf,
    timing: bool,
    /// Whether it does not matter which provider a request is for.
    anybody: bool,
    files: Vec<Known>,
    /// By the request's canonical form: those that answer it, in their order.
    queues: HashMap<String, Queue>,
}

/// A file.
struct Known {
    name: String,
    provider: String,
    line: String,
    number: Option<u64>,
}

#[derive(Default)]
struct Queue {
    files: Vec<usize>,
    next: AtomicUsize,
}

/// The providers that have recordings in a folder.
///
/// # Errors
/// When the folder, or a file in it, cannot be read.
pub(crate) fn providers(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for name in names(folder)? {
        found.insert(provider(&read(&folder.join(name))?.target).to_owned());
    }
    Ok(found)
}

fn provider(target: &str) -> &str {
    target.split('/').next().unwrap_or_default()
}

/// The recordings' names in their order. What is half written has another ending.
fn names(folder: &Path) -> Result<Vec<String>> {
    let fails = |error: std::io::Error| wrong(format!("replay: cannot read the folder {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fails)? {
        let name = entry.map_err(fails)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.starts_with('.') {
            names.push(name);
        }
    }
    // By their numbers, however many digits these have; what has none comes last.
    names.sort_by_cached_key(|name| (number(name).unwrap_or(u64::MAX), turn(name), name.clone()));
    Ok(names)
}

fn read(path: &Path) -> Result<Recording> {
    let fails = |why: String| wrong(format!("replay: {} is not a recording: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| fails(error.to_string()))?.len();
    if length > FILE_LIMIT {
        return Err(fails(format!("it is longer than {FILE_LIMIT} bytes")));
    }
    let text = fs::read(path).map_err(|error| fails(error.to_string()))?;
    let recording: Recording = serde_json::from_slice(&text).map_err(|error| fails(error.to_string()))?;
    if recording.trunkline_recording != VERSION {
        return Err(fails(format!("it is of version {}, and only {VERSION} is known", recording.trunkline_recording)));
    }
    Ok(recording)
}

fn canonical(recording: &Recording) -> Option<Canonical> {
    let request = &recording.request;
    let body = match &request.body {
        Some(content) => content.read()?,
        None => Bytes::new(),
    };
    let media = request.headers.iter().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    Some(Canonical::new(&request.method, &request.path, media, &body))
}

impl Replay {
    /// Looks through a folder. `anybody`: a recording answers whichever provider its request was for.
    ///
    /// # Errors
    /// When the folder, or a file in it, cannot be read.
    pub(crate) fn open(folder: &Path, timing: bool, anybody: bool) -> Result<Self> {
        let mut replay = Replay { folder: folder.to_owned(), timing, anybody, files: Vec::new(), queues: HashMap::new() };
        for name in names(folder)? {
            let path = folder.join(&name);
            let recording = read(&path)?;
            let canonical = canonical(&recording);
            let canonical = canonical.ok_or_else(|| wrong(format!("replay: the body in {} is not base64", path.display())))?;
            let whom = if anybody { "" } else { provider(&recording.target) };
            let queue = replay.queues.entry(canonical.key(whom)).or_default();
            // Another credential was tried, which nobody who asks has noticed.
            let is_instead = |at: &usize| {
                let earlier = replay.files.get(*at).and_then(|known| known.number);
                earlier.is_some() && earlier == recording.instead_of
            };
            if let Some(at) = queue.files.iter().rposition(is_instead) {
                queue.files.remove(at);
            }
            queue.files.push(replay.files.len());
            let provider = provider(&recording.target).to_owned();
            let number = number(&name);
            replay.files.push(Known { name, provider, line: canonical.line, number });
        }
        Ok(replay)
    }

    /// The reply to a request. Several recordings of the same request are played in their order, the last of them for
    /// every one that follows.
    pub(crate) async fn play(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Reply, Failure> {
        let start = Instant::now();
        let media = wanted.plain.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let canonical = Canonical::new(wanted.method.as_str(), &wanted.plain.path, media, wanted.body);
        // Files are long and many: not on the thread that serves the calls.
        let (replay, with) = (Arc::clone(self), wanted.with);
        let found = tokio::task::spawn_blocking(move || replay.find(&with, &canonical)).await;
        let gone = |why: String| Failure::new(Phase::Replay, why);
        let (name, recording) =
            found.unwrap_or_else(|_| Err("reading the recording was interrupted".to_owned())).map_err(gone)?;
        let timing = self.timing.then_some(start);
        match (recording.reply, recording.failed) {
            (Some(reply), _) => {
                wait(timing, reply.at_ms).await;
                told(reply, timing).ok_or_else(|| gone(format!("what {name} holds is no reply")))
            }
            (None, Some(fault)) => {
                wait(timing, fault.at_ms).await;
                Err(fault.read())
            }
            (None, None) => Err(gone(format!("{name} holds neither a reply nor a failure"))),
        }
    }

    /// The recording whose turn it is, and its name.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    fn find(&self, with: &With, canonical: &Canonical) -> Result<(String, Recording), String> {
        let provider = if self.anybody { "" } else { with.provider.as_str() };
        let Some(queue) = self.queues.get(&canonical.key(provider)) else { return Err(self.explain(with, canonical)) };
        let turn = queue.next.fetch_add(1, Ordering::Relaxed).min(queue.files.len().saturating_sub(1));
        let known = queue.files.get(turn).and_then(|at| self.files.get(*at)).ok_or("the recording is gone")?;
        let recording = read(&self.folder.join(&known.name)).map_err(|error| error.message)?;
        Ok((known.name.clone(), recording))
    }

    /// Which request has no recording, what comes nearest to it, and what to do.
    fn explain(&self, with: &With, canonical: &Canonical) -> String {
        let folder = self.folder.display();
        let what = format!("there is no recording of this {} with {} in {folder}", canonical.line, with.target);
        let may = |known: &&Known| self.anybody || known.provider == with.provider;
        let alike = self.files.iter().filter(may).filter(|known| known.line == canonical.line).take(COMPARED);
        let differs = |known: &Known| {
            let recording = read(&self.folder.join(&known.name)).ok()?;
            let (count, place) = self::canonical(&recording)?.differs(canonical);
            Some((count, place?))
        };
        let nearest = alike.filter_map(|known| Some((differs(known)?, &known.name))).min_by_key(|((count, _), _)| *count);
        let near = match nearest {
            Some(((1, place), name)) => format!("the nearest is {name}, which differs in {place} only"),
            Some(((count, place), name)) => format!("the nearest is {name}, which differs in {count} places, first in {place}"),
            None => match self.files.iter().find(may).or(self.files.first()) {
                Some(known) => format!("there is {}, which is {} with {}", known.name, known.line, known.provider),
                None => "the folder holds no recordings".to_owned(),
            },
        };
        format!("{what}; {near}. Record it with `--record {folder}`, or send what was recorded")
    }
}

async fn wait(timing: Option<Instant>, at_ms: f64) {
    if let Some(start) = timing {
        sleep_until(start + read_ms(at_ms)).await;
    }
}

fn told(reply: Told, timing: Option<Instant>) -> Option<Reply> {
    let pieces: Option<Vec<(Duration, Bytes)>> =
        reply.pieces.iter().map(|piece| Some((read_ms(piece.at_ms), piece.read()?))).collect();
    let mut headers = read_headers(&reply.headers)?;
    // They were about the connection, and what was taken out has changed the length.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let (end, end_at) = (reply.failed.filter(|_| reply.end == End::Failed), read_ms(reply.end_ms));
    let pieces = pieces?.into_iter();
    let stream = stream::unfold((pieces, end, false), move |(mut pieces, end, over)| async move {
        if over {
            return None;
        }
        if let Some((at, piece)) = pieces.next() {
            if let Some(start) = timing {
                sleep_until(start + at).await;
            }
            return Some((Ok(piece), (pieces, end, false)));
        }
        if let Some(start) = timing {
            sleep_until(start + end_at).await;
        }
        let failure = end.as_ref().map(Fault::read)?;
        Some((Err(failure), (pieces, None, true)))
    });
    let mut told = Response::new(Body::stream(stream));
    *told.status_mut() = StatusCode::from_u16(reply.status).ok()?;
    *told.headers_mut() = headers;
    Some(told)
}
