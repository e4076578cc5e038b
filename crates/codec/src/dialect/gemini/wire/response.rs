//! What is answered.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Many, Num, Rest, Str, Turn};

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
        /// A number; other servers write words.
        code: &'a RawValue = "code",
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
pub(crate) struct Chunks<'a>(pub(crate) Vec<Chunk<'a>>);

/// Reads a frame or a whole body.
pub(crate) fn read_chunks(data: &[u8]) -> Result<Chunks<'_>, serde_json::Error> {
    if data.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice(data).map(Chunks)
    } else {
        serde_json::from_slice(data).map(|chunk| Chunks(vec![chunk]))
    }
}
