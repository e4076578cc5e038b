//! Small pictures made of characters.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A line of columns, the highest of which is full; where there is nothing there is a blank.
pub(crate) fn spark(values: &[u64]) -> String {
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let level = |value: &u64| match value {
        0 => ' ',
        // The smallest thing is seen.
        value => {
            usize::try_from((value * 8).div_ceil(most)).ok().and_then(|n| LEVELS.get(n.saturating_sub(1))).copied().unwrap_or('█')
        }
    };
    values.iter().map(level).collect()
}

/// A bar of at most `width` columns for `value` of `most`.
pub(crate) fn bar(value: u64, most: u64, width: usize) -> String {
    let eighths = (u128::from(value) * width as u128 * 8).div_ceil(u128::from(most.max(1)));
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).min(width * 8);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).and_then(|part| PARTS.get(part)));
    bar
}

/// Sums of as many values as there are columns: neighbours count together.
pub(crate) fn squeeze(values: &[u64], columns: usize) -> Vec<u64> {
    let each = values.len().div_ceil(columns.max(1)).max(1);
    values.chunks(each).map(|chunk| chunk.iter().sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_show_most_and_least() {
        assert_eq!(spark(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!((spark(&[]), spark(&[0, 0])), (String::new(), "  ".to_owned()));
        assert_eq!(["", "▏", "██", "████"].map(str::to_owned), [0, 1, 50, 100].map(|value| bar(value, 100, 4)));
        assert_eq!(squeeze(&[1, 2, 3, 4, 5], 2), [6, 9]);
    }
}
