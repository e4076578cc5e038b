//! Sources of an answer: `citationMetadata` and `groundingMetadata`, both ways. Their offsets count bytes; ours count characters.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use crate::ir::{Citation, Raw};

use super::NAME;
use super::text::Object;
use super::wire::{CitationSource, Grounding, Num, Str};

/// Where the bytes and the characters of an answer's text lie to each other.
#[derive(Debug, Default)]
pub(super) struct Ruler {
    /// Bytes so far.
    bytes: u64,
    /// For each character of several bytes: where it starts, and how many bytes more than characters there are after it.
    marks: Vec<(u64, u64)>,
}

/// More marks than this are not kept; offsets behind them are not told.
const MOST_MARKS: usize = 1 << 17;

impl Ruler {
    /// Takes more text.
    pub(super) fn add(&mut self, text: &str) {
        if !text.is_ascii() && self.marks.len() < MOST_MARKS {
            let mut surplus = self.marks.last().map_or(0, |mark| mark.1);
            for (at, letter) in text.char_indices().filter(|(_, letter)| !letter.is_ascii()) {
                surplus += letter.len_utf8() as u64 - 1;
                self.marks.push((self.bytes + at as u64, surplus));
            }
        }
        self.bytes += text.len() as u64;
    }

    fn is_whole(&self) -> bool {
        self.marks.len() < MOST_MARKS
    }

    fn to_char(&self, byte: u64) -> Option<u64> {
        let before = self.marks.partition_point(|(start, _)| *start < byte);
        let surplus = before.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(0, |mark| mark.1);
        self.is_whole().then(|| byte.saturating_sub(surplus))
    }

    fn to_byte(&self, char: u64) -> Option<u64> {
        let mut before = 0;
        for (start, surplus) in &self.marks {
            if start.saturating_sub(before) >= char {
                break;
            }
            before = *surplus;
        }
        self.is_whole().then_some(char + before)
    }
}

/// Reads sources, each once, however often the stream repeats them.
#[derive(Debug, Default)]
pub(super) struct Reader {
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
    pub(super) fn read_source(&mut self, raw: &RawValue, ruler: &Ruler, out: &mut Vec<Citation>) {
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
    pub(super) fn read_grounding(&mut self, raw: &RawValue, ruler: &Ruler, out: &mut Vec<Citation>) {
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
pub(super) fn write(citations: &[&Citation], ruler: &Ruler, candidate: &mut Object<'_>) {
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
