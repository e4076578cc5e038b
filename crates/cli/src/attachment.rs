//! Files that go with a question: pictures, PDFs, texts.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trunkline::ir::{Content, Part, Source};

/// The largest file that is sent, in bytes: with base64 it is a third more, and providers take little above that.
const LARGEST: u64 = 32 * 1024 * 1024;

/// A file as a part of a message: a picture, a PDF as a document, a text as it is under its name.
///
/// # Errors
/// When it cannot be read, is too large, or is none of these.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Part> {
    let bytes = read(path)?;
    if let Some(media_type) = picture(&bytes) {
        return Ok(image(media_type, &bytes));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if bytes.starts_with(b"%PDF-") {
        let source = Source::Base64 { media_type: "application/pdf".to_owned(), data: STANDARD.encode(&bytes) };
        return Ok(Content::Document { source, title: Some(name), cite: None }.into());
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => {
            ensure!(!text.trim().is_empty(), "{} is empty", path.display());
            Ok(Part::text(as_text(&name, &text)))
        }
        _ => bail!("{} is neither a text nor a PNG, JPEG, GIF, WebP or PDF file", path.display()),
    }
}

/// A picture as a part of a message.
///
/// # Errors
/// When it cannot be read, is too large, or is no picture.
pub(crate) fn read_image(path: &Path) -> anyhow::Result<Part> {
    let bytes = read(path)?;
    let media_type = picture(&bytes);
    let media_type = media_type.with_context(|| format!("{} is not a PNG, JPEG, GIF or WebP picture", path.display()))?;
    Ok(image(media_type, &bytes))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    ensure!(file.metadata().with_context(cannot)?.is_file(), "{} is no file", path.display());
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(cannot)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|size| size <= LARGEST);
    ensure!(fits, "{} is larger than {} MiB", path.display(), LARGEST / 1024 / 1024);
    Ok(bytes)
}

/// The media type, by how the file begins.
fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xFF, 0xD8, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn image(media_type: &str, bytes: &[u8]) -> Part {
    let source = Source::Base64 { media_type: media_type.to_owned(), data: STANDARD.encode(bytes) };
    Content::Image { source, detail: None }.into()
}

/// Every provider takes text, and few take documents that are text: it goes as a block with the file's name above it.
fn as_text(name: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let marks = "`".repeat(longest.max(2) + 1);
    format!("{name}:\n\n{marks}\n{}\n{marks}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_is_in_them() {
        let folder = std::env::temp_dir().join(format!("trunkline-attachment-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let part = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            read_file(&path).map(|part| part.content)
        };
        assert!(matches!(part("a.txt", b"\x89PNG\r\n").unwrap(), Content::Image { .. }));
        assert!(matches!(part("b", b"%PDF-1.7").unwrap(), Content::Document { title: Some(name), .. } if name == "b"));
        let Content::Text { text, .. } = part("c.md", "``` 中\n```\n".as_bytes()).unwrap() else { panic!() };
        assert_eq!(text, "c.md:\n\n````\n``` 中\n```\n````");
        assert!(part("d", b"\xff\x00").unwrap_err().to_string().contains("neither"));
        assert!(part("e", b" \n").is_err() && read_file(&folder).is_err() && read_file(&folder.join("none")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
