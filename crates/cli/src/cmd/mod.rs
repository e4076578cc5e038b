//! One file a command.

pub(crate) mod ask;
pub(crate) mod batch;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod embed;
pub(crate) mod health;
pub(crate) mod image;
mod input;
mod live;
pub(crate) mod logs;
pub(crate) mod models;
pub(crate) mod prices;
pub(crate) mod prompts;
pub(crate) mod providers;
pub(crate) mod rerank;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod sessions;
pub(crate) mod sim;
pub(crate) mod speak;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod transcribe;
