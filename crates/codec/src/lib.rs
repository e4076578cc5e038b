//! Pure translation between the wire formats of generative-AI models.
//!
//! Nothing here does I/O, tells time, rolls dice or logs: bytes and values in, bytes and values out.
//! The hub is [`ir`], which is nobody's dialect; each folder of [`dialect`] reads and writes one wire
//! format; [`catalog`] describes the companies that speak them, as data.
//!
//! ```text
//! caller's bytes ─read_request─► Request ─write_request─► provider's bytes
//! caller's bytes ◄─write_stream─ Event  ◄─read_stream──── provider's frames
//! ```

pub mod catalog;
pub mod dialect;
pub mod error;
pub mod frame;
pub mod ir;
pub mod json;
pub mod loss;

pub use dialect::{Dialect, Downstream, Upstream};
pub use error::{Error, Kind, Origin, Phase, Result, Retry};
pub use loss::{Loss, Losses};
