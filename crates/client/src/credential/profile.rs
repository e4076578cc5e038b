//! The files that AWS's own tools share: sections of settings, and keys as processes and services write them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::lookup::Lookup;
use super::sign::{AccessKey, refuse};
use super::when::read_iso;
use crate::codec::Result;
use crate::secret::Secret;

/// The settings of one profile, file by file.
#[derive(Default)]
pub(super) struct Profile {
    /// Of the file with secrets: what it says counts.
    shared: Settings,
    config: Settings,
}

type Settings = HashMap<String, String>;

impl Profile {
    /// Both files' settings of that name.
    pub(super) fn read(name: &str, lookup: &mut Lookup<'_>) -> Result<Self> {
        let [shared, config] = files(lookup);
        let mut settings = |file: &Path, is_title: fn(&str, &str) -> bool| {
            let text = file.is_file().then(|| lookup.read_shared(file)).transpose()?;
            Ok(text.map(|text| section(text.expose(), |title| is_title(title, name))).unwrap_or_default())
        };
        Ok(Profile { shared: settings(&shared, |title, name| title == name)?, config: settings(&config, is_profile)? })
    }

    /// The settings of a single sign-on that profiles name: `[sso-session name]`.
    pub(super) fn read_sign_on(name: &str, lookup: &mut Lookup<'_>) -> Result<Self> {
        let [_, config] = files(lookup);
        let text = config.is_file().then(|| lookup.read_shared(&config)).transpose()?;
        let is_title = |title: &str| title.strip_prefix("sso-session").is_some_and(|rest| unquote(rest.trim()) == name);
        let config = text.map(|text| section(text.expose(), is_title)).unwrap_or_default();
        Ok(Profile { shared: Settings::new(), config })
    }

    /// One setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.shared.get(name).or_else(|| self.config.get(name)).map(String::as_str)
    }

    /// The keys that stand in the file with secrets.
    pub(super) fn shared_keys(&self) -> Option<AccessKey> {
        keys(&self.shared)
    }

    /// The keys that stand in the other.
    pub(super) fn config_keys(&self) -> Option<AccessKey> {
        keys(&self.config)
    }
}

/// A pair is whole in one file, and so is the token that belongs to it.
fn keys(settings: &Settings) -> Option<AccessKey> {
    let get = |name: &str| settings.get(name).map(|text| Secret::new(text));
    let (id, secret) = (get("aws_access_key_id")?, get("aws_secret_access_key")?);
    Some(with_token(AccessKey::new(id, secret), get("aws_session_token")))
}

/// The files: the one with secrets first.
pub(super) fn files(lookup: &Lookup<'_>) -> [PathBuf; 2] {
    let path = |variable: &str, usual: &str| lookup.expand(lookup.variable(variable).unwrap_or(usual));
    [path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), path("AWS_CONFIG_FILE", "~/.aws/config")]
}

/// Whether a title of the file without secrets is that of a profile: `[profile name]`, `[profile "two words"]`,
/// `[default]`.
fn is_profile(title: &str, name: &str) -> bool {
    let Some(rest) = title.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])) else {
        return title == "default" && name == title;
    };
    unquote(rest.trim()) == name
}

fn unquote(title: &str) -> &str {
    let within = |quote: char| title.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(title)
}

/// The settings of the sections with such a title, the first of each name. A title ends with the last bracket of its line;
/// a line that begins as one ends the section before it, whatever follows. Nested settings are left out.
fn section(text: &str, is_title: impl Fn(&str) -> bool) -> Settings {
    let (mut inside, mut settings) = (false, Settings::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if let Some(rest) = line.trim_start().strip_prefix('[') {
            inside = rest.rsplit_once(']').is_some_and(|(title, _)| is_title(title.trim()));
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let value = value.trim();
        if inside && !line.starts_with([' ', '\t']) && !value.is_empty() {
            settings.entry(key.trim().to_ascii_lowercase()).or_insert_with(|| value.to_owned());
        }
    }
    settings
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_begin_and_end_where_others_see_them_do() {
        let text = "\u{20}\nregion = lost\n[prod] # main\nregion = p\n[ dev ]\nregion: d\nurl = http://x:1\nKEY=a=b ; c\n[broken\n\
                    region = nobody's\nextra = e\n[prod]\nregion = second\nmore = m\ns3 =\n  nested = n\n";
        let of = |name: &str| {
            let mut all: Vec<_> = section(text, |title| title == name).into_iter().collect();
            all.sort();
            all.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("prod"), "more=m region=p");
        assert_eq!(of("dev"), "key=a=b ; c region=d url=http://x:1");
        assert_eq!(of("broken"), "");
    }

    #[test]
    fn profiles_are_named_with_and_without_quotes() {
        for (title, name, is) in [
            ("default", "default", true),
            ("profile default", "default", true),
            ("profile work", "work", true),
            ("profile\t work", "work", true),
            ("profile \"two words\"", "two words", true),
            ("profile 'it'", "it", true),
            ("work", "work", false),
            ("profiles work", "work", false),
            ("sso-session work", "work", false),
            ("profile \"work", "work", false),
        ] {
            assert_eq!(is_profile(title, name), is, "{title}");
        }
    }
}
