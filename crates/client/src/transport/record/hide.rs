//! Taking secrets out of what is kept, however they are spelt there.

use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Plain;
use crate::Secret;
use crate::credential::{encode, spellings};

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
        let encoded: Vec<Secret> = secrets.iter().map(|secret| Secret::new(&STANDARD.encode(secret.expose()))).collect();
        secrets.extend(encoded);
        Hide { words: spellings(&secrets) }
    }

    /// Where secrets stand, in order and without overlap.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found = |word: &Secret| {
            let length = word.expose().len();
            memchr::memmem::find_iter(bytes, word.expose()).map(move |at| at..at + length).collect::<Vec<_>>()
        };
        let mut spans: Vec<Range<usize>> = self.words.iter().flat_map(found).collect();
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

    /// Whether one stands there.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.words.iter().any(|word| memchr::memmem::find(bytes, word.expose().as_bytes()).is_some())
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
