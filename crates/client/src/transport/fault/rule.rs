//! `[faults]` as written: which calls are hit, and by what.

use std::fmt;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::dice::Dice;
use crate::codec::catalog::{ParseError, matches};
use crate::codec::{Error, Kind, Origin, Result};

/// Which calls go wrong, and how: the rules of `[faults]` in their order. The first that covers a call's target, and whose
/// dice hit it, decides; a call that none hits goes its way. Nothing by default.
///
/// ```
/// use trunkline::transport::FaultPlan;
/// let plan = FaultPlan::parse("target = 'sim/*', rate = 0.1, status = 429, retry_after = 2, seed = 7")?;
/// # Ok::<(), trunkline::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan(pub(super) Vec<Rule>);

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) target: String,
    pub(super) rate: f64,
    pub(super) skip: u64,
    pub(super) times: u64,
    pub(super) seed: u64,
    pub(super) delay: Span,
    pub(super) between: Span,
    pub(super) piece_bytes: Option<usize>,
    pub(super) connection: Option<Connection>,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u64>,
    pub(super) cut_after: Option<u64>,
    pub(super) garbage: bool,
    pub(super) end: Option<End>,
}

/// No answer at all, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Connection {
    /// Nobody takes the connection.
    Refused,
    /// It breaks before the head of an answer.
    Reset,
    /// No head ever comes.
    Silent,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// The connection breaks.
    Reset,
    /// The other side closes its half, as if all had been said.
    HalfClose,
    /// Nothing more comes, not even an end.
    Never,
}

/// Milliseconds, from the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    least: u64,
    most: u64,
}

impl Span {
    pub(super) const fn is_zero(self) -> bool {
        self.most == 0
    }

    pub(super) const fn draw(self, dice: &mut Dice) -> Duration {
        Duration::from_millis(dice.within(self.least, self.most))
    }
}

impl FaultPlan {
    /// Reads a plan: the content of a file with `[faults]` or `[[faults]]` in it, or just the keys of one rule, a line each
    /// or in one: `rate = 0.1, status = 503`.
    ///
    /// # Errors
    /// One sentence with the line, the key and the nearest known one.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_as(text, "faults")
    }

    /// The same; `name` is what errors call it.
    ///
    /// # Errors
    /// As there.
    pub fn parse_as(text: &str, name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            faults: FaultPlan,
        }
        let trimmed = text.trim();
        let is_document = trimmed.lines().any(|line| line.trim_start().starts_with(['[', 'f']) && line.contains("faults"));
        let wrong = |text: &str, error: toml::de::Error| {
            let error = ParseError::from_toml(name, text, &error);
            Error::new(Kind::Internal, Origin::Gateway, error.to_string())
        };
        if !is_document && !trimmed.starts_with(['{', '[']) && trimmed.contains('\n') {
            return toml::from_str(text).map_err(|error| wrong(text, error));
        }
        let text = match trimmed {
            _ if is_document => text.to_owned(),
            value if value.starts_with(['{', '[']) => format!("faults = {value}"),
            keys => format!("faults = {{ {keys} }}"),
        };
        let document: Document = toml::from_str(&text).map_err(|error| wrong(&text, error))?;
        Ok(document.faults)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A rule as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    target: String,
    rate: f64,
    skip: u64,
    times: u64,
    seed: u64,
    delay_ms: Span,
    between_ms: Span,
    piece_bytes: Option<usize>,
    connection: Option<Connection>,
    status: Option<u16>,
    retry_after: Option<u64>,
    cut_after: Option<u64>,
    garbage: bool,
    end: Option<End>,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            target: "*".to_owned(),
            rate: 1.0,
            skip: 0,
            times: u64::MAX,
            seed: 0,
            delay_ms: Span::default(),
            between_ms: Span::default(),
            piece_bytes: None,
            connection: None,
            status: None,
            retry_after: None,
            cut_after: None,
            garbage: false,
            end: None,
        }
    }
}

impl TryFrom<Table> for Rule {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, &'static str> {
        let spoils = table.cut_after.is_some() || table.garbage || table.end.is_some();
        let paces = !table.between_ms.is_zero() || table.piece_bytes.is_some();
        let wrong = [
            (!(0.0..=1.0).contains(&table.rate), "`rate` is the share of calls, from 0 to 1"),
            (table.status.is_some_and(|status| !(300..=599).contains(&status)), "`status` is an error's, from 300 to 599"),
            (table.retry_after.is_some() && table.status.is_none(), "`retry_after` needs a `status`, such as 429"),
            (table.piece_bytes == Some(0), "`piece_bytes` is at least 1"),
            (
                table.connection.is_some() && (table.status.is_some() || spoils || paces),
                "with `connection` there is no answer that `status`, `cut_after`, `garbage`, `end` or `between_ms` could be about",
            ),
            (
                table.connection.is_none() && table.status.is_none() && !spoils && !paces && table.delay_ms.is_zero(),
                "this rule does nothing: write one of `status`, `connection`, `delay_ms`, `between_ms`, `cut_after`, `garbage`, `end`",
            ),
            (
                table.end == Some(End::HalfClose) && table.cut_after.is_none(),
                "`end = \"half_close\"` needs `cut_after`: a whole answer ends like that anyway",
            ),
        ];
        if let Some((_, what)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
            return Err(what);
        }
        Ok(Rule {
            target: table.target,
            rate: table.rate,
            skip: table.skip,
            times: table.times,
            seed: table.seed,
            delay: table.delay_ms,
            between: table.between_ms,
            piece_bytes: table.piece_bytes,
            connection: table.connection,
            status: table.status,
            retry_after: table.retry_after,
            cut_after: table.cut_after,
            garbage: table.garbage,
            end: table.end,
        })
    }
}

