//! What calls have in common.

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::row::CallRow;

/// What many calls have in common, so that the store has it once. What is not known is ``.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallKind<'r> {
    key_id: &'r str,
    operation: &'r str,
    dialect: &'r str,
    model: &'r str,
    task: &'r str,
    target: &'r str,
    spoken: &'r str,
    streamed: bool,
    status: u16,
    error: &'r str,
    blame: &'r str,
    currency: &'r str,
    price_date: &'r str,
    copy: bool,
}

/// Who was asked; of a model that it does not have, only the provider: `provider/`.
fn target(call: &CallRow) -> &str {
    let whole = call.target.as_deref().unwrap_or_default();
    match whole.find('/') {
        Some(end) if call.led_nowhere() => whole.get(..=end).unwrap_or_default(),
        _ => whole,
    }
}

const FIND: &str = "SELECT id FROM call_kinds WHERE key_id = ? AND operation = ? AND dialect = ? AND model = ? AND task = ? \
    AND target = ? AND spoken = ? AND streamed = ? AND status = ? AND error = ? AND blame = ? AND currency = ? \
    AND price_date = ? AND copy = ?";

const ADD: &str = "INSERT INTO call_kinds (key_id, operation, dialect, model, task, target, spoken, streamed, status, error, \
    blame, currency, price_date, copy) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

impl<'r> CallKind<'r> {
    pub(crate) fn of(call: &'r CallRow) -> Self {
        let spoken = call.exchanges.last().and_then(|exchange| exchange.dialect.as_deref());
        CallKind {
            key_id: call.key_id.as_deref().unwrap_or_default(),
            operation: &call.operation,
            dialect: call.dialect.as_deref().unwrap_or_default(),
            // Names that led nowhere are the caller's own, and without end: they count as one.
            model: if call.led_nowhere() { "" } else { &call.model },
            task: call.task.as_deref().unwrap_or_default(),
            target: target(call),
            spoken: spoken.unwrap_or_default(),
            streamed: call.streamed,
            status: call.status,
            error: call.error.as_deref().unwrap_or_default(),
            blame: call.blame.as_deref().unwrap_or_default(),
            currency: call.currency.as_deref().unwrap_or_default(),
            price_date: call.price_date.as_deref().unwrap_or_default(),
            copy: call.mirror_of.is_some(),
        }
    }

    /// The same, charged in another currency.
    pub(crate) fn charged_in(self, currency: &'r str) -> Self {
        CallKind { currency, ..self }
    }

    pub(crate) fn find(self) -> Query<'r, Sqlite, SqliteArguments> {
        self.bound(FIND)
    }

    pub(crate) fn add(self) -> Query<'r, Sqlite, SqliteArguments> {
        self.bound(ADD)
    }

    fn bound(self, sql: &'static str) -> Query<'r, Sqlite, SqliteArguments> {
        let texts = [self.key_id, self.operation, self.dialect, self.model, self.task, self.target, self.spoken];
        let query = texts.into_iter().fold(sqlx::query::<Sqlite>(sql), |query, text| query.bind(text));
        let query = query.bind(self.streamed).bind(i64::from(self.status));
        let texts = [self.error, self.blame, self.currency, self.price_date];
        texts.into_iter().fold(query, |query, text| query.bind(text)).bind(self.copy)
    }
}
