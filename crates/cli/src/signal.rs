//! Ctrl-C and SIGTERM: every command that calls somebody ends by itself when one of them comes, so that the ledger has its calls.

use crate::End;

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Waits for the next signal. Keep it for as long as none may be missed.
pub(crate) async fn next() -> Signal {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                Ok(()) = tokio::signal::ctrl_c() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                else => std::future::pending().await,
            };
        }
    }
    match tokio::signal::ctrl_c().await {
        Ok(()) => Signal::Interrupt,
        // Without signals there is nothing to hear.
        Err(_) => std::future::pending().await,
    }
}

/// Waits for SIGTERM alone, where Ctrl-C is a key like others.
pub(crate) async fn termination() {
    while next().await != Signal::Terminate {}
}

/// Does what a command does, until a signal says otherwise: dropping it closes its connections. What it does before it waits
/// for the first time, such as reading a pipe, a signal ends as it ends any program.
pub(crate) async fn stoppable(work: impl Future<Output = anyhow::Result<End>>) -> anyhow::Result<End> {
    tokio::select! {
        biased;
        done = work => done,
        _ = next() => anyhow::bail!("stopped"),
    }
}
