//! What every store has to do, whatever is below it: each check takes one that is empty.

use std::time::Duration;

use trunkline_store::{By, CallRow, Group, Ids, Opening, Retention, Store, TextsRow, Wanted};

use crate::folder::{Folder, call, hour};

async fn all(store: &mut Store) {
    keeps_what_it_is_given(store).await;
    empty(store).await;
    finds_calls(store).await;
    empty(store).await;
    sums_up(store).await;
    empty(store).await;
    counts_copies_and_currencies_apart(store).await;
    empty(store).await;
    sums_up_parts_of_hours_as_whole_ones(store).await;
    empty(store).await;
    names_that_lead_nowhere_count_as_one(store).await;
    empty(store).await;
    forgets(store).await;
}

async fn empty(store: &mut Store) {
    store.trim(Retention { days: None, bytes: Some(0) }, hour(1000), u64::MAX).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
}

async fn keeps_what_it_is_given(store: &mut Store) {
    let ids = Ids::new();
    let mut calls: Vec<CallRow> = (0..25).map(|number| call(&ids, hour(1) + Duration::from_secs(number), number)).collect();
    calls.push(CallRow::new(ids.next(hour(2))));
    assert_eq!(store.add(&calls).await.unwrap(), 26);
    // Each once, however often it comes.
    assert_eq!(store.add(&calls[3..9]).await.unwrap(), 0);
    assert_eq!(store.calls(&Wanted { limit: 100, ..Wanted::default() }).await.unwrap(), calls);
    assert_eq!((store.newest().await.unwrap(), store.count().await.unwrap()), (26, 26));
    let stats = store.stats(By::Model, hour(0)).await.unwrap();
    assert_eq!(stats.all.calls, 26);
    // Of a call, and of exchanges, whatever they are.
    let mut odd = call(&ids, hour(3), 0);
    odd.exchanges.clear();
    let mut unknown = CallRow { request_id: String::new(), dialect: None, target: None, ..call(&ids, hour(4), 1) };
    unknown.exchanges.push(unknown.exchanges[0].clone());
    let copy = CallRow { mirror_of: Some(odd.id.digits()), ..call(&ids, hour(5), 2) };
    let odd = [odd, unknown, copy];
    assert_eq!(store.add(&odd).await.unwrap(), 3);
    assert_eq!(store.calls(&Wanted { limit: 3, ..Wanted::default() }).await.unwrap(), odd);
}

