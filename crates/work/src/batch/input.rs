//! The lines of a batch: read one by one, told apart by number and checksum, and made into requests.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use http::HeaderMap;
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
    pub(crate) usual_model: String,
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
    Csv { reader: Box<csv::Reader<File>>, heads: Vec<String> },
}

/// A line as it stands there.
pub(crate) struct Line {
    pub(crate) mark: Mark,
    text: Text,
}

enum Text {
    Json(Vec<u8>),
    Row(Map<String, Value>),
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
            let mut reader = Box::new(csv::ReaderBuilder::new().flexible(false).from_reader(opened));
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
                if read as u64 == LONGEST {
                    return Err(wrong(format!("a line of {} is longer than {LONGEST} bytes", self.path.display())));
                }
                let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii();
                if !text.is_empty() {
                    break (crc32fast::hash(text), Text::Json(text.to_vec()));
                }
            },
            Source::Csv { reader, heads } => {
                let mut record = csv::StringRecord::new();
                if !reader.read_record(&mut record).map_err(|error| unreadable(&error))? {
                    return Ok(None);
                }
                let mut crc = crc32fast::Hasher::new();
                let row = heads.iter().zip(record.iter()).map(|(head, field)| {
                    crc.update(field.as_bytes());
                    crc.update(&[0]);
                    (head.clone(), Value::from(field))
                });
                let row = row.collect();
                (crc.finalize(), Text::Row(row))
            }
        };
        self.number += 1;
        Ok(Some(Line { mark: Mark { number: self.number, crc }, text }))
    }

    /// How many lines there are in all.
    pub(crate) fn count(path: &Path) -> Result<u64> {
        let mut lines = Lines::open(path)?;
        while lines.next()?.is_some() {}
        Ok(lines.number)
    }
}

impl Line {
    /// The request that it stands for.
    pub(crate) fn prepare(self, shape: &Shape) -> Item {
        let mark = self.mark;
        let object = match self.text {
            Text::Row(row) => Ok(row),
            Text::Json(text) => serde_json::from_slice::<Map<String, Value>>(&text)
                .map_err(|error| wrong(format!("line {} is no JSON object: {error}", mark.number))),
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
        let path = if url.starts_with("/v") { url.to_owned() } else { format!("/v1/{}", url.trim_start_matches('/')) };
        let routed = dialect::route(&path).filter(|(_, operation)| *operation == Operation::Chat);
        let Some((dialect, _)) = routed else {
            return Err(wrong(format!("line {number} asks for {url}, which is no chat; {CHAT} is one")));
        };
        self.dialect = Some(dialect);
        let named = body.get("model").and_then(Value::as_str).is_some_and(|model| !model.is_empty());
        if !path.contains("/models/") && !named {
            body.insert("model".to_owned(), Value::from(shape.model.clone().unwrap_or_else(|| shape.usual_model.clone())));
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
        return Ok(object);
    }
    let Some(Value::String(prompt)) = object.remove("prompt") else {
        let what = "has neither \"prompt\" nor \"messages\" nor \"body\"; with --template its fields make the prompt";
        return Err(wrong(format!("line {number} {what}")));
    };
    let own = object.remove("system");
    let system = own.as_ref().and_then(Value::as_str).or(shape.system.as_deref());
    object.extend(chat(&prompt, system));
    Ok(object)
}
