//! Changing some bytes of a JSON text and no other.

use std::ops::Range;

use super::{Member, quote, scan};

/// Bytes to put in place of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go, as offsets into the unchanged text; an empty span inserts before its start.
    pub span: Range<usize>,
    /// The bytes that come.
    pub with: Vec<u8>,
}

/// A part of an edited text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the unchanged text.
    Kept(Range<usize>),
    /// These new bytes.
    New(Vec<u8>),
}

/// The text with all edits made, in one allocation of the right size.
///
/// Spans are offsets into `body`. The edits are put in order first; several that insert at one place keep theirs. Where
/// a span overlaps the one before, or reaches beyond the end, only the rest of it counts.
#[must_use]
pub fn apply(body: &[u8], edits: &mut [Edit]) -> Vec<u8> {
    settle(body.len(), edits);
    let gone: usize = edits.iter().map(|edit| edit.span.len()).sum();
    let come: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(body.len().saturating_sub(gone) + come);
    let mut at = 0;
    for edit in edits.iter() {
        out.extend_from_slice(body.get(at..edit.span.start).unwrap_or_default());
        out.extend_from_slice(&edit.with);
        at = edit.span.end;
    }
    out.extend_from_slice(body.get(at..).unwrap_or_default());
    out
}

/// The parts whose concatenation [`apply`] would give for a text of `len` bytes: for a caller that can send its buffer
/// in slices and need not copy it.
#[must_use]
pub fn pieces(len: usize, mut edits: Vec<Edit>) -> Vec<Piece> {
    settle(len, &mut edits);
    let mut out = Vec::with_capacity(edits.len() * 2 + 1);
    let mut at = 0;
    for edit in edits {
        if at < edit.span.start {
            out.push(Piece::Kept(at..edit.span.start));
        }
        if !edit.with.is_empty() {
            out.push(Piece::New(edit.with));
        }
        at = edit.span.end;
    }
    if at < len {
        out.push(Piece::Kept(at..len));
    }
    out
}

/// Puts the edits in order, and their spans side by side and within the text.
fn settle(len: usize, edits: &mut [Edit]) {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut free = 0;
    for edit in edits {
        let start = edit.span.start.clamp(free, len.max(free));
        let end = edit.span.end.clamp(start, len.max(start));
        edit.span = start..end;
        free = end;
    }
}

/// Changes to the members of one object, gathered and then turned into edits together, so that the commas come out right.
#[derive(Debug, Clone)]
pub struct Patch<'a> {
    body: &'a [u8],
    members: &'a [Member],
    /// By the member's index; nothing means that it goes.
    changed: Vec<(usize, Option<Vec<u8>>)>,
    added: Vec<(String, Vec<u8>)>,
}

impl<'a> Patch<'a> {
    /// No changes yet, to the object in `body` whose members [`scan::members`] found.
    #[must_use]
    pub fn new(body: &'a [u8], members: &'a [Member]) -> Self {
        Self { body, members, changed: Vec::new(), added: Vec::new() }
    }

    /// Gives `key` the value `json`, which must be JSON: in its place if it is there, behind the last member if not.
    pub fn set(&mut self, key: &str, json: impl Into<Vec<u8>>) -> &mut Self {
        match self.index(key) {
            Some(index) => self.change(index, Some(json.into())),
            None => match self.added.iter_mut().find(|(added, _)| added == key) {
                Some((_, value)) => *value = json.into(),
                None => self.added.push((key.to_owned(), json.into())),
            },
        }
        self
    }

