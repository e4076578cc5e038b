//! Prompts: versions under a name, which are never edited; labels and shares, which point at them.

use std::collections::BTreeMap;

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, Executor, Row};
use trunkline_codec::{Error, Kind, Origin, Result};

use crate::store::Store;
use crate::write::int;

/// A prompt with all that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptRow {
    /// Its name.
    pub name: String,
    /// What stood under it, the oldest first. Never empty.
    pub versions: Vec<VersionRow>,
    /// Label → version.
    pub labels: BTreeMap<String, u32>,
    /// Version → its share of the calls, while several are tried out.
    pub shares: BTreeMap<u32, u32>,
}

/// One version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// Its number, from 1.
    pub version: u32,
    /// How the text is written: `toml`, `yaml`.
    pub form: String,
    /// The file as it was given.
    pub source: String,
    /// When it came: microseconds since 1970 in UTC.
    pub made_us: u64,
}

type Done<T> = std::result::Result<T, sqlx::Error>;

const NAME: &str =
    "INSERT INTO prompts (name, newest) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET newest = prompts.newest + 1";
const VERSION: &str = "INSERT INTO prompt_versions (name, version, form, source, made_us) VALUES ($1, $2, $3, $4, $5)";
const LABEL: &str = "INSERT INTO prompt_labels (name, label, version) VALUES ($1, $2, $3) \
    ON CONFLICT (name, label) DO UPDATE SET version = excluded.version";
const SHARE: &str = "INSERT INTO prompt_shares (name, version, share) VALUES ($1, $2, $3)";

impl Store {
    /// All prompts, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn prompts(&mut self) -> Result<Vec<PromptRow>> {
        let read = read(&mut self.connection).await;
        read.map_err(|error| self.wrong(&error))
    }

    /// Adds a version, and gives its number. What is the same as the newest one is that one: then the second value is false.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_prompt(&mut self, name: &str, form: &str, source: &str, now_us: u64) -> Result<(u32, bool)> {
        let added = add(&mut self.connection, (name, form, source), now_us).await;
        added.map_err(|error| self.wrong(&error))
    }

    /// Points a label at a version; at `None`: takes it away.
    ///
    /// # Errors
    /// `NotFound` when there is no such version; else when the store cannot be written.
    pub async fn label_prompt(&mut self, name: &str, label: &str, version: Option<u32>) -> Result<()> {
        let labelled = label_version(&mut self.connection, (name, label), version).await;
        labelled.map_err(|error| self.wrong(&error))?
    }

    /// Has versions share the calls, in place of how they did before; none: no more sharing.
    ///
    /// # Errors
    /// `NotFound` when there is no such version; else when the store cannot be written: then all stays as it was.
    pub async fn share_prompt(&mut self, name: &str, shares: &BTreeMap<u32, u32>) -> Result<()> {
        let shared = share(&mut self.connection, name, shares).await;
        shared.map_err(|error| self.wrong(&error))?
    }

    /// Deletes a prompt with all its versions. Their numbers are not given again. False when there is no such prompt.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is deleted.
    pub async fn delete_prompt(&mut self, name: &str) -> Result<bool> {
        let deleted = delete(&mut self.connection, name).await;
        deleted.map_err(|error| self.wrong(&error))
    }
}

/// That there are these versions, within the transaction that is to point at them.
async fn need_versions(connection: &mut SqliteConnection, name: &str, versions: impl Iterator<Item = u32>) -> Done<Result<()>> {
    let missing = |what: String| Error::new(Kind::NotFound, Origin::Caller, what);
    let query = sqlx::query::<Sqlite>("SELECT version FROM prompt_versions WHERE name = $1").bind(name);
    let known: Done<Vec<u32>> = connection.fetch_all(query).await?.iter().map(|row| row.try_get(0)).collect();
    let known = known?;
    if known.is_empty() {
        return Ok(Err(missing(format!("there is no prompt `{name}`"))));
    }
    let mut versions = versions;
    Ok(match versions.find(|version| !known.contains(version)) {
        Some(version) => Err(missing(format!("the prompt {name} has no version {version}"))),
        None => Ok(()),
    })
}

