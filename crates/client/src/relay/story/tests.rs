use super::*;

#[test]
fn a_repetition_is_found_and_chance_is_not() {
    let text = "It was the best of times, it was the worst of times";
    for (next, repeated, undecided) in [
        (" of times, it was", 0, true),
        (" of times, it is", 0, false),
        ("the worst of times, and", 18, false),
        ("it was the worst of", 0, true),
        ("it was the worst of times", 25, false),
        ("worst of times", 0, false),
        ("e worst of times", 16, false),
        ("e worst of time!", 0, false),
        (text, text.len(), false),
        ("", 0, true),
    ] {
        assert_eq!(overlap(text, next), (repeated, undecided), "{next:?}");
    }
    assert_eq!(overlap("short", "short and more"), (0, false));
    let wide = "天地玄黄宇宙洪荒日月盈昃辰宿列张";
    assert_eq!(overlap(wide, &format!("{wide}寒来暑往")), (wide.len(), false));
    assert_eq!(overlap(wide, "辰宿列张寒来暑往"), (0, false));
}

fn start() -> Event {
    Event::Start { id: "1".to_owned(), model: "m".to_owned(), created: None, extra: Default::default() }
}

fn begin(part: u32, start: PartStart) -> Event {
    Event::PartStart { choice: 0, part, start }
}

fn say(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn end(part: u32) -> Event {
    Event::PartEnd { choice: 0, part }
}

fn finish() -> Event {
    Event::Finish { choice: 0, finish: Default::default() }
}

fn tool() -> PartStart {
    PartStart::ToolCall { id: "call_1".to_owned(), name: "look".to_owned() }
}

fn used(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

/// The events of several answers, of which all but the last break off, as the caller gets them.
fn tell(answers: &[&[Event]]) -> (Vec<Event>, Story) {
    let (mut story, mut out) = (Story::default(), VecDeque::new());
    for (at, answer) in answers.iter().enumerate() {
        if at > 0 {
            assert!(story.may_go_on());
            story.turn(used(10, 2), &mut out);
        }
        answer.iter().for_each(|event| story.take(event.clone(), &mut out));
    }
    (out.into(), story)
}

#[test]
fn two_answers_are_told_as_one() {
    let usage = Event::Usage { usage: used(14, 3) };
    let second = [start(), begin(0, PartStart::Text), say(0, "lo"), end(0), finish(), usage, Event::End];
    let (told, story) = tell(&[&[start(), begin(0, PartStart::Text), say(0, "Hel")], &second]);
    let usage = Event::Usage { usage: used(24, 5) };
    assert_eq!(told, [start(), begin(0, PartStart::Text), say(0, "Hel"), say(0, "lo"), end(0), finish(), usage, Event::End]);
    assert!(!story.may_go_on(), "it is over");
}

#[test]
fn what_is_repeated_is_told_once() {
    let first = [start(), begin(0, PartStart::Text), say(0, "One, two, three, four, five")];
    let second = [start(), begin(0, PartStart::Text), say(0, "two, thr"), say(0, "ee, four, five, six"), end(0), finish()];
    let (told, _) = tell(&[&first, &second]);
    assert_eq!(told[3..], [say(0, ", six"), end(0), finish()]);
    // What looks like the beginning of a repetition, and is none, comes late but comes.
    let second = [begin(0, PartStart::Text), say(0, "two, thr"), end(0), finish()];
    assert_eq!(tell(&[&first, &second]).0[3..], [say(0, "two, thr"), end(0), finish()]);
    // Nobody has been told what was held when the second one broke off, too.
    let second = [begin(0, PartStart::Text), say(0, "two, thr")];
    let third = [begin(0, PartStart::Text), say(0, ", six"), end(0), finish()];
    assert_eq!(tell(&[&first, &second, &third]).0[3..], [say(0, ", six"), end(0), finish()]);
}

#[test]
fn parts_are_closed_and_counted_on() {
    let thought = [start(), begin(0, PartStart::Reasoning), say(0, "Hm")];
    let whole = [start(), begin(0, PartStart::Reasoning), say(0, "So"), end(0), begin(1, PartStart::Text), say(1, "Yes"), end(1)];
    let (told, _) = tell(&[&thought, &whole]);
    assert_eq!(
        told[2..],
        [
            say(0, "Hm"),
            end(0),
            begin(1, PartStart::Reasoning),
            say(1, "So"),
            end(1),
            begin(2, PartStart::Text),
            say(2, "Yes"),
            end(2)
        ]
    );
    // Who goes on with a text may think, but not aloud; and may call a tool, which ends the text.
    let text = [start(), begin(0, PartStart::Text), say(0, "Let me look")];
    let (told, story) =
        tell(&[&text, &[begin(0, PartStart::Reasoning), say(0, "Hm"), end(0), begin(1, tool()), end(1), finish()]]);
    assert_eq!(told[3..], [end(0), begin(1, tool()), end(1), finish()]);
    assert!(!story.may_go_on());
    // A text that is begun and says nothing is begun already.
    let empty = [start(), begin(0, PartStart::Text)];
    let text = [start(), begin(0, PartStart::Text), say(0, "Yes"), end(0)];
    assert_eq!(tell(&[&empty, &text]).0[2..], [say(0, "Yes"), end(0)]);
    assert_eq!(tell(&[&empty, &whole]).0[2..4], [end(0), begin(1, PartStart::Reasoning)]);
    // One that says nothing more ends the text.
    let text = [start(), begin(0, PartStart::Text), say(0, "Let me look")];
    assert_eq!(tell(&[&text, &[start(), finish(), Event::End]]).0[3..], [end(0), finish(), Event::End]);
}

#[test]
fn only_text_is_gone_on_with() {
    let signature = crate::ir::Signature { owner: "openai-chat", value: "x".to_owned() };
    let signed = Event::Delta { choice: 0, part: 0, delta: Delta::Signature(signature) };
    let other = Event::PartStart { choice: 1, part: 0, start: PartStart::Text };
    for (events, may) in [
        (&[][..], true),
        (&[start(), begin(0, PartStart::Text), say(0, "a")], true),
        (&[start(), begin(0, PartStart::Reasoning), say(0, "a")], true),
        (&[start(), begin(0, PartStart::Reasoning), say(0, "a"), signed], false),
        (&[start(), begin(0, tool())], false),
        (&[start(), begin(0, PartStart::Refusal)], false),
        (&[start(), begin(0, PartStart::Text), say(0, "a"), end(0), finish()], false),
        (&[start(), other], false),
    ] {
        assert_eq!(tell(&[events]).1.may_go_on(), may, "{events:?}");
    }
}

#[test]
fn who_goes_on_is_told_what_was_said() {
    let first = Request { max_tokens: Some(100), messages: vec![Message::text(Role::User, "Hi")], ..Request::default() };
    let (_, story) = tell(&[&[start(), begin(0, PartStart::Text), say(0, "Hello"), say(0, " you")]]);
    let request = story.request(&first);
    let said: Vec<(Role, String)> = request.messages.iter().map(|message| (message.role, message.plain_text())).collect();
    let expected = [(Role::User, "Hi"), (Role::Assistant, "Hello you"), (Role::User, LINE)];
    assert_eq!(said, expected.map(|(role, text)| (role, text.to_owned())));
    assert_eq!(request.max_tokens, Some(97));
    assert_eq!(Story::default().request(&first), first, "nothing said, nothing to go on with");
}
