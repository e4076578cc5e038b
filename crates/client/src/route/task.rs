//! Task types: from what a call says to the task that it is, and from there to a model's name.

use regex::Regex;

use super::said::{Said, Sight};
use super::text::{Language, is_code};
use crate::codec::catalog::{Ability, nearest};
use crate::codec::dialect::Operation;
use crate::codec::{Error, Kind, Origin, Result};
use crate::config::{Config, TaskRule, wrong};

/// What a model's name begins with when it is a task's.
const PREFIX: &str = "task:";
/// The task that is left to the rules.
const AUTO: &str = "auto";
/// The task of calls that no rule fits.
const DEFAULT: &str = "default";

/// The rules of `[[task_rules]]`, ready to be asked.
#[derive(Debug, Default)]
pub struct TaskRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    task: String,
    image: Option<bool>,
    tools: Option<bool>,
    longer_than: Option<u64>,
    shorter_than: Option<u64>,
    code: Option<bool>,
    language: Option<Language>,
    matches: Option<Regex>,
    operation: Option<Operation>,
}

impl TaskRules {
    /// The rules as written, made ready.
    ///
    /// # Errors
    /// One sentence that names the rule: one without a condition, with a broken expression, or with a word that is not
    /// known.
    pub fn new(rules: &[TaskRule]) -> Result<Self> {
        let read = |(at, rule): (usize, &TaskRule)| {
            let place = format!("[[task_rules]] number {} (task = \"{}\")", at + 1, rule.task);
            Rule::read(rule).map_err(|what| wrong(format!("{place}: {what}")))
        };
        rules.iter().enumerate().map(read).collect::<Result<_>>().map(TaskRules)
    }

    /// The task of the first rule that fits. The request is read only if a rule must know what is in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn infer(&self, said: Said<'_>) -> Result<Option<&str>> {
        self.infer_from(&Sight::new(said))
    }

    fn infer_from(&self, sight: &Sight<'_>) -> Result<Option<&str>> {
        for rule in &self.0 {
            if rule.fits(sight)? {
                return Ok(Some(&rule.task));
            }
        }
        Ok(None)
    }
}

impl Rule {
    fn read(rule: &TaskRule) -> Result<Self, String> {
        if *rule == (TaskRule { task: rule.task.clone(), ..TaskRule::default() }) {
            return Err(
                "it has no condition and would fit every call; that is what `default` is for among the [tasks]".to_owned()
            );
        }
        let language = rule.language.as_deref().map(|word| {
            let known = Language::WORDS.map(|(_, word)| word).join(", ");
            Language::find(word).ok_or_else(|| format!("language \"{word}\" is none of {known}"))
        });
        let operation = rule.operation.as_deref().map(|word| {
            let known = Operation::KEYS.map(|(_, key)| key);
            let found = Operation::KEYS.iter().find(|(_, key)| *key == word).map(|(operation, _)| *operation);
            found.ok_or_else(|| format!("operation \"{word}\" is none of {}", known.join(", ")))
        });
        let matches = rule.matches.as_deref().map(|text| Regex::new(text).map_err(|error| broken(text, &error)));
        Ok(Rule {
            task: rule.task.clone(),
            image: rule.image,
            tools: rule.tools,
            longer_than: rule.longer_than,
            shorter_than: rule.shorter_than,
            code: rule.code,
            language: language.transpose()?,
            matches: matches.transpose()?,
            operation: operation.transpose()?,
        })
    }

    fn fits(&self, sight: &Sight<'_>) -> Result<bool> {
        if self.operation.is_some_and(|operation| operation != sight.said.operation()) {
            return Ok(false);
        }
        let Rule { image, tools, longer_than, shorter_than, code, language, matches, .. } = self;
        let looks = longer_than.is_some() || shorter_than.is_some() || image.is_some() || tools.is_some();
        if looks {
            let Some(features) = sight.features()? else { return Ok(false) };
            let fits = image.is_none_or(|wanted| wanted == features.needs.has(Ability::Vision))
                && tools.is_none_or(|wanted| wanted == features.needs.has(Ability::Tools))
                && longer_than.is_none_or(|tokens| features.tokens > tokens)
                && shorter_than.is_none_or(|tokens| features.tokens < tokens);
            if !fits {
                return Ok(false);
            }
        }
        if code.is_none() && language.is_none() && matches.is_none() {
            return Ok(true);
        }
        let Some(text) = sight.asked()? else { return Ok(false) };
        Ok(code.is_none_or(|wanted| wanted == is_code(text))
            && language.is_none_or(|language| language.is_of(text))
            && matches.as_ref().is_none_or(|matches| matches.is_match(text)))
    }
}

