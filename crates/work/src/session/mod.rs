//! Conversations that go on: with another model, on another day, after a restart.
//!
//! A [`Session`] is a name for the last turn of a conversation in the [`Store`]. What the next call gets of it is the
//! business of [`history`], which is pure; the gateway uses the same.

mod answer;
mod export;
pub mod history;
mod summary;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use trunkline::config::Window;
use trunkline::ir::{Message, Request, Role};
use trunkline::{Client, Losses, Result};
use trunkline_store::{Id, Ids, Listed, Placed, SessionRow, Sought, Store, Summary, TurnRow};

use crate::fault::wrong;
use answer::micros;
use history::History;

pub use answer::{Answering, Draft};
pub use export::{write_jsonl, write_markdown};
pub use summary::{due, summarise};

/// The most turns of a conversation that are read from the store. What is before them is in a summary, or left out.
const MOST: u32 = 10_000;

/// A conversation with a model, or with several in turn.
///
/// Every change is in the store when the method returns. Without a store it lasts as long as the value.
pub struct Session {
    client: Client,
    store: Option<Store>,
    row: SessionRow,
    window: Window,
    /// Those up to the last one, the oldest first.
    turns: Vec<TurnRow>,
    summary: Option<Summary>,
    /// Whether the store has it: it gets there with its first turn.
    kept: bool,
    /// Turns that the store could not take yet.
    waiting: VecDeque<TurnRow>,
    ids: Ids,
}

/// What a new session begins with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Its id; one is made up if there is none.
    pub id: Option<String>,
    /// Its title; the first words of the first question if there is none.
    pub title: String,
    /// The model's name that it asks.
    pub model: Option<String>,
    /// Instructions before the conversation.
    pub system: Option<String>,
    /// What of the history each call gets.
    pub window: Window,
    /// Whose it is.
    pub user: Option<String>,
}

impl Session {
    /// A new conversation. The store has it as soon as it has a turn.
    pub fn new(client: Client, store: Option<Store>, start: Start) -> Self {
        let (ids, now) = (Ids::new(), now_us());
        let id = start.id.unwrap_or_else(|| short_id(ids.next(SystemTime::now())));
        let row = SessionRow {
            title: start.title,
            model: start.model,
            system: start.system,
            user_id: start.user,
            local: true,
            ..SessionRow::new(id, now)
        };
        Session {
            client,
            store,
            row,
            window: start.window,
            turns: Vec::new(),
            summary: None,
            kept: false,
            waiting: VecDeque::new(),
            ids,
        }
    }

