//! An event stream gives the same frames wherever it is cut, and the splitter loses none of its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_codec::frame::{SseReader, SseSplitter};
use trunkline_codec_fuzz::{read, split_input};

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = split_input(input) else {
        return;
    };
    let whole = read(SseReader::new(usize::MAX), stream, &[]);
    assert_eq!(read(SseReader::new(usize::MAX), stream, sizes), whole);
    assert_eq!(read(SseReader::new(usize::MAX), stream, &[1]), whole);
    let _ = read(SseReader::new(16), stream, sizes);

    let (mut splitter, mut at) = (SseSplitter::new(), 0);
    for part in splitter.split(stream) {
        assert!(part.span.start == at && part.span.end > at);
        at = part.span.end;
    }
    assert_eq!(at, stream.len());
});
