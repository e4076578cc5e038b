//! Ids of rows: UUIDs of version 7, which begin with the time.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A row's id: the milliseconds since 1970, then what nobody else has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(u128);

impl Id {
    /// The least id of this time.
    pub fn first_at(time: SystemTime) -> Self {
        Id(u128::from(millis(time)) << 80)
    }

    /// The greatest id of all.
    pub(crate) const fn last() -> Self {
        Id(u128::MAX)
    }

    /// As it is stored: biggest byte first, so that the order is that of time.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// As the gateway tells it to callers: 32 hexadecimal digits.
    pub fn digits(self) -> String {
        let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
        let mut digits = [[0; 2]; 16];
        for (pair, byte) in digits.iter_mut().zip(self.bytes()) {
            *pair = [digit(byte >> 4), digit(byte & 0xF)];
        }
        String::from_utf8_lossy(digits.as_flattened()).into_owned()
    }

    /// From what is stored.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Id(u128::from_be_bytes(bytes.try_into().ok()?)))
    }

    /// When it was made, to the millisecond.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis((self.0 >> 80) as u64)
    }

    /// Whole hours since 1970.
    pub(crate) fn hour(self) -> i64 {
        i64::try_from((self.0 >> 80) / 3_600_000).unwrap_or(i64::MAX)
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX) & 0xFFFF_FFFF_FFFF
}

impl fmt::Display for Id {
    /// As UUIDs are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, digits: u32| (self.0 >> shift) & ((1 << (digits * 4)) - 1);
        write!(f, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
    }
}

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // By hand, and in halves, because the id of every call is read once.
        let wrong = "an id has 32 hexadecimal digits";
        let (mut count, mut high, mut low) = (0, 0u64, 0u64);
        for byte in text.bytes().filter(|byte| *byte != b'-') {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return Err(wrong),
            };
            (high, low) = (high << 4 | low >> 60, low << 4 | u64::from(value));
            count += 1;
        }
        if count == 32 { Ok(Id(u128::from(high) << 64 | u128::from(low))) } else { Err(wrong) }
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Makes ids; no two are alike, in this process nor in another, and none tells of the next.
#[derive(Debug, Default)]
pub struct Ids {
    /// This maker's own secret.
    mark: RandomState,
    made: AtomicU64,
}

impl Ids {
    /// A maker of ids.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next id, of this time.
    pub fn next(&self, time: SystemTime) -> Id {
        let count = self.made.fetch_add(1, Relaxed);
        // 12 bits that count, so that the ids of one moment are in order, and 62 that nobody can guess.
        let version = 0x7000 | u128::from(count & 0xFFF);
        let rest = (0b10 << 62) | (self.mark.hash_one(count) >> 2);
        Id(u128::from(millis(time)) << 80 | version << 64 | u128::from(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_in_the_order_of_time() {
        let ids = Ids::new();
        let (one, two) =
            (UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), UNIX_EPOCH + Duration::from_millis(1_700_000_000_124));
        let (first, second, third) = (ids.next(one), ids.next(one), ids.next(two));
        assert!(Id::first_at(one) < first && first < second && second < third && second < Id::first_at(two));
        assert_eq!(first.time(), one);
        let text = first.to_string();
        assert_eq!((text.len(), text.as_bytes()[14], text.parse()), (36, b'7', Ok(first)));
        assert!("89ab".contains(text.as_bytes()[19] as char), "{text}");
        assert_eq!(Id::from_bytes(&first.bytes()), Some(first));
        assert_eq!((first.digits(), first.digits().parse()), (text.replace('-', ""), Ok(first)));
        assert_eq!(text.to_uppercase().parse(), Ok(first));
        let long = format!("{}0", first.digits());
        for wrong in ["", "0189", &long, &text.replace('7', "g"), &text.replace('-', "+")] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
        assert!(Id::from_bytes(&[1]).is_none());
        let many: std::collections::HashSet<_> = (0..200_000).map(|_| ids.next(one)).collect();
        assert_eq!(many.len(), 200_000);
    }
}
