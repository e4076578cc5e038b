//! Frames are the same wherever the chunks are cut.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use trunkline_codec::frame::event_stream::{Fault, Value, message_len, read_message, write_header, write_message};
use trunkline_codec::frame::{
    ArrayReader, EventStreamReader, NdjsonReader, ReadFrame, Splitter, SseReader, SseSplitter, TooLong, read_block,
};

type Owned = (Option<String>, Vec<u8>);

/// What a reader makes of a stream: its frames, the last included, and whether it was cut.
fn read(mut reader: impl ReadFrame, stream: &[u8], sizes: &[usize]) -> Result<(Vec<Owned>, bool), TooLong> {
    let own = |frame: trunkline_codec::frame::Frame<'_>| (frame.event.map(str::to_owned), frame.data.to_vec());
    let mut frames = Vec::new();
    let mut left = stream;
    let mut sizes = sizes.iter().copied().cycle();
    while !left.is_empty() {
        let (mut chunk, after) = left.split_at(sizes.next().unwrap_or(left.len()).min(left.len()));
        left = after;
        while let Some(frame) = reader.next(&mut chunk)? {
            frames.push(own(frame));
        }
        assert!(chunk.is_empty());
    }
    let end = reader.finish();
    frames.extend(end.frame.map(own));
    Ok((frames, end.cut))
}

fn sse(stream: &[u8], sizes: &[usize]) -> (Vec<Owned>, bool) {
    read(SseReader::new(1 << 20), stream, sizes).unwrap()
}

fn array(stream: &[u8], sizes: &[usize]) -> (Vec<Owned>, bool) {
    read(ArrayReader::new(1 << 20), stream, sizes).unwrap()
}

fn ndjson(stream: &[u8], sizes: &[usize]) -> (Vec<Owned>, bool) {
    read(NdjsonReader::new(1 << 20), stream, sizes).unwrap()
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    // A zero among them is an empty chunk; the one at the end keeps the stream moving.
    vec(0_usize..30, 0..8).prop_map(|mut sizes| {
        sizes.push(1 + sizes.len());
        sizes
    })
}

#[derive(Debug, Clone)]
struct Event {
    name: Option<String>,
    lines: Vec<String>,
    newline: &'static str,
    separator: &'static str,
    space: bool,
    junk: Vec<&'static str>,
}

fn event() -> impl Strategy<Value = Event> {
    let line = prop_oneof!["[ -~é😀\t]{0,30}", Just("{\"a\":\"b\"}".to_owned()), Just(String::new())];
    let name = proptest::option::of("[a-z_.]{1,12}");
    let junk = vec(
        select(vec![": keep-alive", ":HTTP_STATUS/200", "id: 7", "retry:3", "status", "dat: a", "datax: 1", "eventual:x"]),
        0..3,
    );
    (name, vec(line, 1..4), select(vec!["\n", "\r\n", "\r"]), select(vec!["", "", "", "\t", " "]), any::<bool>(), junk)
        .prop_map(|(name, lines, newline, separator, space, junk)| Event { name, lines, newline, separator, space, junk })
}

impl Event {
    fn write(&self, out: &mut String) {
        let mut line = |text: &str| out.extend([text, self.newline]);
        self.junk.iter().for_each(|junk| line(junk));
        if let Some(name) = &self.name {
            line(&format!("event:{}{name}", if self.space { " " } else { "" }));
        }
        for text in &self.lines {
            match text.as_str() {
                "" if self.space => line("data"),
                text if self.space || text.starts_with(' ') => line(&format!("data: {text}")),
                text => line(&format!("data:{text}")),
            }
        }
        line(self.separator);
    }

    fn frame(&self) -> Owned {
        (self.name.clone(), self.lines.join("\n").into_bytes())
    }
}

