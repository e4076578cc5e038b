use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::*;
use crate::secret::Secret;
use crate::transport::Payload;

const KEY: &str = "ZmFrZS1nYXRld2F5LXNoYXJlZC1zZWNyZXQtMzJieXQ=";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const INPUT: &str = r#"sig1=("@method" "@authority" "@path" "@query" "content-type" "content-digest");created=1767323045;expires=1767323345;nonce="bm9uY2UtZmFrZS0wMDAx";keyid="gw-test";alg="hmac-sha256";tag="gw-v1""#;
const SIGNATURE: &str = "sig1=:7locvRVyUcByzO6bdMT18+2NBtQ0YXBKIlBpu4nJUXA=:";

fn key() -> MessageKey {
    MessageKey::hmac_sha256(&Secret::new(KEY)).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new([("gw-test".to_owned(), key())])
}

fn at(unix: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix)
}

fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let parsed =
        pairs.into_iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()));
    parsed.collect()
}

fn signed() -> HeaderMap {
    let mut headers = headers([("content-type", "application/json")]);
    let mut uri = Uri::from_static("https://GW.example.com:443/v1/chat/completions");
    let body = Payload::whole(BODY);
    let mut draft = Draft { method: &Method::POST, uri: &mut uri, headers: &mut headers, body: &body };
    let signature = MessageSignature::new(key(), "gw-test").unwrap();
    signature.sign_with(&mut draft, 1_767_323_045, "bm9uY2UtZmFrZS0wMDAx").unwrap();
    headers
}

fn message(headers: &HeaderMap) -> Message<'_> {
    let path = "/v1/chat/completions";
    Message { method: "POST", authority: "gw.example.com", path, query: None, headers, body: BODY.as_bytes() }
}

#[test]
fn the_profiles_worked_example_is_signed_and_verified() {
    let headers = signed();
    assert_eq!(headers["signature-input"], INPUT);
    assert_eq!(headers["signature"], SIGNATURE);
    assert_eq!(headers["content-digest"], "sha-256=:eY1GY5SR1sGPF3nd/KfaS2cvI6TLV9Zu6uSNm4zLYHU=:");
    let verifier = verifier();
    assert_eq!(verifier.verify(&message(&headers), at(1_767_323_050)).unwrap(), "gw-test");
    let again = verifier.verify(&message(&headers), at(1_767_323_051)).unwrap_err();
    assert_eq!((again.kind, again.message.as_str()), (crate::Kind::Unauthenticated, "this signature has been used before"));
}

#[test]
fn what_was_changed_on_the_way_is_found() {
    let headers = signed();
    let good = message(&headers);
    let mut other_type = headers.clone();
    other_type.insert("content-type", HeaderValue::from_static("text/plain"));
    let mut no_type = headers.clone();
    no_type.remove("content-type");
    let mut other_digest = headers.clone();
    other_digest
        .insert("content-digest", HeaderValue::from_str(&content_digest::write(super::super::digest::sha256("x"))).unwrap());
    let mut cut = headers.clone();
    cut.insert("signature", HeaderValue::from_static("sig1=:7locvRVyUcByzO6bdMT18+2NBtQ0YXBKIlBpu4nJUX==:"));
    let changed = [
        Message { method: "PUT", ..good },
        Message { authority: "gw.example.com:8080", ..good },
        Message { path: "/v1/chat/completion", ..good },
        Message { query: Some("a=1"), ..good },
        Message { body: b"{}", ..good },
        Message { body: b"x", headers: &other_digest, ..good },
        Message { headers: &other_type, ..good },
        Message { headers: &no_type, ..good },
        Message { headers: &cut, ..good },
    ];
    let verifier = verifier();
    for message in changed {
        let error = verifier.verify(&message, at(1_767_323_050)).unwrap_err();
        assert_eq!(error.kind, crate::Kind::Unauthenticated, "{message:?}");
    }
    // None of these tries has used up the nonce.
    verifier.verify(&good, at(1_767_323_050)).unwrap();
}

#[test]
fn a_signature_has_its_time() {
    let headers = signed();
    for (now, good) in [(1_767_323_015, true), (1_767_323_014, false), (1_767_323_375, true), (1_767_323_376, false)] {
        assert_eq!(verifier().verify(&message(&headers), at(now)).is_ok(), good, "{now}");
    }
}

/// Signs parameters as they are: somebody with the key who does not keep to the profile.
fn with_input(input: &str) -> HeaderMap {
    let mut headers = signed();
    let names: Vec<&str> = input.split(')').next().unwrap().split('"').filter(|part| part.starts_with(['@', 'c'])).collect();
    let parts = Parts {
        method: "POST",
        authority: "gw.example.com".to_owned(),
        path: "/v1/chat/completions",
        query: None,
        headers: &headers,
    };
    let base = base::write(&parts, names, input).unwrap();
    let signature = format!("sig1=:{}:", base64(key().sign(base.as_bytes()).unwrap()));
    headers.insert("signature-input", HeaderValue::from_str(&format!("sig1={input}")).unwrap());
    headers.insert("signature", HeaderValue::from_str(&signature).unwrap());
    headers
}

