//! The closed loop: N connections, each sending its next request when the last reply is complete, until a fixed
//! number of requests is done. A fixed number, not a fixed time: a slow contestant then does the same work as a fast
//! one, and CPU per request compares like with like.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::connection::{Connection, Expect, Timing};

/// A run that takes longer than this is given up.
const MOST_WALL: Duration = Duration::from_secs(180);

/// What to send where.
#[derive(Clone, Debug)]
pub struct Load {
    /// The contestant.
    pub addr: SocketAddr,
    /// Head and body, as they go over the wire.
    pub request: Arc<[u8]>,
    /// What each reply must look like.
    pub expect: Expect,
    /// Connections that are open at the same time.
    pub connections: usize,
    /// Requests in all, after the warm-up.
    pub requests: usize,
    /// Requests that each connection sends before counting starts.
    pub warm: usize,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// From the first request to the last reply.
    pub wall: Duration,
    /// Time to the first delta of each good reply, sorted.
    pub firsts: Vec<Duration>,
    /// Time to the end of each good reply, sorted.
    pub totals: Vec<Duration>,
    /// Replies that were not as expected.
    pub errors: usize,
    /// The first of them.
    pub error: Option<String>,
}

impl Sample {
    /// Good replies a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.totals.len() as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    fn add(&mut self, outcome: io::Result<Timing>) {
        match outcome {
            Ok(timing) => {
                self.firsts.push(timing.first);
                self.totals.push(timing.total);
            }
            Err(error) => {
                self.errors += 1;
                self.error.get_or_insert_with(|| error.to_string());
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.firsts.extend(other.firsts);
        self.totals.extend(other.totals);
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
    }
}

/// The value below which `share` (0 to 1) of a sorted list lies; zero for an empty list.
#[must_use]
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Opens the connections and warms them up, all at the same time.
///
/// # Errors
/// When a connection cannot be opened or a warm-up reply is not as expected.
pub async fn open(load: &Load) -> io::Result<Vec<Connection>> {
    let tasks: Vec<_> = (0..load.connections).map(|_| tokio::spawn(open_one(load.clone()))).collect();
    let warming = async {
        let mut connections = Vec::with_capacity(load.connections);
        for task in tasks {
            connections.push(task.await.map_err(io::Error::other)??);
        }
        Ok(connections)
    };
    tokio::time::timeout(MOST_WALL, warming).await.unwrap_or_else(|_| Err(too_long()))
}

async fn open_one(load: Load) -> io::Result<Connection> {
    let mut connection = Connection::open(load.addr).await?;
    for _ in 0..load.warm {
        connection.exchange(&load.request, &load.expect).await?;
    }
    Ok(connection)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not done after {} s", MOST_WALL.as_secs()))
}

/// Sends the requests over the given connections and waits for the last reply.
///
/// # Errors
/// When it takes longer than three minutes. Bad replies are counted in the sample.
pub async fn drive(load: &Load, connections: Vec<Connection>) -> io::Result<Sample> {
    let left = Arc::new(AtomicUsize::new(load.requests));
    let start = Instant::now();
    let tasks: Vec<_> =
        connections.into_iter().map(|connection| tokio::spawn(drive_one(load.clone(), connection, Arc::clone(&left)))).collect();
    let mut sample = Sample::default();
    let gathering = async {
        for task in tasks {
            sample.merge(task.await.map_err(io::Error::other)?);
        }
        Ok(())
    };
    let outcome = tokio::time::timeout(MOST_WALL, gathering).await.unwrap_or_else(|_| Err(too_long()));
    // Whoever is still at work after a time-out finds nothing left to send.
    left.store(0, Ordering::Relaxed);
    outcome?;
    sample.wall = start.elapsed();
    sample.firsts.sort_unstable();
    sample.totals.sort_unstable();
    Ok(sample)
}

async fn drive_one(load: Load, mut connection: Connection, left: Arc<AtomicUsize>) -> Sample {
    let mut sample = Sample::default();
    while take_one(&left) {
        let outcome = connection.exchange(&load.request, &load.expect).await;
        let failed = outcome.is_err();
        sample.add(outcome);
        if failed {
            // The connection's state is unknown after a bad reply.
            match Connection::open(load.addr).await {
                Ok(fresh) => connection = fresh,
                Err(error) => {
                    sample.add(Err(error));
                    break;
                }
            }
        }
    }
    sample
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::prompt::{Speech, write_body, write_post};
    use super::super::provider::Provider;
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let list: Vec<_> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&list, 0.5), Duration::from_micros(50));
        assert_eq!(percentile(&list, 0.99), Duration::from_micros(99));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[tokio::test]
    async fn every_reply_of_the_local_provider_is_good() {
        let provider = Provider::start(0).unwrap();
        for (model, stream, frames) in [("m", false, 0), ("m-s50-burst", true, 52), ("m-s5", true, 7)] {
            let body = write_body(model, 20_000, stream);
            let request = write_post(provider.addr, Speech::Chat.path(), None, &body).into();
            let terminator = stream.then(|| Speech::Chat.terminator());
            let expect = Expect { terminator, frames, hold: false, marker: true };
            let load = Load { addr: provider.addr, request, expect, connections: 4, requests: 20, warm: 1 };
            let connections = open(&load).await.unwrap();
            let sample = drive(&load, connections).await.unwrap();
            assert_eq!((sample.totals.len(), sample.errors), (20, 0), "{model}: {:?}", sample.error);
        }
    }
}
