//! Resident memory: idle, under load, afterwards; per open stream; and whether it stays flat over many calls.

use std::io;
use std::time::Duration;

use super::connection::Connection;
use super::contestant::{Ask, Field, Way};
use super::load;
use super::option::Options;
use super::process::most_open_files;

/// Resident memory of one contestant, in KiB.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// After the first reply.
    pub idle: u64,
    /// Largest while it answered 16 KB and 150 KB prompts, 64 at once.
    pub peak: u64,
    /// Two seconds later.
    pub after: u64,
    /// How many streams were held open.
    pub streams: usize,
    /// With that many streams open.
    pub open: u64,
    /// Two seconds after they were closed.
    pub closed: u64,
    /// `--long`: after each block of 10,000 calls.
    pub blocks: Vec<u64>,
}

impl Memory {
    /// KiB per open stream.
    #[must_use]
    pub fn per_stream(&self) -> f64 {
        self.open.saturating_sub(self.after) as f64 / self.streams.max(1) as f64
    }

    /// KiB gained per 1,000 calls from the second block to the last; `None` without `--long`.
    #[must_use]
    pub fn growth(&self) -> Option<f64> {
        let (second, last) = (self.blocks.get(1)?, self.blocks.last()?);
        let calls = (self.blocks.len() - 2) * BLOCK;
        Some((*last as f64 - *second as f64) / (calls.max(1) as f64 / 1000.0))
    }
}

/// Calls in a block of `--long`.
const BLOCK: usize = 10_000;
/// Blocks of `--long`.
const BLOCKS: usize = 10;

/// How many streams this process may hold: each costs it two sockets, one as caller and one as provider.
#[must_use]
pub fn affordable_streams(asked: usize) -> usize {
    let most = most_open_files().saturating_sub(200) / 2;
    asked.min(usize::try_from(most).unwrap_or(asked))
}

/// Measures the contestant on `way`, which has just been started.
///
/// # Errors
/// When a reply is not as expected: memory of failing calls would mean nothing.
pub async fn run(field: &Field, way: Way, options: &Options) -> io::Result<Memory> {
    let Some(server) = field.server(way) else { return Err(io::Error::other("nothing to measure")) };
    let mut memory = Memory { streams: affordable_streams(options.streams), ..Memory::default() };
    send(field, way, &ask("m", 1, 1, 1)).await?;
    pause(500).await;
    memory.idle = server.resident();
    server.forget_peak();
    for (kilobytes, requests) in [(16, 6000), (150, 1000)] {
        send(field, way, &ask("m", kilobytes, 64, options.scale(requests))).await?;
    }
    memory.peak = server.peak();
    pause(2000).await;
    memory.after = server.resident();
    let held = hold(field, way, memory.streams).await?;
    pause(500).await;
    memory.open = server.resident();
    drop(held);
    pause(2000).await;
    memory.closed = server.resident();
    if options.long {
        for _ in 0..BLOCKS {
            send_block(field, way).await?;
            memory.blocks.push(server.resident());
        }
    }
    Ok(memory)
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn ask(model: &str, kilobytes: usize, connections: usize, requests: usize) -> Ask {
    Ask { model: model.into(), prompt: kilobytes * 1024, deltas: 0, hold: false, connections, requests }
}

async fn send(field: &Field, way: Way, ask: &Ask) -> io::Result<()> {
    let load = field.load(way, ask).ok_or_else(|| io::Error::other("nothing serves this way"))?;
    let sample = load::drive(&load, load::open(&load).await?).await?;
    match sample.error {
        Some(error) => Err(io::Error::other(format!("{}: {} replies were wrong: {error}", way.name(), sample.errors))),
        None => Ok(()),
    }
}

/// 10,000 calls: whole and streamed, in both lanes where the contestant has two.
async fn send_block(field: &Field, way: Way) -> io::Result<()> {
    let other = if way == Way::Same { Way::Translate } else { way };
    for way in [way, other] {
        send(field, way, &ask("m", 1, 16, BLOCK / 2 - 500)).await?;
        send(field, way, &Ask { deltas: 10, ..ask("m-s10-burst", 1, 16, 500) }).await?;
    }
    Ok(())
}

/// Opens streams that send one delta and then wait.
async fn hold(field: &Field, way: Way, streams: usize) -> io::Result<Vec<Connection>> {
    let ask = Ask { hold: true, ..ask("m-open", 1, 1, 1) };
    let load = field.load(way, &ask).ok_or_else(|| io::Error::other("nothing serves this way"))?;
    let mut held = Vec::with_capacity(streams);
    for _ in 0..streams {
        let opening = async {
            let mut connection = Connection::open(load.addr).await?;
            connection.exchange(&load.request, &load.expect).await?;
            Ok::<_, io::Error>(connection)
        };
        let connection = tokio::time::timeout(Duration::from_secs(10), opening).await;
        let connection = connection.unwrap_or_else(|_| Err(io::Error::other("no first delta within ten seconds")));
        let said = |e: io::Error| io::Error::other(format!("{}: stream {} of {streams}: {e}", way.name(), held.len() + 1));
        held.push(connection.map_err(said)?);
    }
    Ok(held)
}
