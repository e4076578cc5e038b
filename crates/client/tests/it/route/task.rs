//! Task types: by name, by argument, by rule.

use proptest::prelude::*;
use trunkline::codec::dialect::Operation;
use trunkline::config::{Config, Environment, TaskRule};
use trunkline::ir::{Content, Message, Part, Request, Role, Source, Tool, ToolKind};
use trunkline::route::{Said, TaskRules};
use trunkline::{Client, Kind};

use super::world::{Act, Script, World, world};

fn good() -> Script {
    Script { acts: vec![Act::Good], latency: std::time::Duration::from_millis(1), weather: Vec::new() }
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn user(text: &str) -> Request {
    Request { messages: vec![Message::text(Role::User, text)], ..Request::default() }
}

fn picture() -> Part {
    let source = Source::Base64 { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
    Content::Image { source, detail: None }.into()
}

fn seeing(text: &str) -> Request {
    let mut request = user(text);
    request.messages[0].parts.push(picture());
    request
}

fn with_tool(text: &str) -> Request {
    let kind = ToolKind::Function { schema: None, strict: None };
    let tool = Tool { name: "look".to_owned(), description: None, kind, cache: None, extra: Default::default() };
    Request { tools: vec![tool], ..user(text) }
}

fn rules(text: &str) -> TaskRules {
    let tasks = "[tasks]\na = \"sim/echo\"\nb = \"sim/echo\"\n";
    let config = Config::parse(&format!("{tasks}{text}"), "test.toml").unwrap();
    TaskRules::new(&config.task_rules).unwrap()
}

fn infer(rules: &TaskRules, request: &Request) -> String {
    rules.infer(Said::Request(request, Operation::Chat)).unwrap().unwrap_or("none").to_owned()
}

#[test]
fn each_condition_holds_when_it_should() {
    let long = "word ".repeat(1000);
    let after_a_tool = {
        let mut request = user("请看一下天气");
        let result =
            Content::ToolResult { id: "1".to_owned(), name: None, parts: vec![Part::text("def x(): sunny;")], failed: false };
        request.messages.push(Message { parts: vec![result.into()], ..Message::text(Role::User, "") });
        request
    };
    let table: [(&str, Request, bool); 22] = [
        ("image = true", seeing("what is it"), true),
        ("image = true", user("an image of a cat"), false),
        ("image = false", user("hi"), true),
        ("image = false", seeing("hi"), false),
        ("tools = true", with_tool("hi"), true),
        ("tools = true", user("tools"), false),
        ("longer_than = 1000", user(&long), true),
        ("longer_than = 2000", user(&long), false),
        ("shorter_than = 10", user("hi"), true),
        ("shorter_than = 10", user(&long), false),
        ("code = true", user("why?\n```\nx\n```"), true),
        ("code = false", user("why?"), true),
        ("code = true", user("why?"), false),
        ("language = \"zh\"", user("写一首诗"), true),
        ("language = \"zh\"", user("write a poem"), false),
        ("language = \"zh\"", after_a_tool.clone(), true),
        ("code = true", after_a_tool, false),
        ("matches = '(?i)\\btranslate\\b'", user("Please TRANSLATE this"), true),
        ("matches = '(?i)\\btranslate\\b'", user("mistranslated"), false),
        ("matches = '\\p{Han}{3}'", user("abc 写一首"), true),
        ("operation = \"chat\"", user("hi"), true),
        ("operation = \"embed\"", user("hi"), false),
    ];
    for (condition, request, fits) in table {
        let rules = rules(&format!("[[task_rules]]\ntask = \"a\"\n{condition}\n"));
        assert_eq!(infer(&rules, &request), if fits { "a" } else { "none" }, "{condition}: {request:?}");
    }
    let both = rules("[[task_rules]]\ntask = \"a\"\nimage = true\nlanguage = \"zh\"\n");
    assert_eq!(infer(&both, &seeing("看图")), "a");
    assert_eq!(infer(&both, &seeing("look")), "none");
    assert_eq!(infer(&both, &user("看图")), "none");
}

#[test]
fn what_is_not_a_chat_is_known_by_its_operation_only() {
    let rules = rules("[[task_rules]]\ntask = \"a\"\nshorter_than = 10\n[[task_rules]]\ntask = \"b\"\noperation = \"embed\"\n");
    assert_eq!(rules.infer(Said::Unread(Operation::Embed)).unwrap(), Some("b"));
    assert_eq!(rules.infer(Said::Unread(Operation::Chat)).unwrap(), None);
}

fn any_rule() -> impl Strategy<Value = TaskRule> {
    let flag = || proptest::option::weighted(0.3, any::<bool>());
    let length = || proptest::option::weighted(0.2, 0..40_u64);
    let language = proptest::option::weighted(0.2, prop_oneof![Just("zh".to_owned()), Just("latin".to_owned())]);
    let matches = proptest::option::weighted(0.2, prop_oneof![Just("x".to_owned()), Just("好".to_owned())]);
    (flag(), flag(), flag(), length(), length(), language, matches)
        .prop_map(|(image, tools, code, longer_than, shorter_than, language, matches)| {
            let task = String::new();
            TaskRule { task, image, tools, longer_than, shorter_than, code, language, matches, operation: None }
        })
        .prop_filter("a condition", |rule| *rule != TaskRule::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_first_rule_that_fits_by_itself_decides(
        mut written in proptest::collection::vec(any_rule(), 0..6),
        text in "[a-z 好写;\n]{0,60}",
        (image, tools) in any::<(bool, bool)>(),
    ) {
        written.iter_mut().enumerate().for_each(|(at, rule)| rule.task = at.to_string());
        let mut request = if tools { with_tool(&text) } else { user(&text) };
        if image {
            request.messages[0].parts.push(picture());
        }
        let alone = written.iter().find(|rule| {
            infer(&TaskRules::new(std::slice::from_ref(rule)).unwrap(), &request) != "none"
        });
        let expected = alone.map_or("none", |rule| rule.task.as_str());
        prop_assert_eq!(infer(&TaskRules::new(&written).unwrap(), &request), expected);
    }
}

const TASKS: &str = "[tasks]\ndefault = \"p0/m\"\ncreative = \"p1/m\"\nvision = \"eyes\"\n[models.eyes]\ntargets = [\"p2/m\"]\n";
const RULES: &str = "[[task_rules]]\ntask = \"vision\"\nimage = true\n[[task_rules]]\ntask = \"creative\"\nmatches = \"poem\"\n";

async fn answered(call: trunkline::Call) -> String {
    call.await.unwrap().target
}

fn tasks_told(world: &World) -> Vec<Option<String>> {
    world.log.lock().unwrap().outcomes.iter().map(|outcome| outcome.task.clone()).collect()
}

#[test]
fn a_call_goes_to_the_model_of_its_task() {
    paused(async {
        let scripts = [good(), good(), good()];
        let (world, client) = world(&scripts, &format!("{TASKS}{RULES}"), 1);
        assert_eq!(answered(client.chat("task:creative", "hi")).await, "p1/m");
        assert_eq!(answered(client.chat("p0/m", "hi").task("creative")).await, "p1/m");
        assert_eq!(answered(client.chat("", "hi").task("default")).await, "p0/m");
        assert_eq!(answered(client.chat("task:auto", "a poem")).await, "p1/m");
        assert_eq!(answered(client.chat("task:auto", "hi")).await, "p0/m");
        let request = Request { model: "task:auto".to_owned(), ..seeing("a poem on it") };
        assert_eq!(answered(client.call(request)).await, "p2/m");
        assert_eq!(answered(client.chat("p0/m", "hi")).await, "p0/m");
        let told: Vec<_> = tasks_told(&world);
        let told: Vec<_> = told.iter().map(|task| task.as_deref().unwrap_or("-")).collect();
        assert_eq!(told, ["creative", "creative", "default", "creative", "default", "vision", "-"]);
        assert_eq!(client.plan("task:vision").unwrap()[0].name(), "p2/m");
        let error = client.chat("task:creativ", "hi").await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::NotFound, "there is no task `creativ`; did you mean `creative`?")
        );
    });
    paused(async {
        let (_, client) = world(&[good()], "[tasks]\na = \"p0/m\"\n", 1);
        let error = client.chat("x", "hi").task("auto").await.unwrap_err();
        assert!(error.kind == Kind::NotFound && error.message.contains("no `default`"), "{error}");
        let error = client.chat("x", "hi").task("summarise").await.unwrap_err();
        assert_eq!(error.message, "there is no task `summarise`; there are a");
    });
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_and_says_why() {
    for (text, why) in [
        ("[[task_rules]]\ntask = \"creativ\"\nimage = true\n", "number 1: there is no task `creativ`; did you mean `creative`?"),
        ("[[task_rules]]\ntask = \"creative\"\n", "number 1 (task = \"creative\"): it has no condition"),
        (
            "[[task_rules]]\ntask = \"creative\"\nmatches = \"(a\"\n",
            "number 1 (task = \"creative\"): matches = \"(a\" is no regular expression: unclosed group",
        ),
        ("[[task_rules]]\ntask = \"creative\"\nlanguage = \"xx\"\n", "language \"xx\" is none of zh, ja"),
        ("[[task_rules]]\ntask = \"creative\"\noperation = \"talk\"\n", "operation \"talk\" is none of chat, "),
        (
            "[[task_rules]]\ntask = \"creative\"\nimages = true\n",
            "line 5: unknown key `images`; the nearest known key is `image`",
        ),
        ("[models.\"task:x\"]\ntargets = [\"sim/echo\"]\n", "names that begin with `task:` are tasks"),
    ] {
        let text = format!("[tasks]\ncreative = \"sim/echo\"\n{text}");
        let built = Config::parse(&text, "test.toml")
            .and_then(|config| Client::builder().config(config).environment(Environment::default()).build());
        let error = built.err().unwrap_or_else(|| panic!("{text}"));
        assert!(error.message.contains(why), "{text}: {error}");
        assert!(!error.message.contains('\n'), "{error}");
    }
    for (text, why) in [
        ("auto = \"sim/echo\"", "found by [[task_rules]]"),
        ("a = \"task:b\"", "[tasks] a: name a model"),
        ("a = \"openay/gpt-4o\"", "[tasks] a: "),
        ("a = \"fst\"\n[models.fast]\ntargets = [\"sim/echo\"]", "[tasks] a: there is no model `fst`; did you mean `fast`?"),
    ] {
        let config = Config::parse(&format!("[tasks]\n{text}\n"), "test.toml").unwrap();
        let error = Client::builder().config(config).environment(Environment::default()).build().err().unwrap();
        assert!(error.message.contains(why), "{text}: {error}");
    }
}

#[test]
fn an_alias_of_an_alias_is_refused_at_the_start() {
    for config in ["[models.a]\ntargets = [\"b\"]\n[models.b]\ntargets = [\"sim/echo\"]\n", "[models.a]\ntargets = [\"a\"]\n"] {
        let config = trunkline::config::Config::parse(config, "test.toml").unwrap();
        let error = trunkline::Client::builder().config(config).build().err().unwrap();
        assert!(error.message.contains("is an alias itself; name the targets behind it"), "{error}");
    }
}
