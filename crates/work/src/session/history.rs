//! What a model is told of what was said before. Pure.

use std::collections::{HashMap, HashSet};

use trunkline::config::Window;
use trunkline::ir::{Content, Message, Part, Request, Role, Source};
use trunkline::{Losses, call};
use trunkline_store::TurnRow;

/// A conversation so far, as far as the next call gets it.
#[derive(Clone, Copy, Debug, Default)]
pub struct History<'a> {
    /// Instructions before it, unless the new messages begin with some.
    pub system: Option<&'a str>,
    /// What the turns before these come to.
    pub summary: Option<&'a str>,
    /// The turns, the oldest first.
    pub turns: &'a [TurnRow],
}

impl History<'_> {
    /// The messages of a call that goes on with `new`, for this provider (its id): what only another one can read is left
    /// out, and told. Without a provider it is what anybody may be sent.
    ///
    /// The order is: instructions, summary, turns, what is new. Calls of tools without a result are left out, and so are
    /// results without a call; ids of calls that come twice are told apart.
    pub fn messages(&self, new: &[Message], provider: Option<&str>) -> (Vec<Message>, Losses) {
        let mut losses = Losses::default();
        let instructions = instructions(new);
        let (first, rest) = new.split_at_checked(instructions).unwrap_or((&[], new));
        let mut messages: Vec<Message> = first.to_vec();
        if let Some(system) = self.system.filter(|_| first.is_empty()) {
            messages.push(Message::text(Role::System, system));
        }
        if let Some(summary) = self.summary {
            messages.push(Message::text(Role::System, format!("{SUMMARY}\n\n{summary}")));
        }
        for turn in self.turns {
            let maker = maker(turn);
            let reader = Reader { maker, own: maker.is_some() && maker == provider };
            let said = turn.asked.iter().map(|message| (message, false));
            let answered = turn.answered.iter().map(|message| (message, turn.is_partial()));
            for (message, broken) in said.chain(answered) {
                let message = reader.read(message, broken, messages.len(), &mut losses);
                messages.extend(message);
            }
        }
        let known = messages.len();
        messages.extend_from_slice(rest);
        pair(&mut messages, known, &mut losses);
        (messages, losses)
    }
}

/// What stands before a summary.
const SUMMARY: &str = "What was said in this conversation before, in short:";

/// How many messages at the beginning are instructions.
pub fn instructions(messages: &[Message]) -> usize {
    messages.iter().take_while(|message| message.role == Role::System).count()
}

/// The provider that answered.
fn maker(turn: &TurnRow) -> Option<&str> {
    turn.target.as_deref().map(|target| target.split_once('/').map_or(target, |(provider, _)| provider))
}

/// Who reads a turn.
struct Reader<'a> {
    maker: Option<&'a str>,
    /// Whether it is its maker.
    own: bool,
}

impl Reader<'_> {
    /// The message as it can be read; nothing if nothing is left of it.
    fn read(&self, message: &Message, broken: bool, at: usize, losses: &mut Losses) -> Option<Message> {
        let mut read = Message { parts: Vec::with_capacity(message.parts.len()), ..message.clone() };
        for (number, part) in message.parts.iter().enumerate() {
            let place = || format!("messages[{at}].parts[{number}]");
            let half = broken && matches!(part.content, Content::ToolCall { .. } | Content::Foreign { .. });
            if half {
                losses.add(place(), "the answer broke off before it was whole");
                continue;
            }
            match self.part(part) {
                Found::Whole => read.parts.push(part.clone()),
                Found::Without(part) => {
                    losses.add(format!("{}.signature", place()), self.why());
                    read.parts.push(*part);
                }
                Found::Nothing => losses.add(place(), self.why()),
            }
        }
        (!read.parts.is_empty()).then_some(read)
    }

    fn why(&self) -> String {
        match self.maker {
            Some(maker) => format!("only {maker}, which has made it, can read it"),
            None => "nobody knows who can read it".to_owned(),
        }
    }

    fn part(&self, part: &Part) -> Found {
        if self.own {
            return Found::Whole;
        }
        match &part.content {
            Content::Foreign { .. }
            | Content::Reasoning { redacted: true, .. }
            | Content::Image { source: Source::File { .. }, .. }
            | Content::Document { source: Source::File { .. }, .. }
            | Content::Audio { source: Source::File { .. }, .. }
            | Content::Video { source: Source::File { .. } } => Found::Nothing,
            Content::Reasoning { text, .. } if text.is_empty() => Found::Nothing,
            _ if part.signature.is_some() => Found::Without(Box::new(Part { signature: None, ..part.clone() })),
            _ => Found::Whole,
        }
    }
}

