//! `trunkline check`: what is wrong is told before the first call, with its place.

use crate::terminal::{Folder, run, text};

fn check(config: &str) -> (Option<i32>, String, String) {
    let folder = Folder::new();
    std::fs::write(folder.0.join("trunkline.toml"), config).unwrap();
    let output = run(&folder, &["check"], "");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn secrets_that_cannot_be_read_are_named_with_their_line() {
    let house = "[providers.house]\nbase_url = 'http://127.0.0.1:1/v1'\ndialects = ['openai-chat']\n";
    for (config, told) in [
        (format!("{house}auth = {{ bearer = 'file:/no/such/key' }}\n"), "cannot read the secret file /no/such/key"),
        (format!("{house}auth = {{ bearer = 'file:/no/such/key' }}\n"), "(trunkline.toml, line 4)"),
        (format!("{house}auth = {{ bearer = 'env:NOT_THERE' }}\n"), "is in the configuration, but NOT_THERE is not set"),
        (format!("{house}api_keys = ['env:NOT_THERE', 'file:/no/such/key']\n"), "/no/such/key"),
        ("[server]\nkey = 'env:NOT_THERE'\n".to_owned(), "NOT_THERE is not set"),
        ("[server]\nkey = 'file:/no/such/key'\n".to_owned(), "cannot read the secret file /no/such/key"),
    ] {
        let (code, stdout, stderr) = check(&config);
        assert_eq!(code, Some(3), "{config}: {stdout}{stderr}");
        assert!(stdout.contains(told), "{config}: {stdout}{stderr}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_line() {
    for (config, told) in [
        ("[calls]\nhold_back = { bytes = 1, ms = 1 }\n", "give one of `bytes` and `ms`"),
        ("[server]\nlisten = 'localhost'\n", "it has no port"),
        ("[server]\nlisten = '0.0.0.0:99999'\n", "no number from 0 to 65535"),
        ("[calls]\ndeadline_seconds = 0\n", "0 seconds is no time at all"),
    ] {
        let (code, _, stderr) = check(config);
        assert!(code == Some(1) && stderr.contains("trunkline.toml, line 2: ") && stderr.contains(told), "{config}: {stderr}");
    }
}
