//! All prompts as they are at one time, and which version a name means.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use trunkline::codec::catalog::nearest;
use trunkline::{Error, Kind, Origin, Result};
use trunkline_store::PromptRow;

use super::{Form, Prompt};

/// What a model's name begins with when it is a prompt's.
pub const PREFIX: &str = "prompt:";
/// The label of the version that is meant where none is named and none are shared out.
const LIVE: &str = "live";

/// Prompts by name. To be read only: a change makes another one.
#[derive(Debug, Default)]
pub struct Prompts(BTreeMap<String, Entry>);

#[derive(Debug, Default)]
struct Entry {
    /// What could not be read any more is an error whenever it is asked for.
    versions: BTreeMap<u32, Result<Arc<Prompt>>>,
    labels: BTreeMap<String, u32>,
    shares: BTreeMap<u32, u32>,
}

/// The prompt that a name means.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The prompt.
    pub prompt: Arc<Prompt>,
    /// `NAME@VERSION`.
    pub name: String,
}

/// Whether a prompt may be called so: letters, digits, `-`, `_`, `.` and `/`, in any script.
pub fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !name.is_empty() && name.len() <= 128 && name.chars().all(fine)
}

impl Prompts {
    /// As the store has them. Those that `self` has already are not read again.
    #[must_use]
    pub fn refresh(&self, rows: Vec<PromptRow>) -> Self {
        let entry = |row: PromptRow| {
            let PromptRow { name, versions, labels, shares } = row;
            let before = self.0.get(&name);
            let version = |row: trunkline_store::VersionRow| {
                let known = before.and_then(|entry| entry.versions.get(&row.version)).cloned();
                let read = || {
                    let form = Form::find(&row.form).unwrap_or(Form::Toml);
                    Prompt::parse(&row.source, form, &format!("prompt {name}@{}", row.version)).map(Arc::new)
                };
                (row.version, known.unwrap_or_else(read))
            };
            let versions = versions.into_iter().map(version).collect();
            (name.clone(), Entry { versions, labels, shares })
        };
        Prompts(rows.into_iter().map(entry).collect())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The prompt behind `NAME`, `NAME@3` or `NAME@LABEL`. Where versions share the calls, those of one `stick` (a session, a
    /// user) always find the same; without one, `seed` decides.
    ///
    /// # Errors
    /// `NotFound` with the nearest name; or what is wrong with its text.
    pub fn choose(&self, asked: &str, stick: Option<&str>, seed: u64) -> Result<Chosen> {
        let (name, which) = asked.rsplit_once('@').map_or((asked, None), |(name, which)| (name, Some(which)));
        let entry = self.0.get(name).ok_or_else(|| {
            let near = nearest(name, self.names()).map(|near| format!("; did you mean `{near}`?"));
            missing(format!("there is no prompt `{name}`{}", near.unwrap_or_default()))
        })?;
        let version = match which {
            Some(which) => entry.find(which),
            None => entry.usual(stick.map_or(seed, |stick| hash(&(name, stick)))),
        };
        let found = version.and_then(|version| Some((version, entry.versions.get(&version)?)));
        let (version, prompt) = found.ok_or_else(|| {
            let labels = entry.labels.keys().map(String::as_str);
            let near = which.and_then(|which| nearest(which, labels)).map(|near| format!("; did you mean `{name}@{near}`?"));
            let all =
                || format!("; it has versions {}", entry.versions.keys().map(u32::to_string).collect::<Vec<_>>().join(", "));
            missing(format!("the prompt `{name}` has no `{}`{}", which.unwrap_or(LIVE), near.unwrap_or_else(all)))
        })?;
        Ok(Chosen { prompt: Arc::clone(prompt.as_ref().map_err(Clone::clone)?), name: format!("{name}@{version}") })
    }
}

impl Entry {
    fn find(&self, which: &str) -> Option<u32> {
        which.parse().ok().or_else(|| self.labels.get(which).copied())
    }

    fn usual(&self, throw: u64) -> Option<u32> {
        let all: u64 = self.shares.values().map(|share| u64::from(*share)).sum();
        if let Some(mut left) = throw.checked_rem(all) {
            for (version, share) in &self.shares {
                match left.checked_sub(u64::from(*share)) {
                    Some(rest) => left = rest,
                    None => return Some(*version),
                }
            }
        }
        self.labels.get(LIVE).copied().or_else(|| self.versions.keys().next_back().copied())
    }
}

/// The same in every process of this version, and spread evenly.
fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn missing(what: String) -> Error {
    Error::new(Kind::NotFound, Origin::Caller, what).at("model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};
    use trunkline::ir::{Message, Request, Role};
    use trunkline_store::VersionRow;

    fn row(name: &str, sources: &[&str]) -> PromptRow {
        let version =
            |(version, source): (u32, &&str)| VersionRow { version, form: "toml".into(), source: (*source).into(), made_us: 0 };
        PromptRow { name: name.into(), versions: (1..).zip(sources).map(version).collect(), ..PromptRow::default() }
    }

    fn given(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_name_means_a_version_a_label_a_share_or_the_newest() {
        let mut greet = row("问候/a-b", &["prompt = '1'", "prompt = '2'", "prompt = '{% if %}'"]);
        let prompts = Prompts::default().refresh(vec![greet.clone()]);
        assert!(
            prompts.choose("问候/a-b", None, 0).unwrap_err().message.contains("prompt 问候/a-b@3, line 1: prompt is no template")
        );
        assert_eq!(prompts.choose("问候/a-b@2", None, 0).unwrap().name, "问候/a-b@2");
        greet.labels.insert("live".into(), 1);
        greet.labels.insert("next".into(), 2);
        let prompts = prompts.refresh(vec![greet.clone()]);
        assert_eq!(prompts.choose("问候/a-b", None, 9).unwrap().name, "问候/a-b@1");
        assert_eq!(prompts.choose("问候/a-b@next", None, 9).unwrap().name, "问候/a-b@2");
        assert!(prompts.choose("问候/a-b@nxt", None, 9).unwrap_err().message.ends_with("did you mean `问候/a-b@next`?"));
        assert!(prompts.choose("问候/a-b@7", None, 9).unwrap_err().message.ends_with("it has versions 1, 2, 3"));
        assert!(prompts.choose("问候/a", None, 9).unwrap_err().message.contains("there is no prompt `问候/a`"));
        greet.shares = BTreeMap::from([(1, 90), (2, 10)]);
        let prompts = prompts.refresh(vec![greet]);
        let count = |stick: fn(u64) -> Option<String>| {
            let of = |seed| prompts.choose("问候/a-b", stick(seed).as_deref(), seed).unwrap().name;
            (0..2000).filter(|seed| of(*seed) == "问候/a-b@2").count()
        };
        assert_eq!(count(|_| None), 200);
        let spread = count(|seed| Some(format!("user-{seed}")));
        assert!((120..280).contains(&spread), "{spread}");
        assert!([0, 2000].contains(&count(|_| Some("one".into()))), "one user stays with one version");
    }

    #[test]
    fn a_prompt_goes_before_what_the_caller_says() {
        let source = "about = 'x'\ntask = 'creative'\nmax_tokens = 9\ntemperature = 0.5\nsystem = 'For {{ company }}.'\nprompt = \"\"\"\n{{ n + 1 }} {{ list | join('-') }}\"\"\"\n\
                      messages = [{ role = 'user', text = 'a' }, { role = 'assistant', text = 'b' }]\n[vars]\ncompany = 'us'\nn = { type = 'number' }\nlist = { type = 'list', default = [] }\n";
        let prompt = Prompt::parse(source, Form::Toml, "p").unwrap();
        let mut request =
            Request { max_tokens: Some(5), messages: vec![Message::text(Role::User, "mine")], ..Request::default() };
        prompt.extend(&mut request, &given(&json!({ "n": "4", "list": ["x", "y"] }))).unwrap();
        let said: Vec<_> = request.messages.iter().map(|message| (message.role, message.plain_text())).collect();
        let wanted =
            [(Role::System, "For us."), (Role::User, "a"), (Role::Assistant, "b"), (Role::User, "5 x-y"), (Role::User, "mine")];
        assert_eq!(said, wanted.map(|(role, text)| (role, text.to_owned())));
        assert_eq!(
            (request.model.as_str(), request.max_tokens, request.sampling.temperature),
            ("task:creative", Some(5), Some(0.5))
        );
        for (values, told) in [
            (json!({}), "n is not set"),
            (json!({ "n": "x" }), "n is a number, and \"x\" is none"),
            (json!({ "n": true }), "n is a number"),
            (json!({ "n": 1, "m": 1 }), "has no variable m; it takes company, n, list"),
            (json!({ "n": "@/etc/hostname" }), "n is a number, and \"@/etc/hostname\" is none"),
        ] {
            let error = prompt.messages(&given(&values)).unwrap_err();
            assert!(error.message.contains(told), "{values}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (source, line, told) in [
            ("promt = 'x'", 1, "did you mean prompt?"),
            ("about = 'x'", 1, "needs words"),
            ("prompt = '{{ tone }}'", 1, "tone, which is no variable"),
            ("prompt = '''\nx\n{{ tome }}'''\n[vars]\ntone = 1", 3, "did you mean tone?"),
            ("prompt = 'x'\nmodel = 'prompt:y'", 2, "cannot ask another prompt"),
            ("messages = [\n{ role = 'user' },\n]", 2, "has a text"),
            ("messages = [\n{ role = 'usr', text = 'x' },\n]", 2, "one of system, user and assistant"),
        ] {
            let error = Prompt::parse(source, Form::Toml, "p").unwrap_err();
            assert!(error.message.starts_with(&format!("p, line {line}: ")) && error.message.contains(told), "{source}: {error}");
        }
        let yaml =
            Prompt::parse("messages:\n  - role: user\n    text: |\n      a\n      {{ b }}\n", Form::Yaml, "p").unwrap_err();
        assert!(yaml.message.starts_with("p, line 5: text asks for b"), "{yaml}");
    }
}
