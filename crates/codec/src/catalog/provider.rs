//! A provider: who serves models, where, and how it is spoken to. Data only; a provider's name stands in its file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::address::{complete_local, split_address};
use super::auth::{ApiKey, ApiKeyPatch, Auth, SecretRef};
use super::batches::Batches;
use super::parse::ParseError;
use super::placeholder::{check, fill};
use super::quirks::{Quirks, QuirksPatch};
use super::resolve::matches;
use crate::dialect::Operation;

/// The dialects that a provider may speak.
pub const DIALECTS: &[&str] = &[
    "openai-chat",
    "openai-completions",
    "openai-responses",
    "anthropic-messages",
    "gemini",
    "cohere-chat",
    "ollama",
    "ollama-generate",
    "bedrock-converse",
    "dashscope",
    "hunyuan",
    "qianfan",
    "spark",
];

/// The most entries of `api_keys`.
pub const API_KEYS_MAX: usize = 64;
/// What may have a path of its own.
const PATHS: &[&str] = &["chat", "chat_stream", "count_tokens"];

/// The longest id, in bytes.
const ID_MAX: usize = 64;

/// One provider, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// What stands before the slash in `provider/model`: the name of its file, or of its table in a configuration.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where its documentation or console is.
    pub website: String,
    /// The address that its own SDK calls the base, without a slash at the end: where openai-chat is spoken it ends in a
    /// version segment, where anthropic-messages or gemini is spoken it does not.
    pub base_url: String,
    /// Environment variables that replace `base_url`, the first that is set wins; see [`Provider::set_base_url`].
    pub base_url_env: Vec<String>,
    /// The dialects that it speaks, the preferred one first. Never empty.
    pub dialects: Vec<String>,
    /// The base address of a dialect that does not live under `base_url`.
    pub dialect_url: BTreeMap<String, String>,
    /// Patterns (`*` only) of the models that a dialect is spoken for, where it is not spoken for all.
    pub dialect_models: BTreeMap<String, Vec<String>>,
    /// Paths that are not the dialect's own, by dialect and then by `chat`, `chat_stream` or `count_tokens`, such as
    /// `/deployments/{model}/chat/completions?version=1`. Appended to the base address.
    pub paths: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables of which one must be set to complete an address; known after [`Provider::fill`].
    pub unset: Vec<String>,
    /// How the secret travels.
    pub auth: Auth,
    /// Credentials to choose from, instead of the one that `auth` names.
    pub api_keys: Vec<ApiKey>,
    /// Headers sent with every call. One whose variable is not set is left out.
    pub headers: BTreeMap<String, SecretRef>,
    /// Values that stand in the body of every translated request, by JSON pointers (`/header/app_id`): the id of an
    /// account, where a wire format has it there. They must be known like the secret.
    pub body_values: BTreeMap<String, SecretRef>,
    /// Where it departs from its dialects.
    pub quirks: Quirks,
    /// Patterns (`*` only) of the bare model names that lead here.
    pub models: Vec<String>,
    /// The dialect in which an operation beyond chat is asked for, by [`Operation::key`](crate::dialect::Operation::key),
    /// where it is not the caller's or the first that has it; `none` for what is not on offer.
    pub operations: BTreeMap<String, String>,
    /// Its interface for many calls at once, if it has one.
    pub batch: Option<Batches>,
    /// A server on this machine: used only when the user names it, and then also without a secret.
    pub local: bool,
    /// Names that other catalogues have for it, so that their lists can be imported.
    pub known_as: Vec<String>,
    /// What one should know of it that no other key says, in English.
    pub notes: Option<String>,
    /// The same in Chinese.
    pub notes_zh: Option<String>,
}

