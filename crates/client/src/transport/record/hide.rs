//! Taking secrets out of what is kept, however they are spelt there.

use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Plain;
use super::view::{Escape, View};
use crate::Secret;
use crate::credential::{SHORTEST, encode, spellings};

/// What stands in the place of a secret.
const MASK: &str = "***";
/// A word of a credential's header that is as long is its token or its signature.
const SIGNATURE: usize = 20;

/// Headers whose values are credentials, whoever wrote them.
const HEADERS: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];
/// More of them, without a constant.
const NAMES: [&str; 6] = ["x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token", "x-auth-token", "apikey"];
/// Parameters of a query that are credentials.
const PARAMETERS: [&str; 10] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "token",
    "signature",
    "sig",
    "x-amz-signature",
    "x-amz-security-token",
];

/// The secrets of one exchange.
#[derive(Debug, Default)]
pub(super) struct Hide {
    /// Every spelling.
    words: Vec<Secret>,
}

impl Hide {
    /// Every secret that is known, and all that signing has added to `plain`.
    pub(super) fn new(plain: &Plain, headers: &HeaderMap, query: Option<&str>) -> Self {
        let mut secrets = plain.secrets.clone();
        for (_, value) in headers.iter().filter(|(name, value)| is_added(plain, name, value)) {
            let Ok(text) = value.to_str() else { continue };
            let tokens = text.split(|c: char| c.is_whitespace() || ",;=:\"".contains(c));
            let tokens = tokens.flat_map(|token| std::iter::once(token).chain(token.split('/')));
            // Signatures list the headers that they cover.
            let tokens = tokens.filter(|token| token.len() >= SIGNATURE && !headers.contains_key(*token));
            secrets.extend(tokens.map(Secret::new));
        }
        for (name, value) in pairs(query).filter(|pair| !has(plain_query(plain), *pair)) {
            if value.len() >= SIGNATURE || is_credential(name) {
                secrets.push(Secret::new(&String::from_utf8_lossy(&encode::decode(value))));
                secrets.push(Secret::new(value));
            }
        }
        let long = secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST);
        let encoded: Vec<Secret> = long.flat_map(|secret| within_base64(secret.expose())).collect();
        secrets.extend(encoded);
        Hide { words: spellings(&secrets) }
    }

    /// Where secrets stand, in order and without overlap.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut spans = self.find_plain(bytes);
        for first in [Escape::Json, Escape::Percent] {
            let Some(view) = View::new(bytes, first) else { continue };
            spans.extend(self.find_plain(&view.bytes).iter().map(|span| view.place(span)));
            // As JSON within JSON has it, or an address within it.
            for second in [Escape::Json, Escape::Percent] {
                let Some(inner) = View::new(&view.bytes, second) else { continue };
                spans.extend(self.find_plain(&inner.bytes).iter().map(|span| view.place(&inner.place(span))));
            }
        }
        spans.sort_by_key(|span| span.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for span in spans {
            match joined.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                _ => joined.push(span),
            }
        }
        joined
    }

    /// The same, in no order, of those that no escape hides.
    fn find_plain(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found = |word: &Secret| {
            let length = word.expose().len();
            memchr::memmem::find_iter(bytes, word.expose()).map(move |at| at..at + length).collect::<Vec<_>>()
        };
        self.words.iter().flat_map(found).collect()
    }

    /// Whether one stands there.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        !self.find(bytes).is_empty()
    }

    /// The bytes without them.
    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        let spans = self.find(&bytes);
        if spans.is_empty() { bytes } else { mask(&bytes, 0, &spans) }
    }

    /// The same for a text.
    pub(super) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(Bytes::copy_from_slice(text.as_bytes()))).into_owned()
    }

    /// The same for bytes that came one after another: a secret may begin in one piece and end in another.
    pub(super) fn pieces(&self, pieces: Vec<(Duration, Bytes)>) -> Vec<(Duration, Bytes)> {
        let mut whole = BytesMut::with_capacity(pieces.iter().map(|(_, piece)| piece.len()).sum());
        pieces.iter().for_each(|(_, piece)| whole.extend_from_slice(piece));
        let spans = self.find(&whole);
        if spans.is_empty() {
            return pieces;
        }
        let mut start = 0;
        let masked = |(at, piece): (Duration, Bytes)| {
            let clean = mask(&piece, start, &spans);
            start += piece.len();
            (at, clean)
        };
        pieces.into_iter().map(masked).collect()
    }

    /// Header lines without them. What signing has added to `plain` is `***` as a whole, and so is a credential's header
    /// whoever wrote it.
    pub(super) fn headers(&self, headers: &HeaderMap, plain: Option<&Plain>) -> HeaderMap {
        let masked = |(name, value): (&HeaderName, &HeaderValue)| {
            let named = HEADERS.contains(name) || NAMES.contains(&name.as_str());
            let hidden = named || plain.is_some_and(|plain| is_added(plain, name, value));
            let value = if hidden {
                HeaderValue::from_static(MASK)
            } else {
                HeaderValue::from_bytes(&self.bytes(Bytes::copy_from_slice(value.as_bytes())))
                    .unwrap_or(HeaderValue::from_static(MASK))
            };
            (name.clone(), value)
        };
        let mut all = HeaderMap::with_capacity(headers.len());
        headers.iter().map(masked).for_each(|(name, value)| _ = all.append(name, value));
        all
    }

    /// An address without them. What signing has added to the query is `***`.
    pub(super) fn address(&self, address: &str, plain: &Plain) -> String {
        let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
        let shown = |(name, value): (&str, &str)| {
            let shown = has(plain_query(plain), (name, value)) && !is_credential(name);
            format!("{name}={}", if shown { value } else { MASK })
        };
        let query: Vec<String> = pairs(query).map(shown).collect();
        let path = without_user(path);
        let address = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        self.text(&address)
    }
}

