//! What callers ask, in each dialect's own words, and where those words must stand in what a provider is sent.

use serde_json::{Value, json};

use super::{Feature, native};

const PICTURE: &str = "iVBORw0KGgo=";

fn weather_schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})
}

/// A caller's request; `None`: the dialect has no words for it.
pub(crate) fn request(dialect: &str, feature: Feature) -> Option<Value> {
    Some(match dialect {
        "openai-chat" => chat(feature),
        "openai-completions" => return completions(feature),
        "openai-responses" => responses(feature),
        "anthropic-messages" => anthropic(feature),
        "gemini" => gemini(feature),
        "cohere-chat" => cohere(feature),
        "ollama" => ollama(feature),
        "ollama-generate" => return generate(feature),
        "bedrock-converse" => bedrock(feature),
        other => panic!("write down what callers of {other} ask"),
    })
}

fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    body.as_object_mut().unwrap().extend(more);
    body
}

fn chat(feature: Feature) -> Value {
    let body = json!({"model": "some-model", "max_tokens": 4000, "messages": [{"role": "user", "content": "Weather in Bonn?"}]});
    let function = json!({"name": "weather", "description": "The weather of a city.", "parameters": weather_schema()});
    let call = |id: &str, city: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": json!({"city": city}).to_string()}});
    let more = match feature {
        Feature::Text => json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Who are you?"}],
            "temperature": 0.5, "stop": ["END"]}),
        Feature::Tools => json!({"tools": [{"type": "function", "function": function}], "tool_choice": "required", "messages": [
            {"role": "user", "content": "Weather in Bonn and Rome?"},
            {"role": "assistant", "content": null, "tool_calls": [call("call_a", "Bonn"), call("call_b", "Rome")]},
            {"role": "tool", "tool_call_id": "call_a", "content": "rain"},
            {"role": "tool", "tool_call_id": "call_b", "content": "sun"}]}),
        Feature::Images => json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PICTURE}")}}]}]}),
        Feature::Structured => json!({"response_format": {"type": "json_schema",
            "json_schema": {"name": "weather", "strict": true, "schema": weather_schema()}}}),
        Feature::Reasoning => json!({"reasoning_effort": "high"}),
        _ => json!({}),
    };
    with(body, more)
}

fn completions(feature: Feature) -> Option<Value> {
    let body = json!({"model": "some-model", "max_tokens": 4000, "prompt": "Weather in Bonn?"});
    match feature {
        Feature::Text => Some(with(body, json!({"temperature": 0.5, "stop": ["END"]}))),
        Feature::Tools | Feature::Images | Feature::Structured | Feature::Reasoning => None,
        _ => Some(body),
    }
}

fn responses(feature: Feature) -> Value {
    let body = json!({"model": "some-model", "max_output_tokens": 4000, "input": "Weather in Bonn?"});
    let tool = json!({"type": "function", "name": "weather", "description": "The weather of a city.",
        "parameters": weather_schema()});
    let call = |id: &str, city: &str| {
        json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "status": "completed",
        "name": "weather", "arguments": json!({"city": city}).to_string()})
    };
    let result = |id: &str, text: &str| json!({"type": "function_call_output", "call_id": id, "output": text});
    let more = match feature {
        Feature::Text => json!({"instructions": "Be brief.", "input": [{"role": "user", "content": "Hello."},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hi.", "annotations": []}]},
                {"role": "user", "content": [{"type": "input_text", "text": "Who are you?"}]}],
            "temperature": 0.5}),
        Feature::Tools => json!({"tools": [tool], "tool_choice": "required", "input": [
            {"role": "user", "content": "Weather in Bonn and Rome?"},
            call("call_a", "Bonn"), call("call_b", "Rome"), result("call_a", "rain"), result("call_b", "sun")]}),
        Feature::Images => json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "detail": "auto", "image_url": format!("data:image/png;base64,{PICTURE}")}]}]}),
        Feature::Structured => json!({"text": {"format": {"type": "json_schema", "name": "weather", "strict": true,
            "schema": weather_schema()}}}),
        Feature::Reasoning => json!({"reasoning": {"effort": "high"}}),
        _ => json!({}),
    };
    with(body, more)
}

