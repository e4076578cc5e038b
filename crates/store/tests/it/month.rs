//! A month of calls of every kind of usage and every price, priced twice.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use trunkline_codec::catalog::{Models, Pieces, Work};
use trunkline_codec::ir::Usage;
use trunkline_store::{By, CallRow, ExchangeRow, Ids, Kinds, Opening, Store};

use crate::folder::{Folder, hour};

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn maybe(&mut self, most: u64) -> Option<u64> {
        (self.below(3) == 0).then(|| self.below(most))
    }

    fn usage(&mut self) -> Usage {
        // Past every step of the prices by length.
        let size = [50, 3_000, 40_000, 150_000, 300_000, 1_200_000][self.below(6) as usize];
        let write = self.maybe(900);
        Usage {
            input: self.below(size),
            output: self.below(9_000),
            cache_read: self.maybe(size),
            cache_write: write,
            cache_write_5m: write.map(|write| write / 3),
            cache_write_1h: write.map(|write| write / 4),
            reasoning: self.maybe(9_000),
            audio_input: self.maybe(500),
            audio_output: self.maybe(500),
            estimated: self.below(10) == 0,
        }
    }
}

/// Every model of the catalogue that has a price.
fn targets(models: &Models) -> Vec<String> {
    let priced =
        |provider: &&'static str| models.of(provider).into_iter().filter(|model| model.price.is_some()).collect::<Vec<_>>();
    let named = |provider: &'static str| priced(&provider).into_iter().map(move |model| format!("{provider}/{}", model.id));
    Models::providers().flat_map(named).collect()
}

fn minute(micros: u64) -> Option<u16> {
    u16::try_from((micros / 60_000_000 + 3 * 1440) % (7 * 1440)).ok()
}

fn exchange(models: &Models, dice: &mut Dice, target: &str, begun_us: u64, started_us: u64) -> (ExchangeRow, Usage) {
    let (usage, elapsed_us) = (dice.usage(), 1 + dice.below(90_000_000));
    let work = Work { minute: minute(begun_us + started_us + elapsed_us), ..Work::from(usage) };
    let cost = models.cost(target, &work);
    let row = ExchangeRow {
        target: target.into(),
        dialect: None,
        started_us,
        elapsed_us,
        status: None,
        error: None,
        input: Some(usage.input),
        output: Some(usage.output),
        usage_estimated: usage.estimated,
        cost_micros: cost.map(|cost| cost.micros),
        currency: cost.map(|cost| cost.currency.as_str().into()),
        kinds: None,
    };
    (row, usage)
}

fn call(models: &Models, dice: &mut Dice, ids: &Ids, (targets, number): (&[String], u64)) -> CallRow {
    let end = hour(0) + Duration::from_secs(number * 518);
    let end_us = end.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let mut row = CallRow::new(ids.next(end));
    let target = |dice: &mut Dice| targets[((number + dice.below(2) * 7) % targets.len() as u64) as usize].clone();
    let tries = 1 + dice.below(8) / 6;
    row.begun_us = end_us - 200_000_000;
    let mut all = Usage::default();
    for number in 0..tries {
        let target = target(dice);
        let (mut exchange, usage) = exchange(models, dice, &target, row.begun_us, number * 95_000_000);
        if tries > 1 {
            exchange.kinds = Some(Kinds::from(&usage));
        }
        if number + 1 < tries {
            exchange.error = Some("truncated".into());
        }
        row.elapsed_us = exchange.started_us + exchange.elapsed_us;
        row.target = Some(target.into());
        row.exchanges.push(exchange);
        all = if number == 0 { usage } else { all.plus(usage) };
    }
    if tries == 1 && dice.below(4) == 0 {
        // Paid by the piece, or by both.
        let pieces = Pieces {
            images: dice.below(4),
            milliseconds: dice.below(90_000),
            characters: dice.below(9_000),
            requests: dice.below(2),
        };
        let work = Work { pieces, minute: minute(row.begun_us + row.elapsed_us), ..Work::from(all) };
        let cost = models.cost(&row.exchanges[0].target, &work);
        (row.images, row.audio_ms, row.characters, row.requests) =
            (Some(pieces.images), Some(pieces.milliseconds), Some(pieces.characters), Some(pieces.requests));
        row.exchanges[0].cost_micros = cost.map(|cost| cost.micros);
        row.exchanges[0].currency = cost.map(|cost| cost.currency.as_str().into());
    }
    (row.input, row.output, row.usage_estimated) = (Some(all.input), Some(all.output), all.estimated);
    (row.cache_read, row.cache_write) = (all.cache_read, all.cache_write);
    (row.cache_write_5m, row.cache_write_1h) = (all.cache_write_5m, all.cache_write_1h);
    (row.reasoning, row.audio_input, row.audio_output) = (all.reasoning, all.audio_input, all.audio_output);
    let costs: Option<Vec<_>> = row.exchanges.iter().map(|it| Some((it.cost_micros?, it.currency.clone()?))).collect();
    if let Some(costs) = costs.filter(|costs| costs.iter().all(|(_, currency)| *currency == costs[0].1)) {
        row.cost_micros = Some(costs.iter().map(|(micros, _)| micros).sum());
        row.currency = Some(costs[0].1.clone());
    }
    row.price_date = Some("2026-11".to_owned());
    row
}

