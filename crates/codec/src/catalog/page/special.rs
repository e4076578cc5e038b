//! A provider's quirks in words.

use std::fmt::Write;

use super::super::{Chunks, MaxTokensField, Provider, Quirks, ReasoningField, ReasoningReplay, ReasoningStyle, SystemRole};
use super::{Lang, say};

/// What is special: quirks that change what is sent or read, and lose nothing.
pub(super) fn special(provider: &Provider, lang: Lang) -> String {
    let quirks = &provider.quirks;
    let openai = provider.speaks("openai-chat");
    let there = reasoning(quirks).into_iter().chain(if openai { chat(quirks).to_vec() } else { Vec::new() });
    let mut points: Vec<String> =
        there.filter(|(there, ..)| *there).map(|(_, english, chinese)| say(lang, english, chinese).to_owned()).collect();
    if quirks.required_word != Quirks::default().required_word {
        points.push(format!(
            "{} `tool_choice: \"{}\"`",
            say(lang, "A tool is demanded by", "强制调用工具写作"),
            quirks.required_word
        ));
    }
    if !quirks.accepts.is_empty() {
        let what = say(lang, "It takes more than its dialect's standard: ", "除协议标准外还接受：");
        points.push(format!("{what}{}", code(quirks.accepts.iter())));
    }
    for (field, name) in &quirks.rename {
        points.push(format!("`{field}` {} `{name}`", say(lang, "is called", "在这里叫")));
    }
    for (field, value) in &quirks.body {
        points.push(format!(
            "{}`{field}: {value}`",
            say(lang, "Sent along with every translated request: ", "每个转换后的请求都会带上：")
        ));
    }
    if let Some(bound) = quirks.max_tokens_default {
        let text = say(
            lang,
            "`anthropic-messages` demands a bound for the answer; a caller who gives none gets {} tokens.",
            "`anthropic-messages` 必须给出输出上限；调用方未给出时使用 {} 个 token。",
        );
        points.push(text.replace("{}", &bound.to_string()));
    }
    if let Some(batch) = &provider.batch {
        let text = say(
            lang,
            "It takes [batches](../batch.md#the-providers-own-batches) of {lines} lines and {bytes} MB at most, for {percent} % of the price where its models name no other.",
            "支持[批次](../batch.zh-CN.md#服务商自己的批次)，每个最多 {lines} 行、{bytes} MB；模型没有另列批量价格时，按实时价格的 {percent} % 计。",
        );
        let text = text.replace("{lines}", &batch.lines.to_string()).replace("{bytes}", &(batch.bytes / 1_000_000).to_string());
        points.push(text.replace("{percent}", &batch.price_percent.to_string()));
    }
    for (pattern, patch) in &quirks.models {
        let own = Quirks::from(patch.clone());
        if !own.refuses.is_empty() {
            let what = say(lang, "refuses, so left out and reported:", "拒绝，因此不发送并予以报告：");
            points.push(format!("`{pattern}` {what} {}", code(own.refuses.iter())));
        } else {
            points.push(format!("`{pattern}` {}", say(lang, "departs from the others.", "与其他模型不同。")));
        }
    }
    if !quirks.endpoints.is_empty() {
        let what = say(lang, "Models with a path of their own:", "有各自路径的模型：");
        points.push(format!("{what} {}", code(quirks.endpoints.keys())));
    }
    list(say(lang, "What is special", "特别之处"), &points)
}

/// Whether it is so, and what it is called in both languages.
type Point = (bool, &'static str, &'static str);

/// What is special in openai-chat.
fn chat(quirks: &Quirks) -> [Point; 9] {
    [
        (
            !quirks.stream_usage,
            "It does not take `stream_options`: usage comes unasked, or never.",
            "不接受 `stream_options`：用量会自动返回，或根本不返回。",
        ),
        (
            !quirks.done,
            "Its streams just end after the finish reason; there is no `data: [DONE]`.",
            "流在结束原因之后直接终止，没有 `data: [DONE]`。",
        ),
        (
            quirks.max_tokens == MaxTokensField::MaxCompletionTokens,
            "The longest answer is asked for as `max_completion_tokens`.",
            "最大输出长度以 `max_completion_tokens` 发送。",
        ),
        (
            quirks.system_role == SystemRole::Developer,
            "Instructions go in the role `developer`.",
            "系统指令以 `developer` 角色发送。",
        ),
        (
            quirks.reasoning_field == ReasoningField::Reasoning,
            "Reasoning sent back stands in the field `reasoning`.",
            "带回的思考内容放在 `reasoning` 字段。",
        ),
        (
            quirks.reasoning_field == ReasoningField::Details,
            "Reasoning sent back stands in the list `reasoning_details`.",
            "带回的思考内容放在 `reasoning_details` 列表。",
        ),
        (
            quirks.reasoning_field == ReasoningField::Think,
            "Reasoning sent back stands before the text, as `<think>…</think>`.",
            "带回的思考内容以 `<think>…</think>` 放在正文之前。",
        ),
        (
            quirks.think_tags,
            "Thinking may stand in the text, as `<think>…</think>`; in translation it is taken out and told as thinking.",
            "思考内容可能以 `<think>…</think>` 写在正文里；转换时会取出并作为思考内容返回。",
        ),
        (
            quirks.chunks != Chunks::Delta,
            "The chunks of a stream may tell everything so far; in translation only what is new is told.",
            "流的每一块可能重复此前的全部内容；转换时只传出新增部分。",
        ),
    ]
}

