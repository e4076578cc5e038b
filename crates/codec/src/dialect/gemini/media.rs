//! Pictures, sound, films and documents: one kind of part on the wire, told apart by their media type.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::dialect::find;
use crate::ir::{Content, Signature, Source};

use super::NAME;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Base64 in the standard alphabet.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD_ENGINE.encode(bytes)
}

/// Reads either alphabet, padded or not.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_ENGINE.decode(text).or_else(|_| URL_ENGINE.decode(text)).ok()
}

/// The content that media of this type is.
pub(crate) fn content(media_type: &str, source: Source) -> Content {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => Content::Image { source, detail: None },
        "audio" => Content::Audio { source, transcript: None, id: None },
        "video" => Content::Video { source },
        _ => Content::Document { source, title: None, cite: None },
    }
}

/// The media type that an address lets guess by its extension.
pub(crate) fn guess(url: &str) -> Option<&'static str> {
    if url.starts_with("https://www.youtube.com/") || url.starts_with("https://youtu.be/") {
        return Some("video/*");
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpg" | "mpeg" => "video/mpeg",
        _ => return None,
    })
}

/// Set before the sealed text of a thought whose text is withheld because it is encrypted.
const REDACTED: &str = "redacted:";

/// How a signature is written in `thoughtSignature`: our own as it came, another's sealed and in base64,
/// because the field is `bytes` and SDKs decode it.
pub(crate) fn seal(signature: &Signature, redacted: bool) -> String {
    if signature.owner == NAME {
        return signature.value.clone();
    }
    let mark = if redacted { REDACTED } else { "" };
    encode(format!("{mark}{}", signature.sealed(NAME)).as_bytes())
}

/// Reads what [`seal`] wrote, and whether it was marked as redacted.
pub(crate) fn unseal(text: &str) -> (Signature, bool) {
    let own = || (Signature { owner: NAME, value: text.to_owned() }, false);
    // The longest seals start alike, so most of a provider's own signatures need no decoding.
    let Some(head) = text.get(..8).and_then(decode) else { return own() };
    if !head.starts_with(b"tl.") && !REDACTED.as_bytes().starts_with(&head) {
        return own();
    }
    let Some(plain) = decode(text).and_then(|bytes| String::from_utf8(bytes).ok()) else { return own() };
    let (sealed, redacted) = match plain.strip_prefix(REDACTED) {
        Some(rest) => (rest, true),
        None => (plain.as_str(), false),
    };
    let signature = Signature::unseal(sealed, NAME);
    let known = signature.owner != NAME && find(signature.owner).is_some();
    if known { (signature, redacted) } else { own() }
}

/// Base64 in the standard alphabet, whichever it came in.
pub(crate) fn standard(data: std::borrow::Cow<'_, str>) -> String {
    if data.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        data.chars()
            .map(|letter| match letter {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect()
    } else {
        data.into_owned()
    }
}
