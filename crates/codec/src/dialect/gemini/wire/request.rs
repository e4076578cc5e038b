//! What is asked.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Many, Num, Rest, Str};

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
