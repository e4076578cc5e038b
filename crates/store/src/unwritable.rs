//! A store that cannot be written, for its disk is full or it is another's: it can be read all the same.

use std::path::Path;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection, SqliteLockingMode};
use sqlx::{ConnectOptions, Row};

/// SQLite's codes: the disk is full; there is no room for the memory that several share.
const FULL: u32 = 13;
const NO_ROOM: u32 = 10 | 19 << 8;
/// And what else keeps a file from being written.
const INPUT_OUTPUT: u32 = 10;
const READ_ONLY: u32 = 8;
const CANNOT_OPEN: u32 = 14;

fn code(error: &dyn DatabaseError) -> u32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Whether room is what is missing.
pub(crate) fn is_room(error: &dyn DatabaseError) -> bool {
    let code = code(error);
    code & 0xff == FULL || code == NO_ROOM
}

/// Whether it may be possible to read what could not be opened to be written.
pub(crate) fn is_sign(error: &MigrateError) -> bool {
    let MigrateError::Execute(sqlx::Error::Database(error)) = error else { return false };
    matches!(code(error.as_ref()) & 0xff, FULL | INPUT_OUTPUT | READ_ONLY | CANNOT_OPEN)
}

/// What has to come before it can be written again.
pub(crate) fn until(error: &MigrateError) -> &'static str {
    let code = match error {
        MigrateError::Execute(sqlx::Error::Database(error)) => code(error.as_ref()),
        _ => 0,
    };
    match code & 0xff {
        READ_ONLY => "nothing can be written where you may only read",
        CANNOT_OPEN => "nothing can be written until a file can be made beside it: that takes room, and the right to write there",
        _ => "nothing can be written until there is room",
    }
}

/// Opens a store that is in this version's shape, without a file being made beside it.
pub(crate) async fn open(path: &Path, migrations: &[(i64, &str, &str)]) -> Result<SqliteConnection, sqlx::Error> {
    // What several share on a disk is kept in memory, and so nobody else has it open meanwhile.
    let alone = options(path).locking_mode(SqliteLockingMode::Exclusive);
    match read(&alone, migrations).await {
        // Nobody writes to a store without a log beside it, and all that was written is in it.
        Err(_) if !has_log(path) => read(&options(path).immutable(true).read_only(true), migrations).await,
        read => read,
    }
}

/// Whether something was written that is not in the file itself yet.
pub(crate) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|data| data.len() > 0)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .pragma("query_only", "ON")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-1024")
        .command_buffer_size(8)
        .disable_statement_logging()
}

async fn read(options: &SqliteConnectOptions, migrations: &[(i64, &str, &str)]) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    let newest = sqlx::query::<Sqlite>("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&mut connection).await?;
    let newest: Option<i64> = newest.try_get(0)?;
    let is_ours = newest == migrations.last().map(|(version, ..)| *version);
    if is_ours { Ok(connection) } else { Err(sqlx::Error::Protocol("a store of another version".to_owned())) }
}
