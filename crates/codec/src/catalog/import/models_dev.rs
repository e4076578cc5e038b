//! `api.json` of models.dev: an object of providers with their models, prices for a million tokens.

use std::borrow::Cow;

use super::{Import, Known, Object, Skipped, abilities, count, is_true, object, rate, text, words};
use crate::catalog::ability::Ability;
use crate::catalog::{Abilities, ModelPatch, Rates, Tier};

pub(super) fn read(list: &Object<'_>, known: &Known) -> Import {
    let mut import = Import { format: "models.dev", ..Import::default() };
    for (name, value) in list {
        let models = object(value).and_then(|provider| Some((text(&provider, "doc"), object(provider.get("models")?)?)));
        let Some((doc, models)) = models else {
            import.skipped.push(Skipped { entry: name.to_string(), why: "it has no models".into() });
            continue;
        };
        let Some(id) = known.id(name) else {
            let why: Cow<'static, str> = Cow::Owned(format!("there is no provider `{name}` here"));
            import.skipped.extend(models.keys().map(|model| Skipped { entry: format!("{name}/{model}"), why: why.clone() }));
            continue;
        };
        for (model, value) in &models {
            match row(value) {
                Ok(mut patch) => {
                    patch.source = doc.clone().filter(|doc| doc.starts_with("https://"));
                    import.rows.insert(format!("{id}/{model}"), patch);
                }
                Err(why) => import.skipped.push(Skipped { entry: format!("{name}/{model}"), why }),
            }
        }
    }
    import
}

fn row(value: &serde_json::value::RawValue) -> Result<ModelPatch, Cow<'static, str>> {
    let entry = object(value).ok_or("it is not an object")?;
    let cost = entry.get("cost").and_then(|cost| object(cost)).ok_or("it has no price that is counted here")?;
    let mut patch = ModelPatch::default();
    patch.set_rates(&rates(&cost)?);
    if patch.rates().iter().next().is_none() {
        return Err("it has no price that is counted here".into());
    }
    for (key, above) in [("context_over_128k", 128_000), ("context_over_200k", 200_000), ("context_over_272k", 272_000)] {
        if let Some(higher) = cost.get(key).and_then(|value| object(value)) {
            let mut tier = Tier { above, ..Tier::default() };
            tier.set_rates(&rates(&higher)?);
            patch.tiers.get_or_insert_default().push(tier);
        }
    }
    if let Some(limit) = entry.get("limit").and_then(|limit| object(limit)) {
        patch.context = count(&limit, "context");
        patch.max_output = count(&limit, "output");
    }
    patch.able = able(&entry);
    patch.date = text(&entry, "last_updated").filter(|date| matches!(date.len(), 7 | 10));
    Ok(patch)
}

fn rates(cost: &Object<'_>) -> Result<Rates, Cow<'static, str>> {
    let get = |key: &str| rate(cost, key, 0);
    Ok(Rates {
        input: get("input")?,
        output: get("output")?,
        cache_read: get("cache_read")?.filter(|rate| rate.nanos() > 0),
        cache_write: get("cache_write")?.filter(|rate| rate.nanos() > 0),
        reasoning: get("reasoning")?,
        audio_input: get("input_audio")?,
        audio_output: get("output_audio")?,
        ..Rates::default()
    })
}

fn able(entry: &Object<'_>) -> Option<Abilities> {
    let modes = entry.get("modalities").and_then(|value| object(value)).unwrap_or_default();
    let (takes, gives) = (words(&modes, "input"), words(&modes, "output"));
    let takes = |what: &str| takes.iter().any(|word| word == what);
    let gives = |what: &str| gives.iter().any(|word| word == what);
    abilities(&[
        (gives("text"), Ability::Chat),
        (is_true(entry, "tool_call"), Ability::Tools),
        (takes("image"), Ability::Vision),
        (takes("pdf"), Ability::Documents),
        (takes("audio"), Ability::Audio),
        (takes("video"), Ability::Video),
        (is_true(entry, "reasoning"), Ability::Reasoning),
        (is_true(entry, "structured_output"), Ability::JsonSchema),
        (gives("image"), Ability::Images),
        (gives("audio"), Ability::Speech),
    ])
}
