//! What can be wrong, in one clear sentence each.

use std::time::Duration;

use trunkline::config::{Config, Environment};
use trunkline::target::Lack;
use trunkline::{Client, Kind};
use trunkline_testkit::provider::{Answer, LocalProvider};

use super::{ANSWER, House, Mood, World, house};

#[tokio::test]
async fn what_a_token_server_answers_instead_of_a_token() {
    for (answer, kind, words) in [
        (Answer::html(200), Kind::Malformed, "answered with a web page instead of a token; check its address"),
        (Answer::html(404), Kind::NotFound, "answered with a web page (HTTP 404)"),
        (Answer::json(200, "{}"), Kind::Malformed, "answered HTTP 200 without `access_token`"),
        (Answer::json(200, r#"{"access_token":""}"#), Kind::Malformed, "answered HTTP 200 without `access_token`"),
        (Answer::json(200, r#"{"access_token":5}"#), Kind::Malformed, "answered HTTP 200 without `access_token`"),
        (Answer::json(200, ""), Kind::Malformed, "answered with nothing instead of a token"),
        (Answer::json(200, "token"), Kind::Malformed, "answered with something that is not JSON instead of a token"),
        (
            Answer::json(200, r#"{"error":"invalid_client","error_description":"unknown client id"}"#),
            Kind::Unauthenticated,
            "refused: invalid_client: unknown client id (HTTP 200)",
        ),
        (Answer::json(400, r#"{"error":"invalid_scope"}"#), Kind::Unauthenticated, "refused: invalid_scope (HTTP 400)"),
        (Answer::json(500, "{}"), Kind::Server, "refused without saying why (HTTP 500)"),
        (Answer::json(200, "{\"access_token\":\"a\\nb\"}"), Kind::Credential, "characters that cannot stand in a header"),
    ] {
        let house = House::new(3600);
        house.mood(Mood::Says(answer));
        let error = house.world.call().await.unwrap_err();
        assert!(error.message.contains(words), "{words}: {error}");
        assert_eq!((error.kind, error.provider.as_deref()), (kind, Some("house")), "{error}");
        assert!(house.provider.requests().is_empty());
    }
}

#[tokio::test]
async fn a_lifetime_may_be_missing_a_text_or_huge() {
    for (expires, calls_until_renewal) in [
        (r#""expires_in":"3600""#, 3600),
        (r#""token_type":"bearer""#, 300),
        (r#""expires_in":null"#, 300),
        (r#""expires_in":99999999999999999999"#, 86_400),
        (r#""expires_in":1.844674407370955e22"#, 86_400),
        (r#""expires_in":-1"#, 300),
    ] {
        let server = LocalProvider::start(Answer::json(200, format!(r#"{{"access_token":"a-long-token",{expires}}}"#)));
        let provider = LocalProvider::start(Answer::json(200, ANSWER));
        let auth =
            format!("auth = {{ oauth2 = {{ token_url = \"{}\", client_id = \"me\", client_secret = \"s\" }} }}", server.url());
        let world = World::new(&house(&provider.url(), &auth), &[]);
        world.call().await.unwrap();
        world.clock.advance(calls_until_renewal / 3);
        world.call().await.unwrap();
        world.settle().await;
        assert_eq!(server.requests().len(), 1, "{expires}");
        world.clock.advance(calls_until_renewal);
        world.call().await.unwrap();
        assert_eq!(server.requests().len(), 2, "{expires}");
    }
}

fn lack(auth: &str, variables: &[(&str, &str)]) -> String {
    let config = Config::parse(&house("http://127.0.0.1:1", auth), "test.toml").unwrap();
    let client = Client::builder().config(config).environment(Environment::of(variables.iter().copied())).build().unwrap();
    let services = client.services();
    let service = services.iter().find(|service| service.provider.id == "house").unwrap();
    match service.lack() {
        None => "ready".to_owned(),
        Some(Lack::Variables(names)) => format!("set {}", names.join(" or ")),
        Some(Lack::Unusable(error)) => error.message.clone(),
    }
}

#[test]
fn what_a_credential_lacks_is_said_at_the_start() {
    let empty = std::env::temp_dir().join(format!("trunkline-empty-{}", std::process::id()));
    std::fs::write(&empty, "\n").unwrap();
    let missing = "cannot read the secret file /no/such/file: No such file or directory (os error 2)";
    for (auth, wanted) in [
        ("auth = { bearer = 'file:/no/such/file' }", missing),
        (
            &*format!("auth = {{ bearer = 'file:{}' }}", empty.display()),
            &*format!("cannot read the secret file {}: it is empty", empty.display()),
        ),
        ("auth = { oauth2 = { token_url = 'http://h/t', client_id = 'i', client_secret = 'file:/no/such/file' } }", missing),
        ("auth = { bearer = \"a\\nb\" }", "the key holds characters that cannot stand in a header; check for line breaks"),
        ("auth = { sigv4 = { access_key = 'env:A', secret_key = 'env:B|C', service = 's' } }", "set A and B or C"),
        (
            "auth = { sigv4 = { access_key = 'a', secret_key = 'b', service = 's' } }",
            "auth: `sigv4` lacks `region`, and neither AWS_REGION nor a profile names one",
        ),
        (
            "auth = [{ bearer = 'env:A' }, { tc3 = { access_key = 'env:B', secret_key = 'env:C', service = 's' } }]",
            "set A or B and C",
        ),
        ("auth = { service_account = { files = ['env:G', '/no/such/file'], scope = 's' } }", "set G"),
        ("auth = { jwt_hs256 = { key = 'no-dot' } }", "the key has no dot between its id and its secret"),
        ("api_keys = ['env:A', 'env:B']", "set A or B"),
        ("auth = { bearer = 'cmd:exit 1' }", "ready"),
    ] {
        assert_eq!(lack(auth, &[]), wanted, "{auth}");
    }
    let account = std::env::temp_dir().join(format!("trunkline-account-{}", std::process::id()));
    for (text, wanted) in [
        ("{}", "this is no service account's JSON file"),
        ("<html>", "this is no service account's JSON file"),
        (
            r#"{"type":"impersonated_service_account"}"#,
            "credentials of the type `impersonated_service_account` are not supported",
        ),
        (r#"{"type":"external_account","audience":"a"}"#, "this is no workload's credentials file: line 1, column 42"),
        (
            r#"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"u","credential_source":{"environment_id":"x"}}"#,
            "names neither a `file` nor a `url`",
        ),
        (r#"{"type":"authorized_user","client_id":"a"}"#, "lacks `token_url`"),
        (r#"{"client_email":"a","private_key":"secret-words","token_uri":"http://h"}"#, "private_key is not in PEM form"),
    ] {
        std::fs::write(&account, text).unwrap();
        let auth = format!("auth = {{ service_account = {{ file = '{}', scope = 's' }} }}", account.display());
        let told = lack(&auth, &[]);
        assert!(told.contains(wanted) && !told.contains("secret-words"), "{told}");
    }
    std::fs::remove_file(&empty).unwrap();
    std::fs::remove_file(&account).unwrap();
}

#[tokio::test]
async fn a_command_that_fails_or_hangs_is_named_and_stops_nobody_else() {
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let config = |command: &str| {
        format!("[network]\ncommand_seconds = 1\n{}", house(&provider.url(), &format!("auth = {{ bearer = \"cmd:{command}\" }}")))
    };
    let world = World::new(&config("exit 3"), &[]);
    let error = world.call().await.unwrap_err();
    assert!(error.message.contains("the secret command `exit …` failed (exit status: 3)"), "{error}");

    let world = World::new(&config("sleep 20"), &[]);
    let other = async {
        // The runtime has one thread, and it is free.
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.ask("sim/echo").await.unwrap();
        std::time::Instant::now()
    };
    let started = std::time::Instant::now();
    let (hung, other) = tokio::join!(world.call(), other);
    assert!(other - started < Duration::from_millis(800), "the command held up the runtime");
    let error = hung.unwrap_err();
    assert!(error.message.contains("the secret command `sleep …` did not end within 1 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_command_is_run_again_when_its_time_is_over() {
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let count = std::env::temp_dir().join(format!("trunkline-count-{}", std::process::id()));
    let _ = std::fs::remove_file(&count);
    let command = format!("echo x >> {0}; echo key-number-$(wc -l < {0} | tr -d ' ')", count.display());
    let auth = format!("auth = {{ bearer = {{ cmd = \"{command}\", lifetime_seconds = 100 }} }}");
    let world = World::new(&house(&provider.url(), &auth), &[]);
    for _ in 0..5 {
        world.call().await.unwrap();
    }
    world.clock.advance(200);
    world.call().await.unwrap();
    let sent: Vec<String> = provider.requests().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    std::fs::remove_file(&count).unwrap();
    assert_eq!(sent, [["Bearer key-number-1"; 5].as_slice(), &["Bearer key-number-2"]].concat());
}

#[test]
fn a_half_written_block_names_its_line_and_what_it_lacks() {
    let text = "[providers.house]\nbase_url = 'http://h/v1'\ndialects = ['openai-chat']\n\n[providers.house.auth.oauth2]\nclient_id = 'x'\n";
    let error = Config::parse(text, "trunkline.toml").unwrap_err();
    assert!(error.message.starts_with("trunkline.toml, line "), "{error}");
    assert!(error.message.ends_with("auth: `oauth2` lacks `token_url`"), "{error}");
    let text = "[providers.house]\nbase_url = 'http://h/v1'\nauth = { sigv5 = { } }\n";
    let error = Config::parse(text, "trunkline.toml").unwrap_err();
    assert!(error.message.contains("line 3") && error.message.ends_with("`sigv4`"), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_at_once_and_to_callers_without_its_place() {
    let file = std::env::temp_dir().join(format!("trunkline-lost-key-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let config = house(&provider.url(), &format!("auth = {{ bearer = 'file:{}' }}", file.display()));
    let world = World::new(&config, &[]);
    let told = format!("house: cannot read the secret file {}", file.display());
    assert!(world.notices().iter().any(|notice| notice.starts_with(&told)), "{:?}", world.notices());
    let error = world.call().await.unwrap_err();
    assert_eq!((error.kind, error.retry, error.caller_status()), (Kind::Credential, trunkline::Retry::Never, 503), "{error}");
    assert!(error.message.contains("trunkline-lost-key") && !error.caller_message().contains("trunkline-lost-key"), "{error}");
    world.client.reload().unwrap();
    assert_eq!(world.notices().iter().filter(|notice| notice.starts_with(&told)).count(), 2, "{:?}", world.notices());
    std::fs::write(&file, "the-key").unwrap();
    world.client.reload().unwrap();
    let answered = world.call().await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(answered.unwrap(), "Hello.");
}
