//! One piece of work for everybody who waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type News<T> = watch::Receiver<Option<T>>;

/// At most one piece of work at a time. It belongs to nobody who waits: whoever leaves does not end it.
pub(super) struct Flight<T> {
    running: Mutex<Option<News<T>>>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Flight { running: Mutex::default() }
    }
}

/// Somebody's place in the queue.
pub(super) struct Waiter<T>(News<T>);

/// Ends the work; dropped without that, those who wait start it again.
pub(super) struct Landing<T> {
    news: watch::Sender<Option<T>>,
    flight: Arc<Flight<T>>,
}

impl<T: Clone> Flight<T> {
    /// Joins the work that is going on. If there is none, `start` begins it, unless it says that there is nothing to do.
    pub(super) fn join<E>(
        self: &Arc<Self>,
        start: impl FnOnce(Landing<T>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Waiter<T>, E> {
        let mut running = self.lock();
        if let Some(news) = running.as_ref().filter(|news| news.has_changed().is_ok()) {
            return Ok(Waiter(news.clone()));
        }
        let (sender, news) = watch::channel(None);
        *running = Some(news.clone());
        drop(running);
        start(Landing { news: sender, flight: Arc::clone(self) })?;
        Ok(Waiter(news))
    }

    fn lock(&self) -> MutexGuard<'_, Option<News<T>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Landing<T> {
    /// Tells everybody.
    pub(super) fn land(self, result: T) {
        // First nobody can join any more, then it is over: who comes next sees what came of it.
        self.flight.lock().take();
        self.news.send_replace(Some(result));
    }
}

impl<T: Clone> Waiter<T> {
    /// What came of it; nothing when whoever did the work is gone.
    pub(super) async fn wait(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|news| news.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    type Never = std::convert::Infallible;

    #[tokio::test]
    async fn everybody_waits_for_one_and_whoever_leaves_does_not_end_it() {
        let (flight, starts) = (Arc::new(Flight::<u32>::default()), Arc::new(AtomicUsize::new(0)));
        let join = || {
            let starts = Arc::clone(&starts);
            flight.join(move |landing| {
                starts.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    landing.land(7);
                });
                Ok::<_, Never>(())
            })
        };
        let Ok(first) = join();
        assert!(tokio::time::timeout(Duration::from_millis(1), first.wait()).await.is_err());
        for _ in 0..3 {
            let Ok(waiter) = join();
            assert_eq!(waiter.wait().await, Some(7));
        }
        // The second one waited for the first's work; the third and fourth came after it was over.
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn work_that_is_dropped_is_begun_again() {
        let flight = Arc::new(Flight::<u32>::default());
        let Ok(waiter) = flight.join(|landing| {
            drop(landing);
            Ok::<_, Never>(())
        });
        assert_eq!(waiter.wait().await, None);
        let Ok(waiter) = flight.join(|landing| {
            landing.land(1);
            Ok::<_, Never>(())
        });
        assert_eq!(waiter.wait().await, Some(1));
    }
}
