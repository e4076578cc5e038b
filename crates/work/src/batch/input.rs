//! The lines of a batch: read one by one, told apart by number and checksum, and made into requests.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunkline::codec::catalog::nearest;
use trunkline::codec::dialect::{self, Dialect, Head, Operation};
use trunkline::ir::Request;
use trunkline::{Error, Result};

use super::journal::Mark;
use crate::fault::{file, wrong};
use crate::template::Template;

/// The longest line.
const LONGEST: u64 = 32 * 1024 * 1024;
const CHAT: &str = "/v1/chat/completions";

/// What all lines have in common.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Who is asked, whatever a line says.
    pub(crate) model: Option<String>,
    /// Who is asked where a line does not say.
    pub(crate) usual_model: Option<String>,
    /// Makes the prompt from a row.
    pub(crate) template: Option<Template>,
    /// Instructions before the prompt of lines that have none.
    pub(crate) system: Option<String>,
    /// Most output tokens of lines that do not say.
    pub(crate) max_tokens: Option<u64>,
}

/// The lines of a file, in their order.
pub(crate) struct Lines {
    path: PathBuf,
    source: Source,
    number: u64,
}

enum Source {
    Json(BufReader<File>, Vec<u8>),
    Csv { reader: Box<csv::Reader<Quotes>>, heads: Vec<String> },
}

/// A table's file, whether it was read to its end, and how many quotes were in it: an odd number when one is not closed.
struct Quotes {
    file: File,
    ended: bool,
    count: u64,
}

/// A line as it stands there.
pub(crate) struct Line {
    pub(crate) mark: Mark,
    text: Text,
}

enum Text {
    Json(Vec<u8>),
    Row(Map<String, Value>),
    /// What is wrong with it.
    Spoilt(String),
}

/// A line that can be sent, or why not.
pub(crate) struct Item {
    pub(crate) mark: Mark,
    pub(crate) custom_id: String,
    /// How the answer is to be written.
    pub(crate) dialect: Option<&'static Dialect>,
    pub(crate) asked: Result<Box<Request>>,
}

impl Lines {
    /// Opens the file; `.csv` is read as such.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = File::open(path).map_err(|error| file("read", path, error))?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let source = if is_csv {
            let quotes = Quotes { file: opened, ended: false, count: 0 };
            let mut reader = Box::new(csv::ReaderBuilder::new().flexible(true).from_reader(quotes));
            let heads = reader.headers().map_err(|error| file("read", path, error))?;
            let heads = heads.iter().map(|head| head.trim_start_matches('\u{feff}').trim().to_owned()).collect();
            Source::Csv { reader, heads }
        } else {
            Source::Json(BufReader::with_capacity(1 << 16, opened), Vec::new())
        };
        Ok(Lines { path: path.to_owned(), source, number: 0 })
    }

    /// Says what is wrong with a template for this file, before anything is sent.
    pub(crate) fn check(&self, template: Option<&Template>) -> Result<()> {
        let Source::Csv { heads, .. } = &self.source else { return Ok(()) };
        let name = self.path.display();
        let Some(template) = template else {
            return Err(wrong(format!("{name} has columns; say with --template what the prompt is, such as '{{{{ {} }}}}'", {
                heads.first().map_or("column", String::as_str)
            })));
        };
        let asked = template.names().map(|name| name.split('.').next().unwrap_or(name));
        let unknown = asked.into_iter().find(|name| !heads.iter().any(|head| head == name));
        let Some(unknown) = unknown else { return Ok(()) };
        let near = nearest(unknown, heads.iter().map(String::as_str));
        let near = near.map_or_else(|| format!("it has {}", heads.join(", ")), |near| format!("did you mean {near}?"));
        Err(wrong(format!("the template asks for {unknown}, and {name} has no such column; {near}")))
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        let unreadable = |error: &dyn std::fmt::Display| file("read", &self.path, error);
        let (crc, text) = match &mut self.source {
            Source::Json(reader, line) => loop {
                line.clear();
                let read = reader.by_ref().take(LONGEST).read_until(b'\n', line).map_err(|error| unreadable(&error))?;
                if read == 0 {
                    return Ok(None);
                }
                if read as u64 == LONGEST && !line.ends_with(b"\n") {
                    let crc = crc32fast::hash(line);
                    pass_over_line(reader).map_err(|error| unreadable(&error))?;
                    break (crc, Text::Spoilt(format!("is longer than {LONGEST} bytes")));
                }
                let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii();
                if !text.is_empty() {
                    break (crc32fast::hash(text), Text::Json(text.to_vec()));
                }
            },
            Source::Csv { reader, heads } => {
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record).map_err(|error| unreadable(&error))? {
                    return Ok(None);
                }
                let mut crc = crc32fast::Hasher::new();
                record.iter().for_each(|field| {
                    crc.update(field);
                    crc.update(&[0]);
                });
                let text = match spoilt(&record, heads.len(), reader) {
                    Some(what) => Text::Spoilt(what),
                    None => Text::Row(heads.iter().cloned().zip(record.iter().map(read_field)).collect()),
                };
                (crc.finalize(), text)
            }
        };
        self.number += 1;
        Ok(Some(Line { mark: Mark { number: self.number, crc }, text }))
    }

    /// How many lines there are in all.
    ///
    /// # Errors
    /// When two of them say the same `custom_id`: nobody could tell their results apart.
    pub(crate) fn count(path: &Path) -> Result<u64> {
        let mut lines = Lines::open(path)?;
        let mut seen = HashMap::new();
        while let Some(line) = lines.next()? {
            let Some(id) = line.custom_id() else { continue };
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            if let Some(first) = seen.insert(hasher.finish(), line.mark.number) {
                let number = line.mark.number;
                return Err(wrong(format!("lines {first} and {number} of {} have the same custom_id: {id}", path.display())));
            }
        }
        Ok(lines.number)
    }
}

