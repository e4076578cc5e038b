//! A store with many rows, and how fast it answers. `cargo test --release -p trunkline-store -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use trunkline_store::{By, Ids, Opening, Store, Wanted};

use crate::folder::{Folder, call, hour};

#[tokio::test]
#[ignore = "takes a minute; run it in release: benches/store.sh"]
async fn a_million_rows_are_summed_up_within_a_second_and_one_is_found_at_once() {
    let folder = Folder::new("million");
    let mut store = Store::open(&Opening::at(folder.store())).await.unwrap();
    let ids = Ids::new();
    let begun = Instant::now();
    // A month of calls.
    let at = |number: u64| hour(0) + Duration::from_millis(number * 2_592);
    let mut middle = None;
    for batch in 0..1000 {
        let calls: Vec<_> = (batch * 1000..(batch + 1) * 1000).map(|number| call(&ids, at(number), number)).collect();
        store.add(&calls).await.unwrap();
        middle = calls.first().map(|call| call.request_id.clone()).filter(|_| batch == 500).or(middle);
    }
    let written = begun.elapsed();
    let size = store.size().await.unwrap();
    assert_eq!(size.calls, 1_000_000);
    store.close().await;

    let timed = |what: &str, took: Duration, most: u64| {
        println!("{what}: {:.1} ms", took.as_secs_f64() * 1e3);
        assert!(took < Duration::from_millis(most), "{what} took {took:?}");
    };
    println!("written: {:.1} µs a row; {} bytes a row", written.as_secs_f64(), size.bytes / size.calls);
    for by in [
        By::Model,
        By::Target,
        By::Provider,
        By::Task,
        By::Error,
        By::Day,
        By::Hour,
        By::User,
        By::Key,
        By::Tag("team".to_owned()),
    ] {
        let begun = Instant::now();
        let mut store = Store::open(&Opening::existing(folder.store())).await.unwrap();
        let stats = store.stats(by.clone(), hour(0)).await.unwrap();
        timed(&format!("stats by {by:?}"), begun.elapsed(), 1000);
        assert_eq!(stats.all.calls, 1_000_000);
    }
    let found = [
        ("logs --id", Wanted { limit: 1, id: middle, ..Wanted::default() }, 50),
        ("logs", Wanted { limit: 50, ..Wanted::default() }, 200),
        ("logs --errors", Wanted { limit: 50, failed: true, ..Wanted::default() }, 200),
        ("logs --grep, nowhere", Wanted { limit: 50, grep: Some("nowhere".to_owned()), ..Wanted::default() }, 5000),
    ];
    for (what, wanted, most) in found {
        let begun = Instant::now();
        let mut store = Store::open(&Opening::existing(folder.store())).await.unwrap();
        store.calls(&wanted).await.unwrap();
        timed(what, begun.elapsed(), most);
    }
}
