//! What the frame targets share: reading one stream whole and in pieces.

use trunkline_codec::frame::{Frame, ReadFrame, TooLong};

/// A frame that owns its bytes.
pub type Owned = (Option<String>, Vec<u8>);

/// The input as chunk sizes (as many as its first byte says) and a stream.
pub fn split_input(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(*count) % 16)
}

/// The frames of `stream` cut into chunks of these sizes over and over (an empty list: one chunk), and whether it was cut.
pub fn read(mut reader: impl ReadFrame, stream: &[u8], sizes: &[u8]) -> Result<(Vec<Owned>, bool), TooLong> {
    let own = |frame: Frame<'_>| (frame.event.map(str::to_owned), frame.data.to_vec());
    let (mut frames, mut left) = (Vec::new(), stream);
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
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
