//! Models and what they cost.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trunkline_codec::catalog::{
    Abilities, Ability, Catalog, Cost, Currency, Model, ModelPatch, Models, Pieces, Price, Rate, Work,
};
use trunkline_codec::ir::Usage;

fn patch(text: &str) -> ModelPatch {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn price(text: &str) -> Price {
    Price::of(&patch(text)).unwrap()
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

fn micros(text: &str, usage: Usage) -> Option<u64> {
    price(text).cost(&usage.into()).map(|cost| cost.micros)
}

fn pieces(pieces: Pieces) -> Work {
    Work { pieces, ..Work::default() }
}

/// All rows that are compiled in, with their provider.
fn all() -> Vec<(&'static str, Model)> {
    let rows =
        |provider: &'static str| Models::default().of(provider).into_iter().map(|row| row.into_owned()).collect::<Vec<_>>();
    Models::providers().flat_map(|provider| rows(provider).into_iter().map(move |row| (provider, row))).collect()
}

// Every row.

#[test]
fn every_file_reads_and_belongs_to_a_provider() {
    Models::check_builtin().unwrap_or_else(|error| panic!("{error}"));
    let catalog = Catalog::builtin().unwrap();
    for provider in Models::providers() {
        assert!(catalog.get(provider).is_some(), "models/{provider}.toml is nobody's");
        assert!(Models::like(provider).iter().all(|other| catalog.get(other).is_some()), "{provider}");
    }
    assert!(all().len() >= 400, "{} rows", all().len());
}

#[test]
fn every_row_has_a_source_and_a_date() {
    for (provider, row) in all() {
        let at = format!("{provider}/{}", row.id);
        assert!(row.source.starts_with("https://") && !row.source.contains(' '), "{at}: {}", row.source);
        let date: Vec<&str> = row.date.split('-').collect();
        assert!(matches!(date.len(), 2 | 3) && date.iter().all(|part| part.parse::<u16>().is_ok()), "{at}: {}", row.date);
        assert!(date[0].len() == 4 && date[1..].iter().all(|part| part.len() == 2), "{at}: {}", row.date);
    }
}

#[test]
fn every_row_is_plausible() {
    let doubts: Vec<String> = all()
        .iter()
        .flat_map(|(provider, row)| doubts(row).into_iter().map(move |what| format!("{provider}/{}: {what}", row.id)))
        .collect();
    assert!(doubts.is_empty(), "{doubts:#?}");
}

/// What is most likely a slip in a row.
fn doubts(row: &Model) -> Vec<String> {
    let mut found = Vec::new();
    let mut doubt = |there: bool, what: String| {
        if there {
            found.push(what);
        }
    };
    doubt(row.able.is_empty(), "can do nothing".to_owned());
    doubt(row.context.is_some_and(|context| !(128..=12_000_000).contains(&context)), format!("{:?}", row.context));
    doubt(row.max_output > row.context && row.context.is_some(), "answers longer than its context".to_owned());
    let Some(price) = &row.price else {
        return vec!["no price".to_owned()];
    };
    for level in &price.levels {
        let rates = &level.rates;
        for (kind, rate) in rates.iter() {
            let most = if matches!(kind, "image" | "second" | "request") { 1_000_000_000 } else { 700_000_000_000 };
            doubt(rate > Rate::from_nanos(most), format!("{kind} {rate}"));
        }
        if row.able.has(Ability::Chat) {
            let (input, output) = (rates.input.unwrap_or_default(), rates.output.unwrap_or_default());
            doubt(output < input, format!("{input} in, {output} out"));
            doubt(rates.cache_read.is_some_and(|read| read > input), "reading from the cache is dearer".to_owned());
            doubt(
                rates.cache_write.is_some_and(|write| write.nanos() * 2 < input.nanos()),
                "writing to the cache is cheap".to_owned(),
            );
            doubt((input == Rate::default()) != (output == Rate::default()), "half free".to_owned());
        }
        for (kind, rate) in level.batch.iter().flat_map(|batch| batch.iter()) {
            doubt(rates.iter().any(|(other, full)| kind == other && rate > full), format!("{kind} is dearer in a batch"));
        }
    }
    let above: Vec<u64> = price.levels.iter().map(|level| level.above).collect();
    doubt(above.windows(2).any(|pair| pair[0] >= pair[1]), format!("tiers {above:?}"));
    found
}

#[test]
fn chinese_providers_price_in_their_currency() {
    let of = |provider: &str, model: &str| Models::default().find(provider, model).unwrap().price.clone().unwrap().currency;
    assert_eq!(of("qwen", "qwen-plus"), Currency::Cny);
    assert_eq!(of("zhipu", "glm-4.6"), Currency::Cny);
    assert_eq!(of("doubao", "doubao-seed-2-0-pro-260215"), Currency::Cny);
    assert_eq!(of("qwen-intl", "qwen-plus"), Currency::Usd);
}

// Looking up.

#[test]
fn finds_the_exact_id_then_the_family_then_the_longest_pattern() {
    let models = Models::default();
    let id = |provider: &str, model: &str| models.find(provider, model).map(|row| row.id.clone());
    assert_eq!(id("openai", "gpt-4o").as_deref(), Some("gpt-4o"));
    assert_eq!(id("openai", "gpt-4o-2024-08-06").as_deref(), Some("gpt-4o"));
    assert_eq!(id("openai", "gpt-4o-mini-2024-07-18").as_deref(), Some("gpt-4o-mini"));
    assert_eq!(id("openai", "ft:gpt-4o-mini-2024-07-18:org::id").as_deref(), Some("ft:gpt-4o-mini*"));
    assert_eq!(id("anthropic", "claude-sonnet-4-5-20250929").as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(id("anthropic", "claude-sonnet-4-5@20250929").as_deref(), Some("claude-sonnet-4-5"));
    for unknown in ["gpt-4o-ultra", "", "gpt", "2024-08-06"] {
        assert_eq!(id("openai", unknown), None, "{unknown}");
    }
    assert_eq!(id("nobody", "gpt-4o"), None);
}

#[test]
fn a_users_row_counts_key_by_key() {
    let mut models = Models::default();
    let rows = |text: &str| toml::from_str::<BTreeMap<String, ModelPatch>>(text).unwrap();
    models.add("a", rows("['openai/gpt-4o']\ninput = '1'\n['house/*']\ninput = '3'\noutput = '3'\ncurrency = 'CNY'")).unwrap();
    models.add("b", rows("['openai/gpt-4o']\nmax_output = 7\n['house/small']\ninput = '2'")).unwrap();
    let row = models.find("openai", "gpt-4o-2024-08-06").unwrap();
    let rates = row.price.as_ref().unwrap().base();
    assert_eq!((rates.input, row.max_output), (Some(Rate::parse("1").unwrap()), Some(7)));
    assert_eq!(rates.output, Models::default().find("openai", "gpt-4o").unwrap().price.as_ref().unwrap().base().output);
    assert!(row.able.has(Ability::Tools));
    let small = models.cost("house/small", &usage(1_000_000, 1_000_000).into()).unwrap();
    assert_eq!(small, Cost { currency: Currency::Cny, micros: 5_000_000 });
    assert_eq!(models.cost("house/large", &usage(1, 1).into()).unwrap().micros, 6);
    // His price holds in batches and at any hour, whatever the row that it stands on says of them.
    models
        .add("b", rows("['night/m']\ninput = '4'\nbatch = { input = '2' }\noff_peak = { utc = ['00:00-24:00'], input = '1' }"))
        .unwrap();
    models.add("b", rows("['night/m']\ninput = '3'")).unwrap();
    for (batch, minute) in [(false, Some(0)), (true, None), (true, Some(0))] {
        let work = Work { batch, minute, ..Work::from(usage(1_000_000, 0)) };
        assert_eq!(models.cost("night/m", &work).unwrap().micros, 3_000_000, "{batch} {minute:?}");
    }
    assert_eq!(models.cost("openai/unheard-of", &usage(1, 1).into()), None);
    assert!(models.of("house").iter().any(|row| row.id == "small"));
    for wrong in ["[small]\ninput = '1'", "['/x']\ninput = '1'", "['a/b']\nbatch = { input = '1' }", "['a/b']\ncontext = 0"] {
        assert!(models.add("c", rows(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn unknown_keys_and_loose_prices_are_refused() {
    for wrong in [
        "inputs = '1'",
        "input = 1.5",
        "input = 'cheap'",
        "input = '-1'",
        "able = ['tols']",
        "currency = 'XYZ'",
        "tiers = [{ above = 1, inpt = '1' }]",
        "batch = { above = 1 }",
        "off_peak = { utc = ['never'] }",
    ] {
        assert!(toml::from_str::<ModelPatch>(wrong).is_err(), "{wrong}");
    }
    let nearest = trunkline_codec::catalog::ParseError::from_toml(
        "x",
        "inptu = '1'",
        &toml::from_str::<ModelPatch>("inptu = '1'").unwrap_err(),
    );
    assert!(nearest.to_string().contains("`input`"), "{nearest}");
}

// The sum.

#[test]
fn each_token_is_paid_for_once() {
    let full = "input = '10'\noutput = '100'\ncache_read = '1'\ncache_write = '20'\ncache_write_1h = '40'\naudio_input = '30'\naudio_output = '300'\nreasoning = '200'";
    let mut taken = usage(1_000_000, 1_000_000);
    assert_eq!(micros(full, taken), Some(110_000_000));
    taken.cache_read = Some(400_000);
    taken.cache_write = Some(200_000);
    taken.cache_write_1h = Some(50_000);
    taken.audio_input = Some(100_000);
    taken.reasoning = Some(500_000);
    taken.audio_output = Some(100_000);
    let input = 300_000 * 10 + 400_000 + 150_000 * 20 + 50_000 * 40 + 100_000 * 30;
    let output = 400_000 * 100 + 500_000 * 200 + 100_000 * 300;
    assert_eq!(micros(full, taken), Some(input + output));
    // Without prices of their own they cost what they are part of.
    assert_eq!(micros("input = '10'\noutput = '100'", taken), Some(110_000_000));
    // Parts that claim more than the whole are cut to it.
    taken.cache_read = Some(u64::MAX);
    taken.reasoning = Some(u64::MAX);
    assert_eq!(micros(full, taken), Some(1_000_000 + 200_000_000));
}

#[test]
fn what_has_no_price_is_not_free() {
    assert_eq!(micros("input = '1'", usage(10, 0)), Some(10));
    assert_eq!(micros("input = '1'", usage(10, 1)), None);
    assert_eq!(micros("image = '0.04'", usage(10, 0)), None);
    let drawn = pieces(Pieces { images: 2, ..Pieces::default() });
    assert_eq!(price("image = '0.04'").cost(&drawn).unwrap().micros, 80_000);
    let heard = pieces(Pieces { milliseconds: 90_500, ..Pieces::default() });
    assert_eq!(price("second = '0.0001'").cost(&heard).unwrap().micros, 9_050);
    let spoken = pieces(Pieces { characters: 1_000, ..Pieces::default() });
    assert_eq!(price("characters = '15'").cost(&spoken).unwrap().micros, 15_000);
    // Priced by the token, and nobody told how many.
    assert_eq!(price("input = '5'\nimage_output = '40'").cost(&drawn), None);
    let searches = pieces(Pieces { requests: 3, ..Pieces::default() });
    assert_eq!(price("request = '0.002'").cost(&searches).unwrap().micros, 6_000);
    assert_eq!(micros("request = '0.002'", usage(99, 0)), Some(2_000));
    assert_eq!(micros("input = '1'\noutput = '1'\nrequest = '0.005'", usage(1, 1)), Some(5_002));
}

#[test]
fn long_prompts_batches_and_hours_have_their_prices() {
    let text = "input = '1'\noutput = '2'\ncache_read = '0.5'\n\
                tiers = [{ above = 100, input = '10', batch = { input = '5' } }, { above = 1000, input = '100' }]\n\
                batch = { input = '0.5' }\noff_peak = { utc = ['sat-sun', '00:00-01:00'], input = '0.25' }";
    let cost = |input, batch, minute| {
        let work = Work { batch, minute, ..Work::from(usage(input, 0)) };
        price(text).cost(&work).unwrap().micros
    };
    assert_eq!([100, 101, 1000, 1001].map(|input| cost(input, false, None)), [100, 1010, 10_000, 100_100]);
    assert_eq!([100, 101, 1001].map(|input| cost(input, true, None)), [50, 505, 100_100]);
    assert_eq!([Some(0), Some(60), Some(5 * 1440 + 700)].map(|minute| cost(100, false, minute)), [25, 100, 25]);
    // The cache of a long prompt keeps its price where the tier names none.
    let read = Work { usage: Usage { cache_read: Some(200), ..usage(200, 0) }, ..Work::default() };
    assert_eq!(price(text).cost(&read).unwrap().micros, 100);
}

#[test]
fn rounds_once_at_the_end() {
    // 3 × 0.4 millionths: one at a time they would vanish.
    let text = "input = '0.4'\noutput = '0.4'\ncache_read = '0.4'";
    assert_eq!(micros(text, Usage { cache_read: Some(1), ..usage(2, 1) }), Some(1));
    assert_eq!(micros("input = '0.5'", usage(1, 0)), Some(1));
    assert_eq!(micros("input = '0.499999999'", usage(1, 0)), Some(0));
    assert_eq!(micros("input = '999999999'", usage(u64::MAX, 0)), Some(u64::MAX));
}

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..1_000_000_000_000, Just(0), Just(1), Just(999_999_999_999_999_999)]
}

proptest! {
    /// Text → price → text, and no digit is lost.
    #[test]
    fn rates_survive_their_text(nanos in 0u64..1_000_000_000_000_000_000) {
        let rate = Rate::from_nanos(nanos);
        prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        prop_assert_eq!(Rate::from_number(&rate.to_string(), 0), Some(rate));
    }

    /// The sum is that of exact arithmetic over the parts, rounded once.
    #[test]
    fn the_cost_is_exact(
        input in 0u64..2_000_000, output in 0u64..500_000, read in 0u64..2_500_000, write in 0u64..2_500_000,
        prices in (rate(), rate(), rate(), rate()),
    ) {
        let decimal = |nanos: u64| Rate::from_nanos(nanos).to_string();
        let text = format!(
            "input = '{}'\noutput = '{}'\ncache_read = '{}'\ncache_write = '{}'",
            decimal(prices.0), decimal(prices.1), decimal(prices.2), decimal(prices.3),
        );
        let taken = Usage { cache_read: Some(read), cache_write: Some(write), ..usage(input, output) };
        let read = read.min(input);
        let write = write.min(input - read);
        let parts = [(input - read - write, prices.0), (output, prices.1), (read, prices.2), (write, prices.3)];
        let exact: u128 = parts.iter().map(|(count, nanos)| u128::from(*count) * u128::from(*nanos)).sum();
        prop_assert_eq!(micros(&text, taken), Some(u64::try_from((exact + 500_000_000) / 1_000_000_000).unwrap()));
    }

    /// More tokens never cost less within a level, and what is cached never costs more than what is not.
    #[test]
    fn the_cost_is_monotone(input in 0u64..1_000_000, output in 0u64..100_000, more in 0u64..1_000, read in 0u64..1_000_000) {
        let models = Models::default();
        let row = models.find("anthropic", "claude-sonnet-4-5").unwrap();
        let cost = |taken: Usage| row.price.as_ref().unwrap().cost(&taken.into()).unwrap().micros;
        prop_assert!(cost(usage(input + more, output)) >= cost(usage(input, output)));
        let cached = cost(Usage { cache_read: Some(read), ..usage(input, output) });
        prop_assert!(cached <= cost(usage(input, output)));
    }
}

#[test]
fn abilities_are_words() {
    let set: Abilities = patch("able = ['vision', 'tools']").able.unwrap();
    assert_eq!(set.to_string(), "tools, vision");
}

#[test]
fn a_batch_costs_what_its_row_says_or_a_share_of_the_rest() {
    let row = |text: &str| Price::of(&toml::from_str::<ModelPatch>(text).unwrap()).unwrap();
    let work = Work::from(usage(1_000_000, 1_000_000));
    let plain = row("input = '2'\noutput = '8'");
    let micros = |price: &Price, percent: u32| price.batch_cost(&work, percent).unwrap().micros;
    assert_eq!([50, 100, 33].map(|percent| micros(&plain, percent)), [5_000_000, 10_000_000, 3_300_000]);
    let told = row("input = '2'\noutput = '8'\nbatch = { input = '1', output = '3' }");
    assert_eq!([50, 100].map(|percent| micros(&told, percent)), [4_000_000, 4_000_000]);
    // Rounded once, at the end.
    let small = Work::from(usage(3, 0));
    assert_eq!(row("input = '0.3'").batch_cost(&small, 50).unwrap().micros, 0);
    assert_eq!(row("input = '0.4'").batch_cost(&small, 50).unwrap().micros, 1);
    assert_eq!(row("input = '2'").batch_cost(&work, 50), None, "what has no price has no cost");
}
