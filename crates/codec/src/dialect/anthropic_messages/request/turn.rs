//! Messages as turns: the order that this dialect demands.
//!
//! User and assistant alternate; the results of tools stand first in the turn after the calls, one for each call;
//! ids keep to `[a-zA-Z0-9_-]` and occur once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::out::{self, Block, Content as Blocks, Item};
use super::field::Version;
use super::part::{Scribe, plain};
use crate::catalog::{Quirks, ReasoningReplay};
use crate::error::{Error, Result};
use crate::ir::{Content, Message, Part, Request, Role};
use crate::loss::Losses;

/// The messages, written.
pub(super) struct Turns<'a> {
    pub(super) system: Blocks<'a>,
    pub(super) messages: Vec<out::Message<'a>>,
    /// A tool loop is to go on, and its calls do not start with the thinking that led to them.
    pub(super) lacks_thinking: bool,
}

struct Turn<'a> {
    role: Role,
    /// The results of the calls of the turn before.
    results: Vec<Item<'a, Block<'a>>>,
    blocks: Vec<Item<'a, Block<'a>>>,
    /// Ids of calls that have no result yet, and where they stand.
    open: Vec<(String, String)>,
    /// Fields of the message that we do not act on.
    extra: Option<&'a Map<String, Value>>,
}

impl Turn<'_> {
    fn new(role: Role) -> Self {
        Turn { role, results: Vec::new(), blocks: Vec::new(), open: Vec::new(), extra: None }
    }
}

/// Writes all messages.
pub(super) fn write_messages<'a>(request: &'a Request, quirks: &Quirks, losses: &mut Losses) -> Result<Turns<'a>> {
    let version = Version::of(quirks);
    let mut order = Order { turns: Vec::new(), ids: Ids::default(), quirks, losses };
    let mut system = Vec::new();
    let head = request.messages.iter().take_while(|message| message.role == Role::System).count();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        note_extra(message, &path, order.losses);
        if message.role == Role::System && (at < head || version == Version::Sampling) {
            if at >= head && !message.parts.is_empty() {
                order.losses.add(path.clone(), "its position: instructions stand before all messages");
            }
            system.extend(order.write_system(message, &path));
        } else {
            order.take(message, &path);
            if let (Some(extra), Some(turn)) = (message.extra.of(super::NAME), order.turns.last_mut()) {
                turn.extra = Some(extra);
            }
        }
    }
    order.settle();
    order.start_with_user(&mut system)?;
    let turns = order.turns;
    let lacks_thinking = lacks_thinking(&turns);
    let messages = turns.into_iter().map(write_turn).collect();
    Ok(Turns { system: Blocks(system), messages, lacks_thinking })
}

fn note_extra(message: &Message, path: &str, losses: &mut Losses) {
    if message.name.is_some() {
        losses.add(format!("{path}.name"), "a speaker has no name here");
    }
    losses.add_foreign(path, &message.extra, super::NAME);
}

