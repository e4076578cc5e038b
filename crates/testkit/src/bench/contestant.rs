//! The proxies that are compared, and how to start them: in a temporary folder, on free loopback ports.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::connection::Expect;
use super::load::Load;
use super::option::Options;
use super::process::Server;
use super::prompt::{Speech, write_body, write_post};

/// A temporary folder that goes away with the value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder of this process's own.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("trunkline-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The four ways from the load generator to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// No proxy.
    Direct,
    /// Through the plain reverse proxy.
    Nginx,
    /// Through the gateway, the caller speaking the provider's dialect.
    Same,
    /// Through the gateway, the caller speaking another dialect.
    Translate,
}

impl Way {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Nginx, Self::Same, Self::Translate];

    /// The word in the table and the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Same => "same",
            Self::Translate => "translate",
        }
    }

    /// What the caller speaks on this way.
    #[must_use]
    pub fn speech(self) -> Speech {
        if self == Self::Translate { Speech::Messages } else { Speech::Chat }
    }
}

/// What one request asks for, the same on every way.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The provider's model, which selects its behaviour.
    pub model: String,
    /// Size of the prompt, in bytes.
    pub prompt: usize,
    /// Content deltas; 0 for a whole reply.
    pub deltas: usize,
    /// Leave the stream open after its first delta.
    pub hold: bool,
    /// Connections at the same time.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
}

/// Everything that runs during a bench.
#[derive(Debug)]
pub struct Field {
    /// The local provider's address.
    pub provider: SocketAddr,
    /// The plain reverse proxy, if it is installed.
    pub nginx: Option<Server>,
    /// The gateway, if it is built.
    pub gateway: Option<Server>,
    /// Sent as `authorization: Bearer …`.
    pub bearer: Option<String>,
}

impl Field {
    /// The process on a way, if there is one.
    #[must_use]
    pub fn server(&self, way: Way) -> Option<&Server> {
        match way {
            Way::Direct => None,
            Way::Nginx => self.nginx.as_ref(),
            Way::Same | Way::Translate => self.gateway.as_ref(),
        }
    }

    /// The load that `ask` means on `way`; `None` when nothing serves that way.
    #[must_use]
    pub fn load(&self, way: Way, ask: &Ask) -> Option<Load> {
        let addr = if way == Way::Direct { self.provider } else { self.server(way)?.addr };
        let gateway = matches!(way, Way::Same | Way::Translate);
        let model = if gateway { format!("local/{}", ask.model) } else { ask.model.clone() };
        Some(write_load(addr, way, &model, self.bearer.as_deref(), ask))
    }
}

/// A load for an address, with the model's name as the contestant there knows it.
#[must_use]
pub fn write_load(addr: SocketAddr, way: Way, model: &str, bearer: Option<&str>, ask: &Ask) -> Load {
    let speech = way.speech();
    let streamed = ask.deltas > 0 || ask.hold;
    // The plain proxy cannot see in the body that a stream was asked for; its unbuffered location is under /stream.
    let prefix = if way == Way::Nginx && streamed { "/stream" } else { "" };
    let body = write_body(model, ask.prompt, streamed);
    let request: Arc<[u8]> = write_post(addr, &format!("{prefix}{}", speech.path()), bearer, &body).into();
    let expect = Expect { terminator: streamed.then(|| speech.terminator()), frames: ask.deltas, hold: ask.hold, marker: true };
    Load { addr, request, expect, connections: ask.connections, requests: ask.requests, warm: 0 }
}

/// A loopback address that nobody listens on right now.
///
/// # Errors
/// When no socket can be had.
pub fn free_addr() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Whether the plain reverse proxy can be run at all.
#[must_use]
pub fn has_nginx(options: &Options) -> bool {
    Command::new(&options.nginx).arg("-v").output().is_ok()
}

/// Starts the plain reverse proxy; `None` when it is not installed.
///
/// # Errors
/// When it is installed but does not start.
pub fn start_nginx(options: &Options, scratch: &Scratch, provider: SocketAddr) -> io::Result<Option<Server>> {
    if !has_nginx(options) {
        return Ok(None);
    }
    let addr = free_addr()?;
    let folder = scratch.path().join("nginx");
    fs::create_dir_all(&folder)?;
    let config = folder.join("nginx.conf");
    fs::write(&config, write_nginx_config(addr, provider, &folder))?;
    let mut command = Command::new(&options.nginx);
    command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(&folder).arg("-c").arg(&config);
    let mut server = Server::spawn(command, addr, &folder.join("output.log"))?;
    server.wait_until_listening().map_err(|e| explain("nginx", &e, &folder.join("error.log")))?;
    Ok(Some(server))
}

fn write_nginx_config(addr: SocketAddr, provider: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes 2;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 1m;
    client_max_body_size 16m;
    keepalive_requests 10000000;
    keepalive_timeout 600s;
    proxy_read_timeout 600s;
    upstream provider {{
        server {provider};
        keepalive 256;
        keepalive_requests 10000000;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    server {{
        listen {addr} backlog=4096;
        location / {{ proxy_pass http://provider; }}
        location /stream/ {{ proxy_pass http://provider/; proxy_buffering off; }}
    }}
}}
"
    )
}

/// Starts the gateway in a folder of its own, so that no configuration, `.env` file or ledger of the user's takes
/// part. Does not wait until it listens.
///
/// # Errors
/// When the binary cannot be started.
pub fn spawn_gateway(options: &Options, scratch: &Scratch, provider: SocketAddr) -> io::Result<Server> {
    let binary = fs::canonicalize(&options.gateway)?;
    let addr = free_addr()?;
    let folder = scratch.path().join("gateway");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut more = options.config.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
    if !more.contains("[store]") {
        // What is compared is what a call costs; the ledger is measured by a file that asks for it.
        more.push_str("\n[store]\npath = \"none\"\n");
    }
    let config = folder.join("trunkline.toml");
    fs::write(&config, write_gateway_config(addr, provider, &more))?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(&config).current_dir(&folder).env("HOME", &folder);
    Server::spawn(command, addr, &folder.join("output.log"))
}

/// Starts the gateway and waits until it listens; `None` when its binary is not there.
///
/// # Errors
/// When it does not start.
pub fn start_gateway(options: &Options, scratch: &Scratch, provider: SocketAddr) -> io::Result<Option<Server>> {
    if !options.gateway.is_file() {
        return Ok(None);
    }
    let mut server = spawn_gateway(options, scratch, provider)?;
    let log = scratch.path().join("gateway/output.log");
    server.wait_until_listening().map_err(|e| explain("the gateway", &e, &log))?;
    Ok(Some(server))
}

/// The gateway's configuration: one provider, and whatever `more` adds.
#[must_use]
pub fn write_gateway_config(addr: SocketAddr, provider: SocketAddr, more: &str) -> String {
    format!(
        "[server]\nlisten = \"{addr}\"\n\n[providers.local]\nbase_url = \"http://{provider}/v1\"\n\
         dialects = [\"openai-chat\"]\nauth     = {{ none = true }}\n\n{more}"
    )
}

fn explain(who: &str, error: &io::Error, log: &Path) -> io::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let from = text.len().saturating_sub(600);
    let tail = text.get(from..).unwrap_or(&text);
    io::Error::new(error.kind(), format!("{who} did not start: {error}\n{tail}"))
}