async fn finds_calls(store: &mut Store) {
    let ids = Ids::new();
    let calls: Vec<CallRow> = (0..40).map(|number| call(&ids, hour(1) + Duration::from_secs(number * 60), number)).collect();
    let start = store.newest().await.unwrap();
    store.add(&calls).await.unwrap();
    let wanted = || Wanted { limit: 5, ..Wanted::default() };
    let mut numbers = async |wanted: Wanted| -> Vec<usize> {
        let found = store.calls(&wanted).await.unwrap();
        found.iter().map(|row| calls.iter().position(|call| call == row).unwrap()).collect()
    };
    assert_eq!(numbers(wanted()).await, [35, 36, 37, 38, 39]);
    assert_eq!(numbers(Wanted { failed: true, ..wanted() }).await, [9, 19, 29, 39]);
    assert_eq!(numbers(Wanted { after: Some(calls[30].id), ..wanted() }).await, [31, 32, 33, 34, 35]);
    assert_eq!(numbers(Wanted { written: Some((start + 12, start + 14)), ..wanted() }).await, [12, 13]);
    assert_eq!(numbers(Wanted { since: Some(hour(1) + Duration::from_secs(38 * 60)), ..wanted() }).await, [38, 39]);
    assert_eq!(numbers(Wanted { id: Some(calls[7].request_id.clone()), ..wanted() }).await, [7]);
    assert_eq!(numbers(Wanted { id: Some(calls[8].id.to_string()), ..wanted() }).await, [8]);
    assert_eq!(numbers(Wanted { id: Some(String::new()), ..wanted() }).await, [0_usize; 0]);
    assert_eq!(numbers(Wanted { grep: Some("千问".to_owned()), limit: 2, ..wanted() }).await, [35, 38]);
    assert_eq!(numbers(Wanted { grep: Some("OVERLOADED".to_owned()), limit: 2, ..wanted() }).await, [29, 39]);
    assert_eq!(numbers(Wanted { user: Some("user3".to_owned()), ..wanted() }).await, [3, 10, 17, 24, 31, 38][1..]);
    let tagged =
        |tags: &[&str]| Wanted { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), limit: 2, ..Wanted::default() };
    assert_eq!(numbers(tagged(&["team=绿"])).await, [37, 39]);
    assert_eq!(numbers(tagged(&["team", "b"])).await, [38, 39]);
    assert_eq!(numbers(tagged(&["team=re"])).await, [0_usize; 0]);
    assert_eq!(numbers(tagged(&["red"])).await, [0_usize; 0]);
    let odd = |number: u64, model: &str, said: Option<&str>| {
        let texts = said.map(|said| Box::new(TextsRow { request: None, answer: Some(said.to_owned()) }));
        CallRow { model: model.to_owned(), texts, ..call(&ids, hour(0) + Duration::from_secs(number), number) }
    };
    let odd = [odd(1, "Ёлка", None), odd(2, "plain", Some("Über ЁЛКИ")), odd(3, "ёлка-2", None), odd(4, "ЁЛОЧКА", None)];
    store.add(&odd).await.unwrap();
    for (text, limit, found) in
        [("ёлк", 9, vec![0, 1, 2]), ("ЁЛКА", 9, vec![0, 2]), ("Ёлк", 2, vec![1, 2]), ("ÜBER ё", 9, vec![1])]
    {
        let grep = Wanted { grep: Some(text.to_owned()), limit, ..Wanted::default() };
        let first = Wanted { after: Some(trunkline_store::Id::first_at(hour(0))), ..grep.clone() };
        let rows = async |store: &mut Store, wanted| -> Vec<u64> {
            let calls = store.calls(&wanted).await.unwrap();
            calls.iter().map(|call| call.bytes_in.unwrap() - 1).collect()
        };
        assert_eq!(rows(store, grep).await, found, "{text}");
        let oldest: Vec<u64> = if limit == 2 { vec![0, 1] } else { found };
        assert_eq!(rows(store, first).await, oldest, "{text}");
    }
    let mut numbers = async |wanted: Wanted| -> Vec<usize> {
        let found = store.calls(&wanted).await.unwrap();
        found.iter().map(|row| calls.iter().position(|call| call == row).unwrap()).collect()
    };
    // A pattern's signs are letters like others.
    assert_eq!(numbers(Wanted { grep: Some("%".to_owned()), ..wanted() }).await, [0_usize; 0]);
    for sign in ["f_st", "f?st", "f*t", "[f]ast", "*", "?", "["] {
        assert_eq!(numbers(Wanted { grep: Some(sign.to_owned()), ..wanted() }).await, [0_usize; 0], "{sign}");
    }
}

