//! The log file: a line a call, without what must not be in it, whatever happens to the file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trunkline::Client;
use trunkline::config::{Config, Environment};
use trunkline_gateway::Record;

use crate::gateway::{Gateway, until_within};
use crate::wire::Ask;

struct House {
    gateway: Gateway,
    record: Arc<Record>,
    folder: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
}

impl House {
    /// `log` are the keys of `[log]`; FOLDER is a folder of the test's own.
    fn new(name: &str, log: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let log = log.replace("FOLDER", &folder.display().to_string());
        let config =
            format!("[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n[models.fast]\ntargets = [\"sim/echo\"]\n[log]\n{log}\n");
        let (record, told): (Arc<Record>, Arc<Mutex<Vec<String>>>) = Default::default();
        let (writer, teller) = (Arc::clone(&record), Arc::clone(&told));
        let client = Client::builder().config(Config::parse(&config, "test.toml").unwrap()).environment(Environment::default());
        let client = client.on_notice(move |line| {
            writer.notice(line);
            teller.lock().unwrap().push(line.to_owned());
        });
        let gateway = Gateway::recording(client.build().unwrap(), Arc::clone(&record));
        House { gateway, record, folder, told }
    }

    fn ask(&self, model: &str, words: &str) {
        let message = json!({"role": "user", "content": words});
        let ask = Ask::post("/v1/chat/completions", json!({"model": model, "messages": [message]}).to_string());
        self.gateway.ask(&ask.header("x-trunkline-user", "alice").header("x-trunkline-tags", "team=a"));
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// The calls in a file.
    fn calls(&self, name: &str) -> Vec<Value> {
        let lines = self.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        lines.into_iter().filter(|line| line["event"] == "trunkline.call").collect()
    }

    fn wait(&self, name: &str, calls: usize) {
        assert!(until_within(std::time::Duration::from_secs(10), || self.calls(name).len() >= calls), "{}", self.text(name));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.record.close();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_call_is_a_line_without_its_words_and_its_user() {
    let house = House::new("line", "file = \"FOLDER/a/gate.log\"");
    house.ask("fast", "zucchini soup");
    house.ask("nowhere", "zucchini");
    house.wait("a/gate.log", 2);
    let calls = house.calls("a/gate.log");
    let (good, bad) = (&calls[0], &calls[1]);
    assert_eq!((&good["severity"], &bad["severity"]), (&json!("INFO"), &json!("WARN")));
    assert_eq!((&good["gen_ai.operation.name"], &good["gen_ai.provider.name"]), (&json!("chat"), &json!("sim")));
    assert_eq!((&good["gen_ai.request.model"], &good["gen_ai.response.model"]), (&json!("fast"), &json!("echo")));
    assert!(good["gen_ai.usage.output_tokens"].as_u64().unwrap() > 0 && good["trunkline.elapsed_us"].is_u64());
    assert_eq!((&good["http.response.status_code"], &good["trunkline.tags"]), (&json!(200), &json!("team=a")));
    assert_eq!(
        (&bad["error.type"], &bad["trunkline.blame"], &bad["http.response.status_code"]),
        (&json!("not_found"), &json!("caller"), &json!(404))
    );
    assert!(good["timestamp"].as_str().unwrap().ends_with('Z') && good["timestamp"].as_str().unwrap().len() == 24);
    let text = house.text("a/gate.log");
    assert!(!text.contains("zucchini") && !text.contains("alice") && text.contains("\"user.id\":\"sha256:"), "{text}");
    assert!(text.lines().next().unwrap().contains("listens on"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(house.folder.join("a/gate.log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn text_levels_and_samples() {
    let house = House::new("text", "file = \"FOLDER/t.log\"\nformat = \"text\"\nredact = false\nsample = 0.25");
    (0..20).for_each(|_| house.ask("fast", "x"));
    (0..3).for_each(|_| house.ask("nowhere", "x"));
    house.record.close();
    let text = house.text("t.log");
    let of = |mark: &str| text.lines().filter(|line| line.contains(mark)).count();
    assert_eq!((of("INFO trunkline.call"), of("WARN trunkline.call")), (5, 3), "{text}");
    assert!(text.contains(" user.id=alice ") && text.contains(" trunkline.tags=\"team=a\" "), "{text}");
    assert!(of("message=\"trunkline ") == 1, "{text}");

    let house = House::new("level", "file = \"FOLDER/t.log\"\nlevel = \"warn\"");
    house.ask("fast", "x");
    house.ask("nowhere", "x");
    house.record.close();
    assert_eq!(house.calls("t.log").len(), 1);
    assert_eq!(house.calls("t.log")[0]["severity"], "WARN");
}

#[test]
fn a_file_that_is_moved_away_is_opened_anew() {
    let house = House::new("move", "file = \"FOLDER/m.log\"");
    house.ask("fast", "x");
    house.wait("m.log", 1);
    std::fs::rename(house.folder.join("m.log"), house.folder.join("m.old")).unwrap();
    house.ask("fast", "x");
    house.wait("m.log", 1);
    assert_eq!((house.calls("m.old").len(), house.calls("m.log").len()), (1, 1));
}

#[test]
fn a_long_file_is_put_away_and_the_oldest_go() {
    let house = House::new("long", "file = \"FOLDER/l.log\"\nmax_megabytes = 1\nkeep = 2");
    let line = "x".repeat(300_000);
    // What is said before the gateway runs is not for its log.
    assert!(until_within(std::time::Duration::from_secs(10), || house.text("l.log").contains("listens on")));
    for number in 0..16 {
        house.record.notice(&format!("{number} {line}"));
        // Each is a batch of its own.
        let seen = || house.text("l.log").contains(&format!("\"{number} x"));
        assert!(until_within(std::time::Duration::from_secs(10), seen), "{number}");
    }
    let mut names: Vec<String> =
        std::fs::read_dir(&house.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() == 3 && names[0] == "l.log" && names[1].starts_with("l.log.2"), "{names:?}");
    for name in &names {
        let text = house.text(name);
        assert!(text.len() <= 1_000_000 && text.ends_with("\"}\n"), "{name}: {}", text.len());
    }
    assert!(house.text(&names[2]) > house.text(&names[1]), "the newest stay");
}

/// `/dev/full` takes nothing: a disk that is full.
#[test]
fn a_full_disk_is_said_once_and_holds_nobody_up() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let house = House::new("full", "file = \"/dev/full\"");
    for _ in 0..3 {
        house.ask("fast", "x");
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    let page = crate::metric::Page::of(&house.gateway);
    assert!(page.sum("trunkline_log_lost_total", &[]) >= 4.0);
    assert_eq!(page.sum("trunkline_calls_total", &[("error", "none")]), 3.0);
    let told = house.told.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("calls go on and their lines are lost"), "{told:?}");
}

/// Something stands where the log's file or folder was.
#[test]
fn a_log_whose_place_was_taken_comes_back_with_it() {
    let house = House::new("back", "file = \"FOLDER/a/b.log\"");
    house.ask("fast", "x");
    house.wait("a/b.log", 1);
    std::fs::rename(house.folder.join("a"), house.folder.join("old")).unwrap();
    std::fs::write(house.folder.join("a"), "in the way").unwrap();
    let lost = || crate::metric::Page::of(&house.gateway).sum("trunkline_log_lost_total", &[]);
    house.ask("fast", "x");
    assert!(until_within(std::time::Duration::from_secs(10), || lost() > 0.0));
    std::fs::remove_file(house.folder.join("a")).unwrap();
    assert!(until_within(std::time::Duration::from_secs(10), || {
        house.ask("fast", "x");
        !house.calls("a/b.log").is_empty()
    }));
    let told = house.told.lock().unwrap().clone();
    assert!(told.len() == 2 && told[1].contains("written again"), "{told:?}");
}

/// A name that is too long to get the time behind it.
#[test]
fn a_log_that_cannot_be_put_away_grows_on() {
    let name = format!("{}.log", "s".repeat(245));
    let house = House::new("stuck", &format!("file = \"FOLDER/{name}\"\nmax_megabytes = 1"));
    assert!(until_within(std::time::Duration::from_secs(10), || house.text(&name).contains("listens on")));
    let line = "x".repeat(300_000);
    for number in 0..6 {
        house.record.notice(&format!("{number} {line}"));
        let seen = || house.text(&name).contains(&format!("\"{number} x"));
        assert!(until_within(std::time::Duration::from_secs(10), seen), "{number}");
    }
    assert!(house.text(&name).len() > 1_800_000);
    assert_eq!(crate::metric::Page::of(&house.gateway).sum("trunkline_log_lost_total", &[]), 0.0);
    let told = house.told.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("cannot be put away and grows on"), "{told:?}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_its_own_is_never_put_away() {
    let folder = std::env::temp_dir().join(format!("trunkline-log-links-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("real"), "").unwrap();
    std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    // Somebody reads, and throws it away.
    let pipe = folder.join("pipe");
    let reader =
        std::thread::spawn(move || std::io::copy(&mut std::fs::File::open(pipe).unwrap(), &mut std::io::sink()).unwrap());
    for name in ["link", "pipe"] {
        let house = House::new(name, &format!("file = \"{}\"\nmax_megabytes = 1", folder.join(name).display()));
        let written = || crate::metric::Page::of(&house.gateway).sum("trunkline_log_lines_total", &[]);
        assert!(until_within(std::time::Duration::from_secs(10), || written() >= 1.0));
        for number in 0..5_u32 {
            house.record.notice(&"x".repeat(400_000));
            assert!(until_within(std::time::Duration::from_secs(10), || written() >= 2.0 + f64::from(number)));
        }
        house.record.close();
    }
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["link", "pipe", "real"]);
    assert!(std::fs::metadata(folder.join("real")).unwrap().len() > 1_900_000);
    assert!(reader.join().unwrap() > 1_900_000);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nfile = \"/dev/null/no.log\"\n";
    let client = Client::builder().config(Config::parse(config, "test.toml").unwrap()).environment(Environment::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let (_stop, watch) = trunkline_gateway::Stop::new();
        trunkline_gateway::Server::bind(client.build().unwrap()).await.unwrap().run(watch).await.unwrap_err()
    });
    assert!(error.message.contains("[log] file /dev/null/no.log cannot be opened"), "{error}");
    for wrong in ["formt = \"json\"", "sample = 2.0", "level = \"loud\""] {
        let error = Config::parse(&format!("[log]\n{wrong}\n"), "test.toml").unwrap_err();
        assert!(error.message.contains("line 2"), "{error}");
    }
}
