//! Where AWS's own tools look for keys without being told: variables, then the shared files. No address is contacted.

use std::collections::HashMap;
use std::path::PathBuf;

use super::lookup::Lookup;
use super::sign::{AccessKey, refuse};
use crate::codec::Result;
use crate::codec::catalog::SecretRef;
use crate::secret::Secret;

/// Keys, and the region of the profile that they were found in.
pub(super) fn find(profile: Option<&str>, lookup: &mut Lookup<'_>) -> Result<(AccessKey, Option<String>)> {
    if profile.is_none()
        && let (Some(id), Some(secret)) = (lookup.variable("AWS_ACCESS_KEY_ID"), lookup.variable("AWS_SECRET_ACCESS_KEY"))
    {
        let key = AccessKey::new(Secret::new(id), Secret::new(secret));
        let token = lookup.variable("AWS_SESSION_TOKEN").map(Secret::new);
        return Ok((hide(with_token(key, token), lookup), None));
    }
    let name = profile.map_or_else(|| named_profile(lookup), str::to_owned);
    let mut settings = HashMap::new();
    for file in files(lookup).into_iter().filter(|file| file.is_file()) {
        let text = lookup.read(&file)?;
        // What the first file says counts.
        for (key, value) in section(text.expose(), &name) {
            settings.entry(key).or_insert(value);
        }
    }
    let region = settings.remove("region");
    if let Some(command) = settings.remove("credential_process") {
        let lifetime = crate::codec::catalog::CMD_LIFETIME;
        let printed = lookup.need_plain(&SecretRef::Cmd { command, lifetime })?;
        return Ok((hide(read_keys(&printed)?, lookup), region));
    }
    let (Some(id), Some(secret)) = (settings.remove("aws_access_key_id"), settings.remove("aws_secret_access_key")) else {
        return Err(refuse(format!(
            "no AWS keys: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set, nor does the profile `{name}` of the shared files hold any"
        )));
    };
    let key = AccessKey::new(Secret::new(&id), Secret::new(&secret));
    Ok((hide(with_token(key, settings.remove("aws_session_token").map(|token| Secret::new(&token))), lookup), region))
}

/// Whether keys may be found, as far as a look from outside tells.
pub(super) fn is_there(profile: Option<&str>, lookup: &Lookup<'_>) -> bool {
    profile.is_some() || lookup.variable("AWS_ACCESS_KEY_ID").is_some() || files(lookup).iter().any(|file| file.is_file())
}

/// The region that the variables name.
pub(super) fn region(lookup: &Lookup<'_>) -> Option<Secret> {
    lookup.variable("AWS_REGION").or_else(|| lookup.variable("AWS_DEFAULT_REGION")).map(Secret::new)
}

fn with_token(key: AccessKey, token: Option<Secret>) -> AccessKey {
    match token {
        Some(token) => key.with_session(token),
        None => key,
    }
}

fn hide(key: AccessKey, lookup: &mut Lookup<'_>) -> AccessKey {
    lookup.secrets.push(key.secret.clone());
    lookup.secrets.extend(key.session.clone());
    key
}

fn named_profile(lookup: &Lookup<'_>) -> String {
    let named = lookup.variable("AWS_PROFILE").or_else(|| lookup.variable("AWS_DEFAULT_PROFILE"));
    named.unwrap_or("default").to_owned()
}

/// Every variable that has a say.
pub(super) const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];

/// The shared files: the one with secrets first.
fn files(lookup: &Lookup<'_>) -> [PathBuf; 2] {
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

/// Keys as a credential process prints them, or a metadata service answers:
/// `{"AccessKeyId": …, "SecretAccessKey": …, "SessionToken" or "Token": …}`.
pub(super) fn read_keys(json: &Secret) -> Result<AccessKey> {
    let value: serde_json::Value = serde_json::from_str(json.expose()).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty()).map(Secret::new);
    match (text("AccessKeyId"), text("SecretAccessKey")) {
        (Some(id), Some(secret)) => Ok(with_token(AccessKey::new(id, secret), text("SessionToken").or_else(|| text("Token")))),
        _ => Err(refuse("what should be AWS keys holds no AccessKeyId and SecretAccessKey")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::credential::lookup::COMMAND_PATIENCE;

    fn chain(profile: Option<&str>, variables: &[(&str, &str)]) -> Result<(String, Option<String>)> {
        let environment = Environment::of(variables.iter().copied());
        let mut lookup = Lookup::new(&environment, COMMAND_PATIENCE);
        let (key, region) = find(profile, &mut lookup)?;
        assert!(lookup.secrets.contains(&key.secret), "it is not hidden");
        let session = key.session.as_ref().map_or("", Secret::expose);
        Ok((format!("{} {} {session}", key.id.expose(), key.secret.expose()), region))
    }

    #[test]
    fn variables_come_first_then_the_profile_of_the_shared_files() {
        let folder = std::env::temp_dir().join(format!("trunkline-chain-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (credentials, config) = (folder.join("credentials"), folder.join("config"));
        let keys = "# mine\n[default]\naws_access_key_id = D1\naws_secret_access_key=d-secret\n\n[work]\naws_access_key_id=W1\n\
                    aws_secret_access_key = w=secret/+\naws_session_token = w-token\ns3 =\n  max_concurrent_requests = 20\n";
        std::fs::write(&credentials, keys).unwrap();
        std::fs::write(
            &config,
            "[profile work]\nregion = eu-west-1\naws_access_key_id = never\n[profile made]\ncredential_process = \
             printf '{\"Version\":1,\"AccessKeyId\":\"M1\",\"SecretAccessKey\":\"m-secret\",\"SessionToken\":\"m-token\"}'\n",
        )
        .unwrap();
        let files =
            [("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()), ("AWS_CONFIG_FILE", config.to_str().unwrap())];
        let with = |more: &[(&'static str, &'static str)]| [&files[..], more].concat();
        assert_eq!(chain(None, &files).unwrap(), ("D1 d-secret ".to_owned(), None));
        assert_eq!(
            chain(None, &with(&[("AWS_PROFILE", "work")])).unwrap(),
            ("W1 w=secret/+ w-token".to_owned(), Some("eu-west-1".to_owned()))
        );
        assert_eq!(chain(Some("made"), &files).unwrap().0, "M1 m-secret m-token");
        let env = [("AWS_ACCESS_KEY_ID", "E1"), ("AWS_SECRET_ACCESS_KEY", "e-secret"), ("AWS_SESSION_TOKEN", "t")];
        assert_eq!(chain(None, &with(&env)).unwrap().0, "E1 e-secret t");
        assert_eq!(chain(Some("default"), &with(&env)).unwrap().0, "D1 d-secret ");
        assert!(chain(Some("nobody"), &files).unwrap_err().message.contains("the profile `nobody`"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
