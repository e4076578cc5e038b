//! Taking secrets, and what else must not be kept, out of texts that are.

use regex::{Captures, Regex};

use crate::codec::Result;
use crate::config::wrong;
use crate::credential::spellings;
use crate::{Client, Secret};

/// What stands in the place of it.
const MASK: &str = "***";

/// What looks like a secret, whoever's it is: keys by their usual beginnings, tokens in three parts, private keys, what
/// follows `Bearer`.
const SECRETS: &str = r"(?x)
    \b(?:sk|pk|rk|ghp|gho|ghs|xox[abprs]|glpat|hf|nvapi|gsk)[-_][A-Za-z0-9_-]{16,}
    | \bAKIA[A-Z0-9]{16}\b | \bAIza[A-Za-z0-9_-]{30,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----|\z)
    | (?i:\bbearer)\s+[A-Za-z0-9._~+/=-]{16,}";

/// Long strings that are no words: pictures, sounds and documents.
const MEDIA: &str = r"[A-Za-z0-9+/=_-]{1024,}";

/// Takes secrets out of texts.
#[derive(Debug)]
pub struct Redactor {
    /// What it was made of: making it takes longer than using it.
    made_of: (Vec<Secret>, Vec<String>),
    /// Every spelling of those that are known.
    words: Vec<Secret>,
    /// What is found by its look.
    patterns: Vec<Regex>,
    media: Option<Regex>,
}

impl Redactor {
    /// Takes out these secrets however they are spelt, what looks like one, and what these expressions find.
    ///
    /// # Errors
    /// When an expression is none.
    pub fn new(secrets: &[Secret], expressions: &[String]) -> Result<Self> {
        let broken = |text: &str, error: &regex::Error| wrong(format!("[store] redact: `{text}` is no expression: {error}"));
        let all = std::iter::once(SECRETS).chain(expressions.iter().map(String::as_str));
        let patterns = all.map(|text| Regex::new(text).map_err(|error| broken(text, &error)));
        let made_of = (secrets.to_vec(), expressions.to_vec());
        let (words, patterns) = (spellings(secrets), patterns.collect::<Result<_>>()?);
        Ok(Redactor { made_of, words, patterns, media: Regex::new(MEDIA).ok() })
    }

    /// The text without them.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for word in self.words.iter().filter(|word| !word.expose().is_empty()) {
            if text.contains(word.expose()) {
                text = text.replace(word.expose(), MASK);
            }
        }
        for pattern in &self.patterns {
            if pattern.is_match(&text) {
                text = pattern.replace_all(&text, MASK).into_owned();
            }
        }
        if let Some(media) = self.media.as_ref().filter(|media| media.is_match(&text)) {
            text = media
                .replace_all(&text, |found: &Captures<'_>| {
                    format!("[{} characters]", found.get(0).map_or(0, |found| found.len()))
                })
                .into_owned();
        }
        text
    }
}

impl Client {
    /// Takes out of texts every secret that is known now, these ones more, and what `[store] redact` finds. The one that is at
    /// hand, if it does just that.
    ///
    /// # Errors
    /// When an expression of the configuration is none.
    pub fn redactor(&self, more: &[Secret], at_hand: Option<Redactor>) -> Result<Redactor> {
        let mut secrets = self.secrets();
        secrets.extend_from_slice(more);
        let (config, same) = (self.config(), at_hand.filter(|held| held.made_of.0 == secrets));
        match same.filter(|held| held.made_of.1 == config.store.redact) {
            Some(held) => Ok(held),
            None => Redactor::new(&secrets, &config.store.redact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_however_they_are_spelt_and_so_does_what_looks_like_one() {
        let redactor = Redactor::new(&[Secret::new("my/secret\"one")], &[r"\b\d{16}\b".to_owned()]).unwrap();
        let clean = |text: &str| redactor.clean(text);
        for secret in [
            "my/secret\"one",
            "my%2Fsecret%22one",
            r#"my\/secret\"one"#,
            "sk-abcdefghijklmnop1234",
            "Bearer abcdef.ghijkl_mnop-1234",
            "AKIAABCDEFGHIJKLMNOP",
            "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
            "1234567890123456",
        ] {
            assert_eq!(clean(&format!("a {secret} b")), "a *** b", "{secret}");
        }
        assert_eq!(clean("a task-oriented sk-1 bearer of news"), "a task-oriented sk-1 bearer of news");
        assert_eq!(clean(&format!("\"{}\"", "iVBOR+/".repeat(1000))), "\"[7000 characters]\"");
        let wrong = Redactor::new(&[], &["(".to_owned()]).unwrap_err();
        assert!(wrong.message.contains("[store] redact"), "{wrong}");
    }
}
