//! The conversations that are kept: found, begun, gone on with, listed.

use anyhow::{Context, bail};
use trunkline::{Client, Error, Kind, Origin};
use trunkline_store::{Listed, Opening, Sought, Store};
use trunkline_work::prompt::PREFIX;
use trunkline_work::session::{Session, Start};

use crate::Global;
use crate::ledger::{open_to_read, place};
use crate::terminal::{complain, fit};

/// An id is looked for by its begin among so many.
const LOOK: u32 = 10_000;

/// Which conversation is wanted.
pub(crate) enum Wanted {
    /// A new one.
    New,
    /// A new one that is not kept.
    Private,
    /// The one that was changed last of those that were begun in a terminal, or a new one if there is none.
    Last,
    /// The one of this id.
    Of(String),
}

/// The store, made if it is not there; `None` when nothing is to be kept.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn open_store(global: &Global) -> anyhow::Result<Option<Store>> {
    match place(global)? {
        Some(path) => Ok(Some(Store::open(&Opening::at(path)).await?)),
        None => Ok(None),
    }
}

/// The store that has conversations.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub(crate) async fn existing_store(global: &Global) -> anyhow::Result<Store> {
    let Some(path) = place(global)? else { bail!("conversations are not kept; name a file by --store or [store] path") };
    if !path.exists() {
        bail!("no conversation is kept yet");
    }
    open_to_read(&path).await
}

/// The whole id of which this is the begin.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) async fn find(store: &mut Store, id: &str) -> anyhow::Result<String> {
    if store.session(id).await?.is_some() {
        return Ok(id.to_owned());
    }
    let all = store.sessions(&Sought { limit: LOOK, ..Sought::default() }).await?;
    let mut ids = all.into_iter().map(|listed| listed.session.id).filter(|known| !id.is_empty() && known.starts_with(id));
    match (ids.next(), ids.next()) {
        (Some(found), None) => Ok(found),
        (Some(one), Some(other)) => bail!("`{id}` may be {one} or {other}: write more of it"),
        _ => bail!("there is no conversation {id}; `trunkline sessions` lists them"),
    }
}

/// Begins a conversation or goes on with one. One that cannot be kept is begun all the same, and said to be so.
///
/// # Errors
/// When the one that is wanted is not there, or the store cannot be read.
pub(crate) async fn begin(global: &Global, client: &Client, wanted: Wanted, start: Start) -> anyhow::Result<Session> {
    let client = client.clone();
    let usual = start.model.clone();
    let mut session = match wanted {
        Wanted::Private => Session::new(client, None, start),
        Wanted::New => {
            let store = open_store(global).await.unwrap_or_else(|error| {
                complain(&format!("this conversation is not kept: {error:#}"));
                None
            });
            Session::new(client, store, start)
        }
        Wanted::Of(id) => {
            let mut store = existing_store(global).await?;
            let id = find(&mut store, &id).await?;
            Session::open(client, store, &id).await?
        }
        Wanted::Last => {
            let store = open_store(global).await?.context("nothing is kept: there is no store")?;
            match Session::last(client.clone(), store).await? {
                Ok(session) => session,
                Err(store) => {
                    if !global.quiet {
                        complain("no conversation is kept yet: this is the first");
                    }
                    Session::new(client, Some(store), start)
                }
            }
        }
    };
    if let Some(usual) = usual {
        session.set_usual_model(|| usual);
    }
    Ok(session)
}

/// Whether conversations are to be kept, by the configuration.
pub(crate) fn keeps(client: &Client) -> bool {
    client.config().sessions.keep
}

/// Sets a session's model, after a look whether anybody has it.
///
/// # Errors
/// When nobody has, with the nearest name; when the store cannot be written.
pub(crate) async fn set_model(session: &mut Session, client: &Client, model: &str) -> Result<(), Error> {
    check_model(client, model)?;
    session.set_model(model).await
}

/// Whether anybody has this model. Which model a task leads to is found when it is asked.
///
/// # Errors
/// When nobody has, with the nearest name.
pub(crate) fn check_model(client: &Client, model: &str) -> Result<(), Error> {
    if model.starts_with(PREFIX) {
        let what = format!("`{model}` is a prompt, and a model is wanted here; -m and /model take prompts");
        return Err(Error::new(Kind::BadRequest, Origin::Caller, what));
    }
    if model.starts_with("task:") { Ok(()) } else { client.plan(model).map(drop) }
}

/// A conversation in a line of at most so many columns.
pub(crate) fn line(listed: &Listed, columns: Option<usize>) -> String {
    let session = &listed.session;
    let head = format!("{}  {}  {}", session.id, changed(session.updated_us), turns(listed.turns));
    let line = format!("{head}  {}", title(&session.title));
    columns.map_or_else(|| line.clone(), |columns| fit(&line, columns.saturating_sub(1)))
}

/// When it was changed: day and minute, UTC.
pub(crate) fn changed(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let date = trunkline_store::date(seconds / 86_400);
    format!("{} {:02}:{:02}", date, seconds / 3600 % 24, seconds / 60 % 60)
}

pub(crate) fn turns(count: u64) -> String {
    format!("{count} turn{}", if count == 1 { "" } else { "s" })
}

/// A title that is fit for a terminal.
pub(crate) fn title(text: &str) -> String {
    crate::markdown::harmless(text).split_whitespace().collect::<Vec<_>>().join(" ")
}
