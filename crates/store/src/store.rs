//! The file: opening it, its shape, closing it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{Sqlite, SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};
use trunkline_codec::{Error, Result};

use crate::id::Ids;
use crate::{unwritable, wrong};

/// Every change of the tables, in order. What stands here is never edited; what comes is added.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("../migrations/0001_ledger.sql")),
    (2, "sessions", include_str!("../migrations/0002_sessions.sql")),
    (3, "texts", include_str!("../migrations/0003_texts.sql")),
    (4, "prompts", include_str!("../migrations/0004_prompts.sql")),
    (5, "labels", include_str!("../migrations/0005_labels.sql")),
    (6, "sums", include_str!("../migrations/0006_sums.sql")),
    (7, "forgotten", include_str!("../migrations/0007_forgotten.sql")),
    (8, "owners", include_str!("../migrations/0008_owners.sql")),
];

/// How long a statement waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(2);
/// Two processes may be the first to open a store at the same time.
const TRIES: u32 = 10;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The file.
    pub path: PathBuf,
    /// Whether to make it if it is not there.
    pub create: bool,
    /// The most pages that the file may have: SQLite's own limit, and a test's full disk.
    pub max_pages: Option<u32>,
}

impl Opening {
    /// This file, which is made if it is not there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Opening { path: path.into(), create: true, max_pages: None }
    }

    /// This file, which has to be there.
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        Opening { create: false, ..Opening::at(path) }
    }
}

/// An open store: one connection.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: SqliteConnection,
    path: PathBuf,
    /// Which file it is, as the system counts them.
    file: Option<FileId>,
    /// Why it is only read, if it is, and what writing waits for.
    unwritable: Option<(String, &'static str)>,
}

impl Store {
    /// Opens a store and brings its tables to this version's shape.
    ///
    /// # Errors
    /// When the file cannot be made or read, is no store, or was made by a later version.
    pub async fn open(opening: &Opening) -> Result<Self> {
        let path = &opening.path;
        if opening.create {
            make_private(path).map_err(|error| wrong(format!("cannot make the store {}: {error}", path.display())))?;
        } else if !path.exists() {
            return Err(wrong(format!("there is no store {}", path.display())));
        }
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            // What is deleted is gone, and not only out of sight.
            .pragma("secure_delete", "ON")
            // A megabyte; the default is two.
            .pragma("cache_size", "-1024")
            .pragma("journal_size_limit", "4194304")
            .command_buffer_size(8)
            .disable_statement_logging();
        // It is a write, which would wait for whoever writes, and only the first one counts.
        if std::fs::metadata(path).map_or(true, |data| data.len() == 0) {
            options = options.auto_vacuum(SqliteAutoVacuum::Incremental);
        }
        if let Some(pages) = opening.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        let mut tries = 0;
        let connection = loop {
            match prepare(&options, MIGRATIONS).await {
                Ok(connection) => break connection,
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // What is kept can be read on a full disk, too, and where one may not write.
                Err(error) if !opening.create && unwritable::is_sign(&error) => {
                    let why = explain(path, &error).message;
                    let Ok(connection) = unwritable::open(path, MIGRATIONS).await else {
                        let log = if unwritable::has_log(path) { "; copy it, and its -wal, to where you may write" } else { "" };
                        return Err(wrong(format!("{why}{log}")));
                    };
                    return Ok(Store { unwritable: Some((why, unwritable::until(&error))), ..Store::of(connection, path) });
                }
                Err(error) => return Err(explain(path, &error)),
            }
        };
        Ok(Store::of(connection, path))
    }

    fn of(connection: SqliteConnection, path: &Path) -> Self {
        Store { connection, path: path.to_owned(), file: FileId::of(path), unwritable: None }
    }