fn anthropic(feature: Feature) -> Value {
    let body = json!({"model": "some-model", "max_tokens": 4000, "messages": [{"role": "user", "content": "Weather in Bonn?"}]});
    let call = |id: &str, city: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}});
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    let more = match feature {
        Feature::Text => json!({"system": "Be brief.", "messages": [{"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Who are you?"}],
            "temperature": 0.5, "stop_sequences": ["END"]}),
        Feature::Tools => json!({
            "tools": [{"name": "weather", "description": "The weather of a city.", "input_schema": weather_schema()}],
            "tool_choice": {"type": "any"},
            "messages": [{"role": "user", "content": "Weather in Bonn and Rome?"},
                {"role": "assistant", "content": [call("toolu_a", "Bonn"), call("toolu_b", "Rome")]},
                {"role": "user", "content": [result("toolu_a", "rain"), result("toolu_b", "sun")]}]}),
        Feature::Images => json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}]}]}),
        Feature::Structured => json!({"output_config": {"format": {"type": "json_schema", "schema": weather_schema()}}}),
        Feature::Reasoning => json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        _ => json!({}),
    };
    with(body, more)
}

fn gemini(feature: Feature) -> Value {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Weather in Bonn?"}]}]});
    let limit = |more: Value| with(json!({"maxOutputTokens": 4000}), more);
    let call = |city: &str| json!({"functionCall": {"name": "weather", "args": {"city": city}}});
    let result = |text: &str| json!({"functionResponse": {"name": "weather", "response": {"result": text}}});
    let more = match feature {
        Feature::Text => json!({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [
                {"role": "user", "parts": [{"text": "Hello."}]}, {"role": "model", "parts": [{"text": "Hi."}]},
                {"role": "user", "parts": [{"text": "Who are you?"}]}],
            "generationConfig": limit(json!({"temperature": 0.5, "stopSequences": ["END"]}))}),
        Feature::Tools => json!({"generationConfig": limit(json!({})),
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "The weather of a city.",
                "parametersJsonSchema": weather_schema()}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "contents": [{"role": "user", "parts": [{"text": "Weather in Bonn and Rome?"}]},
                {"role": "model", "parts": [call("Bonn"), call("Rome")]},
                {"role": "user", "parts": [result("rain"), result("sun")]}]}),
        Feature::Images => json!({"generationConfig": limit(json!({})), "contents": [{"role": "user", "parts": [
            {"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]}),
        Feature::Structured => json!({"generationConfig": limit(json!({
            "responseMimeType": "application/json", "responseJsonSchema": weather_schema()}))}),
        Feature::Reasoning => json!({"generationConfig": limit(json!({"thinkingConfig": {"thinkingLevel": "HIGH"}}))}),
        _ => json!({"generationConfig": limit(json!({}))}),
    };
    with(body, more)
}

fn cohere(feature: Feature) -> Value {
    let body = json!({"model": "some-model", "max_tokens": 4000, "messages": [{"role": "user", "content": "Weather in Bonn?"}]});
    let function = json!({"name": "weather", "description": "The weather of a city.", "parameters": weather_schema()});
    let call = |id: &str, city: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": json!({"city": city}).to_string()}});
    let more = match feature {
        Feature::Text => json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Who are you?"}],
            "temperature": 0.5, "stop_sequences": ["END"]}),
        Feature::Tools => json!({"tools": [{"type": "function", "function": function}], "tool_choice": "REQUIRED", "messages": [
            {"role": "user", "content": "Weather in Bonn and Rome?"},
            {"role": "assistant", "tool_calls": [call("weather_a", "Bonn"), call("weather_b", "Rome")]},
            {"role": "tool", "tool_call_id": "weather_a", "content": "rain"},
            {"role": "tool", "tool_call_id": "weather_b", "content": [{"type": "text", "text": "sun"}]}]}),
        Feature::Images => json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PICTURE}")}}]}]}),
        Feature::Structured => json!({"response_format": {"type": "json_object", "json_schema": weather_schema()}}),
        Feature::Reasoning => json!({"max_tokens": 40000, "thinking": {"type": "enabled", "token_budget": 16384}}),
        _ => json!({}),
    };
    with(body, more)
}

fn bedrock(feature: Feature) -> Value {
    let said = |role: &str, text: &str| json!({"role": role, "content": [{"text": text}]});
    let body = json!({"inferenceConfig": {"maxTokens": 4000}, "messages": [said("user", "Weather in Bonn?")]});
    let call = |id: &str, city: &str| json!({"toolUse": {"toolUseId": id, "name": "weather", "input": {"city": city}}});
    let result = |id: &str, text: &str| json!({"toolResult": {"toolUseId": id, "content": [{"text": text}]}});
    let more = match feature {
        Feature::Text => json!({"system": [{"text": "Be brief."}],
            "messages": [said("user", "Hello."), said("assistant", "Hi."), said("user", "Who are you?")],
            "inferenceConfig": {"maxTokens": 4000, "temperature": 0.5, "stopSequences": ["END"]}}),
        Feature::Tools => json!({
            "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "description": "The weather of a city.",
                "inputSchema": {"json": weather_schema()}}}], "toolChoice": {"any": {}}},
            "messages": [said("user", "Weather in Bonn and Rome?"),
                {"role": "assistant", "content": [call("tooluse_a", "Bonn"), call("tooluse_b", "Rome")]},
                {"role": "user", "content": [result("tooluse_a", "rain"), result("tooluse_b", "sun")]}]}),
        Feature::Images => json!({"messages": [{"role": "user", "content": [{"text": "What is this?"},
            {"image": {"format": "png", "source": {"bytes": PICTURE}}}]}]}),
        Feature::Structured => json!({"outputConfig": {"textFormat": {"type": "json_schema",
            "structure": {"jsonSchema": {"schema": weather_schema().to_string()}}}}}),
        Feature::Reasoning => json!({"outputConfig": {"effort": "high"}}),
        _ => json!({}),
    };
    with(body, more)
}

