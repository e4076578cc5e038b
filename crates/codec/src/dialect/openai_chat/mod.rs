//! `openai-chat`: `POST /chat/completions`, the dialect that most servers speak.

pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
pub(crate) mod wire;

/// The dialect's name.
pub(crate) const NAME: &str = "openai-chat";