#[tokio::test]
async fn a_month_that_is_priced_twice_comes_to_the_same_to_the_millionth() {
    let models = Models::default();
    let targets = targets(&models);
    assert!(targets.len() > 300, "{}", targets.len());
    let (ids, mut dice) = (Ids::new(), Dice(20_261_123));
    let calls: Vec<CallRow> = (0..5_000).map(|number| call(&models, &mut dice, &ids, (&targets, number))).collect();
    let mut exact: BTreeMap<String, u64> = BTreeMap::new();
    for exchange in calls.iter().flat_map(|call| &call.exchanges) {
        if let (Some(micros), Some(currency)) = (exchange.cost_micros, &exchange.currency) {
            *exact.entry(currency.to_string()).or_default() += micros;
        }
    }
    assert!(exact.len() > 1 && exact.values().all(|micros| *micros > 1_000_000), "{exact:?}");
    let folder = Folder::new("month");
    let mut store = Store::open(&Opening::at(folder.store())).await.unwrap();
    for batch in calls.chunks(500) {
        store.add(batch).await.unwrap();
    }
    for by in [By::Model, By::Target, By::Day] {
        assert_eq!(store.stats(by, hour(0)).await.unwrap().all.costs, exact, "the sums are those of the rows");
    }
    let again = store.reprice(&models, |_| 50, UNIX_EPOCH).await.unwrap();
    let mut repriced: BTreeMap<String, u64> = BTreeMap::new();
    for ((target, currency), sum) in &again {
        assert_eq!((sum.stored, sum.changed, sum.unknown), (sum.now, 0, 0), "{target}: {sum:?}");
        *repriced.entry(currency.clone()).or_default() += sum.now;
    }
    assert_eq!(repriced, exact, "from the stored tokens it is the same again");

    // At another price it is another sum, and no row is changed.
    let mut dearer = Models::default();
    let patch = serde_json::json!({"input": "1000000", "output": "1000000", "currency": "USD"});
    let (target, _) = again.keys().find(|(_, currency)| currency == "USD").unwrap().clone();
    dearer.add("test", [(target.clone(), serde_json::from_value(patch).unwrap())].into()).unwrap();
    let dear = store.reprice(&dearer, |_| 50, UNIX_EPOCH).await.unwrap();
    let place = (target, "USD".to_owned());
    assert!(dear[&place].changed > 0 && dear[&place].now > dear[&place].stored, "{:?}", dear[&place]);
    assert_eq!(dear[&place].stored, again[&place].stored);
    assert_eq!(store.reprice(&models, |_| 50, UNIX_EPOCH).await.unwrap(), again);
}
