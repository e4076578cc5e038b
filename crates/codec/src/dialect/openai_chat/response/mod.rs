//! Whole answers, and what whole and streamed answers have in common.

mod read;
mod write;

pub(crate) use read::{
    failed, flatten, made_up_id, read_answer, read_arguments, read_call_signature, read_citation, read_detail, read_extra,
    read_finish, read_image, read_logprobs, read_part, read_response, read_tokens, read_url, read_whole, reasoning_text,
};
pub(crate) use write::{
    CallOut, DataUrl, DetailOut, LogprobOut, LogprobsOut, UsageOut, citation_out, detail_out, logprobs_out, write_finish,
    write_response,
};