impl Line {
    /// What it is called, if it says so.
    fn custom_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            custom_id: Option<String>,
        }
        match &self.text {
            Text::Json(text) => serde_json::from_slice::<Named>(text).ok()?.custom_id,
            Text::Row(row) => row.get("custom_id").and_then(Value::as_str).map(str::to_owned),
            Text::Spoilt(_) => None,
        }
        .filter(|id| !id.is_empty())
    }

    /// The request that it stands for.
    pub(crate) fn prepare(self, shape: &Shape) -> Item {
        let mark = self.mark;
        let object = match self.text {
            Text::Row(row) => Ok(row),
            Text::Spoilt(what) => Err(wrong(format!("line {} {what}", mark.number))),
            Text::Json(text) => serde_json::from_slice::<Map<String, Value>>(&text)
                .map_err(|error| wrong(format!("line {} is no JSON object: {}", mark.number, plain(&error)))),
        };
        let dialect = dialect::route(CHAT).map(|(dialect, _)| dialect);
        let mut item = Item { mark, custom_id: format!("line-{}", mark.number), dialect, asked: Err(wrong("")) };
        item.asked = object.and_then(|object| item.read(object, shape)).map(Box::new);
        item
    }
}

impl Item {
    fn read(&mut self, mut object: Map<String, Value>, shape: &Shape) -> Result<Request> {
        let number = self.mark.number;
        let id = ["custom_id", "id"].iter().find_map(|key| match object.get(*key)? {
            Value::String(id) if !id.is_empty() => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        });
        self.custom_id = id.unwrap_or_else(|| std::mem::take(&mut self.custom_id));
        let (url, body) = match (&shape.template, object.remove("body")) {
            (Some(template), _) => (CHAT.to_owned(), from_row(template, &object, shape)?),
            (None, Some(Value::Object(body))) => {
                let url = object.get("url").and_then(Value::as_str).unwrap_or(CHAT).to_owned();
                (url, body)
            }
            (None, _) => (CHAT.to_owned(), from_prompt(object, shape, number)?),
        };
        let mut request = self.decode(&url, body, shape)?;
        if let Some(model) = &shape.model {
            request.model.clone_from(model);
        }
        request.max_tokens = request.max_tokens.or(shape.max_tokens);
        request.stream = false;
        Ok(request)
    }

