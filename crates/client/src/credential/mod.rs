//! Credentials: where their secrets come from, which of them a call carries, and how each scheme adds one to a request.
//!
//! A provider has a [`set`] of them. Each has a [`source`]: what it is made from, and the form of it that calls carry
//! now, a [`grant`]. Most grants are made once; one that comes from a file, a command or a token server lasts for a
//! while and is renewed in time ([`live`]). The signatures are one file each, behind [`sign::Sign`].

mod access_key;
mod bce;
mod canonical;
mod certificate;
mod chain;
mod command;
mod content_digest;
mod date;
pub(crate) mod digest;
pub(crate) mod encode;
mod flight;
mod grant;
mod health;
mod hmac_sha256;
mod hs256_jwt;
mod live;
mod lookup;
mod message_signature;
mod profile;
mod rs256;
mod scheme;
mod sdk_hmac;
mod service_account;
mod set;
pub mod sign;
mod sigv4;
mod source;
mod structured;
mod tc3;
mod token;
mod url_hmac;
mod when;

pub(crate) use date::Utc;
pub(crate) use grant::{Grant, SHORTEST, fingerprint, spellings};
pub(crate) use lookup::Stamp;
pub use lookup::resolve;
pub(crate) use set::{Credentials, Errand, Opened, Remedy, Turn, Verdict};
pub(crate) use source::with_region;
