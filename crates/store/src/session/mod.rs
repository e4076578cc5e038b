//! Conversations: a tree of turns, and sessions that are names for places in it.
//!
//! A turn is what was asked and what was answered, and is never edited. A session points at its last turn: going back is
//! pointing at the one before, a branch is a second session that points at the same one.

mod append;
mod read;
mod remove;
mod row;

pub use append::Placed;
pub use read::{Listed, Sought};
pub use row::{SessionRow, Summary, TurnRow};

pub(crate) use remove::{delete_leaves, delete_sessions, delete_users, oldest_leaf, oldest_session};
