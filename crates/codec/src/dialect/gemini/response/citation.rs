//! Sources of an answer: `citationMetadata` and `groundingMetadata`, both ways. Their offsets count bytes; ours count characters.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use crate::ir::{Citation, Raw};

use crate::dialect::gemini::NAME;
use crate::dialect::gemini::text::Object;
use crate::dialect::gemini::wire::{CitationSource, Grounding, Num, Str};

/// Where the bytes and the characters of an answer's text lie to each other.
#[derive(Debug, Default)]
pub(crate) struct Ruler {
    /// Bytes and characters so far.
    end: Mark,
    /// The end of each character that takes several bytes; between two marks a byte is a character.
    marks: Vec<Mark>,
}

/// One place in a text.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    byte: u64,
    char: u64,
}

/// More marks than this are not kept; offsets are not told then.
const MOST_MARKS: usize = 1 << 17;

impl Ruler {
    /// Takes more text.
    pub(crate) fn add(&mut self, text: &str) {
        if text.is_ascii() {
            self.end.byte += text.len() as u64;
            self.end.char += text.len() as u64;
            return;
        }
        for letter in text.chars() {
            self.end.byte += letter.len_utf8() as u64;
            self.end.char += 1;
            if !letter.is_ascii() && self.marks.len() <= MOST_MARKS {
                self.marks.push(self.end);
            }
        }
    }

    fn last_mark(&self, is_before: impl Fn(&Mark) -> bool) -> Option<Mark> {
        let count = self.marks.partition_point(is_before);
        let mark = count.checked_sub(1).and_then(|at| self.marks.get(at)).copied().unwrap_or_default();
        (self.marks.len() <= MOST_MARKS).then_some(mark)
    }

    fn to_char(&self, byte: u64) -> Option<u64> {
        self.last_mark(|mark| mark.byte <= byte).map(|mark| mark.char + (byte - mark.byte))
    }

    fn to_byte(&self, char: u64) -> Option<u64> {
        self.last_mark(|mark| mark.char <= char).map(|mark| mark.byte + (char - mark.char))
    }
}

/// Reads sources, each once, however often the stream repeats them.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    seen: HashSet<u64>,
}

const MOST: usize = 4096;

impl Reader {
    fn keep(&mut self, citation: Citation, out: &mut Vec<Citation>) {
        let mut hasher = DefaultHasher::new();
        (&citation.url, &citation.title, citation.start, citation.end).hash(&mut hasher);
        if self.seen.len() < MOST && self.seen.insert(hasher.finish()) {
            out.push(citation);
        }
    }

    /// One source of `citationMetadata`.
    pub(crate) fn read_source(&mut self, raw: &RawValue, ruler: &Ruler, out: &mut Vec<Citation>) {
        let Ok(source) = serde_json::from_str::<CitationSource<'_>>(raw.get()) else { return };
        let end = source.end.and_then(|end| ruler.to_char(end.count()));
        let citation = Citation {
            url: owned(source.uri),
            title: owned(source.title),
            cited_text: None,
            // The start is left out on the wire when it is 0.
            start: end.and_then(|_| ruler.to_char(source.start.map_or(0, Num::count))),
            end,
            from: NAME,
            raw: Some(Raw(raw.to_owned())),
        };
        self.keep(citation, out);
    }

    /// `groundingMetadata`: a citation for every source of every supported segment. The first one carries the whole.
    pub(crate) fn read_grounding(&mut self, raw: &RawValue, ruler: &Ruler, out: &mut Vec<Citation>) {
        let Ok(grounding) = serde_json::from_str::<Grounding<'_>>(raw.get()) else { return };
        let sources: Vec<(Option<String>, Option<String>)> = grounding
            .chunks
            .into_iter()
            .flat_map(|chunks| chunks.0)
            .map(|chunk| {
                let source = chunk.web.or(chunk.retrieved).or(chunk.maps).unwrap_or_default();
                (owned(source.uri), owned(source.title))
            })
            .collect();
        let before = out.len();
        for support in grounding.supports.into_iter().flat_map(|supports| supports.0) {
            let segment = support.segment.unwrap_or_default();
            let end = segment.end.and_then(|end| ruler.to_char(end.count()));
            let text = owned(segment.text);
            for (url, title) in support.chunks.iter().flatten().filter_map(|index| sources.get(index.0 as usize)) {
                let citation = Citation {
                    url: url.clone(),
                    title: title.clone(),
                    cited_text: text.clone(),
                    start: end.and_then(|_| ruler.to_char(segment.start.map_or(0, Num::count))),
                    end,
                    from: NAME,
                    raw: None,
                };
                self.keep(citation, out);
            }
        }
        if out.len() == before && self.seen.is_empty() {
            for (url, title) in sources {
                self.keep(Citation { url, title, from: NAME, ..Citation::default() }, out);
            }
        }
        if let Some(first) = out.get_mut(before) {
            first.raw = Some(Raw(raw.to_owned()));
        }
    }
}

fn owned(text: Option<Str<'_>>) -> Option<String> {
    text.map(|text| text.0.into_owned()).filter(|text| !text.is_empty())
}

/// Writes what a candidate's citations are, as they came where they are our own.
pub(crate) fn write(citations: &[&Citation], ruler: &Ruler, candidate: &mut Object<'_>) {
    let own = |citation: &&&Citation| citation.from == NAME && citation.raw.is_some();
    let is_grounding = |raw: &Raw| raw.value().get("groundingChunks").is_some();
    let raws = || citations.iter().filter(own).filter_map(|citation| citation.raw.as_ref());
    let sources: Vec<&Raw> = raws().filter(|raw| !is_grounding(raw)).collect();
    if !sources.is_empty() {
        let mut metadata = candidate.object("citationMetadata");
        metadata.put("citationSources", &sources);
        metadata.end();
    }
    if let Some(raw) = raws().find(|raw| is_grounding(raw)) {
        candidate.put("groundingMetadata", raw);
        return;
    }
    let foreign: Vec<&Citation> = citations.iter().copied().filter(|citation| citation.from != NAME).collect();
    if foreign.is_empty() {
        return;
    }
    let mut metadata = candidate.object("groundingMetadata");
    let mut chunks = metadata.list("groundingChunks");
    for citation in &foreign {
        let mut chunk = chunks.object();
        let mut web = chunk.object("web");
        web.put_some("uri", &citation.url);
        web.put_some("title", &citation.title);
        web.end();
        chunk.end();
    }
    chunks.end();
    let mut supports = metadata.list("groundingSupports");
    for (index, citation) in foreign.iter().enumerate() {
        let Some(end) = citation.end.and_then(|end| ruler.to_byte(end)) else { continue };
        let mut support = supports.object();
        let mut segment = support.object("segment");
        segment.put_some("startIndex", &citation.start.and_then(|start| ruler.to_byte(start)));
        segment.put("endIndex", &end);
        segment.put_some("text", &citation.cited_text);
        segment.end();
        support.put("groundingChunkIndices", &[index]);
        support.end();
    }
    supports.end();
    metadata.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_are_told_apart() {
        let text = "aé漢字b😀";
        let mut ruler = Ruler::default();
        for piece in ["aé", "漢", "字b", "😀"] {
            ruler.add(piece);
        }
        for (char, (byte, _)) in text.char_indices().chain([(text.len(), ' ')]).enumerate() {
            assert_eq!(ruler.to_char(byte as u64), Some(char as u64));
            assert_eq!(ruler.to_byte(char as u64), Some(byte as u64));
        }
    }
}
