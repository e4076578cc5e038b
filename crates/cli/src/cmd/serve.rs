//! `trunkline serve`.

use std::sync::Arc;

use trunkline::Client;
use trunkline_gateway::{Server, Shelf, Stop};
use trunkline_store::Ledger;

use crate::ledger;
use crate::signal;
use crate::terminal::{complain, print_json};
use crate::{End, Global};

/// Run the gateway.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Address and port, instead of the configuration's [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Serve {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let server = match &self.listen {
            Some(listen) => Server::bind_at(client.clone(), listen).await?,
            None => Server::bind(client.clone()).await?,
        };
        let server = server.record(Arc::clone(&global.record)).prompts(Shelf::of(ledger::path(global, &client)));
        // Now, so that what is wrong with it is told now.
        global.record.ledger().into_iter().for_each(Ledger::start);
        let address = server.address()?.to_string();
        if announce(&server, &address, global)? {
            welcome(&client, &address, &server.notices);
        }
        run_until_signal(server, global.quiet).await
    }
}

/// Says as JSON where a gateway listens, if that is what is wanted. Whether a person is to be told.
pub(super) fn announce(server: &Server, address: &str, global: &Global) -> anyhow::Result<bool> {
    if global.json {
        print_json(&serde_json::json!({ "listen": address, "notices": server.notices }))?;
    }
    Ok(!global.json && !global.quiet)
}

/// Serves until a signal says stop and running calls are over.
pub(super) async fn run_until_signal(server: Server, quiet: bool) -> anyhow::Result<End> {
    let (stop, stopping) = Stop::new();
    tokio::spawn(async move {
        signal::next().await;
        if !quiet {
            complain("stopping: no new calls, running ones may finish (again to stop at once)");
        }
        stop.stop();
        signal::next().await;
        std::process::exit(1);
    });
    server.run(stopping).await?;
    Ok(End::Done)
}

/// What a person needs to make the first call.
fn welcome(client: &Client, address: &str, notices: &[String]) {
    complain(&format!("trunkline {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
    for notice in notices {
        complain(&format!("  {notice}"));
    }
    let services = client.services();
    let ready = services.iter().filter(|service| service.is_ready() && service.provider.id != client.simulator());
    let ready: Vec<&str> = ready.map(|service| service.provider.id.as_str()).collect();
    if ready.is_empty() {
        complain(
            "  no provider has a key yet, so the built-in simulator answers; `trunkline providers` tells which variables to set",
        );
    } else {
        complain(&format!("  ready: {}", ready.join(", ")));
    }
    let key = if client.config().server.key.is_some() { " -H \"authorization: Bearer $TRUNKLINE_KEY\"" } else { "" };
    complain("Try:");
    complain(&format!(
        "  curl http://{address}/v1/chat/completions{key} -d '{{\"model\":\"{}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
        client.default_model()
    ));
}