async fn sums_up(store: &mut Store) {
    let ids = Ids::new();
    let calls: Vec<CallRow> = (0..3000).map(|number| call(&ids, hour(20) + Duration::from_secs(number * 10), number)).collect();
    for batch in calls.chunks(700) {
        store.add(batch).await.unwrap();
    }
    let names = |groups: &[Group]| groups.iter().map(|group| (group.name.clone(), group.totals.calls)).collect::<Vec<_>>();
    let of = |name: &str, calls| (name.to_owned(), calls);
    let stats = store.stats(By::Target, hour(20)).await.unwrap();
    let mut found = names(&stats.groups);
    found.sort();
    assert_eq!(found, [of("house/clever", 1000), of("house/fast", 1000), of("house/通义千问", 1000)]);
    let all = stats.all;
    assert_eq!((all.calls, all.errors, all.input, all.output, all.estimated), (3000, 300, 300_000, 60_000, 300));
    assert_eq!((all.cache_read, all.reasoning), (30_000, 12_000));
    assert_eq!(all.costs.into_iter().collect::<Vec<_>>(), [of("CNY", 750 * 1234), of("USD", 2250 * 1234)]);
    let p50 = all.latency.percentile(50).unwrap();
    assert!(p50.abs_diff(500_000) < 500_000 / 30, "{p50}");
    assert_eq!(stats.hours.len(), 9);
    assert_eq!((stats.hours[0].calls, stats.hours[0].errors), (360, 36));

    assert_eq!(names(&store.stats(By::Provider, hour(20)).await.unwrap().groups), [of("house", 3000)]);
    assert_eq!(names(&store.stats(By::Error, hour(20)).await.unwrap().groups), [of("", 2700), of("overloaded", 300)]);
    assert_eq!(names(&store.stats(By::Task, hour(20)).await.unwrap().groups), [of("", 1500), of("chat", 1500)]);
    // Hour 490000 + 20 is 12:00 in UTC.
    let days = store.stats(By::Day, hour(18)).await.unwrap();
    assert_eq!(names(&days.groups), [of("2025-11-25", 3000)]);

    assert_eq!(names(&store.stats(By::Key, hour(20)).await.unwrap().groups), [of("key", 3000)]);
    let users = store.stats(By::User, hour(20)).await.unwrap();
    assert_eq!((users.groups.len(), users.all.clone()), (7, store.stats(By::Model, hour(20)).await.unwrap().all));
    assert_eq!(users.groups.iter().map(|group| group.totals.input).sum::<u64>(), 300_000);
    let teams = store.stats(By::Tag("team".to_owned()), hour(20)).await.unwrap();
    assert_eq!(names(&teams.groups), [of("red", 1500), of("绿", 1500)]);
    assert_eq!(names(&store.stats(By::Tag("b".to_owned()), hour(20)).await.unwrap().groups), [of("", 3000)]);
    assert_eq!(names(&store.stats(By::Tag("c".to_owned()), hour(20)).await.unwrap().groups), []);
    let hours = store.stats(By::Hour, hour(20)).await.unwrap();
    assert_eq!((hours.groups.len(), hours.groups[0].name.as_str(), hours.groups[0].totals.calls), (9, "2025-11-25 12:00", 360));

    // In the middle of an hour the rest of it counts, and nothing else.
    for (by, since) in [(By::Day, 1799), (By::Model, 1799), (By::Error, 12_345), (By::Task, 3600)] {
        let stats = store.stats(by, hour(20) + Duration::from_secs(since)).await.unwrap();
        let rest = calls.iter().filter(|call| call.id.time() >= hour(20) + Duration::from_secs(since)).count() as u64;
        assert_eq!(stats.all.calls, rest, "{since}");
        assert_eq!(stats.hours.iter().map(|moment| moment.calls).sum::<u64>(), rest);
        assert_eq!(stats.groups.iter().map(|group| group.totals.calls).sum::<u64>(), rest);
        assert_eq!(stats.all.input, rest * 100);
        for by in [By::User, By::Tag("team".to_owned()), By::Hour] {
            let stats = store.stats(by.clone(), hour(20) + Duration::from_secs(since)).await.unwrap();
            let grouped: u64 = stats.groups.iter().map(|group| group.totals.calls).sum();
            assert_eq!((grouped, stats.all.calls), (rest, rest), "{by:?}");
        }
    }
}

async fn counts_copies_and_currencies_apart(store: &mut Store) {
    let ids = Ids::new();
    let at = hour(60);
    let real = call(&ids, at, 1);
    let copy = CallRow { mirror_of: Some("request1".to_owned()), ..call(&ids, at, 2) };
    let mut mixed = CallRow { cost_micros: None, currency: None, ..call(&ids, at, 3) };
    mixed.exchanges.push(trunkline_store::ExchangeRow { currency: Some("CNY".into()), ..mixed.exchanges[0].clone() });
    store.add(&[real, copy, mixed]).await.unwrap();
    {
        let stats = store.stats(By::Error, at).await.unwrap();
        assert_eq!((stats.all.calls, stats.all.copies, stats.all.errors), (2, 1, 0));
        assert_eq!((stats.all.input, stats.hours[0].calls), (300, 2));
        assert_eq!(stats.all.costs.into_iter().collect::<Vec<_>>(), [("CNY".to_owned(), 1234), ("USD".to_owned(), 3 * 1234)]);
    }
}

