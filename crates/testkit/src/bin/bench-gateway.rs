//! The command behind `make bench-gateway`; see `benches/gateway/README.md`.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_testkit::bench::contestant::{self, Ask, Field, Scratch, Way};
use trunkline_testkit::bench::option::{HELP, Options};
use trunkline_testkit::bench::process::Server;
use trunkline_testkit::bench::provider::Provider;
use trunkline_testkit::bench::report::Report;
use trunkline_testkit::bench::{lifetime, load, memory, scenario};

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) if text == HELP => {
            let _ = write!(io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(text) => {
            say(&text);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            say(&format!("bench-gateway: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One line on standard error.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// True when every reply was as expected. Ctrl-C drops everything under way, which stops the child processes.
fn run(options: &Options) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let work = async {
            match options.command.as_str() {
                "provider" => serve(options).await,
                "load" => send(options).await,
                "port" => writeln!(io::stdout(), "{}", contestant::free_addr()?.port()).map(|()| true),
                _ => measure(options).await,
            }
        };
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(io::Error::other("stopped")),
            _ = terminate.recv() => Err(io::Error::other("stopped")),
        }
    })
}

async fn serve(options: &Options) -> io::Result<bool> {
    let provider = Provider::start(options.port)?;
    writeln!(io::stdout(), "{}", provider.addr)?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    Ok(true)
}

async fn send(options: &Options) -> io::Result<bool> {
    let addr: SocketAddr = options.to.parse().map_err(|_| io::Error::other("--to takes an address such as 127.0.0.1:4000"))?;
    if !addr.ip().is_loopback() {
        return Err(io::Error::other("--to takes a loopback address only"));
    }
    let way = if options.translate { Way::Translate } else { Way::Same };
    let ask = Ask {
        model: String::new(),
        prompt: options.kilobytes * 1024,
        deltas: usize::from(options.stream),
        hold: false,
        connections: options.connections,
        requests: options.requests,
    };
    let load = contestant::write_load(addr, way, &options.model, options.bearer.as_deref(), &ask);
    let sample = load::drive(&load, load::open(&load).await?).await?;
    say(&format!("{} good replies, {:.0} a second, {} wrong", sample.totals.len(), sample.rate(), sample.errors));
    if let Some(error) = &sample.error {
        say(error);
    }
    Ok(sample.errors == 0)
}

async fn measure(options: &Options) -> io::Result<bool> {
    let scratch = Scratch::make()?;
    let provider = Provider::start(0)?;
    let mut report = Report { about: about(options), ..Report::default() };
    let gateway = options.gateway.is_file();
    if gateway {
        report.binary = std::fs::metadata(&options.gateway).ok().map(|meta| meta.len());
    } else {
        let path = options.gateway.display();
        note(&mut report, format!("no gateway at {path}: its columns are empty (cargo build --release builds it)"));
    }
    measure_scenarios(options, &scratch, &provider, &mut report).await;
    if options.wants("memory") {
        measure_memory(options, &scratch, &provider, &mut report).await;
    }
    if options.wants("lifetime") && gateway {
        say("start and stop …");
        match lifetime::run(options, &scratch, provider.addr).await {
            Ok(times) => report.lifetimes = times,
            Err(error) => fail(&mut report, format!("start and stop were not measured: {error}")),
        }
    }
    publish(options, &report)
}

fn note(report: &mut Report, text: String) {
    say(&text);
    report.notes.push(text);
}

/// A note on something that should have been measured.
fn fail(report: &mut Report, text: String) {
    report.failed = true;
    note(report, text);
}

/// Starts nginx and the gateway, as far as they are there; one that does not start is noted and left out.
fn start(options: &Options, scratch: &Scratch, provider: &Provider, report: &mut Report) -> Field {
    let mut found = |outcome: io::Result<Option<Server>>| {
        outcome.unwrap_or_else(|error| {
            fail(report, error.to_string());
            None
        })
    };
    let nginx = found(contestant::start_nginx(options, scratch, provider.addr));
    let gateway = found(contestant::start_gateway(options, scratch, provider.addr));
    Field { provider: provider.addr, nginx, gateway, bearer: options.bearer.clone() }
}

async fn measure_scenarios(options: &Options, scratch: &Scratch, provider: &Provider, report: &mut Report) {
    let scenarios = scenario::list(options);
    if scenarios.is_empty() {
        return;
    }
    let field = start(options, scratch, provider, report);
    if !contestant::has_nginx(options) {
        note(report, "nginx is not installed (Debian: nginx-light): there is no yardstick, and no ratios".into());
    }
    for scenario in scenarios {
        say(&format!("{} …", scenario.title));
        let outcome = scenario::run(&field, &scenario, options.rounds).await;
        for (way, error) in outcome.failures {
            fail(report, format!("{}, {}: not measured: {error}", scenario.title, way.name()));
        }
        report.scenarios.push((scenario, outcome.slices));
    }
}

/// Each contestant is started afresh: memory depends on what happened before.
async fn measure_memory(options: &Options, scratch: &Scratch, provider: &Provider, report: &mut Report) {
    let streams = memory::affordable_streams(options.streams);
    if streams < options.streams {
        note(report, format!("the limit of open files allows {streams} streams, not {}", options.streams));
    }
    let field = start(options, scratch, provider, report);
    for way in [Way::Nginx, Way::Same] {
        if field.server(way).is_none() {
            continue;
        }
        say(&format!("memory, {} …", way.name()));
        match memory::run(&field, way, options).await {
            Ok(found) => report.memory.push((way, found)),
            Err(error) => fail(report, format!("memory was not measured: {error}")),
        }
    }
}

/// Where and with what the figures were made.
fn about(options: &Options) -> Value {
    let first_line = |program: &std::path::Path, arg: &str| {
        let output = Command::new(program).arg(arg).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "gateway": first_line(&options.gateway, "--version"),
        "nginx": first_line(&options.nginx, "-v"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average_at_start": load.split_whitespace().next(),
        "rounds": options.rounds,
        "quick": options.quick,
        "governed": options.config.is_some(),
    })
}

fn publish(options: &Options, report: &Report) -> io::Result<bool> {
    let text = serde_json::to_string_pretty(&report.json()).map_err(io::Error::other)?;
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.out, &text)?;
    if options.json {
        write!(io::stderr(), "{}", report.table())?;
        writeln!(io::stdout(), "{text}")?;
    } else {
        writeln!(io::stdout(), "{}JSON: {}", report.table(), options.out.display())?;
    }
    Ok(report.clean())
}
