//! A text that is looked for in any case. SQL knows the cases of ASCII alone, so that it is given all of each letter.

/// What is looked for.
pub(crate) struct Needle {
    text: String,
    /// In lower case.
    words: String,
}

impl Needle {
    pub(crate) fn new(text: &str) -> Self {
        Needle { text: text.to_owned(), words: text.to_lowercase() }
    }

    /// Whether this text has it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.words)
    }

    /// A pattern for `… GLOB …`.
    pub(crate) fn pattern(&self) -> String {
        pattern(&self.text)
    }

    /// The same for texts within JSON.
    pub(crate) fn pattern_in_json(&self) -> String {
        let quoted = serde_json::to_string(&self.text).unwrap_or_default();
        // Without the quotation marks around it.
        pattern(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
    }
}

fn pattern(text: &str) -> String {
    let mut pattern = String::from("*");
    for letter in text.chars() {
        let cases = cases(letter);
        if cases.len() > 1 || matches!(letter, '*' | '?' | '[') {
            pattern.push('[');
            pattern.extend(cases);
            pattern.push(']');
        } else {
            pattern.push(letter);
        }
    }
    pattern.push('*');
    pattern
}

/// The cases of a letter, as far as they are one letter each.
fn cases(letter: char) -> Vec<char> {
    let one = |mut letters: Box<dyn Iterator<Item = char>>| letters.next().filter(|_| letters.next().is_none());
    let lower = |letter: char| one(Box::new(letter.to_lowercase()));
    let upper = |letter: char| one(Box::new(letter.to_uppercase()));
    let great = upper(letter);
    let mut cases = vec![letter];
    // Some have two small ones.
    for case in [great, lower(letter), great.and_then(lower)].into_iter().flatten() {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases
}
