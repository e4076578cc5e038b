//! The configuration changes while the gateway runs: by the file, by a signal, and not at all when it is no good.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline::Client;
use trunkline::config::Environment;
use trunkline_testkit::provider::{Answer, LocalProvider};

use crate::gateway::{Gateway, until_within};
use crate::wire::{Ask, Reply};

struct Changing {
    gateway: Gateway,
    provider: LocalProvider,
    file: PathBuf,
    notices: Arc<Mutex<Vec<String>>>,
}

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"Hello.","refusal":null},"finish_reason":"stop"}]}"#;

fn text(url: &str, key: &str, credential: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2\n{key}\n[providers.house]\nbase_url = \"{url}/v1\"\n\
         dialects = [\"openai-chat\"]\napi_key = \"{credential}\"\n"
    )
}

impl Changing {
    fn new(name: &str, key: &str) -> Self {
        let provider = LocalProvider::start(Answer::json(200, ANSWER));
        let file = std::env::temp_dir().join(format!("trunkline-reload-{name}-{}.toml", std::process::id()));
        write(&file, &text(&provider.url(), key, "credential-1"));
        let notices = Arc::new(Mutex::new(Vec::new()));
        let told: Arc<Mutex<Vec<String>>> = Arc::clone(&notices);
        let builder = Client::builder().config_file(&file).environment(Environment::default());
        let client = builder.on_notice(move |notice| told.lock().unwrap().push(notice.to_owned())).build().unwrap();
        Changing { gateway: Gateway::run(client), provider, file, notices }
    }

    fn ask(&self, key: &str) -> Reply {
        let ask = Ask::post("/v1/chat/completions", r#"{"model":"house/m","messages":[{"role":"user","content":"hi"}]}"#);
        self.gateway.ask(&ask.header("authorization", &format!("Bearer {key}")))
    }

    fn carried(&self) -> String {
        assert_eq!(self.ask("gate-1").status(), 200);
        self.provider.requests().last().unwrap().header("authorization").to_owned()
    }

    /// Other tests signal the whole process: what counts is not what was told, but what calls carry in the end.
    fn comes_to(&self, wanted: &str) -> bool {
        until_within(Duration::from_secs(10), || self.carried() == wanted)
    }

    fn told(&self, words: &str) -> bool {
        until_within(Duration::from_secs(10), || self.notices.lock().unwrap().iter().any(|notice| notice.contains(words)))
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Files are told apart by time and length; a test is faster than some clocks.
fn write(file: &Path, text: &str) {
    let padding = "#".repeat(std::fs::metadata(file).map_or(0, |meta| meta.len() as usize % 7 + 1));
    std::fs::write(file, format!("{text}{padding}")).unwrap();
}

#[test]
fn a_changed_file_is_taken_over_and_a_wrong_one_is_not() {
    let changing = Changing::new("file", "");
    assert_eq!(changing.carried(), "Bearer credential-1");
    write(&changing.file, &text(&changing.provider.url(), "", "credential-2"));
    assert!(changing.comes_to("Bearer credential-2"), "{:?}", changing.notices);

    write(&changing.file, "[providers.house]\nbase_ur = \"x\"\n");
    assert!(changing.told("the new configuration is refused, the old one stays: "), "{:?}", changing.notices);
    assert!(changing.told("line 2: unknown key `base_ur`; the nearest known key is `base_url`"), "{:?}", changing.notices);
    assert_eq!(changing.carried(), "Bearer credential-2");
}

/// A start right after an edit reads the file again, to be sure; that is no news.
#[test]
fn a_file_that_is_only_new_is_no_news() {
    let changing = Changing::new("quiet", "");
    assert_eq!(changing.carried(), "Bearer credential-1");
    std::thread::sleep(Duration::from_millis(300));
    let own = || changing.notices.lock().unwrap().iter().filter(|notice| notice.contains("are read again")).count();
    let before = own();
    write(&changing.file, &text(&changing.provider.url(), "", "credential-2"));
    assert!(changing.comes_to("Bearer credential-2"), "{:?}", changing.notices);
    assert!(until_within(Duration::from_secs(5), || own() > before));
    assert_eq!(before, 0, "{:?}", changing.notices);
}

#[test]
#[cfg(unix)]
fn a_signal_has_everything_read_again() {
    let folder = std::env::temp_dir().join(format!("trunkline-signal-{}", std::process::id()));
    std::fs::write(&folder, "credential-a").unwrap();
    let changing = Changing::new("signal", "");
    let url = changing.provider.url();
    write(&changing.file, &text(&url, "", &format!("cmd:cat {}", folder.display())));
    assert!(changing.comes_to("Bearer credential-a"), "{:?}", changing.notices);
    // A command is run again in five minutes by itself.
    std::fs::write(&folder, "credential-b").unwrap();
    assert_eq!(changing.carried(), "Bearer credential-a");
    let id = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    assert!(changing.comes_to("Bearer credential-b"), "{:?}", changing.notices);
    std::fs::remove_file(&folder).unwrap();
}

#[test]
fn the_gateways_own_key_can_be_replaced() {
    let changing = Changing::new("key", "key = \"gate-1\"");
    assert_eq!((changing.ask("gate-1").status(), changing.ask("gate-2").status()), (200, 401));
    write(&changing.file, &text(&changing.provider.url(), "key = \"gate-2\"", "credential-1"));
    assert!(until_within(Duration::from_secs(10), || changing.ask("gate-2").status() == 200));
    assert_eq!((changing.ask("gate-1").status(), changing.ask("gate-2").status()), (401, 200));
    // Unset: refused as a whole.
    write(&changing.file, &text(&changing.provider.url(), "key = \"env:NOT_SET\"", "credential-3"));
    assert!(changing.told("[server] key: env:NOT_SET is not set"));
    assert_eq!(changing.ask("gate-2").status(), 200);
    assert_eq!(changing.provider.requests().last().unwrap().header("authorization"), "Bearer credential-1");
}