/// A provider as written: everything may be missing, unknown keys are errors. The same keys in `providers/*.toml` and in
/// the `[providers.<id>]` tables of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderPatch {
    /// See [`Provider::name`].
    pub name: Option<String>,
    /// See [`Provider::website`].
    pub website: Option<String>,
    /// See [`Provider::base_url`].
    pub base_url: Option<String>,
    /// See [`Provider::base_url_env`].
    pub base_url_env: Option<Vec<String>>,
    /// See [`Provider::dialects`].
    pub dialects: Option<Vec<String>>,
    /// See [`Provider::dialect_url`].
    pub dialect_url: BTreeMap<String, String>,
    /// See [`Provider::dialect_models`].
    pub dialect_models: BTreeMap<String, Vec<String>>,
    /// See [`Provider::paths`].
    pub paths: BTreeMap<String, BTreeMap<String, String>>,
    /// See [`Provider::auth`].
    pub auth: Option<Auth>,
    /// Another secret for the same scheme; a bearer token where there is no scheme.
    pub api_key: Option<SecretRef>,
    /// Several credentials instead of one.
    pub api_keys: Option<Vec<ApiKeyPatch>>,
    /// See [`Provider::headers`]; added to those that are there.
    pub headers: BTreeMap<String, SecretRef>,
    /// See [`Provider::body_values`]; added to those that are there.
    pub body_values: BTreeMap<String, SecretRef>,
    /// See [`Provider::quirks`]; only those named change.
    pub quirks: QuirksPatch,
    /// See [`Provider::models`].
    pub models: Option<Vec<String>>,
    /// See [`Provider::operations`]; only those named change.
    pub operations: BTreeMap<String, String>,
    /// See [`Provider::batch`].
    pub batch: Option<Batches>,
    /// See [`Provider::local`].
    pub local: Option<bool>,
    /// See [`Provider::known_as`].
    pub known_as: Option<Vec<String>>,
    /// See [`Provider::notes`].
    pub notes: Option<String>,
    /// See [`Provider::notes_zh`].
    pub notes_zh: Option<String>,
}

impl Provider {
    /// A provider that is not in the catalogue, from its table.
    ///
    /// # Errors
    /// When the id, `base_url`, `dialects` or `auth` is missing or wrong.
    pub fn build(id: &str, mut patch: ProviderPatch) -> Result<Self, ParseError> {
        check_id(id)?;
        let missing = |key: &str| ParseError::wrong(id, format!("`{key}` is missing"));
        if patch.auth.is_none() && patch.api_key.is_none() && patch.api_keys.is_none() {
            return Err(ParseError::wrong(id, "`auth` is missing; a server that asks for no key has auth = { none = true }"));
        }
        if patch.dialects.is_none() {
            return Err(missing("dialects"));
        }
        let mut provider = Self {
            id: id.to_owned(),
            name: id.to_owned(),
            website: String::new(),
            base_url: patch.base_url.take().ok_or_else(|| missing("base_url"))?,
            base_url_env: Vec::new(),
            dialects: Vec::new(),
            dialect_url: BTreeMap::new(),
            dialect_models: BTreeMap::new(),
            paths: BTreeMap::new(),
            unset: Vec::new(),
            auth: Auth::None,
            api_keys: Vec::new(),
            headers: BTreeMap::new(),
            body_values: BTreeMap::new(),
            quirks: Quirks::default(),
            models: Vec::new(),
            operations: BTreeMap::new(),
            batch: None,
            local: false,
            known_as: Vec::new(),
            notes: None,
            notes_zh: None,
        };
        provider.merge(patch)?;
        Ok(provider)
    }

    /// Replaces what the patch names. A new `base_url` outranks the environment's, and moves as [`Provider::set_base_url`]
    /// says; after an error the provider is unchanged.
    ///
    /// # Errors
    /// When the outcome would not be a valid provider.
    pub fn merge(&mut self, patch: ProviderPatch) -> Result<(), ParseError> {
        let mut next = self.clone();
        set(&mut next.name, patch.name);
        set(&mut next.website, patch.website);
        set(&mut next.local, patch.local);
        set(&mut next.models, patch.models);
        set(&mut next.known_as, patch.known_as);
        next.batch = patch.batch.or(next.batch);
        next.notes = patch.notes.or(next.notes);
        next.notes_zh = patch.notes_zh.or(next.notes_zh);
        next.operations.extend(patch.operations);
        if let Some(url) = patch.base_url {
            next.set_base_url(&url)?;
            next.base_url_env.clear();
        }
        set(&mut next.base_url_env, patch.base_url_env);
        if let Some(dialects) = patch.dialects {
            next.dialect_url.retain(|dialect, _| dialects.contains(dialect));
            next.dialects = dialects;
        } else {
            let added = patch.dialect_url.keys().filter(|dialect| !next.dialects.contains(dialect));
            next.dialects.extend(added.cloned().collect::<Vec<_>>());
        }
        next.dialect_url.extend(patch.dialect_url);
        next.set_auth(patch.auth, patch.api_key, patch.api_keys)?;
        next.dialect_models.extend(patch.dialect_models);
        next.paths.extend(patch.paths);
        next.headers.extend(patch.headers);
        next.body_values.extend(patch.body_values);
        next.quirks.merge(patch.quirks);
        next.tidy()?;
        *self = next;
        Ok(())
    }

