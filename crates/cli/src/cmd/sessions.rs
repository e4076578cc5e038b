//! `trunkline sessions`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use trunkline::Piece;
use trunkline_store::{Listed, SessionRow, Sought, Store, TurnRow};
use trunkline_work::session::{Session, write_jsonl, write_markdown};

use super::input::may_write;
use crate::conversation::{changed, existing_store, find, title, turns};
use crate::screen::Screen;
use crate::terminal::{Cell, Mark, complain, print_json, print_rows};
use crate::{End, Global};

/// List, show, search, export and delete the conversations that are kept.
#[derive(clap::Args)]
pub(crate) struct Sessions {
    /// How many are listed
    #[arg(short = 'n', long, global = true, value_name = "N", default_value_t = 20)]
    number: u32,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// List them, the one that was changed last first; so it is without a word
    List,
    /// Show one
    Show {
        /// Its id, or the begin of it
        id: String,
    },
    /// List those with this text in their title or in what was said
    Search {
        /// The text, in any case
        text: String,
    },
    /// Write one as Markdown, or as lines of JSON with everything that is known of it
    Export {
        /// Its id, or the begin of it
        id: String,
        /// The file: .md or .jsonl. Without it, Markdown to standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Overwrite a file that is there
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Delete some for good
    Delete {
        /// Their ids, or the begins of them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Call one something else
    Title {
        /// Its id, or the begin of it
        id: String,
        /// The title
        text: String,
    },
    /// Begin another one where this one is
    Branch {
        /// Its id, or the begin of it
        id: String,
        /// The title of the new one
        title: Option<String>,
    },
}

impl Sessions {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let mut store = existing_store(global).await?;
        let limit = self.number;
        match self.what.unwrap_or(What::List) {
            What::List => list(&mut store, Sought { limit, ..Sought::default() }, global).await?,
            What::Search { text } => list(&mut store, Sought { limit, text: Some(text), ..Sought::default() }, global).await?,
            What::Show { id } => show(&mut store, &id, global).await?,
            What::Export { id, output, force } => export(&mut store, &id, (output.as_deref(), force), global).await?,
            What::Delete { ids } => return delete(&mut store, &ids, global).await,
            What::Title { id, text } => {
                let id = find(&mut store, &id).await?;
                let row = store.session(&id).await?.with_context(|| format!("there is no conversation {id}"))?;
                let row = SessionRow { title: text, ..row };
                store.set_session(&row).await?;
                if global.json {
                    print_json(&json!({ "id": row.id, "title": row.title }))?;
                }
            }
            What::Branch { id, title } => {
                let id = find(&mut store, &id).await?;
                let mut session = Session::open(global.client()?, store, &id).await?;
                session.branch(title).await?;
                return tell_id(session.id(), global);
            }
        }
        store.close().await;
        Ok(End::Done)
    }
}

fn tell_id(id: &str, global: &Global) -> anyhow::Result<End> {
    if global.json {
        print_json(&json!({ "id": id }))?;
    } else {
        writeln!(io::stdout().lock(), "{id}")?;
    }
    Ok(End::Done)
}

async fn list(store: &mut Store, sought: Sought, global: &Global) -> anyhow::Result<()> {
    let found = store.sessions(&sought).await?;
    if global.json {
        return print_json(&found);
    }
    if found.is_empty() {
        complain("no such conversation");
        return Ok(());
    }
    let heads = ["id", "changed (UTC)", "turns", "model", "title"];
    print_rows(Some(&heads), &found.iter().map(row).collect::<Vec<_>>())?;
    Ok(())
}

fn row(listed: &Listed) -> (Mark, Vec<Cell>) {
    let session = &listed.session;
    let cells = vec![
        Cell::left(session.id.clone()),
        Cell::left(changed(session.updated_us)),
        Cell::right(listed.turns.to_string()),
        Cell::left(session.model.clone().unwrap_or_default()),
        Cell::left(title(&session.title)),
    ];
    (Mark::None, cells)
}

/// A conversation with its turns.
async fn read(store: &mut Store, id: &str) -> anyhow::Result<(SessionRow, Vec<TurnRow>)> {
    let id = find(store, id).await?;
    let row = store.session(&id).await?.with_context(|| format!("there is no conversation {id}"))?;
    let turns = match row.head {
        Some(head) => store.turns(head, u32::MAX).await?,
        None => Vec::new(),
    };
    Ok((row, turns))
}

async fn show(store: &mut Store, id: &str, global: &Global) -> anyhow::Result<()> {
    let (row, made) = read(store, id).await?;
    if global.json {
        return print_json(&json!({ "session": row, "turns": made }));
    }
    let mut screen = Screen::new(global);
    screen.show(&Piece::Text(write_markdown(&row, &made)))?;
    screen.finish()?;
    if global.verbose {
        let kept = row.kept.as_deref().unwrap_or("all");
        complain(&format!("{}: {}, window {kept}, changed {}", row.id, turns(made.len() as u64), changed(row.updated_us)));
    }
    Ok(())
}

async fn export(store: &mut Store, id: &str, (output, force): (Option<&Path>, bool), global: &Global) -> anyhow::Result<()> {
    let (row, turns) = read(store, id).await?;
    match output.filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let text = file(path, &row, &turns)?;
            may_write(path, force)?;
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            if global.json {
                print_json(&json!({ "id": row.id, "file": path.display().to_string(), "turns": turns.len() }))?;
            }
            Ok(())
        }
        None if global.json => print_json(&json!({ "session": row, "turns": turns })),
        None => Ok(io::stdout().lock().write_all(write_markdown(&row, &turns).as_bytes())?),
    }
}

/// A conversation in the form that a file's name asks for.
///
/// # Errors
/// When the name says neither Markdown nor JSON.
pub(super) fn file(path: &Path, row: &SessionRow, turns: &[TurnRow]) -> anyhow::Result<String> {
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("md" | "markdown") => Ok(write_markdown(row, turns)),
        Some("jsonl") => Ok(write_jsonl(row, turns)),
        _ => anyhow::bail!("{}: name a file that ends in .md or .jsonl", path.display()),
    }
}

async fn delete(store: &mut Store, ids: &[String], global: &Global) -> anyhow::Result<End> {
    let (mut gone, mut failed) = (Vec::new(), 0);
    for id in ids {
        match find(store, id).await {
            Ok(id) => {
                store.delete_session(&id).await?;
                gone.push(id);
            }
            Err(error) => {
                complain(&format!("{error:#}"));
                failed += 1;
            }
        }
    }
    if global.json {
        print_json(&json!({ "deleted": gone }))?;
    }
    anyhow::ensure!(!gone.is_empty(), "nothing is deleted");
    if !global.quiet && !global.json {
        complain(&format!("deleted: {}", gone.join(", ")));
    }
    Ok(if failed > 0 { End::Partly } else { End::Done })
}