/// The last line of what is wrong with an expression; those before it draw where.
fn broken(text: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    let why = error.lines().last().unwrap_or_default();
    format!("matches = {text:?} is no regular expression: {}", why.trim_start_matches("error: "))
}

/// The model that a call goes to, and the task by which that was found.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) model: &'a str,
    pub(super) task: Option<String>,
}

/// The task that a call asks for: by its own word, else by the model's name.
fn wanted<'a>(task: Option<&'a str>, model: &'a str) -> Option<&'a str> {
    match task {
        Some(task) => Some(task.strip_prefix(PREFIX).unwrap_or(task)),
        None => model.strip_prefix(PREFIX),
    }
}

/// From the names that a call gives to the model's.
pub(super) fn choose<'a>(
    config: &'a Config,
    rules: &TaskRules,
    (task, model): (Option<&str>, &'a str),
    sight: &Sight<'_>,
) -> Result<Chosen<'a>> {
    let Some(wanted) = wanted(task, model) else { return Ok(Chosen { model, task: None }) };
    let task = if wanted == AUTO { rules.infer_from(sight)?.unwrap_or(DEFAULT) } else { wanted };
    match config.tasks.get(task) {
        Some(model) => Ok(Chosen { model, task: Some(task.to_owned()) }),
        None if wanted == AUTO => {
            Err(not_found("no rule of [[task_rules]] fits this call, and there is no `default` among the [tasks]".to_owned()))
        }
        None => Err(not_found(unknown(config, task))),
    }
}

/// The model of a name that may be a task's. What is left to the rules is as if none fitted.
///
/// # Errors
/// `NotFound` with the nearest task.
pub(crate) fn model_of(config: &Config, name: &str) -> Result<String> {
    choose(config, &TaskRules::default(), (None, name), &Sight::new(Said::default())).map(|chosen| chosen.model.to_owned())
}

/// The names of models by which tasks are asked for.
pub(crate) fn names(config: &Config) -> impl Iterator<Item = String> {
    let auto = (!config.task_rules.is_empty()).then_some(AUTO);
    config.tasks.keys().map(String::as_str).chain(auto).map(|task| format!("{PREFIX}{task}"))
}

fn not_found(what: String) -> Error {
    Error::new(Kind::NotFound, Origin::Caller, what).at("model")
}

fn unknown(config: &Config, task: &str) -> String {
    let known = || config.tasks.keys().map(String::as_str);
    let list = || known().collect::<Vec<_>>().join(", ");
    match nearest(task, known().chain([AUTO])) {
        Some(near) => format!("there is no task `{task}`; did you mean `{near}`?"),
        None if config.tasks.is_empty() => format!("there is no task `{task}`: the configuration has no [tasks]"),
        None => format!("there is no task `{task}`; there are {}", list()),
    }
}

/// What is wrong with the names of tasks, in one sentence.
pub(crate) fn check(config: &Config) -> Result<()> {
    if let Some(name) = config.models.keys().find(|name| name.starts_with(PREFIX)) {
        return Err(wrong(format!("[models.\"{name}\"]: names that begin with `{PREFIX}` are tasks; write it into [tasks]")));
    }
    if config.tasks.contains_key(AUTO) {
        return Err(wrong("[tasks] auto: that task is found by [[task_rules]]; what none of them fits is `default`"));
    }
    if let Some((task, _)) = config.tasks.iter().find(|(_, model)| model.is_empty() || model.starts_with(PREFIX)) {
        return Err(wrong(format!("[tasks] {task}: name a model, `provider/model` or one of [models]")));
    }
    let stray = config.task_rules.iter().enumerate().find(|(_, rule)| !config.tasks.contains_key(&rule.task));
    if let Some((at, rule)) = stray {
        return Err(wrong(format!("[[task_rules]] number {}: {}", at + 1, unknown(config, &rule.task))));
    }
    Ok(())
}
