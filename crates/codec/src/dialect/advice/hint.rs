//! Waits in sentences: "Please try again in 5.3s", "Please retry after 12 seconds", "请在 20 秒后重试".

use std::time::Duration;

use super::duration;
use super::wait::{Unit, count, is_time, read_wait, settle};

/// How much of a body is searched.
const SEARCHED: usize = 16 * 1024;

/// Words that stand before a wait, the surer ones first. Compared in small letters.
const LEADS: &[&str] = &[
    "again in",
    "again after",
    "again at",
    "retry in",
    "retry after",
    "retry_after",
    "retry your request after",
    "retry your request in",
    "retry the request after",
    "retrying in",
    "available in",
    "resets in",
    "reset in",
    "resets after",
    "reset after",
    "resets at",
    "reset at",
    "wait for",
    "wait",
];

/// Words between those and the wait.
const FILLERS: &[&str] = &["about", "approximately", "around", "at least", "another", "a further", "~", ":", "="];

/// Words after a wait in Chinese.
const AFTER: &[&str] = &["后", "之后", "以后", "後", "之後", "以後"];
/// What is to be done then, or will have happened.
const DEEDS: &[&str] = &["重试", "重試", "再试", "再試", "再次", "尝试", "嘗試", "重置", "恢复", "刷新", "请求", "调用"];
/// Words before a wait in Chinese after which nothing need follow.
const PAUSES: &[&str] = &["等待", "稍等"];

/// The wait that a text names, if it does.
pub(super) fn read(text: &str, now: Option<u64>) -> Option<Duration> {
    // The same number of bytes, so that places in one are places in the other.
    let text = text.to_ascii_lowercase();
    LEADS.iter().find_map(|lead| after_lead(&text, lead, now)).or_else(|| in_chinese(&text))
}

/// The wait that the beginning of a body names, whatever its format.
pub(super) fn read_body(body: &[u8], now: Option<u64>) -> Option<Duration> {
    read(&String::from_utf8_lossy(body.get(..SEARCHED).unwrap_or(body)), now)
}

fn after_lead(text: &str, lead: &str, now: Option<u64>) -> Option<Duration> {
    text.match_indices(lead).find_map(|(at, _)| {
        let mut rest = text.get(at + lead.len()..)?.trim_start();
        while let Some(next) = FILLERS.iter().find_map(|word| rest.strip_prefix(word)) {
            rest = next.trim_start();
        }
        match duration::read(rest) {
            // Words that promise a point in time are not followed by a span of it.
            Some(found) if lead.ends_with(" at") && (found.has_unit || !is_time(found.seconds)) => None,
            Some(found) if found.has_unit => settle(found.seconds),
            Some(found) => count(found.seconds, Unit::Seconds, now),
            None => at_time(rest, now),
        }
    })
}

/// The time that a text begins with: `2026-11-23T05:00:10Z`, or date and time in two words, in UTC unless a third says
/// otherwise.
fn at_time(text: &str, now: Option<u64>) -> Option<Duration> {
    let mut words = text.split(|letter: char| letter.is_whitespace() || "\"'\\,)".contains(letter));
    let mut next = || words.next().unwrap_or_default().trim_end_matches('.');
    let first = next();
    let time = match first.contains(':') {
        true => first.to_owned(),
        false => {
            let (time, zone) = (next(), next());
            let zone = if zone.starts_with(['+', '-']) { zone } else { "" };
            format!("{first}T{time}{zone}")
        }
    };
    // A time of day; a number here would be something else.
    let read = |time: &str| time.contains(':').then(|| read_wait(time, Unit::Seconds, now))?;
    let is_zoned = time.ends_with(['z', 'Z']) || time.get(19..).is_none_or(|zone| zone.contains(['+', '-']));
    if is_zoned { read(&time) } else { read(&format!("{time}Z")) }
}

/// `20 秒后重试`, `请等待 30 秒`: the wait stands before what is to be done.
fn in_chinese(text: &str) -> Option<Duration> {
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        let begins = letter.is_ascii_digit() && !before.is_ascii_alphanumeric() && before != '.';
        before = letter;
        let Some(found) = text.get(at..).filter(|_| begins).and_then(duration::read).filter(|found| found.has_unit) else {
            continue;
        };
        let rest = found.rest.trim_start();
        let then = AFTER.iter().find_map(|word| rest.strip_prefix(word));
        let soon = |rest: &str| {
            let end = rest.char_indices().nth(12).map_or(rest.len(), |(end, _)| end);
            let near = rest.get(..end).unwrap_or_default();
            DEEDS.iter().any(|deed| near.contains(deed))
        };
        let pauses = text.get(..at).is_some_and(|front| PAUSES.iter().any(|word| front.trim_end().ends_with(word)));
        if pauses || then.is_some_and(soon) {
            return settle(found.seconds);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        read(text, Some(1_795_410_000)).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn waits_are_found_in_sentences() {
        assert_eq!(seconds("Rate limit reached. Please try again in 5.3s. Visit https://x/y to learn more."), Some(5.3));
        assert_eq!(seconds("Try again in 6m0s"), Some(360.0));
        assert_eq!(seconds("Please wait and try again after about 20 seconds."), Some(20.0));
        assert_eq!(seconds("please wait 30 s"), Some(30.0));
        assert_eq!(seconds("resets at 2026-11-23T05:00:10Z."), Some(10.0));
        assert_eq!(seconds("Your quota resets at 1795410010."), Some(10.0));
        assert_eq!(seconds("try again after 1795410010"), Some(10.0), "nobody waits for so many seconds");
        assert_eq!(seconds("try again at 1795410010000"), Some(10.0));
        assert_eq!(seconds("resets at 2026-11-23 05:00:10 (UTC)"), Some(10.0));
        assert_eq!(seconds("resets at 2026-11-23 05:00:10.5"), Some(10.0));
        assert_eq!(seconds("resets at 2026-11-23 07:00:10 +02:00"), Some(10.0));
        assert_eq!(seconds("resets at 2026-11-23T05:00:10, then"), Some(10.0));
        assert_eq!(seconds("请在20秒后重试"), Some(20.0));
        assert_eq!(seconds("请求过于频繁，请等待 1 分 5 秒"), Some(65.0));
    }

    #[test]
    fn other_numbers_are_no_waits() {
        for text in [
            "",
            "try again",
            "Please try again later.",
            "try again in a while; limit 20 requests per 60 s",
            "limit: 3 / min. Please try again with 2 messages",
            "每 60 秒最多 20 次请求",
            "wait: 0 seconds",
            "try again in 10:00",
            "try again at 30",
            "resets at 5 minutes",
            "resets at 1795409990",
            "resets at 2026-11-23 07:00:10 +0200",
            "resets at 2026-11-23",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