    fn decode(&mut self, url: &str, mut body: Map<String, Value>, shape: &Shape) -> Result<Request> {
        let number = self.mark.number;
        // As callers write it, or without its beginning.
        let routed = [url.to_owned(), format!("/v1/{}", url.trim_start_matches('/'))].into_iter().find_map(|path| {
            let (dialect, operation) = dialect::route(&path)?;
            (operation == Operation::Chat).then_some((path, dialect))
        });
        let Some((path, dialect)) = routed else {
            return Err(wrong(format!("line {number} asks for {url}, which is no chat; {CHAT} is one")));
        };
        self.dialect = Some(dialect);
        let named = match body.get("model") {
            None | Some(Value::Null) => false,
            Some(Value::String(model)) => !model.is_empty(),
            Some(_) => return Err(wrong(format!("line {number} names a model that is no text"))),
        };
        if !["/models/", "/model/"].iter().any(|part| path.contains(part)) && !named {
            let model = shape.model.as_ref().or(shape.usual_model.as_ref());
            let unnamed = || wrong(format!("line {number} names no model; name one with -m, or in each line"));
            body.insert("model".to_owned(), Value::from(model.ok_or_else(unnamed)?.clone()));
        }
        let bytes = serde_json::to_vec(&body).map_err(|error| wrong(format!("line {number}: {error}")))?;
        let (headers, query) = (HeaderMap::new(), None);
        let head = Head { path: &path, query, headers: &headers };
        dialect
            .downstream()
            .read_request(&head, &bytes, Operation::Chat)
            .map_err(|error| Error { message: format!("line {number}: {}", error.message), ..error })
    }
}

/// A prompt made from a row's columns or a line's fields.
fn from_row(template: &Template, row: &Map<String, Value>, shape: &Shape) -> Result<Map<String, Value>> {
    let prompt = template.render(&minijinja::Value::from(minijinja::value::Serde(row)))?;
    Ok(chat(&prompt, shape.system.as_deref()))
}

fn chat(prompt: &str, system: Option<&str>) -> Map<String, Value> {
    let system = system.map(|text| json!({ "role": "system", "content": text }));
    let messages: Vec<Value> = system.into_iter().chain([json!({ "role": "user", "content": prompt })]).collect();
    Map::from_iter([("messages".to_owned(), Value::from(messages))])
}

/// `{"prompt": …}` with any other fields of a chat beside it, or a chat's body as it is.
fn from_prompt(mut object: Map<String, Value>, shape: &Shape, number: u64) -> Result<Map<String, Value>> {
    for key in ["custom_id", "id", "url", "method"] {
        object.remove(key);
    }
    if object.contains_key("messages") {
        if let Some(also) = ["prompt", "system"].into_iter().find(|key| object.contains_key(*key)) {
            return Err(wrong(format!("line {number} has both \"messages\" and \"{also}\"; leave one of them away")));
        }
        return Ok(object);
    }
    let Some(Value::String(prompt)) = object.remove("prompt") else {
        let what = "has neither \"prompt\" nor \"messages\" nor \"body\"; with --template its fields make the prompt";
        return Err(wrong(format!("line {number} {what}")));
    };
    let own = match object.remove("system") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(wrong(format!("line {number}: \"system\" is no text"))),
    };
    object.extend(chat(&prompt, own.as_deref().or(shape.system.as_deref())));
    Ok(object)
}

/// What is wrong with JSON, without the place: a line has only one.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    match text.strip_prefix("invalid type: ").and_then(|rest| rest.split(", expected").next()) {
        Some(found) => format!("it is {}", found.replace("sequence", "a list")),
        None => text.to_owned(),
    }
}

/// What is wrong with a row of a table, which the last one is when a quote that it opens is never closed.
fn spoilt(record: &csv::ByteRecord, columns: usize, reader: &csv::Reader<Quotes>) -> Option<String> {
    let at = record.position().map_or(0, csv::Position::line);
    let torn = record.iter().next_back().is_some_and(|field| field.contains(&b'\n'));
    let quotes = reader.get_ref();
    if torn && quotes.ended && quotes.count % 2 == 1 {
        return Some(format!("(from line {at} of the file) opens a quote that is never closed"));
    }
    if record.len() != columns {
        return Some(format!("(line {at} of the file) has {} fields, and there are {columns} columns", record.len()));
    }
    record.iter().any(|field| std::str::from_utf8(field).is_err()).then(|| format!("(line {at} of the file) is not UTF-8"))
}

fn read_field(field: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(field))
}

/// Reads to the end of a line without keeping it.
fn pass_over_line(reader: &mut BufReader<File>) -> std::io::Result<()> {
    loop {
        let held = reader.fill_buf()?;
        if held.is_empty() {
            return Ok(());
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(held.len(), |end| end + 1);
        reader.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

impl Read for Quotes {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.ended |= read == 0;
        self.count += into.iter().take(read).filter(|byte| **byte == b'"').count() as u64;
        Ok(read)
    }
}
