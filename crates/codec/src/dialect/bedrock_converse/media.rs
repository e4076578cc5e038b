//! Formats of media: a word on this wire, a media type everywhere else.

/// What media is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Video,
    Audio,
    Document,
}

/// Kind, word, media type. Of several media types of a word, or words of a media type, the first is used.
const FORMATS: &[(Kind, &str, &str)] = &[
    (Kind::Image, "png", "image/png"),
    (Kind::Image, "jpeg", "image/jpeg"),
    (Kind::Image, "jpeg", "image/jpg"),
    (Kind::Image, "gif", "image/gif"),
    (Kind::Image, "webp", "image/webp"),
    (Kind::Video, "mp4", "video/mp4"),
    (Kind::Video, "mov", "video/quicktime"),
    (Kind::Video, "mkv", "video/x-matroska"),
    (Kind::Video, "webm", "video/webm"),
    (Kind::Video, "flv", "video/x-flv"),
    (Kind::Video, "mpeg", "video/mpeg"),
    (Kind::Video, "mpg", "video/mpeg"),
    (Kind::Video, "wmv", "video/x-ms-wmv"),
    (Kind::Video, "three_gp", "video/3gpp"),
    (Kind::Audio, "mp3", "audio/mpeg"),
    (Kind::Audio, "mp3", "audio/mp3"),
    (Kind::Audio, "mpga", "audio/mpeg"),
    (Kind::Audio, "mpeg", "audio/mpeg"),
    (Kind::Audio, "wav", "audio/wav"),
    (Kind::Audio, "wav", "audio/x-wav"),
    (Kind::Audio, "opus", "audio/opus"),
    (Kind::Audio, "ogg", "audio/ogg"),
    (Kind::Audio, "flac", "audio/flac"),
    (Kind::Audio, "aac", "audio/aac"),
    (Kind::Audio, "x-aac", "audio/x-aac"),
    (Kind::Audio, "m4a", "audio/mp4"),
    (Kind::Audio, "m4a", "audio/x-m4a"),
    (Kind::Audio, "mp4", "audio/mp4"),
    (Kind::Audio, "webm", "audio/webm"),
    (Kind::Audio, "pcm", "audio/pcm"),
    (Kind::Audio, "mkv", "audio/x-matroska"),
    (Kind::Audio, "mka", "audio/x-matroska"),
    (Kind::Document, "pdf", "application/pdf"),
    (Kind::Document, "csv", "text/csv"),
    (Kind::Document, "doc", "application/msword"),
    (Kind::Document, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (Kind::Document, "xls", "application/vnd.ms-excel"),
    (Kind::Document, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (Kind::Document, "html", "text/html"),
    (Kind::Document, "md", "text/markdown"),
    (Kind::Document, "txt", "text/plain"),
    (Kind::Document, "txt", "application/json"),
    (Kind::Document, "txt", "application/xml"),
];

/// The media type of a word; a word that we do not know makes one of its own.
pub(super) fn media_type(kind: Kind, word: &str) -> String {
    let known = FORMATS.iter().find(|(of, known, _)| *of == kind && *known == word);
    known.map_or_else(
        || match kind {
            Kind::Image => format!("image/{word}"),
            Kind::Video => format!("video/{word}"),
            Kind::Audio => format!("audio/{word}"),
            Kind::Document => format!("application/{word}"),
        },
        |(.., media)| (*media).to_owned(),
    )
}

/// The word for a media type, if there is one.
pub(super) fn word(kind: Kind, media_type: &str) -> Option<&'static str> {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    let known = FORMATS.iter().find(|(of, _, media)| *of == kind && media.eq_ignore_ascii_case(plain));
    let text = kind == Kind::Document && plain.starts_with("text/");
    known.map(|(_, word, _)| *word).or(text.then_some("txt"))
}

/// The word for the place that an address ends in: `s3://bucket/film.mp4`.
pub(super) fn word_of_address(kind: Kind, url: &str) -> Option<&'static str> {
    let (_, extension) = url.rsplit('/').next()?.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let extension = match extension.as_str() {
        "jpg" => "jpeg",
        "htm" => "html",
        "3gp" => "three_gp",
        other => other,
    };
    FORMATS.iter().find(|(of, word, _)| *of == kind && *word == extension).map(|(_, word, _)| *word)
}