    /// Goes on with the conversation of this id.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn open(client: Client, mut store: Store, id: &str) -> Result<Self> {
        let row = store.session(id).await?.ok_or_else(|| wrong(format!("there is no session {id}")))?;
        let window = row.kept.as_deref().and_then(|kept| kept.parse().ok()).unwrap_or_default();
        let mut session = Session::new(client, Some(store), Start { window, ..Start::default() });
        (session.row, session.kept) = (row, true);
        session.load().await?;
        Ok(session)
    }

    /// Goes on with the conversation that was changed last, of those that were begun on this machine and not through the
    /// gateway: these are its callers'. Gives the store back when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last(client: Client, mut store: Store) -> Result<std::result::Result<Self, Store>> {
        let newest = store.sessions(&Sought { limit: 1, local: true, ..Sought::default() }).await?.into_iter().next();
        match newest {
            Some(Listed { session, .. }) => Session::open(client, store, &session.id).await.map(Ok),
            None => Ok(Err(store)),
        }
    }

    async fn load(&mut self) -> Result<()> {
        let (Some(head), Some(store)) = (self.row.head, &mut self.store) else { return Ok(()) };
        self.turns = store.turns(head, MOST).await?;
        self.summary = store.summary(head, MOST).await?;
        Ok(())
    }

    /// Its name, settings and place in the store.
    pub const fn row(&self) -> &SessionRow {
        &self.row
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.row.id
    }

    /// Its title; may be empty before the first question.
    pub fn title(&self) -> &str {
        &self.row.title
    }

    /// The model's name that it asks.
    pub fn model(&self) -> Option<&str> {
        self.row.model.as_deref()
    }

    /// Instructions before the conversation.
    pub fn system(&self) -> Option<&str> {
        self.row.system.as_deref()
    }

    /// What of the history each call gets.
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// All turns, the oldest first.
    pub fn turns(&self) -> &[TurnRow] {
        &self.turns
    }

    /// The store, for everything else that is to be asked of it.
    pub const fn store(&mut self) -> Option<&mut Store> {
        self.store.as_mut()
    }

    /// Gives the store back.
    pub fn into_store(self) -> Option<Store> {
        self.store
    }

    /// Asks this model as long as it is open, unless it has one: those of the gateway's callers have none, and stay so.
    pub fn set_usual_model(&mut self, model: impl FnOnce() -> String) {
        self.row.model.get_or_insert_with(model);
    }

    /// Asks this model from now on.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_model(&mut self, model: impl Into<String>) -> Result<()> {
        self.row.model = Some(model.into());
        self.set().await
    }

    /// Gives these instructions from now on, or none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_system(&mut self, system: Option<String>) -> Result<()> {
        self.row.system = system;
        self.set().await
    }

    /// Calls it this.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_title(&mut self, title: impl Into<String>) -> Result<()> {
        self.row.title = title.into();
        self.set().await
    }

    /// Gives each call this much of the history from now on.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_window(&mut self, window: Window) -> Result<()> {
        self.window = window;
        self.set().await
    }

    async fn set(&mut self) -> Result<()> {
        self.row.kept = Some(self.window.to_string());
        self.row.updated_us = now_us();
        if let (true, Some(store)) = (self.kept, &mut self.store) {
            store.set_session(&self.row).await?;
        }
        Ok(())
    }

    /// A request that asks this: to be given tools and options, and then to [`Session::ask`] or [`Session::stream`].
    pub fn question(&self, text: impl Into<String>) -> Request {
        Request { messages: vec![Message::text(Role::User, text)], ..Request::default() }
    }

    /// The whole request that goes to this provider (its id) for what is new, with what cannot be told; what anybody may be
    /// sent without one. Asks nobody.
    pub fn request(&self, new: &Request, provider: Option<&str>) -> (Request, Losses) {
        let (messages, losses) = self.history(&new.messages).messages(&new.messages, provider);
        (Request { messages, model: self.model_for(new), ..new.clone() }, losses)
    }

    /// What the next prompt is estimated at, in tokens, with these new messages.
    pub fn tokens(&self, new: &Request) -> u64 {
        trunkline::call::estimate(&self.request(new, None).0).input
    }

    fn model_for(&self, new: &Request) -> String {
        if new.model.is_empty() { self.row.model.clone().unwrap_or_default() } else { new.model.clone() }
    }

    fn history(&self, new: &[Message]) -> History<'_> {
        let (turns, summary) = self.shown(new);
        History { system: self.row.system.as_deref(), summary, turns }
    }

    /// Asks what is in `new.messages`, after what was said before. Without a model in it, the session's is asked.
    ///
    /// # Errors
    /// The provider's; then there is no turn. When the store cannot take the turn: the session has it all the same, as
    /// long as it is open, and tries again with the next one.
    pub async fn ask(&mut self, new: Request) -> Result<TurnRow> {
        let (call, draft) = self.prepare(new).await?;
        let reply = call.send().await?;
        let turn = draft.turn(&self.client, &reply.target, reply.response, true, None);
        self.keep(turn).await
    }

    /// The same, as it comes. The turn is made when the answer is [kept](Answering::keep).
    ///
    /// # Errors
    /// Those before the first byte; later ones come with the pieces.
    pub async fn stream(&mut self, new: Request) -> Result<Answering<'_>> {
        let (call, draft) = self.prepare(new).await?;
        let stream = call.folded().stream().await?;
        Ok(Answering::new(self, stream, draft))
    }

    async fn prepare(&mut self, new: Request) -> Result<(trunkline::Call, Draft)> {
        if self.model_for(&new).is_empty() {
            return Err(wrong("name a model: the session has none yet"));
        }
        self.sum_up(&new.messages).await?;
        let (request, _) = self.request(&new, None);
        let asked = new.messages.get(history::instructions(&new.messages)..).unwrap_or_default().to_vec();
        let row = TurnRow {
            parent: self.row.head,
            session: self.row.id.clone(),
            user_id: self.row.user_id.clone(),
            key_id: self.row.key_id.clone(),
            ..TurnRow::new(self.ids.next(SystemTime::now()))
        };
        let draft = Draft::new(row, asked, &request);
        // Each provider gets what it can read, and it is not known yet who answers.
        let (turns, summary) = self.shown(&new.messages);
        let (system, summary, turns) = (self.row.system.clone(), summary.map(str::to_owned), turns.to_vec());
        let told = Arc::new((system, summary, turns, new.messages));
        let call = self.client.call(request).session(&self.row.id).tailored(move |provider, request| {
            let (system, summary, turns, new) = &*told;
            let history = History { system: system.as_deref(), summary: summary.as_deref(), turns };
            let (messages, losses) = history.messages(new, Some(provider));
            request.messages = messages;
            losses
        });
        Ok((call, draft))
    }

    /// Makes a turn the last one. If another one has gone on from the same place in the meantime, the session becomes a
    /// branch of what it was.
    async fn keep(&mut self, turn: TurnRow) -> Result<TurnRow> {
        if self.row.title.is_empty() {
            self.row.title = history::title(&turn.asked);
        }
        if self.row.model.is_none() {
            self.row.model = Some(turn.model.clone());
        }
        self.row.kept = Some(self.window.to_string());
        self.row.head = Some(turn.id);
        self.turns.push(turn.clone());
        if self.store.is_some() {
            self.waiting.push_back(turn.clone());
        }
        self.store_waiting().await.map(|()| turn)
    }

    /// Has the store take what it has not taken yet.
    async fn store_waiting(&mut self) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        while let Some(turn) = self.waiting.front() {
            match store.append_turn(turn, Some(&self.row)).await? {
                Placed::Last => self.kept = true,
                Placed::Beside => {
                    self.row = branch_of(&self.row, short_id(self.ids.next(SystemTime::now())));
                    store.add_session(&SessionRow { head: Some(turn.id), ..self.row.clone() }).await?;
                }
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Goes back over the last turn, which is what is given. The store keeps it until the session is deleted.
    ///
    /// # Errors
    /// When the store cannot be written, or another one has gone on with the session in the meantime.
    pub async fn undo(&mut self) -> Result<Option<TurnRow>> {
        let Some(last) = self.turns.last() else { return Ok(None) };
        let parent = last.parent;
        if let (true, Some(store)) = (self.kept, &mut self.store)
            && !store.move_session(&self.row.id, self.row.head, parent, now_us()).await?
        {
            return Err(wrong("somebody else has gone on with this session: open it again"));
        }
        self.row.head = parent;
        let gone = self.turns.pop();
        // There may be earlier ones, of turns and of summaries.
        if self.summary.as_ref().is_some_and(|summary| gone.as_ref().is_some_and(|turn| turn.id == summary.turn)) {
            self.summary = None;
            self.load().await?;
        } else if self.turns.is_empty() {
            self.load().await?;
        }
        Ok(gone)
    }

    /// Goes back over the last turn and gives what it had asked, to be asked again.
    ///
    /// # Errors
    /// As [`Session::undo`].
    pub async fn take_back(&mut self) -> Result<Option<Vec<Message>>> {
        Ok(self.undo().await?.map(|turn| turn.asked))
    }

    /// Goes on as another session from here: this one stays where it is. `title` names the new one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn branch(&mut self, title: Option<String>) -> Result<()> {
        let mut row = branch_of(&self.row, short_id(self.ids.next(SystemTime::now())));
        row.title = title.unwrap_or(row.title);
        if let (true, Some(store)) = (self.kept, &mut self.store) {
            store.add_session(&row).await?;
        }
        self.row = row;
        Ok(())
    }
}

/// A session that is at the same turn.
fn branch_of(row: &SessionRow, id: String) -> SessionRow {
    let now = now_us();
    SessionRow { branch_of: Some(row.id.clone()), created_us: now, updated_us: now, id, ..row.clone() }
}

/// Eight letters and digits of an id that change with every one, to be typed.
fn short_id(id: Id) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let number = id
        .bytes()
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let digit = |at: u32| DIGITS.get(((number >> (5 * at)) & 31) as usize).map_or('0', |digit| char::from(*digit));
    (0..8).map(digit).collect()
}

fn now_us() -> u64 {
    micros(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