/// Sums are kept by the hour, and read row by row where only a part of one is asked for: both tell the same.
async fn sums_up_parts_of_hours_as_whole_ones(store: &mut Store) {
    let ids = Ids::new();
    let at = |number: u64| hour(70) + Duration::from_secs(1 + number);
    let mut calls: Vec<CallRow> = (0..60).map(|number| call(&ids, at(number), number)).collect();
    for (number, call) in calls.iter_mut().enumerate() {
        let other = trunkline_store::ExchangeRow { currency: Some("CNY".into()), ..call.exchanges[0].clone() };
        match number % 6 {
            // Tries in two currencies; one without a price; one that nobody knows a price of.
            0 => (call.cost_micros, call.currency) = (None, None),
            1 => call.exchanges.push(trunkline_store::ExchangeRow { currency: None, cost_micros: None, ..other.clone() }),
            2 => call.exchanges.clear(),
            3 if number % 4 == 1 => (call.model, call.error) = (format!("no-such-{number}"), Some("not_found".into())),
            3 => call.mirror_of = Some("request".to_owned()),
            4 => call.tags = Some((0..12).map(|tag| format!("t{tag}=x")).collect::<Vec<_>>().join(",")),
            _ => {}
        }
        if number % 6 < 2 {
            (call.cost_micros, call.currency) = (None, None);
            call.exchanges.push(other);
        }
    }
    store.add(&calls).await.unwrap();
    let tag = |name: &str| By::Tag(name.to_owned());
    let all = [By::Model, By::Target, By::Provider, By::Task, By::Error, By::Day, By::Hour, By::User, By::Key];
    for by in all.into_iter().chain([tag("team"), tag("t0"), tag("t9")]) {
        let sorted = |mut groups: Vec<Group>| {
            groups.sort_by(|one, other| one.name.cmp(&other.name));
            groups
        };
        let whole = store.stats(by.clone(), hour(70)).await.unwrap();
        let part = store.stats(by.clone(), hour(70) + Duration::from_secs(1)).await.unwrap();
        assert!(whole.all.costs.len() == 2 && whole.all.calls == 55, "{:?}", whole.all);
        assert_eq!(sorted(part.groups), sorted(whole.groups), "{by:?}");
        assert_eq!((part.all, part.hours), (whole.all, whole.hours), "{by:?}");
    }
}

async fn forgets(store: &mut Store) {
    let ids = Ids::new();
    let calls: Vec<CallRow> = (0..70).map(|number| call(&ids, hour(24) + Duration::from_secs(number), number)).collect();
    store.add(&calls).await.unwrap();
    assert_eq!(store.forget("user3").await.unwrap(), 10);
    assert_eq!(store.forget("user3").await.unwrap(), 0);
    let users = store.stats(By::User, hour(20)).await.unwrap().groups;
    assert!(users.len() == 6 && users.iter().all(|group| group.name != "user3"), "{users:?}");
    let left = store.calls(&Wanted { limit: 100, ..Wanted::default() }).await.unwrap();
    assert!(left.len() == 60 && left.iter().all(|row| row.user_id.as_deref() != Some("user3")));
    let bytes = std::fs::read(store.path()).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("user4") && !has("user3"), "traces of a person that was to be forgotten");

    // By age, then by size.
    let keep = Retention { days: Some(1), bytes: None };
    assert_eq!(store.trim(keep, hour(48), u64::MAX).await.unwrap().rows, 0);
    assert_eq!(store.trim(keep, hour(48) + Duration::from_secs(35), u64::MAX).await.unwrap().rows, 30);
    assert_eq!(store.count().await.unwrap(), 30);
}

