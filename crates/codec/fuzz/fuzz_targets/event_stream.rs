//! A binary event stream gives the same frames wherever it is cut, and what is written reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_codec::frame::EventStreamReader;
use trunkline_codec::frame::event_stream::{Value, read_message, write_header, write_message};
use trunkline_codec_fuzz::{read, split_input};

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = split_input(input) else {
        return;
    };
    let whole = read(EventStreamReader::new(usize::MAX), stream, &[]);
    assert_eq!(read(EventStreamReader::new(usize::MAX), stream, sizes), whole);
    assert_eq!(read(EventStreamReader::new(usize::MAX), stream, &[1]), whole);
    let _ = read(EventStreamReader::new(16), stream, sizes);
    let _ = read_message(stream);

    // Checksums keep nearly every input out, so one is made of it that has the right ones.
    let mut message = Vec::new();
    write_message(sizes, &mut message, |out| out.extend_from_slice(stream));
    let _ = read_message(&message);
    let (mut headers, mut message) = (Vec::new(), Vec::new());
    write_header("x", Value::Bytes(sizes), &mut headers);
    write_message(&headers, &mut message, |out| out.extend_from_slice(stream));
    let found = read_message(&message).expect("what was written is a message");
    assert_eq!(found.payload, stream);
    assert_eq!(found.headers().collect::<Vec<_>>(), [("x", Value::Bytes(sizes))]);
});
