//! `multipart/form-data` (RFC 7578): the model's name found while a form goes by, whole forms read and written.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::ir::File;

/// The longest headers of one part, and the longest model's name.
const HEAD_LIMIT: usize = 16 * 1024;
const MODEL_LIMIT: usize = 1024;

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// When it is another type, or names none.
pub fn boundary(content_type: Option<&str>) -> Result<String> {
    let wrong = || Error::bad_request("the body must be multipart/form-data with a boundary in its content-type");
    let mut parameters = content_type.unwrap_or_default().split(';').map(str::trim);
    let is_form = parameters.next().is_some_and(|media| media.eq_ignore_ascii_case("multipart/form-data"));
    let named = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    named.filter(|name| is_form && !name.is_empty() && name.len() <= 200).map(str::to_owned).ok_or_else(wrong)
}

/// Looks for the field `model` in a form that goes by, piece by piece; keeps no more than a part's head of it.
///
/// A second field of that name is an error: two readers may take different ones.
#[derive(Debug)]
pub struct Scan {
    delimiter: Vec<u8>,
    held: Vec<u8>,
    /// Where in it what has not been looked at begins.
    at: usize,
    /// Where in the form `held` begins, plus the line break that is put before it.
    offset: usize,
    state: State,
    model: Option<(Range<usize>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a part's data, or before the first.
    Data { is_model: bool },
    /// Behind a delimiter.
    Mark,
    /// In a part's head.
    Head,
    /// Behind the last delimiter.
    Over,
}

impl Scan {
    /// At the beginning of a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Scan { delimiter, held: b"\r\n".to_vec(), at: 0, offset: 0, state: State::Data { is_model: false }, model: None }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the form is not one, or names a model twice.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.held.extend_from_slice(bytes);
        while self.step()? {}
        // Once for all the parts that have gone by.
        self.held.drain(..std::mem::take(&mut self.at));
        Ok(())
    }

    /// The model's name and where it stands in the form, once it has gone by.
    pub fn model(&self) -> Option<&(Range<usize>, String)> {
        self.model.as_ref()
    }

    /// True behind the last part.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// False when it takes more bytes to go on.
    fn step(&mut self) -> Result<bool> {
        match self.state {
            State::Data { is_model } => self.skip_data(is_model),
            State::Mark => self.read_mark(),
            State::Head => self.read_head(),
            State::Over => {
                self.drain(self.rest().len());
                Ok(false)
            }
        }
    }

    fn drain(&mut self, len: usize) {
        self.at += len;
        self.offset += len;
    }

    /// What has not been looked at.
    fn rest(&self) -> &[u8] {
        self.held.get(self.at..).unwrap_or_default()
    }

    fn skip_data(&mut self, is_model: bool) -> Result<bool> {
        let Some(end) = memchr::memmem::find(self.rest(), &self.delimiter) else {
            if !is_model {
                self.drain(self.rest().len().saturating_sub(self.delimiter.len()));
            } else if self.rest().len() > MODEL_LIMIT + self.delimiter.len() {
                return Err(Error::bad_request(format!("model is longer than {MODEL_LIMIT} bytes")).at("model"));
            }
            return Ok(false);
        };
        if is_model {
            let name = std::str::from_utf8(self.rest().get(..end).unwrap_or_default());
            let name = name.map_err(|_| Error::bad_request("model is not UTF-8").at("model"))?.to_owned();
            let start = self.offset.saturating_sub(2);
            self.model = Some((start..start + end, name));
        }
        self.drain(end + self.delimiter.len());
        self.state = State::Mark;
        Ok(true)
    }

    fn read_mark(&mut self) -> Result<bool> {
        if self.rest().starts_with(b"--") {
            self.state = State::Over;
            return Ok(true);
        }
        match memchr::memmem::find(self.rest(), b"\r\n") {
            Some(end) => {
                self.drain(end);
                self.state = State::Head;
                Ok(true)
            }
            None if self.rest().len() > 256 => Err(wrong()),
            None => Ok(false),
        }
    }

