//! A provider's batches, in memory, as three interfaces have them: files and batches (`/v1/batches`), `/v1/messages/batches`,
//! and `models/…:batchGenerateContent`.
//!
//! What becomes of a line stands in its prompt: `refuse`, `expire`, `cancel`, `lose` or anything else, which is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Seen};

/// How the batches go.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// So often a batch is asked after before it has ended.
    pub polls: usize,
    /// How long the answer takes to what hands a batch in.
    pub delay: Duration,
    /// The batch is refused as a whole, for this reason: the code and the words.
    pub refuse: Option<(&'static str, &'static str)>,
    /// Asking after a batch is refused so often before, to be done again after a second.
    pub busy: usize,
    /// Results break off after so many bytes, the first time.
    pub cut: Option<usize>,
    /// So many batches there may be at a time; another is refused for that (files only).
    pub room: Option<usize>,
    /// Names are not kept (files only), or there is no list at all.
    pub forgets: bool,
    /// There is no list of batches.
    pub no_list: bool,
}

/// The batches of a provider; copies share them.
#[derive(Clone, Default)]
pub struct Batches(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    plan: Plan,
    files: Vec<String>,
    batches: Vec<Batch>,
    polls: usize,
    /// How often each prompt was handed in.
    prompts: BTreeMap<String, usize>,
}

struct Batch {
    name: String,
    /// Key and prompt.
    lines: Vec<(String, String)>,
    file: String,
    polls: usize,
    cut: Option<usize>,
    crowded: bool,
}

impl Batches {
    /// Batches that go like this.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let batches = Self::default();
        batches.0.lock().unwrap().plan = plan;
        batches
    }

    /// From now on they go like this.
    pub fn set(&self, plan: Plan) {
        self.0.lock().unwrap().plan = plan;
    }

    /// How many lines each batch has that was handed in.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap().batches.iter().map(|batch| batch.lines.len()).collect()
    }

    /// How often each prompt was handed in.
    #[must_use]
    pub fn prompts(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap().prompts.clone()
    }

    /// How often batches were asked after.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }

    /// Answers a request; to be a provider's script.
    #[must_use]
    pub fn answer(&self, seen: &Seen) -> Answer {
        let mut inner = self.0.lock().unwrap();
        let (path, _) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (seen.method.as_str(), parts.as_slice()) {
            ("POST", ["v1", "files"]) => inner.upload(seen),
            ("POST", ["v1", "batches"]) => inner.make(&seen.json()),
            ("GET", ["v1", "batches"]) if !inner.plan.no_list => inner.list(),
            ("GET", ["v1", "batches", id]) => inner.status(id, Inner::openai),
            ("GET", ["v1", "files", file, "content"]) => inner.content(file),
            ("POST", ["v1", "messages", "batches"]) => inner.take_messages(&seen.json()),
            ("GET", ["v1", "messages", "batches", id]) => inner.status(id, Inner::anthropic),
            ("GET", ["v1", "messages", "batches", id, "results"]) => inner.results(id),
            ("POST", ["v1beta", "models", model]) if model.ends_with(":batchGenerateContent") => inner.take_inlined(&seen.json()),
            ("GET", ["v1beta", "batches"]) => inner.list_operations(),
            ("GET", ["v1beta", "batches", id]) => inner.status(id, Inner::gemini),
            (method, _) => Answer::json(404, json!({ "error": { "message": format!("no {method} {path}") } }).to_string()),
        }
    }
}

fn fine(value: &Value) -> Answer {
    Answer::json(200, value.to_string())
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    // Nobody promises an order.
    let mut lines: Vec<String> = values.map(|value| format!("{value}\n")).collect();
    lines.reverse();
    lines.concat()
}

impl Inner {
    fn upload(&mut self, seen: &Seen) -> Answer {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        assert!(seen.header("content-type").starts_with("multipart/form-data"), "a file comes in a form");
        assert!(body.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "the file says what it is for");
        let rows = body.lines().filter(|line| line.starts_with("{\"custom_id\"")).map(|line| format!("{line}\n"));
        self.files.push(rows.collect());
        fine(&json!({ "id": format!("file-{}", self.files.len()), "object": "file", "purpose": "batch" }))
    }

    fn take(&mut self, (name, file): (&str, &str), lines: Vec<(String, String)>) -> String {
        let going = (1..=self.batches.len()).filter(|n| !self.batches[n - 1].crowded && !self.is_over(&format!("batch_{n}")));
        let crowded = self.plan.room.is_some_and(|room| going.count() >= room);
        let name = if self.plan.forgets { "" } else { name };
        for (_, prompt) in lines.iter().filter(|_| !crowded) {
            *self.prompts.entry(prompt.clone()).or_default() += 1;
        }
        self.batches.push(Batch { name: name.to_owned(), file: file.to_owned(), lines, polls: 0, cut: self.plan.cut, crowded });
        format!("batch_{}", self.batches.len())
    }

