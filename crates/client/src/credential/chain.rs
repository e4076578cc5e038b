//! Where AWS's own tools look for keys without being told: variables, then the shared files, then addresses that
//! variables name. An address that nobody named is not contacted.

use serde_json::Value;

use super::digest::sha1_hex;
use super::lookup::Lookup;
use super::profile::{Profile, files, read_keys, with_token};
use super::sign::{AccessKey, refuse};
use crate::codec::Result;
use crate::codec::catalog::{AWS_STARTS, CMD_LIFETIME};
use crate::secret::Secret;

/// Where keys were found.
pub(super) enum Found {
    /// Here they are.
    Keys(AccessKey),
    /// They belong to a role and must be asked for.
    Role(Role),
    /// Whoever has signed on gets them.
    SignOn(SignOn),
    /// A container's address gives them.
    Container {
        /// The address.
        url: String,
        /// What it wants in `Authorization`.
        token: Option<Secret>,
    },
    /// A machine's metadata service gives them.
    Instance {
        /// Its address.
        url: String,
    },
}

/// Whose keys are asked for, and how whoever asks is known.
pub(super) struct Role {
    pub(super) arn: String,
    /// What the call is called in the records.
    pub(super) session: String,
    pub(super) seconds: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) identity: Identity,
}

/// Who asks for a role's keys.
pub(super) enum Identity {
    /// Whoever has this token.
    Token(Secret),
    /// Whoever has these keys.
    Keys(AccessKey),
}

/// Whose keys are asked for by whoever has signed on.
pub(super) struct SignOn {
    /// The profile, for messages.
    pub(super) profile: String,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) role: String,
    pub(super) token: Secret,
}

/// The host of the address that a container's variable has the path of.
const CONTAINER: &str = "http://169.254.170.2";
/// The name of a session where none is given.
const SESSION: &str = "trunkline";

/// Keys or the way to them, and the region of the profile that they were found in.
pub(super) fn find(profile: Option<&str>, lookup: &mut Lookup<'_>) -> Result<(Found, Option<String>)> {
    if profile.is_none()
        && let Some(key) = of_variables(lookup)
    {
        return Ok((Found::Keys(hide(key, lookup)), None));
    }
    let name = profile.map_or_else(|| named_profile(lookup), str::to_owned);
    let settings = Profile::read(&name, lookup)?;
    let region = settings.get("region").map(str::to_owned);
    let found = match of_role(&name, &settings, profile.is_none(), lookup)? {
        Some(role) => Some(Found::Role(role)),
        None => match of_sign_on(&name, &settings, lookup)? {
            Some(sign_on) => Some(Found::SignOn(sign_on)),
            None => match of_profile(&settings, lookup)? {
                Some(key) => Some(Found::Keys(hide(key, lookup))),
                None if profile.is_none() => of_address(lookup)?,
                None => None,
            },
        },
    };
    found.map(|found| (found, region)).ok_or_else(|| nothing(&name))
}

/// Whether keys may be found, as far as a look from outside tells.
pub(super) fn is_there(profile: Option<&str>, lookup: &Lookup<'_>) -> bool {
    let is_set = |name: &&str| lookup.variable(name).is_some();
    profile.is_some() || AWS_STARTS.iter().any(is_set) || files(lookup).iter().any(|file| file.is_file())
}

/// The region that the variables name.
pub(super) fn region(lookup: &Lookup<'_>) -> Option<Secret> {
    lookup.variable("AWS_REGION").or_else(|| lookup.variable("AWS_DEFAULT_REGION")).map(Secret::new)
}

/// The region of a profile, where variables name none.
pub(super) fn region_of(profile: Option<&str>, lookup: &mut Lookup<'_>) -> Option<String> {
    if region(lookup).is_some() {
        return None;
    }
    let name = profile.map_or_else(|| named_profile(lookup), str::to_owned);
    // What is wrong with a file is said where its keys are needed.
    let settings = Profile::read(&name, lookup).ok()?;
    // It will stand in a host's name.
    let fits = |region: &&str| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    settings.get("region").filter(fits).map(str::to_owned)
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
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
];

fn of_variables(lookup: &Lookup<'_>) -> Option<AccessKey> {
    let (id, secret) = (lookup.variable("AWS_ACCESS_KEY_ID")?, lookup.variable("AWS_SECRET_ACCESS_KEY")?);
    let token = lookup.variable("AWS_SESSION_TOKEN").map(Secret::new);
    Some(with_token(AccessKey::new(Secret::new(id), Secret::new(secret)), token))
}

