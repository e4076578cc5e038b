//! Durations in texts: `6m0s`, `20ms`, `1 minute and 30 seconds`, `2 分 30 秒`.

/// A duration at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Duration<'a> {
    pub(super) seconds: f64,
    /// Whether a unit stood there; a bare number counts seconds.
    pub(super) has_unit: bool,
    /// What follows.
    pub(super) rest: &'a str,
}

const NAMED: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("msec", 1e-3),
    ("msecs", 1e-3),
    ("millisecond", 1e-3),
    ("milliseconds", 1e-3),
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("mins", 60.0),
    ("minute", 60.0),
    ("minutes", 60.0),
    ("h", 3600.0),
    ("hr", 3600.0),
    ("hrs", 3600.0),
    ("hour", 3600.0),
    ("hours", 3600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
    ("days", 86_400.0),
];

/// Units that no space sets apart from the next word; the longer before what they begin with.
const WRITTEN: &[(&str, f64)] = &[
    ("毫秒", 1e-3),
    ("秒钟", 1.0),
    ("秒鐘", 1.0),
    ("秒", 1.0),
    ("分钟", 60.0),
    ("分鐘", 60.0),
    ("分", 60.0),
    ("个小时", 3600.0),
    ("小时", 3600.0),
    ("小時", 3600.0),
    ("天", 86_400.0),
];

/// The duration that `text` is, and nothing else.
pub(super) fn read_whole(text: &str) -> Option<f64> {
    read(text).filter(|found| found.rest.trim().is_empty()).map(|found| found.seconds)
}

/// The duration that `text` begins with, all of its parts. A bare number must be followed by something that ends it.
pub(super) fn read(text: &str) -> Option<Duration<'_>> {
    let (number, after) = read_number(text.trim_start())?;
    let Some((unit, rest)) = read_unit(after) else {
        let ended = after.chars().next().is_none_or(|next| next.is_whitespace() || ".;)\"'!\\<]}".contains(next));
        let ends = ended && !after.trim_start().starts_with(char::is_alphabetic);
        return ends.then_some(Duration { seconds: number, has_unit: false, rest: after });
    };
    let mut found = Duration { seconds: number * unit, has_unit: true, rest };
    // Bounded: no duration has more parts than there are units.
    for _ in 0..8 {
        let next = found.rest.trim_start();
        let next = ["and ", "和", "零"].iter().find_map(|word| next.strip_prefix(word)).unwrap_or(next);
        let Some((number, after)) = read_number(next.trim_start()) else { break };
        let Some((unit, rest)) = read_unit(after) else { break };
        found = Duration { seconds: found.seconds + number * unit, has_unit: true, rest };
    }
    Some(found)
}

/// Digits, with at most one point between them.
fn read_number(text: &str) -> Option<(f64, &str)> {
    let mut point = false;
    let mut end = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => end = at + 1,
            b'.' if !point && at > 0 => point = true,
            _ => break,
        }
    }
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

fn read_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches([' ', '\u{a0}']);
    if let Some(found) = WRITTEN.iter().find_map(|(name, seconds)| Some((*seconds, text.strip_prefix(name)?))) {
        return Some(found);
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic() && !matches!(letter, 'µ' | 'μ')).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let seconds = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?.1;
    Some((seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_all_their_parts() {
        let cases = [
            ("1s", 1.0),
            ("6m0s", 360.0),
            ("20ms", 0.02),
            ("2m59.56s", 179.56),
            ("1h2m3s", 3723.0),
            ("150µs", 0.00015),
            ("1 minute and 30 seconds", 90.0),
            ("2 days", 172_800.0),
            ("3 Hours", 10_800.0),
            ("20 秒", 20.0),
            ("1 分 30 秒钟", 90.0),
            ("2 个小时", 7200.0),
        ];
        for (text, seconds) in cases {
            assert!(read_whole(text).is_some_and(|found| (found - seconds).abs() < 1e-9), "{text}: {:?}", read_whole(text));
        }
        for wrong in ["", "s", "1 2", "1,000 seconds", "5 requests", "1:30", ".", "١ s"] {
            assert_eq!(read_whole(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_follows_a_duration_is_left() {
        assert_eq!(read("5.3s. Visit us").map(|found| (found.seconds, found.rest)), Some((5.3, ". Visit us")));
        assert_eq!(read("12 and more"), None);
        assert_eq!(read("12. And more").map(|found| (found.has_unit, found.rest)), Some((false, ". And more")));
        assert_eq!(read("30秒后重试").map(|found| found.rest), Some("后重试"));
    }
}
