//! A batch finds its pace by itself. `tests/batch/speed.sh` runs the long form.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::terminal::{Folder, text};

/// Answers after `latency` as long as no more than `most` are asked at once, and 429 to the others. Lean, so that it is not
/// what is measured. Gives its address.
fn serve(latency: Duration, most: usize, refused: Arc<AtomicUsize>, peak: Arc<AtomicUsize>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let out = Arc::new(AtomicUsize::new(0));
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let (out, refused, peak) = (Arc::clone(&out), Arc::clone(&refused), Arc::clone(&peak));
                tokio::spawn(async move {
                    let mut inbox = Vec::new();
                    while let Some(end) = request(&mut socket, &mut inbox).await {
                        inbox.drain(..end);
                        let before = out.fetch_add(1, Ordering::SeqCst);
                        let taken = before < most;
                        peak.fetch_max(before + 1, Ordering::SeqCst);
                        if taken {
                            tokio::time::sleep(latency).await;
                        } else {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                        out.fetch_sub(1, Ordering::SeqCst);
                        let (status, body) = if taken {
                            ("200 OK", r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#)
                        } else {
                            ("429 Too Many Requests", r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#)
                        };
                        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
                        if socket.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    address
}

/// The length of the next whole request.
async fn request(socket: &mut tokio::net::TcpStream, inbox: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(head) = inbox.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&inbox[..head]).to_lowercase();
            let length =
                text.split("content-length:").nth(1).map_or(0, |rest| rest.lines().next().unwrap().trim().parse().unwrap());
            if inbox.len() >= head + 4 + length {
                return Some(head + 4 + length);
            }
        }
        if socket.read_buf(inbox).await.ok()? == 0 {
            return None;
        }
    }
}

/// The most memory that a running process has had, in KiB.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_batch_is_about_as_fast_as_its_provider_allows() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let long = number("LINES");
    // In the short form what else the machine does would be measured, and not the pace: only that it is found.
    let (lines, most) = long.map_or((600, 24), |lines| (lines as usize, 200));
    let latency = Duration::from_millis(number("LATENCY_MS").unwrap_or(50));
    let (refused, peak_out) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let address = serve(latency, most, Arc::clone(&refused), Arc::clone(&peak_out));
    let folder = Folder::new();
    let config = format!(
        "[providers.house]\nbase_url = \"http://{address}/v1\"\ndialects = [\"openai-chat\"]\nauth = {{ none = true }}\n"
    );
    std::fs::write(folder.0.join("trunkline.toml"), config).unwrap();
    let input: String = (1..=lines).map(|n| format!("{{\"custom_id\":\"c{n}\",\"prompt\":\"p{n}\"}}\n")).collect();
    std::fs::write(folder.0.join("in.jsonl"), input).unwrap();
    let binary = std::env::var("TRUNKLINE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_trunkline").to_owned());
    let ideal = latency.as_secs_f64() * lines as f64 / most as f64;
    let run = |out: &str| {
        let mut command = Command::new(&binary);
        command.args(["batch", "in.jsonl", "-o", out, "-m", "house/m", "-c", "1000", "--in-doubt", "retry"]);
        command.current_dir(&folder.0).env_clear().env("HOME", &folder.0).stdin(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let started = Instant::now();
    let mut child = run("whole.jsonl");
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        memory = memory.max(peak(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed().as_secs_f64();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let over = took / ideal;
    println!("{}", text(&output.stderr));
    println!(
        "{lines} lines in {took:.2} s, {over:.3} times the ideal {ideal:.2} s; {} refused; {memory} KiB",
        refused.load(Ordering::SeqCst)
    );
    let (refused, peak_out) = (refused.load(Ordering::SeqCst), peak_out.load(Ordering::SeqCst));
    assert!(peak_out >= most * 3 / 4, "never more than {peak_out} out of {most} that are allowed");
    assert!(refused <= lines / 10, "{refused} refused");
    assert!(long.is_none() || over <= 1.15, "{over:.3} times the ideal");
    assert!(memory <= 100 * 1024, "{memory} KiB");
    for patience in [0.3, 0.3] {
        let mut child = run("killed.jsonl");
        std::thread::sleep(Duration::from_secs_f64(ideal * patience));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = run("killed.jsonl").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let count = std::fs::read_to_string(folder.0.join("killed.jsonl")).unwrap().lines().count();
    assert_eq!(count, lines);
}
