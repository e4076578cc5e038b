//! Worked examples: from the vendors' documents, and made by their SDKs from made-up secrets.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use trunkline::Secret;
use trunkline::sign::{Bce, HmacSha256, Hs256Jwt, SdkHmac, ServiceAccount, SigV4, Sign, Tc3, UrlHmac};
use trunkline::transport::Payload;

use super::{Case, at, key};

/// 2026-01-02T03:04:05Z
const NOW: u64 = 1_767_323_045;
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn signed(scheme: &dyn Sign, method: &str, url: &str, body: &str) -> Case {
    let mut case = Case::new(method, url, JSON, body);
    case.sign(scheme, &at(NOW)).unwrap();
    case
}

#[test]
fn sigv4() {
    let key = key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-x-v1%3A0/converse";
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
    let case = signed(&SigV4::new(key, "us-east-1", "bedrock"), "POST", url, body);
    let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/bedrock/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date, \
        Signature=925b650b3be3c40a067f456ad0708cd90d62d0c4a2571c7f755a208bef4d0ee7";
    assert_eq!((case.header("authorization"), case.header("x-amz-date")), (expected, "20260102T030405Z"));
}

#[test]
fn tc3() {
    let scheme = Tc3::new(key("AKIDFAKE0123456789", "fake-tencent-secret-key"), "hunyuan");
    let url = "https://hunyuan.tencentcloudapi.com/";
    let body = r#"{"Model":"hunyuan-lite","Messages":[{"Role":"user","Content":"hello"}],"Stream":false}"#;
    let case = signed(&scheme, "POST", url, body);
    let expected = "TC3-HMAC-SHA256 Credential=AKIDFAKE0123456789/2026-01-02/hunyuan/tc3_request, \
        SignedHeaders=content-type;host, Signature=5d9c193332da8b675e15173307e0cd6e9cd3a7692e039e0932de57b402f9b12d";
    assert_eq!((case.header("authorization"), case.header("x-tc-timestamp")), (expected, "1767323045"));

    let mut case = Case::new("POST", url, &[JSON[0], ("x-tc-action", "ChatCompletions")], body);
    case.sign(&scheme.covering([HeaderName::from_static("x-tc-action")]), &at(NOW)).unwrap();
    let end = "SignedHeaders=content-type;host;x-tc-action, \
        Signature=724eb0867e5dd962e9ccb11ec8d1581d6e2e34953bae63222fd1a1f4bced20e2";
    assert!(case.header("authorization").ends_with(end), "{}", case.header("authorization"));
}

#[test]
fn bce() {
    let scheme = Bce::new(key("FAKE-ALTAK-0123456789", "fake-bce-secret-key-for-tests"));
    let url = "https://iam.bj.baidubce.com/v1/BCE-BEARER/token?expireInSeconds=43200";
    let case = signed(&scheme.clone().valid_for(Duration::from_secs(300)), "GET", url, "");
    let expected = "bce-auth-v1/FAKE-ALTAK-0123456789/2026-01-02T03:04:05Z/300/content-type;host;x-bce-date/\
        9d12ce45264070f8afc16cddadfe7ae9a5d52cc5df06d0effa399cceb70066a0";
    assert_eq!((case.header("authorization"), case.header("x-bce-date")), (expected, "2026-01-02T03:04:05Z"));

    let url = "https://qianfan.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/ernie-speed-128k";
    let case = signed(&scheme, "POST", url, "{}");
    let end = "/1800/content-type;host;x-bce-date/4e06f6b58e8335ed7cac3bd97bb9c35873fae49ab7d3ded361428a6243472ee2";
    assert!(case.header("authorization").ends_with(end), "{}", case.header("authorization"));
}

#[test]
fn hmac_sha256() {
    let scheme = HmacSha256::new(key("AKLTFAKE0123456789", "fake-volc-secret-key"), "cn-beijing", "ark");
    let url = "https://open.volcengineapi.com/?Action=GetApiKey&Version=2024-01-01";
    let body = r#"{"DurationSeconds":604800,"ResourceType":"endpoint","ResourceIds":["ep-20260101000000-fake0"]}"#;
    let case = signed(&scheme, "POST", url, body);
    let expected = "HMAC-SHA256 Credential=AKLTFAKE0123456789/20260102/cn-beijing/ark/request, \
        SignedHeaders=content-type;host;x-content-sha256;x-date, \
        Signature=8c74054d09b54307e018d15a4aa8ec694e5dac3e16933f827ebcaaf631c9201b";
    assert_eq!(case.header("authorization"), expected);
}

#[test]
fn sdk_hmac() {
    let scheme = SdkHmac::new(key("FAKEHWACCESSKEY", "fake-huawei-secret-key"));
    let url = "https://pangu.cn-southwest-2.myhuaweicloud.com/v1/fakeprojectid/deployments/fake-deployment-id/chat/completions";
    let body = r#"{"messages":[{"role":"user","content":"hello"}],"stream":false}"#;
    let case = signed(&scheme, "POST", url, body);
    let expected = "SDK-HMAC-SHA256 Access=FAKEHWACCESSKEY, SignedHeaders=content-type;host;x-sdk-date, \
        Signature=c79f54c36e8589d1b7a9f727f08542cc690b0132947831043aa3ad2a7970f9ae";
    assert_eq!(case.header("authorization"), expected);
}

