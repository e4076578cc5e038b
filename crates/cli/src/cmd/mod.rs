//! One file a command.

pub(crate) mod ask;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod models;
pub(crate) mod prices;
pub(crate) mod providers;
pub(crate) mod serve;
