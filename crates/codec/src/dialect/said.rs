//! How much a stream that passes by unchanged has said: bytes of its text, not of its frames.
//!
//! Nothing is parsed. The frames of a stream look alike, so the text begins where it began in the frame before: there the
//! same bytes lead up to it, and it ends with the next quote. Only a frame that looks otherwise is searched for the members
//! that may hold text, as the first one is.

use memchr::memchr;

use crate::json::{KeyFinder, scan};

/// How many bytes before a text must be those that stood before the last one: as many as make a key's end.
const LEAD: usize = 8;

/// Counts what the frames of one stream say.
#[derive(Debug)]
pub struct Said {
    keys: &'static [KeyFinder],
    /// Where the last text began in its frame.
    at: usize,
    lead: [u8; LEAD],
    bytes: u64,
}

impl Said {
    /// A count of what these members say: strings, or objects such as the arguments of a tool.
    pub fn new(keys: &'static [KeyFinder]) -> Self {
        Said { keys, at: 0, lead: [0; LEAD], bytes: 0 }
    }

    /// So much so far, in bytes as JSON writes them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next frame.
    pub fn frame(&mut self, data: &[u8]) {
        self.bytes += match self.again(data) {
            Some(length) => length,
            None => self.search(data),
        } as u64;
    }

    /// The length of the text, if it is where the last one was.
    fn again(&self, data: &[u8]) -> Option<usize> {
        let lead = data.get(self.at.checked_sub(LEAD)?..self.at)?;
        if lead != self.lead {
            return None;
        }
        string_len(data.get(self.at..)?).filter(|length| *length > 0)
    }

    fn search(&mut self, data: &[u8]) -> usize {
        let (mut all, mut strings) = (0, 0);
        for key in self.keys {
            let mut from = 0;
            while let Some(found) = data.get(from..).and_then(|rest| key.find(rest)) {
                from += found;
                let length = match data.get(from) {
                    Some(b'"') => {
                        from += 1;
                        let length = data.get(from..).and_then(string_len).unwrap_or(0);
                        if length > 0 {
                            strings += 1;
                            self.note(data, from);
                        }
                        length
                    }
                    Some(b'{') => scan::value_at(data, from).map_or(0, |value| value.len()),
                    _ => 0,
                };
                from += length;
                all += length;
            }
        }
        if strings != 1 {
            self.at = 0;
        }
        all
    }

    fn note(&mut self, data: &[u8], at: usize) {
        let lead = at.checked_sub(LEAD).and_then(|from| data.get(from..at)?.try_into().ok());
        (self.at, self.lead) = lead.map_or((0, self.lead), |lead| (at, lead));
    }
}

/// The length of a string whose opening quote is just before `text`; nothing if it does not end.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + memchr(b'"', text.get(from..)?)?;
        let escapes = text.get(..end)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(end);
        }
        from = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static KEYS: LazyLock<[KeyFinder; 3]> = LazyLock::new(|| ["content", "reasoning", "args"].map(KeyFinder::new));

    fn said(frames: &[&str]) -> u64 {
        let mut said = Said::new(&*KEYS);
        frames.iter().for_each(|frame| said.frame(frame.as_bytes()));
        said.bytes()
    }

    #[test]
    fn what_is_said_is_counted_wherever_it_stands() {
        for (frames, bytes) in [
            (&["{\"id\":\"12\",\"content\":\"abc\"}"][..], 3),
            (&["{\"id\":\"12\",\"content\":\"abc\"}", "{\"id\":\"12\",\"content\":\"de\"}"], 5),
            (&["{\"id\":\"12\",\"content\":\"abc\"}", "{\"id\":\"12\",\"content\":\"\"}"], 3),
            (&["{\"id\":\"12\",\"content\":\"abc\"}", "{\"id\":\"123\",\"content\":\"de\"}"], 5),
            (&["{\"id\":\"12\",\"content\":\"a\\\"b\\\\\"}", "{\"id\":\"12\",\"content\":\"\\\"\"}"], 8),
            (&["{\"content\":null,\"reasoning\":\"abc\"}", "{\"content\":\"xy\",\"reasoning\":null}"], 5),
            (&["{\"content\":\"ab\",\"reasoning\":\"abc\"}", "{\"content\":\"xy\",\"reasoning\":\"z\"}"], 8),
            (&["{\"x\":\"\\\"content\\\":\\\"no\\\"\"}", "[DONE]", "", "{\"content\":[{\"content\":\"abc\"}]}"], 3),
            (&["{\"args\":{\"a\":1}}", "{\"args\":{\"a\":", "{\"content\":\"abc"], 7),
        ] {
            assert_eq!(said(frames), bytes, "{frames:?}");
        }
    }
}