    /// Takes `key` out, with one comma; nothing happens if it is not there.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        if let Some(index) = self.index(key) {
            self.change(index, None);
        }
        self.added.retain(|(added, _)| added != key);
        self
    }

    /// Whether nothing has been asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty()
    }

    /// The edits, in order and side by side.
    #[must_use]
    pub fn into_edits(mut self) -> Vec<Edit> {
        let mut edits = Vec::with_capacity(self.changed.len() + 1);
        let mut before: Option<&Member> = None;
        let mut any_kept = false;
        for (index, member) in self.members.iter().enumerate() {
            match self.take_change(index) {
                None => any_kept = true,
                Some(Some(json)) => {
                    edits.push(Edit { span: member.value.clone(), with: json });
                    any_kept = true;
                }
                // The comma before it goes too if something stands there, else the comma behind it.
                Some(None) => {
                    let next = self.members.get(index + 1);
                    let start = before.filter(|_| any_kept).map_or(quote_start(member), |before| before.value.end);
                    let end = next.filter(|_| !any_kept).map_or(member.value.end, quote_start);
                    edits.push(Edit { span: start..end, with: Vec::new() });
                }
            }
            before = Some(member);
        }
        if !self.added.is_empty() {
            let at = before.map_or_else(|| after_brace(self.body), |last| last.value.end);
            edits.push(Edit { span: at..at, with: write_added(&self.added, any_kept) });
        }
        edits
    }

    /// The changed text.
    #[must_use]
    pub fn apply(self) -> Vec<u8> {
        let body = self.body;
        apply(body, &mut self.into_edits())
    }

    fn index(&self, key: &str) -> Option<usize> {
        let found = scan::find(self.body, self.members, key)?;
        self.members.iter().position(|member| member.key == found.key)
    }

    fn change(&mut self, index: usize, json: Option<Vec<u8>>) {
        match self.changed.iter_mut().find(|(changed, _)| *changed == index) {
            Some((_, value)) => *value = json,
            None => self.changed.push((index, json)),
        }
    }

    fn take_change(&mut self, index: usize) -> Option<Option<Vec<u8>>> {
        let (_, json) = self.changed.iter_mut().find(|(changed, _)| *changed == index)?;
        Some(json.take())
    }
}

fn quote_start(member: &Member) -> usize {
    member.key.start.saturating_sub(1)
}

fn after_brace(body: &[u8]) -> usize {
    memchr::memchr(b'{', body).map_or(body.len(), |brace| brace + 1)
}

fn write_added(added: &[(String, Vec<u8>)], mut comma: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, json) in added {
        if comma {
            out.push(b',');
        }
        out.extend_from_slice(quote(key).as_bytes());
        out.push(b':');
        out.extend_from_slice(json);
        comma = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::members;

    fn patched(body: &str, change: impl FnOnce(&mut Patch<'_>)) -> String {
        let members = members(body.as_bytes()).unwrap();
        let mut patch = Patch::new(body.as_bytes(), &members);
        change(&mut patch);
        let edits = patch.into_edits();
        let joined: Vec<u8> = pieces(body.len(), edits.clone())
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Kept(span) => body.as_bytes()[span].to_vec(),
                Piece::New(bytes) => bytes,
            })
            .collect();
        let out = apply(body.as_bytes(), &mut edits.clone());
        assert_eq!(out, joined);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_are_set_added_and_removed() {
        let body = r#"{ "a" : 1 , "b":2, "c":3 }"#;
        assert_eq!(
            patched(body, |p| {
                p.set("b", "[]").set("d", "4");
            }),
            r#"{ "a" : 1 , "b":[], "c":3,"d":4 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("a");
            }),
            r#"{ "b":2, "c":3 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("b");
            }),
            r#"{ "a" : 1, "c":3 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("c");
            }),
            r#"{ "a" : 1 , "b":2 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("a").remove("b");
            }),
            r#"{ "c":3 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("c").remove("b").set("z", "0");
            }),
            r#"{ "a" : 1,"z":0 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("a").remove("b").remove("c");
            }),
            "{  }"
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("a").remove("b").remove("c").set("z", "0");
            }),
            r#"{ "z":0 }"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("a").set("a", "9");
            }),
            r#"{ "a" : 9 , "b":2, "c":3 }"#
        );
        assert_eq!(
            patched(" {}", |p| {
                p.set("x", "1").set("\n", "2").set("x", "3");
            }),
            r#" {"x":3,"\n":2}"#
        );
        assert_eq!(
            patched(body, |p| {
                p.remove("none").set("q", "1").remove("q");
            }),
            body
        );
    }

    #[test]
    fn edits_out_of_order_or_out_of_bounds_do_no_harm() {
        let edit = |span, with: &str| Edit { span, with: with.into() };
        let mut edits = [edit(9..20, "!"), edit(2..5, "-"), edit(0..1, "+"), edit(4..6, "="), edit(30..31, "?")];
        assert_eq!(apply(b"0123456789", &mut edits), b"+1-=678!?");
    }
}
