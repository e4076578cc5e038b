//! A page of documentation for each provider, written from what the catalogue knows, in both languages.

mod prices;
mod special;

use std::borrow::Cow;
use std::fmt::Write;

use super::placeholder::{readable, variables};
use super::{Catalog, Lang, Model, Models, Provider};

/// One text in both languages: the one that is wanted.
const fn say(lang: Lang, english: &'static str, chinese: &'static str) -> &'static str {
    match lang {
        Lang::English => english,
        Lang::Chinese => chinese,
    }
}

/// `docs/providers/<id>.md`: how it is set up, what is special, what is lost, what its models cost. Markdown.
pub fn provider_page(provider: &Provider, lang: Lang) -> String {
    let mut page = format!("# {}\n\n", provider.name);
    let id = &provider.id;
    let other = say(lang, "[简体中文]({}.zh-CN.md)", "[English]({}.md)").replace("{}", id);
    let made = say(lang, "written by `make docs` from ", "由 `make docs` 根据以下数据生成：");
    let has_models = Models::providers().any(|known| known == id);
    let models = if has_models { format!(" · [`models/{id}.toml`](../../models/{id}.toml)") } else { String::new() };
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{other} · {made}[`providers/{id}.toml`](../../providers/{id}.toml){models}\n");
    let notes = say_or(lang, provider.notes.as_deref(), provider.notes_zh.as_deref());
    if let Some(notes) = notes {
        let _ = writeln!(page, "> {notes}\n");
    }
    page.push_str(&setup(provider, lang));
    page.push_str(&special::special(provider, lang));
    page.push_str(&special::lost(provider, lang));
    page.push_str(&prices::table(&Models::default().of(id), Models::like(id), lang));
    page
}

/// `docs/providers/README.md`: all of them. Markdown.
pub fn provider_index(catalog: &Catalog, lang: Lang) -> String {
    let mut page = String::from(say(
        lang,
        "# Providers\n\n[简体中文](README.zh-CN.md) · written by `make docs`. Yours is not here? [CONTRIBUTING.md](../../CONTRIBUTING.md) shows how to add it in five minutes.\n\n\
         | Provider | `provider/` | Dialects | Models with data | Currency |\n|---|---|---|---|---|\n",
        "# 服务商\n\n[English](README.md) · 由 `make docs` 生成。没有你要的？[CONTRIBUTING.md](../../CONTRIBUTING.md) 说明如何在五分钟内添加。\n\n\
         | 服务商 | `provider/` | 协议 | 有数据的模型 | 货币 |\n|---|---|---|---|---|\n",
    ));
    for provider in catalog.iter() {
        let models = Models::default();
        let models: Vec<Cow<'_, Model>> = models.of(&provider.id);
        let mut currencies: Vec<&str> = models.iter().filter_map(|model| Some(model.price.as_ref()?.currency.as_str())).collect();
        currencies.sort_unstable();
        currencies.dedup();
        let suffix = say(lang, "", ".zh-CN");
        let dialects = provider.dialects.iter().map(|dialect| format!("`{dialect}`")).collect::<Vec<_>>().join(", ");
        let count = if models.is_empty() { String::new() } else { models.len().to_string() };
        let (id, name) = (&provider.id, &provider.name);
        let _ = writeln!(page, "| [{name}]({id}{suffix}.md) | `{id}` | {dialects} | {count} | {} |", currencies.join(", "));
    }
    page
}

fn say_or<'a>(lang: Lang, english: Option<&'a str>, chinese: Option<&'a str>) -> Option<&'a str> {
    match lang {
        Lang::English => english,
        Lang::Chinese => chinese.or(english),
    }
}

fn setup(provider: &Provider, lang: Lang) -> String {
    let mut text = format!("## {}\n\n", say(lang, "Setting it up", "配置"));
    let id = &provider.id;
    let names = provider.auth.env_names();
    let code =
        |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(say(lang, " or ", " 或 "));
    if provider.local {
        text.push_str(say(
            lang,
            "A server on your machine. It is used when you name it, and needs no key unless you started it with one:\n\n",
            "运行在本机的服务。只有在你指名时才会使用；除非启动时设置了密钥，否则不需要密钥：\n\n",
        ));
    } else if provider.auth.secret().is_none() && names.is_empty() {
        text.push_str(say(lang, "It needs no key.\n\n", "不需要密钥。\n\n"));
    } else if !names.is_empty() {
        let start = say(lang, "Set the environment variable", "设置环境变量");
        let rest = say(
            lang,
            "(a `.env` file will do), or write into `trunkline.toml`:",
            "（也可以写在 `.env` 文件里），或在 `trunkline.toml` 中写入：",
        );
        let _ = writeln!(text, "{start} {} {rest}\n", ways(provider, lang));
    }
    let _ = writeln!(text, "```toml\n[providers.{id}]");
    match provider.auth.secret().and_then(|secret| secret.env_names().first()) {
        Some(name) if !provider.local => {
            let _ = writeln!(
                text,
                "api_key = \"env:{name}\"   # {}",
                say(lang, "also file:PATH, cmd:COMMAND or the key itself", "也可以是 file:路径、cmd:命令 或密钥本身")
            );
        }
        _ if provider.local => {
            let _ = writeln!(text, "base_url = \"{}\"", provider.base_url);
        }
        _ => {}
    }
    text.push_str("```\n\n");
    if let Some(model) = example(provider) {
        let _ = writeln!(text, "```sh\ntrunkline ask -m {id}/{model} \"{}\"\n```\n", say(lang, "Hello", "你好"));
    }
    text.push_str(&facts(provider, lang, &code));
    text
}