/// The keys of a profile: those of the file with secrets, else those that its process prints (good until it says, else for
/// a while), else those of the other file.
fn of_profile(settings: &Profile, lookup: &mut Lookup<'_>) -> Result<Option<AccessKey>> {
    if let Some(key) = settings.shared_keys() {
        return Ok(Some(key));
    }
    let Some(command) = settings.get("credential_process") else { return Ok(settings.config_keys()) };
    let (key, end) = read_keys(&lookup.run(command)?)?;
    match end {
        Some(end) => lookup.lasts_until(end),
        None => lookup.lasts_for(CMD_LIFETIME),
    }
    Ok(Some(key))
}

/// The role that a profile names, or that variables do (`by_variable`).
fn of_role(name: &str, settings: &Profile, by_variable: bool, lookup: &mut Lookup<'_>) -> Result<Option<Role>> {
    let role = |arn: &str, session: Option<&str>, identity| Role {
        arn: arn.to_owned(),
        session: session.unwrap_or(SESSION).to_owned(),
        seconds: settings.get("duration_seconds").map(str::to_owned),
        external_id: settings.get("external_id").map(str::to_owned),
        identity,
    };
    let (arn, session) = (settings.get("role_arn"), settings.get("role_session_name"));
    if let (Some(arn), None) = (arn, settings.get("web_identity_token_file"))
        && let Some(key) = of_source(name, settings, lookup)?
    {
        return Ok(Some(role(arn, session, Identity::Keys(hide(key, lookup)))));
    }
    let variable = |name: &str| lookup.variable(name).filter(|_| by_variable);
    let file = variable("AWS_WEB_IDENTITY_TOKEN_FILE").or_else(|| settings.get("web_identity_token_file"));
    let (Some(file), Some(arn)) = (file, variable("AWS_ROLE_ARN").or(arn)) else { return Ok(None) };
    let session = variable("AWS_ROLE_SESSION_NAME").or(session);
    // Whoever runs the container writes a new one now and then: read each time.
    let token = lookup.read(&lookup.expand(file))?;
    lookup.secrets.push(token.clone());
    Ok(Some(role(arn, session, Identity::Token(token))))
}

/// The keys with which a profile's role is asked for.
fn of_source(name: &str, settings: &Profile, lookup: &mut Lookup<'_>) -> Result<Option<AccessKey>> {
    let unable = |why: &str| refuse(format!("the profile `{name}` {why}"));
    if settings.get("mfa_serial").is_some() {
        return Err(unable("has an `mfa_serial`, and nobody is here to type a code; let a `credential_process` give the keys"));
    }
    let key = match (settings.get("source_profile"), settings.get("credential_source")) {
        (Some(source), _) => of_profile(&Profile::read(source, lookup)?, lookup)?,
        (None, Some("Environment")) => of_variables(lookup),
        (None, Some(_)) => return Err(unable("has a `credential_source` that is not supported; `Environment` is")),
        (None, None) => return Ok(None),
    };
    key.map(Some).ok_or_else(|| unable("has a role, but whoever shall ask for its keys has none"))
}

/// Where the token is kept that `aws sso login` gets, under the hash of its session's name, or of its address.
const SIGN_ONS: &str = "~/.aws/sso/cache";

/// The single sign-on that a profile names.
fn of_sign_on(name: &str, settings: &Profile, lookup: &mut Lookup<'_>) -> Result<Option<SignOn>> {
    let (session, start) = (settings.get("sso_session"), settings.get("sso_start_url"));
    let Some(hashed) = session.or(start) else { return Ok(None) };
    let shared = session.map(|session| Profile::read_sign_on(session, lookup)).transpose()?;
    let region = shared.as_ref().map_or_else(|| settings.get("sso_region"), |shared| shared.get("sso_region"));
    let lacks = |what: &str| refuse(format!("the profile `{name}` is one of a single sign-on and lacks `{what}`"));
    let need = |what: &'static str| settings.get(what).map(str::to_owned).ok_or_else(|| lacks(what));
    let (account, role) = (need("sso_account_id")?, need("sso_role_name")?);
    let region = region.ok_or_else(|| lacks("sso_region"))?.to_owned();
    let over = || refuse(format!("nobody has signed on for the profile `{name}`; run `aws sso login --profile {name}`"));
    let file = lookup.expand(SIGN_ONS).join(format!("{}.json", sha1_hex(hashed)));
    // Whoever signs on again writes it anew: read each time.
    let kept = lookup.read(&file).map_err(|_| over())?;
    let kept: Value = serde_json::from_str(kept.expose()).unwrap_or_default();
    let token = kept.get("accessToken").and_then(Value::as_str).map(Secret::new).ok_or_else(over)?;
    lookup.secrets.push(token.clone());
    Ok(Some(SignOn { profile: name.to_owned(), region, account, role, token }))
}