    /// `held` begins with the line break behind the delimiter; an empty line ends the head.
    fn read_head(&mut self) -> Result<bool> {
        let Some(end) = memchr::memmem::find(self.rest(), b"\r\n\r\n") else {
            return if self.rest().len() > HEAD_LIMIT { Err(wrong()) } else { Ok(false) };
        };
        let head = PartHead::read(self.rest().get(..end).unwrap_or_default());
        let is_model = head.name == "model" && head.file.is_none();
        if is_model && self.model.is_some() {
            return Err(Error::bad_request("the field model is repeated").at("model"));
        }
        self.drain(end + 4);
        self.state = State::Data { is_model };
        // Empty data leaves nothing between the head and the delimiter, whose line break is the head's own then.
        Ok(true)
    }
}

fn wrong() -> Error {
    Error::bad_request("the body is not the multipart form that its content-type announces")
}

/// One part of a form.
#[derive(Debug, Default)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    /// The file's name, if it is a file.
    pub(super) file: Option<String>,
    pub(super) media: String,
    pub(super) data: &'a [u8],
}

impl Field<'_> {
    /// The value as text.
    pub(super) fn text(&self) -> Result<String> {
        let wrong = |_| Error::bad_request(format!("{} is not UTF-8", self.name)).at(self.name.clone());
        std::str::from_utf8(self.data).map(str::to_owned).map_err(wrong)
    }

    /// The part as a file.
    pub(super) fn file(&self) -> File {
        File { name: self.file.clone().unwrap_or_default(), media: self.media.clone(), bytes: self.data.to_vec() }
    }
}

/// The parts of a whole form.
pub(super) fn read<'a>(boundary: &str, body: &'a [u8]) -> Result<Vec<Field<'a>>> {
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let first = delimiter.get(2..).unwrap_or_default();
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => split(body, &delimiter).ok_or_else(wrong)?.1,
    };
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let (_, part) = split(rest, b"\r\n").ok_or_else(wrong)?;
        let (head, behind) = match part.strip_prefix(b"\r\n") {
            Some(behind) => (&b""[..], behind),
            None => split(part, b"\r\n\r\n").ok_or_else(wrong)?,
        };
        let (data, next) = split(behind, &delimiter).ok_or_else(wrong)?;
        let PartHead { name, file, media } = PartHead::read(head);
        fields.push(Field { name, file, media, data });
        rest = next;
    }
    Ok(fields)
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(bytes, mark)?;
    Some((bytes.get(..at)?, bytes.get(at + mark.len()..)?))
}

#[derive(Debug, Default)]
struct PartHead {
    name: String,
    file: Option<String>,
    media: String,
}

impl PartHead {
    fn read(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let mut read = PartHead::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.trim().eq_ignore_ascii_case("content-type") {
                read.media = value.to_owned();
            } else if name.trim().eq_ignore_ascii_case("content-disposition") {
                for (key, value) in parameters(value) {
                    match key.as_str() {
                        "name" => read.name = value,
                        "filename" | "filename*" => read.file = Some(value),
                        _ => {}
                    }
                }
            }
        }
        read
    }
}

/// `form-data; name="a; b"; filename=x`: the pairs behind the first word.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((key, behind)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(';').trim().to_ascii_lowercase();
        let mut value = String::new();
        let mut letters = behind.chars();
        if behind.starts_with('"') {
            letters.next();
            while let Some(letter) = letters.next() {
                match letter {
                    '"' => break,
                    // Browsers write a backslash as it is; the others escape quotes with it.
                    '\\' if letters.as_str().starts_with('"') => value.extend(letters.next()),
                    other => value.push(other),
                }
            }
            rest = letters.as_str().split_once(';').map_or("", |(_, rest)| rest);
        } else {
            let (plain, after) = behind.split_once(';').unwrap_or((behind, ""));
            value.push_str(plain.trim());
            rest = after;
        }
        pairs.push((key, value));
    }
    pairs
}

