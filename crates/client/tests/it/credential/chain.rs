//! Keys that AWS's own tools find: processes, roles and addresses that the environment names, and when they end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use trunkline::Kind;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, World, house};

/// A folder of its own, which goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-aws-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SIGNED: &str = "auth = { sigv4 = { region = 'eu-west-1', service = 'bedrock', sts_url = 'http://127.0.0.1:1/{region}' } }";
const NOWHERE: (&str, &str) = ("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file");

/// A provider that takes a session's token, but not those that are over; and what it saw of keys.
fn provider(over: Arc<Mutex<Vec<String>>>, refusal: fn() -> Answer) -> LocalProvider {
    LocalProvider::start(move |seen: &Seen| {
        let token = seen.header("x-amz-security-token").to_owned();
        if over.lock().unwrap().contains(&token) { refusal() } else { Answer::json(200, ANSWER) }
    })
}

fn sessions(provider: &LocalProvider) -> Vec<String> {
    provider.requests().iter().map(|seen| seen.header("x-amz-security-token").to_owned()).collect()
}

fn expired() -> Answer {
    Answer::json(403, r#"{"message":"The security token included in the request is expired"}"#)
        .header("x-amzn-errortype", "ExpiredTokenException:http://internal.example/")
}

/// A process that counts its runs: the keys of each are told apart by their number.
fn process(folder: &Folder, expiration: &str) -> String {
    let (runs, config) = (folder.0.join("runs"), folder.0.join("config"));
    let command = format!(
        "echo x >> {runs}; printf '{{\"Version\":1,\"AccessKeyId\":\"ASIA%s\",\"SecretAccessKey\":\"process-secret\",\
         \"SessionToken\":\"session-%s\"{expiration}}}' $(wc -l < {runs}) $(wc -l < {runs})",
        runs = runs.display()
    );
    std::fs::write(&config, format!("[default]\ncredential_process = {command}\n")).unwrap();
    // One that was written in this moment might be read twice.
    std::thread::sleep(std::time::Duration::from_millis(60));
    config.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_process_is_run_again_when_its_keys_end_and_no_sooner() {
    let folder = Folder::new("process");
    let config = process(&folder, ",\"Expiration\":\"2026-01-02T04:04:05Z\"");
    let provider = provider(Arc::default(), expired);
    let world = World::new(&house(&provider.url(), SIGNED), &[NOWHERE, ("AWS_CONFIG_FILE", &config)]);
    for seconds in [0, 299, 2, 2000, 900] {
        world.clock.advance(seconds);
        world.call().await.unwrap();
    }
    assert_eq!(sessions(&provider), ["session-1"; 5], "an hour, by its own word");
    world.clock.advance(390);
    world.call().await.unwrap();
    // What it prints from now on is over already.
    world.clock.advance(10);
    let error = world.call().await.unwrap_err();
    assert!(error.message.contains("have had their time already"), "{error}");

    let folder = Folder::new("endless");
    let config = process(&folder, "");
    let world = World::new(&house(&provider.url(), SIGNED), &[NOWHERE, ("AWS_CONFIG_FILE", &config)]);
    let before = provider.requests().len();
    for seconds in [0, 200, 101] {
        world.clock.advance(seconds);
        world.call().await.unwrap();
    }
    assert_eq!(sessions(&provider)[before..], ["session-1", "session-1", "session-2"], "five minutes where it does not say");
}

#[tokio::test]
async fn a_token_that_is_said_to_have_expired_is_renewed_once_and_a_forbidden_deed_renews_nothing() {
    let said: [(fn() -> Answer, bool); 4] = [
        (expired, true),
        (|| Answer::json(403, r#"{"__type":"com.amazon.coral#ExpiredTokenException","message":"over"}"#), true),
        (|| Answer::json(403, r#"{"message":"User is not authorized to perform: bedrock:InvokeModel"}"#), false),
        (|| Answer::json(403, "{}").header("x-amzn-errortype", "AccessDeniedException"), false),
    ];
    for (number, (refusal, renews)) in said.into_iter().enumerate() {
        let folder = Folder::new(&format!("expired-{number}"));
        let config = process(&folder, ",\"Expiration\":\"2026-01-02T04:04:05Z\"");
        let over = Arc::new(Mutex::new(Vec::new()));
        let provider = provider(Arc::clone(&over), refusal);
        let world = World::new(&house(&provider.url(), SIGNED), &[NOWHERE, ("AWS_CONFIG_FILE", &config)]);
        world.call().await.unwrap();
        over.lock().unwrap().push("session-1".to_owned());
        let again = world.call().await;
        if renews {
            assert_eq!(again.unwrap(), "Hello.", "{number}");
            assert_eq!(sessions(&provider), ["session-1", "session-1", "session-2"]);
            // All that it prints is refused: it is not run for ever.
            over.lock().unwrap().extend((2..50).map(|run| format!("session-{run}")));
            for _ in 0..10 {
                assert!([Kind::Forbidden, Kind::Unauthenticated].contains(&world.call().await.unwrap_err().kind));
            }
            let runs = std::fs::read_to_string(folder.0.join("runs")).unwrap().lines().count();
            assert!(runs <= 5, "{runs} runs");
        } else {
            let error = again.unwrap_err();
            assert_eq!((error.kind, error.status), (Kind::Forbidden, Some(403)), "the body is still there: {error}");
            assert_eq!(sessions(&provider), ["session-1"; 2], "{number}");
        }
    }
}

#[tokio::test]
async fn a_profiles_region_comes_after_the_variables_and_before_the_usual_one_for_address_and_signature() {
    let folder = Folder::new("region");
    let keys = "aws_access_key_id = AK\naws_secret_access_key = file-secret\n";
    let config = folder.write(
        "config",
        &format!(
            "[default]\nregion = eu-west-3\n{keys}[profile other]\nregion = ap-east-1\n{keys}[profile bad]\nregion = a/b\n{keys}"
        ),
    );
    let provider = provider(Arc::default(), expired);
    let pair = [("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "variable-secret")];
    let with = |more: &[(&'static str, &'static str)]| [&pair[..], more].concat();
    let cases = [
        ("", with(&[("AWS_REGION", "us-east-2")]), "us-east-2"),
        ("", with(&[("AWS_DEFAULT_REGION", "us-west-2")]), "us-west-2"),
        ("", with(&[]), "eu-west-3"),
        ("", Vec::new(), "eu-west-3"),
        ("", vec![("AWS_PROFILE", "other")], "ap-east-1"),
        (", profile = 'other'", with(&[]), "ap-east-1"),
        ("", vec![("AWS_PROFILE", "bad")], "us-east-1"),
    ];
    for (more, variables, region) in cases {
        let auth = format!(
            "auth = {{ sigv4 = {{ service = 'bedrock', region = 'env:AWS_REGION|AWS_DEFAULT_REGION|=us-east-1', \
             sts_url = 'http://127.0.0.1:1'{more} }} }}"
        );
        let url = format!("{}/{{env:AWS_REGION|AWS_DEFAULT_REGION|=us-east-1}}", provider.url());
        let world = World::new(&house(&url, &auth), &[&[NOWHERE, ("AWS_CONFIG_FILE", &config)], &variables[..]].concat());
        world.call().await.unwrap();
        let seen = provider.requests().pop().unwrap();
        assert_eq!(seen.path, format!("/{region}/v1/chat/completions"), "{variables:?}{more}");
        assert!(seen.header("authorization").contains(&format!("/{region}/bedrock/")), "{variables:?}{more}");
    }
}

fn role(number: usize) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n <AssumeRoleResult>\n  <AssumedRoleUser>\
         <Arn>arn:a</Arn></AssumedRoleUser>\n  <Credentials>\n   <AccessKeyId>ASIAROLE</AccessKeyId>\n   \
         <SecretAccessKey>role/secret+</SecretAccessKey>\n   <SessionToken>role-session-{number}</SessionToken>\n   \
         <Expiration>2026-01-02T0{}:04:05Z</Expiration>\n  </Credentials>\n </AssumeRoleResult>\n</AssumeRoleResponse>\n",
        number + 3
    )
}

/// Gives the keys of a role, good for an hour each.
fn sts() -> LocalProvider {
    LocalProvider::start(vec![
        Answer::json(200, role(1)).header("content-type", "text/xml"),
        Answer::json(200, role(2)).header("content-type", "text/xml"),
    ])
}

fn form(seen: &Seen) -> String {
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_the_keys_of_its_role() {
    let folder = Folder::new("web");
    let token = folder.write("token", "web.identity.token+/=\n");
    let (server, provider) = (sts(), provider(Arc::default(), expired));
    let url = server.url();
    let variables = [
        NOWHERE,
        ("AWS_CONFIG_FILE", "/no"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r+1"),
        ("AWS_ENDPOINT_URL_STS", &url),
    ];
    let world = World::new(&house(&provider.url(), SIGNED), &variables);
    world.call().await.unwrap();
    world.call().await.unwrap();
    assert_eq!(server.requests().len(), 1);
    let seen = &server.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.header("authorization")), ("POST", "/", ""));
    let wanted = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=trunkline\
                  &RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr%2B1&WebIdentityToken=web.identity.token%2B%2F%3D";
    assert_eq!(form(seen), wanted);
    let carried = provider.requests()[0].header("authorization").to_owned();
    assert!(carried.starts_with("AWS4-HMAC-SHA256 Credential=ASIAROLE/20260102/eu-west-1/bedrock/aws4_request"), "{carried}");
    // The next token is there by the time that the keys end.
    folder.write("token", "another.token");
    world.clock.advance(3600);
    world.call().await.unwrap();
    assert!(form(&server.requests()[1]).ends_with("&WebIdentityToken=another.token"));
    assert_eq!(sessions(&provider), ["role-session-1", "role-session-1", "role-session-2"]);
}

#[tokio::test]
async fn what_the_token_service_refuses_is_told_without_the_token() {
    let folder = Folder::new("refused");
    let token = folder.write("token", "web.identity.token");
    for (answer, words, kind) in [
        (
            "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token web.identity.token &lt;expired&gt;</Message></Error></ErrorResponse>",
            "refused: ExpiredTokenException: Token *** <expired> (HTTP 400)",
            Kind::Unauthenticated,
        ),
        ("<html>", "answered with a web page (HTTP 400)", Kind::Unauthenticated),
    ] {
        let server = LocalProvider::start(Answer::json(400, answer).header("content-type", "text/xml"));
        let url = server.url();
        let variables =
            [NOWHERE, ("AWS_WEB_IDENTITY_TOKEN_FILE", &*token), ("AWS_ROLE_ARN", "r"), ("AWS_ENDPOINT_URL_STS", &url)];
        let world = World::new(&house("http://127.0.0.1:1", SIGNED), &variables);
        let error = world.call().await.unwrap_err();
        assert!(error.message.ends_with(words), "{error}");
        assert_eq!(error.kind, kind);
        assert!(!format!("{error:?} {:?}", world.notices()).contains("web.identity.token"), "{error:?}");
    }
}

#[tokio::test]
async fn a_profiles_role_is_asked_for_with_the_keys_of_another() {
    let folder = Folder::new("role");
    let config = folder.write(
        "config",
        "[profile work]\nrole_arn = arn:r\nsource_profile = base\nexternal_id = x 1\nrole_session_name = me\nduration_seconds = 900\n\
         [profile base]\naws_access_key_id = AKBASE\naws_secret_access_key = base-secret\n",
    );
    let (server, provider) = (sts(), provider(Arc::default(), expired));
    let auth = format!(
        "auth = {{ sigv4 = {{ region = 'eu-west-1', service = 'bedrock', profile = 'work', sts_url = '{}/{{region}}' }} }}",
        server.url()
    );
    let world = World::new(&house(&provider.url(), &auth), &[NOWHERE, ("AWS_CONFIG_FILE", &config)]);
    world.call().await.unwrap();
    let seen = &server.requests()[0];
    assert_eq!(seen.path, "/eu-west-1");
    let signed = "AWS4-HMAC-SHA256 Credential=AKBASE/20260102/eu-west-1/sts/aws4_request";
    assert!(seen.header("authorization").starts_with(signed), "{}", seen.header("authorization"));
    assert_eq!(
        form(seen),
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me&ExternalId=x+1&DurationSeconds=900&RoleArn=arn%3Ar"
    );
    assert_eq!(sessions(&provider), ["role-session-1"]);
}

#[tokio::test]
async fn whoever_has_signed_on_gets_keys_until_that_is_over() {
    let folder = Folder::new("sso");
    let config = folder.write(
        "config",
        "[profile work]\nsso_session = my sso\nsso_account_id = 0012\nsso_role_name = Power User\n\
         [sso-session my sso]\nsso_region = eu-north-1\nsso_start_url = https://sso.example/start\n",
    );
    std::fs::create_dir_all(folder.0.join(".aws/sso/cache")).unwrap();
    // SHA-1 of `my sso`.
    let kept = ".aws/sso/cache/b3902c2d49b36c95af74dedb0f77c5828749e230.json";
    folder.write(
        kept,
        r#"{"startUrl":"https://sso.example/start","accessToken":"first+token/=","expiresAt":"2026-01-02T04:04:05Z"}"#,
    );
    // 2026-01-02T04:04:05Z, in milliseconds.
    let keys = r#"{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"sso-secret","sessionToken":"sso-session","expiration":1767326645000}}"#;
    let over = r#"{"message":"Session token not found or invalid"}"#;
    let portal = LocalProvider::start(vec![
        Answer::json(200, keys),
        Answer::json(401, over),
        Answer::json(200, keys.replace("sso-session", "sso-again").replace("1767326645000", "1767330245000")),
    ]);
    let provider = provider(Arc::default(), expired);
    let auth = format!(
        "auth = {{ sigv4 = {{ region = 'eu-west-1', service = 'bedrock', profile = 'work', sso_url = '{}/{{region}}' }} }}",
        portal.url()
    );
    let home = folder.0.to_str().unwrap().to_owned();
    let world = World::new(&house(&provider.url(), &auth), &[NOWHERE, ("AWS_CONFIG_FILE", &config), ("HOME", &home)]);
    world.call().await.unwrap();
    world.call().await.unwrap();
    assert_eq!(portal.requests().len(), 1);
    let seen = &portal.requests()[0];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("GET", "/eu-north-1/federation/credentials?role_name=Power%20User&account_id=0012")
    );
    assert_eq!(seen.header("x-amz-sso_bearer_token"), "first+token/=");
    let carried = provider.requests()[0].header("authorization").to_owned();
    assert!(carried.starts_with("AWS4-HMAC-SHA256 Credential=ASIASSO/20260102/eu-west-1/bedrock/aws4_request"), "{carried}");
    world.clock.advance(3600);
    let error = world.call().await.unwrap_err();
    assert!(error.message.contains("is over; run `aws sso login --profile work`"), "{error}");
    folder.write(kept, r#"{"accessToken":"second-token"}"#);
    world.clock.advance(5);
    world.call().await.unwrap();
    assert_eq!(portal.requests()[2].header("x-amz-sso_bearer_token"), "second-token");
    assert_eq!(sessions(&provider), ["sso-session", "sso-session", "sso-again"]);
}

#[tokio::test]
async fn a_container_that_the_environment_names_is_asked() {
    let folder = Folder::new("container");
    let token = folder.write("token", "container-token\n");
    let keys =
        r#"{"AccessKeyId":"ASIAPOD","SecretAccessKey":"pod-secret","Token":"pod-session","Expiration":"2026-01-02T09:04:05Z"}"#;
    let server = LocalProvider::start(Answer::json(200, keys));
    let provider = provider(Arc::default(), expired);
    let url = format!("{}/v1/credentials", server.url());
    let variables = [
        NOWHERE,
        ("AWS_CONFIG_FILE", "/no"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
    ];
    let world = World::new(&house(&provider.url(), SIGNED), &variables);
    world.call().await.unwrap();
    let seen = &server.requests()[0];
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/v1/credentials", "container-token"));
    assert_eq!(sessions(&provider), ["pod-session"]);
}