    /// Why it is only read, if it is: it could not be opened otherwise, as on a full disk or in another's folder.
    pub fn unwritable(&self) -> Option<&str> {
        self.unwritable.as_ref().map(|(why, _)| why.as_str())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is still where it was opened. One that was moved away would take rows that nobody finds again.
    pub fn is_there(&self) -> bool {
        FileId::of(&self.path).is_some_and(|now| self.file.as_ref() == Some(&now))
    }

    /// Closes it, and writes its log into the file if nobody else has it open.
    pub async fn close(self) {
        let _ = self.connection.close().await;
    }

    pub(crate) fn wrong(&self, error: &sqlx::Error) -> Error {
        if let Some((why, until)) = &self.unwritable {
            return wrong(format!("{why}; {until}"));
        }
        explain_sql(&self.path, error)
    }
}

async fn prepare(
    options: &SqliteConnectOptions,
    migrations: &[(i64, &'static str, &'static str)],
) -> std::result::Result<SqliteConnection, sqlx::migrate::MigrateError> {
    let mut connection = options.connect().await?;
    let migrations = migrations
        .iter()
        .map(|(version, name, sql)| Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false));
    let migrator = Migrator::with_migrations(migrations.collect());
    if is_current(&mut connection, &migrator).await {
        // Nobody who only opens it waits for whoever writes.
        migrator.run(&mut connection).await?;
    } else {
        // All of them, or none, and nobody else meanwhile: each looks only once which are there.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        migrator.run(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(connection)
}

/// Whether it has had as many changes as there are.
async fn is_current(connection: &mut SqliteConnection, migrator: &Migrator) -> bool {
    let count = sqlx::query_scalar::<Sqlite, i64>("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(connection).await;
    count.is_ok_and(|count| usize::try_from(count).is_ok_and(|count| count >= migrator.iter().count()))
}

fn may_pass(error: &sqlx::migrate::MigrateError) -> bool {
    let text = error.to_string();
    ["locked", "already exists", "UNIQUE"].iter().any(|sign| text.contains(sign))
}

fn explain(path: &Path, error: &sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError as Wrong;
    let path = path.display();
    match error {
        Wrong::Execute(error) => explain_sql(Path::new(&path.to_string()), error),
        Wrong::VersionMissing(_) => wrong(format!("the store {path} was made by a later version of trunkline")),
        Wrong::VersionMismatch(_) => wrong(format!("the store {path} has tables of another program's")),
        other => wrong(format!("the store {path}: {other}")),
    }
}

pub(crate) fn explain_sql(path: &Path, error: &sqlx::Error) -> Error {
    let what = match error {
        sqlx::Error::Database(error) if unwritable::is_room(error.as_ref()) => "the disk is full".to_owned(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    wrong(format!("the store {}: {what}", path.display()))
}

/// Makes the file and its folder for the user alone, unless they are there.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    if path.exists() {
        return Ok(());
    }
    // Whoever closes a file loses all locks of its process on it, so that nobody but SQLite may ever open a store that might be
    // in use. This one gets its name when it is closed again.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", Ids::new().next(SystemTime::now())));
    let beside = path.with_file_name(name);
    private().write(true).create_new(true).open(&beside)?;
    let linked = std::fs::hard_link(&beside, path);
    let _ = std::fs::remove_file(&beside);
    if linked.is_err() && !path.exists() {
        // A file system without second names, or a link to what is not there yet.
        private().append(true).create(true).open(path)?;
    }
    Ok(())
}

/// Options for files that only the user may read.
pub fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Which file stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// Of the file at this place, if there is one.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|data| FileId::read(&data))
    }

    /// Of an open file.
    #[cfg(unix)]
    pub fn read(data: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        FileId(data.dev(), data.ino())
    }

