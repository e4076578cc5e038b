//! From start to the first reply, and from SIGTERM to the end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::connection::{Connection, Expect};
use super::contestant::{Scratch, spawn_gateway};
use super::option::Options;
use super::prompt::{Speech, write_body, write_post};

/// How often the gateway is started.
pub const STARTS: usize = 9;
/// How long a start may take.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// Times of one start and stop, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// From spawning the process to the end of the first reply of the built-in simulator.
    pub start: f64,
    /// From SIGTERM to the end of the process, no call under way.
    pub stop: f64,
}

/// Starts and stops the gateway [`STARTS`] times.
///
/// # Errors
/// When it does not start, does not answer, or does not stop.
pub async fn run(options: &Options, scratch: &Scratch, provider: SocketAddr) -> io::Result<Vec<Lifetime>> {
    let mut all = Vec::with_capacity(STARTS);
    let body = write_body("sim/echo", 64, false);
    let expect = Expect { terminator: None, frames: 0, hold: false, marker: false };
    for _ in 0..STARTS {
        let begin = Instant::now();
        let mut server = spawn_gateway(options, scratch, provider)?;
        server.wait_until_listening()?;
        let request = write_post(server.addr, Speech::Chat.path(), options.bearer.as_deref(), &body);
        let asking = async {
            let mut connection = Connection::open(server.addr).await?;
            connection.exchange(&request, &expect).await
        };
        tokio::time::timeout(MOST_WAIT, asking).await.map_err(io::Error::other)??;
        let start = begin.elapsed().as_secs_f64() * 1e3;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let stop = server.stop()?.as_secs_f64() * 1e3;
        all.push(Lifetime { start, stop });
    }
    Ok(all)
}
