//! Texts and pictures to pictures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::message::Extra;
use super::usage::Usage;

/// A picture that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Draw {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// What it shall show.
    pub prompt: String,
    /// Pictures to start from; none: from nothing.
    pub images: Vec<File>,
    /// Where the first of them may change: where this one is transparent.
    pub mask: Option<File>,
    /// How many.
    pub n: Option<u32>,
    /// `1024x1024`, `auto`, …
    pub size: Option<String>,
    /// `low`, `medium`, `high`, `standard`, `hd`, `auto`, …
    pub quality: Option<String>,
    /// `vivid`, `natural`.
    pub style: Option<String>,
    /// `transparent`, `opaque`, `auto`.
    pub background: Option<String>,
    /// `png`, `webp`, `jpeg`, …
    pub format: Option<String>,
    /// `url` or `b64_json`: how a picture comes; `None`: as the model likes.
    pub delivery: Option<String>,
    /// An opaque id of the end user.
    pub user: Option<String>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// A file that goes along with a request.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its name; providers tell its kind by the ending.
    pub name: String,
    /// Its media type; may be empty.
    pub media: String,
    /// What is in it.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({} {}, {} bytes)", self.name, self.media, self.bytes.len())
    }
}

/// Pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Images {
    /// Unix seconds, where the wire says.
    pub created: Option<u64>,
    /// The pictures.
    pub images: Vec<Image>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

impl Image {
    /// The picture itself, where it came with the answer.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let in_url = || self.url.as_deref()?.strip_prefix("data:")?.split_once(";base64,").map(|(_, data)| data);
        STANDARD.decode(self.base64.as_deref().or_else(in_url)?).ok()
    }
}

/// One picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Image {
    /// The picture as standard base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Or where it is, for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its media type, where the wire says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// The prompt as the model took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}