fn ollama(feature: Feature) -> Value {
    let options = json!({"num_predict": 4000});
    let body = json!({"model": "some-model", "stream": false, "options": options,
        "messages": [{"role": "user", "content": "Weather in Bonn?"}]});
    let function = json!({"name": "weather", "description": "The weather of a city.", "parameters": weather_schema()});
    let call = |city: &str| json!({"function": {"name": "weather", "arguments": {"city": city}}});
    let more = match feature {
        Feature::Text => json!({"messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Who are you?"}],
            "options": with(options, json!({"temperature": 0.5, "stop": ["END"]}))}),
        Feature::Tools => json!({"tools": [{"type": "function", "function": function}], "messages": [
            {"role": "user", "content": "Weather in Bonn and Rome?"},
            {"role": "assistant", "content": "", "tool_calls": [call("Bonn"), call("Rome")]},
            {"role": "tool", "tool_name": "weather", "content": "rain"},
            {"role": "tool", "tool_name": "weather", "content": "sun"}]}),
        Feature::Images => json!({"messages": [{"role": "user", "content": "What is this?", "images": [PICTURE]}]}),
        Feature::Structured => json!({"format": weather_schema()}),
        Feature::Reasoning => json!({"think": "high"}),
        _ => json!({}),
    };
    with(body, more)
}