#[test]
fn hs256_jwt() {
    let scheme = Hs256Jwt::new(&Secret::new("fakeid0123456789.fakeSecretABCDEF")).unwrap();
    let case = signed(&scheme, "POST", "https://open.bigmodel.cn/api/paas/v4/chat/completions", "{}");
    let expected = "Bearer eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04iLCJ0eXAiOiJKV1QifQ.\
        eyJhcGlfa2V5IjoiZmFrZWlkMDEyMzQ1Njc4OSIsImV4cCI6MTc2NzMyMzI1NTAwMCwidGltZXN0YW1wIjoxNzY3MzIzMDQ1MDAwfQ.\
        s6uVzx_CApsf0P0POfqvQG9DewawxBC-F-M8RvKcwpA";
    assert_eq!(case.header("authorization"), expected);
}

#[test]
fn url_hmac() {
    let scheme = UrlHmac::new(Secret::new("fakeApiKey0123456789"), Secret::new("fakeApiSecret9876543210"));
    let case = signed(&scheme, "GET", "wss://spark-api.xf-yun.com/v3.5/chat", "");
    let expected = "wss://spark-api.xf-yun.com/v3.5/chat?authorization=\
        YXBpX2tleT0iZmFrZUFwaUtleTAxMjM0NTY3ODkiLCBhbGdvcml0aG09ImhtYWMtc2hhMjU2IiwgaGVhZGVycz0iaG9zdCBkYXRlIHJlcXVlc3QtbGluZSIsI\
        HNpZ25hdHVyZT0iZUpBUHoyRzdFS0VVcno1OTR1NCtDZTZDTmlpeVZ4ZEErMGRVTkRhZllqYz0i\
        &date=Fri%2C+02+Jan+2026+03%3A04%3A05+GMT&host=spark-api.xf-yun.com";
    assert_eq!(case.uri.to_string(), expected);
    // Signed again, it carries the new signature only.
    let mut again = Case::new("GET", &format!("{expected}&app=1"), &[], "");
    again.sign(&scheme, &at(NOW)).unwrap();
    assert_eq!(again.uri.to_string(), expected.replace("?", "?app=1&"));

    // The sample of the vendor's document; these keys were never good.
    let (id, secret) = ("addd2272b6d8b7c8abdd79531420ca3b", "MjlmNzkzNmZkMDQ2OTc0ZDdmNGE2ZTZi");
    let mut case = Case::new("GET", "wss://spark-api.xf-yun.com/v1.1/chat", &[], "");
    case.sign(&UrlHmac::new(Secret::new(id), Secret::new(secret)), &at(1_683_283_419)).unwrap();
    // The Base64 of `signature="z5gHdu3pxVV4ADMyk467wOWDQ9q6BQzR3nfMTjc/DaQ="` at this place in the text.
    let end = "IsIHNpZ25hdHVyZT0iejVnSGR1M3B4VlY0QURNeWs0Njd3T1dEUTlxNkJRelIzbmZNVGpjL0RhUT0i\
        &date=Fri%2C+05+May+2023+10%3A43%3A39+GMT&host=spark-api.xf-yun.com";
    assert!(case.uri.to_string().ends_with(end), "{}", case.uri);
}

#[test]
fn secrets_stay_out_of_sight() {
    let secret = "fake-secret-0123456789";
    let schemes: [&dyn std::fmt::Debug; 7] = [
        &SigV4::new(key(secret, secret).with_session(Secret::new(secret)), "r", "s"),
        &Tc3::new(key(secret, secret), "s"),
        &Bce::new(key(secret, secret)),
        &HmacSha256::new(key(secret, secret), "r", "s"),
        &SdkHmac::new(key(secret, secret)),
        &Hs256Jwt::new(&Secret::new(&format!("{secret}.{secret}"))).unwrap(),
        &UrlHmac::new(Secret::new(secret), Secret::new(secret)),
    ];
    for scheme in schemes {
        let shown = format!("{scheme:?}");
        assert!(shown.contains("***") && !shown.contains(secret), "{shown}");
    }
    let case = signed(&SigV4::new(key(secret, secret).with_session(Secret::new(secret)), "r", "s"), "POST", "https://a.b/", "");
    assert!(!format!("{:?}", case.headers).contains(secret), "{:?}", case.headers);
    let mut case = Case::new("POST", "https://a.b/", JSON, "");
    let error = case.sign(&SdkHmac::new(key("a\nb", secret)), &at(NOW)).unwrap_err();
    assert!(!error.to_string().contains(secret) && error.to_string().contains("cannot stand in the header"), "{error}");
    for file in ["{", "{\"private_key\": \"fake-secret-0123456789\"}", "[]"] {
        let error = ServiceAccount::read(&Secret::new(file)).unwrap_err();
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[test]
fn a_body_that_is_still_coming_in_is_not_signed_for_what_has_come() {
    let schemes: [(&dyn Sign, bool); 3] = [
        (&SigV4::new(key("a", "b"), "r", "s"), false),
        (&SdkHmac::new(key("a", "b")), false),
        // Covers the address only.
        (&Bce::new(key("a", "b")), true),
    ];
    for (scheme, good) in schemes {
        let mut case = Case::new("POST", "https://a.b/", JSON, "");
        case.body = Payload::stream(vec![Bytes::from("{")], futures_util::stream::empty(), None);
        let signed = case.sign(scheme, &at(NOW));
        assert_eq!(signed.is_ok(), good);
        assert!(good || case.header("authorization").is_empty());
    }
}
