//! A streamed array gives the same elements wherever it is cut, and all of them if it is good JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use trunkline_codec::frame::ArrayReader;
use trunkline_codec_fuzz::{read, split_input};

fuzz_target!(|input: &[u8]| {
    let Some((sizes, stream)) = split_input(input) else {
        return;
    };
    let whole = read(ArrayReader::new(usize::MAX), stream, &[]);
    assert_eq!(read(ArrayReader::new(usize::MAX), stream, sizes), whole);
    assert_eq!(read(ArrayReader::new(usize::MAX), stream, &[1]), whole);
    let _ = read(ArrayReader::new(16), stream, sizes);

    if let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(stream) {
        let elements = elements.into_iter().map(|raw| (None, raw.get().as_bytes().to_vec())).collect();
        assert_eq!(whole, Ok((elements, false)));
    }
});