async fn label_version(connection: &mut SqliteConnection, (name, label): (&str, &str), version: Option<u32>) -> Done<Result<()>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let query = match version {
        Some(version) => {
            if let Err(missing) = need_versions(&mut transaction, name, std::iter::once(version)).await? {
                return Ok(Err(missing));
            }
            sqlx::query::<Sqlite>(LABEL).bind(name).bind(label).bind(version)
        }
        None => sqlx::query::<Sqlite>("DELETE FROM prompt_labels WHERE name = $1 AND label = $2").bind(name).bind(label),
    };
    transaction.execute(query).await?;
    transaction.commit().await.map(Ok)
}

async fn read(connection: &mut SqliteConnection) -> Done<Vec<PromptRow>> {
    let mut prompts: BTreeMap<String, PromptRow> = BTreeMap::new();
    let sql = "SELECT name, version, form, source, made_us FROM prompt_versions ORDER BY name, version";
    for row in connection.fetch_all(sql).await? {
        let name: String = row.try_get(0)?;
        let version = VersionRow {
            version: row.try_get(1)?,
            form: row.try_get(2)?,
            source: row.try_get(3)?,
            made_us: u64::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0),
        };
        let prompt = prompts.entry(name.clone()).or_insert_with(|| PromptRow { name, ..PromptRow::default() });
        prompt.versions.push(version);
    }
    for row in connection.fetch_all("SELECT name, label, version FROM prompt_labels").await? {
        if let Some(prompt) = prompts.get_mut(&row.try_get::<String, _>(0)?) {
            prompt.labels.insert(row.try_get(1)?, row.try_get(2)?);
        }
    }
    for row in connection.fetch_all("SELECT name, version, share FROM prompt_shares").await? {
        if let Some(prompt) = prompts.get_mut(&row.try_get::<String, _>(0)?) {
            prompt.shares.insert(row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(prompts.into_values().collect())
}

async fn add(connection: &mut SqliteConnection, (name, form, source): (&str, &str, &str), now_us: u64) -> Done<(u32, bool)> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let newest = "SELECT version, form, source FROM prompt_versions WHERE name = $1 ORDER BY version DESC LIMIT 1";
    if let Some(row) = transaction.fetch_optional(sqlx::query::<Sqlite>(newest).bind(name)).await?
        && (row.try_get::<String, _>(1)?.as_str(), row.try_get::<String, _>(2)?.as_str()) == (form, source)
    {
        return Ok((row.try_get(0)?, false));
    }
    transaction.execute(sqlx::query::<Sqlite>(NAME).bind(name)).await?;
    let row = transaction.fetch_one(sqlx::query::<Sqlite>("SELECT newest FROM prompts WHERE name = $1").bind(name)).await?;
    let version: u32 = row.try_get(0)?;
    let query = sqlx::query::<Sqlite>(VERSION).bind(name).bind(version).bind(form).bind(source).bind(int(now_us));
    transaction.execute(query).await?;
    transaction.commit().await?;
    Ok((version, true))
}

async fn share(connection: &mut SqliteConnection, name: &str, shares: &BTreeMap<u32, u32>) -> Done<Result<()>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let Err(missing) = need_versions(&mut transaction, name, shares.keys().copied()).await? {
        return Ok(Err(missing));
    }
    transaction.execute(sqlx::query::<Sqlite>("DELETE FROM prompt_shares WHERE name = $1").bind(name)).await?;
    for (version, share) in shares {
        transaction.execute(sqlx::query::<Sqlite>(SHARE).bind(name).bind(*version).bind(*share)).await?;
    }
    transaction.commit().await.map(Ok)
}

async fn delete(connection: &mut SqliteConnection, name: &str) -> Done<bool> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for sql in ["DELETE FROM prompt_labels WHERE name = $1", "DELETE FROM prompt_shares WHERE name = $1"] {
        transaction.execute(sqlx::query::<Sqlite>(sql).bind(name)).await?;
    }
    let gone = transaction.execute(sqlx::query::<Sqlite>("DELETE FROM prompt_versions WHERE name = $1").bind(name)).await?;
    transaction.commit().await?;
    Ok(gone.rows_affected() > 0)
}