fn generate(feature: Feature) -> Option<Value> {
    let options = json!({"num_predict": 4000});
    let body = json!({"model": "some-model", "stream": false, "options": options, "prompt": "Weather in Bonn?"});
    let more = match feature {
        Feature::Text => json!({"system": "Be brief.", "options": with(options, json!({"temperature": 0.5, "stop": ["END"]}))}),
        Feature::Tools => return None,
        Feature::Images => json!({"prompt": "What is this?", "images": [PICTURE]}),
        Feature::Structured => json!({"format": weather_schema()}),
        Feature::Reasoning => json!({"think": "high"}),
        _ => json!({}),
    };
    Some(with(body, more))
}

/// Where a request goes.
pub(crate) fn path(dialect: &str, stream: bool) -> (&'static str, Option<&'static str>) {
    match (dialect, stream) {
        ("openai-chat", _) => ("/v1/chat/completions", None),
        ("openai-completions", _) => ("/v1/completions", None),
        ("openai-responses", _) => ("/v1/responses", None),
        ("anthropic-messages", _) => ("/v1/messages", None),
        ("gemini", false) => ("/v1beta/models/some-model:generateContent", None),
        ("gemini", true) => ("/v1beta/models/some-model:streamGenerateContent", Some("alt=sse")),
        ("cohere-chat", _) => ("/v2/chat", None),
        ("ollama", _) => ("/api/chat", None),
        ("ollama-generate", _) => ("/api/generate", None),
        ("bedrock-converse", false) => ("/model/some-model/converse", None),
        ("bedrock-converse", true) => ("/model/some-model/converse-stream", None),
        (other, _) => panic!("write down the path of {other}"),
    }
}

/// The same request for a streamed answer.
pub(crate) fn streamed(dialect: &str, body: Value) -> Value {
    if matches!(dialect, "gemini" | "bedrock-converse") { body } else { with(body, json!({"stream": true})) }
}

