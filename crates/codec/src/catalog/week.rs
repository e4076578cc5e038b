//! Hours of the week, for prices that depend on them.

use std::fmt;

use serde::Deserialize;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A span of hours on some days, in UTC. In TOML `"mon-fri 01:00-04:00"`, `"sat-sun"` or `"01:00-04:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window {
    /// The first and the last day, 0 is Monday.
    days: (u16, u16),
    /// From and to, in minutes of the day; `to` is the first that is not in it.
    minutes: (u16, u16),
}

const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Window {
    /// Whether a minute of the week (0 is Monday 00:00 UTC) is in it.
    pub const fn holds(&self, minute: u16) -> bool {
        let (day, minute) = (minute / DAY, minute % DAY);
        self.days.0 <= day && day <= self.days.1 && self.minutes.0 <= minute && minute < self.minutes.1
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a span of hours; write \"mon-fri 01:00-04:00\", \"sat-sun\" or \"01:00-04:00\"");
        let starts_with_day = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let (days, hours) = match text.split_once(' ') {
            Some((days, hours)) => (Some(days), Some(hours)),
            None if starts_with_day => (Some(text.as_str()), None),
            None => (None, Some(text.as_str())),
        };
        let days = days.map_or(Some((0, 6)), read_days).ok_or_else(wrong)?;
        let minutes = hours.map_or(Some((0, DAY)), read_hours).ok_or_else(wrong)?;
        Ok(Self { days, minutes })
    }
}

fn read_days(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |word: &str| DAYS.iter().position(|day| *day == word).and_then(|at| u16::try_from(at).ok());
    number(first).zip(number(last)).filter(|(first, last)| first <= last)
}

fn read_hours(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes).filter(|&minute| minute <= DAY)
    };
    let (from, to) = text.split_once('-')?;
    minute(from).zip(minute(to)).filter(|(from, to)| from < to)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |at: u16| DAYS.get(usize::from(at)).copied().unwrap_or_default();
        let whole_week = self.days == (0, 6);
        let whole_day = self.minutes == (0, DAY);
        if !whole_week || whole_day {
            write!(f, "{}-{}", day(self.days.0), day(self.days.1))?;
        }
        if whole_day {
            return Ok(());
        }
        let (from, to) = self.minutes;
        f.write_str(if whole_week { "" } else { " " })?;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_open_and_close() {
        let window = |text: &str| Window::try_from(text.to_owned());
        let morning = window("mon-fri 01:00-04:00").unwrap();
        assert!(morning.holds(60) && morning.holds(239) && !morning.holds(240) && !morning.holds(59));
        assert!(morning.holds(4 * DAY + 60) && !morning.holds(5 * DAY + 60));
        let weekend = window("sat-sun").unwrap();
        assert!(weekend.holds(5 * DAY) && weekend.holds(7 * DAY - 1) && !weekend.holds(0));
        assert!(window("10:00-24:00").unwrap().holds(DAY - 1));
        for text in ["mon-fri 01:00-04:00", "sat-sun", "10:00-24:00", "tue-tue 00:30-01:00"] {
            assert_eq!(window(text).unwrap().to_string(), text);
        }
        for wrong in ["", "sun-sat", "04:00-01:00", "mon-fri 1", "25:00-26:00", "24:01-24:02", "day"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
