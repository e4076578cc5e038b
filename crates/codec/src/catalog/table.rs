//! The table of providers for the documentation.

use std::fmt::Write;

use super::{Auth, Catalog, Provider};

/// The language of the headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

/// A Markdown table of all providers: name, id, dialects, and the environment variable that makes it ready. Ends with a
/// line end.
pub fn provider_table(catalog: &Catalog, lang: Lang) -> String {
    let mut table = String::from(match lang {
        Lang::English => "| Provider | Name in `provider/model` | Dialects | Variable |\n",
        Lang::Chinese => "| 服务商 | `provider/model` 中的名称 | 协议 | 环境变量 |\n",
    });
    table.push_str("|---|---|---|---|\n");
    for provider in catalog.iter() {
        let dialects = provider.dialects.iter().map(|dialect| format!("`{dialect}`")).collect::<Vec<_>>().join(", ");
        let name = escape(&provider.name);
        let name = if provider.website.is_empty() { name } else { format!("[{name}]({})", provider.website) };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | `{}` | {dialects} | {} |", provider.id, variables(provider, lang));
    }
    table
}

/// A Markdown table of the providers that take batches: which models, how much at once, at what price. Ends with a line end.
pub fn batch_table(catalog: &Catalog, lang: Lang) -> String {
    let mut table = String::from(match lang {
        Lang::English => "| Provider | `provider/` | Models | One batch | Of the live price |\n",
        Lang::Chinese => "| 服务商 | `provider/` | 模型 | 单个批次 | 相对实时价格 |\n",
    });
    table.push_str("|---|---|---|---|--:|\n");
    for (provider, batch) in catalog.iter().filter_map(|provider| Some((provider, provider.batch.as_ref()?))) {
        let models = batch.models.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
        let models = if models.is_empty() { "`*`".to_owned() } else { models };
        let size = match lang {
            Lang::English => format!("{} lines, {} MB", batch.lines, batch.bytes / 1_000_000),
            Lang::Chinese => format!("{} 行，{} MB", batch.lines, batch.bytes / 1_000_000),
        };
        let (name, id, percent) = (escape(&provider.name), &provider.id, batch.price_percent);
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | `{id}` | {models} | {size} | {percent} % |");
    }
    table
}

fn variables(provider: &Provider, lang: Lang) -> String {
    if provider.local || provider.auth == Auth::None {
        let word = match lang {
            Lang::English => "none needed",
            Lang::Chinese => "不需要",
        };
        return word.to_owned();
    }
    provider.auth.env_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" / ")
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}
