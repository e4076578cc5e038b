//! Sums by user and by tag: written with the calls, and deleted with them.

use std::collections::HashMap;

use sqlx::Executor;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::row::CallRow;
use crate::write::{Sums, int};

/// Tags of one call that are summed up by.
const TAGS_MOST: usize = 8;

/// What is summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Label<'r> {
    User,
    /// This name of a tag.
    Tag(&'r str),
}

impl Label<'_> {
    /// As it is stored.
    pub(crate) fn word(&self) -> String {
        match self {
            Label::User => "user".to_owned(),
            Label::Tag(name) => format!("tag:{name}"),
        }
    }
}

/// The tags of a call: names with values; a word alone is a name without one.
pub fn tags(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter(|tag| !tag.is_empty()).map(|tag| tag.split_once('=').unwrap_or((tag, "")))
}

/// Hour, label, name, error, currency, bucket.
type Spot<'r> = (i64, Label<'r>, &'r str, &'r str, &'r str, i64);

/// What is to be added.
#[derive(Default)]
pub(crate) struct Labels<'r>(HashMap<Spot<'r>, Sums>);

impl<'r> Labels<'r> {
    /// Adds a call that is summed up like this: hour, error, currency, bucket.
    pub(crate) fn take(&mut self, call: &'r CallRow, (hour, error, currency, bucket): (i64, &'r str, &'r str, i64), sum: Sums) {
        let user = call.user_id.as_deref().map(|user| (Label::User, user));
        let tagged = call.tags.iter().flat_map(|text| tags(text).take(TAGS_MOST));
        for (label, name) in user.into_iter().chain(tagged.map(|(name, value)| (Label::Tag(name), value))) {
            let sums = self.0.entry((hour, label, name, error, currency, bucket)).or_default();
            sums.iter_mut().zip(sum).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
    }

    pub(crate) async fn write(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO labels (hour, label, name, error, currency, bucket, calls, input, output, cache_read, reasoning, \
            estimated, cost_micros, elapsed_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
            ON CONFLICT (hour, label, name, error, currency, bucket) DO UPDATE SET \
            calls = labels.calls + excluded.calls, input = labels.input + excluded.input, \
            output = labels.output + excluded.output, cache_read = labels.cache_read + excluded.cache_read, \
            reasoning = labels.reasoning + excluded.reasoning, estimated = labels.estimated + excluded.estimated, \
            cost_micros = labels.cost_micros + excluded.cost_micros, elapsed_us = labels.elapsed_us + excluded.elapsed_us";
        for ((hour, label, name, error, currency, bucket), sums) in self.0 {
            let mut query = sqlx::query::<Sqlite>(sql);
            query = query.bind(hour).bind(label.word()).bind(name).bind(error).bind(currency).bind(bucket);
            for sum in sums {
                query = query.bind(int(sum));
            }
            connection.execute(query).await?;
        }
        Ok(())
    }
}
