//! Moments as other machines write them, and what a difference between clocks means.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Clocks that differ by less are not to blame for anything.
const TOLERANCE: Duration = Duration::from_secs(60);

/// `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110 §5.6.7, the form that is still written).
pub(super) fn read_http(text: &str) -> Option<SystemTime> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = words.next()?.parse().ok()?;
    let time = words.next()?;
    (words.next() == Some("GMT")).then_some(())?;
    from_unix(days(year, month, day)? * 86_400 + seconds(time)?)
}

/// `2026-01-02T03:04:05Z`, with a fraction that is dropped, and with an offset instead of `Z` (RFC 3339).
pub(super) fn read_iso(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.trim().split_once(['T', 't', ' '])?;
    let mut numbers = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let (time, rest) = rest.split_at_checked(8)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let local = i64::try_from(days(year, month, day)? * 86_400 + seconds(time)?).ok()?;
    let offset = match zone.split_at_checked(1) {
        None => 0,
        Some(("Z" | "z", "")) => 0,
        Some((sign @ ("+" | "-"), clock)) => {
            let (hours, minutes) = clock.split_once(':').or_else(|| clock.split_at_checked(2))?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "+" { seconds } else { -seconds }
        }
        Some(_) => return None,
    };
    from_unix(u64::try_from(local - offset).ok()?)
}

fn from_unix(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn seconds(time: &str) -> Option<u64> {
    let mut numbers = time.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    (numbers.next().is_none() && hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Days since 1970. Years begin in March here, so that the leap day is a year's last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

/// By how much this machine's clock differs from that of whoever sent these headers, in a sentence; nothing when that
/// cannot be the trouble.
pub(super) fn drift(headers: &HeaderMap, now: SystemTime) -> Option<String> {
    let theirs = read_http(headers.get(header::DATE)?.to_str().ok()?)?;
    let (difference, word) = match now.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let sentence = || format!("this machine's clock is {} s {word} the server's, so set it right", difference.as_secs());
    (difference > TOLERANCE).then(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(time: Option<SystemTime>) -> Option<u64> {
        Some(time?.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn moments_are_read() {
        assert_eq!(unix(read_http("Fri, 02 Jan 2026 03:04:05 GMT")), Some(1_767_323_045));
        assert_eq!(unix(read_http("Tue, 29 Feb 2000 00:00:00 GMT")), Some(951_782_400));
        assert_eq!(unix(read_iso("2026-01-02T03:04:05Z")), Some(1_767_323_045));
        assert_eq!(unix(read_iso("2026-01-02T03:04:05.123456Z")), Some(1_767_323_045));
        assert_eq!(unix(read_iso("2026-01-02T11:04:05+08:00")), Some(1_767_323_045));
        assert_eq!(unix(read_iso("2026-01-01T22:04:05-0500")), Some(1_767_323_045));
        for wrong in ["", "now", "Fri, 02 Jan 2026", "Fri, 02 Foo 2026 03:04:05 GMT", "Fri, 99 Jan 2026 03:04:05 GMT"] {
            assert_eq!(read_http(wrong), None, "{wrong}");
        }
        for wrong in
            ["", "2026", "2026-01-02", "2026-01-02T03:04", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05x", "1066-01-02T03:04:05Z"]
        {
            assert_eq!(read_iso(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_clock_is_told_with_the_difference() {
        let headers = HeaderMap::from_iter([(header::DATE, "Fri, 02 Jan 2026 03:04:05 GMT".parse().unwrap())]);
        let at = |seconds: u64| drift(&headers, UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_767_323_045 + 60), None);
        assert_eq!(at(1_767_323_045 - 60), None);
        assert!(at(1_767_323_045 + 3600).unwrap().contains("3600 s ahead of the server's"));
        assert!(at(1_767_323_045 - 61).unwrap().contains("61 s behind the server's"));
        assert_eq!(drift(&HeaderMap::new(), UNIX_EPOCH), None);
    }
}
