//! `model_prices_and_context_window.json` of LiteLLM: an object of models, prices for one token.

use std::borrow::Cow;

use super::{Import, Known, Object, Skipped, abilities, count, is_true, object, rate, text, words};
use crate::catalog::ability::Ability;
use crate::catalog::{ModelPatch, Rates, Tier};

/// Prices by token: from one token to a million.
const MILLION: i32 = 6;

pub(super) fn read(list: &Object<'_>, known: &Known) -> Import {
    let mut import = Import { format: "LiteLLM", ..Import::default() };
    for (name, value) in list {
        match row(name, value, known) {
            Ok((target, patch)) => _ = import.rows.insert(target, patch),
            Err(why) => import.skipped.push(Skipped { entry: name.to_string(), why }),
        }
    }
    import
}

fn row(name: &str, value: &serde_json::value::RawValue, known: &Known) -> Result<(String, ModelPatch), Cow<'static, str>> {
    let entry = object(value).ok_or("it is not an object")?;
    let family = text(&entry, "litellm_provider").ok_or("it names no provider")?;
    let id = known.id(&family).or_else(|| known.id(family.split_once('-')?.0));
    let id = id.ok_or_else(|| Cow::Owned(format!("there is no provider `{family}` here")))?;
    let model = name.split_once('/').filter(|(first, _)| family.starts_with(first)).map_or(name, |(_, model)| model);
    if model.contains("-x-") {
        return Err("its price goes by size and quality".into());
    }
    let mode = text(&entry, "mode").unwrap_or_default();
    let mut patch = priced(&entry, &mode)?;
    patch.context = count(&entry, "max_input_tokens");
    patch.max_output =
        count(&entry, "max_output_tokens").filter(|_| matches!(mode.as_str(), "chat" | "responses" | "completion"));
    patch.able = able(&entry, &mode);
    patch.source = text(&entry, "source").filter(|source| source.starts_with("https://"));
    Ok((format!("{id}/{model}"), patch))
}

fn priced(entry: &Object<'_>, mode: &str) -> Result<ModelPatch, Cow<'static, str>> {
    let base = tokens(entry, "")?;
    let mut patch = ModelPatch::default();
    let per_piece = Rates {
        request: rate(entry, "input_cost_per_query", 0)?.or(rate(entry, "input_cost_per_request", 0)?),
        second: rate(entry, "input_cost_per_second", 0)?.or(rate(entry, "output_cost_per_second", 0)?),
        characters: rate(entry, "input_cost_per_character", MILLION)?,
        image: rate(entry, "output_cost_per_image", 0)?,
        ..Rates::default()
    };
    let counted = base.iter().any(|(_, rate)| rate.nanos() > 0);
    let speaks = matches!(mode, "audio_speech" | "audio_transcription");
    let mut rates = base;
    match (counted, mode) {
        // What is priced by the piece lists tokens at 0.
        (false, _) if per_piece.iter().any(|(_, rate)| rate.nanos() > 0) => {
            rates = Rates { second: per_piece.second.filter(|_| speaks), ..per_piece };
        }
        (_, "rerank") => rates.request = per_piece.request.filter(|rate| rate.nanos() > 0),
        _ => {}
    }
    if rates.iter().next().is_none() {
        tiers_by_range(entry, &mut patch)?;
    } else {
        patch.set_rates(&rates);
    }
    if patch.rates().iter().next().is_none() {
        return Err("it has no price that is counted here".into());
    }
    for thousand in [32, 100, 128, 200, 256, 272, 512] {
        let rates = tokens(entry, &format!("_above_{thousand}k_tokens"))?;
        if rates.iter().next().is_some() {
            let mut tier = Tier { above: thousand * 1000, ..Tier::default() };
            tier.set_rates(&rates);
            patch.tiers.get_or_insert_default().push(tier);
        }
    }
    let batch = tokens(entry, "_batches")?;
    if batch.iter().next().is_some() {
        patch.batch = Some(batch);
    }
    Ok(patch)
}

/// `tiered_pricing`: a list of ranges, each with its prices.
fn tiers_by_range(entry: &Object<'_>, patch: &mut ModelPatch) -> Result<(), Cow<'static, str>> {
    let ranges: Vec<&serde_json::value::RawValue> =
        entry.get("tiered_pricing").and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default();
    for range in ranges.iter().filter_map(|range| object(range)) {
        let rates = tokens(&range, "")?;
        let bounds: Vec<&serde_json::value::RawValue> =
            range.get("range").and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default();
        let from = bounds.first().and_then(|bound| crate::catalog::Rate::from_number(bound.get(), 0));
        match from.map_or(0, |from| from.nanos() / 1_000_000_000) {
            0 => patch.set_rates(&rates),
            above => {
                let mut tier = Tier { above, ..Tier::default() };
                tier.set_rates(&rates);
                patch.tiers.get_or_insert_default().push(tier);
            }
        }
    }
    Ok(())
}

/// The prices of tokens, with what follows their names.
fn tokens(entry: &Object<'_>, suffix: &str) -> Result<Rates, Cow<'static, str>> {
    let get = |key: &str| rate(entry, &format!("{key}{suffix}"), MILLION);
    // A cache that costs nothing is one that it does not have.
    let cached = |key: &str| get(key).map(|rate| rate.filter(|rate| rate.nanos() > 0));
    Ok(Rates {
        input: get("input_cost_per_token")?,
        output: get("output_cost_per_token")?,
        cache_read: cached("cache_read_input_token_cost")?,
        cache_write: cached("cache_creation_input_token_cost")?,
        cache_write_1h: cached("cache_creation_input_token_cost_above_1hr")?,
        reasoning: get("output_cost_per_reasoning_token")?,
        audio_input: get("input_cost_per_audio_token")?,
        audio_output: get("output_cost_per_audio_token")?,
        image_input: get("input_cost_per_image_token")?,
        image_output: get("output_cost_per_image_token")?,
        ..Rates::default()
    })
}

fn able(entry: &Object<'_>, mode: &str) -> Option<crate::catalog::Abilities> {
    let says = |what: &str| is_true(entry, &format!("supports_{what}"));
    let seen = words(entry, "supported_modalities");
    let sees = |what: &str| seen.iter().any(|word| word == what);
    abilities(&[
        (matches!(mode, "chat" | "responses" | "completion"), Ability::Chat),
        (says("function_calling"), Ability::Tools),
        (says("vision"), Ability::Vision),
        (says("pdf_input"), Ability::Documents),
        (says("audio_input") || sees("audio"), Ability::Audio),
        (says("video_input") || sees("video"), Ability::Video),
        (says("reasoning"), Ability::Reasoning),
        (says("response_schema"), Ability::JsonSchema),
        (says("prompt_caching"), Ability::Caching),
        (says("web_search"), Ability::Search),
        (matches!(mode, "image_generation" | "image_edit"), Ability::Images),
        (mode == "audio_speech", Ability::Speech),
        (mode == "audio_transcription", Ability::Transcription),
        (mode == "embedding", Ability::Embeddings),
        (mode == "rerank", Ability::Rerank),
        (mode == "moderation", Ability::Moderation),
        (mode == "realtime", Ability::Realtime),
    ])
}
