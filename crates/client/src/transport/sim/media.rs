//! The smallest picture and the smallest sound that every program can open.

/// The side of a picture, in pixels.
const SIDE: u32 = 16;
/// Samples a second, and how many there are.
const RATE: u32 = 8000;
const SAMPLES: u32 = RATE / 4;

/// A PNG of one colour.
pub(super) fn picture(colour: u64) -> Vec<u8> {
    let [red, green, blue, ..] = colour.to_le_bytes();
    let mut row = vec![0];
    (0..SIDE).for_each(|_| row.extend([red, green, blue]));
    let pixels = row.repeat(SIDE as usize);
    let mut header = Vec::new();
    header.extend(SIDE.to_be_bytes());
    header.extend(SIDE.to_be_bytes());
    // 8 bits a channel, red green blue, the only ways there are to pack and filter, no interlacing.
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &stored(&pixels));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let body: Vec<u8> = kind.iter().chain(data).copied().collect();
    png.extend(&body);
    png.extend(crc32(&body).to_be_bytes());
}

/// A zlib stream of one block that is not compressed; `data` is shorter than 64 KiB.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(data);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65521;
        high = (high + low) % 65521;
    }
    zlib.extend((high << 16 | low).to_be_bytes());
    zlib
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let crc = data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    !crc
}

/// A beep of a quarter of a second, 16 bits, one channel: WAV with `text` as its comment, or the bare samples.
pub(super) fn wave(text: &str, bare: bool) -> Vec<u8> {
    let mut samples = Vec::with_capacity(SAMPLES as usize * 2);
    for index in 0..SAMPLES {
        // A square wave of 400 Hz.
        let sample: i16 = if (index / 10).is_multiple_of(2) { 6000 } else { -6000 };
        samples.extend(sample.to_le_bytes());
    }
    if bare {
        return samples;
    }
    let mut comment = b"INFOICMT".to_vec();
    comment.extend((text.len() as u32).to_le_bytes());
    comment.extend(text.as_bytes());
    comment.resize(comment.len().next_multiple_of(2), 0);
    let mut format = Vec::new();
    format.extend([1, 0, 1, 0]);
    format.extend(RATE.to_le_bytes());
    format.extend((RATE * 2).to_le_bytes());
    format.extend([2, 0, 16, 0]);
    let mut body = b"WAVE".to_vec();
    for (kind, data) in [(b"fmt ", &format), (b"LIST", &comment), (b"data", &samples)] {
        body.extend(kind);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(data);
    }
    let mut wave = b"RIFF".to_vec();
    wave.extend((body.len() as u32).to_le_bytes());
    wave.extend(body);
    wave
}

/// The comment of a sound that [`wave`] made.
pub(super) fn read_text(wave: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(wave, b"INFOICMT")?;
    let (length, rest) = wave.get(at + 8..)?.split_first_chunk::<4>()?;
    let text = rest.get(..u32::from_le_bytes(*length) as usize)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert!(stored(b"Wikipedia").ends_with(&0x11E6_0398_u32.to_be_bytes()));
    }

    #[test]
    fn what_was_said_is_written_down() {
        for text in ["", "odd", "héllo ☃"] {
            assert_eq!(read_text(&wave(text, false)).as_deref(), Some(text));
        }
        assert_eq!(read_text(&wave("x", true)), None);
    }
}
