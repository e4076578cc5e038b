//! Integration tests of the codec, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod advice;
mod anthropic_messages;
mod asked;
mod batch;
mod catalog;
mod cohere_chat;
mod fixture;
mod frame;
mod gemini;
mod import;
mod json;
mod kind;
mod law;
mod matrix;
mod message;
mod ollama;
mod openai_chat;
mod openai_responses;
mod operation;
mod phrase;
mod price;
mod request;
mod usage;
