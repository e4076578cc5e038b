//! The tables of kinds in `docs/errors.md`, from the code's own. `UPDATE_DOCS=1` writes them.

use std::fmt::Write;
use std::path::Path;

use trunkline_codec::{Error, Kind, Origin, Retry};

struct Words {
    file: &'static str,
    heads: [&'static str; 5],
    told: [&'static str; 6],
    /// Never, after a wait.
    again: [&'static str; 2],
    origins: [&'static str; 4],
}

const LANGUAGES: [Words; 2] = [
    Words {
        file: "docs/errors.md",
        heads: ["class", "kind", "who is to blame", "tried again", "what it is, and what to do"],
        told: [
            "class",
            "status",
            "`type` and `code` of the OpenAI family",
            "`type` of Anthropic",
            "`status` of Gemini",
            "exception of Bedrock",
        ],
        again: ["no", "yes"],
        origins: ["caller", "gateway", "provider", "network"],
    },
    Words {
        file: "docs/errors.zh-CN.md",
        heads: ["类名", "种类", "责任方", "是否重试", "含义与处理办法"],
        told: ["类名", "状态码", "OpenAI 系的 `type` 与 `code`", "Anthropic 的 `type`", "Gemini 的 `status`", "Bedrock 的异常"],
        again: ["否", "是"],
        origins: ["调用方", "网关", "服务商", "网络"],
    },
];

use Origin::{Caller, Gateway, Network, Provider};

/// Who may be to blame for a kind, and what to do, in both languages. Exhaustive, so that a new kind gets its words.
#[rustfmt::skip]
fn explain(kind: Kind) -> (&'static [Origin], [&'static str; 2]) {
    match kind {
        Kind::BadRequest => (&[Caller, Provider], [
            "The request makes no sense as it stands. The message and `param` name the field; correct it.",
            "请求本身有误。错误信息和 `param` 会指出字段；请改正后再发。"]),
        Kind::Unauthenticated => (&[Caller, Provider], [
            "No key, or one that is not known. From the gateway: send one of its keys. From a provider: the credential that is configured for it is wrong; callers see 502, because it is not theirs.",
            "没有密钥，或密钥不被认可。来自网关：请发送网关签发的密钥。来自服务商：为它配置的凭据有误；凭据不属于调用方，所以调用方看到 502。"]),
        Kind::Forbidden => (&[Caller, Provider], [
            "The key is known and may not do this. Ask for another model, or have it allowed. Tried again only where the provider names a wait: some call a limit so.",
            "密钥有效，但无权这样做。请换一个模型，或申请权限。只有服务商给出等待时间时才重试：有些服务商这样表示限流。"]),
        Kind::NotFound => (&[Caller, Provider], [
            "No such model, path or object. `trunkline models` lists what there is; the message has the nearest name. Tried again only where the provider names a wait.",
            "没有这样的模型、路径或对象。`trunkline models` 会列出可用的名字；错误信息里有最接近的一个。只有服务商给出等待时间时才重试。"]),
        Kind::MethodNotAllowed => (&[Caller, Provider], [
            "The path exists, the method does not. Use the one in the `allow` header.",
            "路径存在，但不接受该方法。请使用响应头 `allow` 里的方法。"]),
        Kind::Conflict => (&[Provider], [
            "The object is in a state that does not allow this, or two requests met. Once more may go well.",
            "对象当前的状态不允许这样做，或两个请求撞在一起。再试一次可能成功。"]),
        Kind::TooLarge => (&[Caller, Provider], [
            "The body is larger than the limit: the gateway's (`[server]`) or the provider's. Send less. Tried again only where the provider names a wait.",
            "请求体超过上限：网关的（`[server]`）或服务商的。请减小请求。只有服务商给出等待时间时才重试。"]),
        Kind::ContextTooLong => (&[Provider], [
            "The prompt does not fit into the model's window. Shorten it, or ask a model with a larger one.",
            "提示超出模型的上下文窗口。请缩短，或换用窗口更大的模型。"]),
        Kind::Unsupported => (&[Caller, Gateway, Provider], [
            "The dialects in play cannot carry what was asked for. [Which dialect reaches which](dialects.md) shows what passes.",
            "两边的协议无法传递所要求的内容。[协议之间能互通什么](dialects.zh-CN.md)列出了能传递的内容。"]),
        Kind::RateLimited => (&[Gateway, Provider], [
            "Too many requests or tokens for now. Wait as long as `retry-after` says; spread the load over several targets or credentials.",
            "请求或 token 暂时过多。请按 `retry-after` 等待；或把负载分到多个目标或凭据上。"]),
        Kind::QuotaExhausted => (&[Gateway, Provider], [
            "Credit or a spending limit is used up; waiting does not help. Add credit, raise the limit, or use another provider.",
            "余额或消费上限已用完，等待无济于事。请充值、提高上限，或换一家服务商。"]),
        Kind::Overloaded => (&[Gateway, Provider], [
            "The provider, or the gateway, is too busy. Try later or elsewhere.",
            "服务商或网关过于繁忙。请稍后再试，或换一处。"]),
        Kind::Server => (&[Provider], [
            "The provider failed by itself. Try again; if it stays so, tell the provider, with the id of the request.",
            "服务商自身出错。请重试；若持续如此，请带上请求 id 联系服务商。"]),
        Kind::Timeout => (&[Caller, Provider, Network], [
            "Nobody answered in time. `phase` says what was waited for: see below.",
            "没有及时得到回答。`phase` 说明在等什么：见下文。"]),
        Kind::Network => (&[Network], [
            "No connection, or it broke before an answer. Check the provider's `base_url`, the proxy, and whether the host is reachable from here.",
            "连接不上，或在得到回答之前断开。请检查服务商的 `base_url`、代理，以及本机能否访问该主机。"]),
        Kind::Tls => (&[Network], [
            "No secure connection: a certificate that is not trusted or not for this host. Check `ca_file`, the proxy, and the clock.",
            "无法建立安全连接：证书不受信任，或不属于该主机。请检查 `ca_file`、代理和系统时间。"]),
        Kind::Truncated => (&[Provider, Network], [
            "The answer stopped before its end. What had come was delivered; ask again for the whole.",
            "回答没有结束就中断了。已收到的部分已经送达；要完整的回答请重新请求。"]),
        Kind::Filtered => (&[Provider], [
            "The prompt or the answer was blocked by a content filter. Say it in another way.",
            "提示或回答被内容过滤器拦截。请换一种说法。"]),
        Kind::Malformed => (&[Provider], [
            "The answer was not what its dialect allows. Check that the provider speaks the dialect that is configured, and its `base_url`.",
            "回答不符合协议。请检查该服务商是否真的使用所配置的协议，以及它的 `base_url`。"]),
        Kind::Cancelled => (&[Caller, Provider], [
            "The caller left, or the call was stopped.",
            "调用方已离开，或调用被中止。"]),
        Kind::Unavailable => (&[Gateway], [
            "No target can take the call now: the gateway stops, all of them rest, or none is ready. Try again after `retry-after`.",
            "目前没有目标能接受调用：网关正在停止、全部目标都在休息，或没有一个就绪。请按 `retry-after` 重试。"]),
        Kind::Credential => (&[Gateway], [
            "The gateway has no credential for the provider that it could use: the file is gone, the command fails, the text is no key. Callers are told no more than that; `trunkline check` tells the operator which and why.",
            "网关没有可用于该服务商的凭据：文件不在了、命令失败，或内容不是密钥。调用方只会知道这些；`trunkline check` 会告诉运维人员是哪一个、为什么。"]),
        Kind::Internal => (&[Gateway], [
            "The gateway itself is wrong. Please report it, with the message and `x-trunkline-request-id`.",
            "网关自身有错。请连同错误信息和 `x-trunkline-request-id` 一起报告。"]),
    }
}

fn draw_kinds(words: &Words, language: usize) -> String {
    let mut out = format!("\n| {} |\n|---|---|---|---|---|\n", words.heads.join(" | "));
    for kind in Kind::ALL {
        let (origins, what) = explain(kind);
        let origins: Vec<&str> = origins.iter().map(|origin| words.origins[*origin as usize]).collect();
        let again = words.again[usize::from(kind.usual_retry() != Retry::Never)];
        let name = serde_json::to_value(kind).unwrap();
        let name = name.as_str().unwrap();
        writeln!(out, "| `{}` | `{name}` | {} | {again} | {} |", kind.class(), origins.join(", "), what[language]).unwrap();
    }
    out.push('\n');
    out
}

fn draw_told(words: &Words) -> String {
    let mut out = format!("\n| {} |\n|---|:-:|---|---|---|---|\n", words.told.join(" | "));
    for kind in Kind::ALL {
        let told = kind.words();
        let code = told.openai_code.map(|code| format!(", `{code}`")).unwrap_or_default();
        writeln!(
            out,
            "| `{}` | {} | `{}`{code} | `{}` | `{}` | `{}` |",
            kind.class(),
            told.status,
            told.openai_type,
            told.anthropic_type,
            told.gemini_status,
            kind.bedrock_exception()
        )
        .unwrap();
    }
    out.push('\n');
    out
}

/// The text with other lines between `<!-- name: begin …-->` and `<!-- name: end -->`.
fn replace(text: &str, name: &str, lines: &str) -> String {
    let begin = text.find(&format!("<!-- {name}: begin")).expect("where the table begins");
    let begin = begin + text[begin..].find("-->\n").expect("a whole line") + 4;
    let end = text.find(&format!("<!-- {name}: end -->")).expect("where the table ends");
    format!("{}{lines}{}", &text[..begin], &text[end..])
}

#[test]
fn the_page_of_errors_is_fresh() {
    for (language, words) in LANGUAGES.iter().enumerate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(words.file);
        let text = std::fs::read_to_string(&path).unwrap();
        let fresh = replace(&text, "kinds", &draw_kinds(words, language));
        let fresh = replace(&fresh, "told", &draw_told(words));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, fresh).unwrap();
        } else {
            assert!(text == fresh, "the tables in {} are stale; run `make docs`", words.file);
        }
    }
}

