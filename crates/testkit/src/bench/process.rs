//! A child process under measurement: CPU time and resident memory of it and all its descendants, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One tick of `/proc/<pid>/stat`. The kernel reports to user space in hundredths of a second on every platform.
const TICK: Duration = Duration::from_millis(10);
/// How long a server may take to listen, or to stop.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// How long a server that is no longer needed may take to end by itself.
const MOST_GRACE: Duration = Duration::from_secs(2);

/// A server process and its children.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    child: Child,
}

/// CPU time spent up to now by a process and its descendants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    ticks: Duration,
    exact: Duration,
    processes: u32,
}

impl Cpu {
    /// Time spent since `before`. The scheduler's own figure has nanoseconds but forgets threads that have ended;
    /// where it agrees with the ticks it is used, else the ticks are.
    #[must_use]
    pub fn since(self, before: Self) -> Duration {
        let ticks = self.ticks.saturating_sub(before.ticks);
        let exact = self.exact.saturating_sub(before.exact);
        if exact.abs_diff(ticks) <= 3 * TICK * self.processes.max(1) { exact } else { ticks }
    }
}

impl Server {
    /// Starts `command`, its output going to the file `log`. Does not wait until it listens.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(mut command: Command, addr: SocketAddr, log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self { addr, child })
    }

    /// Waits until the port takes connections.
    ///
    /// # Errors
    /// When the process ends first, or ten seconds pass.
    pub fn wait_until_listening(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended before it listened: {status}")));
            }
            if start.elapsed() > MOST_WAIT {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not listen after ten seconds"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// The process and all its descendants.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        descend(self.child.id())
    }

    /// CPU time up to now.
    #[must_use]
    pub fn cpu(&self) -> Cpu {
        let mut cpu = Cpu::default();
        for pid in self.pids() {
            cpu.ticks += read_ticks(pid).unwrap_or_default();
            cpu.exact += read_exact(pid);
            cpu.processes += 1;
        }
        cpu
    }

    /// Resident memory now, in KiB, over all processes (pages that they share are counted in each).
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.pids().into_iter().map(|pid| read_status(pid, "VmRSS:")).sum()
    }

    /// Largest resident memory since the start or the last [`Server::forget_peak`], in KiB.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.pids().into_iter().map(|pid| read_status(pid, "VmHWM:")).sum()
    }

    /// Starts the peak anew.
    pub fn forget_peak(&self) {
        for pid in self.pids() {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    /// Asks the process to end (SIGTERM) and says how long it took.
    ///
    /// # Errors
    /// When it still runs after ten seconds; it is killed then.
    pub fn stop(mut self) -> io::Result<Duration> {
        let start = Instant::now();
        send("TERM", &[self.child.id()]);
        while start.elapsed() < MOST_WAIT {
            if self.child.try_wait()?.is_some() {
                return Ok(start.elapsed());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "it still runs ten seconds after SIGTERM"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // A parent that loses a worker starts another, and workers outlive a parent that is killed. So it is asked
        // first, and ends them itself; one that does not listen is halted before all of them are killed.
        let root = self.child.id();
        send("TERM", &[root]);
        let start = Instant::now();
        while start.elapsed() < MOST_GRACE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        send("STOP", &[root]);
        send("KILL", &self.pids());
        let _ = self.child.wait();
    }
}

/// Sends a signal through the shell's own `kill`: the standard library offers no way to.
fn send(signal: &str, pids: &[u32]) {
    let list: Vec<_> = pids.iter().map(u32::to_string).collect();
    let line = format!("kill -{signal} {} 2>/dev/null", list.join(" "));
    let _ = Command::new("sh").arg("-c").arg(line).status();
}

/// `root` and everything below it, parents before children.
fn descend(root: u32) -> Vec<u32> {
    let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = read_stat(pid).and_then(|stat| stat.get(1)?.parse().ok()) {
            below.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(below.remove(&pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// The fields of `/proc/<pid>/stat` behind the name, which may itself contain blanks: state, parent, …
fn read_stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn read_ticks(pid: u32) -> Option<Duration> {
    let fields = read_stat(pid)?;
    let user: u32 = fields.get(11)?.parse().ok()?;
    let system: u32 = fields.get(12)?.parse().ok()?;
    Some(TICK * (user + system))
}

fn read_exact(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn read_status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Sockets and files that this process may have open at once.
#[must_use]
pub fn most_open_files() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_of_a_child_is_counted_and_stopped() {
        let mut command = Command::new("sh");
        // It ignores the polite signal, so that the other way is taken too.
        command.arg("-c").arg("trap '' TERM; sleep 30 & wait");
        let log = std::env::temp_dir().join(format!("bench-process-{}", std::process::id()));
        let server = Server::spawn(command, SocketAddr::from(([127, 0, 0, 1], 1)), &log).unwrap();
        let start = Instant::now();
        while server.pids().len() < 2 && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pids = server.pids();
        assert_eq!(pids.len(), 2);
        assert!(server.resident() > 0 && server.peak() >= server.resident());
        drop(server);
        let _ = fs::remove_file(log);
        let alive = |pid: &u32| read_stat(*pid).is_some_and(|stat| stat[0] != "Z");
        std::thread::sleep(Duration::from_millis(50));
        assert!(!pids.iter().any(alive));
    }
}
