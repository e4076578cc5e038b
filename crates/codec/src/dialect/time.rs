//! Times as [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) writes them, and dates as HTTP does
//! ([RFC 9110, 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)), to the second.

const DAY: u64 = 86_400;
/// Beyond the year 9999 the format ends.
const LAST: u64 = 253_402_300_799;

/// Unix seconds as RFC 3339 in UTC.
pub(crate) fn write_time(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Unix seconds of a time in RFC 3339, fractions cut off; `None` for anything else and for times before 1970.
pub(crate) fn read_time(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let marks = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if marks.iter().any(|(at, mark)| text.get(*at..at + 1) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = |zone: &str| {
        let (hours, minutes) = zone.split_once(':')?;
        let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
        hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)
    };
    match zone.split_at_checked(1)? {
        ("Z" | "z", "") => Some(local),
        ("+", ahead) => local.checked_sub(offset(ahead)?),
        ("-", behind) => local.checked_add(offset(behind)?),
        _ => None,
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Unix seconds of a date in any of HTTP's three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`. Years of two digits lie between 1970 and 2069. The weekday is not compared with the date.
/// `None` for anything else, for other zones and for times before 1970.
pub(crate) fn read_http_date(text: &str) -> Option<u64> {
    let (mut numbers, mut month, mut clock) = (Vec::with_capacity(2), None, None);
    for word in text.split([' ', ',', '-']).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        if word.contains(':') {
            clock = Some(read_clock(word)?);
        } else if word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            numbers.push(word.parse::<u64>().ok()?);
        } else if let Some(at) = MONTHS.iter().position(|name| *name == lower) {
            month = Some(at as u64 + 1);
        } else if !matches!(lower.as_str(), "gmt" | "utc" | "+0000") && !WEEKDAYS.iter().any(|day| lower.starts_with(day)) {
            return None;
        }
    }
    let &[day, year] = numbers.as_slice() else { return None };
    let year = match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => year,
    };
    if year < 1970 || !(1..=31).contains(&day) {
        return None;
    }
    Some(days(year, month?, day) * DAY + clock?)
}

/// `08:49:37`, as seconds of a day; a leap second is allowed.
fn read_clock(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let mut part = |most: u64| {
        let digits = parts.next().filter(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok().filter(|number| *number <= most)
    };
    let seconds = part(23)? * 3600 + part(59)? * 60 + part(60)?;
    parts.next().is_none().then_some(seconds)
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

/// The day that a date is, counted from 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day - 1;
    (era * 146_097 + year * 365 + year / 4 - year / 100 + day).saturating_sub(719_468)
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
    fn times_are_read_as_they_are_written() {
        for seconds in [0, 951_827_696, 1_795_305_600, LAST] {
            assert_eq!(read_time(&write_time(seconds)), Some(seconds));
        }
        assert_eq!(read_time("2025-10-03T23:34:03.409490317-07:00"), Some(1_759_559_643));
        assert_eq!(read_time("2025-10-04T06:34:03+00:00"), Some(1_759_559_643));
        for wrong in [
            "",
            "now",
            "2025-10-03",
            "2025-10-03T23:34:03",
            "2025-13-03T23:34:03Z",
            "1969-12-31T23:59:59Z",
            "2025-10-03T2é:34:03Z",
            "2025-10-03T23:34:03+18446744073709551615:00",
            "2025-10-03T23:34:03-1:18446744073709551615",
        ] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_somebody_writes_is_too_much(
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,9})?(Z|[+-][0-9]{0,20}:[0-9]{0,20})|\\PC{0,40}",
            date in "([A-Za-z]{3},? )?[0-9]{1,4}[ -](jan|feb|dec)[ -][0-9]{1,5} [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2} ?(GMT)?|\\PC{0,40}",
        ) {
            let _ = (read_time(&text), read_http_date(&date), read_http_date(&text), read_time(&date));
        }
    }

    #[test]
    fn dates_are_read_in_all_forms_of_http() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 6 nov 1994 08:49:37 +0000",
            "06 Nov 1994 08:49:37 UTC",
        ] {
            assert_eq!(read_http_date(date), Some(784_111_777), "{date}");
        }
        assert_eq!(read_http_date("Monday, 23-Nov-26 05:00:00 GMT"), Some(1_795_410_000));
        for wrong in [
            "",
            "7",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 46 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 1 08:49:37 GMT",
            "Thu, 31 Dec 1969 23:59:59 GMT",
        ] {
            assert_eq!(read_http_date(wrong), None, "{wrong}");
        }
    }
}
