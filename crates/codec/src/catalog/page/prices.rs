//! The table of a provider's models.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::{Model, Price, Rates};
use super::{Lang, say};

/// What stands in a column of its own.
const COLUMNS: &[&str] = &["input", "cache_read", "output"];

/// The models with what they take, can do and cost.
pub(super) fn table(models: &[Cow<'_, Model>], like: &[String], lang: Lang) -> String {
    let mut text = format!("## {}\n\n", say(lang, "Models and prices", "模型与价格"));
    if models.is_empty() && like.is_empty() {
        text.push_str(say(
            lang,
            "No prices are known here. Write yours into `trunkline.toml` (`[prices.\"provider/model\"]`), or run `trunkline prices import`.\n",
            "没有已知的价格。可以写进 `trunkline.toml`（`[prices.\"provider/model\"]`），或运行 `trunkline prices import`。\n",
        ));
        return text;
    }
    if !like.is_empty() {
        let others = like.iter().map(|id| format!("[{id}]({id}{}.md)", say(lang, "", ".zh-CN"))).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "{} {others}{}\n",
            say(lang, "The same models at the same prices as", "模型与价格同"),
            say(lang, ".", "。")
        );
    }
    if models.is_empty() {
        return text;
    }
    text.push_str(say(
        lang,
        "Prices are for a million tokens, before tax and discounts; `*` stands for any characters.\n\n\
         | Model | Context | Longest answer | Able | Input | Cached | Output | Else |\n|---|--:|--:|---|--:|--:|--:|---|\n",
        "价格为每百万 token，不含税与折扣；`*` 代表任意字符。\n\n\
         | 模型 | 上下文 | 最长输出 | 能力 | 输入 | 缓存 | 输出 | 其他 |\n|---|--:|--:|---|--:|--:|--:|---|\n",
    ));
    for model in models {
        let size = |tokens: Option<u64>| tokens.map(group).unwrap_or_default();
        let cells = model.price.as_ref().map(|price| cells(price, lang)).unwrap_or_default();
        let (context, most) = (size(model.context), size(model.max_output));
        let _ = writeln!(text, "| `{}` | {context} | {most} | {} | {} |", model.id, model.able, cells.join(" | "));
    }
    let sources: BTreeSet<(&str, &str)> = models.iter().map(|model| (model.source.as_str(), model.date.as_str())).collect();
    let _ = writeln!(text, "\n{}:\n", say(lang, "Published at", "公布于"));
    for (source, date) in sources {
        let _ = writeln!(text, "- <{source}> ({date})");
    }
    text
}

fn cells(price: &Price, lang: Lang) -> [String; 4] {
    let base = price.base();
    let sign = price.currency.sign();
    let column =
        |kind: &str| base.iter().find(|(name, _)| *name == kind).map(|(_, rate)| format!("{sign}{rate}")).unwrap_or_default();
    let mut rest: Vec<String> = Vec::new();
    let others = Rates { input: None, output: None, cache_read: None, ..base.clone() };
    rest.extend(words(&others, sign, lang));
    for level in price.levels.iter().skip(1) {
        let start = say(lang, "above", "超过");
        rest.push(format!("{start} {}: {}", group(level.above), words(&different(&level.rates, &base), sign, lang).join(", ")));
    }
    if let Some(off_peak) = &price.off_peak {
        let hours = off_peak.utc.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let words = words(&off_peak.rates(), sign, lang).join(", ");
        rest.push(format!("{} ({hours} UTC): {words}", say(lang, "off-peak", "错峰时段")));
    }
    if let Some(batch) = price.levels.first().and_then(|level| level.batch.as_ref()) {
        rest.push(format!("{}: {}", say(lang, "batch", "批处理"), words(batch, sign, lang).join(", ")));
    }
    let [input, cached, output] =
        [COLUMNS.first(), COLUMNS.get(1), COLUMNS.get(2)].map(|kind| kind.map(|kind| column(kind)).unwrap_or_default());
    [input, cached, output, rest.join("; ")]
}

/// The kinds whose price is not that of the shortest prompts.
fn different(rates: &Rates, base: &Rates) -> Rates {
    let mut other = Rates::default();
    let mut keep = |kind: &str, set: fn(&mut Rates, &Rates)| {
        let of = |rates: &Rates| rates.iter().find(|(name, _)| *name == kind).map(|(_, rate)| rate);
        if of(rates) != of(base) {
            set(&mut other, rates);
        }
    };
    keep("input", |to, from| to.input = from.input);
    keep("output", |to, from| to.output = from.output);
    keep("cache_read", |to, from| to.cache_read = from.cache_read);
    keep("reasoning", |to, from| to.reasoning = from.reasoning);
    other
}

fn words(rates: &Rates, sign: &str, lang: Lang) -> Vec<String> {
    rates.iter().map(|(kind, rate)| format!("{} {sign}{rate}", word(kind, lang))).collect()
}

/// A kind of price in words.
fn word(kind: &'static str, lang: Lang) -> String {
    let chinese = match kind {
        "input" => "输入",
        "output" => "输出",
        "cache_read" => "读缓存",
        "cache_write" => "写缓存",
        "cache_write_1h" => "写缓存（1 小时）",
        "reasoning" => "思考",
        "audio_input" => "音频输入",
        "audio_output" => "音频输出",
        "image_input" => "图片输入",
        "image_output" => "图片输出",
        "characters" => "每百万字符",
        "image" => "每张图片",
        "second" => "每秒音频",
        "request" => "每次请求",
        _ => kind,
    };
    let english = match kind {
        "characters" => "a million characters",
        "image" => "an image",
        "second" => "a second of audio",
        "request" => "a request",
        "cache_write_1h" => "cache write (1 h)",
        _ => kind,
    };
    say(lang, english, chinese).replace('_', " ")
}

/// Thousands apart: `1,048,576`.
fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