/// What must stand in the body that a provider is sent: JSON pointers and values.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn must_stand(provider: &str, feature: Feature) -> Vec<(&'static str, Value)> {
    let city = json!({"city": "Bonn"});
    match (provider, feature) {
        ("openai-chat", Feature::Text) => {
            vec![("/messages/0/role", json!("user")), ("/temperature", json!(0.5)), ("/stop/0", json!("END"))]
        }
        ("openai-chat", Feature::Tools) => vec![
            ("/tools/0/function/name", json!("weather")),
            ("/tools/0/function/parameters", weather_schema()),
            ("/tool_choice", json!("required")),
            ("/messages/1/tool_calls/0/function/arguments", json!(city.to_string())),
            ("/messages/2/role", json!("tool")),
            ("/messages/3/content", json!("sun")),
        ],
        ("openai-chat", Feature::Images) => {
            vec![("/messages/0/content/1/image_url/url", json!(format!("data:image/png;base64,{PICTURE}")))]
        }
        ("openai-chat", Feature::Structured) => {
            vec![("/response_format/type", json!("json_schema")), ("/response_format/json_schema/schema", weather_schema())]
        }
        ("openai-chat", Feature::Reasoning) => vec![("/reasoning_effort", json!("high"))],
        ("openai-completions", Feature::Text) => vec![("/temperature", json!(0.5)), ("/stop/0", json!("END"))],
        ("openai-responses", Feature::Text) => vec![
            ("/input/0/role", json!("user")),
            ("/temperature", json!(0.5)),
            ("/max_output_tokens", json!(4000)),
            ("/store", json!(false)),
        ],
        ("openai-responses", Feature::Tools) => vec![
            ("/tools/0/type", json!("function")),
            ("/tools/0/name", json!("weather")),
            ("/tools/0/parameters", weather_schema()),
            ("/tool_choice", json!("required")),
            ("/input/1/type", json!("function_call")),
            ("/input/1/arguments", json!(city.to_string())),
            ("/input/4/type", json!("function_call_output")),
            ("/input/4/output", json!("sun")),
        ],
        ("openai-responses", Feature::Images) => {
            vec![("/input/0/content/1/image_url", json!(format!("data:image/png;base64,{PICTURE}")))]
        }
        ("openai-responses", Feature::Structured) => {
            vec![("/text/format/type", json!("json_schema")), ("/text/format/schema", weather_schema())]
        }
        ("openai-responses", Feature::Reasoning) => {
            vec![("/reasoning/effort", json!("high")), ("/include/0", json!("reasoning.encrypted_content"))]
        }
        ("anthropic-messages", Feature::Text) => vec![
            ("/messages/0/role", json!("user")),
            ("/max_tokens", json!(4000)),
            ("/temperature", json!(0.5)),
            ("/stop_sequences/0", json!("END")),
        ],
        ("anthropic-messages", Feature::Tools) => vec![
            ("/tools/0/name", json!("weather")),
            ("/tools/0/input_schema", weather_schema()),
            ("/tool_choice/type", json!("any")),
            ("/messages/1/content/0/type", json!("tool_use")),
            ("/messages/1/content/0/input", city),
            ("/messages/2/content/1/type", json!("tool_result")),
        ],
        ("anthropic-messages", Feature::Images) => vec![
            ("/messages/0/content/1/source/media_type", json!("image/png")),
            ("/messages/0/content/1/source/data", json!(PICTURE)),
        ],
        ("anthropic-messages", Feature::Structured) => {
            vec![("/output_config/format/type", json!("json_schema")), ("/output_config/format/schema", weather_schema())]
        }
        ("anthropic-messages", Feature::Reasoning) => {
            vec![("/thinking/type", json!("adaptive")), ("/output_config/effort", json!("high"))]
        }
        ("gemini", Feature::Text) => vec![
            ("/contents/0/role", json!("user")),
            ("/generationConfig/temperature", json!(0.5)),
            ("/generationConfig/stopSequences/0", json!("END")),
        ],
        ("gemini", Feature::Tools) => vec![
            ("/tools/0/functionDeclarations/0/name", json!("weather")),
            ("/tools/0/functionDeclarations/0/parametersJsonSchema", weather_schema()),
            ("/toolConfig/functionCallingConfig/mode", json!("ANY")),
            ("/contents/1/parts/0/functionCall/args", city),
            ("/contents/2/parts/1/functionResponse/name", json!("weather")),
        ],
        ("gemini", Feature::Images) => vec![
            ("/contents/0/parts/1/inlineData/mimeType", json!("image/png")),
            ("/contents/0/parts/1/inlineData/data", json!(PICTURE)),
        ],
        ("gemini", Feature::Structured) => vec![
            ("/generationConfig/responseMimeType", json!("application/json")),
            ("/generationConfig/responseJsonSchema", weather_schema()),
        ],
        ("ollama", Feature::Text) => {
            vec![("/messages/0/role", json!("user")), ("/options/temperature", json!(0.5)), ("/options/stop/0", json!("END"))]
        }
        ("ollama", Feature::Tools) => vec![
            ("/tools/0/function/name", json!("weather")),
            ("/tools/0/function/parameters", weather_schema()),
            ("/messages/1/tool_calls/0/function/arguments", city),
            ("/messages/2/tool_name", json!("weather")),
            ("/messages/3/content", json!("sun")),
        ],
        ("ollama", Feature::Images) => vec![("/messages/0/images/0", json!(PICTURE))],
        ("ollama-generate", Feature::Text) => vec![("/options/temperature", json!(0.5)), ("/options/stop/0", json!("END"))],
        ("ollama-generate", Feature::Images) => vec![("/images/0", json!(PICTURE)), ("/prompt", json!("What is this?"))],
        ("ollama" | "ollama-generate", Feature::Structured) => vec![("/format", weather_schema())],
        ("ollama" | "ollama-generate", Feature::Reasoning) => vec![("/think", json!("high"))],
        ("gemini", Feature::Reasoning) => vec![("/generationConfig/thinkingConfig/thinkingLevel", json!("HIGH"))],
        ("bedrock-converse", Feature::Text) => vec![
            ("/messages/0/role", json!("user")),
            ("/inferenceConfig/maxTokens", json!(4000)),
            ("/inferenceConfig/temperature", json!(0.5)),
            ("/inferenceConfig/stopSequences/0", json!("END")),
        ],
        ("bedrock-converse", Feature::Tools) => vec![
            ("/toolConfig/tools/0/toolSpec/name", json!("weather")),
            ("/toolConfig/tools/0/toolSpec/inputSchema/json", weather_schema()),
            ("/toolConfig/toolChoice/any", json!({})),
            ("/messages/1/content/0/toolUse/input", city),
            ("/messages/2/content/1/toolResult/content/0/text", json!("sun")),
        ],
        ("bedrock-converse", Feature::Images) => vec![
            ("/messages/0/content/1/image/format", json!("png")),
            ("/messages/0/content/1/image/source/bytes", json!(PICTURE)),
        ],
        ("bedrock-converse", Feature::Structured) => {
            vec![("/outputConfig/textFormat/structure/jsonSchema/schema", json!(weather_schema().to_string()))]
        }
        ("bedrock-converse", Feature::Reasoning) => vec![("/outputConfig/effort", json!("high"))],
        _ => native::must_stand(provider, feature, &weather_schema(), &format!("data:image/png;base64,{PICTURE}")),
    }
}

