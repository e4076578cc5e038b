//! The shapes that answers and requests of this dialect have on the wire, for reading.
//!
//! Source: the type definitions of the `openai` package for Python, and what the many servers that speak this
//! dialect are known to send instead. Providers' answers are read leniently: numbers as text, one thing where a list is
//! usual, objects where JSON text is usual.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ir::Usage;

/// A string, borrowed where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A word or count from a provider: whatever is not one is as good as absent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number, fractions cut off.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
    /// Something else.
    Other,
}

impl Scalar<'_> {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn count(&self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }

    /// As a word: text as it is, a number in digits.
    pub(crate) fn word(&self) -> Option<String> {
        match self {
            Scalar::Text(text) => Some(text.clone().into_owned()),
            Scalar::Number(number) => Some(number.to_string()),
            Scalar::Flag(_) | Scalar::Other => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(i64::try_from(number).unwrap_or(i64::MAX)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number as i64))
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Flag(flag))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One `T` or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Many(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
            type Value = Many<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Many(Vec::new()))
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                T::deserialize(de::value::BorrowedStrDeserializer::new(text)).map(|one| Many(vec![one]))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| Many(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = list.next_element()? {
                    many.push(one);
                }
                Ok(Many(many))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }
        }
        deserializer.deserialize_any(OneOrMany(PhantomData))
    }
}

/// The content of a message: text, or parts that are looked into later.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// Just text.
    Text(String),
    /// A list.
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

/// What is said: the `message` of a whole answer or the `delta` of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said<'a> {
    #[serde(borrow)]
    pub(crate) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(crate) reasoning_content: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) reasoning: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) refusal: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) tool_calls: Option<Many<Call<'a>>>,
    #[serde(borrow)]
    pub(crate) function_call: Option<Function<'a>>,
    #[serde(borrow)]
    pub(crate) audio: Option<Audio<'a>>,
    #[serde(borrow)]
    pub(crate) annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) images: Option<&'a RawValue>,
}

/// A tool call or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Call<'a> {
    #[serde(borrow)]
    pub(crate) index: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) function: Option<Function<'a>>,
    #[serde(borrow)]
    pub(crate) custom: Option<Custom<'a>>,
    #[serde(borrow)]
    pub(crate) extra_content: Option<&'a RawValue>,
}

/// The tool and its arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Function<'a> {
    #[serde(borrow)]
    pub(crate) name: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) arguments: Option<&'a RawValue>,
}

/// A tool that takes free text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Custom<'a> {
    #[serde(borrow)]
    pub(crate) name: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) input: Option<Scalar<'a>>,
}

/// Sound.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Audio<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) data: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) transcript: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) expires_at: Option<Scalar<'a>>,
}

/// One piece of `reasoning_details`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Detail {
    pub(crate) r#type: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) signature: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// Why it ended, besides what was said: shared by whole and streamed answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice<'a> {
    #[serde(borrow)]
    pub(crate) index: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) delta: Option<Said<'a>>,
    #[serde(borrow)]
    pub(crate) message: Option<Box<Said<'a>>>,
    #[serde(borrow)]
    pub(crate) text: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) finish_reason: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) native_finish_reason: Option<Scalar<'a>>,
    /// Some servers tell the stop text here.
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) logprobs: Option<&'a RawValue>,
    pub(crate) usage: Option<Tokens>,
}

/// A frame of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) model: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) created: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
    pub(crate) usage: Option<Tokens>,
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) object: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) code: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) base_resp: Option<BaseResp<'a>>,
    /// Addresses of sources, told once for the whole answer.
    #[serde(borrow)]
    pub(crate) citations: Option<Many<Scalar<'a>>>,
}

/// A status inside the body, zero when all is well.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BaseResp<'a> {
    #[serde(borrow)]
    pub(crate) status_code: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(crate) status_msg: Option<Scalar<'a>>,
}

/// The values of a list, or the one value that stands where a list is usual; nothing for what is no JSON.
pub(crate) fn list_of<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    let Some(raw) = raw else { return Vec::new() };
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_else(|_| vec![raw]);
    items.into_iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
}

/// Token counts under the names that servers of this dialect use for them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tokens {
    pub(crate) prompt_tokens: Option<Count>,
    pub(crate) completion_tokens: Option<Count>,
    pub(crate) total_tokens: Option<Count>,
    pub(crate) prompt_tokens_details: Option<Details>,
    pub(crate) prompt_token_details: Option<Details>,
    pub(crate) completion_tokens_details: Option<Details>,
    pub(crate) output_tokens_details: Option<Details>,
    pub(crate) prompt_cache_hit_tokens: Option<Count>,
    pub(crate) cached_tokens: Option<Count>,
    pub(crate) num_cached_tokens: Option<Count>,
    pub(crate) reasoning_tokens: Option<Count>,
    pub(crate) input_tokens: Option<Count>,
    pub(crate) output_tokens: Option<Count>,
}

impl Tokens {
    /// The canonical usage; `None` when nothing was told.
    pub(crate) fn usage(&self) -> Option<Usage> {
        fn first(counts: &[Option<Count>]) -> Option<u64> {
            counts.iter().flatten().find_map(|count| count.0)
        }
        let input = first(&[self.prompt_tokens, self.input_tokens]);
        let output = first(&[self.completion_tokens, self.output_tokens]);
        if input.is_none() && output.is_none() {
            return None;
        }
        let prompt = self.prompt_tokens_details.or(self.prompt_token_details).unwrap_or_default();
        let answer = self.completion_tokens_details.or(self.output_tokens_details).unwrap_or_default();
        let (input, mut output) = (input.unwrap_or(0), output.unwrap_or(0));
        let reasoning = first(&[answer.reasoning_tokens, self.reasoning_tokens]);
        // Some servers count reasoning beside the answer instead of within it; their total gives it away.
        let beside = reasoning.unwrap_or(0);
        let sum = input.saturating_add(output).saturating_add(beside);
        if beside > 0 && first(&[self.total_tokens]) == Some(sum) {
            output = output.saturating_add(beside);
        }
        Some(Usage {
            input,
            output,
            cache_read: first(&[prompt.cached_tokens, self.prompt_cache_hit_tokens, self.cached_tokens, self.num_cached_tokens]),
            cache_write: first(&[prompt.cache_write_tokens, prompt.cache_creation_input_tokens]),
            reasoning,
            audio_input: first(&[prompt.audio_tokens]),
            audio_output: first(&[answer.audio_tokens]),
            ..Usage::default()
        })
    }
}

/// Parts of a total.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) cached_tokens: Option<Count>,
    pub(crate) cache_write_tokens: Option<Count>,
    pub(crate) cache_creation_input_tokens: Option<Count>,
    pub(crate) reasoning_tokens: Option<Count>,
    pub(crate) audio_tokens: Option<Count>,
}

/// A count that may come as `7`, `7.0` or `"7"`; anything else counts as not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Count(scalar.count()))
    }
}
