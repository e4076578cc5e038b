//! Streamed answers: `data: {chunk}` frames, ended by `data: [DONE]`.

mod observe;
mod quick;
mod read;
mod write;

pub(crate) use observe::{Watch, observe_response};
pub(crate) use quick::unpadded;
pub(crate) use read::Reader;
pub(crate) use write::Writer;
