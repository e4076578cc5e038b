//! Whole answers, and what whole and streamed answers have in common.

mod item;
mod read;
mod read_item;
mod write;

pub(super) use item::{Body, Item, Items, Said, annotation, is_piece};
pub(super) use read::{read_answer, read_extra, read_finish, read_response, settle_finish};
pub(super) use read_item::{
    PieceKind, foreign, kind_of, pieces_of, read_annotations, read_call, read_reasoning, read_thoughts, read_whole,
};
pub(super) use write::{Reply, write_response};
