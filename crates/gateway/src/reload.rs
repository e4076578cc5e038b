//! What makes the gateway read its configuration and credentials again: SIGHUP, and a change of the files.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trunkline::Client;

use crate::door::Door;
use crate::record::Record;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Reloads until the gateway stops. What comes of it is told by [`Client::tell`].
pub(crate) async fn watch(client: Client, door: Door, record: Arc<Record>, loopback: bool, mut stop: watch::Receiver<bool>) {
    let mut hangup = Hangup::new();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let signalled = tokio::select! {
            () = hangup.next() => true,
            _ = ticks.tick() => false,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if signalled || client.is_stale() {
            // A file that was only too new to be sure of is no news.
            let is_news = signalled || client.is_changed();
            reload(&client, &door, &record, (loopback, is_news)).await;
        }
    }
}

async fn reload(client: &Client, door: &Door, record: &Record, (loopback, is_news): (bool, bool)) {
    let (reader, its_door) = (client.clone(), door.clone());
    // Files and commands: not on the thread that accepts connections.
    let done = tokio::task::spawn_blocking(move || its_door.reload(&reader, loopback)).await;
    match done {
        Ok(Ok(())) => {
            record.meter().know(&client.config());
            if is_news {
                client.tell("configuration and credentials are read again");
            }
        }
        Ok(Err(error)) => client.tell(&format!("the new configuration is refused, the old one stays: {error}")),
        Err(_) => client.tell("reading the configuration again was interrupted, the old one stays"),
    }
}

/// SIGHUP, where there is such a thing.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Self {
        Hangup {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