fn write_turn(turn: Turn<'_>) -> out::Message<'_> {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut blocks = turn.results;
    blocks.extend(turn.blocks);
    if turn.role == Role::Assistant {
        trim_end(blocks.last_mut());
    }
    out::Message { role, content: Blocks(blocks), extra: turn.extra }
}

/// White space at the end of an answer to be continued is refused, and in the others it means nothing.
fn trim_end(last: Option<&mut Item<'_, Block<'_>>>) {
    if let Some(Item::Own(Block { kind: "text", text: Some(text), .. })) = last {
        match text {
            Cow::Borrowed(text) => *text = text.trim_end(),
            Cow::Owned(text) => text.truncate(text.trim_end().len()),
        }
    }
}

fn lacks_thinking(turns: &[Turn<'_>]) -> bool {
    let goes_on = turns.last().is_some_and(|turn| turn.role == Role::User && !turn.results.is_empty());
    let calls = turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    let starts = calls.and_then(|turn| turn.blocks.first());
    goes_on && !matches!(starts, Some(Item::Own(Block { kind: "thinking" | "redacted_thinking", .. })))
}

struct Order<'a, 'l> {
    turns: Vec<Turn<'a>>,
    ids: Ids,
    quirks: &'l Quirks,
    losses: &'l mut Losses,
}

impl<'a> Order<'a, '_> {
    fn scribe(&mut self, role: Role) -> Scribe<'_> {
        Scribe { quirks: self.quirks, losses: self.losses, role, unproven: false }
    }

    fn write_system(&mut self, message: &'a Message, path: &str) -> Vec<Item<'a, Block<'a>>> {
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match part.content {
                Content::Text { .. } => blocks.extend(self.scribe(Role::System).write(part, &path)),
                _ => self.losses.add(path, "instructions can only be text"),
            }
        }
        blocks
    }

    fn take(&mut self, message: &'a Message, path: &str) {
        if message.role == Role::System {
            let blocks = self.write_system(message, path);
            self.turn(Role::System).blocks.extend(blocks);
            return;
        }
        let calls = || message.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let unproven = match self.quirks.reasoning_replay {
            ReasoningReplay::Never => false,
            ReasoningReplay::Tools | ReasoningReplay::Required => calls(),
            ReasoningReplay::Always => true,
        };
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match &part.content {
                Content::ToolResult { id, parts, .. } => self.take_result(part, id, parts, &path),
                Content::ToolCall { id, .. } => self.take_call(part, id, path),
                _ => {
                    let mut scribe = self.scribe(message.role);
                    scribe.unproven = unproven;
                    if let Some(block) = scribe.write(part, &path) {
                        self.turn(message.role).blocks.push(block);
                    }
                }
            }
        }
    }

    /// The turn of this role at the end, made if there is none.
    fn turn(&mut self, role: Role) -> &mut Turn<'a> {
        if self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn::new(role));
        }
        let last = self.turns.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was there or was pushed just above")]
        &mut self.turns[last]
    }

    fn take_call(&mut self, part: &'a Part, id: &str, path: String) {
        let Some(Item::Own(mut block)) = self.scribe(Role::Assistant).write(part, &path) else { return };
        let id = self.ids.give(id);
        block.id = Some(Cow::Owned(id.clone()));
        let turn = self.turn(Role::Assistant);
        turn.blocks.push(Item::Own(block));
        turn.open.push((id, path));
    }

    /// Puts a result first in the turn after its call; one that answers no call there becomes text.
    fn take_result(&mut self, part: &'a Part, id: &str, parts: &[Part], path: &str) {
        let id = self.ids.find(id);
        let calls = self.turns.iter().rposition(|turn| turn.role == Role::Assistant);
        let open = calls.and_then(|at| {
            let turn = self.turns.get_mut(at)?;
            let open = turn.open.iter().position(|(call, _)| *call == id)?;
            turn.open.remove(open);
            Some(at)
        });
        let Some(at) = open else {
            self.losses.add(path.to_owned(), "sent as text: no call of this id stands in the turn before");
            let text = plain(parts);
            if !text.trim().is_empty() {
                self.turn(Role::User).blocks.push(Item::Own(Block::text(text)));
            }
            return;
        };
        if let Some(Item::Own(mut block)) = self.scribe(Role::User).write(part, path) {
            block.tool_use_id = Some(Cow::Owned(id));
            self.answer(at).results.push(Item::Own(block));
        }
    }

    /// The user's turn right after the turn `at`, made if there is none.
    fn answer(&mut self, at: usize) -> &mut Turn<'a> {
        let next = at + 1;
        if self.turns.get(next).is_none_or(|turn| turn.role != Role::User) {
            self.turns.insert(next, Turn::new(Role::User));
        }
        #[expect(clippy::indexing_slicing, reason = "it was there or was inserted just above")]
        &mut self.turns[next]
    }

    /// Takes out turns without content and answers calls that nobody answered.
    fn settle(&mut self) {
        let mut at = 0;
        while at < self.turns.len() {
            let open = self.turns.get_mut(at).map(|turn| std::mem::take(&mut turn.open)).unwrap_or_default();
            for (id, path) in open {
                self.losses.add(path, "no result was given: sent with one that says so");
                let content = Blocks(vec![Item::Own(Block::text("No result was given for this call."))]);
                let result =
                    Block { kind: "tool_result", tool_use_id: Some(Cow::Owned(id)), content, is_error: true, ..Block::default() };
                self.answer(at).results.push(Item::Own(result));
            }
            at += 1;
        }
        let mut turns: Vec<Turn<'a>> = Vec::with_capacity(self.turns.len());
        for turn in std::mem::take(&mut self.turns) {
            match turns.last_mut() {
                _ if turn.blocks.is_empty() && turn.results.is_empty() => {}
                Some(last) if last.role == turn.role => {
                    last.results.extend(turn.results);
                    last.blocks.extend(turn.blocks);
                }
                _ => turns.push(turn),
            }
        }
        self.turns = turns;
    }

    /// The first word is the user's; instructions alone are taken for it.
    fn start_with_user(&mut self, system: &mut Vec<Item<'a, Block<'a>>>) -> Result<()> {
        match self.turns.first().map(|turn| turn.role) {
            Some(Role::User | Role::System) => {}
            Some(Role::Assistant) => {
                self.losses.add("messages[0]", "a user's turn was put before it");
                let mut turn = Turn::new(Role::User);
                turn.blocks.push(Item::Own(Block::text("(The conversation begins with your own words.)")));
                self.turns.insert(0, turn);
            }
            None if system.is_empty() => {
                return Err(Error::bad_request("messages is empty: there is nothing to answer").at("messages"));
            }
            None => {
                self.losses.add("messages[0].role", "instructions alone are sent as the user's words");
                let mut turn = Turn::new(Role::User);
                turn.blocks = std::mem::take(system);
                self.turns.push(turn);
            }
        }
        Ok(())
    }
}

/// Ids of calls, made to fit: the same for a call and its result.
#[derive(Default)]
struct Ids {
    used: HashSet<String>,
    /// The caller's id → ours, the latest.
    given: HashMap<String, String>,
}

impl Ids {
    /// An id for a call.
    fn give(&mut self, id: &str) -> String {
        let mut ours = fit(id);
        if self.used.contains(&ours) {
            let base = ours;
            let mut number = self.used.len();
            ours = loop {
                let candidate = format!("{base}_{number}");
                if !self.used.contains(&candidate) {
                    break candidate;
                }
                number += 1;
            };
        }
        self.used.insert(ours.clone());
        self.given.insert(id.to_owned(), ours.clone());
        ours
    }

    /// The id of the call that a result is for.
    fn find(&self, id: &str) -> String {
        self.given.get(id).cloned().unwrap_or_else(|| fit(id))
    }
}

fn fit(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() { "toolu_0".to_owned() } else { id.chars().map(|c| if fits(c) { c } else { '_' }).collect() }
}
