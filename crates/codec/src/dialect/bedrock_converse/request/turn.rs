//! Messages as turns: the order that this dialect demands.
//!
//! User and assistant alternate, the user first; the results of tools stand first in the turn after the calls, one for
//! each call; ids keep to `[a-zA-Z0-9_.:-]{1,64}` and occur once; a document does not come without a text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::NAME;
use super::super::out::{self, Block, ToolResult};
use super::field::{REFUSED, write_cache};
use super::part::{Scribe, plain};
use crate::catalog::{Quirks, ReasoningReplay};
use crate::error::{Error, Result};
use crate::ir::{Content, Message, Part, Request, Role};
use crate::loss::Losses;

/// The messages, written.
pub(super) struct Turns<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<out::Message<'a>>,
    /// A tool loop is to go on, and its calls do not start with the thinking that led to them.
    pub(super) lacks_thinking: bool,
}

/// Cache markers: at most four are taken, and the last ones cover the most.
pub(super) struct Marks {
    skip: usize,
    refused: bool,
}

const MOST_MARKS: usize = 4;

impl Marks {
    /// Looks how many there are.
    pub(super) fn count(request: &Request, quirks: &Quirks, losses: &mut Losses) -> Self {
        let tools = request.tools.iter().filter(|tool| tool.cache.is_some()).count();
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        let count = tools + parts.filter(|part| part.cache.is_some()).count() + usize::from(request.cache.is_some());
        let refused = quirks.refuses("cache_control");
        let skip = count.saturating_sub(MOST_MARKS);
        if refused && count > 0 {
            losses.add("cache", REFUSED);
        } else if skip > 0 {
            losses.add("cache", format!("{skip} of the markers left out: at most four are taken"));
        }
        Marks { skip, refused }
    }

    /// Whether the next one is written.
    pub(super) fn take(&mut self) -> bool {
        let skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        !skipped && !self.refused
    }
}

struct Turn<'a> {
    role: Role,
    /// The results of the calls of the turn before.
    results: Vec<Block<'a>>,
    blocks: Vec<Block<'a>>,
    /// Ids of calls that have no result yet, and where they stand.
    open: Vec<(String, String)>,
    extra: Option<&'a Map<String, Value>>,
}

impl Turn<'_> {
    fn new(role: Role) -> Self {
        Turn { role, results: Vec::new(), blocks: Vec::new(), open: Vec::new(), extra: None }
    }
}

/// Writes all messages.
pub(super) fn write_messages<'a>(
    request: &'a Request,
    quirks: &Quirks,
    marks: &mut Marks,
    losses: &mut Losses,
) -> Result<Turns<'a>> {
    let mut order = Order { turns: Vec::new(), ids: Ids::default(), names: HashSet::new(), marks, quirks, losses };
    let mut system = Vec::new();
    let head = request.messages.iter().take_while(|message| message.role == Role::System).count();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        if message.name.is_some() {
            order.losses.add(format!("{path}.name"), "a speaker has no name here");
        }
        order.losses.add_foreign(&path, &message.extra, NAME);
        if message.role == Role::System {
            if at >= head && !message.parts.is_empty() {
                order.losses.add(path.clone(), "its position: instructions stand before all messages");
            }
            order.write_system(message, &path, &mut system);
        } else {
            order.take(message, &path);
            if let (Some(extra), Some(turn)) = (message.extra.of(NAME), order.turns.last_mut()) {
                turn.extra = Some(extra);
            }
        }
    }
    order.settle();
    order.start_with_user(&mut system)?;
    order.mark_last(request);
    let turns = order.turns;
    let lacks_thinking = lacks_thinking(&turns);
    Ok(Turns { system, messages: turns.into_iter().map(write_turn).collect(), lacks_thinking })
}

