//! Other processes on the same files: this test program, started again and told what to do.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use sqlx::{ConnectOptions, Connection, Executor, Row};
use trunkline_store::{Ids, Ledger, Options};

use crate::folder::call;

/// Another process, which ends when this is dropped.
pub(crate) struct Other {
    child: Child,
    orders: Option<ChildStdin>,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Other {
    /// Starts it: `what` is one of the words below.
    pub(crate) fn start(what: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "process::does_what_it_is_told"])
            .env("TRUNKLINE_TEST_DO", what)
            .env("TRUNKLINE_TEST_PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Other { orders: child.stdin.take(), child, said }
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let line = self.said.next().expect("it ended without a word").unwrap();
            if let Some((_, said)) = line.split_once("said: ") {
                return said.to_owned();
            }
        }
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
    }

    /// Lets it go on.
    pub(crate) fn go_on(&mut self) {
        writeln!(self.orders.as_mut().unwrap(), "go on").unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// How many calls another process finds.
pub(crate) fn count(path: &Path) -> u64 {
    Other::start("count", path).hear().parse().unwrap()
}

/// Waits until it may go on, or whoever started it has gone.
fn pause() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
#[ignore = "is the other process of other tests"]
fn does_what_it_is_told() {
    let (Ok(what), Ok(path)) = (std::env::var("TRUNKLINE_TEST_DO"), std::env::var("TRUNKLINE_TEST_PATH")) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plain = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        match what.as_str() {
            "count" => {
                let mut connection = plain.connect().await.unwrap();
                let row = connection.fetch_one("SELECT COUNT(*) FROM call_rows").await.unwrap();
                connection.close().await.unwrap();
                println!("said: {}", row.get::<i64, _>(0));
            }
            // Another program, which writes and takes its time.
            "lock" => {
                let mut connection = plain.connect().await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                println!("said: locked");
                pause();
                connection.execute("ROLLBACK").await.unwrap();
                connection.close().await.unwrap();
            }
            // One that reads, and takes its time.
            "read" => {
                let mut connection = plain.connect().await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.fetch_all("SELECT COUNT(*) FROM call_rows").await.unwrap();
                println!("said: reading");
                pause();
                connection.execute("ROLLBACK").await.unwrap();
                connection.close().await.unwrap();
            }
            // A program whose calls are recorded, until it is killed.
            "record" => {
                let ledger = Ledger::new(Options::at(&path), Arc::new(|_: &str| ()));
                let ids = Ids::new();
                (0..500).for_each(|number| ledger.record(call(&ids, SystemTime::now(), number)));
                println!("said: recorded");
                std::future::pending::<()>().await;
            }
            other => panic!("what is {other}?"),
        }
    });
}
