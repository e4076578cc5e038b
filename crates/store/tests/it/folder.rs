//! A folder for a test, and rows to put into stores.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trunkline_store::{CallRow, ExchangeRow, Ids};

/// A new folder, which goes when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("trunkline-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("trunkline.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// So many hours after a certain hour.
pub(crate) fn hour(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((490_000 + hours) * 3600)
}

/// A call that began at `time` and has every field; `number` is in its `bytes_in`.
pub(crate) fn call(ids: &Ids, time: SystemTime, number: u64) -> CallRow {
    let id = ids.next(time);
    let micros = time.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let elapsed_us = 1_000 * (1 + number % 1000);
    let model = ["fast", "clever", "通义千问"][(number % 3) as usize];
    let failed = number % 10 == 9;
    let target: Arc<str> = format!("house/{model}").into();
    let error = failed.then_some(Cow::Borrowed("overloaded"));
    // Most begin at once: nothing is stored of these but the call.
    let waited = if number % 5 == 2 { elapsed_us / 2 } else { 0 };
    let exchange = ExchangeRow {
        target: target.clone(),
        dialect: Some(Cow::Borrowed("openai-chat")),
        started_us: waited,
        elapsed_us: elapsed_us - waited,
        status: failed.then_some(503),
        error: error.clone(),
        input: Some(100),
        output: Some(20),
        usage_estimated: failed,
        cost_micros: Some(1_234),
        currency: Some(Cow::Borrowed(if number.is_multiple_of(4) { "CNY" } else { "USD" })),
        kinds: number.is_multiple_of(5).then(|| trunkline_store::Kinds { cache_read: Some(number), ..Default::default() }),
    };
    CallRow {
        begun_us: micros,
        request_id: id.digits(),
        key_id: Some("key".into()),
        user_id: Some(format!("user{}", number % 7)),
        tags: Some(format!("team={},b", ["red", "绿"][(number % 2) as usize])),
        dialect: Some(Cow::Borrowed("anthropic-messages")),
        model: model.to_owned(),
        task: (number.is_multiple_of(2)).then(|| "chat".to_owned()),
        target: Some(target),
        streamed: true,
        status: if failed { 503 } else { 200 },
        error,
        blame: failed.then_some(Cow::Borrowed("provider")),
        input: Some(100),
        output: Some(20),
        cache_read: Some(10),
        cache_write: Some(8),
        cache_write_5m: Some(5),
        cache_write_1h: Some(3),
        reasoning: Some(4),
        audio_input: Some(1),
        audio_output: Some(2),
        usage_estimated: number % 10 == 8,
        images: Some(1),
        audio_ms: Some(2),
        characters: Some(3),
        requests: Some(4),
        cost_micros: Some(1_234),
        currency: Some(Cow::Borrowed(if number.is_multiple_of(4) { "CNY" } else { "USD" })),
        price_date: Some("2026-11-22".to_owned()),
        first_us: Some(elapsed_us / 2),
        elapsed_us,
        bytes_in: Some(number),
        bytes_out: Some(900),
        losses: number % 2,
        exchanges: vec![exchange],
        ..CallRow::new(id)
    }
}
