//! What a model can do, in words.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares the abilities with their words and the list of them all.
macro_rules! abilities {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// One thing that a model can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        pub enum Ability { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl Ability {
            /// All of them, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that is written in data files and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

abilities! {
    /// Answers messages.
    Chat = "chat",
    /// Calls tools.
    Tools = "tools",
    /// Sees images.
    Vision = "vision",
    /// Reads documents (PDF) as they are.
    Documents = "documents",
    /// Hears audio.
    Audio = "audio",
    /// Watches video.
    Video = "video",
    /// Thinks before it answers.
    Reasoning = "reasoning",
    /// Keeps to a JSON schema.
    JsonSchema = "json_schema",
    /// Reuses a prompt's beginning at a lower price.
    Caching = "caching",
    /// Searches the web by itself.
    Search = "search",
    /// Makes images.
    Images = "images",
    /// Speaks.
    Speech = "speech",
    /// Writes down what is said.
    Transcription = "transcription",
    /// Turns text into vectors.
    Embeddings = "embeddings",
    /// Sorts documents by a query.
    Rerank = "rerank",
    /// Judges whether content is harmful.
    Moderation = "moderation",
    /// Talks over a live connection.
    Realtime = "realtime",
}

impl Ability {
    /// The ability of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|ability| ability.as_str() == word)
    }
}

/// A set of abilities. In TOML a list of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(u32);

impl Abilities {
    /// Whether one is in the set.
    pub const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u32) != 0
    }

    /// Whether all of the others are in the set.
    pub const fn has_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there are none: nothing is known.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in the set, in the order of [`Ability::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.iter().copied().filter(move |&ability| self.has(ability))
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        Self(abilities.into_iter().fold(0, |set, ability| set | (1 << ability as u32)))
    }
}

impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ability) in self.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            f.write_str(ability.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Abilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Ability::as_str))
    }
}

impl<'de> Deserialize<'de> for Abilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Ability>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Abilities = [Ability::Vision, Ability::Tools].into_iter().collect();
        assert!(set.has(Ability::Tools) && !set.has(Ability::Audio) && !set.is_empty());
        assert_eq!(set.to_string(), "tools, vision");
        assert!(set.has_all([Ability::Tools].into_iter().collect()));
        assert!(!set.has_all([Ability::Tools, Ability::Search].into_iter().collect()));
        let all: Abilities = Ability::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), Ability::ALL.len());
        assert!(Ability::ALL.iter().all(|&ability| Ability::find(ability.as_str()) == Some(ability)));
    }
}
