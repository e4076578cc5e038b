//! The laws of a streamed answer, as `ir::Event` states them.

use std::collections::{HashMap, HashSet};

use trunkline_codec::ir::{Delta, Event, PartStart};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Text,
    Call,
    Audio,
    Whole,
}

/// Panics with `case` and the law that `events` break. `ended`: whether the stream came to its end.
pub(crate) fn check(case: &str, events: &[Event], ended: bool) {
    let mut open: HashMap<(u32, u32), Kind> = HashMap::new();
    let mut next: HashMap<u32, u32> = HashMap::new();
    let mut finished: HashSet<u32> = HashSet::new();
    let mut over = false;
    for (position, event) in events.iter().enumerate() {
        let at = format!("{case}: event {position} ({event:?})");
        assert!(!over, "{at}: something after the end");
        assert_eq!(position == 0, matches!(event, Event::Start { .. }), "{at}: the start comes first and once");
        match event {
            Event::PartStart { choice, part, start } => {
                assert!(!finished.contains(choice), "{at}: after the choice's finish");
                let due = next.entry(*choice).or_default();
                assert_eq!(part, due, "{at}: parts count up");
                *due += 1;
                let kind = match start {
                    PartStart::Text | PartStart::Reasoning | PartStart::Refusal => Kind::Text,
                    PartStart::ToolCall { id, .. } => {
                        assert!(!id.is_empty(), "{at}: a call has an id");
                        Kind::Call
                    }
                    PartStart::Audio { .. } => Kind::Audio,
                    PartStart::Whole { .. } => Kind::Whole,
                };
                open.insert((*choice, *part), kind);
            }
            Event::Delta { choice, part, delta } => {
                let kind = open.get(&(*choice, *part)).unwrap_or_else(|| panic!("{at}: the part is not open"));
                let fits = match delta {
                    Delta::Text(text) => *kind == Kind::Text && !text.is_empty(),
                    Delta::Arguments(text) => *kind == Kind::Call && !text.is_empty(),
                    Delta::Audio(_) | Delta::Transcript(_) => *kind == Kind::Audio,
                    Delta::Citation(_) => *kind == Kind::Text,
                    Delta::Signature(_) => true,
                };
                assert!(fits, "{at}: such a part does not grow by this");
            }
            Event::PartEnd { choice, part } => {
                assert!(open.remove(&(*choice, *part)).is_some(), "{at}: the part is not open");
            }
            Event::Logprobs { choice, .. } => assert!(!finished.contains(choice), "{at}: after the choice's finish"),
            Event::Finish { choice, .. } => {
                assert!(finished.insert(*choice), "{at}: a choice finishes once");
                assert!(!open.keys().any(|(of, _)| of == choice), "{at}: a part is still open");
            }
            Event::End => over = true,
            Event::Start { .. } | Event::Usage { .. } | Event::Foreign { .. } => {}
        }
    }
    assert_eq!(over, ended, "{case}: a stream that went well has an end, and no other has");
    if ended {
        assert!(next.keys().all(|choice| finished.contains(choice)), "{case}: every choice finishes");
    }
}
