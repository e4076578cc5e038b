//! A store with conversations.

use std::time::SystemTime;

use trunkline_codec::ir::{Content, Message, Part, Role, Signature};
use trunkline_store::{Id, Ids, Opening, Placed, SessionRow, Sought, Store, TurnRow};

use crate::folder::Folder;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) ids: Ids,
    _folder: Folder,
}

pub(crate) fn us(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64
}

impl World {
    pub(crate) async fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let store = Store::open(&Opening::at(folder.store())).await.unwrap();
        World { store, ids: Ids::new(), _folder: folder }
    }

    pub(crate) fn turn(&self, session: &str, parent: Option<Id>, text: &str, at: SystemTime) -> TurnRow {
        let signature = Some(Signature { owner: "gemini", value: "s=".to_owned() });
        let thought = Part { signature, ..Content::Reasoning { text: "Hm.".to_owned(), redacted: false }.into() };
        let call = Content::ToolCall { id: "c1".to_owned(), name: "look".to_owned(), arguments: "{\"a\":1}".to_owned() };
        let parts = vec![thought, Part::text(format!("{text}, \"yes\"!")), call.into()];
        TurnRow {
            parent,
            session: session.to_owned(),
            user_id: Some("ann".to_owned()),
            begun_us: us(at),
            elapsed_us: 1000,
            model: "fast".to_owned(),
            target: Some("house/fast".to_owned()),
            asked: vec![Message::text(Role::User, text)],
            answered: Some(Message { role: Role::Assistant, name: None, parts, extra: Default::default() }),
            finish: Some("stop".into()),
            input: Some(5),
            output: Some(6),
            cost_micros: Some(7),
            currency: Some("USD".into()),
            ..TurnRow::new(self.ids.next(at))
        }
    }

    /// Appends a turn at the end of a session, and gives its id.
    pub(crate) async fn say(&mut self, session: &SessionRow, text: &str, at: SystemTime) -> Id {
        let head = self.store.session(&session.id).await.unwrap().and_then(|session| session.head);
        let turn = self.turn(&session.id, head, text, at);
        assert_eq!(self.store.append_turn(&turn, Some(session)).await.unwrap(), Placed::Last);
        turn.id
    }

    pub(crate) async fn texts(&mut self, session: &str) -> Vec<String> {
        let Some(head) = self.store.session(session).await.unwrap().and_then(|session| session.head) else { return Vec::new() };
        self.store.turns(head, 100).await.unwrap().iter().map(|turn| turn.asked[0].plain_text()).collect()
    }

    pub(crate) async fn found(&mut self, text: &str) -> Vec<String> {
        let sought = Sought { limit: 10, text: Some(text.to_owned()), ..Sought::default() };
        self.store.sessions(&sought).await.unwrap().into_iter().map(|listed| listed.session.id).collect()
    }
}

pub(crate) fn session(id: &str, at: SystemTime) -> SessionRow {
    SessionRow { title: format!("Title of {id}"), user_id: Some("ann".to_owned()), ..SessionRow::new(id, us(at)) }
}
