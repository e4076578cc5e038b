//! Callers of `openai-responses` in front of providers that speak something else: what that dialect is used for.

use serde_json::{Value, json};
use trunkline_testkit::provider::{Answer, Seen};

use crate::gateway::House;
use crate::speech::events;
use crate::wire::{Ask, Reply};

const PATH: &str = "/v1/responses";

fn ask(house: &House, body: &Value) -> Reply {
    house.gateway.ask(&Ask::post(PATH, body.to_string()))
}

/// An answer of a provider that thinks, signs and calls.
fn thinks_and_calls(seen: &Seen) -> Answer {
    let streamed = seen.json()["stream"] == true;
    let frame = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        format!("event: {name}\ndata: {data}\n\n")
    };
    let blocks = [
        (json!({"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"}), "thinking_delta", "thinking"),
        (json!({"type": "redacted_thinking", "data": "cmVk"}), "", ""),
        (
            json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}}),
            "input_json_delta",
            "partial_json",
        ),
    ];
    if !streamed {
        let content: Vec<&Value> = blocks.iter().map(|(block, ..)| block).collect();
        return Answer::json(
            200,
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "content": content,
                "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 3}})
            .to_string(),
        );
    }
    let mut frames = vec![frame(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1}}}),
    )];
    for (index, (block, kind, key)) in blocks.iter().enumerate() {
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        match *key {
            "thinking" => {
                begun["thinking"] = json!("");
                begun["signature"] = json!("");
                deltas.push(json!({"type": kind, "thinking": block["thinking"]}));
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            }
            "partial_json" => {
                begun["input"] = json!({});
                deltas.push(json!({"type": kind, "partial_json": block["input"].to_string()}));
            }
            _ => {}
        }
        frames.push(frame("content_block_start", json!({"index": index, "content_block": begun})));
        frames.extend(deltas.iter().map(|delta| frame("content_block_delta", json!({"index": index, "delta": delta}))));
        frames.push(frame("content_block_stop", json!({"index": index})));
    }
    frames.push(frame(
        "message_delta",
        json!({"delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 3}}),
    ));
    frames.push(frame("message_stop", json!({})));
    Answer::sse(frames)
}

fn question() -> Value {
    json!({"model": "at-anthropic-messages/tiny-1", "max_output_tokens": 4000, "input": [{"role": "user", "content": "Weather?"}],
        "reasoning": {"effort": "high"}, "store": false, "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "weather", "strict": false,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]})
}

#[test]
fn thinking_goes_through_a_tool_loop_and_its_signatures_come_back_to_their_maker() {
    let house = House::new(thinks_and_calls);
    for stream in [false, true] {
        let mut body = question();
        body["stream"] = json!(stream);
        let reply = ask(&house, &body);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let answer = match stream {
            false => reply.json(),
            true => events(reply.text()).pop().unwrap()["response"].clone(),
        };
        let kinds: Vec<&str> = answer["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["reasoning", "reasoning", "function_call"], "stream {stream}: {answer}");
        assert_eq!(answer["output"][0]["summary"][0]["text"], "Look it up.");

        // The caller gives back what it got, and the result.
        let input = body["input"].as_array_mut().unwrap();
        input.extend(answer["output"].as_array().unwrap().iter().cloned());
        input.push(json!({"type": "function_call_output", "call_id": answer["output"][2]["call_id"], "output": "rain"}));
        let reply = ask(&house, &body);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert_eq!(reply.header("x-trunkline-lost"), "", "stream {stream}");
        let sent = house.provider.requests().pop().unwrap().json();
        let said = &sent["messages"][1]["content"];
        assert_eq!(said[0], json!({"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"}), "{sent}");
        assert_eq!(said[1], json!({"type": "redacted_thinking", "data": "cmVk"}), "{sent}");
        assert_eq!(said[2]["input"], json!({"city": "Bonn"}));
        assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], said[2]["id"]);
    }
}

#[test]
fn every_event_of_a_stream_is_numbered_and_tells_the_same_as_the_last() {
    let house = House::new(thinks_and_calls);
    let mut body = question();
    body["stream"] = json!(true);
    let reply = ask(&house, &body);
    let all = events(reply.text());
    for (number, event) in all.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let name = format!("event: {}\n", event["type"].as_str().unwrap());
        assert!(reply.text().contains(&name), "{name}");
    }
    let of = |kind: &str| all.iter().filter(|event| event["type"] == kind).cloned().collect::<Vec<Value>>();
    assert_eq!(all[0]["type"], "response.created");
    assert_eq!(all[0]["response"]["status"], "in_progress");
    let done: Vec<Value> = of("response.output_item.done").iter().map(|event| event["item"].clone()).collect();
    assert_eq!(all.last().unwrap()["type"], "response.completed");
    assert_eq!(all.last().unwrap()["response"]["output"], json!(done));
    for (place, event) in of("response.output_item.added").iter().enumerate() {
        assert_eq!((event["output_index"].as_u64(), &event["item"]["id"]), (Some(place as u64), &done[place]["id"]));
    }
    let pieces: String =
        of("response.function_call_arguments.delta").iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(serde_json::from_str::<Value>(&pieces).unwrap(), json!({"city": "Bonn"}));
    assert_eq!(of("response.function_call_arguments.done")[0]["arguments"], pieces);
    assert_eq!(of("response.reasoning_summary_text.done")[0]["text"], "Look it up.");
}

#[test]
fn what_a_provider_stores_passes_in_the_same_lane_and_is_refused_in_the_other() {
    let house = House::new(crate::lane::well);
    let stored = [
        ("previous_response_id", json!("resp_0")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
        ("background", json!(true)),
    ];
    for (field, value) in stored {
        let mut body = json!({"model": "at-openai-responses/tiny-1", "input": "And then?", field: value});
        let reply = ask(&house, &body);
        assert_eq!(reply.status(), 200, "{field}: {}", reply.text());
        assert_eq!(house.provider.requests().pop().unwrap().json()[field], body[field]);

        body["model"] = json!("at-openai-chat/tiny-1");
        let before = house.provider.requests().len();
        let reply = ask(&house, &body);
        assert_eq!(reply.status(), 400, "{field}: {}", reply.text());
        let error = &reply.json()["error"];
        assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some("unsupported_parameter"), Some(field)));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(" instead") || message.contains("leave"), "{field}: what to do is said: {message}");
        assert_eq!(house.provider.requests().len(), before);
    }
}

