//! `trunkline store`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use trunkline_store::{COLUMNS, Wanted, csv_line};

use crate::ledger::{open, since};
use crate::terminal::{complain, print_json};
use crate::{End, Global};

/// Copy, export and clear the store of calls.
#[derive(clap::Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Write a copy of the whole store, also while a gateway writes to it
    Backup {
        /// The copy; it must not be there yet
        file: PathBuf,
    },
    /// Print all calls, oldest first: a line of JSON each
    Export {
        /// As CSV, with a line of names
        #[arg(long, conflicts_with = "jsonl")]
        csv: bool,
        /// As lines of JSON; so it is without it
        #[arg(long)]
        jsonl: bool,
        /// Only the calls of so long: 30m, 2h, 7d
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Delete every call of a user
    Forget {
        /// The id that calls had in x-trunkline-user
        #[arg(long, value_name = "ID")]
        user: String,
    },
    /// Tell where the store is and how much is in it
    Info,
}

/// Calls that are read at one time.
const PAGE: u32 = 1000;

impl Store {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let mut store = open(global).await?;
        match self.what {
            What::Backup { file } => {
                store.backup(&file).await?;
                if global.json {
                    let (file, store) = (file.display().to_string(), store.path().display().to_string());
                    print_json(&json!({ "file": file, "copy_of": store }))?;
                } else if !global.quiet {
                    complain(&format!("{} is a copy of {}", file.display(), store.path().display()));
                }
            }
            What::Export { csv, since, .. } => export(&mut store, csv, since).await?,
            What::Forget { user } => {
                let gone = store.forget(&user).await?;
                if global.json {
                    print_json(&json!({ "deleted": gone }))?;
                } else {
                    writeln!(std::io::stdout().lock(), "{gone} calls and sessions are deleted")?;
                }
            }
            What::Info => {
                let size = store.size().await?;
                let path = store.path().display().to_string();
                if global.json {
                    print_json(&json!({ "path": path, "calls": size.calls, "bytes": size.bytes }))?;
                } else {
                    let megabytes = size.bytes as f64 / 1e6;
                    writeln!(std::io::stdout().lock(), "{path}: {} calls, {megabytes:.1} MB", size.calls)?;
                }
            }
        }
        store.close().await;
        Ok(End::Done)
    }
}

async fn export(store: &mut trunkline_store::Store, csv: bool, since_text: Option<String>) -> anyhow::Result<()> {
    let since = since_text.as_deref().map(since).transpose()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if csv {
        writeln!(out, "{}", COLUMNS.join(","))?;
    }
    let first = trunkline_store::Id::first_at(since.unwrap_or(std::time::UNIX_EPOCH));
    let mut after = Some(first);
    while let Some(id) = after {
        let mut calls = store.calls(&Wanted { limit: PAGE, after: Some(id), ..Wanted::default() }).await?;
        if !csv {
            store.tell_texts(&mut calls).await?;
        }
        for call in &calls {
            if csv {
                writeln!(out, "{}", csv_line(call))?;
            } else {
                serde_json::to_writer(&mut out, call)?;
                writeln!(out)?;
            }
        }
        after = calls.last().map(|call| call.id);
    }
    out.flush()?;
    Ok(())
}
