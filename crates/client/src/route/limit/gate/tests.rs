use std::num::{NonZeroU32, NonZeroU64};
use std::time::SystemTime;

use super::*;

#[derive(Default)]
struct Hand(Mutex<Duration>);

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn ticks(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

const EVER: Duration = Duration::from_secs(3600);

fn clock() -> (Arc<Hand>, Arc<dyn Clock>) {
    let hand = Arc::new(Hand::default());
    (Arc::clone(&hand), hand)
}

fn at_once(most: u32) -> Limit {
    Limit { in_flight: NonZeroU32::new(most), ..Limit::default() }
}

fn gate(whole: Limit, models: &[(&str, Limit)]) -> Arc<Gate> {
    let models = models.iter().map(|(model, limit)| ((*model).to_owned(), *limit)).collect();
    Gate::new(Rules { whole, models })
}

#[test]
fn without_limits_nothing_is_counted() {
    let (_, clock) = clock();
    let gate = gate(Limit::default(), &[]);
    assert!(gate.enter("m", 1, &clock).unwrap().is_none());
    assert_eq!(gate.count(), (0, 0));
}

#[test]
fn turns_come_in_the_order_of_coming_and_nobody_slips_in() {
    let (_, clock) = clock();
    let gate = gate(at_once(1), &[]);
    let first = gate.enter("a", 0, &clock).unwrap().unwrap();
    let mut one = gate.line_up("a", 0, EVER, &clock).unwrap();
    let mut other = gate.line_up("b", 0, EVER, &clock).unwrap();
    assert!(one.seat().is_none() && other.seat().is_none());
    drop(first);
    assert!(gate.enter("c", 0, &clock).is_err(), "the turn is given already");
    assert!(other.seat().is_none());
    let seat = one.seat().unwrap();
    drop(seat);
    drop(one);
    drop(other);
    assert_eq!(gate.count(), (0, 0));
    assert!(gate.enter("c", 0, &clock).unwrap().is_some());
}

#[test]
fn a_full_model_holds_up_its_own_calls_only() {
    let (_, clock) = clock();
    let gate = gate(at_once(3), &[("small", at_once(1))]);
    let small = gate.enter("small", 0, &clock).unwrap().unwrap();
    let mut waits = gate.line_up("small", 0, EVER, &clock).unwrap();
    let others: Vec<_> = (0..2).map(|_| gate.enter("large", 0, &clock).unwrap().unwrap()).collect();
    assert!(gate.enter("large", 0, &clock).is_err(), "the provider is full");
    drop(others);
    assert!(waits.seat().is_none(), "its own limit holds");
    drop(small);
    assert!(waits.seat().is_some());
}

#[test]
fn a_queue_has_an_end_and_tells_when_to_come_back() {
    let (hand, clock) = clock();
    let gate = gate(Limit { queue: Some(2), ..at_once(1) }, &[]);
    let seat = gate.enter("m", 0, &clock).unwrap();
    *hand.0.lock().unwrap() = Duration::from_secs(4);
    drop(seat);
    let _out = gate.enter("m", 0, &clock).unwrap();
    let waiting: Vec<_> = (0..2).map(|_| gate.line_up("m", 0, EVER, &clock).unwrap()).collect();
    assert!(gate.line_up("m", 0, EVER, &clock).is_none());
    let shut = gate.shut("m", 0, EVER, clock.ticks()).unwrap();
    assert_eq!(shut.left, Duration::from_secs(12), "three turns of four seconds");
    drop(waiting);
    assert!(gate.shut("m", 0, EVER, clock.ticks()).is_none());
}

#[test]
fn a_minutes_share_is_kept_and_given_back() {
    let (hand, clock) = clock();
    let limit = Limit { tokens_per_minute: NonZeroU64::new(600), ..Limit::default() };
    let gate = gate(limit, &[]);
    let mut first = gate.enter("m", 600, &clock).unwrap().unwrap();
    assert_eq!(gate.room("m", clock.ticks()), Some(0));
    let mut waits = gate.line_up("m", 100, EVER, &clock).unwrap();
    assert_eq!(waits.pause(), Some(Duration::from_secs(10)));
    assert_eq!(gate.shut("m", 100, Duration::from_secs(15), clock.ticks()).unwrap().left, Duration::from_secs(20));
    *hand.0.lock().unwrap() = Duration::from_secs(5);
    assert!(waits.seat().is_none());
    first.settle(300);
    assert!(waits.seat().is_some(), "less was used than foreseen");
    assert_eq!(gate.room("m", clock.ticks()), Some(250 * 1000 / 600));
    let seat = gate.enter("m", 250, &clock).unwrap();
    drop(seat);
    assert_eq!(gate.room("m", clock.ticks()), Some(0), "what is used is used");
}

#[test]
fn a_new_limit_holds_at_once_for_those_who_wait_too() {
    let (_, clock) = clock();
    let gate = gate(at_once(1), &[]);
    let _out = gate.enter("m", 0, &clock).unwrap();
    let mut waits: Vec<_> = (0..3).map(|_| gate.line_up("m", 0, EVER, &clock).unwrap()).collect();
    gate.set(Rules { whole: at_once(3), ..Rules::default() }, clock.ticks());
    let seats: Vec<_> = waits.iter_mut().filter_map(Place::seat).collect();
    assert_eq!(seats.len(), 2);
    gate.set(Rules::default(), clock.ticks());
    assert!(waits.last_mut().unwrap().seat().is_some());
}
