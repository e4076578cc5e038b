//! What must survive a restart: the ledger of all calls, and conversations, in a file of SQLite's.
//!
//! [`Store`] is the file with its one set of operations; its SQL is what SQLite and Postgres both understand, but for the
//! tables' definitions in `migrations/` and searches for texts. [`Ledger`] is how calls get into it: off the way of the
//! call, bounded, and while the store is slow, full or gone, by a file beside it.

mod backup;
mod export;
mod find;
mod forget;
mod id;
mod kind;
mod label;
mod ledger;
mod logs;
mod prompt;
mod reprice;
mod row;
mod session;
mod sketch;
mod stats;
mod store;
mod sums;
mod texts;
mod trim;
mod unwritable;
mod write;

pub use backup::Size;
pub use export::{COLUMNS, csv_line};
pub use id::{Id, Ids};
pub use label::tags;
pub use ledger::{Ledger, Options, State, Status, Tell};
pub use logs::Wanted;
pub use prompt::{PromptRow, VersionRow};
pub use reprice::{Kinds, Repriced};
pub use row::{BATCH, CallRow, ExchangeRow, TextsRow, Word};
pub use session::{Listed, Placed, SessionRow, Sought, Summary, TurnRow};
pub use sketch::Sketch;
pub use stats::{By, Group, Moment, Stats, Totals, date};
pub use store::{FileId, Opening, Store, private};
pub use trim::{Retention, Trimmed};

use trunkline_codec::{Error, Kind, Origin};

/// An error of the store's: nobody's but ours.
fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::Internal, Origin::Gateway, what)
}
