//! A store that is gone, or a disk that is full, while callers go on: over sockets, for 2 seconds, or as long as
//! `TRUNKLINE_TEST_OUTAGE_SECONDS` says.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trunkline_store::{Ledger, Opening};

use crate::metric::Page;
use crate::record::{CONFIG, House, ask, options};
use crate::wire::{Ask, Line};

fn outage() -> Duration {
    let seconds = std::env::var("TRUNKLINE_TEST_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Four callers, whole and streamed, as long as `work` takes; the ids of all calls. None may fail.
fn under_load(house: &House, work: impl FnOnce()) -> Vec<String> {
    let over = AtomicBool::new(false);
    let (address, over) = (house.gateway.address, &over);
    let caller = move |number: usize| {
        let mut line = Line::connect(address);
        let mut ids = Vec::new();
        while !over.load(Ordering::Relaxed) {
            line.write(&ask("fast", (number + ids.len()).is_multiple_of(2), "one two three").bytes());
            let reply = line.reply();
            assert_eq!(reply.status(), 200, "{}", reply.text());
            ids.push(reply.header("x-trunkline-request-id").to_owned());
            std::thread::sleep(Duration::from_millis(5));
        }
        ids
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|number| scope.spawn(move || caller(number))).collect();
        work();
        over.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

/// What `/health/ready` says of the ledger. It is always ready.
fn state(house: &House) -> String {
    let ready = house.gateway.ask(&Ask::get("/health/ready"));
    assert_eq!((ready.status(), ready.json()["status"].as_str()), (200, Some("ok")));
    ready.json()["ledger"]["state"].as_str().unwrap().to_owned()
}

fn wait(house: &House, wanted: &str) {
    let begun = Instant::now();
    while state(house) != wanted {
        assert!(begun.elapsed() < Duration::from_secs(30), "the ledger is {}, not {wanted}", state(house));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn check_rows(house: &House, ids: &[String]) {
    let rows = house.rows();
    let stored: HashSet<&str> = rows.iter().map(|row| row.request_id.as_str()).collect();
    assert_eq!((rows.len(), stored.len()), (ids.len(), ids.len()), "each call is there, once");
    assert!(ids.iter().all(|id| stored.contains(id.as_str())));
}

#[test]
fn a_store_that_is_gone_under_load_fails_no_call_and_gets_every_row_once() {
    let house = House::opened("outage", CONFIG, |opening| opening);
    let (home, away) = (house.folder.join("data"), house.folder.join("away"));
    let files = ["trunkline.db", "trunkline.db-wal", "trunkline.db-shm"];
    let shift = |from: &Path, to: &Path| files.iter().for_each(|name| _ = std::fs::rename(from.join(name), to.join(name)));
    let ids = under_load(&house, || {
        std::thread::sleep(Duration::from_millis(700));
        std::fs::create_dir(&away).unwrap();
        shift(&home, &away);
        std::thread::sleep(outage());
        wait(&house, "waiting");
        let page = Page::of(&house.gateway);
        assert_eq!(page.sum("trunkline_ledger_state", &[("state", "waiting")]), 1.0);
        assert!(page.sum("trunkline_ledger_waiting", &[]) > 10.0);
        shift(&away, &home);
        wait(&house, "ok");
        std::thread::sleep(Duration::from_millis(300));
    });
    house.record.close();
    check_rows(&house, &ids);
    let told = house.told.lock().unwrap().clone();
    assert!(told.len() == 2 && told[0].contains("calls go on") && told[1].contains("written again"), "{told:?}");
}

/// SQLite's own limit of pages stands for a disk that is full: the same error, from the same place.
#[test]
fn a_disk_that_is_full_under_load_fails_no_call_and_is_told() {
    let house = House::opened("full", CONFIG, |opening| Opening { max_pages: Some(60), ..opening });
    let ids = under_load(&house, || {
        wait(&house, "waiting");
        std::thread::sleep(outage());
        assert_eq!(state(&house), "waiting");
        let why = house.gateway.ask(&Ask::get("/stats")).json()["ledger"]["why"].to_string();
        assert!(why.contains("full"), "{why}");
    });
    house.record.close();
    let told = house.told.lock().unwrap().clone();
    assert!(
        told[0].contains("calls go on") && told[0].contains("full") && told.last().unwrap().contains("spill file"),
        "{told:?}"
    );
    // There is room again: the next start takes in what waits.
    let ledger = Ledger::new(options(&house.folder), Arc::new(|_: &str| {}));
    ledger.start();
    let spills = || {
        std::fs::read_dir(house.folder.join("data"))
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains(".spill-"))
    };
    let begun = Instant::now();
    while spills() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    ledger.close();
    check_rows(&house, &ids);
}
