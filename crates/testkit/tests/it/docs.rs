//! The documents agree with the tree. `UPDATE_DOCS=1` (`make docs`) writes the generated parts again.

use trunkline_codec::catalog::{Catalog, Lang, batch_table, provider_index, provider_page, provider_table};

use crate::law::source::{Source, files, read, root};

const DOCUMENTS: &[&str] = &[
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/dialects.md",
    "docs/dialects.zh-CN.md",
    "docs/errors.md",
    "docs/errors.zh-CN.md",
    "docs/routing.md",
    "docs/routing.zh-CN.md",
    "docs/batch.md",
    "docs/batch.zh-CN.md",
    "docs/workflows.md",
    "docs/workflows.zh-CN.md",
    "docs/prompts.md",
    "docs/prompts.zh-CN.md",
    "docs/compare.md",
    "docs/compare.zh-CN.md",
    "docs/chat.md",
    "docs/chat.zh-CN.md",
    "docs/ledger.md",
    "docs/ledger.zh-CN.md",
    "docs/monitoring.md",
    "docs/monitoring.zh-CN.md",
    "benches/gateway/README.md",
];

#[test]
fn the_tables_of_providers_are_fresh() {
    let catalog = Catalog::builtin().unwrap();
    type Table = fn(&Catalog, Lang) -> String;
    let tables: [(&str, Table, [&str; 2]); 2] = [
        ("providers", provider_table, ["README.md", "README.zh-CN.md"]),
        ("batches", batch_table, ["docs/batch.md", "docs/batch.zh-CN.md"]),
    ];
    for (name, table, documents) in tables {
        for (document, lang) in documents.into_iter().zip([Lang::English, Lang::Chinese]) {
            let text = read(document);
            let fresh = replace(&text, name, &table(&catalog, lang));
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(root().join(document), fresh).unwrap();
            } else {
                assert!(text == fresh, "the table of {name} in {document} is stale; run `make docs`");
            }
        }
    }
}

#[test]
fn every_provider_has_its_page_in_both_languages() {
    let catalog = Catalog::builtin().unwrap();
    let mut pages = Vec::new();
    for (lang, suffix) in [(Lang::English, ""), (Lang::Chinese, ".zh-CN")] {
        pages.push((format!("docs/providers/README{suffix}.md"), provider_index(&catalog, lang)));
        let all =
            catalog.iter().map(|provider| (format!("docs/providers/{}{suffix}.md", provider.id), provider_page(provider, lang)));
        pages.extend(all);
    }
    std::fs::create_dir_all(root().join("docs/providers")).unwrap();
    let known: Vec<&str> = pages.iter().map(|(path, _)| path.as_str()).collect();
    let orphans: Vec<String> = files("docs/providers", "md").into_iter().filter(|path| !known.contains(&path.as_str())).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        for (path, fresh) in &pages {
            std::fs::write(root().join(path), fresh).unwrap();
        }
        orphans.iter().for_each(|path| std::fs::remove_file(root().join(path)).unwrap());
        return;
    }
    assert!(orphans.is_empty(), "pages of nobody; run `make docs`: {orphans:#?}");
    let stale = |(path, fresh): &&(String, String)| std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(fresh);
    let stale: Vec<&String> = pages.iter().filter(stale).map(|(path, _)| path).collect();
    assert!(stale.is_empty(), "stale; run `make docs`: {stale:#?}");
}

/// The text with other lines between `<!-- name: begin …-->` and `<!-- name: end -->`.
fn replace(text: &str, name: &str, lines: &str) -> String {
    let begin = text.find(&format!("<!-- {name}: begin")).expect("where the generated part begins");
    let begin = begin + text[begin..].find("-->\n").expect("a whole line") + 4;
    let end = text.find(&format!("<!-- {name}: end -->")).expect("where the generated part ends");
    format!("{}{lines}{}", &text[..begin], &text[end..])
}

/// Files that a document links to exist, and so do the headings.
#[test]
fn the_links_lead_somewhere() {
    let mut broken = Vec::new();
    let pages = files("docs/providers", "md");
    for document in DOCUMENTS.iter().copied().chain(pages.iter().map(String::as_str)) {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path =
                if path.is_empty() { document.to_owned() } else { format!("{folder}/{path}").trim_start_matches('/').to_owned() };
            let there = root().join(&path).exists();
            if !there || !(heading.is_empty() || headings(&path).iter().any(|known| known == heading)) {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A page of the docs stands in both languages, with the same commands and the same headings in number.
#[test]
fn every_page_has_its_twin() {
    let pages = files("docs", "md").into_iter().filter(|path| path.split('/').count() == 2 && !path.contains(".zh-CN."));
    let parts = |text: &str, mark: &str| text.lines().filter(|line| line.starts_with(mark)).count();
    let mut odd = Vec::new();
    for page in pages {
        let twin = page.replace(".md", ".zh-CN.md");
        let (one, other) = (read(&page), if root().join(&twin).exists() { read(&twin) } else { String::new() });
        let chinese = other.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let differs = ["## ", "```", "trunkline "].into_iter().find(|mark| parts(&one, mark) != parts(&other, mark));
        odd.extend(differs.map(|mark| format!("{page}: {mark:?} differs in {twin}")));
        if !chinese {
            odd.push(format!("{twin} is not there, or not in Chinese"));
        }
    }
    assert!(odd.is_empty(), "{odd:#?}");
}

/// The headings of a document as the anchors that they get.
fn headings(document: &str) -> Vec<String> {
    let text = read(document);
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        heading.trim_start_matches('#').trim().to_lowercase().chars().filter(plain).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// The page on how the house is built stays a page, and the tests and files that it names are there.
#[test]
fn the_architecture_is_short_and_true() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 200, "ARCHITECTURE.md has {} lines", text.lines().count());
    let tests: Vec<String> = files("crates", "rs").iter().flat_map(|path| names(path)).collect();
    let mut missing = Vec::new();
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = word.contains('/') && (word.ends_with(".rs") || word.ends_with('/')) && !word.contains(['<', '*', ' ']);
        let is_test =
            word.split("::").last().is_some_and(|last| last.matches('_').count() >= 3) && !word.contains(['/', ' ', '.']);
        let known = match (is_path, is_test) {
            (true, _) => {
                ["", "crates/codec/src", "crates/client/src", "crates/gateway/src", "crates/store/src", "crates/work/src"]
                    .iter()
                    .any(|at| root().join(at).join(word).exists())
            }
            (_, true) => tests.iter().any(|test| Some(test.as_str()) == word.split("::").last()),
            _ => true,
        };
        if !known {
            missing.push(word);
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:#?}");
}

/// The names of all functions of a file, tests included.
fn names(path: &str) -> Vec<String> {
    let text = read(path).replace("#[cfg(test)]", "");
    Source::parse(path, &text).functions().into_iter().map(|function| function.name).collect()
}
