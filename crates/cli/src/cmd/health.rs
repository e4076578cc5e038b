//! `trunkline health`.

use anyhow::{Context as _, bail};
use http::{HeaderValue, Request, StatusCode, header};
use trunkline::config::resolve_secret;
use trunkline::route::{Health as Seen, State, TargetHealth};
use trunkline::transport::{HttpTransport, Options, Payload, Transport as _};

use crate::terminal::{Cell, Mark, complain, print_json, print_rows, print_table};
use crate::{End, Global};

/// Show how the targets of a running gateway stand: fit, at rest and why, how busy, how fast.
#[derive(clap::Args)]
pub(crate) struct Health {
    /// Where the gateway is [default: the address that the configuration has it listen on]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
}

/// The longest answer that is read.
const LIMIT: usize = 16 * 1024 * 1024;

impl Health {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let config = client.config().clone();
        let base = self.gateway.unwrap_or_else(|| format!("http://{}", config.server.listen));
        let mut request = Request::get(format!("{}/health/targets", base.trim_end_matches('/'))).body(Payload::empty())?;
        if let Some(reference) = &config.server.key
            && let Some(key) = resolve_secret(reference, &client.environment())?
        {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let reply = HttpTransport::new(Options::default()).send(request).await;
        let reply = reply.with_context(|| format!("no gateway answers at {base}; start it with `trunkline serve`"))?;
        let status = reply.status();
        let body = reply.into_body().collect(LIMIT).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => bail!("the gateway at {base} wants its key: give it in [server] key"),
            status => bail!("{base} answered with HTTP {}; is it a trunkline gateway?", status.as_u16()),
        }
        let seen: Seen = serde_json::from_slice(&body).with_context(|| format!("{base} is no trunkline gateway"))?;
        let fit = seen.targets.iter().all(|target| target.state != State::Resting) && seen.credentials.is_empty();
        if global.json {
            print_json(&seen)?;
        } else {
            show(&seen, global.quiet)?;
        }
        Ok(if fit { End::Done } else { End::Partly })
    }
}

fn show(seen: &Seen, quiet: bool) -> anyhow::Result<()> {
    if seen.targets.is_empty() && !quiet {
        complain("no target has been asked yet, and no alias names one");
    }
    let rows: Vec<_> = seen.targets.iter().map(row).collect();
    if !rows.is_empty() {
        print_rows(Some(&["target", "now", "answer", "stream", "state"]), &rows)?;
    }
    let resting: Vec<_> = seen
        .credentials
        .iter()
        .map(|rest| {
            let state = format!("the credential {} rests for another {} s", rest.credential, rest.rest_seconds);
            (Mark::Bad, vec![rest.provider.clone(), state])
        })
        .collect();
    if !resting.is_empty() {
        print_table(&resting)?;
    }
    let limited = seen.limits.iter().map(|limit| {
        let state = format!("{} calls are out and {} wait", limit.in_flight, limit.waiting);
        (Mark::Yes, vec![limit.provider.clone(), state])
    });
    let limited: Vec<_> = limited.collect();
    if !limited.is_empty() {
        print_table(&limited)?;
    }
    Ok(())
}

fn row(target: &TargetHealth) -> (Mark, Vec<Cell>) {
    let mark = match target.state {
        State::Fit => Mark::Yes,
        State::Recovering | State::OnTrial => Mark::No,
        State::Resting => Mark::Bad,
    };
    let ms = |ms: Option<u64>| Cell::right(ms.map_or_else(String::new, |ms| format!("{ms} ms")));
    let state = match (target.state, target.rest_seconds, &target.why) {
        (State::Fit, ..) => "fit".to_owned(),
        (State::Recovering, ..) => "recovering".to_owned(),
        (State::OnTrial, ..) => "on trial".to_owned(),
        (State::Resting, left, why) => {
            format!("rests for {} s: {}", left.unwrap_or_default(), why.as_deref().unwrap_or_default())
        }
    };
    let cells = vec![
        Cell::left(target.target.clone()),
        Cell::right(target.in_flight.to_string()),
        ms(target.answer_ms),
        ms(target.stream_ms),
        Cell::left(state),
    ];
    (mark, cells)
}