/// The variables to set, way by way: `A` or `B`; of a pair of keys both.
fn ways(provider: &Provider, lang: Lang) -> String {
    let join = |names: Vec<String>, word: &str| names.join(word);
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let or = say(lang, " or ", " 或 ");
    let way = |way: &super::Auth| {
        let needed: Vec<String> = way.secrets().iter().map(|secret| join(quoted(secret.env_names()), or)).collect();
        let needed: Vec<String> = needed.into_iter().filter(|names| !names.is_empty()).collect();
        let and = say(lang, " and ", " 和 ");
        match (needed.is_empty(), way) {
            (false, _) => join(needed, and),
            // The usual chain names no variable of its own.
            (true, super::Auth::SigV4(_)) => join(quoted(&["AWS_ACCESS_KEY_ID".into(), "AWS_SECRET_ACCESS_KEY".into()]), and),
            (true, way) => join(quoted(&way.env_names()), or),
        }
    };
    provider.auth.ways().iter().map(way).filter(|names| !names.is_empty()).collect::<Vec<_>>().join(say(lang, ", or ", "，或 "))
}

/// A model to show: the most able with data, and of these the cheapest; else one that is listed by its whole name. `None`
/// where nothing chats.
fn example(provider: &Provider) -> Option<String> {
    let models = Models::default();
    let chats = |model: &Cow<'_, Model>| model.able.has(super::Ability::Chat) && !model.id.contains(['*', ':']);
    let rank = |model: &Cow<'_, Model>| {
        let input = model.price.as_ref().and_then(|price| price.base().input);
        (model.able.iter().count(), std::cmp::Reverse(input), std::cmp::Reverse(model.id.len()))
    };
    let best = |id: &str| models.of(id).into_iter().filter(chats).max_by_key(rank).map(|model| model.id.clone());
    let known = best(&provider.id).or_else(|| Models::like(&provider.id).iter().find_map(|other| best(other)));
    let listed = || provider.models.iter().find(|pattern| !pattern.contains('*')).cloned();
    if known.is_none() && !models.of(&provider.id).is_empty() {
        return None;
    }
    known.or_else(listed).or_else(|| Some("MODEL".to_owned()))
}

fn facts(provider: &Provider, lang: Lang, code: &dyn Fn(&[String]) -> String) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    let mut row = |english, chinese, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "| {} | {} |", say(lang, english, chinese), value.replace('|', "\\|"));
        }
    };
    row("Documentation", "文档", if provider.website.is_empty() { String::new() } else { format!("<{}>", provider.website) });
    let dialects = provider.dialects.iter().map(|dialect| format!("`{dialect}`: `{}`", readable(provider.url(dialect))));
    row("Dialects, the preferred one first", "协议（首选在前）", dialects.collect::<Vec<_>>().join("<br>"));
    let mut filled = variables(&provider.base_url);
    filled.extend(provider.dialect_url.values().flat_map(|url| variables(url)));
    filled.sort();
    filled.dedup();
    let filled = filled.iter().map(|(names, usual)| match usual {
        Some(usual) => format!("{} ({} `{usual}`)", code(names), say(lang, "else", "默认")),
        None => code(names),
    });
    row("Address completed by", "填入地址的变量", filled.collect::<Vec<_>>().join("<br>"));
    row("Address moved by", "可改变地址的变量", code(&provider.base_url_env));
    let headers = provider.headers.iter().map(|(name, value)| format!("`{name}`: `{value}`"));
    row("Headers sent along", "附带的请求头", headers.collect::<Vec<_>>().join("<br>"));
    let bare = provider.models.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
    row("Bare names that lead here", "无需前缀的模型名", bare);
    text.push('\n');
    text
}