/// What is special about thinking.
fn reasoning(quirks: &Quirks) -> [Point; 6] {
    [
        (
            quirks.reasoning == ReasoningStyle::Thinking,
            "Thinking is turned on and off by `thinking: {\"type\": …}`.",
            "思考模式由 `thinking: {\"type\": …}` 开关。",
        ),
        (
            quirks.reasoning == ReasoningStyle::EnableThinking,
            "Thinking is turned on and off by `enable_thinking`, with `thinking_budget` in tokens.",
            "思考模式由 `enable_thinking` 开关，`thinking_budget` 以 token 为单位。",
        ),
        (
            quirks.reasoning == ReasoningStyle::ReasoningObject,
            "Thinking is asked for by an object: `reasoning: {\"effort\": …}`.",
            "思考强度用对象表示：`reasoning: {\"effort\": …}`。",
        ),
        (
            quirks.reasoning_replay == ReasoningReplay::Tools,
            "Earlier reasoning is sent back with the messages that called tools: without it the provider refuses or gets worse.",
            "调用过工具的消息会带回先前的思考内容；否则服务商会拒绝请求或效果变差。",
        ),
        (
            quirks.reasoning_replay == ReasoningReplay::Required,
            "Messages that called tools must bring earlier reasoning back, and a blank where there was none.",
            "调用过工具的消息必须带回先前的思考内容，没有时以空白代替。",
        ),
        (
            quirks.reasoning_replay == ReasoningReplay::Always,
            "Earlier reasoning is sent back with every assistant message.",
            "每条助手消息都会带回先前的思考内容。",
        ),
    ]
}

/// What is lost in translation. The same lane loses nothing.
pub(super) fn lost(provider: &Provider, lang: Lang) -> String {
    let quirks = &provider.quirks;
    let mut points: Vec<String> = Vec::new();
    if !quirks.refuses.is_empty() {
        let what = say(
            lang,
            "Refused or ignored by the provider, so left out and reported: ",
            "服务商拒绝或忽略，因此不发送并予以报告：",
        );
        points.push(format!("{what}{}", code(quirks.refuses.iter())));
    }
    if quirks.reasoning == ReasoningStyle::None {
        points.push(say(lang, "How much it thinks cannot be asked for.", "无法指定思考强度。").to_owned());
    }
    if !quirks.efforts.is_empty() {
        let what = say(lang, "Efforts other than these become the nearest of them: ", "其他思考强度会换成其中最接近的一个：");
        points.push(format!("{what}{}", code(quirks.efforts.iter())));
    }
    let thousandths =
        |value: u32| format!("{}.{:03}", value / 1000, value % 1000).trim_end_matches('0').trim_end_matches('.').to_owned();
    if let Some(least) = quirks.temperature_min {
        points.push(format!(
            "{} {}",
            say(lang, "A lower temperature is raised to", "过低的 temperature 会提高到"),
            thousandths(least)
        ));
    }
    if let Some(most) = quirks.temperature_max {
        points.push(format!(
            "{} {}",
            say(lang, "A higher temperature is lowered to", "过高的 temperature 会降低到"),
            thousandths(most)
        ));
    }
    let mut text = format!("## {}\n\n", say(lang, "What is lost in translation", "转换时会丢失什么"));
    text.push_str(say(
        lang,
        "Nothing where the caller speaks one of its dialects: the bytes are forwarded. Otherwise what [no other dialect can say](../dialects.md)",
        "调用方使用它的某个协议时什么都不会丢失：字节原样转发。否则会丢失[其他协议无法表达的内容](../dialects.zh-CN.md)",
    ));
    text.push_str(if points.is_empty() { say(lang, ".\n\n", "。\n\n") } else { say(lang, ", and:\n\n", "，以及：\n\n") });
    for point in &points {
        let _ = writeln!(text, "- {point}");
    }
    text.push_str(if points.is_empty() { "" } else { "\n" });
    text
}

fn list(heading: &str, points: &[String]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let mut text = format!("## {heading}\n\n");
    for point in points {
        let _ = writeln!(text, "- {point}");
    }
    text.push('\n');
    text
}

fn code<'a>(words: impl Iterator<Item = &'a String>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
