//! A provider's own limits, as its headers tell them: how much there is, how much is left, and until when.
//!
//! | headers | who writes them so |
//! |---|---|
//! | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` | the OpenAI family; resets as `6m0s`, in seconds, or as a time |
//! | `x-ratelimit-…-{requests,tokens,req}-{minute,day,…}`, `…-tokens-{prompt,generated}`, `…-project-tokens` | its relatives, some with a limit for each span of time or direction |
//! | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}` | resets in RFC 3339 |
//! | `x-ratelimit-{limit,remaining,reset}` | routers; resets in Unix seconds or milliseconds |
//! | `ratelimit-{limit,remaining,reset}`, `ratelimit: "name";r=0;t=30` | the [IETF's drafts](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/); resets in seconds |
//! | `x-tokenlimit-{limit,remaining,reset}` | tokens, where they have a name of their own |

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;

use super::wait::read_reset;

/// How much a provider lets through of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// How much there is in all.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: Option<u64>,
    /// How long until there is more, counted from the answer: nothing when that time has come already, `None` when it was
    /// not told.
    pub reset: Option<Duration>,
}

impl Room {
    /// Nothing was told.
    pub fn is_empty(&self) -> bool {
        *self == Room::default()
    }

    /// It has been filled again since what is left was counted: what it tells is no longer so.
    fn is_over(&self) -> bool {
        self.reset == Some(Duration::ZERO)
    }
}

/// What a provider allows, as the headers of one of its answers tell it. Where it has several limits for the same thing
/// (a minute's and a day's, input and output), the one with the least left; one that has been filled again counts only
/// where there is no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProviderLimits {
    /// Of requests.
    pub requests: Room,
    /// Of tokens.
    pub tokens: Room,
}

impl ProviderLimits {
    /// Reads an answer's headers. `now` is the Unix time in seconds; it counts where the answer has no `Date`.
    pub fn read(headers: &HeaderMap, now: u64) -> Self {
        let now = super::read_date(headers).unwrap_or(now);
        Scopes::read(headers, Some(now)).limits()
    }

    /// Whether there is anything to read. Costs next to nothing.
    pub fn may_be_told(headers: &HeaderMap) -> bool {
        headers.keys().map(http::HeaderName::as_str).any(|name| {
            let told = |(prefix, _): &(&str, Thing)| name.starts_with(prefix);
            matches!(name, "ratelimit" | "x-ratelimit") || PREFIXES.iter().any(told)
        })
    }

    /// Nothing was told.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.tokens.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Requests,
    Tokens,
    /// Images, seconds of sound: they make a wait, but are not counted here.
    Other,
}

#[derive(Clone, Copy)]
enum Part {
    Limit,
    Remaining,
    Reset,
}

/// The limits that an answer tells, by name: `tokens minute`.
#[derive(Debug, Default)]
pub(super) struct Scopes(BTreeMap<String, (Thing, Room)>);

const PREFIXES: [(&str, Thing); 5] = [
    ("anthropic-ratelimit-", Thing::Requests),
    ("x-ratelimit-", Thing::Requests),
    ("x-rate-limit-", Thing::Requests),
    ("ratelimit-", Thing::Requests),
    ("x-tokenlimit-", Thing::Tokens),
];

impl Scopes {
    pub(super) fn read(headers: &HeaderMap, now: Option<u64>) -> Self {
        let mut scopes = Scopes::default();
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                scopes.add(name.as_str(), value, now);
            }
        }
        scopes
    }

    /// Takes a header, its name in small letters; others than those of limits change nothing.
    pub(super) fn add(&mut self, name: &str, value: &str, now: Option<u64>) {
        if matches!(name, "ratelimit" | "x-ratelimit") {
            for item in value.split([',', ';']) {
                let part = match item.split_once('=').map(|(key, value)| (key.trim(), value)) {
                    Some(("limit", value)) => (Part::Limit, value),
                    Some(("r" | "remaining", value)) => (Part::Remaining, value),
                    Some(("t" | "reset", value)) => (Part::Reset, value),
                    _ => continue,
                };
                self.put(name.to_owned(), Thing::Requests, part, now);
            }
            return;
        }
        let Some((prefix, thing, rest)) =
            PREFIXES.iter().find_map(|(prefix, thing)| Some((*prefix, *thing, name.strip_prefix(prefix)?)))
        else {
            return;
        };
        let (mut part, mut thing, mut scope) = (None, thing, prefix.to_owned());
        for word in rest.split('-') {
            match word {
                "limit" => part = Some(Part::Limit),
                "remaining" => part = Some(Part::Remaining),
                "reset" => part = Some(Part::Reset),
                word => {
                    scope.push_str(word);
                    scope.push(' ');
                    thing = match word {
                        "token" | "tokens" => Thing::Tokens,
                        "image" | "images" | "audio" | "connections" => Thing::Other,
                        _ => thing,
                    };
                }
            }
        }
        if let Some(part) = part {
            self.put(scope, thing, (part, value), now);
        }
    }

    /// Of values that contradict each other, the one that allows less counts, so that their order does not matter.
    fn put(&mut self, scope: String, thing: Thing, (part, value): (Part, &str), now: Option<u64>) {
        let number = || {
            // `100, 100;w=60`: a limit with the span of time that it is for.
            let number = value.split([',', ';']).next()?.trim().parse::<f64>().ok()?;
            // Less than nothing is how some say that there is no limit.
            (number.is_finite() && number >= 0.0).then_some(number as u64)
        };
        let less = |known: Option<u64>| [known, number()].into_iter().flatten().min();
        let (_, room) = self.0.entry(scope).or_insert((thing, Room::default()));
        match part {
            Part::Limit => room.limit = less(room.limit),
            Part::Remaining => room.remaining = less(room.remaining),
            Part::Reset => room.reset = room.reset.max(read_reset(value, now)),
        }
    }

    /// How long until every limit that is used up has room again. Where nothing says what is left, any reset counts.
    pub(super) fn wait(&self) -> Option<Duration> {
        let rooms = || self.0.values().map(|(_, room)| room);
        let told = rooms().any(|room| room.remaining.is_some());
        let used_up = rooms().filter(|room| (room.remaining == Some(0) || !told) && !room.is_over());
        used_up.filter_map(|room| room.reset).max()
    }

    fn limits(&self) -> ProviderLimits {
        let tightest = |wanted: Thing| {
            let rooms = self.0.values().filter(|(thing, _)| *thing == wanted).map(|(_, room)| *room);
            let left = |room: &Room| (room.is_over(), room.remaining.unwrap_or(u64::MAX));
            let key = |room: &Room| (left(room), Reverse(room.reset), room.limit.unwrap_or(u64::MAX));
            rooms.min_by_key(key).unwrap_or_default()
        };
        ProviderLimits { requests: tightest(Thing::Requests), tokens: tightest(Thing::Tokens) }
    }
}
