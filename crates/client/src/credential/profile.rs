//! The files that AWS's own tools share: sections of settings, and keys as processes and services write them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::Value;

use super::lookup::Lookup;
use super::sign::{AccessKey, refuse};
use super::when::read_iso;
use crate::codec::Result;
use crate::secret::Secret;

/// The settings of one profile.
#[derive(Default)]
pub(super) struct Profile(HashMap<String, String>);

impl Profile {
    /// Both files' settings of that name.
    pub(super) fn read(name: &str, lookup: &mut Lookup<'_>) -> Result<Self> {
        let mut settings = HashMap::new();
        for file in files(lookup).into_iter().filter(|file| file.is_file()) {
            let text = lookup.read(&file)?;
            // What the first file says counts.
            for (key, value) in section(text.expose(), name) {
                settings.entry(key).or_insert(value);
            }
        }
        Ok(Profile(settings))
    }

    /// One setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The keys that stand in it.
    pub(super) fn keys(&self) -> Option<AccessKey> {
        let (id, secret) = (self.get("aws_access_key_id")?, self.get("aws_secret_access_key")?);
        let key = AccessKey::new(Secret::new(id), Secret::new(secret));
        Some(with_token(key, self.get("aws_session_token").map(Secret::new)))
    }
}

/// The files: the one with secrets first.
pub(super) fn files(lookup: &Lookup<'_>) -> [PathBuf; 2] {
    let path = |variable: &str, usual: &str| lookup.expand(lookup.variable(variable).unwrap_or(usual));
    [path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), path("AWS_CONFIG_FILE", "~/.aws/config")]
}

/// The settings of one profile: `[name]` in one file, `[profile name]` in the other. Nested settings are left out.
fn section<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (String, String)> + use<'a> {
    let mut inside = false;
    let name = name.to_owned();
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with(['#', ';']) {
            return None;
        }
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let title = title.trim();
            inside = title.strip_prefix("profile ").map_or(title, str::trim) == name;
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let plain = inside && !line.starts_with([' ', '\t']);
        plain.then(|| (key.trim().to_ascii_lowercase(), value.trim().to_owned())).filter(|(_, value)| !value.is_empty())
    })
}

/// A pair, temporary if there is a token.
pub(super) fn with_token(key: AccessKey, token: Option<Secret>) -> AccessKey {
    match token {
        Some(token) => key.with_session(token),
        None => key,
    }
}

/// Keys as a credential process prints them, or a metadata service answers:
/// `{"AccessKeyId": …, "SecretAccessKey": …, "SessionToken" or "Token": …, "Expiration": …}`; and when they end.
pub(super) fn read_keys(json: &Secret) -> Result<(AccessKey, Option<SystemTime>)> {
    let value: Value = serde_json::from_str(json.expose()).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(id), Some(secret)) = (text("AccessKeyId"), text("SecretAccessKey")) else {
        return Err(refuse("what should be AWS keys holds no AccessKeyId and SecretAccessKey"));
    };
    let key = AccessKey::new(Secret::new(id), Secret::new(secret));
    let key = with_token(key, text("SessionToken").or_else(|| text("Token")).map(Secret::new));
    let end = text("Expiration").map(|end| read_iso(end).ok_or_else(|| refuse("the Expiration of AWS keys is no date and time")));
    Ok((key, end.transpose()?))
}
