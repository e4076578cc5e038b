//! The list of models, written.

use serde::Serialize;

use crate::ir::Model;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Row<'a>>,
    first_id: Option<&'a str>,
    has_more: bool,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    line: Option<()>,
    max_input_tokens: Option<()>,
    max_tokens: Option<()>,
    deprecated_at: Option<()>,
    retires_at: Option<()>,
    capabilities: Option<()>,
}

/// Writes the list.
pub(super) fn write_models(models: &[Model]) -> Vec<u8> {
    let list = List {
        data: models.iter().map(row).collect(),
        first_id: models.first().map(|model| model.id.as_str()),
        has_more: false,
        last_id: models.last().map(|model| model.id.as_str()),
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// Writes one model.
pub(super) fn write_model(model: &Model) -> Vec<u8> {
    serde_json::to_vec(&row(model)).unwrap_or_default()
}

fn row(model: &Model) -> Row<'_> {
    Row {
        id: &model.id,
        kind: "model",
        display_name: &model.id,
        created_at: write_time(model.created),
        lifecycle: "active",
        line: None,
        max_input_tokens: None,
        max_tokens: None,
        deprecated_at: None,
        retires_at: None,
        capabilities: None,
    }
}

/// Unix seconds as RFC 3339 in UTC.
fn write_time(seconds: u64) -> String {
    // Beyond the year 9999 the format ends.
    let seconds = seconds.min(253_402_300_799);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The date of a day counted from 1970-01-01. Years are counted from March here, so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_the_calendar() {
        assert_eq!(write_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(write_time(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(write_time(1_795_305_600), "2026-11-22T00:00:00Z");
        assert_eq!(write_time(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn the_list_names_its_ends() {
        let model = |id: &str| Model { id: id.to_owned(), owner: String::new(), created: 0 };
        let list = String::from_utf8(write_models(&[model("a"), model("b")])).unwrap();
        assert!(list.contains(r#""first_id":"a","has_more":false,"last_id":"b""#), "{list}");
        assert!(list.contains(r#""id":"a","type":"model","display_name":"a","created_at":"1970-01-01T00:00:00Z""#), "{list}");
        assert!(String::from_utf8(write_models(&[])).unwrap().contains(r#""first_id":null"#));
    }
}
