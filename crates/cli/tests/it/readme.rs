//! What the READMEs tell people to type works, without a key and without a network.

use crate::terminal::{Folder, Gateway, run, text};

const DOCUMENTS: [&str; 3] = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md"];

/// The lines of a document's shell blocks, without the remarks at their ends.
fn lines(document: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let lines = blocks.flat_map(str::lines).map(|line| line.split("  # ").next().unwrap().trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// A line as a shell would cut it, as far as quotes go.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[test]
fn every_command_knows_its_options() {
    let folder = Folder::new();
    let mut seen = 0;
    for line in DOCUMENTS.iter().flat_map(|document| lines(document)) {
        let command = line.split(" | ").last().unwrap();
        let words = words(command);
        let Some(arguments) = words.strip_prefix(&["trunkline".to_owned()][..]) else { continue };
        // Options are read before the help is printed: an unknown one fails.
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--help"]).collect();
        let output = run(&folder, &arguments, "");
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        seen += 1;
    }
    assert!(seen > 15, "only {seen} commands were found");
}

#[test]
fn every_curl_gets_its_answer_whole_and_streamed() {
    let gateway = Gateway::start();
    let mut seen = 0;
    let printed = gateway.welcome.last().unwrap().trim().replace(&gateway.address, "127.0.0.1:4000");
    for line in DOCUMENTS.iter().flat_map(|document| lines(document)).chain([printed]) {
        let words = words(&line);
        let ["curl", url, "-d", body] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else { continue };
        let path = url.strip_prefix("http://127.0.0.1:4000").unwrap();
        let hello = if body.contains("Hello") { "Hello" } else { "你好" };
        let (status, head, reply) = gateway.post(path, body);
        // Where streams are the usual, a word may come in pieces.
        let is_told = reply.contains(hello) || (path.starts_with("/api/") && hello.chars().all(|c| reply.contains(c)));
        assert!(status == 200 && is_told, "{line}\n{head}\n{reply}");
        assert!(head.contains("x-trunkline-target: sim/echo\r\n"), "{head}");

        let (path, body) = stream(path, body);
        let (status, _, reply) = gateway.post(&path, &body);
        assert_eq!(status, 200, "{path} {body}\n{reply}");
        assert!(ended_well(&path, &reply), "{path} {body}\n{reply}");
        seen += 1;
    }
    assert_eq!(seen, 19, "nine dialects in two languages, and the line that the gateway prints");
    #[cfg(unix)]
    assert!(gateway.stop().success());
}

/// Whether a stream has the end that its dialect wants.
fn ended_well(path: &str, reply: &str) -> bool {
    let last = reply.trim_end().rsplit("\n\n").next().unwrap_or_default();
    match path.split('/').next_back().unwrap_or_default() {
        "messages" => last.starts_with("event: message_stop\n"),
        "completions" => last == "data: [DONE]",
        "responses" => last.starts_with("event: response.completed\n"),
        "chat" if path.starts_with("/v2") => last.starts_with("event: message-end\n"),
        "chat" | "generate" => last.lines().last().is_some_and(|line| line.contains("\"done\":true")),
        "converse-stream" => reply.contains("messageStop") && reply.contains("metadata"),
        _ => reply.ends_with("}]"),
    }
}

/// The same call as a stream.
fn stream(path: &str, body: &str) -> (String, String) {
    if path.contains(":generateContent") {
        return (path.replace(":generateContent", ":streamGenerateContent"), body.to_owned());
    }
    if path.ends_with("/converse") {
        return (format!("{path}-stream"), body.to_owned());
    }
    (path.to_owned(), body.replacen('{', "{\"stream\":true,", 1))
}

#[test]
fn a_prompt_and_a_pipe_are_asked_together() {
    let folder = Folder::new();
    let output = run(&folder, &["ask", "-m", "sim/echo", "Say this:"], "one\ntwo\n");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("Say this:\n\none\ntwo\n", Some(0)));
    let output = run(&folder, &["ask", "--json", "-"], "你好");
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&reply["text"], &reply["target"]), (&"你好".into(), &"sim/echo".into()));
}

#[test]
fn exit_codes_say_how_it_ended() {
    let folder = Folder::new();
    for (arguments, code) in [
        (&["ask", "-m", "sim/ehco", "x"][..], 1),
        (&["ask", "--modle", "x"], 2),
        (&["models", "--provider", "opnai"], 1),
        (&["providers"], 0),
        (&["check"], 0),
        (&["completions", "bash"], 0),
    ] {
        let output = run(&folder, arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.stdout.is_empty(), code != 0, "{arguments:?}");
    }
    let output = run(&folder, &["--config", "none.toml", "check"], "");
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("none.toml"), "{}", text(&output.stderr));
    std::fs::write(folder.0.join("trunkline.toml"), "[server]\nlisten = \"127.0.0.1:0\"\nlissten = \"x\"\n").unwrap();
    let output = run(&folder, &["check"], "");
    let told = text(&output.stderr);
    assert!(told.contains("line 3") && told.contains("`lissten`") && told.contains("`listen`"), "{told}");
}

#[test]
fn the_simulator_says_that_it_is_one() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("w.toml"), "[steps.a]\nprompt = \"x\"").unwrap();
    let said = |arguments: &[&str]| text(&run(&folder, arguments, "hi\n").stderr).contains("simulator");
    for arguments in
        [&["ask", "hi"][..], &["ask", "--keep", "hi"], &["ask", "-c", "hi"], &["chat"], &["run", "w.toml"], &["embed", "hi"]]
    {
        assert!(said(arguments), "{arguments:?}");
        assert!(!said(&[arguments, &["-q"]].concat()), "{arguments:?} -q");
        assert!(!said(&[arguments, &["-m", "sim/echo"]].concat()), "{arguments:?} -m");
    }
    std::fs::write(
        folder.0.join("trunkline.toml"),
        "[models.zeta]\ntargets = [\"sim/lorem\"]\n[models.alpha]\ntargets = [\"sim/echo\"]\n",
    )
    .unwrap();
    assert!(!said(&["ask", "hi"]));
    // The first alias of the file, and not of the alphabet.
    let told: serde_json::Value = serde_json::from_slice(&run(&folder, &["ask", "--json", "hi"], "").stdout).unwrap();
    assert_eq!(told["target"], "sim/lorem");
}