proptest! {
    #[test]
    fn sse_frames_do_not_depend_on_style_or_cuts(
        events in vec(event(), 0..8), mark: bool, ending in select(vec![0, 1, 2]), sizes in sizes(),
    ) {
        let mut stream = String::from(if mark { "\u{feff}" } else { "" });
        events.iter().for_each(|event| event.write(&mut stream));
        let expected: Vec<_> = events.iter().map(Event::frame).collect();
        let mut cut = false;
        // The last block may lack its empty line, or that and its line end.
        if let Some(last) = events.last() {
            let shorter = stream.len() - [0, last.separator.len() + last.newline.len(), last.separator.len() + 2 * last.newline.len()][ending];
            stream.truncate(shorter);
            cut = ending == 2;
        }
        prop_assert_eq!(&sse(stream.as_bytes(), &[usize::MAX]), &(expected, cut));
        prop_assert_eq!(sse(stream.as_bytes(), &sizes), sse(stream.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn sse_cuts_do_not_matter_for_any_bytes(
        tokens in vec(select(vec!["data:", "data: ", "event:", "\n", "\n", "\r", "\r\n", " ", "\t", "x", "{", "}", ":", "\u{feff}", "é"]), 0..60),
        sizes in sizes(),
    ) {
        let stream = tokens.concat();
        let whole = sse(stream.as_bytes(), &[usize::MAX]);
        prop_assert_eq!(&sse(stream.as_bytes(), &sizes), &whole);
        prop_assert_eq!(&sse(stream.as_bytes(), &[1]), &whole);
    }

    #[test]
    fn split_blocks_hold_every_byte_and_the_same_frames(
        events in vec(event(), 0..8), sizes in sizes(),
    ) {
        let mut stream = String::new();
        events.iter().for_each(|event| event.write(&mut stream));
        let mut splitter = SseSplitter::new();
        let (mut all, mut open, mut frames, mut left) = (Vec::new(), Vec::new(), Vec::new(), stream.as_bytes());
        let mut sizes = sizes.iter().cycle();
        while !left.is_empty() {
            let (chunk, after) = left.split_at(left.len().min(*sizes.next().unwrap()));
            left = after;
            for part in splitter.split(chunk) {
                all.extend_from_slice(&chunk[part.span.clone()]);
                open.extend_from_slice(&chunk[part.span]);
                if part.ends {
                    let mut joined = Vec::new();
                    frames.extend(read_block(&open, &mut joined).map(|frame| (frame.event.map(str::to_owned), frame.data.to_vec())));
                    open.clear();
                }
            }
        }
        prop_assert_eq!(all, stream.as_bytes());
        prop_assert_eq!(frames, events.iter().map(Event::frame).collect::<Vec<_>>());
    }

    #[test]
    fn array_elements_do_not_depend_on_cuts(
        values in vec(super::json::value(), 0..6), pretty: bool, between in select(vec![",", "\n,\n", " ,\r\n"]), sizes in sizes(),
    ) {
        let texts: Vec<String> = values
            .iter()
            .map(|value| if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap())
            .collect();
        let stream = format!("[{}\n]\n", texts.join(between));
        let expected: Vec<Owned> = texts.into_iter().map(|text| (None, text.into_bytes())).collect();
        prop_assert_eq!(array(stream.as_bytes(), &sizes), (expected.clone(), false));
        // Without the bracket at the end the stream is cut, and every whole element is still there.
        let open = stream.trim_end().trim_end_matches(']');
        prop_assert_eq!(array(open.as_bytes(), &sizes), (expected, true));
    }

    #[test]
    fn array_cuts_do_not_matter_for_any_bytes(
        tokens in vec(select(vec!["[", "]", "{", "}", "\"", "\\", ",", " ", "\n", "1", "null", "\u{feff}", "é"]), 0..40), sizes in sizes(),
    ) {
        let stream = tokens.concat();
        prop_assert_eq!(array(stream.as_bytes(), &sizes), array(stream.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn lines_do_not_depend_on_style_or_cuts(
        values in vec(super::json::value(), 0..6), newline in select(vec!["\n", "\r\n", " \n\n", "\n \t\r\n"]), mark: bool, end: bool, sizes in sizes(),
    ) {
        let texts: Vec<String> = values.iter().map(|value| serde_json::to_string(value).unwrap()).collect();
        let mut stream = format!("{}{}", if mark { "\u{feff}" } else { "" }, texts.join(newline));
        if end {
            stream.push_str(newline);
        }
        let expected: Vec<Owned> = texts.into_iter().map(|text| (None, text.into_bytes())).collect();
        prop_assert_eq!(&ndjson(stream.as_bytes(), &sizes), &(expected.clone(), false));
        let (mut splitter, mut left, mut open, mut found) = (Splitter::Ndjson, stream.as_bytes(), Vec::new(), Vec::new());
        let (reader, mut sizes) = (splitter.reader(), sizes.iter().cycle());
        while !left.is_empty() {
            let (chunk, after) = left.split_at(left.len().min(*sizes.next().unwrap()));
            left = after;
            for part in splitter.split(chunk) {
                open.extend_from_slice(&chunk[part.span]);
                if part.ends {
                    found.extend(reader(&open, &mut Vec::new()).map(|frame| (None, frame.data.to_vec())));
                    open.clear();
                }
            }
        }
        found.extend(reader(&open, &mut Vec::new()).map(|frame| (None, frame.data.to_vec())));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn line_cuts_do_not_matter_for_any_bytes(
        tokens in vec(select(vec!["{", "}", "\"a\"", ":", "1", " ", "\n", "\r\n", "\r", "\u{feff}", "é"]), 0..40), limit in 1_usize..60, sizes in sizes(),
    ) {
        let stream = tokens.concat();
        let whole = read(NdjsonReader::new(limit), stream.as_bytes(), &[usize::MAX]);
        prop_assert_eq!(&read(NdjsonReader::new(limit), stream.as_bytes(), &sizes), &whole);
        prop_assert_eq!(&read(NdjsonReader::new(limit), stream.as_bytes(), &[1]), &whole);
    }

    #[test]
    fn the_limit_does_not_depend_on_cuts(events in vec(event(), 1..5), limit in 1_usize..120, sizes in sizes()) {
        let mut stream = String::new();
        // A line feed behind a carriage return may count for the next block when the cut falls between them.
        events.iter().filter(|event| event.newline != "\r\n").for_each(|event| event.write(&mut stream));
        let whole = read(SseReader::new(limit), stream.as_bytes(), &[usize::MAX]);
        prop_assert_eq!(read(SseReader::new(limit), stream.as_bytes(), &sizes), whole);
    }
}

/// A header's value of each of the ten types.
fn header() -> impl Strategy<Value = (String, Vec<u8>, u8, u64)> {
    ("[a-z:-]{1,20}", vec(any::<u8>(), 0..20), 0_u8..10, any::<u64>())
}

fn value<'a>((_, bytes, kind, number): &'a (String, Vec<u8>, u8, u64), text: &'a str) -> Value<'a> {
    match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Byte(*number as i8),
        3 => Value::Short(*number as i16),
        4 => Value::Int(*number as i32),
        5 => Value::Long(*number as i64),
        6 => Value::Bytes(bytes),
        7 => Value::Text(text),
        8 => Value::Time(*number as i64),
        _ => Value::Uuid([*number as u8; 16]),
    }
}

fn write_event(name: &str, payload: &[u8], out: &mut Vec<u8>) {
    let mut headers = Vec::new();
    write_header(":event-type", Value::Text(name), &mut headers);
    write_header(":message-type", Value::Text("event"), &mut headers);
    write_message(&headers, out, |out| out.extend_from_slice(payload));
}

proptest! {
    #[test]
    fn headers_of_every_type_come_back(headers in vec(header(), 0..6), payload in vec(any::<u8>(), 0..40)) {
        let texts: Vec<String> = headers.iter().map(|(_, bytes, ..)| String::from_utf8_lossy(bytes).into_owned()).collect();
        let (mut written, mut message) = (Vec::new(), Vec::new());
        for (header, text) in headers.iter().zip(&texts) {
            write_header(&header.0, value(header, text), &mut written);
        }
        write_message(&written, &mut message, |out| out.extend_from_slice(&payload));
        prop_assert_eq!(message_len(&message, 1 << 20), Ok(message.len()));
        let read = read_message(&message).unwrap();
        let expected: Vec<_> = headers.iter().zip(&texts).map(|(header, text)| (header.0.as_str(), value(header, text))).collect();
        prop_assert_eq!(read.headers().collect::<Vec<_>>(), expected);
        prop_assert_eq!(read.payload, &payload[..]);
    }

    #[test]
    fn messages_do_not_depend_on_cuts(
        events in vec(("[a-z]{1,12}", vec(any::<u8>(), 0..60)), 0..6), sizes in sizes(), cut in 0_usize..30,
    ) {
        let mut stream = Vec::new();
        events.iter().for_each(|(name, payload)| write_event(name, payload, &mut stream));
        let expected: Vec<Owned> = events.into_iter().map(|(name, payload)| (Some(name), payload)).collect();
        let read_all = |stream: &[u8], sizes: &[usize]| read(EventStreamReader::new(1 << 20), stream, sizes).unwrap();
        prop_assert_eq!(&read_all(&stream, &sizes), &(expected.clone(), false));
        // Without its end the last message is missing, and the stream is cut.
        if !expected.is_empty() && cut > 0 {
            let (frames, is_cut) = read_all(&stream[..stream.len() - cut], &sizes);
            prop_assert_eq!(frames, &expected[..expected.len() - 1]);
            prop_assert!(is_cut);
        }
    }

    #[test]
    fn a_changed_byte_is_found(payloads in vec(vec(any::<u8>(), 0..20), 1..4), at in any::<prop::sample::Index>(), bit in 0_u8..8, sizes in sizes()) {
        let mut stream = Vec::new();
        payloads.iter().for_each(|payload| write_event("a", payload, &mut stream));
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        let mut reader = EventStreamReader::new(1 << 10);
        let (mut count, mut left, mut sizes) = (0, &stream[..], sizes.into_iter().cycle());
        while !left.is_empty() {
            let (mut chunk, after) = left.split_at(sizes.next().unwrap().min(left.len()));
            left = after;
            while let Some(frame) = reader.next(&mut chunk).unwrap() {
                prop_assert_eq!(frame.data, &payloads[count][..]);
                count += 1;
            }
        }
        prop_assert!(count < payloads.len());
        prop_assert!(reader.fault().is_some());
        prop_assert!(reader.finish().cut);
    }
}

#[test]
fn a_message_is_refused_by_its_length_alone() {
    let mut stream = Vec::new();
    write_event("a", &[0; 100], &mut stream);
    let mut reader = EventStreamReader::new(100);
    assert_eq!(reader.next(&mut &stream[..12]), Err(TooLong { limit: 100 }));
    // Lengths that contradict each other, with a checksum that is right.
    let mut message = [0, 0, 0, 20, 0, 0, 0, 5].to_vec();
    message.extend(0x8028_1aa4_u32.to_be_bytes());
    assert!(matches!(message_len(&message, 100), Err(Fault::Corrupt(_))));
    assert_eq!(message_len(&message[..11], 100), Ok(12));
    assert_eq!(read(EventStreamReader::new(100), b"", &[1]), Ok((vec![], false)));
    // A page instead of a stream.
    assert_eq!(read(EventStreamReader::new(100), b"<html><body>no</body></html>", &[4]), Ok((vec![], true)));
}

/// The example that the format's own description gives: an empty event of 16 bytes, and one with a header.
#[test]
fn messages_of_others_are_read() {
    let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(read_message(&empty).map(|message| message.payload), Ok(&b""[..]));
    let mut again = Vec::new();
    write_message(&[], &mut again, |_| {});
    assert_eq!(again, empty);
    let mut frames = Vec::new();
    let mut error = Vec::new();
    let mut headers = Vec::new();
    for (name, text) in [(":message-type", "error"), (":error-code", "x\""), (":error-message", "no")] {
        write_header(name, Value::Text(text), &mut headers);
    }
    write_message(&headers, &mut error, |_| {});
    let read = read(EventStreamReader::new(1000), &error, &[5]).unwrap();
    frames.extend(read.0);
    assert_eq!(frames, [owned(Some("error"), "{\"code\":\"x\\\"\",\"message\":\"no\"}")]);
}

fn owned(event: Option<&str>, data: &str) -> Owned {
    (event.map(str::to_owned), data.as_bytes().to_vec())
}

#[test]
fn what_a_closing_server_leaves_is_not_lost() {
    let done = vec![owned(None, "[DONE]")];
    assert_eq!(sse(b"data: [DONE]\n\n", &[3]), (done.clone(), false));
    assert_eq!(sse(b"data: [DONE]\n", &[3]), (done.clone(), false));
    assert_eq!(sse(b"data:[DONE]", &[3]), (done, true));
    assert_eq!(sse(b"data: {\"a", &[3]), (vec![owned(None, "{\"a")], true));
    assert_eq!(sse(b"", &[3]), (vec![], false));
    assert_eq!(sse(b": bye\n", &[3]), (vec![], false));
}

#[test]
fn a_failure_written_without_a_field_name_is_a_frame() {
    let stream = b"data: 1\n\n{\"error\":\n {\"code\":500}}\n\n: {\n\nid: 4\n\n";
    let frames = vec![owned(None, "1"), owned(None, "{\"error\":\n {\"code\":500}}")];
    assert_eq!(sse(stream, &[5]), (frames, false));
}

#[test]
fn names_and_comments_are_read_as_the_format_says() {
    let mut reader = SseReader::new(100);
    let mut chunk = &b": one\n\n:two\nevent: a\nevent: b\ndata\n\nevent\ndata: x\n\nevent: only\n\n"[..];
    let first = reader.next(&mut chunk).unwrap().unwrap();
    assert_eq!((first.event, first.data), (Some("b"), &b""[..]));
    let second = reader.next(&mut chunk).unwrap().unwrap();
    assert_eq!((second.event, second.data), (None, &b"x"[..]));
    assert_eq!(reader.next(&mut chunk), Ok(None));
    assert_eq!(reader.comments(), 2);
}

#[test]
fn a_frame_within_one_chunk_is_not_copied() {
    let chunk = b"data: {\"a\":1}\n\nevent: x\ndata: 2\n\n";
    let within = |data: &[u8]| chunk.as_ptr_range().contains(&data.as_ptr());
    let (mut reader, mut rest) = (SseReader::new(100), &chunk[..]);
    while let Some(frame) = reader.next(&mut rest).unwrap() {
        assert!(within(frame.data));
    }
    let chunk = b"{\"a\":1}\n\n{\"b\":2}\r\n";
    let within = |data: &[u8]| chunk.as_ptr_range().contains(&data.as_ptr());
    let (mut reader, mut rest) = (NdjsonReader::new(100), &chunk[..]);
    while let Some(frame) = reader.next(&mut rest).unwrap() {
        assert!(within(frame.data));
    }
    let chunk = b"[{\"a\":1},{\"b\":2}]";
    let within = |data: &[u8]| chunk.as_ptr_range().contains(&data.as_ptr());
    let (mut reader, mut rest) = (ArrayReader::new(100), &chunk[..]);
    while let Some(frame) = reader.next(&mut rest).unwrap() {
        assert!(within(frame.data));
    }
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_it_is_whole() {
    let mut reader = SseReader::new(10);
    assert_eq!(reader.next(&mut &b"data: 12345"[..]), Err(TooLong { limit: 10 }));
    let mut reader = ArrayReader::new(10);
    assert_eq!(reader.next(&mut &b"[{\"a\": \"b\""[..]), Ok(None));
    assert_eq!(reader.next(&mut &b"cd"[..]), Err(TooLong { limit: 10 }));
    assert_eq!(read(ArrayReader::new(10), b"[{\"a\":123}]", &[4]).unwrap().0.len(), 1);
    let mut reader = NdjsonReader::new(10);
    assert_eq!(reader.next(&mut &b"{\"a\": \"b\""[..]), Ok(None));
    assert_eq!(reader.next(&mut &b"cd"[..]), Err(TooLong { limit: 10 }));
}

#[test]
fn a_last_line_without_its_end_is_cut_unless_its_value_is_whole() {
    let frames = |last: &str| vec![owned(None, "{\"a\":1}"), owned(None, last)];
    assert_eq!(ndjson(b"{\"a\":1}\n{\"done\":true}", &[3]), (frames("{\"done\":true}"), false));
    assert_eq!(ndjson(b"{\"a\":1}\n{\"done\":tr", &[3]), (frames("{\"done\":tr"), true));
    assert_eq!(ndjson(b"{\"a\":1}\n \r", &[3]), (vec![owned(None, "{\"a\":1}")], false));
}

#[test]
fn a_failure_instead_of_an_array_is_a_frame() {
    let object = "{\"error\": {\"message\": \"}]\\\"\"}}";
    let frames = vec![owned(None, object)];
    assert_eq!(array(object.as_bytes(), &[2]), (frames.clone(), false));
    assert_eq!(array(format!("[{object}]").as_bytes(), &[2]), (frames.clone(), false));
    assert_eq!(array(format!("[{object}").as_bytes(), &[2]), (frames, true));
    assert_eq!(array(b"[{\"a\":", &[2]), (vec![], true));
    assert_eq!(array(b"", &[2]), (vec![], true));
    assert_eq!(array(b"[]", &[2]), (vec![], false));
    assert_eq!(array(b"oops", &[2]), (vec![owned(None, "oops")], false));
    assert_eq!(array(b"[1, \"a,]\" ,null]", &[2]).0.len(), 3);
}
