//! From a model's name to a provider and that provider's own model id.

use std::fmt;

use super::nearest::nearest;
use super::{Catalog, Provider};

/// At most this many choices are listed in an error.
const LISTED: usize = 8;

/// Why a name leads nowhere, or to too many places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// `provider/` with nothing after the slash, or no name at all.
    Empty {
        /// The name as given.
        name: String,
    },
    /// Several providers that are ready serve this model.
    Ambiguous {
        /// The name as given.
        name: String,
        /// What to write instead: targets, sorted.
        choices: Vec<String>,
    },
    /// Providers serve this model, but none of them is ready.
    NotReady {
        /// The name as given.
        name: String,
        /// Their ids, sorted.
        providers: Vec<String>,
        /// Environment variables, each of which would make one of them ready.
        variables: Vec<String>,
    },
    /// Nobody claims this name.
    Unknown {
        /// The name as given.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { name } => write!(f, "`{name}` names no model; write provider/model"),
            Self::Ambiguous { name, choices } => write!(f, "several providers serve `{name}`; choose one: {}", list(choices)),
            Self::NotReady { name, providers, variables } => {
                write!(f, "`{name}` is served by {}, not set up here", list(providers))?;
                if variables.is_empty() { Ok(()) } else { write!(f, "; set {}", variables.join(" or ")) }
            }
            Self::Unknown { name, nearest } => {
                write!(f, "no provider claims the model name `{name}`")?;
                match (nearest, name.split_once('/')) {
                    (Some(near), _) => write!(f, "; did you mean `{near}`?"),
                    (None, Some((provider, _))) => write!(f, ", and there is no provider `{provider}`"),
                    (None, None) => f.write_str("; write provider/model"),
                }
            }
        }
    }
}

fn list(words: &[String]) -> String {
    let more = words.len().saturating_sub(LISTED);
    let shown = words.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

impl Catalog {
    /// Finds the provider that a model's name leads to, and the model's id there. Aliases are not known here.
    ///
    /// `provider/rest` where the first segment names a provider is that provider, ready or not, and all the rest is the
    /// model id; else the one ready provider that has a pattern for the name.
    ///
    /// # Errors
    /// When the name is empty, unknown, claimed by several ready providers, or only by some that are not ready.
    pub fn resolve<'n>(&self, name: &'n str, ready: &dyn Fn(&str) -> bool) -> Result<(&Provider, &'n str), ResolveError> {
        if let Some((first, rest)) = name.split_once('/')
            && let Some(provider) = self.get(first)
        {
            return if rest.is_empty() { Err(ResolveError::Empty { name: name.to_owned() }) } else { Ok((provider, rest)) };
        }
        if name.is_empty() {
            return Err(ResolveError::Empty { name: String::new() });
        }
        let (able, idle): (Vec<&Provider>, Vec<&Provider>) =
            self.iter().filter(|provider| provider.claims(name)).partition(|provider| ready(&provider.id));
        match (able.as_slice(), idle.as_slice()) {
            (&[provider], _) => Ok((provider, name)),
            (&[], &[]) => Err(ResolveError::Unknown { name: name.to_owned(), nearest: self.nearest_name(name, ready) }),
            (&[], idle) => Err(not_ready(name, idle)),
            (several, _) => {
                let choices = several.iter().map(|provider| format!("{}/{name}", provider.id)).collect();
                Err(ResolveError::Ambiguous { name: name.to_owned(), choices })
            }
        }
    }

    /// A target gets its first segment mended, by a provider that is ready if one is near. A bare name is compared with
    /// the models that the ready providers list in full, and with the names of providers.
    fn nearest_name(&self, name: &str, ready: &dyn Fn(&str) -> bool) -> Option<String> {
        let ids = || self.iter().map(|provider| provider.id.as_str());
        let nearest_id = |word: &str| nearest(word, ids().filter(|id| ready(id))).or_else(|| nearest(word, ids()));
        if let Some((first, rest)) = name.split_once('/') {
            return nearest_id(first).map(|id| format!("{id}/{rest}"));
        }
        let models = self.iter().filter(|provider| ready(&provider.id)).flat_map(|provider| &provider.models);
        let whole = models.map(String::as_str).filter(|pattern| !pattern.contains('*'));
        if let Some(model) = nearest(name, whole) {
            return Some(model.to_owned());
        }
        nearest_id(name).map(|id| format!("{id}/…"))
    }
}

fn not_ready(name: &str, idle: &[&Provider]) -> ResolveError {
    let first = |provider: &&Provider| provider.auth.env_names().into_iter().next();
    ResolveError::NotReady {
        name: name.to_owned(),
        providers: idle.iter().map(|provider| provider.id.clone()).collect(),
        variables: idle.iter().filter_map(first).collect(),
    }
}

impl Provider {
    /// Whether one of its patterns matches a bare model name.
    pub fn claims(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| matches(pattern, model))
    }
}

/// Whether a pattern covers a whole text. `*` stands for any run of characters, none included; nothing else is special.
/// Time is bounded by the product of both lengths.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = tail.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest place is enough: it leaves the most for the parts to come.
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_know_only_the_star() {
        for (pattern, text) in [
            ("gpt-*", "gpt-"),
            ("gpt-*", "gpt-4o"),
            ("*", ""),
            ("a*c*e", "abcde"),
            ("a*b", "ab"),
            ("**", "x"),
            ("a*a", "aa"),
            ("x", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("gpt-*", "gpt"), ("a*a", "a"), ("a*c*e", "abce_"), ("x", "xx"), ("", "x"), ("a?", "ab"), ("*ab*ab", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