/// Writes a form; gives its `Content-Type` and its body.
pub(in super::super) fn write(fields: &[(&str, String)], files: &[(&str, &File)]) -> (String, Vec<u8>) {
    let boundary = free_boundary(fields, files);
    let size: usize = files.iter().map(|(_, file)| file.bytes.len() + 512).sum();
    let mut body = Vec::with_capacity(size + 256 * fields.len() + 64);
    for (name, value) in fields {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", quoted(name));
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    for (name, file) in files {
        let media = if file.media.is_empty() { "application/octet-stream" } else { &file.media };
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            quoted(name),
            quoted(&file.name),
            media.replace(['\r', '\n'], " ")
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&file.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// A boundary that is nowhere in the form. The same form gets the same one.
fn free_boundary(fields: &[(&str, String)], files: &[(&str, &File)]) -> String {
    let used = |boundary: &str| {
        let finder = memchr::memmem::Finder::new(boundary.as_bytes());
        fields.iter().any(|(_, value)| finder.find(value.as_bytes()).is_some())
            || files.iter().any(|(_, file)| finder.find(&file.bytes).is_some())
    };
    let candidates = (0_u64..).map(|number| format!("trunkline-form-{number:08x}"));
    candidates.take(10_000).find(|boundary| !used(boundary)).unwrap_or_else(|| "trunkline-form".to_owned())
}

/// A name between quotes, as browsers write it.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> File {
        File { name: name.to_owned(), media: "audio/wav".to_owned(), bytes: bytes.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let audio = file("a \"b\".wav", b"\r\n--trunkline-form-00000000\r\n\0\xff");
        let empty = file("", b"");
        let fields = [("model", "whisper-1".to_owned()), ("prompt", "\r\n\r\n--x".to_owned()), ("empty", String::new())];
        let (media, body) = write(&fields, &[("file", &audio), ("mask", &empty)]);
        let boundary = boundary(Some(&media)).unwrap();
        assert_eq!(boundary, "trunkline-form-00000001", "the first one is in the file");
        let read = read(&boundary, &body).unwrap();
        let names: Vec<&str> = read.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["model", "prompt", "empty", "file", "mask"]);
        assert_eq!(read[1].text().unwrap(), "\r\n\r\n--x");
        assert_eq!(read[3].file().bytes, audio.bytes);
        assert_eq!((read[3].media.as_str(), read[3].file.as_deref()), ("audio/wav", Some("a %22b%22.wav")));
        assert!(read[4].data.is_empty());
    }

    #[test]
    fn the_model_is_found_however_the_form_is_cut_and_wherever_it_stands() {
        let audio = file("x.wav", &[b'\r'; 300]);
        for fields in [
            vec![("language", "en".to_owned()), ("model", "house/tiny".to_owned())],
            vec![("model", "house/tiny".to_owned()), ("z", "--".to_owned())],
        ] {
            let (media, mut body) = write(&fields, &[("file", &audio)]);
            let boundary = boundary(Some(&media)).unwrap();
            body.splice(0..0, b"preamble\r\n".iter().copied());
            for size in 1..body.len() {
                let mut scan = Scan::new(&boundary);
                for chunk in body.chunks(size) {
                    scan.feed(chunk).unwrap();
                    assert!(scan.held.len() <= size + 256);
                }
                let (span, name) = scan.model().unwrap();
                assert_eq!((name.as_str(), &body[span.clone()]), ("house/tiny", &b"house/tiny"[..]), "{size}");
                assert!(scan.is_over());
            }
        }
    }

    #[test]
    fn a_file_called_model_is_none_and_a_second_model_is_refused() {
        let audio = file("x.wav", b"abc");
        let (media, body) = write(&[], &[("model", &audio)]);
        let mut scan = Scan::new(&boundary(Some(&media)).unwrap());
        scan.feed(&body).unwrap();
        assert!(scan.model().is_none() && scan.is_over());
        let (media, body) = write(&[("model", "a".to_owned()), ("model", "b".to_owned())], &[]);
        let mut scan = Scan::new(&boundary(Some(&media)).unwrap());
        assert_eq!(scan.feed(&body).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn a_form_without_model_before_its_end_is_over_and_other_types_are_refused() {
        let mut scan = Scan::new("b");
        scan.feed(b"--b\r\ncontent-disposition: form-data; NAME=plain\r\n\r\n1\r\n--b--").unwrap();
        assert!(scan.is_over() && scan.model().is_none());
        assert!(boundary(Some("application/json")).is_err() && boundary(None).is_err());
        assert_eq!(boundary(Some("Multipart/Form-Data; charset=x; Boundary=\"a b\"")).unwrap(), "a b");
    }
}
