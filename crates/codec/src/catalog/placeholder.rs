//! What the environment puts into an address: a region, a project, an account.
//!
//! Written as `{env:A_NAME|ANOTHER|=usual|from->to|*->*-}`: the first of the variables that is set, else what follows `=`;
//! then the first rule whose left side is that value, where `*` stands for any value, on both sides. Without a usual
//! value one of the variables must be set.

use std::borrow::Cow;

const OPEN: &str = "{env:";

/// A text's next placeholder: what stands before it, its options, and what follows.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(OPEN)?;
    let (options, after) = rest.split_once('}')?;
    Some((before, options, after))
}

/// What is wrong with the placeholders of a text.
pub(super) fn check(mut text: &str) -> Result<(), &'static str> {
    while let Some((_, options, after)) = next(text) {
        let names: Vec<&str> = options.split('|').take_while(|option| is_name(option)).collect();
        let others = options.split('|').skip(names.len());
        if names.is_empty() {
            return Err("names no environment variable");
        }
        if others.clone().any(|option| !option.starts_with('=') && !option.contains("->")) {
            return Err("has an option that is neither a variable's name, nor =VALUE, nor FROM->TO");
        }
        if options.contains(['/', '{']) {
            return Err("holds a slash or a brace");
        }
        text = after;
    }
    if text.contains(OPEN) { Err("is not closed") } else { Ok(()) }
}

fn is_name(option: &str) -> bool {
    let starts_well = option.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The text with something plain in the place of its placeholders, so that its form can be checked.
pub(super) fn stand_in(text: &str) -> Cow<'_, str> {
    if !text.contains(OPEN) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, _, after)) = next(rest) {
        out.push_str(before);
        // An address may be a variable from its scheme on.
        out.push_str(if out.is_empty() { "https://x" } else { "x" });
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The text for people: each placeholder is its first variable, `{A_NAME}`.
pub(super) fn readable(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, options, after)) = next(rest) {
        let name = options.split('|').next().unwrap_or_default();
        out.extend([before, "{", name, "}"]);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The variables of each placeholder, and the usual value, if there is one.
pub(super) fn variables(text: &str) -> Vec<(Vec<String>, Option<String>)> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((_, options, after)) = next(rest) {
        let names = options.split('|').take_while(|option| is_name(option)).map(str::to_owned).collect();
        all.push((names, options.split('|').find_map(|option| option.strip_prefix('=')).map(str::to_owned)));
        rest = after;
    }
    all
}

/// Puts values into a text. `find` gives a variable's value, if it is set and not empty.
///
/// # Errors
/// The variables of which one must be set, and none is.
pub(super) fn fill(text: &str, find: &dyn Fn(&str) -> Option<String>) -> Result<String, Vec<String>> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, options, after)) = next(rest) {
        out.push_str(before);
        let names: Vec<&str> = options.split('|').take_while(|option| is_name(option)).collect();
        let usual = || options.split('|').find_map(|option| option.strip_prefix('=')).map(str::to_owned);
        let value = names.iter().find_map(|name| find(name)).or_else(usual);
        let value = value.ok_or_else(|| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        out.push_str(&apply_rules(value.trim().trim_end_matches('/'), options));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn apply_rules(value: &str, options: &str) -> String {
    let rules = options.split('|').filter_map(|option| option.split_once("->"));
    let mut fitting = rules.filter(|(from, _)| *from == "*" || *from == value);
    fitting.next().map_or_else(|| value.to_owned(), |(_, to)| to.replace('*', value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "https://{env:PLACE|OTHER|=world|world->all|*->*-all}.example/v1/projects/{env:PROJECT}/x";

    fn filled(text: &str, set: &[(&str, &str)]) -> Result<String, Vec<String>> {
        fill(text, &|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn values_come_from_variables_or_are_the_usual_ones() {
        assert_eq!(filled(HOST, &[("PROJECT", "p")]), Ok("https://all.example/v1/projects/p/x".to_owned()));
        let set = [("OTHER", "there"), ("PROJECT", " p ")];
        assert_eq!(filled(HOST, &set), Ok("https://there-all.example/v1/projects/p/x".to_owned()));
        assert_eq!(filled(HOST, &[("PLACE", "here")]), Err(vec!["PROJECT".to_owned()]));
        assert_eq!(filled("{env:A}/v1", &[("A", "https://h.example/")]), Ok("https://h.example/v1".to_owned()));
        assert_eq!(filled("plain", &[]), Ok("plain".to_owned()));
        assert_eq!(readable(HOST), "https://{PLACE}.example/v1/projects/{PROJECT}/x");
        let project = (vec!["PROJECT".to_owned()], None);
        assert_eq!(variables(HOST), [(vec!["PLACE".to_owned(), "OTHER".to_owned()], Some("world".to_owned())), project]);
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(check(HOST), Ok(()));
        assert!(stand_in(HOST).starts_with("https://x.example/v1/projects/x/"));
        assert_eq!(stand_in("{env:A}/v1"), "https://x/v1");
        for wrong in ["{env:}", "{env:=x}", "{env:A", "{env:A|b c}", "{env:A|=x/y}"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