/// Every kind is told to every caller in words that the caller's own reader understands as an error.
#[test]
fn every_kind_is_told_in_every_dialect() {
    for dialect in trunkline_codec::dialect::ALL.iter().filter(|dialect| dialect.downstream.is_some()) {
        for kind in Kind::ALL {
            let error = Error::new(kind, Gateway, "what went wrong");
            let body = dialect.downstream().write_error(&error, "req_1");
            let headers = dialect.downstream().error_headers(&error);
            let again = dialect.upstream.read_error(error.caller_status(), &headers, &body, 0);
            // Of a credential callers are told no more than that there is none.
            let words = if kind == Kind::Credential { "no usable credential" } else { "what went wrong" };
            assert!(again.message.contains(words), "{} {kind:?}: {again:?}", dialect.name);
            assert_eq!(again.status, Some(kind.words().status), "{} {kind:?}", dialect.name);
            // What must not be tried again is not told in words that make it so, and the other way round. Those kinds
            // stand apart that are told as a failure of the server, which every client tries again.
            let told = kind.usual_retry() == Retry::Never && kind.words().status >= 499;
            // Where an error is no more than a sentence, its status cannot tell exhausted credit from haste.
            let is_bare = matches!(dialect.name, "cohere-chat" | "gemini") && kind == Kind::QuotaExhausted;
            if !told && !is_bare {
                let (expected, found) = (kind.usual_retry() != Retry::Never, again.retry != Retry::Never);
                assert_eq!(expected, found, "{} {kind:?}: read as {:?}", dialect.name, again.kind);
            }
        }
    }
}
