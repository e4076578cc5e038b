//! Other things that are asked for before a call: by any request, for a service account, from a metadata service.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{ANSWER, World, house};

fn sent(provider: &LocalProvider, header: &str) -> Vec<String> {
    provider.requests().iter().map(|seen| seen.header(header).to_owned()).collect()
}

#[tokio::test]
async fn a_token_may_come_in_a_header_and_go_in_another() {
    let body = r#"{"token":{"expires_at":"2026-01-03T03:04:05.000000Z"}}"#;
    let server = LocalProvider::start(Answer::json(201, body).header("X-Subject-Token", "a-token-of-iam"));
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = format!(
        r#"[providers.house.auth.mint]
url = "{}/v3/auth/tokens"
body = '{{"auth":{{"identity":{{"methods":["password"],"password":{{"user":{{"name":"{{user}}","password":"{{password}}"}}}}}}}}}}'
values = {{ user = "env:IAM_USER", password = "env:IAM_PASSWORD" }}
token = "header:X-Subject-Token"
expires = "/token/expires_at"
token_in = "header:X-Auth-Token""#,
        server.url()
    );
    let world = World::new(&house(&provider.url(), &auth), &[("IAM_USER", "me"), ("IAM_PASSWORD", "pass\"word")]);
    world.call().await.unwrap();
    world.clock.advance(70_000);
    world.call().await.unwrap();
    assert_eq!(sent(&provider, "x-auth-token"), ["a-token-of-iam"; 2]);
    let seen = server.requests();
    assert_eq!(seen.len(), 1, "it lives for a day");
    assert_eq!(seen[0].json()["auth"]["identity"]["password"]["user"]["password"], "pass\"word");
    assert_eq!((seen[0].method.as_str(), seen[0].header("content-type")), ("POST", "application/json"));
    world.clock.advance(86_400 - 70_000);
    world.call().await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_pair_of_keys_may_mint_a_key_for_each_model() {
    let server = LocalProvider::start(|seen: &Seen| {
        let model = seen.json()["ResourceIds"][0].as_str().unwrap().to_owned();
        let ends = super::START + 604_800;
        Answer::json(
            200,
            format!(r#"{{"ResponseMetadata":{{}},"Result":{{"ApiKey":"temporary-{model}","ExpiredTime":{ends}}}}}"#),
        )
    });
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = format!(
        r#"[providers.house.auth.mint]
url = "{}/?Action=GetApiKey&Version=2024-01-01"
body = '{{"DurationSeconds":604800,"ResourceType":"endpoint","ResourceIds":["{{model}}"]}}'
sign = {{ hmac_sha256 = {{ access_key = "env:AK", secret_key = "env:SK", region = "cn-beijing", service = "ark" }} }}
token = "/Result/ApiKey"
expires = "/Result/ExpiredTime""#,
        server.url()
    );
    let world = World::new(&house(&provider.url(), &auth), &[("AK", "AKLTFAKE"), ("SK", "fake-secret-key")]);
    for model in ["ep-1", "ep-2", "ep-1"] {
        world.ask(&format!("house/{model}")).await.unwrap();
    }
    assert_eq!(sent(&provider, "authorization"), ["Bearer temporary-ep-1", "Bearer temporary-ep-2", "Bearer temporary-ep-1"]);
    let signed = &server.requests()[0];
    assert!(signed.header("authorization").starts_with("HMAC-SHA256 Credential=AKLTFAKE/20260102/cn-beijing/ark/request"));
    assert_eq!((server.requests().len(), signed.header("x-date")), (2, "20260102T030405Z"));
}

#[tokio::test]
async fn a_refused_signature_at_the_token_server_blames_a_wrong_clock() {
    let refusal = Answer::json(403, r#"{"error":{"code":"SignatureDoesNotMatch","message":"no"}}"#);
    let server = LocalProvider::start(refusal.header("date", "Fri, 02 Jan 2026 04:04:05 GMT"));
    let auth = format!(
        "auth = {{ mint = {{ url = \"{}\", token = \"/token\", sign = {{ bce = {{ access_key = \"a\", secret_key = \"b\" }} }} }} }}",
        server.url()
    );
    let world = World::new(&house(&server.url(), &auth), &[]);
    let error = world.call().await.unwrap_err();
    assert!(error.message.ends_with("this machine's clock is 3600 s behind the server's, so set it right"), "{error}");
}

#[tokio::test]
async fn a_person_who_once_agreed_needs_no_key_file() {
    let server = LocalProvider::start(Answer::json(200, r#"{"access_token":"of-a-person","expires_in":3599}"#));
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let file = std::env::temp_dir().join(format!("trunkline-adc-{}", std::process::id()));
    let text = r#"{"type":"authorized_user","client_id":"id-1","client_secret":"s/1","refresh_token":"r 1"}"#;
    std::fs::write(&file, text).unwrap();
    let auth = format!(
        "auth = {{ service_account = {{ files = [\"env:ADC\", \"~/never\"], scope = \"s\", token_url = \"{}/token\" }} }}",
        server.url()
    );
    let world = World::new(&house(&provider.url(), &auth), &[("ADC", file.to_str().unwrap())]);
    world.call().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        server.requests()[0].body,
        "grant_type=refresh_token&client_id=id-1&client_secret=s%2F1&refresh_token=r+1&scope=s"
    );
    assert_eq!(sent(&provider, "authorization"), ["Bearer of-a-person"]);
}

#[tokio::test]
async fn a_workload_that_another_knows_exchanges_its_token() {
    let server = LocalProvider::start(vec![
        Answer::json(200, r#"{"id_token":"own-token-1"}"#),
        Answer::json(200, r#"{"access_token":"exchanged-1","expires_in":3599,"token_type":"Bearer"}"#),
        Answer::json(200, r#"{"accessToken":"of-an-account","expireTime":"2026-01-02T03:14:05Z"}"#),
        Answer::json(200, r#"{"id_token":"own-token-2"}"#),
        Answer::json(403, r#"{"error":"invalid_grant","error_description":"own-token-2 is unknown"}"#),
    ]);
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let url = server.url();
    let file = serde_json::json!({
        "type": "external_account", "audience": "//iam/pool", "subject_token_type": "urn:t:jwt",
        "token_url": format!("{url}/v1/token"), "quota_project_id": "payer",
        "service_account_impersonation_url": format!("{url}/a:generateAccessToken"),
        "service_account_impersonation": { "token_lifetime_seconds": 600 },
        "credential_source": {
            "url": format!("{url}/own"), "headers": { "x-why": "because" },
            "format": { "type": "json", "subject_token_field_name": "id_token" },
        },
    });
    let auth = "auth = { service_account = { json = \"env:WORKLOAD\", scope = \"one two\" } }";
    let world = World::new(&house(&provider.url(), auth), &[("WORKLOAD", &file.to_string())]);
    world.call().await.unwrap();
    world.call().await.unwrap();
    let asked = server.requests();
    assert_eq!((asked.len(), asked[0].path.as_str(), asked[0].header("x-why")), (3, "/own", "because"));
    assert_eq!(
        asked[1].body,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=%2F%2Fiam%2Fpool\
         &scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform\
         &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=own-token-1\
         &subject_token_type=urn%3At%3Ajwt"
    );
    assert_eq!((asked[2].path.as_str(), asked[2].header("authorization")), ("/a:generateAccessToken", "Bearer exchanged-1"));
    assert_eq!(asked[2].body, r#"{"delegates":[],"scope":["one","two"],"lifetime":"600s"}"#);
    assert_eq!(sent(&provider, "authorization"), ["Bearer of-an-account", "Bearer of-an-account"]);
    assert_eq!(sent(&provider, "x-goog-user-project"), ["payer", "payer"]);
    world.clock.advance(601);
    let error = world.call().await.unwrap_err();
    assert!(error.message.contains("is unknown") && !format!("{error:?}").contains("own-token-2"), "{error:?}");
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let server = LocalProvider::start(Answer::json(200, r#"{"access_token":"of-an-account","expires_in":3599}"#));
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let account = serde_json::json!({
        "type": "service_account", "client_email": "me@project.example", "private_key_id": "k1",
        "private_key": key.serialize_pem(), "token_uri": format!("{}/token", server.url()),
    });
    let auth = "auth = { service_account = { json = \"env:ACCOUNT\", scope = \"all\" } }";
    let world = World::new(&house(&provider.url(), auth), &[("ACCOUNT", &account.to_string())]);
    world.call().await.unwrap();
    let body = String::from_utf8(server.requests()[0].body.to_vec()).unwrap();
    assert!(body.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"), "{body}");
    assert_eq!(sent(&provider, "authorization"), ["Bearer of-an-account"]);
}

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIAFAKE","SecretAccessKey":"temporary-secret","Token":"session-token",
    "Expiration":"2026-01-02T09:04:05Z"}"#;

#[tokio::test]
async fn a_container_hands_out_keys_for_a_while() {
    let server = LocalProvider::start(Answer::json(200, KEYS));
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = "auth = { sigv4 = { container_url = \"env:URL\", container_token = \"env:TOKEN\", region = \"eu-west-1\", service = \"bedrock\" } }";
    let url = format!("{}/v2/credentials/1", server.url());
    let world = World::new(&house(&provider.url(), auth), &[("URL", &url), ("TOKEN", "container-token")]);
    world.call().await.unwrap();
    world.call().await.unwrap();
    let asked = server.requests();
    assert_eq!(
        (asked.len(), asked[0].path.as_str(), asked[0].header("authorization")),
        (1, "/v2/credentials/1", "container-token")
    );
    let seen = &provider.requests()[0];
    assert!(
        seen.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=ASIAFAKE/20260102/eu-west-1/bedrock/aws4_request")
    );
    assert_eq!(seen.header("x-amz-security-token"), "session-token");
    world.clock.advance(6 * 3600);
    world.call().await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_machine_hands_out_keys_for_its_role() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&steps);
    let server = LocalProvider::start(move |seen: &Seen| {
        let session = seen.header("x-aws-ec2-metadata-token").to_owned();
        log.lock().unwrap().push(format!("{} {} {session}", seen.method, seen.path));
        match seen.path.as_str() {
            "/latest/api/token" => Answer::status(200).body("session-1"),
            _ if session != "session-1" => Answer::status(401),
            "/latest/meta-data/iam/security-credentials/" => Answer::status(200).body("role-1\n"),
            _ => Answer::json(200, KEYS),
        }
    });
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = format!("auth = {{ sigv4 = {{ instance_url = \"{}\", region = \"r\", service = \"s\" }} }}", server.url());
    let world = World::new(&house(&provider.url(), &auth), &[]);
    world.call().await.unwrap();
    assert_eq!(
        *steps.lock().unwrap(),
        [
            "PUT /latest/api/token ",
            "GET /latest/meta-data/iam/security-credentials/ session-1",
            "GET /latest/meta-data/iam/security-credentials/role-1 session-1"
        ]
    );
    assert!(provider.requests()[0].header("authorization").contains("Credential=ASIAFAKE/"));
}

/// How long this thread was kept from its other work while the call was made.
async fn longest_gap(world: &World) -> Duration {
    let longest = std::cell::Cell::new(Duration::ZERO);
    let other = async {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            longest.set(longest.get().max(last.elapsed()));
            last = Instant::now();
        }
    };
    tokio::select! {
        called = world.call() => called.map(|_| ()).unwrap(),
        () = other => {}
    }
    longest.get()
}

/// A token server's and a provider's, with a header beside the token.
fn with_header(header: &str, sign: &str, config: &str) -> (LocalProvider, LocalProvider, World) {
    let server = LocalProvider::start(Answer::json(200, r#"{"t":"a-token-of-theirs"}"#));
    let provider = LocalProvider::start(Answer::json(200, ANSWER));
    let auth = format!(
        "headers = {{ x-team = {header} }}\nauth = {{ mint = {{ url = '{}', {sign} token = '/t', lifetime_seconds = 3600 }} }}",
        server.url()
    );
    let world = World::new(
        &house(&provider.url(), &auth),
        &[("AWS_CONFIG_FILE", config), ("AWS_SHARED_CREDENTIALS_FILE", "/no"), ("AWS_REGION", "r")],
    );
    (server, provider, world)
}

#[tokio::test]
async fn headers_beside_a_token_are_read_again_as_files_and_commands_are() {
    let folder = std::env::temp_dir().join(format!("trunkline-beside-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (team, runs) = (folder.join("team"), folder.join("runs"));
    std::fs::write(&team, "one").unwrap();
    let (_server, provider, world) = with_header(&format!("'file:{}'", team.display()), "", "/no");
    world.call().await.unwrap();
    std::fs::write(&team, "another").unwrap();
    world.clock.advance(2);
    world.call().await.unwrap();
    assert_eq!(sent(&provider, "x-team"), ["one", "another"]);

    let command = format!("echo x >> {runs}; wc -l < {runs} | tr -d ' '", runs = runs.display());
    let (_server, provider, world) = with_header(&format!("{{ cmd = \"{command}\", lifetime_seconds = 100 }}"), "", "/no");
    for seconds in [0, 10, 100] {
        world.clock.advance(seconds);
        world.call().await.unwrap();
    }
    assert_eq!(sent(&provider, "x-team"), ["1", "1", "2"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn no_command_runs_at_the_start_nor_on_the_thread_that_serves_the_calls() {
    let folder = std::env::temp_dir().join(format!("trunkline-slow-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (config, runs) = (folder.join("config"), folder.join("runs"));
    let process = format!(
        "echo x >> {}; sleep 1; printf '{{\"Version\":1,\"AccessKeyId\":\"AKP\",\"SecretAccessKey\":\"process-secret\"}}'",
        runs.display()
    );
    std::fs::write(&config, format!("[default]\ncredential_process = {process}\n")).unwrap();
    let sign = "sign = { sigv4 = { service = 's', sts_url = 'http://127.0.0.1:1' } },";
    let (server, _provider, world) = with_header("'x'", sign, config.to_str().unwrap());
    assert!(!runs.exists(), "run at the start");
    let gap = longest_gap(&world).await;
    assert!(gap < Duration::from_millis(600), "{gap:?}");
    assert!(server.requests()[0].header("authorization").contains("Credential=AKP/"));

    let (_server, _provider, world) = with_header("'cmd:sleep 1; echo x'", "", "/no");
    let gap = longest_gap(&world).await;
    assert!(gap < Duration::from_millis(600), "{gap:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