#[test]
fn sources_come_as_annotations() {
    let text = json!({"type": "text", "text": "It rains.", "citations": [{"type": "web_search_result_location",
        "url": "https://example.com/w", "title": "Weather", "encrypted_index": "x", "cited_text": "rain"}]});
    let house = House::new(Answer::json(
        200,
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "content": [text],
            "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 3}})
        .to_string(),
    ));
    for stream in [false, true] {
        let reply = ask(&house, &json!({"model": "at-anthropic-messages/tiny-1", "input": "Weather?", "stream": stream}));
        let answer = match stream {
            false => reply.json(),
            true => events(reply.text()).pop().unwrap()["response"].clone(),
        };
        let expected = json!([{"type": "url_citation", "start_index": 0, "end_index": 9,
            "title": "Weather", "url": "https://example.com/w"}]);
        assert_eq!(answer["output"][0]["content"][0]["annotations"], expected, "stream {stream}: {answer}");
    }
}

#[test]
fn a_signature_of_a_call_is_carried_behind_it_and_finds_its_call_again() {
    let call = |city: &str, signature: Option<&str>| {
        let mut part = json!({"functionCall": {"name": "weather", "args": {"city": city}}});
        part.as_object_mut().unwrap().extend(signature.map(|signature| ("thoughtSignature".to_owned(), json!(signature))));
        part
    };
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": [call("Bonn", Some("c2ln")), call("Rome", None)]},
        "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}});
    let house = House::new(move |seen: &Seen| match seen.path.contains(":stream") {
        true => Answer::sse([format!("data: {answer}\n\n")]),
        false => Answer::json(200, answer.to_string()),
    });
    for stream in [false, true] {
        let mut body = question();
        body["model"] = json!("at-gemini/tiny-1");
        body["stream"] = json!(stream);
        let reply = ask(&house, &body);
        let answer = match stream {
            false => reply.json(),
            true => events(reply.text()).pop().unwrap()["response"].clone(),
        };
        let output = answer["output"].as_array().unwrap();
        let calls = output.iter().filter(|item| item["type"] == "function_call");
        let results = calls.map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}));
        let input = body["input"].as_array_mut().unwrap();
        input.extend(output.iter().cloned());
        input.extend(results);
        assert_eq!(ask(&house, &body).status(), 200);
        let sent = house.provider.requests().pop().unwrap().json();
        let parts = &sent["contents"][1]["parts"];
        assert_eq!(
            (&parts[0]["thoughtSignature"], &parts[0]["functionCall"]["args"]["city"]),
            (&json!("c2ln"), &json!("Bonn")),
            "{sent}"
        );
        assert_eq!((parts.as_array().unwrap().len(), &parts[1]["thoughtSignature"]), (2, &Value::Null), "{sent}");
    }
}

/// A provider without such tools is asked for a function that takes one text.
#[test]
fn a_tool_of_free_text_is_called_with_it_and_the_answer_repeats_what_was_asked() {
    let block = |input: Value| json!({"type": "tool_use", "id": "toolu_1", "name": "patch", "input": input});
    let house = House::new(move |seen: &Seen| {
        let message = |content: Value| {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "content": content,
                "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 3}})
        };
        if seen.json()["stream"] != true {
            return Answer::json(200, message(json!([block(json!({"input": "a \"b\"\n"}))])).to_string());
        }
        let frame = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
        let piece = |text: &str| {
            let delta = json!({"type": "input_json_delta", "partial_json": text});
            frame(json!({"type": "content_block_delta", "index": 0, "delta": delta}))
        };
        Answer::sse(vec![
            frame(json!({"type": "message_start", "message": message(json!([]))})),
            frame(json!({"type": "content_block_start", "index": 0, "content_block": block(json!({}))})),
            piece("{\"inp"),
            piece("ut\": \"a \\"),
            piece("\"b\\\"\\n"),
            piece("\"}"),
            frame(json!({"type": "content_block_stop", "index": 0})),
            frame(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}})),
            frame(json!({"type": "message_stop"})),
        ])
    });
    for stream in [false, true] {
        let body = json!({"model": "at-anthropic-messages/tiny-1", "max_output_tokens": 4000, "input": "Mend it.", "stream": stream,
            "store": false, "instructions": "Be brief.", "tools": [{"type": "custom", "name": "patch"}]});
        let reply = ask(&house, &body);
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let answer = match stream {
            false => reply.json(),
            true => events(reply.text()).pop().unwrap()["response"].clone(),
        };
        let call = &answer["output"][0];
        assert_eq!(
            (&call["type"], &call["input"]),
            (&json!("custom_tool_call"), &json!("a \"b\"\n")),
            "stream {stream}: {answer}"
        );
        assert_eq!((&answer["instructions"], &answer["tools"]), (&body["instructions"], &body["tools"]), "stream {stream}");
        let sent = house.provider.requests().pop().unwrap().json();
        assert_eq!(sent["tools"][0]["input_schema"]["properties"]["input"]["type"], "string", "{sent}");
    }
}