    /// Points the provider at another address: a proxy, another region, another port.
    ///
    /// Dialects with an address of their own come along when only the host changed (`…/v1` stays `…/v1`). Otherwise
    /// nobody can say where they are there, and they are dropped: a call must not go to the old host, key and all.
    /// For a local server scheme, port and path may be left out.
    ///
    /// # Errors
    /// When it is not an `http` or `https` address.
    pub fn set_base_url(&mut self, url: &str) -> Result<(), ParseError> {
        let completed = if self.local { complete_local(&self.base_url, url) } else { url.trim().to_owned() };
        let wrong = || wrong_address(&self.id, "base_url", &completed);
        let (origin, path) = split_address(&completed).ok_or_else(wrong)?;
        let (old_origin, old_path) = split_address(&self.base_url).unwrap_or((&self.base_url, ""));
        let mut moved = BTreeMap::new();
        for (dialect, old) in &self.dialect_url {
            match split_address(old) {
                Some((its_origin, its_path)) if its_origin == old_origin && path == old_path => {
                    moved.insert(dialect.clone(), format!("{origin}{its_path}"));
                }
                _ => self.dialects.retain(|spoken| spoken != dialect),
            }
        }
        let base_url = format!("{origin}{path}");
        self.dialect_url = moved;
        self.base_url = base_url;
        Ok(())
    }

    /// Another scheme, secret or list of secrets. A new one of the first two replaces an older list.
    fn set_auth(
        &mut self,
        auth: Option<Auth>,
        api_key: Option<SecretRef>,
        api_keys: Option<Vec<ApiKeyPatch>>,
    ) -> Result<(), ParseError> {
        if api_keys.as_ref().is_some_and(Vec::is_empty) {
            return Err(ParseError::wrong(&self.id, "`api_keys` is empty; leave it out, or name at least one"));
        }
        if api_keys.as_ref().is_some_and(|keys| keys.len() > API_KEYS_MAX) {
            return Err(ParseError::wrong(&self.id, format!("`api_keys` has more than {API_KEYS_MAX} entries")));
        }
        if api_key.is_some() && api_keys.is_some() {
            return Err(ParseError::wrong(&self.id, "`api_key` and `api_keys` are there; put all of them into `api_keys`"));
        }
        if auth.is_some() || api_key.is_some() {
            self.api_keys.clear();
        }
        set(&mut self.auth, auth);
        if let Some(secret) = api_key {
            self.auth = self.auth.clone().with_secret(secret);
        }
        if let Some(keys) = api_keys {
            self.api_keys = keys.into_iter().map(|key| key.build(&self.auth)).collect();
        }
        Ok(())
    }

    /// The base address for a dialect.
    pub fn url(&self, dialect: &str) -> &str {
        self.dialect_url.get(dialect).unwrap_or(&self.base_url)
    }

    /// Puts the environment's values into addresses and paths (`{env:NAME|=usual}`). Where a variable must be set and is
    /// not, its text stays as it is, and the variable is among `unset`.
    ///
    /// # Errors
    /// When a value makes an address that is none.
    pub fn fill(&mut self, find: &dyn Fn(&str) -> Option<String>) -> Result<(), ParseError> {
        let urls = std::iter::once(&mut self.base_url).chain(self.dialect_url.values_mut());
        for text in urls.chain(self.paths.values_mut().flat_map(|paths| paths.values_mut())) {
            match fill(text, find) {
                Ok(filled) => *text = filled,
                Err(names) if self.unset.is_empty() => self.unset = names,
                Err(_) => {}
            }
        }
        if self.unset.is_empty() { self.tidy() } else { Ok(()) }
    }

    /// The path for a call, where it is not the dialect's own.
    pub fn path(&self, dialect: &str, operation: Operation, stream: bool, model: &str) -> Option<String> {
        let paths = self.paths.get(dialect)?;
        let streamed = (stream && operation == Operation::Chat).then(|| paths.get("chat_stream")).flatten();
        let template = streamed.or_else(|| paths.get(operation.key()))?;
        Some(template.replace("{model}", &encode_segment(model)))
    }

