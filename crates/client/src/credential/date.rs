//! The spellings of a moment in UTC that signatures use.

use std::time::{SystemTime, UNIX_EPOCH};

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, to the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc {
    unix: u64,
    year: u64,
    month: u64,
    day: u64,
}

impl Utc {
    /// A clock that stands before 1970 is taken to stand at its beginning; whoever checks will say so.
    pub(crate) fn new(time: SystemTime) -> Self {
        let unix = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // Years begin in March here, so that the leap day is a year's last; 400 years are 146,097 days.
        let shifted = unix / 86_400 + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Utc { unix, year, month, day }
    }

    /// Seconds since 1970.
    pub(super) const fn unix(self) -> u64 {
        self.unix
    }

    /// `20260102`
    pub(super) fn day(self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    /// `2026-01-02`
    pub(super) fn dashed_day(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `20260102T030405Z`
    pub(super) fn basic(self) -> String {
        let (hour, minute, second) = self.time();
        format!("{}T{hour:02}{minute:02}{second:02}Z", self.day())
    }

    /// `2026-01-02T03:04:05Z`
    pub(crate) fn extended(self) -> String {
        let (hour, minute, second) = self.time();
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", self.dashed_day())
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`
    pub(super) fn http(self) -> String {
        let (hour, minute, second) = self.time();
        let weekday = WEEKDAYS.iter().cycle().nth((self.unix / 86_400 % 7) as usize).unwrap_or(&"");
        let month = MONTHS.get(self.month as usize - 1).unwrap_or(&"");
        format!("{weekday}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", self.day, self.year)
    }

    const fn time(self) -> (u64, u64, u64) {
        let second = self.unix % 86_400;
        (second / 3_600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(unix: u64) -> Utc {
        Utc::new(UNIX_EPOCH + Duration::from_secs(unix))
    }

    #[test]
    fn a_moment_has_several_spellings() {
        let moment = at(1_767_323_045);
        assert_eq!((moment.basic().as_str(), moment.day().as_str()), ("20260102T030405Z", "20260102"));
        assert_eq!((moment.extended().as_str(), moment.dashed_day().as_str()), ("2026-01-02T03:04:05Z", "2026-01-02"));
        assert_eq!(moment.http(), "Fri, 02 Jan 2026 03:04:05 GMT");
    }

    #[test]
    fn leap_days_and_turns_of_the_year_are_where_they_belong() {
        let days = [(0, "19700101"), (951_782_400, "20000229"), (951_868_800, "20000301"), (1_709_164_800, "20240229")];
        let turns = [(1_735_689_599, "20241231"), (1_735_689_600, "20250101"), (4_107_542_400, "21000301")];
        for (unix, day) in days.into_iter().chain(turns) {
            assert_eq!(at(unix).day(), day);
        }
        assert_eq!(at(951_782_400).http(), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(Utc::new(UNIX_EPOCH - Duration::from_secs(9)).unix(), 0);
    }
}
