//! Commands and gateways that run in a bare environment: no key, no `.env`, no configuration of whoever runs the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("trunkline-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.args(arguments).current_dir(&folder.0).env_clear().env("HOME", &folder.0).stdin(Stdio::null());
    command
}

/// Runs a command to its end, with `input` in its pipe.
pub(crate) fn run(folder: &Folder, arguments: &[&str], input: &str) -> Output {
    let mut child =
        command(folder, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a signal: `-TERM`, `-INT`.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// `trunkline serve` on a free port.
pub(crate) struct Gateway {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// What it printed when it started.
    pub(crate) welcome: Vec<String>,
    /// Where it runs.
    pub(crate) folder: Folder,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        Gateway::start_in(Folder::new())
    }

    pub(crate) fn start_in(folder: Folder) -> Self {
        let mut child = command(&folder, &["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut welcome = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            welcome.push(line.unwrap());
            if welcome.last().unwrap().contains("curl ") {
                break;
            }
        }
        let address = welcome[0].rsplit_once("http://").unwrap().1.to_owned();
        Gateway { child, address, welcome, folder }
    }

    /// Sends a body, as curl does, and gives status, head and body of the reply.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String, String) {
        self.post_with(path, body, "")
    }

    /// The same with more headers, each with its line end.
    pub(crate) fn post_with(&self, path: &str, body: &str, headers: &str) -> (u16, String, String) {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.0\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply).unwrap();
        // Binary streams are looked at for the words in them.
        let reply = String::from_utf8_lossy(&reply);
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// Asks it to stop and waits until it has.
    #[cfg(unix)]
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        signal(&self.child, "-TERM");
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
