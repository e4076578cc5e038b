//! What the simulator answers beyond chat. The same request gets the same answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Names;
use super::answer::count;
use super::media::{picture, read_text, wave};
use crate::codec::dialect::operation::{Told, Wanted};
use crate::codec::dialect::{Cx, Head, Operation};
use crate::codec::{Error, Kind, Origin, Result};
use crate::ir::{
    Category, Draw, Embed, EmbedInput, Embeddings, Image, Images, Moderate, Moderation, Ranked, Ranking, Rerank, Segment, Sound,
    Speak, Suspect, Transcribe, Transcript, Usage, Verdict,
};

/// Numbers of a vector when the caller asks for no length, and most of them.
const DIMENSIONS: u32 = 256;
const DIMENSIONS_MOST: u32 = 8192;
/// Most pictures at once.
const PICTURES: u32 = 10;

/// Answers a request in the dialect that it came in.
pub(super) fn simulate(dialect: &str, operation: Operation, head: &Head<'_>, body: &[u8], cx: &(Names, Cx)) -> Result<Told> {
    match operation {
        Operation::Embed => serve(dialect, head, body, cx, embed),
        Operation::Rerank => serve(dialect, head, body, cx, rerank),
        Operation::ImageGenerate | Operation::ImageEdit => serve(dialect, head, body, cx, draw),
        Operation::Speak => serve(dialect, head, body, cx, speak),
        Operation::Transcribe | Operation::TranslateAudio => serve(dialect, head, body, cx, transcribe),
        Operation::Moderate => serve(dialect, head, body, cx, moderate),
        Operation::Chat | Operation::CountTokens => {
            Err(Error::new(Kind::Internal, Origin::Gateway, "chat is answered elsewhere"))
        }
    }
}

fn serve<W: Wanted>(
    dialect: &str,
    head: &Head<'_>,
    body: &[u8],
    (names, cx): &(Names, Cx),
    answer: fn(&W) -> W::Answer,
) -> Result<Told> {
    let lacks = || Error::new(Kind::Unsupported, Origin::Caller, format!("{dialect} has no such operation"));
    let wire = W::wire(dialect).ok_or_else(lacks)?;
    let mut wanted = wire.read_request(head, body)?;
    let model = wanted.model_mut().clone();
    names.check(&model)?;
    let answer = answer(&wanted);
    Ok(wire.write_answer(&wanted, &answer, &Cx { model, ..cx.clone() }))
}

fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage { input, output, ..Usage::default() })
}

/// FNV-1a, finished so that neighbours part.
fn hash(bytes: &[u8]) -> u64 {
    let start = 0xCBF2_9CE4_8422_2325_u64;
    let hash = bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ (hash >> 29)
}

/// Words in lower case; of scripts without blanks, letters.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut words: Vec<String> = Vec::new();
    for run in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|run| !run.is_empty()) {
        if run.is_ascii() {
            words.push(run.to_owned());
        } else {
            words.extend(run.chars().map(String::from));
        }
    }
    words
}

/// Texts that share words or parts of words get vectors that are near each other, of length one.
fn vector(input: &EmbedInput, dimensions: u32) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions as usize];
    let mut add = |feature: &[u8], weight: f32| {
        let hash = hash(feature);
        let sign = if hash >> 63 == 0 { weight } else { -weight };
        if let Some(number) = vector.get_mut((hash % u64::from(dimensions)) as usize) {
            *number += sign;
        }
    };
    match input {
        EmbedInput::Text(text) => {
            for word in words(text) {
                add(word.as_bytes(), 1.0);
                let letters: Vec<char> = format!("<{word}>").chars().collect();
                letters.windows(3).for_each(|three| add(three.iter().collect::<String>().as_bytes(), 0.3));
            }
        }
        EmbedInput::Tokens(tokens) => tokens.iter().for_each(|token| add(&token.to_le_bytes(), 1.0)),
        EmbedInput::Image(url) => add(url.as_bytes(), 1.0),
    }
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    match vector.first_mut() {
        Some(first) if length == 0.0 => *first = 1.0,
        _ => vector.iter_mut().for_each(|number| *number /= length),
    }
    vector
}

fn embed(wanted: &Embed) -> Embeddings {
    let dimensions = wanted.dimensions.unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS_MOST);
    let tokens = wanted.inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => count(text),
        EmbedInput::Tokens(tokens) => tokens.len() as u64,
        EmbedInput::Image(_) => 256,
    });
    Embeddings {
        usage: usage(tokens.sum(), 0),
        vectors: wanted.inputs.iter().map(|input| vector(input, dimensions)).collect(),
        ..Embeddings::default()
    }
}

