//! Names to numbers, fast: once a call.

use std::hash::Hasher;

/// A number for a sequence of words, by folded multiplication. Its begin is a seed that nobody knows.
pub(super) struct Fold(pub(super) u64);

impl Fold {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        // The length keeps `a` and `a\0` apart.
        self.mix(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }
}

/// For what is a number already.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::Hash;

    use super::*;

    #[test]
    fn names_have_numbers_of_their_own() {
        let number = |names: (&str, &str), seed| {
            let mut hasher = Fold(seed);
            names.hash(&mut hasher);
            hasher.finish()
        };
        let names: Vec<String> = (0..20_000).map(|number| format!("model-{number}")).collect();
        let all: HashSet<u64> = names.iter().flat_map(|name| [number((name, ""), 7), number(("", name), 7)]).collect();
        assert_eq!(all.len(), 40_000);
        assert_ne!(number(("ab", "c"), 7), number(("a", "bc"), 7));
        assert_ne!(number(("a", "b"), 7), number(("a", "b"), 8));
        assert_ne!(number(("a\0", "b"), 7), number(("a", "b"), 7));
    }
}
