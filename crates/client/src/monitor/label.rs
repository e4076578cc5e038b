//! For whom a call is made and what else its caller says of it.

use std::sync::Arc;

use super::OpenCall;

/// A user and tags: for the ledger; they go to no provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Whose data it is.
    pub user: Option<String>,
    /// `name=value` or a word alone, each after a comma.
    pub tags: Option<String>,
    /// Which of the gateway's keys its caller has, by its fingerprint.
    pub key: Option<Arc<str>>,
}

impl Label {
    /// Adds a tag. What would end it, a comma or a line's end, is a blank in it.
    pub fn tag(&mut self, name: &str, value: &str) {
        let plain = |text: &str| text.replace([',', '\r', '\n'], " ").trim().to_owned();
        let tag = format!("{}={}", plain(name).replace('=', " "), plain(value));
        match &mut self.tags {
            Some(tags) => {
                tags.push(',');
                tags.push_str(&tag);
            }
            tags => *tags = Some(tag),
        }
    }

    /// Tells the outcome, where that does not say anything else.
    pub fn apply(&self, call: &mut OpenCall) {
        let Some(outcome) = call.outcome() else { return };
        outcome.user = outcome.user.take().or_else(|| self.user.clone());
        outcome.tags = outcome.tags.take().or_else(|| self.tags.clone());
        outcome.key = outcome.key.take().or_else(|| self.key.clone());
    }
}

/// Tags as they are stored: without the blanks around them, and without empty ones.
pub fn read_tags(text: &str) -> Option<String> {
    let tags = text.split(',').map(|tag| match tag.split_once('=') {
        Some((name, value)) => format!("{}={}", name.trim(), value.trim()),
        None => tag.trim().to_owned(),
    });
    let tags: Vec<String> = tags.filter(|tag| !tag.is_empty() && !tag.starts_with('=')).collect();
    (!tags.is_empty()).then(|| tags.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_in_one_way() {
        assert_eq!(read_tags(" team = a, b ,,=x, app=c=d").as_deref(), Some("team=a,b,app=c=d"));
        assert_eq!(read_tags(" , "), None);
        let mut label = Label::default();
        label.tag("team", "a,b");
        label.tag("a=b", "王");
        assert_eq!(label.tags.as_deref(), Some("team=a b,a b=王"));
    }
}