fn write_turn(turn: Turn<'_>) -> out::Message<'_> {
    let role = if turn.role == Role::Assistant { "assistant" } else { "user" };
    let mut content = turn.results;
    content.extend(turn.blocks);
    if let (Role::Assistant, Some(Block::Text(text))) = (turn.role, content.last_mut()) {
        // White space at the end of an answer to be continued is refused, and in the others it means nothing.
        *text = Cow::Owned(text.trim_end().to_owned());
    }
    let is_document = |block: &Block<'_>| matches!(block, Block::Document(_));
    if content.iter().any(is_document) && !content.iter().any(|block| matches!(block, Block::Text(_))) {
        content.push(Block::text("(See the document.)"));
    }
    out::Message { role, content, extra: turn.extra }
}

fn lacks_thinking(turns: &[Turn<'_>]) -> bool {
    let goes_on = turns.last().is_some_and(|turn| turn.role == Role::User && !turn.results.is_empty());
    let calls = turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    goes_on && !matches!(calls.and_then(|turn| turn.blocks.first()), Some(Block::ReasoningContent(_)))
}

struct Order<'a, 'l> {
    turns: Vec<Turn<'a>>,
    ids: Ids,
    /// Names of documents, which must differ.
    names: HashSet<String>,
    marks: &'l mut Marks,
    quirks: &'l Quirks,
    losses: &'l mut Losses,
}

impl<'a> Order<'a, '_> {
    fn scribe(&mut self, role: Role, unproven: bool) -> Scribe<'_> {
        Scribe { quirks: self.quirks, losses: self.losses, names: &mut self.names, role, unproven }
    }

    fn mark(&mut self, part: &Part, path: &str) -> Option<Block<'a>> {
        let mark = part.cache.as_ref()?;
        self.marks.take().then(|| Block::CachePoint(write_cache(mark, &format!("{path}.cache"), self.losses)))
    }

    fn write_system(&mut self, message: &'a Message, path: &str, system: &mut Vec<Block<'a>>) {
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match &part.content {
                Content::Text { .. } => system.extend(self.scribe(Role::System, false).write(part, &path)),
                Content::Image { .. } if part.extra.of(NAME).is_some() => {
                    system.extend(self.scribe(Role::System, false).write(part, &path));
                }
                _ => self.losses.add(path.clone(), "instructions can only be text"),
            }
            let mark = self.mark(part, &path).filter(|_| !system.is_empty());
            system.extend(mark);
        }
    }

    fn take(&mut self, message: &'a Message, path: &str) {
        let calls = || message.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let unproven = match self.quirks.reasoning_replay {
            ReasoningReplay::Never => false,
            ReasoningReplay::Tools | ReasoningReplay::Required => calls(),
            ReasoningReplay::Always => true,
        };
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            let mark = self.mark(part, &path);
            match &part.content {
                Content::ToolResult { id, parts, failed, .. } => {
                    if let Some(turn) = self.take_result(part, id, (parts, *failed), &path) {
                        self.answer(turn).results.extend(mark);
                        continue;
                    }
                }
                Content::ToolCall { id, .. } => self.take_call(part, id, path),
                _ => {
                    if let Some(block) = self.scribe(message.role, unproven).write(part, &path) {
                        self.turn(message.role).blocks.push(block);
                    }
                }
            }
            // A marker covers what stands before it, so it cannot be the first.
            if let (Some(mark), Some(turn)) = (mark, self.turns.last_mut())
                && (!turn.blocks.is_empty() || !turn.results.is_empty())
            {
                turn.blocks.push(mark);
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
        let given = self.ids.give(id);
        if let Some(Block::ToolUse(mut call)) = self.scribe(Role::Assistant, false).write(part, &path) {
            call.tool_use_id = Cow::Owned(given.clone());
            let turn = self.turn(Role::Assistant);
            turn.blocks.push(Block::ToolUse(call));
            turn.open.push((given, path));
        }
    }

    /// A result stands in the turn after its call: the place of the call, if there is one. Without one it is told as
    /// text.
    fn take_result(&mut self, part: &'a Part, id: &str, (parts, failed): (&'a [Part], bool), path: &str) -> Option<usize> {
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
                self.turn(Role::User).blocks.push(Block::text(text));
            }
            return None;
        };
        self.losses.add_foreign(path, &part.extra, NAME);
        let content = self.scribe(Role::User, false).write_result(parts, path);
        let result =
            ToolResult { tool_use_id: Cow::Owned(id), content, status: failed.then_some("error"), extra: part.extra.of(NAME) };
        self.answer(at).results.push(Block::ToolResult(result));
        Some(at)
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
                let content = vec![Block::text("No result was given for this call.")];
                let result = ToolResult { tool_use_id: Cow::Owned(id), content, status: Some("error"), extra: None };
                self.answer(at).results.push(Block::ToolResult(result));
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
    fn start_with_user(&mut self, system: &mut Vec<Block<'a>>) -> Result<()> {
        let blocks = match self.turns.first().map(|turn| turn.role) {
            Some(Role::User | Role::System) => return Ok(()),
            Some(Role::Assistant) => {
                self.losses.add("messages[0]", "a user's turn was put before it");
                vec![Block::text("(The conversation begins with your own words.)")]
            }
            None if system.is_empty() => {
                return Err(Error::bad_request("messages is empty: there is nothing to answer").at("messages"));
            }
            None => {
                self.losses.add("messages[0].role", "instructions alone are sent as the user's words");
                std::mem::take(system)
            }
        };
        self.turns.insert(0, Turn { blocks, ..Turn::new(Role::User) });
        Ok(())
    }

    /// The marker that puts itself on the last part.
    fn mark_last(&mut self, request: &Request) {
        if let (Some(mark), Some(turn)) = (&request.cache, self.turns.last_mut())
            && self.marks.take()
        {
            turn.blocks.push(Block::CachePoint(write_cache(mark, "cache", self.losses)));
        }
    }
}

/// Ids of calls, made to fit: the same for a call and its result.
#[derive(Default)]
struct Ids {
    used: HashSet<String>,
    /// The caller's id → ours, the latest.
    given: HashMap<String, String>,
}

const LONGEST_ID: usize = 64;

impl Ids {
    /// An id for a call.
    fn give(&mut self, id: &str) -> String {
        let mut ours = fit(id);
        if self.used.contains(&ours) {
            let base: String = ours.chars().take(LONGEST_ID - 8).collect();
            let free = (self.used.len()..).map(|number| format!("{base}_{number}")).find(|id| !self.used.contains(id));
            ours = free.unwrap_or(ours);
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
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if id.is_empty() {
        return "tooluse_0".to_owned();
    }
    id.chars().take(LONGEST_ID).map(|c| if fits(c) { c } else { '_' }).collect()
}
