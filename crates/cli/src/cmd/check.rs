//! `trunkline check`.

use std::time::{Duration, Instant};

use serde::Serialize;
use trunkline::Client;
use trunkline::codec::catalog::{Auth, Provider, SecretRef};
use trunkline::config::Config;
use trunkline::target::{Lack, Service};
use trunkline_gateway::Door;

use crate::terminal::{Mark, complain, print_json, print_table};
use crate::{End, Global};

/// Check configuration and keys.
#[derive(clap::Args)]
pub(crate) struct Check {
    /// Make one tiny call to each ready provider (this costs a few tokens)
    #[arg(long)]
    live: bool,
}

#[derive(Serialize)]
struct Row {
    provider: String,
    ok: bool,
    detail: String,
}

/// A provider that has not answered by then does not count as ready.
const PATIENCE: Duration = Duration::from_secs(30);

impl Check {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        if !global.json && !global.quiet {
            match &client.config().path {
                Some(path) => complain(&format!("configuration: {} is valid", path.display())),
                None => complain("configuration: none found, none needed"),
            }
        }
        let mut rows = Vec::new();
        for service in client.services() {
            if let Some(row) = self.check(&client, &service).await {
                rows.push(row);
            }
        }
        if let Err(error) = Door::open(&client.config(), &client.environment()) {
            rows.push(Row { provider: "[server]".to_owned(), ok: false, detail: error.to_string() });
        }
        let failed = rows.iter().any(|row| !row.ok);
        if global.json {
            print_json(&rows)?;
        } else {
            let mark = |ok: bool| if ok { Mark::Yes } else { Mark::Bad };
            print_table(&rows.into_iter().map(|row| (mark(row.ok), vec![row.provider, row.detail])).collect::<Vec<_>>())?;
        }
        Ok(if failed { End::Partly } else { End::Done })
    }

    /// One provider; nothing to say about those that nobody set up.
    async fn check(&self, client: &Client, service: &Service) -> Option<Row> {
        let provider = service.provider.id.clone();
        let row = |ok, detail: String| Some(Row { provider: provider.clone(), ok, detail });
        match service.lack() {
            Some(Lack::Unusable(error)) => {
                return row(false, format!("{error}{}", place(&client.config(), &service.provider)));
            }
            Some(Lack::Variables(names)) if service.configured => {
                return row(false, format!("is in the configuration, but {} is not set", names.join(" or ")));
            }
            Some(Lack::Variables(_)) => return None,
            None if !service.is_ready() => return None,
            None if !self.live => return row(true, "key present".to_owned()),
            None => {}
        }
        let Some(model) = service.provider.models.iter().find(|pattern| !pattern.contains('*')) else {
            return row(true, "key present; no model is known by its full name, so no call was made".to_owned());
        };
        let started = Instant::now();
        let call = client.chat(format!("{provider}/{model}"), "Say: ok").max_tokens(16).send();
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(_)) => row(true, format!("{model} answered in {} ms", started.elapsed().as_millis())),
            Ok(Err(error)) => row(false, format!("{model}: {error}")),
            Err(_) => row(false, format!("{model} did not answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Where the configuration names the file of a provider's secret, if it does: ` (trunkline.toml, line 3)`.
fn place(config: &Config, provider: &Provider) -> String {
    let found = || {
        let path = config.path.as_ref()?;
        let text = std::fs::read_to_string(path).ok()?;
        let written = std::iter::once(&provider.auth).chain(provider.api_keys.iter().map(|key| &key.auth));
        let references = written.flat_map(Auth::ways).flat_map(Auth::references).map(|(reference, _)| reference);
        let mut files = references.chain(provider.headers.values()).filter_map(|reference| match reference {
            SecretRef::File(file) => Some(file),
            _ => None,
        });
        let at = |file: &String| text.lines().position(|line| line.contains(&format!("file:{file}")));
        files.find_map(at).map(|line| format!(" ({}, line {})", path.display(), line + 1))
    };
    found().unwrap_or_default()
}
