//! No secret is in the files: a provider that repeats all it is told, and a search for every secret in play.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

use super::{Folder, builder, hear};

const KEY: &str = "sk-Very/Secret+Key=0123456789";
/// 32 bytes in Base64.
const SIGNING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECOND: &str = "second-half-of-a-pair-9876543210";

/// Everything that it was sent, in headers, cookies and the body, as it came and in other spellings.
fn parrot(seen: &Seen, all: &Mutex<Vec<String>>) -> Answer {
    let mut told = vec![seen.path.clone(), String::from_utf8_lossy(&seen.body).into_owned()];
    for (name, value) in &seen.headers {
        told.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    // What is known to none but the two of us: each long word of the credential as it came. An access key's id is public.
    let sent = ["authorization", "x-key", "signature", "x-amz-security-token"];
    let carried = sent.iter().map(|name| seen.header(name).to_owned());
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    let values = carried.chain(query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    for value in values {
        let words = value
            .split([' ', ',', '"', ';', '=', ':'])
            .flat_map(|word| if word.contains("AKFAKE") { word.split('/').collect() } else { vec![word] });
        let secret = |word: &&str| word.len() >= 20 && !word.contains("AKFAKE") && !seen.headers.contains_key(*word);
        all.lock().unwrap().extend(words.filter(secret).map(str::to_owned));
    }
    let words = serde_json::to_string(&told).unwrap();
    let body = format!("{{\"error\":{{\"message\":\"you said\",\"all\":{words},\"encoded\":\"{}\"}}}}", STANDARD.encode(KEY));
    let status = if seen.body.windows(4).any(|four| four == b"fail") { 400 } else { 200 };
    let mut answer = Answer::json(status, "")
        .header("set-cookie", "session=cookie-of-theirs-12345; HttpOnly")
        .header("x-echo", &told[2..].join(" | "));
    answer = answer.header("set-cookie", &format!("key={KEY}"));
    // In three pieces, so that some secret is cut through.
    let cut = body.len() / 3;
    answer.chunks([body[..cut].to_owned(), body[cut..2 * cut].to_owned(), body[2 * cut..].to_owned()])
}

#[tokio::test]
async fn no_secret_is_in_the_files_whatever_the_scheme_and_whoever_repeats_it() {
    let tokens = LocalProvider::start(Answer::json(
        200,
        r#"{"access_token":"minted-token-abcdefghijklmnop","token_type":"Bearer","expires_in":3600}"#,
    ));
    let pair = "access_key = 'AKFAKE0123456789', secret_key = 'env:SECOND'";
    let schemes = [
        "{ bearer = 'env:KEY' }".to_owned(),
        "{ header = 'x-key', value = 'env:KEY' }".to_owned(),
        "{ query = 'key', value = 'env:KEY' }".to_owned(),
        "{ query = 'odd_name', value = 'env:KEY' }".to_owned(),
        format!("{{ oauth2 = {{ token_url = '{}/token', client_id = 'me', client_secret = 'env:SECOND' }} }}", tokens.url()),
        format!("{{ sigv4 = {{ {pair}, session_token = 'env:KEY', region = 'r', service = 's' }} }}"),
        format!("{{ tc3 = {{ {pair}, service = 's' }} }}"),
        format!("{{ bce = {{ {pair} }} }}"),
        format!("{{ hmac_sha256 = {{ {pair}, region = 'r', service = 's' }} }}"),
        format!("{{ sdk_hmac = {{ {pair} }} }}"),
        format!("{{ url_hmac = {{ {pair} }} }}"),
        "{ jwt_hs256 = { key = 'an-id-of-mine.second-half-of-a-pair-9876543210' } }".to_owned(),
        "{ message_signature = { key_id = 'k', key = 'env:SIGNING' } }".to_owned(),
    ];
    let count = schemes.len();
    for auth in schemes {
        let carried = Arc::new(Mutex::new(vec![
            KEY.to_owned(),
            SECOND.to_owned(),
            SIGNING.to_owned(),
            STANDARD.encode(KEY),
            "minted-token-abcdefghijklmnop".to_owned(),
            "cookie-of-theirs-12345".to_owned(),
        ]));
        let all = Arc::clone(&carried);
        let provider = LocalProvider::start(move |seen: &Seen| parrot(seen, &all));
        let config = format!(
            "[providers.house]\nbase_url = \"{}/v1\"\ndialects = [\"openai-chat\"]\nauth = {auth}\nheaders = {{ x-team = \"env:TEAM\" }}\n",
            provider.url()
        );
        // Another provider's secret is one, too, whoever it is told to.
        let config = format!(
            "{config}[providers.other]\nbase_url = \"http://127.0.0.1:9/v1\"\ndialects = [\"openai-chat\"]\nauth = {{ bearer = \"env:KEY\" }}\n"
        );
        let folder = Folder::new();
        let (recording, told) =
            builder(&config, &[("KEY", KEY), ("SECOND", SECOND), ("SIGNING", SIGNING), ("TEAM", "team-header-0123456789abc")]);
        let client = recording.record(&folder.0).build().unwrap();
        let prompt = format!("what is {KEY}?");
        hear(&client, "house/m", &prompt, false).await.unwrap_or_else(|error| panic!("{auth}: {error}"));
        hear(&client, "house/m", "fail", false).await.unwrap_err();
        drop(client);
        assert_eq!(told.lock().unwrap().as_slice(), [] as [String; 0], "{auth}");
        assert_eq!(folder.files().len(), 2, "a token server's answers are kept nowhere");
        let carried = carried.lock().unwrap().clone();
        assert!(carried.len() > 5 || auth.contains("env:KEY'"), "{auth}: {carried:?}");
        for (name, text) in folder.files() {
            // Names may hold no secret either, and every spelling counts.
            let text = format!("{name}\n{text}").to_lowercase();
            for secret in carried.iter().map(|secret| secret.to_lowercase()).chain(["team-header-0123456789abc".to_owned()]) {
                let quoted = serde_json::to_string(&secret).unwrap();
                let spellings = [
                    secret.clone(),
                    quoted.trim_matches('"').to_owned(),
                    secret.replace('/', "%2f").replace('+', "%2b").replace('=', "%3d"),
                ];
                for spelling in spellings {
                    assert!(!text.contains(&spelling), "{auth}: {spelling} is in {text}");
                }
            }
            assert!(text.contains("***"), "{text}");
        }
        // What is left can be played back, without any of them. The key in the prompt is hidden, too, so that one cannot.
        let again = builder(&config, &[]).0.replay(&folder.0, false).build().unwrap();
        hear(&again, "house/m", "what is ***?", false).await.unwrap();
        assert!(hear(&again, "house/m", "fail", false).await.unwrap_err().contains("HTTP 400"));
    }
    assert!(count == 13 && !tokens.requests().is_empty());
}
