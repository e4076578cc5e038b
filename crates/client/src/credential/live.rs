//! A credential that does not last: kept, and renewed in time by one for all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::flight::{Flight, Landing};
use super::grant::{Grant, Term};
use super::lookup::Stamp;
use super::source::Recipe;
use crate::client::Client;
use crate::codec::{Error, Kind, Origin, Result, Retry};

/// Files are looked at once in this time.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure nobody tries again for so long; or for as long as a token server asks, up to the longest.
const REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);
/// Calls that have a credential which is still good wait no longer for its successor.
const GRACE: Duration = Duration::from_secs(3);
/// New tokens that were refused one after another; more are not asked for until [`SULK`] is over.
const SPOILED: u32 = 2;
const SULK: Duration = Duration::from_secs(5);

/// What is held now.
pub(crate) struct Held {
    pub(crate) grant: Grant,
    term: Term,
    stamps: Vec<Stamp>,
    /// It was asked for by a request.
    minted: bool,
    /// Somebody has used it with success.
    accepted: AtomicBool,
}

impl Held {
    pub(super) fn new(grant: Grant, term: Term, stamps: Vec<Stamp>, minted: bool) -> Self {
        Held { grant, term, stamps, minted, accepted: AtomicBool::new(false) }
    }

    /// A provider took it.
    pub(crate) fn accept(&self) {
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }
}

type Renewed = Result<Arc<Held>>;

/// What came of a renewal, and how much had been wanted when it began.
type News = (u64, Renewed);

/// A credential that does not last.
pub(crate) struct Live {
    held: ArcSwapOption<Held>,
    /// What was held before, which calls on their way carry still.
    before: ArcSwapOption<Held>,
    flight: Arc<Flight<News>>,
    /// When files were last looked at, in milliseconds of [`Clock::ticks`].
    looked: AtomicU64,
    /// How often somebody asked for it to be made anew, whatever its term.
    wanted: AtomicU64,
    /// Up to which of them that has been tried.
    settled: AtomicU64,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    /// The last renewal failed: until when nobody tries again, and why.
    failed: Option<(Duration, Error)>,
    /// New ones that were refused in a row, and when the last was.
    spoiled: (u32, Duration),
}

