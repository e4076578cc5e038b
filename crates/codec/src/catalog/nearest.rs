//! The nearest known word to one that is not known: for keys, model names and provider names.

/// Words longer than this are not compared: nobody mistypes a word of that length by one letter, and the cost is quadratic.
const LONGEST: usize = 96;

/// The candidate that `word` was most likely meant to be, if one is near enough.
///
/// Near is: at most one edit in three letters (insert, drop, replace, swap two neighbours; case and `-`/`_` do not
/// count), else a candidate that holds the word whole (`url` for `base_url`). The first of equals wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = letters(word);
    if wanted.is_empty() || wanted.len() > LONGEST {
        return None;
    }
    let limit = (wanted.len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let known = letters(candidate);
        if known.is_empty() || known.len() > LONGEST {
            continue;
        }
        let Some(rank) = rank(&wanted, &known, limit) else {
            continue;
        };
        if best.is_none_or(|(least, _)| rank < least) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower is nearer; `None` is too far. Words that hold one another rank behind every near edit.
fn rank(wanted: &[char], known: &[char], limit: usize) -> Option<usize> {
    if wanted.len().abs_diff(known.len()) <= limit {
        let edits = distance(wanted, known);
        // An edit of every letter is another word: `n` is not a slip for `id`.
        if edits <= limit && edits < wanted.len().max(known.len()) {
            return Some(edits);
        }
    }
    let shorter = wanted.len().min(known.len());
    let holds = |long: &[char], short: &[char]| long.windows(short.len()).any(|part| part == short);
    (shorter >= 3 && (holds(known, wanted) || holds(wanted, known))).then_some(LONGEST + wanted.len().abs_diff(known.len()))
}

fn letters(word: &str) -> Vec<char> {
    word.chars().take(LONGEST + 1).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// The optimal string alignment distance: Levenshtein's, with a swap of two neighbours counted once.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut older: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut before_left: Option<char> = None;
    for (row, &l) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(right.len() + 1);
        current.push(row + 1);
        let mut last = row + 1;
        let mut before_right: Option<char> = None;
        for (column, (&r, cell)) in right.iter().zip(above.windows(2)).enumerate() {
            let &[diagonal, up] = cell else { continue };
            let mut cost = (diagonal + usize::from(l != r)).min(up + 1).min(last + 1);
            if before_left == Some(r)
                && before_right == Some(l)
                && let Some(corner) = column.checked_sub(1).and_then(|at| older.get(at))
            {
                cost = cost.min(corner + 1);
            }
            current.push(cost);
            last = cost;
            before_right = Some(r);
        }
        before_left = Some(l);
        older = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits_and_swaps() {
        let count = |a: &str, b: &str| distance(&letters(a), &letters(b));
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("bearer", "baerer"), 1);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("same", "same"), 0);
    }

    #[test]
    fn finds_the_word_that_was_meant() {
        let keys = ["name", "base_url", "base_url_env", "dialects", "quirks", "auth"];
        assert_eq!(nearest("base_ulr", keys), Some("base_url"));
        assert_eq!(nearest("Base-URL", keys), Some("base_url"));
        assert_eq!(nearest("dialect", keys), Some("dialects"));
        assert_eq!(nearest("url", keys), Some("base_url"));
        assert_eq!(nearest("temperature", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("n", ["id"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), keys), None);
    }
}
