//! `trunkline providers`.

use serde::Serialize;
use trunkline::target::{Lack, Service};

use crate::terminal::{Mark, complain, print_json, print_table};
use crate::{End, Global};

/// List the providers: which are ready, and what the others lack.
#[derive(clap::Args)]
pub(crate) struct Providers {
    /// Only those that are ready
    #[arg(long)]
    ready: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    ready: bool,
    dialects: &'a [String],
    base_url: &'a str,
    lacks: Option<String>,
}

impl Providers {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let services = client.services();
        let rows: Vec<Row<'_>> =
            services.iter().filter(|service| service.is_ready() || !self.ready).map(|service| row(service)).collect();
        if global.json {
            print_json(&rows)?;
            return Ok(End::Done);
        }
        let ready = rows.iter().filter(|row| row.ready).count();
        let total = rows.len();
        let cells = rows.into_iter().map(|row| {
            let mark = if row.ready { Mark::Yes } else { Mark::No };
            let state = row.lacks.unwrap_or_else(|| row.base_url.to_owned());
            (mark, vec![row.id.to_owned(), row.name.to_owned(), state])
        });
        print_table(&cells.collect::<Vec<_>>())?;
        if !global.quiet {
            complain(&format!("{ready} of {total} ready"));
        }
        Ok(End::Done)
    }
}

fn row(service: &Service) -> Row<'_> {
    let provider = &service.provider;
    let lacks = match service.lack() {
        Some(Lack::Variables(names)) => Some(format!("set {}", names.join(" or "))),
        Some(Lack::Unusable(error)) => Some(error.to_string()),
        None if !service.is_ready() => Some(format!("local: name it in [providers.{0}], or ask for {0}/MODEL", provider.id)),
        None => None,
    };
    Row {
        id: &provider.id,
        name: &provider.name,
        ready: service.is_ready(),
        dialects: &provider.dialects,
        base_url: &provider.base_url,
        lacks,
    }
}
