//! Sums by user and by tag: written with the calls, and deleted with them.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;

use crate::row::CallRow;
use crate::sums::{Figures, Key, Sums, Table};

/// Tags of one call that are summed up by.
pub(crate) const TAGS_MOST: usize = 8;

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

const TABLE: Table = Table { name: "label_sums", key: &["hour", "label", "name", "error", "currency"] };

/// Hour, label, name, error, currency.
type Place<'r> = (i64, Label<'r>, &'r str, &'r str, &'r str);

/// What is to be added.
#[derive(Default)]
pub(crate) struct Labels<'r>(HashMap<Place<'r>, Sums>);

impl<'r> Labels<'r> {
    /// Adds a call that is summed up like this: error, currency.
    pub(crate) fn take(&mut self, call: &'r CallRow, (error, currency): (&'r str, &'r str), figures: Figures) {
        let user = call.user_id.as_deref().map(|user| (Label::User, user));
        let tagged = call.tags.iter().flat_map(|text| tags(text).take(TAGS_MOST));
        for (label, name) in user.into_iter().chain(tagged.map(|(name, value)| (Label::Tag(name), value))) {
            self.0.entry((call.id.hour(), label, name, error, currency)).or_default().add(call, figures);
        }
    }

    pub(crate) async fn write(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let text = |text: &str| Key::Text(text.to_owned());
        let lines = self.0.into_iter().map(|((hour, label, name, error, currency), sums)| {
            (vec![Key::Int(hour), Key::Text(label.word()), text(name), text(error), text(currency)], sums)
        });
        TABLE.add(connection, lines.collect()).await
    }
}
