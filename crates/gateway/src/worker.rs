//! What one thread of the gateway has: a client with a pool of its own, the door, ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use trunkline::Client;
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::relay::Settings;

use crate::door::Door;
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
    /// What all threads hold together.
    pub(crate) shed: Arc<Shed>,
}

impl Worker {
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

/// How long these ids are.
pub(crate) const ID_LENGTH: usize = 24;

/// Ids that nobody has used before: a counter through a mixing function, started at a random point.
pub(crate) struct Ids(AtomicU64);

impl Ids {
    pub(crate) fn new(start: u64) -> Self {
        Ids(AtomicU64::new(start))
    }

    /// 24 characters of `[a-z0-9]`.
    pub(crate) fn next(&self) -> String {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(ID_LENGTH);
        // Two halves, for dividing wider numbers is slow.
        for mut left in [mix(number), mix(number ^ 0x9E37_79B9_7F4A_7C15)] {
            id.extend(
                std::iter::repeat_with(|| {
                    let digit = (left % 36) as u32;
                    left /= 36;
                    char::from_digit(digit, 36).unwrap_or('0')
                })
                .take(12),
            );
        }
        id
    }
}

/// SplitMix64's finaliser: neighbours in, strangers out.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
