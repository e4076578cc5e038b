//! What providers say in sentences: prompts that are too long, models that are not there, keys that are no good.

use http::HeaderMap;
use trunkline_codec::{Error, Kind, dialect};

fn read(dialect: &str, status: u16, body: &str) -> Error {
    dialect::find(dialect).unwrap().upstream.read_error(status, &HeaderMap::new(), body.as_bytes(), 0)
}

fn openai(message: &str) -> String {
    serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}).to_string()
}

fn check(wanted: Kind, messages: &[&str]) {
    let status = |message: &str| if message.contains("max_new_tokens") { 422 } else { 400 };
    for message in messages {
        let gemini = serde_json::json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}).to_string();
        let anthropic =
            serde_json::json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).to_string();
        let xai = serde_json::json!({"code": "Client specified an invalid argument", "error": message}).to_string();
        let plain = serde_json::json!({"message": message}).to_string();
        let minimax = serde_json::json!({"base_resp": {"status_code": 2013, "status_msg": message}}).to_string();
        for (dialect, body) in [
            ("openai-chat", openai(message)),
            ("openai-chat", xai),
            ("openai-chat", minimax),
            ("openai-responses", openai(message)),
            ("anthropic-messages", anthropic),
            ("gemini", gemini),
            ("cohere-chat", plain.clone()),
            ("bedrock-converse", plain),
            ("dashscope", serde_json::json!({"code": "InvalidParameter", "message": message}).to_string()),
        ] {
            let error = read(dialect, status(message), &body);
            assert_eq!(error.kind, wanted, "{dialect}: {message}");
        }
    }
}

#[test]
fn a_prompt_that_is_too_long() {
    check(
        Kind::ContextTooLong,
        &[
            "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
            "Range of input length should be [1, 30720]",
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller.",
            "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 100 `max_new_tokens`",
            "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
            "the request exceeds the available context size (4096 tokens), try increasing it",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 tokens.",
            "Please reduce the length of the messages or completion.",
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
            "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000",
            "Invalid request: Your request exceeded model token limit: 8192",
            "Requested input length 9000 exceeds maximum input length 8192",
            "Total tokens of image and text exceed max message tokens.",
            "Prompt exceeds max length",
            "prompt token count of 90000 exceeds the limit of 64000",
            "Input is too long for requested model.",
            "输入长度超出限制",
        ],
    );
    let typed = r#"{"error":{"code":400,"message":"too big","type":"exceed_context_size_error","n_ctx":4096}}"#;
    assert_eq!(read("openai-chat", 400, typed).kind, Kind::ContextTooLong);
    let coded = r#"{"error":{"message":"no","code":"model_max_prompt_tokens_exceeded"}}"#;
    assert_eq!(read("openai-chat", 400, coded).kind, Kind::ContextTooLong);
}

#[test]
fn a_model_that_is_not_there() {
    check(
        Kind::NotFound,
        &[
            "Model m not found",
            "The model `m` does not exist",
            "The model `gpt-9` does not exist or you do not have access to it.",
            "Model not found",
            "Model Not Exist",
            "model 'llama9' not found, try pulling it first",
            "foo/bar is not a valid model ID",
            "Invalid model: large-9",
            "Invalid model 'x'. Permitted models can be found in the documentation.",
            "Unknown Model, please check the model code.",
            "The model `mixtral` has been decommissioned and is no longer supported.",
            "The provided model identifier is invalid.",
            "模型不存在，请检查模型代码。",
        ],
    );
    for (status, body) in [
        (400, r#"{"error":{"message":"gone","type":"invalid_request_error","code":"model_decommissioned"}}"#),
        (400, r#"{"error":{"message":"no","type":"invalid_model","code":"1500"}}"#),
        (400, r#"{"error":{"message":"no","code":"1211"}}"#),
        (400, r#"{"code":20012,"message":"no","data":null}"#),
        (400, r#"{"error":{"message":"foo/bar is not a valid model ID","code":400}}"#),
    ] {
        assert_eq!(read("openai-chat", status, body).kind, Kind::NotFound, "{body}");
    }
}

#[test]
fn a_key_that_is_no_good() {
    check(
        Kind::Unauthenticated,
        &[
            "Incorrect API key provided: xa***ey. You can obtain an API key from the console.",
            "API key not valid. Please pass a valid API key.",
            "API key expired. Please renew the API key.",
        ],
    );
    check(
        Kind::QuotaExhausted,
        &[
            "Your credit balance is too low to access the API. Please go to Plans & Billing to upgrade or purchase credits.",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            "Access denied, please make sure your account is in good standing.",
        ],
    );
    let overdue = r#"{"code":"Arrearage","message":"no"}"#;
    assert_eq!(read("dashscope", 400, overdue).kind, Kind::QuotaExhausted);
    assert_eq!(read("openai-chat", 400, overdue).kind, Kind::QuotaExhausted);
}

/// Callers can have their own words repeated; those must put no credential to rest.
#[test]
fn an_ordinary_bad_request_stays_one() {
    check(
        Kind::BadRequest,
        &[
            "Invalid value: 'incorrect api key provided'. Supported values are: 'text', 'json_object'.",
            "messages.1.role: unexpected value \"your credit balance is too low\"",
            "tools[0].name: 'insufficient balance' does not match the pattern",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
            "Unrecognized request argument supplied: model_config",
            "The model does not support tools",
            "The model `m` does not support image input",
            "Tool 'find_model' not found in tools",
            "Unknown parameter: 'model_options'.",
            "Invalid model parameter: temperature must be at most 2",
            "Unknown model parameter foo",
            "models.list is not found here",
            "previous model response does not exist",
            "the file model.png was not found",
            "messages: at least one message is required",
            "Invalid 'user': string too long. Expected a string with maximum length 64.",
            "temperature: range should be [0, 2]",
            "Invalid token at position 4",
        ],
    );
}