/// The address that variables name.
fn of_address(lookup: &mut Lookup<'_>) -> Result<Option<Found>> {
    let whole = lookup.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").map(str::to_owned);
    let path = lookup.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    if let Some(url) = path.or(whole) {
        let file = lookup.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token = match (file, lookup.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
            (Some(file), _) => Some(lookup.read(&lookup.expand(file))?),
            (None, token) => token.map(Secret::new),
        };
        lookup.secrets.extend(token.clone());
        return Ok(Some(Found::Container { url, token }));
    }
    let is_off = lookup.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    let url = lookup.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").filter(|_| !is_off);
    Ok(url.map(|url| Found::Instance { url: url.to_owned() }))
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

fn nothing(name: &str) -> crate::Error {
    refuse(format!(
        "no AWS keys: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set, nor does the profile `{name}` of the shared files hold any"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::credential::lookup::COMMAND_PATIENCE;

    fn chain(profile: Option<&str>, variables: &[(&str, &str)]) -> Result<(String, Option<String>)> {
        let environment = Environment::of(variables.iter().copied());
        let mut lookup = Lookup::new(&environment, COMMAND_PATIENCE);
        let (found, region) = find(profile, &mut lookup)?;
        let words = |key: &AccessKey| {
            assert!(lookup.secrets.contains(&key.secret), "it is not hidden");
            format!("{} {} {}", key.id.expose(), key.secret.expose(), key.session.as_ref().map_or("", Secret::expose))
        };
        let found = match &found {
            Found::Keys(key) => words(key),
            Found::Role(Role { arn, session, identity: Identity::Token(token), .. }) => {
                format!("{arn} {session} by {}", token.expose())
            }
            Found::Role(Role { arn, external_id, identity: Identity::Keys(key), .. }) => {
                format!("{arn} {external_id:?} by {}", words(key))
            }
            Found::SignOn(SignOn { region, account, role, token, .. }) => {
                format!("{region} {account} {role} by {}", token.expose())
            }
            Found::Container { url, token } => format!("{url} {}", token.as_ref().map_or("", Secret::expose)),
            Found::Instance { url } => url.clone(),
        };
        Ok((found, region))
    }

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = D1\naws_secret_access_key=d-secret\n\n[work]\n\
        aws_access_key_id=W1\naws_secret_access_key = w=secret/+\naws_session_token = w-token\ns3 =\n  max_concurrent_requests = 20\n";
    const CONFIG: &str = "[profile work]\nregion = eu-west-1\naws_access_key_id = never\n[profile made]\ncredential_process = \
        printf '{\"Version\":1,\"AccessKeyId\":\"M1\",\"SecretAccessKey\":\"m-secret\",\"SessionToken\":\"m-token\"}'\n\
        [profile role]\nrole_arn = arn:r\nsource_profile = work\nexternal_id = x\n[profile lost]\nrole_arn = arn:l\nsource_profile = nobody\n\
        [profile typed]\nrole_arn = arn:l\nsource_profile = work\nmfa_serial = m\n[profile env]\nrole_arn = arn:e\ncredential_source = Environment\n\
        [profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n[profile old]\nsso_start_url = https://s\n\
        sso_region = r-2\nsso_account_id = 2\nsso_role_name = r\n[profile half]\nsso_session = s\n[profile nosession]\n\
        sso_session = t\nsso_account_id = 1\nsso_role_name = r\n[sso-session s]\nsso_region = r-1\n";

    #[test]
    fn of_a_profile_in_both_files_the_secrets_come_first_then_its_process_then_the_rest() {
        let folder = std::env::temp_dir().join(format!("trunkline-order-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (shared, config) = (folder.join("credentials"), folder.join("config"));
        let files = [("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().unwrap()), ("AWS_CONFIG_FILE", config.to_str().unwrap())];
        let pair = |name: &str| format!("aws_access_key_id = {name}\naws_secret_access_key = {name}-secret\n");
        let process = "credential_process = printf '{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"p-secret\"}'\n";
        let token = "aws_session_token = token\n";
        let cases = [
            (pair("S"), format!("{}{token}{process}", pair("C")), "S S-secret "),
            (format!("{}{token}", pair("S")), pair("C"), "S S-secret token"),
            ("aws_access_key_id = half\n".to_owned(), format!("{process}{}", pair("C")), "P p-secret "),
            (process.to_owned(), pair("C"), "P p-secret "),
            (token.to_owned(), pair("C"), "C C-secret "),
            (String::new(), pair("C"), "C C-secret "),
        ];
        for (in_shared, in_config, wanted) in cases {
            // A file without any text is as good as none.
            let text = if in_shared.is_empty() { in_shared } else { format!("[work]\n{in_shared}") };
            std::fs::write(&shared, text).unwrap();
            std::fs::write(&config, format!("[profile work]\n{in_config}")).unwrap();
            assert_eq!(chain(Some("work"), &files).unwrap().0, wanted);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn variables_come_first_then_the_profile_of_the_shared_files_then_addresses() {
        let folder = std::env::temp_dir().join(format!("trunkline-chain-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (credentials, config, token) = (folder.join("credentials"), folder.join("config"), folder.join("token"));
        std::fs::write(&credentials, CREDENTIALS).unwrap();
        std::fs::write(&config, CONFIG).unwrap();
        std::fs::write(&token, "a.web.token\n").unwrap();
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
        assert_eq!(chain(Some("role"), &files).unwrap().0, "arn:r Some(\"x\") by W1 w=secret/+ w-token");
        assert_eq!(chain(Some("env"), &with(&env)).unwrap().0, "arn:e None by E1 e-secret t");
        for (profile, words) in [
            ("nobody", "the profile `nobody`"),
            ("lost", "whoever shall ask for its keys has none"),
            ("typed", "mfa_serial"),
            ("sso", "aws sso login --profile sso"),
            ("half", "lacks `sso_account_id`"),
            ("nosession", "lacks `sso_region`"),
        ] {
            assert!(chain(Some(profile), &files).unwrap_err().message.contains(words), "{words}");
        }
        let kept = folder.join(".aws/sso/cache");
        std::fs::create_dir_all(&kept).unwrap();
        // SHA-1 of `s`, and of `https://s`.
        let names = ["a0f1490a20d0211c997b44bc357e1972deab8ae3", "9ea3c043881f6bad486147713ae23b0b566d0360"];
        for (name, token) in names.iter().zip(["new-token", "old-token"]) {
            std::fs::write(kept.join(format!("{name}.json")), format!("{{\"accessToken\":\"{token}\"}}")).unwrap();
        }
        let home = [&files[..], &[("HOME", folder.to_str().unwrap())]].concat();
        assert_eq!(chain(Some("sso"), &home).unwrap().0, "r-1 1 r by new-token");
        assert_eq!(chain(Some("old"), &home).unwrap().0, "r-2 2 r by old-token");
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()), ("AWS_ROLE_ARN", "arn:w")];
        let named = [&files[..], &web, &[("AWS_ROLE_SESSION_NAME", "me")]].concat();
        assert_eq!(chain(None, &named).unwrap().0, "arn:w me by a.web.token", "before the profile's own keys");
        assert_eq!(chain(Some("work"), &named).unwrap().0, "W1 w=secret/+ w-token", "unless that is asked for");
        let nowhere = [("AWS_SHARED_CREDENTIALS_FILE", "/no"), ("AWS_CONFIG_FILE", "/no")];
        for (variables, wanted) in [
            (vec![("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/1")], "http://169.254.170.2/v2/1 "),
            (
                vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://h/c"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer b")],
                "http://h/c Bearer b",
            ),
            (vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://m")], "http://m"),
        ] {
            assert_eq!(chain(None, &[&nowhere[..], &variables].concat()).unwrap().0, wanted);
        }
        let off = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://m"), ("AWS_EC2_METADATA_DISABLED", "True")];
        chain(None, &[&nowhere[..], &off].concat()).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