/// Anybody may ask a provider for models that it does not have: what is kept for ever must not grow by their names.
async fn names_that_lead_nowhere_count_as_one(store: &mut Store) {
    let ids = Ids::new();
    let lost = |number: u64| {
        let (model, at) = (format!("house/no-such-{number}"), hour(80) + Duration::from_secs(number));
        let mut lost = CallRow { model: model.clone(), target: Some(model.as_str().into()), task: None, ..call(&ids, at, 9) };
        (lost.error, lost.status, lost.exchanges[0].target) = (Some("not_found".into()), 404, model.into());
        lost
    };
    let calls: Vec<CallRow> = (0..100).map(lost).collect();
    store.add(&calls).await.unwrap();
    assert_eq!(store.calls(&Wanted { limit: 100, ..Wanted::default() }).await.unwrap(), calls);
    let grep = Wanted { limit: 9, grep: Some("no-such-77".to_owned()), ..Wanted::default() };
    assert_eq!(store.calls(&grep).await.unwrap(), calls[77..78]);
    let named = |groups: &[Group]| groups.iter().map(|group| (group.name.clone(), group.totals.errors)).collect::<Vec<_>>();
    for (by, name) in [(By::Model, ""), (By::Target, "house/"), (By::Provider, "house"), (By::Error, "not_found")] {
        // Whole hours, and a part of one.
        for (since, count) in [(0, 100), (50, 50)] {
            let stats = store.stats(by.clone(), hour(80) + Duration::from_secs(since)).await.unwrap();
            assert_eq!(named(&stats.groups), [(name.to_owned(), count)], "{by:?}");
        }
    }
}

#[tokio::test]
async fn sqlite_does_all_of_it() {
    let folder = Folder::new("suite");
    let mut store = Store::open(&Opening::at(folder.store())).await.unwrap();
    all(&mut store).await;
    store.close().await;
}

#[tokio::test]
async fn a_copy_is_whole_while_others_write_and_old_rows_go_by_size() {
    let folder = Folder::new("backup");
    let (mut one, mut two) = (
        Store::open(&Opening::at(folder.store())).await.unwrap(),
        Store::open(&Opening::existing(folder.store())).await.unwrap(),
    );
    let ids = Ids::new();
    let batch = |hours| (0..2500).map(|number| call(&ids, hour(hours), number)).collect::<Vec<_>>();
    one.add(&batch(1)).await.unwrap();
    let copy = folder.0.join("it's a copy.db");
    let more = batch(2);
    let (backup, added) = tokio::join!(two.backup(&copy), one.add(&more));
    backup.unwrap();
    added.unwrap();
    let mut copied = Store::open(&Opening::existing(&copy)).await.unwrap();
    assert!([2500, 5000].contains(&copied.count().await.unwrap()));
    let again = two.backup(&copy).await.unwrap_err();
    assert!(again.message.contains("exists"), "{again}");

    let before = one.size().await.unwrap();
    assert_eq!(before.calls, 5000);
    let keep = Retention { days: None, bytes: Some(before.bytes / 2) };
    one.trim(keep, hour(4), u64::MAX).await.unwrap();
    let after = one.size().await.unwrap();
    assert!(after.bytes <= before.bytes / 2 && after.calls >= 500, "{after:?}");
    let oldest = one.calls(&Wanted { limit: 5000, ..Wanted::default() }).await.unwrap();
    assert_eq!(oldest[0].id.time(), hour(2));
}

#[tokio::test]
async fn a_store_of_a_later_version_is_refused_and_so_is_what_is_none() {
    let folder = Folder::new("later");
    Store::open(&Opening::at(folder.store())).await.unwrap().close().await;
    let missing = Store::open(&Opening::existing(folder.0.join("none.db"))).await.unwrap_err();
    assert!(missing.message.contains("there is no store"), "{missing}");
    let text = folder.0.join("text.db");
    std::fs::write(&text, "not a store at all, but a text that is long enough to be taken for one".repeat(20)).unwrap();
    let wrong = Store::open(&Opening::existing(&text)).await.unwrap_err();
    assert!(wrong.message.contains("not a database"), "{wrong}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(folder.store()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn many_may_be_the_first_to_open_a_store() {
    let folder = Folder::new("first");
    let path = folder.store();
    let open = |_| {
        let path = path.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut store = Store::open(&Opening::at(path)).await?;
                let ids = Ids::new();
                store.add(&(0..50).map(|number| call(&ids, hour(1), number)).collect::<Vec<_>>()).await?;
                store.count().await
            })
        })
    };
    let threads: Vec<_> = (0..6).map(open).collect();
    let counts: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
    assert_eq!(counts.into_iter().max(), Some(300));
}
