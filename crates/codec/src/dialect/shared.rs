//! What several dialects share.

/// Checked JSON without the white space between its tokens: providers indent whole answers, and streamed ones not.
pub(crate) fn compact(json: &str) -> String {
    let (mut text, mut escaped) = (false, false);
    let significant = json.chars().filter(|letter| {
        let keep = text || !letter.is_ascii_whitespace();
        if !escaped && *letter == '"' {
            text = !text;
        }
        escaped = text && !escaped && *letter == '\\';
        keep
    });
    significant.collect()
}