impl Live {
    pub(super) fn new(held: Option<Held>) -> Self {
        Live {
            held: ArcSwapOption::from_pointee(held),
            before: ArcSwapOption::empty(),
            flight: Arc::default(),
            looked: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    /// The credential to use now. While it is young that is one load; later somebody renews it behind the callers' back;
    /// at its end they wait.
    pub(super) async fn grant(self: &Arc<Self>, recipe: &Arc<Recipe>, client: &Client, model: &str) -> Renewed {
        let now = client.clock().ticks();
        // Asked before it is taken up: were a new one stored in between, this would be the new one.
        let (settled, look) = (self.is_settled(), self.is_look_due(now));
        let held = self.held.load_full();
        let seen = held.clone();
        let good = held.filter(|held| now < held.term.end);
        if let Some(held) = &good {
            let replaced = !settled || (look && self.looks_different(held, now));
            if !replaced && now < held.term.mandatory {
                if now >= held.term.advisory {
                    // Who waits for it is nobody yet.
                    let _ = self.renew(recipe, client, model, seen.as_ref());
                }
                return Ok(Arc::clone(held));
            }
        }
        let waiting = self.wait(recipe, client, model, seen.as_ref());
        match good {
            None => waiting.await,
            Some(old) => match tokio::time::timeout(GRACE, waiting).await {
                Ok(Ok(new)) => Ok(new),
                // Still good is good enough.
                Ok(Err(_)) | Err(_) => Ok(old),
            },
        }
    }

    async fn wait(self: &Arc<Self>, recipe: &Arc<Recipe>, client: &Client, model: &str, seen: Option<&Arc<Held>>) -> Renewed {
        let wanted = self.wanted.load(Ordering::Acquire);
        // Whoever does the work may go away with its thread, or have begun before it was wanted: not thrice in a row.
        for _ in 0..3 {
            match self.renew(recipe, client, model, seen)?.wait().await {
                Some((begun, renewed)) if begun >= wanted => return renewed,
                _ => {}
            }
        }
        Err(Error::new(Kind::Unavailable, Origin::Gateway, "asking for a token was interrupted; send the request again"))
    }

    /// Begins to make another than the one that was `seen`, or joins whoever does so.
    fn renew(
        self: &Arc<Self>,
        recipe: &Arc<Recipe>,
        client: &Client,
        model: &str,
        seen: Option<&Arc<Held>>,
    ) -> Result<super::flight::Waiter<News>> {
        self.flight.join(|landing: Landing<News>| {
            let now = client.clock().ticks();
            if let Some(made) = self.made_since(seen, now) {
                landing.land((self.wanted.load(Ordering::Acquire), Ok(made)));
                return Ok(());
            }
            if let Some((until, error)) = &self.trouble().failed
                && now < *until
            {
                let error = Error { retry: left(error.retry, *until, now), ..error.clone() };
                landing.land((self.wanted.load(Ordering::Acquire), Err(error.clone())));
                return Err(error);
            }
            let (live, recipe, client, model) = (Arc::clone(self), Arc::clone(recipe), client.clone(), model.to_owned());
            tokio::spawn(async move {
                let wanted = live.wanted.load(Ordering::Acquire);
                let made = Arc::clone(&recipe).make(&client, &model).await;
                let kept = live.keep(made, (wanted, now), &recipe, &client);
                live.settled.fetch_max(wanted, Ordering::Release);
                landing.land((wanted, kept));
            });
            Ok(())
        })
    }

    /// What somebody has made between our look and now.
    fn made_since(&self, seen: Option<&Arc<Held>>, now: Duration) -> Option<Arc<Held>> {
        let held = self.held.load_full().filter(|held| now < held.term.mandatory && self.is_settled())?;
        seen.is_none_or(|seen| !Arc::ptr_eq(seen, &held)).then_some(held)
    }

    /// Remembers what came of a renewal.
    fn keep(&self, made: Result<Held>, (wanted, begun): (u64, Duration), recipe: &Recipe, client: &Client) -> Renewed {
        let now = client.clock().ticks();
        let mut trouble = self.trouble();
        match made {
            Ok(held) => {
                let held = Arc::new(held);
                trouble.failed = None;
                if let Some(old) = self.held.swap(Some(Arc::clone(&held))) {
                    self.before.store(Some(old));
                }
                // As old as what was read, not as what came of it.
                self.looked.store(millis(begun), Ordering::Release);
                Ok(held)
            }
            Err(error) => {
                let rest = rest(error.retry);
                let until = now.saturating_add(rest);
                let error = Error { retry: left(error.retry, until, now), ..error.from_provider(&recipe.provider) };
                let news = trouble.failed.as_ref().is_none_or(|(_, before)| before.message != error.message);
                // One that was begun before the operator did something says nothing of what is there now.
                if wanted == self.wanted.load(Ordering::Acquire) {
                    trouble.failed = Some((until, error.clone()));
                }
                drop(trouble);
                if news {
                    let good = self.held.load().as_ref().is_some_and(|held| now < held.term.end);
                    let then = if good { "; calls go on with the credential that is still good" } else { "" };
                    client.tell(&format!("{error}{then}"));
                }
                Err(error)
            }
        }
    }

    /// A provider refused this one. It is forgotten if it is still the one in use; whether it is worth another try.
    pub(super) fn refused(&self, refused: &Arc<Held>, client: &Client) -> bool {
        let now = client.clock().ticks();
        let current = self.held.load();
        let Some(current) = current.as_ref().filter(|current| Arc::ptr_eq(current, refused)) else {
            // Somebody else has seen to it.
            return true;
        };
        if refused.term.end == Duration::MAX && !refused.stamps.iter().any(Stamp::is_stale) {
            return false;
        }
        let mut trouble = self.trouble();
        let (spoiled, since) = trouble.spoiled;
        let spoiled = if refused.accepted.load(Ordering::Relaxed) { 0 } else { spoiled };
        if spoiled >= SPOILED && now < since.saturating_add(SULK) {
            return false;
        }
        trouble.spoiled = (spoiled + 1, now);
        // A server that has asked for silence gets it all the same.
        trouble.failed.take_if(|(_, error)| !matches!(error.retry, Retry::After(_)));
        // Compared again: it may have been replaced meanwhile.
        self.held.compare_and_swap(current, None);
        self.before.store(Some(Arc::clone(refused)));
        true
    }

    /// Has it made anew before the next call, unless it is certain to be the same.
    pub(super) fn recheck(&self) {
        // Held until it is known what is wanted: a renewal that fails meanwhile is judged by that.
        let mut trouble = self.trouble();
        trouble.failed = None;
        let held = self.held.load();
        // A token stays for as long as what it was asked for with is the same.
        // Where nothing is held, something is being made of what there was.
        if held.as_ref().is_none_or(|held| !held.minted || held.stamps.iter().any(Stamp::is_stale)) {
            self.wanted.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) >= self.wanted.load(Ordering::Acquire)
    }

    /// Whether what it was made from may say something else by now: files are looked at as often as ever, and what a
    /// command printed has had its time.
    pub(super) fn may_be_another(&self, now: Duration) -> bool {
        let held = self.held.load();
        let Some(held) = held.as_ref() else {
            return self.before.load().as_ref().is_some_and(|before| !before.minted);
        };
        (!held.minted && now >= held.term.mandatory) || (self.is_look_due(now) && self.looks_different(held, now))
    }

    /// What calls it is used for are given now is known by.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.held.load().as_ref().and_then(|held| held.grant.fingerprint().map(str::to_owned))
    }

    /// What is held, and what was before.
    pub(super) fn each(&self, see: &mut impl FnMut(&Grant)) {
        for held in [&self.held, &self.before] {
            if let Some(held) = held.load().as_ref() {
                see(&held.grant);
            }
        }
    }

    /// Files are looked at once a second.
    fn is_look_due(&self, now: Duration) -> bool {
        millis(now) >= self.looked.load(Ordering::Acquire).saturating_add(millis(LOOK))
    }

    /// Whether one of the files that it was made from has changed.
    fn looks_different(&self, held: &Held, now: Duration) -> bool {
        // Several may look at once; that does no harm.
        let different = held.stamps.iter().any(Stamp::is_stale);
        if !different {
            self.looked.store(millis(now), Ordering::Release);
        }
        different
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long nobody tries again after a failure with this advice.
fn rest(advice: Retry) -> Duration {
    match advice {
        Retry::After(wait) => wait.clamp(REST, LONGEST_REST),
        Retry::Never | Retry::Backoff => REST,
    }
}

/// The same advice, told now, when nobody tries again before `until`.
fn left(advice: Retry, until: Duration, now: Duration) -> Retry {
    match advice {
        Retry::After(_) => Retry::After(until.saturating_sub(now)),
        advice => advice,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
