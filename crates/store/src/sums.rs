//! Tables of sums: what is added to them, and how it is written.

use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::row::CallRow;
use crate::sketch::Sketch;
use crate::write::{at_once, int, places};

/// What is summed up, in the order of [`Figures`].
const FIGURES: [&str; 9] =
    ["calls", "input", "output", "cache_read", "reasoning", "estimated", "cost_micros", "timed", "elapsed_us"];

/// What one call adds.
pub(crate) type Figures = [u64; 9];

/// What calls of one line come to.
#[derive(Default)]
pub(crate) struct Sums {
    figures: Figures,
    /// How long those took that went well.
    times: Sketch,
}

impl Sums {
    /// Adds a call, or what it came to in another currency.
    pub(crate) fn add(&mut self, call: &CallRow, figures: Figures) {
        self.figures.iter_mut().zip(figures).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        let [counted, ..] = figures;
        if counted > 0 && call.error.is_none() && call.mirror_of.is_none() && call.elapsed_us > 0 {
            self.times.count(call.elapsed_us);
        }
    }
}

/// A column of a line's key.
pub(crate) enum Key {
    Int(i64),
    Text(String),
}

/// A table of sums.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns of its key.
    pub(crate) key: &'static [&'static str],
}

impl Table {
    /// Adds to lines, each of which is there once.
    pub(crate) async fn add(&self, connection: &mut SqliteConnection, lines: Vec<(Vec<Key>, Sums)>) -> Result<(), sqlx::Error> {
        let mut lines = lines;
        let mut rest = lines.as_mut_slice();
        while !rest.is_empty() {
            let count = at_once(rest.len());
            let (some, others) = std::mem::take(&mut rest).split_at_mut(count);
            self.join_times(connection, some).await?;
            self.write(connection, some).await?;
            rest = others;
        }
        Ok(())
    }

    /// Adds to the sketches what is stored of them: SQL cannot.
    async fn join_times(&self, connection: &mut SqliteConnection, lines: &mut [(Vec<Key>, Sums)]) -> Result<(), sqlx::Error> {
        let Table { name, key } = self;
        let same: Vec<String> = key.iter().map(|column| format!("t.{column} = w.{column}")).collect();
        let sql = format!(
            "WITH w (place, {}) AS (VALUES {}) SELECT w.place AS place, t.times AS times FROM w CROSS JOIN {name} AS t ON {}",
            key.join(", "),
            places(lines.len(), key.len() + 1),
            same.join(" AND ")
        );
        let mut query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), SqliteArguments::default());
        for (place, (key, _)) in (0_i64..).zip(lines.iter()) {
            query = query.bind(place);
            query = bind(query, key);
        }
        for row in connection.fetch_all(query).await? {
            let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or(usize::MAX);
            if let Some((_, sums)) = lines.get_mut(place) {
                sums.times.join(&Sketch::read(row.try_get("times")?));
            }
        }
        Ok(())
    }

    async fn write(&self, connection: &mut SqliteConnection, lines: &[(Vec<Key>, Sums)]) -> Result<(), sqlx::Error> {
        let Table { name, key } = self;
        let sums: Vec<String> = FIGURES.iter().map(|figure| format!("{figure} = {name}.{figure} + excluded.{figure}")).collect();
        let (key, sums, figures) = (key.join(", "), sums.join(", "), FIGURES.join(", "));
        let values = places(lines.len(), self.key.len() + FIGURES.len() + 1);
        let sql = format!(
            "INSERT INTO {name} ({key}, {figures}, times) VALUES {values} ON CONFLICT ({key}) DO UPDATE SET {sums}, times = excluded.times"
        );
        let mut query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), SqliteArguments::default());
        for (key, sums) in lines {
            query = bind(query, key);
            query = sums.figures.iter().fold(query, |query, figure| query.bind(int(*figure))).bind(sums.times.write());
        }
        connection.execute(query).await.map(drop)
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: Query<'q>, key: &[Key]) -> Query<'q> {
    key.iter().fold(query, |query, column| match column {
        Key::Int(number) => query.bind(*number),
        Key::Text(text) => query.bind(text.clone()),
    })
}