    /// There is no such number: a file that is open cannot be moved away either.
    #[cfg(not(unix))]
    pub fn read(_: &std::fs::Metadata) -> Self {
        FileId(0, 0)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Executor;

    use super::*;
    use crate::{By, Sketch};

    /// What was summed up by version 5, before sketches.
    const FIFTH: &str = "\
        INSERT INTO call_kinds VALUES (1, '', 'chat', '', 'm', '', 'p/m', '', 0, 200, '', '', 'USD', '', 0);
        INSERT INTO call_kinds VALUES (2, '', 'chat', '', 'm', '', 'p/m', '', 0, 503, 'overloaded', '', '', '', 0);
        INSERT INTO hour_rows VALUES (490000, 1, 80, 3, 30, 6, 0, 0, 0, 900, 2100), (490000, 1, 96, 1, 10, 2, 0, 0, 0, 300, 1100);
        INSERT INTO hour_rows VALUES (490000, 2, 0, 2, 0, 0, 0, 0, 0, 0, 50);
        INSERT INTO labels VALUES (490000, 'user', 'anna', '', 'USD', 80, 3, 30, 6, 0, 0, 0, 900, 2100);
        INSERT INTO labels VALUES (490000, 'user', 'anna', '', 'USD', 96, 1, 10, 2, 0, 0, 0, 300, 1100);";

    #[tokio::test]
    async fn sessions_of_programs_are_told_from_callers() {
        let path = std::env::temp_dir().join(format!("trunkline-store-owners-{}.db", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let before = MIGRATIONS.iter().position(|(version, ..)| *version == 8).unwrap();
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut old = prepare(&options, &MIGRATIONS[..before]).await.unwrap();
        let sessions = "INSERT INTO sessions (id, title, created_us, updated_us, model, kept) VALUES \
            ('terminal', '', 1, 1, 'm', 'all'), ('caller', '', 1, 1, NULL, NULL)";
        old.execute(sessions).await.unwrap();
        old.close().await.unwrap();
        let mut store = Store::open(&Opening::existing(&path)).await.unwrap();
        for (id, local) in [("terminal", true), ("caller", false)] {
            assert_eq!(store.session(id).await.unwrap().unwrap().local, local, "{id}");
        }
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }

    /// As after an upgrade: a gateway alone opens it three times.
    #[test]
    fn a_store_of_every_earlier_version_may_be_opened_by_many_at_once() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = std::env::temp_dir().join(format!("trunkline-store-upgrade-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for version in 0..MIGRATIONS.len() {
            let path = folder.join(format!("{version}.db"));
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
            runtime().block_on(async { prepare(&options, &MIGRATIONS[..version]).await.unwrap().close().await.unwrap() });
            let together = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        together.wait();
                        let opened = runtime().block_on(Store::open(&Opening::existing(&path)));
                        assert!(opened.is_ok(), "version {version}: {:?}", opened.err());
                    });
                }
            });
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_store_of_every_earlier_version_keeps_its_sums() {
        let folder = std::env::temp_dir().join(format!("trunkline-store-versions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for version in 1..MIGRATIONS.len() {
            let path = folder.join(format!("{version}.db"));
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
            let mut old = prepare(&options, &MIGRATIONS[..version]).await.unwrap();
            if version == 5 {
                old.execute(FIFTH).await.unwrap();
            }
            old.close().await.unwrap();
            let mut store = Store::open(&Opening::existing(&path)).await.unwrap();
            let since = std::time::UNIX_EPOCH + Duration::from_secs(490_000 * 3600);
            let of_all = store.stats(By::Model, since).await.unwrap().all;
            let of_users = store.stats(By::User, since).await.unwrap().groups;
            if version == 5 {
                let user = of_users.iter().find(|group| group.name == "anna").map(|group| group.totals.clone()).unwrap();
                assert_eq!((of_all.calls, of_all.errors, user.calls, user.errors), (6, 2, 4, 0));
                let mut times = Sketch::default();
                [256, 256, 256, 512].into_iter().for_each(|micros| times.count(micros));
                for sums in [of_all, user] {
                    assert_eq!((sums.input, sums.output, sums.costs.get("USD")), (40, 8, Some(&1200)));
                    assert_eq!(sums.latency, times);
                }
            } else {
                assert_eq!((of_all.calls, of_users.len()), (0, 0));
            }
            store.close().await;
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
