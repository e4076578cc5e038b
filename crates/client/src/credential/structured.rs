//! Structured fields (RFC 9651), as far as signatures need them: dictionaries of byte sequences and of inner lists.

use super::digest::from_base64;

/// `;name=value…`, in their order.
pub(super) type Params<'a> = Vec<(&'a str, Bare)>;
/// An inner list: each item with its parameters.
pub(super) type List<'a> = Vec<(Bare, Params<'a>)>;

/// One entry of a dictionary.
#[derive(Debug, PartialEq)]
pub(super) struct Member<'a> {
    pub(super) key: &'a str,
    pub(super) value: Value<'a>,
    pub(super) params: Params<'a>,
    /// Value and parameters as they were written.
    pub(super) raw: &'a str,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Item(Bare),
    List(List<'a>),
}

#[derive(Debug, PartialEq)]
pub(super) enum Bare {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Tokens, booleans, decimals, dates: read over.
    Other,
}

impl Member<'_> {
    /// A parameter that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.param(name)? {
            Bare::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A parameter that is an integer.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        match self.param(name)? {
            Bare::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Of parameters with one name, the last counts.
    pub(super) fn param(&self, name: &str) -> Option<&Bare> {
        self.params.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Most members of a dictionary; a header as long as a server takes could hold thousands.
const MEMBERS: usize = 64;

/// Reads a dictionary; nothing if it is none, says the same key twice, or has more than 64 members.
pub(super) fn read_dictionary(text: &str) -> Option<Vec<Member<'_>>> {
    let mut reader = Reader { rest: text.trim_matches(' ') };
    let mut members: Vec<Member<'_>> = Vec::new();
    while !reader.rest.is_empty() {
        let member = reader.member()?;
        if members.len() == MEMBERS || members.iter().any(|known| known.key == member.key) {
            return None;
        }
        members.push(member);
        reader.skip(is_space);
        if !reader.rest.is_empty() {
            reader.eat(',')?;
            reader.skip(is_space);
            // A comma announces another member.
            if reader.rest.is_empty() {
                return None;
            }
        }
    }
    Some(members)
}

/// A text as it stands in a structured field, if it can.
pub(super) fn write_text(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
    plain.then(|| format!("\"{text}\""))
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn member(&mut self) -> Option<Member<'a>> {
        let key = self.key()?;
        let start = self.rest;
        let value = if self.eat('=').is_none() {
            Value::Item(Bare::Other)
        } else if self.rest.starts_with('(') {
            Value::List(self.list()?)
        } else {
            Value::Item(self.bare()?)
        };
        let params = self.params()?;
        let raw = start.strip_suffix(self.rest).map(|raw| raw.strip_prefix('=').unwrap_or(raw))?;
        Some(Member { key, value, params, raw })
    }

    fn list(&mut self) -> Option<List<'a>> {
        self.eat('(')?;
        let mut items = Vec::new();
        loop {
            self.skip(|c| c == ' ');
            if self.eat(')').is_some() {
                return Some(items);
            }
            let item = self.bare()?;
            items.push((item, self.params()?));
            if !self.rest.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn params(&mut self) -> Option<Params<'a>> {
        let mut params = Vec::new();
        while self.eat(';').is_some() {
            self.skip(|c| c == ' ');
            let key = self.key()?;
            let value = if self.eat('=').is_some() { self.bare()? } else { Bare::Other };
            params.push((key, value));
        }
        Some(params)
    }

    fn key(&mut self) -> Option<&'a str> {
        self.rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '*').then_some(())?;
        Some(self.skip(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*')))
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.rest.chars().next()? {
            '"' => self.text().map(Bare::Text),
            ':' => {
                let (bytes, rest) = self.rest.strip_prefix(':')?.split_once(':')?;
                self.rest = rest;
                from_base64(bytes).map(Bare::Bytes)
            }
            '-' | '0'..='9' => {
                let number = self.skip(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
                if number.contains('.') { Some(Bare::Other) } else { number.parse().ok().map(Bare::Integer) }
            }
            '?' | '@' | '*' | 'a'..='z' | 'A'..='Z' => {
                self.skip(|c| c.is_ascii_alphanumeric() || "?@!#$%&'*+-.^_`|~:/".contains(c));
                Some(Bare::Other)
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
                c @ ' '..='~' => text.push(c),
                _ => return None,
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    /// Goes over all such characters and returns them.
    fn skip(&mut self, such: impl Fn(char) -> bool) -> &'a str {
        let after = self.rest.trim_start_matches(such);
        let skipped = self.rest.strip_suffix(after).unwrap_or_default();
        self.rest = after;
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_read_with_what_it_says_and_how() {
        let text = r#"sig1=("@method" "a";req);created=12;keyid="k\"\\";x, b=:AQI=:,c;d=1.5 , e=?0;f=tok/en"#;
        let members = read_dictionary(text).unwrap();
        let keys: Vec<_> = members.iter().map(|member| (member.key, member.raw)).collect();
        let raw = r#"("@method" "a";req);created=12;keyid="k\"\\";x"#;
        assert_eq!(keys, [("sig1", raw), ("b", ":AQI=:"), ("c", ";d=1.5"), ("e", "?0;f=tok/en")]);
        assert_eq!((members[0].integer("created"), members[0].text("keyid")), (Some(12), Some("k\"\\")));
        assert_eq!((members[0].integer("keyid"), members[0].text("created")), (None, None));
        let list = vec![(Bare::Text("@method".into()), vec![]), (Bare::Text("a".into()), vec![("req", Bare::Other)])];
        assert_eq!(members[0].value, Value::List(list));
        assert_eq!(members[1].value, Value::Item(Bare::Bytes(vec![1, 2])));
        assert_eq!(read_dictionary("  "), Some(vec![]));
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        let broken = [
            "a=1,",
            "a=1 b=2",
            "A=1",
            "a=1,a=2",
            "a=\"x",
            "a=:b",
            "a=:*:",
            "a=(\"x\"",
            "a=(\"x\"\"y\")",
            "a=\"\\n\"",
            "a=é",
            "=1",
        ];
        for text in broken {
            assert_eq!(read_dictionary(text), None, "{text}");
        }
        let many = |count: u32| (0..count).map(|n| format!("a{n}")).collect::<Vec<_>>().join(",");
        assert!(read_dictionary(&many(64)).is_some() && read_dictionary(&many(65)).is_none());
    }

    #[test]
    fn whatever_comes_in_is_read_or_refused() {
        let text = r#"sig1=("@method" "a";req);created=12;keyid="k\"\\";x, b=:AQI=:,c;d=1.5 , e=?0;f=tok/en"#;
        for (at, _) in text.char_indices() {
            let (before, after) = text.split_at(at);
            let _ = read_dictionary(before);
            for odd in ["", "é", "\0", "\"", "\\", ":", "(", ";", "=", ",", "-", "\t"] {
                let _ = read_dictionary(&format!("{before}{odd}{after}"));
                let _ = read_dictionary(&format!("{before}{odd}{}", &after[1..]));
            }
        }
    }
}