enum Found {
    Whole,
    Without(Box<Part>),
    Nothing,
}

/// Makes calls of tools and their results fit each other. `known` is how many messages are of the history: of those, what
/// has no other half is left out. An id that comes again is made another one.
fn pair(messages: &mut Vec<Message>, known: usize, losses: &mut Losses) {
    let (mut open, mut orphans) = (HashMap::new(), HashSet::new());
    let mut names: HashMap<String, String> = HashMap::new();
    let mut count = 0u32;
    for (at, message) in messages.iter_mut().enumerate() {
        for (number, part) in message.parts.iter_mut().enumerate() {
            match &mut part.content {
                Content::ToolCall { id, .. } => {
                    let told = id.clone();
                    if names.contains_key(&told) {
                        count += 1;
                        *id = format!("{told}_{count}");
                    }
                    names.insert(told, id.clone());
                    open.insert(id.clone(), (at, number));
                }
                Content::ToolResult { id, .. } => {
                    match names.get(id.as_str()) {
                        Some(name) => {
                            open.remove(name);
                            id.clone_from(name);
                        }
                        None => _ = orphans.insert((at, number)),
                    };
                }
                _ => {}
            }
        }
    }
    orphans.extend(open.into_values());
    orphans.retain(|(at, _)| *at < known);
    for (at, number) in &orphans {
        losses.add(format!("messages[{at}].parts[{number}]"), "a call of a tool and its result are of no use without each other");
    }
    for (at, message) in messages.iter_mut().enumerate().take(known) {
        let mut number = 0;
        message.parts.retain(|_| {
            number += 1;
            !orphans.contains(&(at, number - 1))
        });
    }
    messages.retain(|message| !message.parts.is_empty());
}

/// The first of the turns that the next call gets. `new` is what it says: if that gives results of tools, their calls stay.
pub fn first_kept(turns: &[TurnRow], new: &[Message], window: &Window) -> usize {
    let mut starts: Vec<usize> = (0..).zip(turns).filter(|(_, turn)| !goes_on(&turn.asked)).map(|(at, _)| at).collect();
    if turns.first().is_some_and(|turn| goes_on(&turn.asked)) {
        starts.insert(0, 0);
    }
    let last = starts.last().copied().unwrap_or(0);
    let most = match window {
        Window::All | Window::Summary { .. } => return 0,
        Window::Turns(most) => {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            return starts.len().checked_sub(most).and_then(|at| starts.get(at).copied()).unwrap_or(0);
        }
        Window::Tokens(most) => *most,
    };
    let (mut sum, mut first, mut end) = (0u64, turns.len(), turns.len());
    for start in starts.into_iter().rev() {
        sum = turns.get(start..end).into_iter().flatten().map(tokens).fold(sum, u64::saturating_add);
        if sum > most {
            break;
        }
        (first, end) = (start, start);
    }
    if goes_on(new) { first.min(last) } else { first }
}

/// Where in these turns the last so many begin: the index of the first, which begins a question.
pub(super) fn last_questions(turns: &[TurnRow], most: u32) -> usize {
    first_kept(turns, &[], &Window::Turns(most))
}

