//! The head of a reply.

use std::mem::MaybeUninit;

use ::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use bytes::BytesMut;

use super::body::Length;

/// More headers than this are refused.
const MOST: usize = 128;

pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) length: Length,
    /// Another request may follow by the same connection.
    pub(super) keep_alive: bool,
}

/// Takes a head off the front of `bytes` if all of it is there; `Err` says what is wrong with it.
pub(super) fn read(bytes: &mut BytesMut, method: &Method) -> Result<Option<Head>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut fields = [MaybeUninit::uninit(); MOST];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields);
    let httparse::Status::Complete(end) = outcome.map_err(|error| error.to_string())? else { return Ok(None) };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is not one")?;
    let is_old = parsed.version == Some(0);
    // Where each field lies, so that the values need not be copied.
    let start = bytes.as_ptr() as usize;
    let span = |part: &[u8]| {
        let from = (part.as_ptr() as usize).saturating_sub(start);
        from..from + part.len()
    };
    let spans: Vec<_> = parsed.headers.iter().map(|field| (span(field.name.as_bytes()), span(field.value))).collect();
    let whole = bytes.split_to(end).freeze();
    let mut headers = HeaderMap::with_capacity(spans.len());
    for (name, value) in spans {
        let name = HeaderName::from_bytes(whole.get(name).unwrap_or_default()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_maybe_shared(whole.slice(value)).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    let (length, is_framed) = length(method, status, &headers)?;
    let keep_alive = is_framed && is_kept(&headers, is_old) && length != Length::Close;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if is_old { Version::HTTP_10 } else { Version::HTTP_11 };
    *response.headers_mut() = headers;
    Ok(Some(Head { response, length, keep_alive }))
}

/// How long the body is ([RFC 9112 §6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)), and whether all agree on it.
fn length(method: &Method, status: StatusCode, headers: &HeaderMap) -> Result<(Length, bool), String> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("it speaks another protocol from now on, which nobody asked for".to_owned());
    }
    let is_bare = method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bare {
        return Ok((Length::Counted(0), true));
    }
    let counted = counted(headers)?;
    if let Some(last) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        let chunked = words(last).next_back().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = if chunked { Length::Chunked } else { Length::Close };
        // Both lengths at once is how replies are smuggled: this one is read, and no other after it.
        return Ok((length, counted.is_none()));
    }
    Ok((counted.map_or(Length::Close, Length::Counted), true))
}

fn counted(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut told = None;
    for word in headers.get_all(CONTENT_LENGTH).iter().flat_map(words) {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let count = word.parse::<u64>().ok().filter(|_| is_number).ok_or("its content-length is not a number")?;
        if told.is_some_and(|told| told != count) {
            return Err("it tells two lengths".to_owned());
        }
        told = Some(count);
    }
    if told.is_none() && headers.contains_key(CONTENT_LENGTH) {
        return Err("its content-length is not a number".to_owned());
    }
    Ok(told)
}

fn is_kept(headers: &HeaderMap, is_old: bool) -> bool {
    let says = |what: &str| headers.get_all(CONNECTION).iter().flat_map(words).any(|word| word.eq_ignore_ascii_case(what));
    if is_old { says("keep-alive") } else { !says("close") }
}

fn words(value: &HeaderValue) -> impl DoubleEndedIterator<Item = &str> {
    value.to_str().unwrap_or("?").split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(u16, Length, bool)>, String> {
        let mut bytes = BytesMut::from(text);
        Ok(read(&mut bytes, &Method::POST)?.map(|head| (head.response.status().as_u16(), head.length, head.keep_alive)))
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        for (fields, length, keep_alive) in [
            ("Content-Length: 5\r\n", Length::Counted(5), true),
            ("content-length: 5, 5\r\nContent-Length: 5\r\n", Length::Counted(5), true),
            ("Transfer-Encoding: chunked\r\n", Length::Chunked, true),
            ("Transfer-Encoding: gzip, Chunked\r\n", Length::Chunked, true),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Length::Chunked, false),
            ("Transfer-Encoding: gzip\r\n", Length::Close, false),
            ("", Length::Close, false),
            ("Content-Length: 0\r\nConnection: x, Close\r\n", Length::Counted(0), false),
        ] {
            assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")), Ok(Some((200, length, keep_alive))), "{fields}");
        }
        assert_eq!(head("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), Ok(Some((200, Length::Counted(5), false))));
        assert_eq!(head("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n"), Ok(Some((204, Length::Counted(0), true))));
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        for wrong in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 5;6\r\n",
            "A b: c\r\n",
        ] {
            assert!(head(&format!("HTTP/1.1 200 OK\r\n{wrong}\r\n")).is_err(), "{wrong}");
        }
        assert!(head("HTTP/1.1 101 Switching\r\n\r\n").is_err());
        assert!(head("SSH-2.0-x\r\n").is_err());
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST + 1))).is_err());
    }

    #[test]
    fn a_head_is_read_when_all_of_it_is_there_and_no_further() {
        let text = "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  two words \r\nContent-Length: 2\r\n\r\nokHTTP";
        for cut in 0..text.len() - 6 {
            assert!(read(&mut BytesMut::from(&text[..cut]), &Method::POST).unwrap().is_none(), "{cut}");
        }
        let mut bytes = BytesMut::from(text);
        let head = read(&mut bytes, &Method::POST).unwrap().unwrap();
        assert_eq!(&bytes[..], b"okHTTP");
        let told: Vec<_> = head.response.headers().get_all("x-a").iter().collect();
        assert_eq!(told, ["1", "two words"]);
    }
}
