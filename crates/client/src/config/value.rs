//! Single values that a file may not give: none where something is needed, and an address that is none.

use serde::de::{Deserialize, Deserializer, Error};

/// A time. None at all would end whatever it is for before it begins.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    more_than_none(deserializer, "0 seconds is no time at all; give 1 or more")
}

/// The same, where nothing need be said.
pub(super) fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seconds(deserializer).map(Some)
}

/// How often something is tried.
pub(super) fn tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    more_than_none(deserializer, "0 attempts would ask nobody; 1 is one request and no retry")
}

/// The same, where nothing need be said.
pub(super) fn some_tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    tries(deserializer).map(Some)
}

/// A limit.
pub(super) fn amount<'de, D: Deserializer<'de>, N: Deserialize<'de> + Default + PartialEq>(
    deserializer: D,
) -> Result<N, D::Error> {
    more_than_none(deserializer, "a limit of 0 would let nothing through; give 1 or more")
}

/// How much of something is kept, where nothing need be said.
pub(super) fn some_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    more_than_none(deserializer, "0 would keep nothing; give 1 or more, or leave it out to keep everything").map(Some)
}

fn more_than_none<'de, D, N>(deserializer: D, what: &str) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Default + PartialEq,
{
    let value = N::deserialize(deserializer)?;
    if value == N::default() { Err(D::Error::custom(what)) } else { Ok(value) }
}

/// `host:port`. Whether there is such a host is seen when it is listened at.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let why = match text.rsplit_once(':') {
        None => "it has no port",
        Some(("", _)) => "it has no host; 0.0.0.0 stands for every address of this machine",
        Some((host, _)) if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) => {
            "an IPv6 address stands in brackets, as in [::1]:4000"
        }
        Some((_, port)) if port.parse::<u16>().is_err() => "its port is no number from 0 to 65535",
        Some(_) => return Ok(text),
    };
    Err(D::Error::custom(format!("listen: `{text}` is not an address like 127.0.0.1:4000: {why}")))
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, told) in [
            ("[calls]\ndeadline_seconds = 0", "0 seconds is no time"),
            ("[calls]\nattempts = 0", "0 attempts would ask nobody"),
            ("[models.a]\ndeadline_seconds = 0", "0 seconds is no time"),
            ("[models.a]\nfirst_byte_seconds = 0", "0 seconds is no time"),
            ("[models.a]\nattempts = 0", "0 attempts would ask nobody"),
            ("[network]\nconnect_seconds = 0", "0 seconds is no time"),
            ("[network]\nidle_seconds = 0", "0 seconds is no time"),
            ("[network]\nframe_limit = 0", "a limit of 0"),
            ("[server]\nmax_calls = 0", "a limit of 0"),
            ("[server]\nbody_limit = 0", "a limit of 0"),
            ("[store]\nkeep_days = 0", "0 would keep nothing"),
            ("[calls]\nhold_back = { bytes = 1, ms = 1 }", "give one of `bytes` and `ms`"),
            ("[calls]\nhold_back = { }", "give one of `bytes` and `ms`"),
            ("[calls]\nhold_back = { seconds = 1 }", "`seconds`"),
            ("[server]\nlisten = 'localhost'", "it has no port"),
            ("[server]\nlisten = ':4000'", "it has no host"),
            ("[server]\nlisten = '0.0.0.0:99999'", "no number from 0 to 65535"),
            ("[server]\nlisten = '::1:4000'", "stands in brackets"),
        ] {
            let error = Config::parse(text, "t.toml").unwrap_err().message;
            assert!(error.starts_with("t.toml, line 2: ") && error.contains(told), "{text}: {error}");
        }
        for text in [
            "[server]\nlisten = 'localhost:4000'",
            "[server]\nlisten = '[::1]:0'",
            "[server]\ndrain_seconds = 0\nthreads = 0",
            "[calls]\nwait_seconds = 0\nretry_percent = 0\nhold_back = { ms = 5 }",
            "[models.a]\nhedge_ms = 0",
        ] {
            Config::parse(text, "t.toml").unwrap();
        }
    }
}