/// The caller's next request: the answer goes back into the history as it came, with a result for each call.
pub(crate) fn next(dialect: &str, mut body: Value, answer: &Value, calls: &[(String, String)]) -> Value {
    match dialect {
        "openai-chat" => {
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(answer["choices"][0]["message"].clone());
            messages.extend(calls.iter().map(|(id, _)| json!({"role": "tool", "tool_call_id": id, "content": "rain"})));
        }
        "openai-responses" => {
            if body["input"].is_string() {
                body["input"] = json!([{"role": "user", "content": body["input"]}]);
            }
            let input = body["input"].as_array_mut().unwrap();
            input.extend(answer["output"].as_array().unwrap().iter().cloned());
            let result = |(id, _): &(String, String)| json!({"type": "function_call_output", "call_id": id, "output": "rain"});
            input.extend(calls.iter().map(result));
        }
        "anthropic-messages" => {
            let result = |(id, _): &(String, String)| json!({"type": "tool_result", "tool_use_id": id, "content": "rain"});
            let results: Vec<Value> = calls.iter().map(result).collect();
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(json!({"role": "assistant", "content": answer["content"]}));
            messages.push(json!({"role": "user", "content": results}));
        }
        "gemini" => {
            let result = |(id, name): &(String, String)| json!({"functionResponse": {"id": id, "name": name, "response": {"result": "rain"}}});
            let results: Vec<Value> = calls.iter().map(result).collect();
            let contents = body["contents"].as_array_mut().unwrap();
            contents.push(answer["candidates"][0]["content"].clone());
            contents.push(json!({"role": "user", "parts": results}));
        }
        "cohere-chat" => {
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(answer["message"].clone());
            messages.extend(calls.iter().map(|(id, _)| json!({"role": "tool", "tool_call_id": id, "content": "rain"})));
        }
        "ollama" => {
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(answer["message"].clone());
            messages.extend(calls.iter().map(|(_, name)| json!({"role": "tool", "tool_name": name, "content": "rain"})));
        }
        "bedrock-converse" => {
            let result = |(id, _): &(String, String)| json!({"toolResult": {"toolUseId": id, "content": [{"text": "rain"}]}});
            let results: Vec<Value> = calls.iter().map(result).collect();
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(answer["output"]["message"].clone());
            messages.push(json!({"role": "user", "content": results}));
        }
        other => panic!("write down how a caller of {other} goes on"),
    }
    body
}
