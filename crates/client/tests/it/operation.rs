//! The operations beyond chat, as the library calls them: against the simulator, and against a server that tells what it was sent.

use serde_json::{Value, json};
use trunkline::config::{Config, Environment};
use trunkline::ir::{Embed, Purpose};
use trunkline::{Client, Kind};
use trunkline_testkit::provider::{Answer, LocalProvider, Seen};

fn sim() -> Client {
    Client::builder().config(Config::default()).environment(Environment::default()).build().unwrap()
}

fn house(provider: &LocalProvider, more: &str) -> Client {
    let url = provider.url();
    let config = format!(
        "[calls]\nattempts = 1\n[providers.house]\nbase_url = \"{url}/v1\"\nauth = {{ bearer = \"env:HOUSE_KEY\" }}\n{more}"
    );
    let config = Config::parse(&config, "test.toml").unwrap();
    Client::builder().config(config).environment(Environment::of([("HOUSE_KEY", "secret-of-the-house")])).build().unwrap()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn the_simulator_embeds_so_that_likeness_shows() {
    let texts = ["the cat sat on the mat", "a cat on a mat", "interest rates rose again", ""];
    let done = sim().embed("sim/echo", texts).dimensions(128).await.unwrap();
    let vectors = &done.answer.vectors;
    assert_eq!((vectors.len(), vectors[0].len(), done.target.as_str()), (4, 128, "sim/echo"));
    for vector in vectors {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
    let again = sim().embed("sim/echo", texts).dimensions(128).await.unwrap();
    assert_eq!(again.answer.vectors, done.answer.vectors);
    assert!(done.answer.usage.unwrap().input > 10);
}

#[tokio::test]
async fn the_simulator_ranks_draws_speaks_listens_and_judges() {
    let client = sim();
    let ranked = client.rerank("sim/echo", "red fox", ["blue whale", "a red fox", "red wine"]).top(2).await.unwrap();
    let order: Vec<u64> = ranked.answer.results.iter().map(|result| result.index).collect();
    assert_eq!(order, [1, 2]);

    let drawn = client.image("sim/echo", "a red square").count(2).await.unwrap();
    let pictures: Vec<Vec<u8>> = drawn.answer.images.iter().map(|image| image.bytes().unwrap()).collect();
    assert!(pictures.len() == 2 && pictures[0] != pictures[1] && pictures[0].starts_with(b"\x89PNG\r\n\x1a\n"));
    let edited = client.image("sim/echo", "a red square").from("x.png", "image/png", pictures[0].clone()).await.unwrap();
    assert_ne!(edited.answer.images[0].bytes().unwrap(), pictures[0]);

    let spoken = client.speak("sim/echo", "Hello there ☃").voice("nova").await.unwrap();
    assert!(spoken.answer.bytes.starts_with(b"RIFF") && spoken.answer.media == "audio/wav");
    let heard = client.transcribe("sim/echo", "x.wav", spoken.answer.bytes.clone()).await.unwrap();
    assert_eq!(heard.answer.text, "Hello there ☃");
    let subtitles = client.transcribe("sim/echo", "x.wav", spoken.answer.bytes).format("srt").in_english().await.unwrap();
    assert_eq!(subtitles.answer.text, "1\n00:00:00,000 --> 00:00:00,250\nHello there ☃");

    let judged = client.moderate("sim/echo", ["I like you", "I will kill you"]).await.unwrap();
    let flags: Vec<bool> = judged.answer.verdicts.iter().map(|verdict| verdict.flagged).collect();
    assert_eq!(flags, [false, true]);
}

#[tokio::test]
async fn a_model_that_is_not_there_is_said_to_be_so() {
    let error = sim().embed("sim/none", ["x"]).await.unwrap_err();
    assert_eq!((error.kind, error.param.as_deref()), (Kind::NotFound, Some("model")));
}

#[tokio::test]
async fn each_dialect_is_asked_in_its_own_words() {
    let answer = |seen: &Seen| match seen.path.as_str() {
        "/v1/embeddings" => Answer::json(
            200,
            r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":3}}"#,
        ),
        "/v1beta/models/m:batchEmbedContents" => Answer::json(200, r#"{"embeddings":[{"values":[1]},{"values":[2]}]}"#),
        _ => Answer::status(404),
    };
    let provider = LocalProvider::start(answer);
    for (dialect, base) in [("openai-chat", "/v1"), ("gemini", "")] {
        let config = format!(
            "[providers.house]\nbase_url = \"{}{base}\"\ndialects = [\"{dialect}\"]\nauth = {{ bearer = \"env:HOUSE_KEY\" }}\n",
            provider.url()
        );
        let config = Config::parse(&config, "test.toml").unwrap();
        let environment = Environment::of([("HOUSE_KEY", "secret-of-the-house")]);
        let client = Client::builder().config(config).environment(environment).build().unwrap();
        let done = client.embed("house/m", ["a", "b"]).purpose(Purpose::Query).await.unwrap();
        assert_eq!(done.answer.vectors, [[1.0], [2.0]], "{dialect}");
        let seen = provider.requests().pop().unwrap();
        assert_eq!(seen.header("authorization"), "Bearer secret-of-the-house");
        match dialect {
            "gemini" => assert_eq!(
                seen.json()["requests"][1],
                json!({"model": "models/m", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY"})
            ),
            _ => {
                assert_eq!(seen.json(), json!({"model": "m", "input": ["a", "b"]}));
                assert!(done.losses.iter().any(|loss| loss.field == "purpose"));
            }
        }
    }
}

#[tokio::test]
async fn more_than_a_provider_takes_is_sent_in_pieces_and_put_together() {
    let answer = |seen: &Seen| {
        let asked = seen.json()["requests"].as_array().unwrap().clone();
        let values =
            |one: &Value| json!({"values": [one["content"]["parts"][0]["text"].as_str().unwrap().parse::<f64>().unwrap()]});
        let embeddings: Vec<Value> = asked.iter().map(values).collect();
        let told = json!({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": asked.len()}});
        Answer::json(200, told.to_string())
    };
    let provider = LocalProvider::start(answer);
    let url = provider.url();
    let config = format!(
        "[calls]\nattempts = 1\n[providers.house]\nbase_url = \"{url}\"\ndialects = [\"gemini\"]\nauth = {{ none = true }}\n"
    );
    let config = Config::parse(&config, "test.toml").unwrap();
    let client = Client::builder().config(config).environment(Environment::default()).build().unwrap();
    let done = client.embed("house/m", (0..250).map(|number| number.to_string())).await.unwrap();
    let numbers: Vec<f32> = done.answer.vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(numbers, (0..250).map(|number| number as f32).collect::<Vec<_>>());
    assert_eq!((provider.requests().len(), done.answer.usage.unwrap().input), (3, 250));
}

#[tokio::test]
async fn what_a_provider_does_not_offer_is_said_before_it_is_asked() {
    let provider = LocalProvider::start(Answer::status(500));
    let client = house(&provider, "dialects = [\"openai-chat\"]\noperations = { rerank = \"none\" }\n");
    let error = client.rerank("house/m", "q", ["a"]).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Unsupported, "house does not offer rerank"));
    let client = house(&provider, "dialects = [\"anthropic-messages\"]\n");
    assert_eq!(client.embed("house/m", ["a"]).await.unwrap_err().kind, Kind::Unsupported);
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn errors_keep_their_words_and_a_page_is_no_answer() {
    let provider = LocalProvider::start([
        Answer::json(429, r#"{"error":{"message":"slow down","type":"x"}}"#).header("retry-after", "7"),
        Answer::json(200, r#"{"error":{"message":"in spite of 200","type":"x"}}"#),
        Answer::html(200),
        Answer::json(200, ""),
    ]);
    let client = house(&provider, "dialects = [\"openai-chat\"]\n");
    let ask = || client.operate(Embed { model: "house/m".to_owned(), inputs: vec!["x".into()], ..Embed::default() });
    let error = ask().await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::RateLimited, "slow down"));
    assert_eq!(ask().await.unwrap_err().message, "in spite of 200");
    assert_eq!(ask().await.unwrap_err().kind, Kind::Malformed);
    assert_eq!(ask().await.unwrap_err().message, "answered with an empty body");
}
