//! Money in whole numbers: rates as they are published, and what a call came to. Nothing here is ever a float.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The currency that a provider publishes its prices in. Nothing is converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Currency {
    /// US dollar.
    #[default]
    #[serde(rename = "USD")]
    Usd,
    /// Renminbi.
    #[serde(rename = "CNY")]
    Cny,
    /// Euro.
    #[serde(rename = "EUR")]
    Eur,
}

impl Currency {
    /// Its ISO 4217 code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Cny => "CNY",
            Self::Eur => "EUR",
        }
    }

    /// Its sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Usd => "$",
            Self::Cny => "¥",
            Self::Eur => "€",
        }
    }
}

/// Digits behind the point of a [`Rate`].
const PLACES: i32 = 9;

/// A price for a million tokens (or characters), or for one image, second or request: in billionths of a currency's
/// unit. In TOML a decimal in quotes, with at most nine digits on either side of the point: `input = "0.075"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// From billionths.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In billionths.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Reads a plain decimal, exactly.
    ///
    /// # Errors
    /// When it is no plain decimal, or has more than nine digits on a side of the point.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let read = || digits(whole).then_some(()).and_then(|()| digits(part).then(|| format!("{whole}{part:0<9}")));
        read().and_then(|digits| digits.parse().ok()).map(Self).ok_or_else(|| {
            format!("`{text}` is not a price; write a decimal such as \"2.50\", with at most nine digits after the point")
        })
    }

    /// Reads a number as JSON writes it (`2.5e-06`), times 10 to the power of `shift`, to the nearest billionth: 6 turns
    /// a price for one token into the price for a million. `None` for what is negative, too large, or no number.
    pub fn from_number(number: &str, shift: i32) -> Option<Self> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        let digits = digits.trim_start_matches('0');
        if whole.is_empty() || digits.len() > 36 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let places = i32::try_from(part.len()).ok()?;
        let power = exponent.parse::<i32>().ok()?.checked_add(shift + PLACES)?.checked_sub(places)?;
        let scale = 10u128.checked_pow(power.unsigned_abs());
        let nanos = match (power >= 0, scale) {
            (true, Some(scale)) => value.checked_mul(scale)?,
            (true, None) => return (value == 0).then_some(Self(0)),
            (false, Some(scale)) => (value + scale / 2) / scale,
            (false, None) => 0,
        };
        u64::try_from(nanos).ok().filter(|&nanos| nanos < 1_000_000_000_000_000_000).map(Self)
    }
}

impl fmt::Display for Rate {
    /// With as many digits as it takes, two at least.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:09}", self.0 % 1_000_000_000);
        let kept = digits.trim_end_matches('0');
        write!(f, "{}.{kept:0<2}", self.0 / 1_000_000_000)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decimal;
        impl Visitor<'_> for Decimal {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price in quotes, such as \"2.50\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                Rate::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
                Rate::parse(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Decimal)
    }
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// In which currency.
    pub currency: Currency,
    /// In millionths of its unit.
    pub micros: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.{:06}", self.currency.sign(), self.micros / 1_000_000, self.micros % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_exactly() {
        for (text, nanos, shown) in [
            ("2.50", 2_500_000_000, "2.50"),
            ("0", 0, "0.00"),
            ("0.000000001", 1, "0.000000001"),
            ("0.075", 75_000_000, "0.075"),
            ("999999999.999999999", 999_999_999_999_999_999, "999999999.999999999"),
        ] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!((rate.nanos(), rate.to_string().as_str()), (nanos, shown));
            assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }
        for wrong in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.0000000000", "1234567890", "０"] {
            assert!(Rate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_numbers_for_one_token() {
        for (number, shown) in [
            ("2.5e-06", "2.50"),
            ("0.0000025", "2.50"),
            ("1.5000000000000002e-06", "1.50"),
            ("6E-9", "0.006"),
            ("0", "0.00"),
            ("0.0", "0.00"),
            ("1", "1000000.00"),
            ("0e999", "0.00"),
            ("1e-400", "0.00"),
        ] {
            assert_eq!(Rate::from_number(number, 6).map(|rate| rate.to_string()).as_deref(), Some(shown), "{number}");
        }
        for wrong in ["-1", "", "x", "1e99", "1e", "true", "1.2.3", "1e99999999999"] {
            assert_eq!(Rate::from_number(wrong, 6), None, "{wrong}");
        }
    }
}
