//! What each dialect says: one table for all tests.

use serde_json::Value;
use trunkline::codec::dialect;
use trunkline_testkit::provider::Answer;

use crate::wire::{Ask, Reply};

/// One dialect.
pub(crate) struct Speech {
    pub(crate) name: &'static str,
    /// Whether a provider's `base_url` ends in `/v1`.
    pub(crate) base_has_version: bool,
    /// How the gateway signs, in TOML.
    pub(crate) auth: &'static str,
    /// Path of a whole and of a streamed call, at the gateway and (with the bare model name) at the provider.
    paths: [&'static str; 2],
    /// A request with unknown fields, odd order, big numbers, escapes and odd white space; `{MODEL}` and `{STREAM}` are to be filled.
    odd: &'static str,
    /// A plain request.
    plain: &'static str,
    /// A provider's whole answer with fields that nobody knows.
    pub(crate) whole: &'static str,
    /// A provider's streamed answer; the text is `Hel`, `lo ☃`.
    pub(crate) frames: &'static [&'static str],
    /// How many of the frames hold the text and nothing of the end.
    pub(crate) texts: usize,
    /// Where a stream's frame has text.
    text_at: &'static str,
    /// Where a whole answer has text.
    whole_text_at: &'static str,
    /// What only a stream that ended well says.
    pub(crate) ends: &'static [&'static str],
    /// A provider's error body.
    pub(crate) error: &'static str,
    /// Whether frames are lines of JSON and not server-sent events.
    pub(crate) is_lines: bool,
}