/// What base64 of anything that holds the text has of it for certain, in either alphabet. Three bytes are four letters:
/// which ones it depends on where among its three a byte comes.
fn within_base64(text: &str) -> impl Iterator<Item = Secret> {
    let letters = |before: usize| {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(text.bytes()).collect();
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        [STANDARD, URL_SAFE].map(|alphabet| Secret::new(alphabet.encode(&padded).get(start..end).unwrap_or_default()))
    };
    let whole = Secret::new(&STANDARD.encode(text));
    (0..3).flat_map(letters).collect::<Vec<_>>().into_iter().chain([whole])
}

fn is_added(plain: &Plain, name: &HeaderName, value: &HeaderValue) -> bool {
    !plain.headers.get_all(name).iter().any(|had| had == value)
}

/// Whether a parameter of this name is one.
pub(super) fn is_credential(name: &str) -> bool {
    PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn plain_query(plain: &Plain) -> Option<&str> {
    plain.path.split_once('?').map(|(_, query)| query)
}

/// The parameters as they are spelt.
pub(super) fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let parameters = query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// An address may name a user and a password before its host.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => address.to_owned(),
    }
}

fn has(query: Option<&str>, pair: (&str, &str)) -> bool {
    pairs(query).any(|other| other == pair)
}

/// The piece that begins at `start` of the whole, with the mask where a span begins and nothing of its rest.
fn mask(piece: &[u8], start: usize, spans: &[Range<usize>]) -> Bytes {
    let end = start + piece.len();
    let mut out = BytesMut::with_capacity(piece.len());
    let mut at = start;
    for span in spans.iter().filter(|span| span.start < end && span.end > start) {
        out.extend_from_slice(piece.get(at - start..span.start.max(at) - start).unwrap_or_default());
        if span.start >= start {
            out.extend_from_slice(MASK.as_bytes());
        }
        at = span.end.min(end);
    }
    out.extend_from_slice(piece.get(at - start..).unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body_values::BodyValues;

    fn hide(secrets: &[&str]) -> Hide {
        let secrets = secrets.iter().map(|text| Secret::new(text)).collect();
        let plain = Plain { path: "/x".to_owned(), headers: HeaderMap::new(), secrets, values: BodyValues::default() };
        Hide::new(&plain, &HeaderMap::new(), None)
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_and_across_pieces() {
        let secret = "p/w+d=\"q\"&rest";
        let hide = hide(&[secret, "p/w+d=\"q\"&re", "short"]);
        let spelt = [
            secret.to_owned(),
            encode::strict(secret),
            encode::form(secret),
            STANDARD.encode(secret),
            r#"p/w+d=\"q\"&rest"#.to_owned(),
        ];
        for text in spelt {
            assert_eq!(hide.text(&format!("<{text}> short <{text}>")), "<***> short <***>");
            let whole = format!("a{text}b");
            for cut in 0..=whole.len() {
                for second in cut..=whole.len() {
                    let parts = [&whole[..cut], &whole[cut..second], &whole[second..]];
                    let pieces = parts.map(|part| (Duration::ZERO, Bytes::copy_from_slice(part.as_bytes())));
                    let clean: Vec<u8> = hide.pieces(pieces.to_vec()).iter().flat_map(|(_, piece)| piece.to_vec()).collect();
                    assert_eq!(String::from_utf8(clean).unwrap(), "a***b");
                }
            }
        }
    }

    /// One character of a text as somebody may write it.
    fn dress(c: char, how: u8) -> String {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).bytes();
        match how {
            0 => bytes.map(|byte| format!("%{byte:02x}")).collect(),
            1 => bytes.map(|byte| format!("%{byte:02X}")).collect(),
            2 => format!("\\u{:04x}", u32::from(c)),
            3 => format!("\\u{:04X}", u32::from(c)),
            4 => format!("\\\\u{:04x}", u32::from(c)),
            _ => c.to_string(),
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn a_secret_is_found_however_its_characters_are_dressed(
            secret in "[a-zA-Z0-9+/=_:.~-]{12,40}",
            ways in proptest::collection::vec((0u8..6, 0u8..2), 40),
            kind in 0u8..3,
            around in "[ a-z\"{}]{0,9}",
        ) {
            // A text is of one kind; within it each character may be escaped or not.
            let escapes: &[u8] = [&[0, 1, 5][..], &[2, 3, 5], &[4, 5]][usize::from(kind)];
            let spelt: String =
                secret.chars().zip(&ways).map(|(c, (way, _))| dress(c, escapes[usize::from(*way) % escapes.len()])).collect();
            let clean = hide(&[&secret]).text(&format!("{around}{spelt}{around}"));
            proptest::prop_assert_eq!(clean, format!("{}***{}", around, around));
        }

        #[test]
        fn a_secret_is_found_in_base64_wherever_it_stands_there(
            secret in "[a-zA-Z0-9+/=_-]{12,40}",
            (before, after) in ("[ -~]{0,9}", "[ -~]{0,9}"),
        ) {
            for alphabet in [STANDARD, URL_SAFE] {
                let encoded = alphabet.encode(format!("{before}{secret}{after}"));
                for text in [encoded.clone(), encoded.replace('/', "\\/"), encode::strict(&encoded)] {
                    let clean = hide(&[&secret]).text(&text).replace("%2F", "/").replace("%2B", "+").replace("\\/", "/");
                    // Of the letters at its ends some bits are others'.
                    let (start, end) = ((before.len() * 8).div_ceil(6), (before.len() + secret.len()) * 8 / 6);
                    let core = &encoded[start..end];
                    proptest::prop_assert!(clean.contains("***") && !clean.contains(&core[..8]) && !clean.contains(&core[core.len() - 8..]), "{}", clean);
                }
            }
        }
    }

    #[test]
    fn what_signing_adds_is_hidden_and_searched_for() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let plain =
            Plain { path: "/x?alt=sse".to_owned(), headers: headers.clone(), secrets: vec![], values: BodyValues::default() };
        let line = "SCHEME-HMAC Credential=AKID/2026, SignedHeaders=host;date, Signature=0123456789abcdef0123456789abcdef";
        headers.insert("authorization", HeaderValue::from_static(line));
        headers.insert("x-own", HeaderValue::from_static("added"));
        let query = Some("alt=sse&key=secret-key&date=now");
        let hide = Hide::new(&plain, &headers, query);
        assert_eq!(hide.text("got 0123456789abcdef0123456789abcdef and secret-key"), "got *** and ***");
        assert_eq!(
            hide.address("https://h/v1/x?alt=sse&key=secret-key&date=now", &plain),
            "https://h/v1/x?alt=sse&key=***&date=***"
        );
        let shown = hide.headers(&headers, Some(&plain));
        assert_eq!((shown["authorization"].as_bytes(), shown["x-own"].as_bytes()), (&b"***"[..], &b"***"[..]));
        assert_eq!(shown["content-type"], "application/json");
        let mut reply = HeaderMap::new();
        reply.append("set-cookie", HeaderValue::from_static("a=1"));
        reply.append("set-cookie", HeaderValue::from_static("b=2"));
        reply.append("x-echo", HeaderValue::from_static("you sent secret-key"));
        let shown = hide.headers(&reply, None);
        assert!(shown.get_all("set-cookie").iter().all(|value| value == "***"));
        assert_eq!((shown.get_all("set-cookie").iter().count(), shown["x-echo"].as_bytes()), (2, &b"you sent ***"[..]));
    }
}
