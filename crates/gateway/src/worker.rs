//! What one thread of the gateway has: a client with a pool of its own, the door, ids.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use trunkline::Client;
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::relay::Settings;
use trunkline_store::Ids;

use crate::door::Door;
use crate::prompt::Shelf;
use crate::record::Record;
use crate::shed::Shed;

/// One thread's share of the gateway.
pub struct Worker {
    /// Calls providers.
    pub client: Client,
    /// What callers must send, if anything.
    pub door: Door,
    /// Where outcomes go.
    pub record: Arc<Record>,
    /// Turns true when running streams must end.
    pub cut: watch::Receiver<bool>,
    /// Turns true when no new calls are taken.
    pub draining: watch::Receiver<bool>,
    pub(crate) ids: Ids,
    /// Prompts that calls may name.
    pub(crate) shelf: Shelf,
    /// What all threads hold together.
    pub(crate) shed: Arc<Shed>,
}

impl Worker {
    /// An id for a call that begins now: what its caller is told, and its row's.
    pub(crate) fn next_id(&self) -> String {
        self.ids.next(SystemTime::now()).digits()
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// What a reply's body is watched with.
    pub fn settings(&self) -> Settings {
        let config = self.client.config();
        let network = &config.network;
        Settings { idle_seconds: network.idle_seconds, frame_limit: network.frame_limit, cut: self.cut.clone() }
    }

    /// The work's result, or an error as soon as running calls must end.
    ///
    /// # Errors
    /// `Unavailable`, then.
    pub async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut cut = self.cut.clone();
        tokio::select! {
            biased;
            done = work => Ok(done),
            Ok(_) = cut.wait_for(|cut| *cut) => {
                Err(Error::new(Kind::Unavailable, Origin::Gateway, "the gateway is shutting down; send the request again"))
            }
        }
    }
}