#[test]
fn a_signature_outside_the_profile_is_refused_even_if_the_key_is_right() {
    let all = r#"("@method" "@authority" "@path" "@query" "content-type" "content-digest")"#;
    let some = r#"("@method" "@authority" "@path" "@query" "content-type")"#;
    let times = "created=1767323045;expires=1767323345";
    let rest = r#"nonce="bm9uY2UtZmFrZS0wMDAx";keyid="gw-test";alg="hmac-sha256";tag="gw-v1""#;
    let cases = [
        (format!("{all};{times};{rest}"), ""),
        (format!("{some};{times};{rest}"), "must cover"),
        (format!("();{times};{rest}"), "must cover"),
        (format!("{all};expires=1767323345;{rest}"), "when it was created"),
        (format!("{all};created=1767323045;{rest}"), "when it was created"),
        (format!("{all};created=1767323045;expires=1767326645;{rest}"), "300 seconds"),
        (format!("{all};created=1767323045;expires=9223372036854775807;{rest}"), "300 seconds"),
        (format!("{all};created=1767323045;expires=1767323040;{rest}"), "300 seconds"),
        (format!("{all};{times};{}", rest.replace("gw-test", "other")), "not known"),
        (format!("{all};{times};{}", rest.replace("hmac-sha256", "ed25519")), "algorithm"),
        (format!("{all};{times};{}", rest.replace("\"hmac-sha256\"", "1")), "algorithm"),
        (format!("{all};{times};{}", rest.replace("gw-v1", "gw-v2")), "no signature with the tag"),
        (format!("{all};{times};{}", rest.replace("bm9uY2UtZmFrZS0wMDAx", "short")), "nonce"),
        (format!("{all};{times};keyid=\"gw-test\";tag=\"gw-v1\""), "nonce"),
    ];
    for (input, why) in cases {
        let (verifier, headers) = (verifier(), with_input(&input));
        let result = verifier.verify(&message(&headers), at(1_767_323_050)).map_err(|error| error.message);
        match result {
            Ok(_) => assert_eq!(why, "", "{input}"),
            Err(message) => assert!(!why.is_empty() && message.contains(why), "{input}: {message}"),
        }
    }
    let mut twice = signed();
    twice.append("signature-input", HeaderValue::from_str(&INPUT.replace("sig1", "sig2")).unwrap());
    let error = verifier().verify(&message(&twice), at(1_767_323_050)).unwrap_err();
    assert!(error.message.contains("several"), "{error}");
    assert!(verifier().verify(&message(&headers([])), at(1_767_323_050)).unwrap_err().message.contains("not signed"));
}

#[test]
fn a_signature_of_somebody_elses_does_not_disturb() {
    let mut headers = signed();
    headers.append("signature-input", HeaderValue::from_static(r#"proxy=("forwarded";bs);created=1;tag="p""#));
    headers.append("signature", HeaderValue::from_static("proxy=:AAAA:"));
    verifier().verify(&message(&headers), at(1_767_323_050)).unwrap();
}

#[test]
fn nonces_are_forgotten_when_they_no_longer_count() {
    let nonces = SeenNonces::new(2);
    assert!(nonces.take("k", "a", at(10), at(0)));
    assert!(!nonces.take("k", "a", at(10), at(0)));
    assert!(nonces.take("l", "a", at(20), at(0)));
    assert!(!nonces.take("k", "b", at(10), at(0)), "full");
    assert!(nonces.take("k", "b", at(30), at(11)));
    assert!(!nonces.take("l", "a", at(20), at(11)));
}

#[test]
fn the_examples_of_rfc_9421_hold() {
    let headers =
        headers([("date", "Tue, 20 Apr 2021 02:07:55 GMT"), ("content-type", "application/json"), ("content-length", "18")]);
    let parts = Parts { method: "POST", authority: "example.com".to_owned(), path: "/foo", query: None, headers: &headers };
    let shared = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let shared = MessageKey::hmac_sha256(&Secret::new(shared)).unwrap();
    let params = r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    let base = base::write(&parts, ["date", "@authority", "content-type"], params).unwrap();
    assert_eq!(base64(shared.sign(base.as_bytes()).unwrap()), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");

    let private = MessageKey::ed25519(&Secret::new("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")).unwrap();
    let public = MessageKey::ed25519_public("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap();
    let names = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
    let params =
        r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let base = base::write(&parts, names, params).unwrap();
    let signature = private.sign(base.as_bytes()).unwrap();
    let expected = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert_eq!(base64(&signature), expected);
    assert!(private.verifies(base.as_bytes(), &signature) && public.verifies(base.as_bytes(), &signature));
    assert!(!public.verifies(b"other", &signature));
    assert!(MessageSignature::new(public, "k").is_err());
}

#[test]
fn a_key_that_is_none_is_refused_and_none_is_shown() {
    for text in ["", "%", "c2hvcnQ="] {
        assert!(MessageKey::hmac_sha256(&Secret::new(text)).is_err(), "{text}");
        assert!(MessageKey::ed25519(&Secret::new(text)).is_err() && MessageKey::ed25519_public(text).is_err(), "{text}");
    }
    let signature = MessageSignature::new(key(), "k").unwrap();
    assert!(MessageSignature::new(key(), "k\"").is_err() && signature.clone().tagged("\\").is_err());
    assert!(format!("{signature:?}").contains("hmac-sha256(***)"));
}
