//! The list of models, in each dialect's shape.

use serde_json::Value;

use crate::gateway::{Gateway, providers};
use crate::speech;
use crate::wire::{Ask, Reply};

fn gateway() -> Gateway {
    let provider = providers("http://127.0.0.1:1");
    let listed = provider.replacen("auth =", "models = [\"tiny-1\", \"tiny-*\"]\nauth =", 1);
    Gateway::with(&format!("[server]\nlisten = \"127.0.0.1:0\"\n{listed}[models.fast]\ntargets = [\"at-gemini/tiny-1\"]\n"))
}

fn ask(name: &str, path: &str) -> Ask {
    match name {
        "anthropic-messages" => Ask::get(&format!("/v1/models{path}")).header("anthropic-version", "2023-06-01"),
        "gemini" => Ask::get(&format!("/v1beta/models{path}")),
        "cohere-chat" => Ask::get(&format!("/v1/models{path}")).header("x-fern-sdk-name", "cohere"),
        "ollama" | "ollama-generate" if path.is_empty() => Ask::get("/api/tags"),
        "ollama" | "ollama-generate" => {
            Ask::post("/api/show", serde_json::json!({"model": path.trim_start_matches('/').replace("%2F", "/")}).to_string())
        }
        _ => Ask::get(&format!("/v1/models{path}")),
    }
}

fn ids(name: &str, list: &Value) -> Vec<String> {
    let (items, id) = match name {
        "gemini" | "cohere-chat" | "ollama" | "ollama-generate" => ("models", "name"),
        _ => ("data", "id"),
    };
    let items = list[items].as_array().unwrap();
    items.iter().map(|item| item[id].as_str().unwrap().trim_start_matches("models/").to_owned()).collect()
}

#[test]
fn lists_have_the_shape_of_the_callers_dialect() {
    let gateway = gateway();
    for speech in speech::all() {
        let reply = gateway.ask(&ask(speech.name, ""));
        assert_eq!(reply.status(), 200);
        let list = reply.json();
        let ids = ids(speech.name, &list);
        assert!(ids.iter().any(|id| id == "fast"), "{}: {ids:?}", speech.name);
        assert!(ids.iter().any(|id| id == "at-openai-chat/tiny-1"), "{}: {ids:?}", speech.name);
        assert!(!ids.iter().any(|id| id.contains('*')), "{ids:?}");
        match speech.name {
            "anthropic-messages" => {
                assert_eq!(list["has_more"], false);
                assert!(list["first_id"].is_string() && list["last_id"].is_string());
                assert!(
                    list["data"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|m| m["type"] == "model" && m["display_name"].is_string() && m["created_at"].is_string())
                );
            }
            "gemini" => {
                let methods =
                    |m: &Value| m["supportedGenerationMethods"].as_array().unwrap().iter().any(|m| m == "generateContent");
                assert!(
                    list["models"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|m| m["name"].as_str().unwrap().starts_with("models/") && methods(m))
                );
            }
            "cohere-chat" => {
                assert!(list["models"].as_array().unwrap().iter().all(|m| m["endpoints"][0] == "chat"));
            }
            "ollama" | "ollama-generate" => {
                let rows = list["models"].as_array().unwrap();
                assert!(rows.iter().all(|m| m["model"] == m["name"] && m["modified_at"].is_string() && m["size"].is_u64()));
                assert!(rows.iter().all(|m| m["details"]["families"].is_array()));
            }
            _ => {
                assert_eq!(list["object"], "list");
                assert!(
                    list["data"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|m| m["object"] == "model" && m["created"].is_u64() && m["owned_by"].is_string())
                );
            }
        }
    }
}

#[test]
fn one_model_is_found_by_name_also_when_it_is_in_no_list() {
    let gateway = gateway();
    for speech in speech::all() {
        let id = |reply: &Reply| {
            let field = match speech.name {
                "gemini" | "cohere-chat" => "name",
                "ollama" | "ollama-generate" => "model_info",
                _ => "id",
            };
            let found = &reply.json()[field];
            if found.is_object() {
                return found["general.basename"].as_str().unwrap().to_owned();
            }
            reply.json()[field].as_str().unwrap_or_else(|| panic!("{}", reply.text())).trim_start_matches("models/").to_owned()
        };
        for name in ["fast", "at-openai-chat/tiny-1", "at-openai-chat/never-listed"] {
            let plain = gateway.ask(&ask(speech.name, &format!("/{name}")));
            assert_eq!((plain.status(), id(&plain).as_str()), (200, name), "{}", speech.name);
            let encoded = gateway.ask(&ask(speech.name, &format!("/{}", name.replace('/', "%2F"))));
            assert_eq!((encoded.status(), id(&encoded).as_str()), (200, name), "{}", speech.name);
        }
        let (status, message) = speech.refusal(&gateway.ask(&ask(speech.name, "/fats")));
        assert_eq!(status, 404, "{}", speech.name);
        assert!(message.contains("fats") && message.contains("fast"), "{}: {message}", speech.name);
    }
}

#[test]
fn health_and_head_requests_are_answered() {
    let gateway = gateway();
    for path in ["/health/live", "/health/ready"] {
        let reply = gateway.ask(&Ask::get(path));
        assert_eq!((reply.status(), reply.json()["status"].as_str()), (200, Some("ok")));
    }
    let mut line = Ask::method("HEAD", "/v1/models").open(gateway.address);
    assert_eq!(line.head().status, 200);
    line.write(&Ask::get("/health/live").bytes());
    assert_eq!(line.reply().status(), 200);
}
