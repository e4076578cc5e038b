//! `trunkline sim`.

use trunkline::codec::catalog::{Catalog, Provider};
use trunkline::codec::dialect;
use trunkline::config::Config;
use trunkline_gateway::Server;

use super::serve::{announce, run_until_signal};
use crate::terminal::complain;
use crate::{End, Global};

/// Serve the simulator on a port, for testing a program of your own: whatever model it asks for, the simulator answers.
#[derive(clap::Args)]
pub(crate) struct Sim {
    /// Address and port [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Sim {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let builder = global.builder()?.simulate();
        // The configuration that lies about is that of the real thing.
        let builder = if global.config.is_some() { builder } else { builder.config(Config::default()) };
        let client = builder.build()?;
        let server = match &self.listen {
            Some(listen) => Server::bind_at(client.clone(), listen).await?,
            None => Server::bind(client.clone()).await?,
        };
        let address = server.address()?.to_string();
        if announce(&server, &address, global)? {
            let key = if client.config().server.key.is_some() { "your-server-key" } else { "any" };
            welcome(&address, key, global.rehearsal.replays())?;
        }
        run_until_signal(server, global.quiet).await
    }
}

/// How to point each SDK at it.
fn welcome(address: &str, key: &str, replays: bool) -> anyhow::Result<()> {
    complain(&format!("trunkline {} simulates on http://{address}", env!("CARGO_PKG_VERSION")));
    complain(if replays {
        "  every answer is a recorded one; a request that was not recorded fails"
    } else {
        "  whatever the model's name, the answer is your prompt (`lorem`: filler text)"
    });
    complain("Have your program run with one of these, or give its SDK the base URL:");
    for line in Catalog::builtin()?.iter().filter_map(|provider| pointer(provider, address, key)) {
        complain(&format!("  {line}"));
    }
    Ok(())
}

/// The variables that lead the SDK of a dialect's maker here: the provider whose name the dialect begins with.
fn pointer(provider: &Provider, address: &str, key: &str) -> Option<String> {
    let id = provider.id.as_str();
    let is_own = |name: &str| name.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let own = dialect::ALL.iter().find(|dialect| is_own(dialect.name) && dialect.downstream.is_some())?;
    let version = if provider.url(own.name).ends_with("/v1") { "/v1" } else { "" };
    let base = format!("http://{address}{version}");
    let Some(variable) = provider.base_url_env.first() else { return Some(format!("{}: {base}", provider.name)) };
    let key = provider.auth.env_names().first().map(|name| format!(" {name}={key}")).unwrap_or_default();
    Some(format!("{variable}={base}{key}"))
}