const OPENAI_CHAT: Speech = Speech {
    name: "openai-chat",
    base_has_version: true,
    auth: "{ bearer = \"env:HOUSE_KEY\" }",
    paths: ["/v1/chat/completions", "/v1/chat/completions"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"messages\":[{\"content\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\",\"role\":\"user\",\"zzz\":[null]}],  \
        \"stream_options\":{\"include_usage\":true,\"x\":1},\"model\" : \"{MODEL}\" , \"max_tokens\": 16, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"messages":[{"role":"user","content":"hi"}],"max_tokens":16}"#,
    whole: "{\"id\":\"chatcmpl-1\", \"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello \\u2603\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}} \n",
    frames: &[
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"x_new\":1}\n\n",
        ": keep-alive\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo \\u2603\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n",
        "data: [DONE]\n\n",
    ],
    texts: 4,
    text_at: "/choices/0/delta/content",
    whole_text_at: "/choices/0/message/content",
    ends: &["[DONE]", "\"finish_reason\":\"stop\""],
    error: r#"{"error":{"message":"the provider's own words","type":"some_type","param":null,"code":"some_code","x_new":1}}"#,
    is_lines: false,
};

const OPENAI_COMPLETIONS: Speech = Speech {
    name: "openai-completions",
    paths: ["/v1/completions", "/v1/completions"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"prompt\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\", \
        \"stream_options\":{\"include_usage\":true,\"x\":1},\"model\" : \"{MODEL}\" , \"max_tokens\": 16, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"prompt":"hi","max_tokens":16}"#,
    whole: "{\"id\":\"cmpl-1\", \"object\":\"text_completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"choices\":[{\"index\":0,\"text\":\"Hello \\u2603\",\"logprobs\":null,\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}} \n",
    frames: &[
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"text\":\"Hel\",\"logprobs\":null,\"finish_reason\":null}],\"x_new\":1}\n\n",
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"text\":\"lo \\u2603\",\"logprobs\":null,\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"tiny-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n",
        "data: [DONE]\n\n",
    ],
    texts: 2,
    text_at: "/choices/0/text",
    whole_text_at: "/choices/0/text",
    ..OPENAI_CHAT
};

const OPENAI_RESPONSES: Speech = Speech {
    name: "openai-responses",
    paths: ["/v1/responses", "/v1/responses"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"input\":[{\"content\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\",\"role\":\"user\",\"zzz\":[null]}],  \
        \"previous_response_id\":\"resp_0\",\"model\" : \"{MODEL}\" , \"max_output_tokens\": 16, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"input":[{"role":"user","content":"hi"}],"max_output_tokens":16}"#,
    whole: "{\"id\":\"resp_1\", \"object\":\"response\",\"created_at\":1700000000,\"status\":\"completed\",\"error\": null,\"model\":\"tiny-1\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"output\":[{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello \\u2603\",\"annotations\":[]}]}],\
        \"usage\":{\"input_tokens\":7,\"output_tokens\":3,\"total_tokens\":10}} \n",
    frames: &[
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"in_progress\",\"error\":null,\"model\":\"tiny-1\",\"output\":[],\"usage\":null,\"x_new\":1}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n",
        "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":3,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hel\",\"logprobs\":[]}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"lo \\u2603\",\"logprobs\":[]}\n\n",
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":5,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"text\":\"Hello \\u2603\"}\n\n",
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":6,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello \\u2603\",\"annotations\":[]}]}}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":7,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"completed\",\"error\":null,\"model\":\"tiny-1\",\"output\":[{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello \\u2603\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":7,\"output_tokens\":3,\"total_tokens\":10}}}\n\n",
    ],
    texts: 5,
    text_at: "/delta",
    whole_text_at: "/output/0/content/0/text",
    ends: &["response.completed", "\"status\":\"completed\""],
    ..OPENAI_CHAT
};

const ANTHROPIC: Speech = Speech {
    name: "anthropic-messages",
    base_has_version: false,
    auth: "{ header = \"x-api-key\", value = \"env:HOUSE_KEY\" }",
    paths: ["/v1/messages", "/v1/messages"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"messages\":[{\"content\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\",\"role\":\"user\",\"zzz\":[null]}],  \
        \"model\" : \"{MODEL}\" , \"max_tokens\": 16, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"messages":[{"role":"user","content":"hi"}],"max_tokens":16}"#,
    whole: "{\"id\":\"msg_1\", \"type\":\"message\",\"role\":\"assistant\",\"model\":\"tiny-1\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"content\":[{\"type\":\"text\",\"text\":\"Hello \\u2603\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\
        \"usage\":{\"input_tokens\":7,\"output_tokens\":3}} \n",
    frames: &[
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"tiny-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":1},\"x_new\":1}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo \\u2603\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ],
    texts: 5,
    text_at: "/delta/text",
    whole_text_at: "/content/0/text",
    ends: &["message_stop", "\"end_turn\""],
    error: r#"{"type":"error","error":{"type":"some_type","message":"the provider's own words","x_new":1},"request_id":"req_theirs"}"#,
    is_lines: false,
};

const GEMINI: Speech = Speech {
    name: "gemini",
    base_has_version: false,
    auth: "{ header = \"x-goog-api-key\", value = \"env:HOUSE_KEY\" }",
    paths: ["/v1beta/models/{MODEL}:generateContent", "/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"],
    odd: "\r\n{ \"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"contents\":[{\"parts\":[{\"text\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\"}],\"role\":\"user\",\"zzz\":[null]}],  \
        \"generationConfig\":{\"maxOutputTokens\": 16}, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":16}}"#,
    whole: "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello \\u2603\"}],\"role\":\"model\"}, \"finishReason\":\"STOP\",\"index\":0}],\n\
        \"x_new\":{\"n\":123456789012345678901234567890},\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":3,\"totalTokenCount\":10},\
        \"modelVersion\":\"tiny-1\",\"responseId\":\"r1\"} \n",
    frames: &[
        "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hel\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 7,\"totalTokenCount\": 7},\"modelVersion\": \"tiny-1\",\"responseId\":\"r1\",\"x_new\":1}\r\n\r\n",
        "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"lo \\u2603\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 7,\"totalTokenCount\": 7},\"modelVersion\": \"tiny-1\",\"responseId\":\"r1\"}\r\n\r\n",
        "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 7,\"candidatesTokenCount\": 3,\"totalTokenCount\": 10},\"modelVersion\": \"tiny-1\",\"responseId\":\"r1\"}\r\n\r\n",
    ],
    texts: 2,
    text_at: "/candidates/0/content/parts/0/text",
    whole_text_at: "/candidates/0/content/parts/0/text",
    ends: &["\"STOP\"", "[DONE]"],
    error: r#"{"error":{"code":400,"message":"the provider's own words","status":"SOME_STATUS","details":[{"@type":"x_new"}]}}"#,
    is_lines: false,
};

const COHERE: Speech = Speech {
    name: "cohere-chat",
    base_has_version: false,
    auth: "{ bearer = \"env:HOUSE_KEY\" }",
    paths: ["/v2/chat", "/v2/chat"],
    odd: ANTHROPIC.odd,
    plain: ANTHROPIC.plain,
    whole: "{\"id\":\"c1\", \"x_new\":{\"n\":123456789012345678901234567890},\n\"finish_reason\":\"COMPLETE\",\
        \"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hello \\u2603\"}]},\
        \"usage\":{\"billed_units\":{\"input_tokens\":7,\"output_tokens\":3},\"tokens\":{\"input_tokens\":71,\"output_tokens\":4}}} \n",
    frames: &[
        "event: message-start\ndata: {\"id\":\"c1\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}},\"x_new\":1}\n\n",
        "event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
        "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"Hel\"}}}}\n\n",
        "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"lo \\u2603\"}}}}\n\n",
        "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\n",
        "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":7,\"output_tokens\":3},\"tokens\":{\"input_tokens\":71,\"output_tokens\":4}}}}\n\n",
    ],
    texts: 4,
    text_at: "/delta/message/content/text",
    whole_text_at: "/message/content/0/text",
    ends: &["\"COMPLETE\""],
    error: r#"{"id":"e1","message":"the provider's own words","x_new":1}"#,
    is_lines: false,
};

const OLLAMA: Speech = Speech {
    name: "ollama",
    base_has_version: false,
    auth: "{ bearer = \"env:HOUSE_KEY\" }",
    paths: ["/api/chat", "/api/chat"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"messages\":[{\"content\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\",\"role\":\"user\",\"zzz\":[null]}],  \
        \"model\" : \"{MODEL}\" , \"options\":{ \"num_predict\": 16,\"num_ctx\":4096}, \"keep_alive\":-1, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"messages":[{"role":"user","content":"hi"}],"options":{"num_predict":16}}"#,
    whole: "{\"model\":\"tiny-1\", \"created_at\":\"2023-11-14T22:13:20.123456789Z\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"message\":{\"role\":\"assistant\",\"content\":\"Hello \\u2603\"},\"done\":true,\"done_reason\":\"stop\",\
        \"total_duration\":9,\"prompt_eval_count\":7,\"eval_count\":3} \n",
    frames: &[
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.123456789Z\",\"message\":{\"role\":\"assistant\",\"content\":\"Hel\"},\"done\":false,\"x_new\":1}\n",
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.2Z\",\"message\":{\"role\":\"assistant\",\"content\":\"lo \\u2603\"},\"done\":false}\r\n",
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.3Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":9,\"prompt_eval_count\":7,\"eval_count\":3}\n",
    ],
    texts: 2,
    text_at: "/message/content",
    whole_text_at: "/message/content",
    ends: &["\"done\":true"],
    error: r#"{"error":"the provider's own words","x_new":1}"#,
    is_lines: true,
};

const OLLAMA_GENERATE: Speech = Speech {
    name: "ollama-generate",
    paths: ["/api/generate", "/api/generate"],
    odd: "\r\n{ \"stream\" : {STREAM} ,\t\"x_unknown\":{\"b\":123456789012345678901234567890,\"a\":1e400, \"e\":-0.0},\n \
        \"prompt\":\"h\\u00e9llo \\ud83d\\ude00 ☃ \\/ \\u0000 \\\"model\\\":\\\"x\\\"\",  \
        \"model\" : \"{MODEL}\" , \"options\":{ \"num_predict\": 16}, \"raw\":true, \"metadata\":{\"model\":\"not me\"} }\n ",
    plain: r#"{"model":"{MODEL}","stream":{STREAM},"prompt":"hi","options":{"num_predict":16}}"#,
    whole: "{\"model\":\"tiny-1\", \"created_at\":\"2023-11-14T22:13:20.123456789Z\",\"x_new\":{\"n\":123456789012345678901234567890},\n\
        \"response\":\"Hello \\u2603\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1,2],\
        \"total_duration\":9,\"prompt_eval_count\":7,\"eval_count\":3} \n",
    frames: &[
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.123456789Z\",\"response\":\"Hel\",\"done\":false,\"x_new\":1}\n",
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.2Z\",\"response\":\"lo \\u2603\",\"done\":false}\n",
        "{\"model\":\"tiny-1\",\"created_at\":\"2023-11-14T22:13:20.3Z\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1,2],\"total_duration\":9,\"prompt_eval_count\":7,\"eval_count\":3}\n",
    ],
    text_at: "/response",
    whole_text_at: "/response",
    ..OLLAMA
};

static TABLE: [Speech; 8] =
    [OPENAI_CHAT, OPENAI_COMPLETIONS, OPENAI_RESPONSES, ANTHROPIC, GEMINI, COHERE, OLLAMA, OLLAMA_GENERATE];

/// Every dialect that the codec speaks.
pub(crate) fn all() -> impl Iterator<Item = &'static Speech> {
    TABLE.iter().filter(|speech| dialect::find(speech.name).is_some())
}

/// Caller and provider, every pair.
pub(crate) fn pairs() -> impl Iterator<Item = (&'static Speech, &'static Speech)> {
    all().flat_map(|caller| all().map(move |provider| (caller, provider)))
}

/// Every pair at once, for tests that must wait.
pub(crate) fn each_pair(test: impl Fn(&'static Speech, &'static Speech) + Sync) {
    std::thread::scope(|scope| {
        for (caller, provider) in pairs() {
            let test = &test;
            scope.spawn(move || test(caller, provider));
        }
    });
}

/// An answer's text.
pub(crate) const TEXT: &str = "Hello ☃";

impl Speech {
    /// The name by which a caller asks for the provider of this dialect.
    pub(crate) fn model(&self) -> String {
        format!("at-{}/tiny-1", self.name)
    }

    pub(crate) fn path(&self, model: &str, stream: bool) -> String {
        self.paths[usize::from(stream)].replace("{MODEL}", model)
    }

    pub(crate) fn odd_body(&self, model: &str, stream: bool) -> String {
        fill(self.odd, model, stream)
    }

    pub(crate) fn body(&self, model: &str, stream: bool) -> String {
        fill(self.plain, model, stream)
    }

    /// A plain call to `model`.
    pub(crate) fn ask(&self, model: &str, stream: bool) -> Ask {
        Ask::post(&self.path(model, stream), self.body(model, stream))
    }

    pub(crate) fn model_in_body(&self) -> bool {
        self.plain.contains("{MODEL}")
    }

    /// A provider's good whole answer.
    pub(crate) fn answer(&self) -> Answer {
        Answer::json(200, self.whole)
    }

    /// A provider's good stream.
    pub(crate) fn stream(&self) -> Answer {
        self.framed(self.frames.iter().copied())
    }

    /// These chunks as a stream of this dialect.
    pub(crate) fn framed<B: Into<bytes::Bytes>>(&self, chunks: impl IntoIterator<Item = B>) -> Answer {
        match self.is_lines {
            true => Answer::status(200).header("content-type", "application/x-ndjson").chunks(chunks),
            false => Answer::sse(chunks),
        }
    }

    /// The media type of its streams.
    pub(crate) fn media(&self) -> &'static str {
        if self.is_lines { "application/x-ndjson" } else { "text/event-stream" }
    }

    /// What may stand in a stream and says nothing.
    pub(crate) fn odd_frames(&self) -> &'static [&'static str] {
        match self.is_lines {
            true => &["{\"type\":\"never_seen\",\"x\":[1,2]}\n", "\n", "\r\n", "{}\n"],
            false => {
                &["event: never_seen\ndata: {\"type\":\"never_seen\",\"x\":[1,2]}\n\n", ":\n\n", "id: 7\nretry: 10\n\n", "\n\n"]
            }
        }
    }

    /// What a server that is still at work sends.
    pub(crate) fn chatter(&self) -> &'static str {
        if self.is_lines { "\n" } else { ": still here\n\n" }
    }

    /// A provider's error within a stream.
    pub(crate) fn error_frame(&self) -> String {
        match self.name {
            "anthropic-messages" => format!("event: error\ndata: {}\n\n", self.error),
            "cohere-chat" => "event: message-end\ndata: {\"type\":\"message-end\",\"id\":\"c1\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"the provider's own words\"}}\n\n".to_owned(),
            _ if self.is_lines => format!("{}\n", self.error),
            _ => format!("data: {}\n\n", self.error),
        }
    }

    /// The frames before the answer's end.
    pub(crate) fn begun(&self) -> &'static [&'static str] {
        &self.frames[..self.texts]
    }

    /// The text in an event stream of this dialect.
    pub(crate) fn text(&self, stream: &str) -> String {
        events(stream).iter().filter_map(|event| event.pointer(self.text_at)?.as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn whole_text(&self, reply: &Reply) -> String {
        reply
            .json()
            .pointer(self.whole_text_at)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no text: {}", reply.text()))
            .to_owned()
    }

    /// The message of an error body in this dialect's shape; panics at any other shape.
    pub(crate) fn message(&self, body: &Value) -> String {
        let words = match self.name {
            "cohere-chat" => body.get("message").filter(|_| body["id"].is_string()).or_else(|| body.pointer("/delta/error")),
            "ollama" | "ollama-generate" => Some(&body["error"]),
            _ => None,
        };
        if let Some(words) = words {
            return words.as_str().unwrap_or_else(|| panic!("not an error of {}: {body}", self.name)).to_owned();
        }
        let error = &body["error"];
        let is_text = |field: &str| error[field].is_string();
        let well = match self.name {
            "anthropic-messages" => body["type"] == "error" && is_text("type"),
            "gemini" => error["code"].is_u64() && is_text("status"),
            _ => is_text("type") && error.get("param").is_some() && error.get("code").is_some(),
        };
        assert!(well && is_text("message"), "not an error of {}: {body}", self.name);
        error["message"].as_str().unwrap().to_owned()
    }

    /// The status and the message of a reply that is an error in this dialect.
    pub(crate) fn refusal(&self, reply: &Reply) -> (u16, String) {
        assert!(reply.header("content-type").starts_with("application/json"), "{}: {}", self.name, reply.head.text());
        assert!(!reply.header("x-trunkline-request-id").is_empty());
        (reply.status(), self.message(&reply.json()))
    }

    /// The error event of a stream that broke; panics unless there is exactly one, at the end, and no good ending.
    pub(crate) fn broken(&self, stream: &str) -> String {
        for end in self.ends {
            assert!(!stream.contains(end), "{}: a broken stream must not say {end}: {stream}", self.name);
        }
        let events = events(stream);
        let errors = events.iter().filter(|event| is_error(event)).count();
        assert_eq!(errors, 1, "{}: one error: {stream}", self.name);
        if self.name == "anthropic-messages" {
            assert!(stream.contains("event: error\n"), "{stream}");
        }
        self.message(events.last().unwrap())
    }
}

fn fill(text: &str, model: &str, stream: bool) -> String {
    text.replace("{MODEL}", model).replace("{STREAM}", if stream { "true" } else { "false" })
}

/// The JSON events of a stream (`[DONE]` is none).
pub(crate) fn events(stream: &str) -> Vec<Value> {
    // A line may end with CR alone, where its LF would have come with the next piece.
    let data = stream.split(['\n', '\r']).map(|line| line.strip_prefix("data:").unwrap_or(line));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}

/// Whether an event of a stream is an error, in any dialect.
pub(crate) fn is_error(event: &Value) -> bool {
    !event["error"].is_null() || !event["delta"]["error"].is_null()
}
