//! `--faults`, `--record`, `--replay` and `trunkline sim`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::terminal::{Folder, command, run, text};

/// A server of ours, killed when dropped.
struct Serving {
    child: Child,
    address: String,
    welcome: Vec<String>,
}

impl Serving {
    /// Started with these arguments; `last` is a word of the last line that it says at the start.
    fn start(folder: &Folder, arguments: &[&str], last: &str) -> Self {
        let mut child = command(folder, arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut welcome: Vec<String> = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            welcome.push(line.unwrap());
            if welcome.last().unwrap().contains(last) {
                break;
            }
        }
        let address = welcome[0].rsplit_once("http://").unwrap().1.to_owned();
        Serving { child, address, welcome }
    }

    fn open(&self, path: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("POST {path} HTTP/1.0\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        socket
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut reply = Vec::new();
        self.open(path, body).read_to_end(&mut reply).unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_was_recorded_is_said_again() {
    let folder = Folder::new();
    let ask = ["ask", "-m", "sim/echo", "Hello, you there"];
    assert_eq!(text(&run(&folder, &[&ask[..], &["--record", "session"]].concat(), "").stdout), "Hello, you there\n");
    assert_eq!(std::fs::read_dir(folder.0.join("session")).unwrap().count(), 1);
    let again = run(&folder, &[&ask[..], &["--replay", "session", "--timing"]].concat(), "");
    assert_eq!((text(&again.stdout).as_str(), text(&again.stderr).as_str()), ("Hello, you there\n", ""));
    let other = run(&folder, &["--replay", "session", "ask", "-m", "sim/echo", "Hello, you"], "");
    let said = text(&other.stderr);
    assert!(other.status.code() == Some(1) && said.contains("differs in `messages[0].content` only"), "{said}");
    let both = run(&folder, &["ask", "--record", "a", "--replay", "b", "x"], "");
    assert_eq!(both.status.code(), Some(2), "{}", text(&both.stderr));
}

#[test]
fn faults_come_from_a_line_and_from_a_file() {
    let folder = Folder::new();
    let ask = |plan: &str| run(&folder, &["ask", "-m", "sim/echo", "--no-stream", "--faults", plan, "Hello"], "");
    let failed = ask("status=503");
    assert!(failed.status.code() == Some(1) && text(&failed.stderr).contains("HTTP 503"), "{}", text(&failed.stderr));
    std::fs::write(folder.0.join("plan.toml"), "[faults]\ntarget = \"other/*\"\nstatus = 500\n").unwrap();
    assert_eq!(text(&ask("plan.toml").stdout), "Hello\n");
    std::fs::write(folder.0.join("plan.toml"), "[faults]\nstatuss = 500\n").unwrap();
    let said = text(&ask("plan.toml").stderr);
    assert!(said.contains("plan.toml, line 2: unknown key `statuss`; the nearest known key is `status`"), "{said}");
    assert!(text(&ask("nowhere.toml").stderr).contains("there is no file nowhere.toml"));
}

#[test]
fn the_simulator_says_how_to_point_each_sdk_at_it_and_answers_to_any_name() {
    let folder = Folder::new();
    // What lies about is not for it.
    std::fs::write(folder.0.join("trunkline.toml"), "[models.gpt-4o]\ntargets = [\"openai/gpt-4o\"]\n").unwrap();
    let sim = Serving::start(
        &folder,
        &["sim", "--listen", "127.0.0.1:0", "--faults", "target='sim/broken', cut_after=150"],
        "OPENAI_BASE_URL",
    );
    let said = sim.welcome.join("\n");
    for line in [
        format!("OPENAI_BASE_URL=http://{}/v1 OPENAI_API_KEY=any", sim.address),
        format!("ANTHROPIC_BASE_URL=http://{} ANTHROPIC_API_KEY=any", sim.address),
        format!("GOOGLE_GEMINI_BASE_URL=http://{} GOOGLE_API_KEY=any", sim.address),
    ] {
        assert!(said.contains(&line), "{line} is not in {said}");
    }
    let whole = sim.post("/v1/chat/completions", r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#);
    assert!(whole.contains("200 OK") && whole.contains("\"content\":\"Hello\""), "{whole}");
    let broken = sim.post(
        "/v1/messages",
        r#"{"model":"broken","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}"#,
    );
    assert!(broken.contains("event: error") && !broken.contains("message_stop"), "{broken}");
}

/// A killed gateway leaves whole recordings, and nothing that playing back would trip over.
#[test]
fn a_killed_gateway_leaves_no_half_recording() {
    let folder = Folder::new();
    let long = "word ".repeat(20_000);
    let body = format!(r#"{{"model":"sim/echo","stream":true,"messages":[{{"role":"user","content":"{long}"}}]}}"#);
    let path = "/v1/chat/completions";
    for _ in 0..3 {
        let mut gateway = Serving::start(&folder, &["serve", "--listen", "127.0.0.1:0", "--record", "session"], "curl ");
        gateway.post(path, &body);
        let running: Vec<TcpStream> = (0..8).map(|_| gateway.open(path, &body)).collect();
        // Long enough for some to be written, too short for all.
        let until = Instant::now() + Duration::from_secs(20);
        while count(&folder) == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        gateway.child.kill().unwrap();
        gateway.child.wait().unwrap();
        drop(running);
    }
    assert!(count(&folder) >= 1);
    let gateway = Serving::start(&folder, &["serve", "--listen", "127.0.0.1:0", "--replay", "session"], "curl ");
    let reply = gateway.post(path, &body);
    assert!(reply.contains("200 OK") && reply.contains("[DONE]"), "{} bytes", reply.len());
}

fn count(folder: &Folder) -> usize {
    let Ok(entries) = std::fs::read_dir(folder.0.join("session")) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|its| its == "json")).count()
}