/// How many questions there are.
pub fn questions(turns: &[TurnRow]) -> usize {
    turns.iter().filter(|turn| !goes_on(&turn.asked)).count()
}

/// Whether these messages give the results of tools that were called before them.
pub fn goes_on(messages: &[Message]) -> bool {
    let mut called = HashSet::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        match &part.content {
            Content::ToolCall { id, .. } => _ = called.insert(id.as_str()),
            Content::ToolResult { id, .. } if !called.contains(id.as_str()) => return true,
            _ => {}
        }
    }
    false
}

/// What a turn takes of the next prompt, by estimate.
pub fn tokens(turn: &TurnRow) -> u64 {
    let messages = turn.asked.iter().chain(&turn.answered).cloned().collect();
    call::estimate(&Request { messages, ..Request::default() }).input
}

/// How many of the first messages are the conversation that these turns are, told again; and the turn that they end with.
/// The caller may have left out the oldest turns, and may have gone back over the last. `None` when they are something new.
pub fn told_again(turns: &[TurnRow], messages: &[Message]) -> Option<(usize, usize)> {
    let skipped = instructions(messages);
    let said = messages.get(skipped..).unwrap_or_default();
    if !said.iter().any(|message| message.role == Role::Assistant) {
        return None;
    }
    (0..turns.len()).find_map(|from| {
        let (mut place, mut last) = (0, None);
        for (at, turn) in turns.iter().enumerate().skip(from) {
            let of: Vec<&Message> = turn.asked.iter().chain(&turn.answered).filter(|message| !gist(message).is_empty()).collect();
            let told = said.get(place..place + of.len());
            let same = told.is_some_and(|told| told.iter().zip(&of).all(|(one, other)| is_same(one, other)));
            // What was asked last is new, even if it was asked before.
            if !same || place + of.len() >= said.len() {
                break;
            }
            place += of.len();
            last = turn.answered.is_some().then_some(at).or(last);
        }
        last.map(|last| (skipped + place, last))
    })
}

fn is_same(one: &Message, other: &Message) -> bool {
    one.role == other.role && gist(one) == gist(other)
}

/// What two tellings of a message have in common, whichever dialects they went through.
fn gist(message: &Message) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut text = String::new();
    for part in &message.parts {
        match &part.content {
            Content::Text { text: more, .. } | Content::Refusal { text: more } => text.push_str(more.trim()),
            Content::ToolCall { name, arguments, .. } => {
                let value: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
                told.push(format!("call {name} {value}"));
            }
            Content::ToolResult { parts, .. } => {
                let texts = parts.iter().map(|part| match &part.content {
                    Content::Text { text, .. } => text.trim(),
                    _ => "?",
                });
                told.push(format!("result {}", texts.collect::<String>()));
            }
            Content::Reasoning { .. } | Content::Foreign { .. } => {}
            Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } | Content::Video { .. } => {
                told.push("medium".to_owned());
            }
        }
    }
    if !text.is_empty() {
        told.insert(0, format!("text {text}"));
    }
    told
}

/// The longest title that is made by itself, in characters.
const TITLE: usize = 60;

/// A conversation's title: the first words of its first question.
pub fn title(messages: &[Message]) -> String {
    let first = messages.iter().find(|message| message.role == Role::User);
    // What is looked at stands before what is asked about it.
    let text = |message: &Message| {
        let texts = message.parts.iter().rev().filter_map(|part| match &part.content {
            Content::Text { text, .. } if !text.trim().is_empty() => Some(text.clone()),
            _ => None,
        });
        texts.into_iter().next()
    };
    let question = first.and_then(text).unwrap_or_default();
    let words = question.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= TITLE {
        return words;
    }
    let short: String = words.chars().take(TITLE).collect();
    // Between words, where there are any.
    let end = short.rfind(' ').filter(|end| *end > TITLE / 2).unwrap_or(short.len());
    format!("{}…", short.get(..end).unwrap_or(&short))
}