impl Rule {
    /// Whether it is about this target, `provider/model`. A bare word is a provider.
    pub(super) fn covers(&self, target: &str) -> bool {
        match self.target.contains(['/', '*']) {
            true => matches(&self.target, target),
            false => target.split('/').next() == Some(&self.target),
        }
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Rule::try_from(Table::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for FaultPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = FaultPlan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule, or a list of rules")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FaultPlan, A::Error> {
                Ok(FaultPlan(vec![Rule::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<FaultPlan, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(FaultPlan)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds, as a number or as [least, most]")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Span, E> {
                let only = u64::try_from(number).map_err(|_| E::custom("milliseconds are not negative"))?;
                Ok(Span { least: only, most: only })
            }

            fn visit_u64<E: serde::de::Error>(self, only: u64) -> Result<Span, E> {
                Ok(Span { least: only, most: only })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Span, A::Error> {
                let both = Vec::<u64>::deserialize(SeqAccessDeserializer::new(list))?;
                match *both.as_slice() {
                    [least, most] if least <= most => Ok(Span { least, most }),
                    _ => Err(A::Error::custom("milliseconds are a number or [least, most]")),
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str) -> String {
        FaultPlan::parse(text).unwrap_err().message
    }

    #[test]
    fn a_plan_is_written_in_four_ways() {
        let line = FaultPlan::parse("target = 'sim/*', rate = 0.5, status = 429, retry_after = 2, delay_ms = [50, 200]").unwrap();
        let table = "[faults]\ntarget = 'sim/*'\nrate = 0.5\nstatus = 429\nretry_after = 2\ndelay_ms = [50, 200]\n";
        let list = table.replace("[faults]", "[[faults]]");
        assert_eq!(FaultPlan::parse(table).unwrap(), line);
        assert_eq!(FaultPlan::parse(&list).unwrap(), line);
        let keys = table.replace("[faults]", "# one rule");
        assert_eq!(FaultPlan::parse(&keys).unwrap(), line);
        let two = FaultPlan::parse(&format!("# two\n{list}{list}")).unwrap();
        assert_eq!(two.0, [line.0[0].clone(), line.0[0].clone()]);
        assert_eq!(FaultPlan::parse("[{ status = 500 }, { connection = 'reset' }]").unwrap().0.len(), 2);
        assert_eq!(FaultPlan::parse("{ cut_after = 300, end = 'half_close' }").unwrap().0[0].end, Some(End::HalfClose));
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_nearest_key() {
        let unknown = fails("[[faults]]\nrate = 0.1\nstatu = 500\n");
        assert_eq!(unknown, "faults, line 3: unknown key `statu`; the nearest known key is `status`");
        let unknown = fails("# mine\nrate = 0.1\nstatu = 500\n");
        assert_eq!(unknown, "faults, line 3: unknown key `statu`; the nearest known key is `status`");
        assert!(fails("end = 'halfclose', cut_after = 1").contains("the nearest known value is `half_close`"));
        assert!(fails("rate = 1.5, status = 500").contains("from 0 to 1"));
        assert!(fails("status = 200").contains("from 300 to 599"));
        assert!(fails("rate = 0.5").contains("does nothing"));
        assert!(fails("retry_after = 1, delay_ms = 1").contains("needs a `status`"));
        assert!(fails("connection = 'reset', status = 500").contains("no answer"));
        assert!(fails("delay_ms = [9, 1]").contains("[least, most]"));
        assert!(fails("delay_ms = -1").contains("not negative"));
    }

    #[test]
    fn a_bare_word_is_a_provider() {
        let covers =
            |pattern: &str, target| FaultPlan::parse(&format!("status = 500, target = '{pattern}'")).unwrap().0[0].covers(target);
        assert!(covers("house", "house/a/b") && !covers("house", "housing/a") && !covers("house", "x/house"));
        assert!(covers("*", "a/b") && covers("house/*-mini", "house/gpt-mini") && !covers("house/a", "house/ab"));
    }
}
