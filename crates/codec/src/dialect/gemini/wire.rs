//! The shapes of `generateContent`, tolerant: every field may be missing, names may be camelCase or snake_case,
//! enum words are strings, and fields that we do not know are kept as they were written.
//!
//! Source: the discovery document of `generativelanguage` v1beta.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Fields beyond the known ones, as written.
pub(super) type Rest<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The value of a piece of JSON; `null` when it cannot be held (a number out of range).
pub(super) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or(Value::Null)
}

/// A string, borrowed where nothing is escaped.
#[derive(Clone, Debug, Default)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// A number, which proto JSON lets people write as a string too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Num(pub(super) f64);

impl Num {
    /// As a count; negative ones are 0.
    pub(super) fn count(self) -> u64 {
        self.0 as u64
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Num;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Num, E> {
                Ok(Num(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Num, E> {
                Ok(Num(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Num, E> {
                Ok(Num(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Num, E> {
                let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
                number.map(Num).ok_or_else(|| E::invalid_type(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// A list; a lone object counts as a list of one, because the service takes it so.
#[derive(Clone, Debug)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(Many(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

/// Defines a struct of optional fields that is read from an object, each field under all its names; the rest is kept raw.
///
/// A derive could do neither: flattened rests do not carry raw JSON, and buffering them costs a tree a frame.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $key:literal $(| $alias:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name<'a> {
            $($(#[$field_doc])* pub(super) $field: Option<$ty>,)*
            /// Fields that are not known.
            pub(super) rest: Rest<'a>,
            /// A known field that came twice.
            pub(super) repeated: Option<&'static str>,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visit<'a>(PhantomData<&'a ()>);
                impl<'de: 'a, 'a> Visitor<'de> for Visit<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<Str<'de>>()? {
                            match &*key {
                                $($key $(| $alias)* => {
                                    if object.$field.is_some() {
                                        object.repeated = Some($key);
                                    }
                                    object.$field = map.next_value()?;
                                })*
                                _ => object.rest.push((key.0, map.next_value::<&'de RawValue>()?)),
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Visit(PhantomData))
            }
        }
    };
}

object! {
    /// `GenerateContentRequest`, and `CountTokensRequest` too.
    Body {
        contents: Many<Turn<'a>> = "contents",
        system: Turn<'a> = "systemInstruction" | "system_instruction",
        tools: Many<ToolSet<'a>> = "tools",
        tool_config: ToolConfig<'a> = "toolConfig" | "tool_config",
        config: Config<'a> = "generationConfig" | "generation_config",
        service_tier: Str<'a> = "serviceTier" | "service_tier",
        inner: &'a RawValue = "generateContentRequest" | "generate_content_request",
    }
}

object! {
    /// `Content`.
    Turn {
        role: Str<'a> = "role",
        parts: Many<Piece<'a>> = "parts",
    }
}

object! {
    /// `Part`.
    Piece {
        text: Str<'a> = "text",
        thought: bool = "thought",
        signature: Str<'a> = "thoughtSignature" | "thought_signature",
        blob: Blob<'a> = "inlineData" | "inline_data",
        file: FileRef<'a> = "fileData" | "file_data",
        call: Call<'a> = "functionCall" | "function_call",
        result: Outcome<'a> = "functionResponse" | "function_response",
    }
}

object! {
    /// `Blob`.
    Blob {
        media_type: Str<'a> = "mimeType" | "mime_type",
        data: Str<'a> = "data",
    }
}

object! {
    /// `FileData`.
    FileRef {
        media_type: Str<'a> = "mimeType" | "mime_type",
        uri: Str<'a> = "fileUri" | "file_uri",
    }
}

object! {
    /// `FunctionCall`; the last two fields only with streamed arguments.
    Call {
        id: Str<'a> = "id",
        name: Str<'a> = "name",
        args: &'a RawValue = "args",
        partial: Many<PartialArg<'a>> = "partialArgs" | "partial_args",
        more: bool = "willContinue" | "will_continue",
    }
}

object! {
    /// `PartialArg`: one value, or a piece of a string, and its place in the arguments.
    PartialArg {
        path: Str<'a> = "jsonPath" | "json_path",
        string: Str<'a> = "stringValue" | "string_value",
        number: &'a RawValue = "numberValue" | "number_value",
        boolean: bool = "boolValue" | "bool_value",
        more: bool = "willContinue" | "will_continue",
    }
}

object! {
    /// `FunctionResponse`.
    Outcome {
        id: Str<'a> = "id",
        name: Str<'a> = "name",
        response: &'a RawValue = "response",
        parts: Many<Piece<'a>> = "parts",
    }
}

object! {
    /// `Tool`: functions, or tools of the provider's own under their names.
    ToolSet {
        functions: Many<Function<'a>> = "functionDeclarations" | "function_declarations",
    }
}

object! {
    /// `FunctionDeclaration`.
    Function {
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        parameters: &'a RawValue = "parameters",
        json_schema: &'a RawValue = "parametersJsonSchema" | "parameters_json_schema",
    }
}

object! {
    /// `ToolConfig`.
    ToolConfig {
        calling: Calling<'a> = "functionCallingConfig" | "function_calling_config",
    }
}

object! {
    /// `FunctionCallingConfig`.
    Calling {
        mode: Str<'a> = "mode",
        allowed: Vec<Str<'a>> = "allowedFunctionNames" | "allowed_function_names",
    }
}

object! {
    /// `GenerationConfig`.
    Config {
        temperature: Num = "temperature",
        top_p: Num = "topP" | "top_p",
        top_k: Num = "topK" | "top_k",
        n: Num = "candidateCount" | "candidate_count",
        max_tokens: Num = "maxOutputTokens" | "max_output_tokens",
        stop: Vec<Str<'a>> = "stopSequences" | "stop_sequences",
        seed: Num = "seed",
        presence_penalty: Num = "presencePenalty" | "presence_penalty",
        frequency_penalty: Num = "frequencyPenalty" | "frequency_penalty",
        logprobs: bool = "responseLogprobs" | "response_logprobs",
        top_logprobs: Num = "logprobs",
        media_type: Str<'a> = "responseMimeType" | "response_mime_type",
        schema: &'a RawValue = "responseSchema" | "response_schema",
        json_schema: &'a RawValue = "responseJsonSchema" | "response_json_schema",
        thinking: Thinking<'a> = "thinkingConfig" | "thinking_config",
        modalities: Vec<Str<'a>> = "responseModalities" | "response_modalities",
        speech: &'a RawValue = "speechConfig" | "speech_config",
    }
}

object! {
    /// `ThinkingConfig`.
    Thinking {
        show: bool = "includeThoughts" | "include_thoughts",
        budget: Num = "thinkingBudget" | "thinking_budget",
        level: Str<'a> = "thinkingLevel" | "thinking_level",
    }
}

object! {
    /// `GenerateContentResponse`, whole or one of a stream.
    Chunk {
        candidates: Many<Candidate<'a>> = "candidates",
        feedback: Feedback<'a> = "promptFeedback" | "prompt_feedback",
        usage: UsageMetadata<'a> = "usageMetadata" | "usage_metadata",
        model: Str<'a> = "modelVersion" | "model_version",
        id: Str<'a> = "responseId" | "response_id",
        error: &'a RawValue = "error",
    }
}

object! {
    /// `Candidate`.
    Candidate {
        index: Num = "index",
        content: Turn<'a> = "content",
        finish: Str<'a> = "finishReason" | "finish_reason",
        message: Str<'a> = "finishMessage" | "finish_message",
        citations: CitationMetadata<'a> = "citationMetadata" | "citation_metadata",
        grounding: &'a RawValue = "groundingMetadata" | "grounding_metadata",
        logprobs: LogprobsResult<'a> = "logprobsResult" | "logprobs_result",
    }
}

object! {
    /// `PromptFeedback`.
    Feedback {
        reason: Str<'a> = "blockReason" | "block_reason",
        message: Str<'a> = "blockReasonMessage" | "block_reason_message",
    }
}

object! {
    /// `UsageMetadata`.
    UsageMetadata {
        prompt: Num = "promptTokenCount" | "prompt_token_count",
        tool_prompt: Num = "toolUsePromptTokenCount" | "tool_use_prompt_token_count",
        cached: Num = "cachedContentTokenCount" | "cached_content_token_count",
        answer: Num = "candidatesTokenCount" | "candidates_token_count" | "responseTokenCount" | "response_token_count",
        thoughts: Num = "thoughtsTokenCount" | "thoughts_token_count",
        total: Num = "totalTokenCount" | "total_token_count",
        prompt_details: Many<ModalityCount<'a>> = "promptTokensDetails" | "prompt_tokens_details",
        answer_details: Many<ModalityCount<'a>> =
            "candidatesTokensDetails" | "candidates_tokens_details" | "responseTokensDetails" | "response_tokens_details",
    }
}

object! {
    /// `ModalityTokenCount`.
    ModalityCount {
        modality: Str<'a> = "modality",
        count: Num = "tokenCount" | "token_count",
    }
}

object! {
    /// `CitationMetadata`: `citationSources` in one service, `citations` in the other.
    CitationMetadata {
        sources: Vec<&'a RawValue> = "citationSources" | "citations" | "citation_sources",
    }
}

object! {
    /// `CitationSource`; offsets in bytes.
    CitationSource {
        start: Num = "startIndex" | "start_index",
        end: Num = "endIndex" | "end_index",
        uri: Str<'a> = "uri",
        title: Str<'a> = "title",
    }
}

object! {
    /// `GroundingMetadata`.
    Grounding {
        chunks: Many<GroundingChunk<'a>> = "groundingChunks" | "grounding_chunks",
        supports: Many<GroundingSupport<'a>> = "groundingSupports" | "grounding_supports",
    }
}

object! {
    /// `GroundingChunk`: a source of one of several kinds.
    GroundingChunk {
        web: CitationSource<'a> = "web",
        retrieved: CitationSource<'a> = "retrievedContext" | "retrieved_context",
        maps: CitationSource<'a> = "maps",
    }
}

object! {
    /// `GroundingSupport`: which words rest on which sources.
    GroundingSupport {
        segment: Segment<'a> = "segment",
        chunks: Vec<Num> = "groundingChunkIndices" | "grounding_chunk_indices",
    }
}

object! {
    /// `Segment`; offsets in bytes.
    Segment {
        start: Num = "startIndex" | "start_index",
        end: Num = "endIndex" | "end_index",
        text: Str<'a> = "text",
    }
}

object! {
    /// `LogprobsResult`.
    LogprobsResult {
        chosen: Many<TokenProbability<'a>> = "chosenCandidates" | "chosen_candidates",
        top: Many<TopTokens<'a>> = "topCandidates" | "top_candidates",
    }
}

object! {
    /// `TopCandidates`.
    TopTokens {
        candidates: Many<TokenProbability<'a>> = "candidates",
    }
}

object! {
    /// A token and its probability.
    TokenProbability {
        token: Str<'a> = "token",
        logprob: Num = "logProbability" | "log_probability",
    }
}

object! {
    /// `google.rpc.Status`.
    Status {
        code: Num = "code",
        message: Str<'a> = "message",
        status: Str<'a> = "status",
        details: Many<Detail<'a>> = "details",
    }
}

object! {
    /// One of a status's details, of whatever `@type`: the fields of those that we act on.
    Detail {
        reason: Str<'a> = "reason",
        retry_delay: Str<'a> = "retryDelay" | "retry_delay",
        quota: Many<Violation<'a>> = "violations",
        fields: Many<Violation<'a>> = "fieldViolations" | "field_violations",
    }
}

object! {
    /// A violation of a quota or of a field's rules.
    Violation {
        field: Str<'a> = "field",
        quota_id: Str<'a> = "quotaId" | "quota_id",
    }
}

object! {
    /// `CountTokensResponse`.
    Count {
        total: Num = "totalTokens" | "total_tokens",
    }
}

/// A reply: one object, or the array that a stream without events is.
#[derive(Debug)]
pub(super) struct Chunks<'a>(pub(super) Vec<Chunk<'a>>);

/// Reads a frame or a whole body.
pub(super) fn read_chunks(data: &[u8]) -> Result<Chunks<'_>, serde_json::Error> {
    if data.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice(data).map(Chunks)
    } else {
        serde_json::from_slice(data).map(|chunk| Chunks(vec![chunk]))
    }
}
