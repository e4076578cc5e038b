use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use trunkline_codec::catalog::{
    Auth, Catalog, DIALECTS, Fault, Lang, Provider, ResolveError, SecretRef, matches, parse_patch, parse_provider, provider_table,
};

/// Read once: in a debug build it costs a few tens of milliseconds.
fn builtin() -> Catalog {
    static READ: LazyLock<Catalog> = LazyLock::new(|| Catalog::builtin().unwrap_or_else(|error| panic!("{error}")));
    READ.clone()
}

fn files() -> BTreeMap<String, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let id = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths
        .filter(|path| path.extension().unwrap() == "toml")
        .map(|path| (id(&path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

// Every file.

#[test]
fn every_file_is_in_the_catalogue_and_short() {
    let catalog = builtin();
    let files = files();
    assert_eq!(catalog.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), files.keys().map(String::as_str).collect::<Vec<_>>());
    for (id, text) in &files {
        assert!(text.lines().count() <= 40, "{id} is too long");
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
    }
}

#[test]
fn every_provider_is_complete() {
    for provider in builtin().iter() {
        let id = &provider.id;
        assert!(!provider.name.is_empty() && provider.website.starts_with("https://"), "{id}");
        assert!(provider.dialects.iter().all(|dialect| DIALECTS.contains(&dialect.as_str())), "{id}");
        let distinct: BTreeSet<_> = provider.dialects.iter().collect();
        assert_eq!(distinct.len(), provider.dialects.len(), "{id}");
        let urls = std::iter::once(&provider.base_url).chain(provider.dialect_url.values());
        for url in urls {
            assert_eq!(url.starts_with("http://127.0.0.1"), provider.local, "{id}: {url}");
            let scheme = if provider.id == "sim" { "sim://" } else { "https://" };
            let scheme = if provider.speaks("spark") { "wss://" } else { scheme };
            assert!(provider.local || url.starts_with(scheme) || url.starts_with("{env:"), "{id}: {url}");
        }
        // The anthropic-messages and gemini dialects bring their own version segment.
        for dialect in ["anthropic-messages", "gemini"] {
            let url = provider.url(dialect);
            assert!(!provider.speaks(dialect) || !(url.ends_with("/v1") || url.ends_with("/messages")), "{id}: {url}");
        }
        assert!(!provider.speaks("anthropic-messages") || provider.quirks.max_tokens_default.is_some(), "{id}");
        assert!(provider.local || id == "sim" || !provider.auth.env_names().is_empty(), "{id} has no variable");
        assert!(!matches!(provider.auth.secret(), Some(SecretRef::Literal(_))), "{id} carries a secret");
    }
}

#[test]
fn one_variable_readies_one_provider() {
    let mut owners = BTreeMap::new();
    for provider in builtin().iter() {
        for name in provider.auth.env_names().iter().chain(&provider.base_url_env) {
            let earlier = owners.insert(name.clone(), provider.id.clone());
            assert_eq!(earlier, None, "{name} belongs to {} too", provider.id);
        }
    }
}

/// Two providers of one maker may claim the same models: the user chooses the region by the key.
#[test]
fn patterns_of_different_makers_do_not_meet() {
    let catalog = builtin();
    let maker = |p: &Provider| match p.id.as_str() {
        "zai" => "zhipu".to_owned(),
        id => id.trim_end_matches("-intl").to_owned(),
    };
    let all: Vec<(&Provider, &String)> = catalog.iter().flat_map(|p| p.models.iter().map(move |m| (p, m))).collect();
    for (left, pattern) in &all {
        assert!(pattern.trim_matches('*').len() > 2 || ["o1", "o3"].contains(&pattern.as_str()), "{pattern} says too little");
        for sample in [pattern.replace('*', ""), pattern.replace('*', "-x1")] {
            for (right, other) in &all {
                assert!(
                    maker(left) == maker(right) || !matches(other, &sample),
                    "{}: {pattern} meets {}: {other}",
                    left.id,
                    right.id
                );
            }
        }
    }
}

#[test]
fn the_table_lists_everyone_once() {
    let catalog = builtin();
    for lang in [Lang::English, Lang::Chinese] {
        let table = provider_table(&catalog, lang);
        assert_eq!(table.lines().count(), catalog.len() + 2);
        assert!(table.lines().all(|line| line.matches('|').count() == 5), "{table}");
    }
    let table = provider_table(&catalog, Lang::English);
    assert!(table.contains(
        "| [DeepSeek](https://api-docs.deepseek.com) | `deepseek` | `openai-chat`, `anthropic-messages`, `openai-responses` | `DEEPSEEK_API_KEY` |\n"
    ));
}

// Errors.

const GOOD: &str = "base_url = 'https://a.example/v1'\ndialects = ['openai-chat']\nauth = { bearer = 'env:A' }\n";

fn error(text: &str) -> String {
    parse_provider("house", text).unwrap_err().to_string()
}

#[test]
fn an_unknown_key_names_line_key_and_nearest() {
    assert_eq!(
        error("name = 'House'\nbase_ulr = 'https://a.example'\n"),
        "house, line 2: unknown key `base_ulr`; the nearest known key is `base_url`"
    );
    assert_eq!(
        error(&format!("{GOOD}\n[quirks]\nstream_usge = true\n")),
        "house, line 6: unknown key `stream_usge`; the nearest known key is `stream_usage`"
    );
    assert_eq!(
        error(&format!("{GOOD}quirks = {{ reasoning = 'efort' }}\n")),
        "house, line 4: unknown value `efort`; the nearest known value is `effort`"
    );
    assert_eq!(error("auth = { baerer = 'env:A' }"), "house, line 1: unknown key `baerer`; the nearest known key is `bearer`");
    assert_eq!(error(&format!("{GOOD}zzz = 1\n")), "house, line 4: unknown key `zzz`");
}

#[test]
fn a_wrong_value_says_what_is_wrong() {
    let with = |line: &str| error(&format!("{GOOD}{line}\n"));
    assert_eq!(error("dialects = ['openai-chat']\nauth = { none = true }"), "house: `base_url` is missing");
    assert_eq!(error("base_url = 'https://a.example'\nauth = { none = true }"), "house: `dialects` is missing");
    assert!(error("base_url = 'https://a.example'\ndialects = ['gemini']").contains("auth = { none = true }"));
    assert_eq!(
        error("base_url = 'https://a.example'\ndialects = ['openai-chta']\nauth = { none = true }"),
        "house: unknown dialect `openai-chta`; the nearest known dialect is `openai-chat`"
    );
    assert_eq!(
        with("quirks = { refuses = ['logit_bais'] }"),
        "house: unknown request field `logit_bais`; the nearest known request field is `logit_bias`"
    );
    assert!(with("dialect_url = { gemini = 'https://b.example' }").contains("`gemini`"),);
    assert!(error(&GOOD.replace("https://a", "a")).contains("not an http or https address"));
    assert!(with("name = 3").starts_with("house, line 4: invalid type"));
    assert!(with("name = ").starts_with("house, line 4: "));
    for id in ["", "a/b", "a b", "-a", &"a".repeat(65)] {
        assert!(parse_provider(id, GOOD).is_err(), "{id}");
    }
}

// Patches.

fn patched(id: &str, text: &str) -> Provider {
    let mut catalog = builtin();
    catalog.apply(id, parse_patch(id, text).unwrap()).unwrap();
    catalog.get(id).unwrap().clone()
}

#[test]
fn a_patch_changes_only_what_it_names() {
    let before = builtin().get("anthropic").unwrap().clone();
    let after =
        patched("anthropic", "api_key = 'file:/run/key'\nquirks = { max_tokens_default = 100 }\nheaders = { x-team = 'a' }");
    assert_eq!(after.auth, Auth::Header { name: "x-api-key".to_owned(), value: SecretRef::File("/run/key".to_owned()) });
    assert_eq!(after.quirks.max_tokens_default, Some(100));
    assert_eq!(after.quirks.temperature_max, before.quirks.temperature_max);
    assert_eq!(after.headers.keys().collect::<Vec<_>>(), ["x-team"]);
    assert_eq!((after.base_url, after.models, after.base_url_env), (before.base_url, before.models, before.base_url_env));
}

#[test]
fn a_new_table_is_a_new_provider() {
    let house = patched("house", "base_url = 'http://127.0.0.1:9100/v1/'\ndialects = ['openai-chat']\napi_key = 'secret-word'");
    assert_eq!(house.base_url, "http://127.0.0.1:9100/v1");
    assert_eq!(house.auth, Auth::Bearer(SecretRef::Literal("secret-word".to_owned())));
    assert!(!format!("{house:?}").contains("secret-word"));
    let mut catalog = Catalog::default();
    let wrong = catalog.apply("house", parse_patch("house", "name = 'x'").unwrap()).unwrap_err();
    assert!(matches!(wrong.fault, Fault::Wrong(_)) && catalog.is_empty());
}

#[test]
fn another_base_url_never_leaves_a_dialect_at_the_old_host() {
    let elsewhere = patched("moonshot", "base_url = 'https://api.moonshot.ai/v1'");
    assert_eq!(elsewhere.url("openai-chat"), "https://api.moonshot.ai/v1");
    assert_eq!(elsewhere.url("anthropic-messages"), "https://api.moonshot.ai/anthropic");
    assert!(elsewhere.base_url_env.is_empty(), "the file outranks the environment");

    let proxied = patched("moonshot", "base_url = 'http://proxy.example/kimi/v1'");
    assert_eq!(proxied.dialects, ["openai-chat"]);
    let told = patched(
        "moonshot",
        "base_url = 'http://proxy.example/kimi/v1'\ndialect_url = { anthropic-messages = 'http://proxy.example/kimi/a' }",
    );
    assert_eq!(told.dialects, ["openai-chat", "anthropic-messages"]);
    assert_eq!(told.url("anthropic-messages"), "http://proxy.example/kimi/a");
}

#[test]
fn a_local_address_may_be_short() {
    let mut catalog = builtin();
    assert!(catalog.set_base_url("ollama", "0.0.0.0:9999").unwrap());
    let ollama = catalog.get("ollama").unwrap();
    assert_eq!(ollama.url("openai-chat"), "http://127.0.0.1:9999/v1");
    assert_eq!(ollama.url("anthropic-messages"), "http://127.0.0.1:9999");
    assert!(!catalog.set_base_url("nobody", "http://a").unwrap());
    assert!(catalog.set_base_url("openai", "0.0.0.0:9999").is_err());
}

#[test]
fn ready_means_a_secret_and_not_a_local_server() {
    let catalog = builtin();
    let ready = |id: &str, set: &str| catalog.get(id).unwrap().is_ready(&|name| name == set);
    assert!(ready("gemini", "GEMINI_API_KEY") && ready("gemini", "GOOGLE_API_KEY"));
    assert!(!ready("gemini", "OPENAI_API_KEY"));
    assert!(!ready("ollama", "OLLAMA_HOST") && !ready("vllm", "VLLM_API_KEY"));
    assert!(patched("openai", "api_key = 'cmd:pass show it'").is_ready(&|_| false));
}

// Names.

fn resolve(name: &str, ready: &[&str]) -> Result<String, ResolveError> {
    let catalog = builtin();
    let (provider, model) = catalog.resolve(name, &|id| ready.contains(&id))?;
    Ok(format!("{} | {model}", provider.id))
}

#[test]
fn names_are_read_from_the_left() {
    for (name, ready, found) in [
        ("groq/openai/gpt-oss-120b", &[][..], "groq | openai/gpt-oss-120b"),
        ("openai/gpt-4o-mini", &["openai"], "openai | gpt-4o-mini"),
        ("gpt-4o-mini", &["openai", "groq"], "openai | gpt-4o-mini"),
        ("claude-sonnet-4-5", &["anthropic"], "anthropic | claude-sonnet-4-5"),
        ("gpt-oss-120b", &["openai", "cerebras"], "cerebras | gpt-oss-120b"),
        ("kimi-k3", &["moonshot-intl"], "moonshot-intl | kimi-k3"),
        ("accounts/fireworks/models/glm-5p3", &["fireworks"], "fireworks | accounts/fireworks/models/glm-5p3"),
        ("ollama/qwen3:8b", &[], "ollama | qwen3:8b"),
        ("sim/echo", &[], "sim | echo"),
    ] {
        assert_eq!(resolve(name, ready).as_deref(), Ok(found), "{name}");
    }
}

#[test]
fn a_name_that_leads_nowhere_says_why() {
    let says = |name: &str, ready: &[&str]| resolve(name, ready).unwrap_err().to_string();
    assert_eq!(says("glm-5.2", &["zhipu", "zai"]), "several providers serve `glm-5.2`; choose one: zai/glm-5.2, zhipu/glm-5.2");
    assert_eq!(says("claude-opus-5", &[]), "`claude-opus-5` is served by anthropic, not set up here; set ANTHROPIC_API_KEY");
    assert_eq!(
        says("opnai/gpt-4o", &["openai"]),
        "no provider claims the model name `opnai/gpt-4o`; did you mean `openai/gpt-4o`?"
    );
    assert_eq!(says("sonr", &["perplexity"]), "no provider claims the model name `sonr`; did you mean `sonar`?");
    assert_eq!(says("antropic", &[]), "no provider claims the model name `antropic`; did you mean `anthropic/…`?");
    assert_eq!(
        says("something-else-entirely", &[]),
        "no provider claims the model name `something-else-entirely`; write provider/model"
    );
    assert_eq!(
        says("elsewhere-entirely/x", &[]),
        "no provider claims the model name `elsewhere-entirely/x`, and there is no provider `elsewhere-entirely`"
    );
    assert_eq!(says("openai/", &["openai"]), "`openai/` names no model; write provider/model");
    assert_eq!(says("", &[]), "`` names no model; write provider/model");
}

proptest::proptest! {
    /// Whatever is written, reading it ends in a value or an error.
    #[test]
    fn reading_never_panics(text in "\\PC{0,200}", name in "\\PC{0,60}") {
        let _ = parse_provider("house", &text);
        let _ = parse_patch("house", &format!("base_url = \"{text}\""));
        let mut catalog = Catalog::default();
        let _ = catalog.apply(&name, parse_patch("x", GOOD).unwrap());
        let _ = catalog.set_base_url(&name, &text);
        let _ = builtin().get("ollama").unwrap().clone().set_base_url(&text);
        let _ = builtin().resolve(&name, &|_| true);
    }
}

#[test]
fn several_credentials_take_the_scheme_of_their_provider() {
    let after = patched(
        "anthropic",
        "api_keys = ['env:A', { key = 'env:B', models = ['claude-*'], share = 2 }, { auth = { bearer = 'env:C' }, endpoints = ['/v1/messages'] }]",
    );
    let schemes: Vec<_> = after.api_keys.iter().map(|key| key.auth.clone()).collect();
    let env = |name: &str| SecretRef::Env(vec![name.to_owned()]);
    let header = |name: &str| Auth::Header { name: "x-api-key".to_owned(), value: env(name) };
    assert_eq!(schemes, [header("A"), header("B"), Auth::Bearer(env("C"))]);
    assert_eq!(after.api_keys.iter().map(|key| key.share).collect::<Vec<_>>(), [1, 2, 1]);
    let limits = &after.api_keys[1].limits;
    assert!(limits.allow("claude-x", "anthropic-messages", "/v1/messages") && !limits.allow("gpt-4", "openai-chat", "/x"));
    assert!(!after.api_keys[2].limits.allow("claude-x", "anthropic-messages", "/v1/messages/count_tokens?beta=true"));
    let mut catalog = builtin();
    let mut wrong = |text: &str| match parse_patch("openai", text).map(|patch| catalog.apply("openai", patch)) {
        Ok(Err(error)) | Err(error) => error.to_string(),
        Ok(Ok(())) => panic!("{text} passes"),
    };
    assert!(wrong("api_keys = []").contains("`api_keys` is empty"));
    assert!(wrong("api_keys = ['a']\napi_key = 'b'").contains("put all of them into `api_keys`"));
    assert!(wrong("api_keys = [{ key = 'a', share = 0 }]").contains("`share` is a whole number"));
    assert!(wrong("api_keys = [{ models = ['a'] }]").contains("has either `key` or `auth`"));
    assert!(wrong("api_keys = [{ key = 'a', dialects = ['openai-chatt'] }]").contains("openai-chat"));
}