    fn make(&mut self, asked: &Value) -> Answer {
        let file = asked["input_file_id"].as_str().unwrap().strip_prefix("file-").unwrap().parse::<usize>().unwrap();
        let rows: Vec<Value> = self.files[file - 1].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines = rows.iter().map(|row| {
            assert_eq!((&row["method"], &row["url"]), (&json!("POST"), &asked["endpoint"]));
            (row["custom_id"].as_str().unwrap().to_owned(), prompt(&row["body"]["messages"]))
        });
        let mark = (asked["metadata"]["trunkline"].as_str().unwrap(), asked["input_file_id"].as_str().unwrap());
        let id = self.take(mark, lines.collect());
        fine(&self.openai(&id)).delay(self.plan.delay)
    }

    fn take_messages(&mut self, asked: &Value) -> Answer {
        let lines = asked["requests"].as_array().unwrap().iter().map(|row| {
            let key = row["custom_id"].as_str().unwrap();
            assert!(key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{key}");
            assert!(row["params"]["max_tokens"].is_u64(), "a message has a bound");
            (key.to_owned(), prompt(&row["params"]["messages"]))
        });
        let id = self.take(("", ""), lines.collect());
        fine(&self.anthropic(&id)).delay(self.plan.delay)
    }

    fn take_inlined(&mut self, asked: &Value) -> Answer {
        let batch = &asked["batch"];
        let lines = batch["inputConfig"]["requests"]["requests"].as_array().unwrap().iter().map(|row| {
            let text = row["request"]["contents"][0]["parts"][0]["text"].as_str().unwrap();
            (row["metadata"]["key"].as_str().unwrap().to_owned(), text.to_owned())
        });
        let id = self.take((batch["displayName"].as_str().unwrap(), ""), lines.collect());
        fine(&self.gemini(&id)).delay(self.plan.delay)
    }

    fn batch(&self, id: &str) -> &Batch {
        &self.batches[number(id) - 1]
    }

    fn status(&mut self, id: &str, write: fn(&Inner, &str) -> Value) -> Answer {
        if number(id) == 0 || number(id) > self.batches.len() {
            return Answer::json(404, r#"{"error":{"message":"no such batch"}}"#);
        }
        self.polls += 1;
        if self.plan.busy > 0 {
            self.plan.busy -= 1;
            return Answer::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "1");
        }
        self.batches[number(id) - 1].polls += 1;
        fine(&write(self, id))
    }

    fn is_over(&self, id: &str) -> bool {
        self.batch(id).polls > self.plan.polls
    }

    /// How many of a batch's lines come to this.
    fn count(&self, id: &str, fate: &str) -> usize {
        self.batch(id).lines.iter().filter(|(_, prompt)| prompt.contains(fate)).count()
    }

    fn openai(&self, id: &str) -> Value {
        let batch = self.batch(id);
        let failed = ["refuse", "expire", "cancel"].iter().map(|fate| self.count(id, fate)).sum::<usize>();
        let over = self.is_over(id);
        let (status, errors) = match &self.plan.refuse {
            _ if batch.crowded => {
                let words = "Enqueued token limit reached";
                ("failed", json!({ "data": [{ "code": "token_limit_exceeded", "message": words }] }))
            }
            Some((code, words)) => {
                ("failed", json!({ "object": "list", "data": [{ "code": code, "message": words, "line": 1 }] }))
            }
            None if over && self.count(id, "expire") > 0 => ("expired", Value::Null),
            None if over => ("completed", Value::Null),
            None => ("in_progress", Value::Null),
        };
        let file = |kind: &str, is: bool| if over && is { json!(format!("file-{kind}-{}", number(id))) } else { Value::Null };
        json!({
            "id": id, "object": "batch", "status": status, "errors": errors, "metadata": { "trunkline": batch.name },
            "input_file_id": batch.file,
            "output_file_id": file("out", batch.lines.len() > failed), "error_file_id": file("err", failed > 0),
            "request_counts": { "total": batch.lines.len(), "completed": if over { batch.lines.len() - failed } else { 1 }, "failed": 0 },
        })
    }

    fn list(&self) -> Answer {
        let ids = (1..=self.batches.len()).rev().map(|number| self.openai(&format!("batch_{number}")));
        fine(&json!({ "object": "list", "data": ids.collect::<Vec<_>>(), "has_more": false }))
    }

    fn content(&mut self, file: &str) -> Answer {
        let (kind, number) = file.strip_prefix("file-").unwrap().split_once('-').unwrap();
        let batch = &mut self.batches[number.parse::<usize>().unwrap() - 1];
        let rows = batch.lines.iter().filter_map(|(key, prompt)| {
            let body = json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": format!("re {prompt}") }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100 },
            });
            let response = |status: u16, body: Value| json!({ "status_code": status, "request_id": "r", "body": body });
            let refusal = json!({ "error": { "message": "no such thing", "type": "invalid_request_error" } });
            let lost = |code: &str| json!({ "code": code, "message": "not done" });
            let (fate, response, error) = match prompt {
                _ if prompt.contains("refuse") => ("err", response(400, refusal), Value::Null),
                _ if prompt.contains("expire") => ("err", Value::Null, lost("batch_expired")),
                _ if prompt.contains("cancel") => ("err", Value::Null, lost("batch_cancelled")),
                _ if prompt.contains("lose") => return None,
                _ => ("out", response(200, body), Value::Null),
            };
            (fate == kind).then(|| json!({ "id": "batch_req_1", "custom_id": key, "response": response, "error": error }))
        });
        let body = lines(rows);
        cut(Answer::status(200).header("content-type", "application/octet-stream").body(body), batch.cut.take())
    }

    fn anthropic(&self, id: &str) -> Value {
        let over = self.is_over(id);
        let total = self.batch(id).lines.len();
        let url = if over { json!(format!("https://elsewhere.example/{id}/results")) } else { Value::Null };
        json!({
            "id": id, "type": "message_batch", "processing_status": if over { "ended" } else { "in_progress" }, "results_url": url,
            "request_counts": { "processing": if over { 0 } else { total }, "succeeded": if over { total } else { 0 },
                                "errored": 0, "canceled": 0, "expired": 0 },
        })
    }

    fn results(&mut self, id: &str) -> Answer {
        let batch = &mut self.batches[number(id) - 1];
        let rows = batch.lines.iter().filter_map(|(key, prompt)| {
            let message = json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null,
                "content": [{ "type": "text", "text": format!("re {prompt}") }],
                "usage": { "input_tokens": 1000, "output_tokens": 100 },
            });
            let refusal = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "no such thing" } });
            let result = match prompt {
                _ if prompt.contains("refuse") => json!({ "type": "errored", "error": refusal }),
                _ if prompt.contains("expire") => json!({ "type": "expired" }),
                _ if prompt.contains("cancel") => json!({ "type": "canceled" }),
                _ if prompt.contains("lose") => return None,
                _ => json!({ "type": "succeeded", "message": message }),
            };
            Some(json!({ "custom_id": key, "result": result }))
        });
        let body = lines(rows);
        cut(Answer::status(200).header("content-type", "application/x-jsonl").body(body), batch.cut.take())
    }

    fn gemini(&self, id: &str) -> Value {
        let (batch, over) = (self.batch(id), self.is_over(id));
        let mut state = if over { "BATCH_STATE_SUCCEEDED" } else { "BATCH_STATE_RUNNING" };
        let mut operation = json!({ "name": format!("batches/{id}"), "done": over });
        if let Some((_, words)) = &self.plan.refuse {
            state = "BATCH_STATE_FAILED";
            operation["error"] = json!({ "code": 3, "message": words });
        } else if over {
            let rows = batch.lines.iter().rev().filter_map(|(key, prompt)| {
                let response = json!({
                    "candidates": [{ "content": { "role": "model", "parts": [{ "text": format!("re {prompt}") }] }, "finishReason": "STOP", "index": 0 }],
                    "usageMetadata": { "promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100 },
                });
                let error = |code: u64| json!({ "error": { "code": code, "message": "no such thing" }, "metadata": { "key": key } });
                match prompt {
                    _ if prompt.contains("refuse") => Some(error(3)),
                    _ if prompt.contains("expire") => Some(error(4)),
                    _ if prompt.contains("cancel") => Some(error(1)),
                    _ if prompt.contains("lose") => None,
                    _ => Some(json!({ "response": response, "metadata": { "key": key } })),
                }
            });
            let rows = rows.collect::<Vec<_>>();
            operation["response"] = json!({ "@type": "…GenerateContentBatch", "inlinedResponses": { "inlinedResponses": rows } });
        }
        operation["metadata"] = json!({ "displayName": batch.name, "state": state, "batchStats": {
            "requestCount": batch.lines.len().to_string(), "successfulRequestCount": "1" } });
        operation
    }

    fn list_operations(&self) -> Answer {
        let ids = (1..=self.batches.len()).rev().map(|number| self.gemini(&format!("batch_{number}")));
        fine(&json!({ "operations": ids.collect::<Vec<_>>() }))
    }
}

fn cut(answer: Answer, after: Option<usize>) -> Answer {
    match after {
        Some(bytes) => answer.cut_after(bytes),
        None => answer,
    }
}

fn number(id: &str) -> usize {
    id.rsplit('_').next().unwrap().parse().unwrap_or(0)
}

/// The text of the last message, plain or in parts.
fn prompt(messages: &Value) -> String {
    let content = &messages.as_array().unwrap().last().unwrap()["content"];
    content.as_str().or_else(|| content[0]["text"].as_str()).unwrap().to_owned()
}
