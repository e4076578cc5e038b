//! Contents and their parts: the turns of a conversation, read and written.

mod part;
mod read;
mod result;
mod write;

pub(crate) use read::{Conversation, read_plain};
pub(crate) use result::put_arguments;
pub(crate) use write::write;

/// The most characters of an answer's id that go into the ids of its calls.
const TAG: usize = 32;

/// An id for a call that came without one: of the answer's id and the call's place, so that it is the same whenever
/// the same bytes are read. It is not written back, because its maker does not know it.
pub(crate) fn make_id(tag: &str, first: usize, second: usize) -> String {
    let tag: String = tag.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(TAG).collect();
    let gap = if tag.is_empty() { "" } else { "_" };
    format!("call_{tag}{gap}{first}_{second}")
}

/// Whether [`make_id`] made it.
pub(crate) fn is_made_up(id: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = id.rsplitn(3, '_');
    let (last, before) = (parts.next(), parts.next());
    id.starts_with("call_") && last.is_some_and(number) && before.is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ids_are_known_again() {
        for id in [make_id("", 0, 3), make_id("mAita_Lmk-HPP", 1, 0), make_id(&"x".repeat(100), 0, 0)] {
            assert!(is_made_up(&id) && id.len() <= 64, "{id}");
        }
        for id in ["call_abc", "call_1", "toolu_1_2", "call_a_b_1"] {
            assert!(!is_made_up(id), "{id}");
        }
    }
}