/// The share of the query's words that a document has; a shorter document wins a draw.
fn rerank(wanted: &Rerank) -> Ranking {
    let query = words(&wanted.query);
    let mut results: Vec<Ranked> = Vec::new();
    for (index, document) in (0..).zip(&wanted.documents) {
        let has = words(&document.text);
        let shared = query.iter().filter(|word| has.contains(word)).count() as f64;
        let score = shared / (query.len().max(1) as f64) * (1.0 - has.len().min(1000) as f64 / 10_000.0);
        results.push(Ranked { index, score, text: None });
    }
    results.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.index.cmp(&other.index)));
    results.truncate(wanted.top.map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX)));
    let tokens = count(&wanted.query) + wanted.documents.iter().map(|document| count(&document.text)).sum::<u64>();
    Ranking { results, usage: usage(tokens, 0), searches: Some(1), ..Ranking::default() }
}

/// Little squares, their colour by the prompt.
fn draw(wanted: &Draw) -> Images {
    let seed = hash(wanted.prompt.as_bytes()) ^ wanted.images.iter().fold(0, |seed, file| seed ^ hash(&file.bytes));
    let pictures = (0..wanted.n.unwrap_or(1).clamp(1, PICTURES)).map(|index| {
        let base64 = STANDARD.encode(picture(hash(&(seed ^ u64::from(index)).to_le_bytes())));
        let is_url = wanted.delivery.as_deref() == Some("url");
        Image {
            url: is_url.then(|| format!("data:image/png;base64,{base64}")),
            base64: (!is_url).then_some(base64),
            media: Some("image/png".to_owned()),
            prompt: Some(wanted.prompt.clone()),
        }
    });
    let images: Vec<Image> = pictures.collect();
    let output = images.len() as u64 * 256;
    Images { images, usage: usage(count(&wanted.prompt), output), ..Images::default() }
}

/// A beep, and the text beside it where the format has a place for it: so the simulator can write down what it said.
fn speak(wanted: &Speak) -> Sound {
    let bytes = wave(&wanted.input, wanted.format.as_deref() == Some("pcm"));
    let media = if wanted.format.as_deref() == Some("pcm") { "audio/pcm" } else { "audio/wav" };
    Sound { media: media.to_owned(), bytes, usage: usage(count(&wanted.input), 0) }
}

fn transcribe(wanted: &Transcribe) -> Transcript {
    let bytes = &wanted.audio.bytes;
    let text = read_text(bytes).unwrap_or_else(|| format!("simulated transcript of {} bytes", bytes.len()));
    let duration = 0.25;
    let every = words(&text).len().max(1) as f64;
    let words = (0_u32..).zip(text.split_whitespace()).map(|(index, word)| Segment {
        start: duration * f64::from(index) / every,
        end: duration * f64::from(index + 1) / every,
        text: word.to_owned(),
        speaker: None,
    });
    Transcript {
        language: Some(wanted.language.clone().unwrap_or_else(|| "english".to_owned())),
        duration: Some(duration),
        segments: vec![Segment { start: 0.0, end: duration, text: text.clone(), speaker: None }],
        words: if wanted.granularities.iter().any(|word| word == "word") { words.collect() } else { Vec::new() },
        usage: usage(1, count(&text)),
        text,
    }
}

/// The categories that there are, and words that make it flag them.
const CATEGORIES: [(&str, &[&str]); 13] = [
    ("harassment", &["idiot"]),
    ("harassment/threatening", &[]),
    ("hate", &["hate"]),
    ("hate/threatening", &[]),
    ("illicit", &["bomb", "steal"]),
    ("illicit/violent", &[]),
    ("self-harm", &["suicide"]),
    ("self-harm/instructions", &[]),
    ("self-harm/intent", &[]),
    ("sexual", &["porn"]),
    ("sexual/minors", &[]),
    ("violence", &["kill", "murder"]),
    ("violence/graphic", &[]),
];

fn moderate(wanted: &Moderate) -> Moderation {
    let verdicts = wanted.items.iter().map(|item| {
        let texts = item.iter().filter_map(|part| match part {
            Suspect::Text(text) => Some(text.as_str()),
            Suspect::Image(_) => None,
        });
        let said = words(&texts.collect::<Vec<_>>().join(" "));
        let categories = CATEGORIES.iter().map(|(name, triggers)| {
            let flagged = triggers.iter().any(|trigger| said.iter().any(|word| word == trigger));
            let score = Some(if flagged { 0.98 } else { 0.001 });
            Category { name: (*name).to_owned(), flagged, score, by: vec!["text".to_owned()] }
        });
        let categories: Vec<Category> = categories.collect();
        Verdict { flagged: categories.iter().any(|category| category.flagged), categories }
    });
    Moderation { verdicts: verdicts.collect(), ..Moderation::default() }
}
