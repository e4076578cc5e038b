//! What vendors say when they refuse.

use serde_json::json;

use super::Denial;
use crate::provider::Answer;

/// The shape of Amazon's errors.
pub(super) fn amazon(denial: Denial) -> Answer {
    let (kind, words) = match denial {
        Denial::Missing => ("MissingAuthenticationTokenException", "Missing Authentication Token"),
        Denial::Unknown => ("UnrecognizedClientException", "The security token included in the request is invalid."),
        Denial::Untimely => ("InvalidSignatureException", "Signature expired: it is not now"),
        Denial::Wrong | Denial::Used => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method.",
        ),
    };
    Answer::json(403, json!({ "message": words }).to_string()).header("x-amzn-errortype", kind)
}

/// The shape of Tencent's: never another status than 200.
pub(super) fn tencent(denial: Denial) -> Answer {
    let code = match denial {
        Denial::Missing => "AuthFailure.InvalidAuthorization",
        Denial::Unknown => "AuthFailure.SecretIdNotFound",
        Denial::Untimely => "AuthFailure.SignatureExpire",
        Denial::Wrong | Denial::Used => "AuthFailure.SignatureFailure",
    };
    let error = json!({ "Code": code, "Message": "The provided credentials could not be validated." });
    Answer::json(200, json!({ "Response": { "Error": error, "RequestId": "fake" } }).to_string())
}

/// The shape of Volcengine's control plane.
pub(super) fn volcengine(denial: Denial) -> Answer {
    let (status, code) = match denial {
        Denial::Missing => (401, "MissingAuthenticationToken"),
        Denial::Unknown => (401, "InvalidAccessKey"),
        Denial::Untimely => (403, "SignatureExpired"),
        Denial::Wrong | Denial::Used => (403, "SignatureDoesNotMatch"),
    };
    let error = json!({ "Code": code, "Message": "The request is not signed as it must be." });
    Answer::json(status, json!({ "ResponseMetadata": { "RequestId": "fake", "Error": error } }).to_string())
}

/// The shape of Baidu's cloud.
pub(super) fn baidu(denial: Denial) -> Answer {
    let (status, code) = match denial {
        Denial::Missing => (403, "AccessDenied"),
        Denial::Unknown => (403, "InvalidAccessKeyId"),
        Denial::Untimely => (400, "RequestExpired"),
        Denial::Wrong | Denial::Used => (400, "SignatureDoesNotMatch"),
    };
    Answer::json(status, json!({ "requestId": "fake", "code": code, "message": "The request is refused." }).to_string())
}

/// The shape of Huawei's gateway.
pub(super) fn huawei(denial: Denial) -> Answer {
    let words = match denial {
        Denial::Missing => "Incorrect IAM authentication information: AK/SK signature missing",
        Denial::Unknown => "Incorrect IAM authentication information: AK access failed to reach the limit or AK not exist",
        Denial::Untimely => "Incorrect IAM authentication information: signature expired",
        Denial::Wrong | Denial::Used => "Incorrect IAM authentication information: verify aksk signature fail",
    };
    Answer::json(401, json!({ "error_code": "APIGW.0301", "error_msg": words, "request_id": "fake" }).to_string())
}

/// The shape of Zhipu's.
pub(super) fn zhipu(denial: Denial) -> Answer {
    let (code, words) = match denial {
        Denial::Missing => ("1001", "no authorization header"),
        Denial::Unknown => ("1002", "authorization token invalid"),
        Denial::Untimely => ("1003", "authorization token expired"),
        Denial::Wrong | Denial::Used => ("1000", "authentication failed"),
    };
    Answer::json(401, json!({ "error": { "code": code, "message": words } }).to_string())
}

/// The shape of the gateway in front of iFlytek's services.
pub(super) fn kong(denial: Denial) -> Answer {
    let (status, words) = match denial {
        Denial::Missing | Denial::Unknown => (401, "Unauthorized"),
        Denial::Untimely => (403, "HMAC signature cannot be verified, a valid date or x-date header is required"),
        Denial::Wrong | Denial::Used => (403, "HMAC signature does not match"),
    };
    Answer::json(status, json!({ "message": words }).to_string())
}

/// An endpoint of one's own.
pub(super) fn own(denial: Denial) -> Answer {
    let words = format!("the request's signature is refused: {denial:?}");
    Answer::json(401, json!({ "error": { "type": "authentication_error", "message": words } }).to_string())
}