    /// Whether a dialect is spoken for this operation of a model: a dialect with paths of its own has no others.
    pub fn speaks_for(&self, dialect: &str, operation: Operation, model: &str) -> bool {
        let patterns = self.dialect_models.get(dialect);
        self.speaks(dialect)
            && patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, model)))
            && self.paths.get(dialect).is_none_or(|paths| paths.contains_key(operation.key()))
    }

    /// Whether a call can be made without the user naming this provider: `set` says whether an environment variable is
    /// set and not empty. A file, a command or a literal counts as there; a local server is never assumed.
    pub fn is_ready(&self, set: &dyn Fn(&str) -> bool) -> bool {
        let there = match self.api_keys.as_slice() {
            [] => self.auth.is_ready(set),
            keys => keys.iter().any(|key| key.auth.is_ready(set)),
        };
        there && !self.local
    }

    /// Whether it speaks a dialect.
    pub fn speaks(&self, dialect: &str) -> bool {
        self.dialects.iter().any(|spoken| spoken == dialect)
    }

    /// Checks what the types cannot and strips slashes at the end of addresses.
    fn tidy(&mut self) -> Result<(), ParseError> {
        let id = self.id.as_str();
        if self.dialects.is_empty() {
            return Err(ParseError::wrong(id, "`dialects` is empty"));
        }
        let limited = self.api_keys.iter().flat_map(|key| &key.limits.dialects);
        for dialect in self.dialects.iter().chain(self.dialect_url.keys()).chain(limited) {
            if !DIALECTS.contains(&dialect.as_str()) {
                return Err(ParseError::unknown(id, "dialect", dialect, DIALECTS));
            }
        }
        for (operation, dialect) in &self.operations {
            let keys = Operation::KEYS.map(|(_, key)| key);
            if !keys.contains(&operation.as_str()) {
                return Err(ParseError::unknown(id, "operation", operation, &keys));
            }
            if dialect != "none" && !self.dialects.contains(dialect) {
                return Err(ParseError::wrong(id, format!("`operations` names `{dialect}`, which is not among its dialects")));
            }
        }
        if let Some(dialect) = self.dialect_url.keys().find(|dialect| !self.dialects.contains(dialect)) {
            return Err(ParseError::wrong(id, format!("`dialect_url` names `{dialect}`, which is not among its dialects")));
        }
        for dialect in self.dialect_models.keys().chain(self.paths.keys()) {
            if !self.dialects.contains(dialect) {
                return Err(ParseError::wrong(id, format!("`{dialect}` is not among its dialects")));
            }
        }
        for key in self.paths.values().flat_map(BTreeMap::keys) {
            if !PATHS.contains(&key.as_str()) {
                return Err(ParseError::unknown(id, "path", key, PATHS));
            }
        }
        let paths = self.paths.values().flat_map(BTreeMap::values);
        for text in std::iter::once(&self.base_url).chain(self.dialect_url.values()).chain(paths) {
            check(text).map_err(|what| ParseError::wrong(id, format!("a placeholder of `{text}` {what}")))?;
        }
        self.quirks.check(id)?;
        self.batch.as_ref().map_or(Ok(()), |batch| batch.check(id, &self.dialects))?;
        if let Some(pointer) = self.body_values.keys().find(|pointer| !pointer.starts_with('/')) {
            return Err(ParseError::wrong(id, format!("`{pointer}` is not a JSON pointer; it begins with a slash")));
        }
        for name in self.headers.keys() {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(ParseError::wrong(id, format!("`{name}` is not a header's name")));
            }
        }
        for url in std::iter::once(&mut self.base_url).chain(self.dialect_url.values_mut()) {
            let (origin, path) = split_address(url).ok_or_else(|| wrong_address(id, "base_url", url))?;
            url.truncate(origin.len() + path.len());
        }
        Ok(())
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// A model's name as one segment of a path.
fn encode_segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn wrong_address(id: &str, key: &str, url: &str) -> ParseError {
    ParseError::wrong(id, format!("`{key}` is not an http or https address without query: `{url}`"))
}

/// An id stands before a slash in a model's name, in headers and in file names: letters, digits, `-`, `_` and `.`.
fn check_id(id: &str) -> Result<(), ParseError> {
    let starts_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if starts_well && plain && id.len() <= ID_MAX {
        return Ok(());
    }
    Err(ParseError::wrong(
        id,
        "a provider's name is made of letters, digits, `-`, `_` and `.`, and starts with a letter or digit",
    ))
}
