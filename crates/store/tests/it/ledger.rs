//! Rows on their way into a store that is slow, full, gone, or there.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use trunkline_store::{CallRow, Ids, Ledger, Opening, Options, Retention, State, Status, Store, TextsRow, Wanted};

use crate::folder::{Folder, call};
use crate::process::Other;

/// What was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn ledger(&self, options: Options) -> Ledger {
        let told = self.clone();
        Ledger::new(options, Arc::new(move |line: &str| told.0.lock().unwrap().push(line.to_owned())))
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn options(folder: &Folder) -> Options {
    Options { patience: Duration::from_millis(1500), pause: Duration::from_millis(100), ..Options::at(folder.store()) }
}

/// Records until `time` is over; how many.
fn load(ledger: &Ledger, time: Duration, first: u64) -> u64 {
    let begun = Instant::now();
    let mut number = first;
    while begun.elapsed() < time {
        record(ledger, number);
        number += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    number - first
}

/// How long it takes to record, and that it does not block.
fn record(ledger: &Ledger, number: u64) {
    let now = SystemTime::now();
    let row = call(&Ids::new(), now, number);
    let begun = Instant::now();
    ledger.record(row);
    assert!(begun.elapsed() < Duration::from_millis(100), "recording took {:?}", begun.elapsed());
}

fn wait_for(ledger: &Ledger, what: impl Fn(&Status) -> bool) -> Status {
    let begun = Instant::now();
    loop {
        let status = ledger.status();
        if what(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers of all calls that are stored, which must each be there once.
fn numbers(path: &Path) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = runtime.block_on(async {
        let mut store = Store::open(&Opening::existing(path)).await.unwrap();
        store.calls(&Wanted { limit: u32::MAX, ..Wanted::default() }).await.unwrap()
    });
    assert!(calls.iter().all(|call| call.exchanges.len() == 1));
    let mut numbers: Vec<u64> = calls.iter().map(|call| call.bytes_in.unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn spills(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".spill-")).count()
}

/// Waits until spill files have so many lines. How many they have then.
fn wait_for_lines(folder: &Path, least: usize) -> usize {
    let begun = Instant::now();
    loop {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.to_string_lossy().contains(".spill-"));
        let lines = files.map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum();
        if lines >= least {
            return lines;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{lines} of {least} lines");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How long the store is away: 3 s, or as long as the variable says.
fn outage() -> Duration {
    let seconds = std::env::var("TRUNKLINE_TEST_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

#[test]
fn rows_arrive_and_closing_writes_the_last() {
    let folder = Folder::new("arrive");
    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    assert!(!folder.store().exists(), "nothing is opened before it is needed");
    (0..500).for_each(|number| record(&ledger, number));
    let status = wait_for(&ledger, |status| status.waiting == 0);
    assert_eq!((status.state, status.written, status.lost), (State::Ok, 500, 0));
    (500..600).for_each(|number| record(&ledger, number));
    ledger.close();
    assert_eq!(numbers(&folder.store()), (0..600).collect::<Vec<_>>());
    assert_eq!((told.lines(), spills(&folder.0)), (vec![], 0));
    record(&ledger, 600);
    assert_eq!(ledger.status().lost, 1);
}

#[test]
fn a_store_that_is_gone_under_load_gets_every_row_once() {
    let folder = Folder::new("gone");
    let (home, away) = (folder.0.join("data"), folder.0.join("away"));
    let options = Options { opening: Opening::at(home.join("trunkline.db")), ..options(&folder) };
    let told = Told::default();
    let ledger = told.ledger(options);
    ledger.start();
    let mut count = load(&ledger, Duration::from_secs(1), 0);
    wait_for(&ledger, |status| status.written > 0);
    // The file with its log, the folder stays: rows are spilt.
    std::fs::create_dir(&away).unwrap();
    for name in ["trunkline.db", "trunkline.db-wal", "trunkline.db-shm"] {
        let _ = std::fs::rename(home.join(name), away.join(name));
    }
    count += load(&ledger, outage(), count);
    let status = ledger.status();
    assert_eq!((status.state, status.lost), (State::Waiting, 0));
    assert!(status.waiting > 100 && status.why.unwrap().contains("is not where it was"));
    assert_eq!(spills(&home), 1);
    for name in ["trunkline.db", "trunkline.db-wal", "trunkline.db-shm"] {
        let _ = std::fs::rename(away.join(name), home.join(name));
    }
    count += load(&ledger, Duration::from_millis(500), count);
    let status = wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    assert_eq!(status.lost, 0);
    ledger.close();
    assert_eq!(numbers(&home.join("trunkline.db")), (0..count).collect::<Vec<_>>());
    assert_eq!(spills(&home), 0);
    let told = told.lines();
    assert!(told.len() == 2 && told[0].contains("calls go on") && told[1].contains("written again"), "{told:?}");
}

#[test]
fn a_folder_that_is_gone_leaves_memory_and_what_is_too_much_is_said() {
    let folder = Folder::new("folder");
    let (home, away) = (folder.0.join("data"), folder.0.join("away"));
    let options = Options { opening: Opening::at(home.join("trunkline.db")), memory: 50, ..options(&folder) };
    let told = Told::default();
    let ledger = told.ledger(options);
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    std::fs::rename(&home, &away).unwrap();
    (1..31).for_each(|number| record(&ledger, number));
    let status = wait_for(&ledger, |status| status.state == State::Waiting);
    assert_eq!((status.waiting, status.lost), (30, 0));
    (31..101).for_each(|number| record(&ledger, number));
    let status = wait_for(&ledger, |status| status.lost > 0);
    assert_eq!((status.state, status.waiting, status.lost), (State::Losing, 50, 50));
    std::fs::rename(&away, &home).unwrap();
    wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!(numbers(&home.join("trunkline.db")), (0..51).collect::<Vec<_>>());
    let told = told.lines();
    assert_eq!(told.iter().filter(|line| line.contains("loses rows")).count(), 1, "{told:?}");
}

#[test]
fn a_store_that_others_hold_gets_its_rows_later() {
    let folder = Folder::new("locked");
    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let locked = runtime.block_on(async {
        use sqlx::{ConnectOptions, Executor};
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.store()).connect().await.unwrap();
        connection.execute("BEGIN IMMEDIATE").await.unwrap();
        connection
    });
    let count = 1 + load(&ledger, outage(), 1);
    let status = ledger.status();
    assert_eq!((status.state, status.lost), (State::Waiting, 0), "{status:?}");
    drop(locked);
    wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!(numbers(&folder.store()), (0..count).collect::<Vec<_>>());
    assert_eq!(told.lines().len(), 2, "{:?}", told.lines());
}

/// Another process holds the store, and more rows come than the queue has room for: those that wait are taken out of it
/// meanwhile.
#[test]
fn rows_that_come_while_a_store_is_waited_for_are_not_lost() {
    let folder = Folder::new("waited");
    let told = Told::default();
    let options = Options { queue: 1000, memory: 1000, patience: Duration::from_secs(3), ..options(&folder) };
    let ledger = told.ledger(options);
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    let mut other = Other::start("lock", &folder.store());
    assert_eq!(other.hear(), "locked");
    let mut count = 1 + load(&ledger, outage(), 1);
    // More than the queue holds, on a slow machine as well.
    while count <= 1500 {
        record(&ledger, count);
        count += 1;
    }
    let status = ledger.status();
    assert_eq!((status.state, status.lost), (State::Waiting, 0), "{status:?}");
    // What has come is on the disk, though no store has taken it.
    let spilt = wait_for_lines(&folder.0, count as usize - 500);
    assert!(spilt < count as usize, "{spilt} of {count}");
    other.go_on();
    wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!(numbers(&folder.store()), (0..count).collect::<Vec<_>>());
    assert_eq!(told.lines().len(), 2, "{:?}", told.lines());
}

/// A process waits for a store that others hold, and is killed: what it had is on the disk.
#[test]
fn what_waits_survives_a_sudden_end() {
    let folder = Folder::new("killed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Store::open(&Opening::at(folder.store())).await.unwrap().close().await });
    let mut other = Other::start("lock", &folder.store());
    assert_eq!(other.hear(), "locked");
    let mut killed = Other::start("record", &folder.store());
    assert_eq!(killed.hear(), "recorded");
    wait_for_lines(&folder.0, 500);
    killed.kill();
    drop(other);
    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    ledger.start();
    let begun = Instant::now();
    while spills(&folder.0) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    ledger.close();
    assert_eq!(numbers(&folder.store()), (0..500).collect::<Vec<_>>());
    assert_eq!(told.lines(), ["500 calls that an earlier run had to set aside are in the ledger now"]);
}

#[test]
fn a_limit_that_cannot_be_kept_is_told_once() {
    let folder = Folder::new("over");
    let told = Told::default();
    let keep = Retention { days: None, bytes: Some(1) };
    let ledger = told.ledger(Options { keep, ..options(&folder) });
    (0..100).for_each(|number| record(&ledger, number));
    wait_for(&ledger, |status| status.written == 100);
    (100..200).for_each(|number| record(&ledger, number));
    ledger.close();
    assert_eq!(numbers(&folder.store()).len(), 200);
    let lines = told.lines();
    assert!(lines.len() == 1 && lines[0].contains("max_megabytes is 1, but nothing"), "{lines:?}");
}

/// More come than anybody could take: that is counted, and said.
#[test]
fn what_is_lost_on_the_way_to_the_writer_is_said() {
    let folder = Folder::new("flood");
    let told = Told::default();
    let ledger = told.ledger(Options { queue: 10, ..options(&folder) });
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    (1..1000).for_each(|number| record(&ledger, number));
    let status = ledger.status();
    assert!(status.lost > 0 && status.state == State::Losing, "{status:?}");
    let status = wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!(numbers(&folder.store()).len() as u64, 1000 - status.lost);
    let told = told.lines();
    assert_eq!(told.iter().filter(|line| line.contains("loses rows")).count(), 1, "{told:?}");
}

fn with_texts(number: u64, length: usize) -> CallRow {
    let texts = Some(Box::new(TextsRow { request: Some("w".repeat(length)), answer: None }));
    CallRow { texts, ..call(&Ids::new(), SystemTime::now(), number) }
}

/// How many calls are stored with what was said.
fn told_texts(path: &Path) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut store = Store::open(&Opening::existing(path)).await.unwrap();
        let mut calls = store.calls(&Wanted { limit: u32::MAX, ..Wanted::default() }).await.unwrap();
        store.tell_texts(&mut calls).await.unwrap();
        calls.iter().filter(|call| call.texts.is_some()).count()
    })
}

/// Rows with texts wait for a folder that is gone: they have bytes, too. The words go, and not the figures.
#[test]
fn what_waits_is_bounded_by_bytes_and_calls_outlive_their_words() {
    let folder = Folder::new("bytes");
    let (home, away) = (folder.0.join("data"), folder.0.join("away"));
    let opening = Opening::at(home.join("trunkline.db"));
    let told = Told::default();
    let ledger = told.ledger(Options { opening, bytes: 1_000_000, ..options(&folder) });
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    std::fs::rename(&home, &away).unwrap();
    (1..101).for_each(|number| ledger.record(with_texts(number, 50_000)));
    wait_for(&ledger, |status| status.state == State::Waiting);
    std::fs::rename(&away, &home).unwrap();
    let status = wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!((status.lost, numbers(&home.join("trunkline.db"))), (0, (0..101).collect()));
    let kept = told_texts(&home.join("trunkline.db"));
    assert!((5..20).contains(&kept), "{kept}");
    assert!(told.lines().iter().any(|line| line.contains("without what was said")), "{:?}", told.lines());
}

/// A call whose line would be longer than any that is read back is spilt without its words.
#[test]
fn a_call_with_endless_texts_comes_back_from_the_spill_file() {
    let folder = Folder::new("endless");
    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    record(&ledger, 0);
    wait_for(&ledger, |status| status.written == 1);
    let mut other = Other::start("lock", &folder.store());
    assert_eq!(other.hear(), "locked");
    ledger.record(with_texts(1, 17 * 1024 * 1024));
    ledger.record(with_texts(2, 1000));
    wait_for(&ledger, |status| status.state == State::Waiting);
    other.go_on();
    let status = wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    ledger.close();
    assert_eq!((status.lost, numbers(&folder.store()), told_texts(&folder.store())), (0, vec![0, 1, 2], 1));
}

/// A batch that takes longer than the patience comes in smaller ones, and not in the same again and again.
#[test]
fn a_batch_that_is_too_large_for_the_patience_gets_smaller() {
    let folder = Folder::new("late");
    let told = Told::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Store::open(&Opening::at(folder.store())).await.unwrap().close().await });
    // Enough to open it, and for some hundred rows of many tries each.
    let ledger = told.ledger(Options { patience: Duration::from_millis(300), ..options(&folder) });
    for number in 0..4000 {
        let mut row = call(&Ids::new(), SystemTime::now(), number);
        row.exchanges = vec![row.exchanges[0].clone(); 8];
        ledger.record(row);
    }
    let status = wait_for(&ledger, |status| status.state == State::Ok && status.waiting == 0);
    assert_eq!((status.lost, status.written), (0, 4000));
    ledger.close();
    assert_eq!(crate::process::count(&folder.store()), 4000);
}

/// SQLite's own limit of pages stands for a disk that is full: the same error, from the same place.
#[test]
fn a_full_disk_fails_nothing_and_the_next_start_finds_every_row() {
    let folder = Folder::new("full");
    let told = Told::default();
    let opening = Opening { max_pages: Some(60), ..Opening::at(folder.store()) };
    let ledger = told.ledger(Options { opening, ..options(&folder) });
    for batch in 0..20 {
        (batch * 100..(batch + 1) * 100).for_each(|number| record(&ledger, number));
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = wait_for(&ledger, |status| status.state == State::Waiting);
    assert!(status.why.unwrap().contains("full"));
    ledger.close();
    let status = ledger.status();
    assert!(status.lost == 0 && status.waiting > 500, "{status:?}");
    let lines = told.lines();
    assert!(lines.len() == 2 && lines[0].contains("full") && lines[1].contains("wait in its spill file"), "{lines:?}");
    assert_eq!(spills(&folder.0), 1);

    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    record(&ledger, 2000);
    let begun = Instant::now();
    while spills(&folder.0) > 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    ledger.close();
    assert_eq!(numbers(&folder.store()), (0..2001).collect::<Vec<_>>());
    assert!(told.lines().iter().any(|line| line.contains("an earlier run had to set aside")), "{:?}", told.lines());
}

#[test]
fn a_spill_file_that_was_cut_gives_what_is_whole() {
    let folder = Folder::new("cut");
    let ids = Ids::new();
    let line = |number| serde_json::to_string(&call(&ids, SystemTime::now(), number)).unwrap();
    let last = line(3);
    let text = format!("{}\n{}\n{}\n{}", line(0), line(1), line(2), &last[..last.len() / 2]);
    std::fs::write(folder.0.join("trunkline.db.spill-x.jsonl"), text).unwrap();
    let told = Told::default();
    let ledger = told.ledger(options(&folder));
    ledger.start();
    let begun = Instant::now();
    while spills(&folder.0) > 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    ledger.close();
    assert_eq!(numbers(&folder.store()), [0, 1, 2]);
}
