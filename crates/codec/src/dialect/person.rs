//! For whom a request is made, by its own word.

use crate::json::{self, Kind, Member};

/// A longer name of a user is none.
const LONGEST: usize = 256;

/// The text of the first of these members that has one.
pub(super) fn read_user(body: &[u8], members: &[Member], keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| text(body.get(json::find(body, members, key)?.value.clone())?))
}

/// The text of `metadata.user_id`.
pub(super) fn read_metadata_user(body: &[u8], members: &[Member]) -> Option<String> {
    let metadata = json::find(body, members, "metadata").filter(|member| member.kind == Kind::Object)?;
    let metadata = body.get(metadata.value.clone())?;
    text(metadata.get(json::member(metadata, "user_id")?)?)
}

fn text(value: &[u8]) -> Option<String> {
    let text = json::unquote(value).filter(|text| !text.is_empty() && text.len() <= LONGEST)?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_text_of_some_length() {
        let read = |body: &str, of: fn(&[u8], &[Member]) -> Option<String>| {
            let members = json::members(body.as_bytes()).unwrap();
            of(body.as_bytes(), &members)
        };
        let plain: fn(&[u8], &[Member]) -> Option<String> =
            |body, members| read_user(body, members, &["user", "safety_identifier"]);
        assert_eq!(read(r#"{"user":"a\u0062"}"#, plain).as_deref(), Some("ab"));
        assert_eq!(read(r#"{"user":3,"safety_identifier":"x"}"#, plain).as_deref(), Some("x"));
        assert_eq!(read(r#"{"user":"","x":null}"#, plain), None);
        assert_eq!(read(&format!(r#"{{"user":"{}"}}"#, "x".repeat(257)), plain), None);
        assert_eq!(read(r#"{"metadata":{"user_id":"u-1"}}"#, read_metadata_user).as_deref(), Some("u-1"));
        assert_eq!(read(r#"{"metadata":{"user_id":null}}"#, read_metadata_user), None);
        assert_eq!(read(r#"{"metadata":"u"}"#, read_metadata_user), None);
    }
}
