//! What a call's caller said and was told, kept until the call is over, because the configuration asks for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// More is kept than is asked for, so that a secret at the border is still found whole.
const MARGIN: usize = 4096;

/// What was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The request's body; of a long one its first and its last part.
    pub request: (Vec<u8>, Vec<u8>),
    /// How long it was, in bytes.
    pub request_bytes: u64,
    /// The answer's body, or its first part.
    pub answer: Vec<u8>,
    /// How long it was, in bytes.
    pub answer_bytes: u64,
}

/// Who is told of what was kept.
type Then = Box<dyn FnOnce(Said) + Send>;

/// Keeps texts. When the last copy goes, so that nothing can come any more, whoever waits is told.
pub struct Texts {
    limit: usize,
    said: Mutex<Said>,
    then: Mutex<Option<Then>>,
}

impl Texts {
    /// Of this request, at most about `limit` bytes and as many of the answer.
    pub fn new(limit: usize, request: &[u8]) -> Arc<Self> {
        let most = limit.saturating_add(MARGIN);
        let (first, rest) = request.split_at_checked(most).unwrap_or((request, &[]));
        let skipped = rest.len().saturating_sub(most);
        let last = rest.get(skipped..).unwrap_or_default();
        let said = Said { request: (first.to_vec(), last.to_vec()), request_bytes: request.len() as u64, ..Said::default() };
        Arc::new(Texts { limit: most, said: Mutex::new(said), then: Mutex::new(None) })
    }

    /// More of the answer.
    pub fn hear(&self, bytes: &[u8]) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.answer_bytes += bytes.len() as u64;
        let room = self.limit.saturating_sub(said.answer.len()).min(bytes.len());
        said.answer.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// This is told once nothing can come any more.
    pub fn when_over(&self, then: impl FnOnce(Said) + Send + 'static) {
        *self.then.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(then));
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        let then = self.then.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(then) = then {
            then(std::mem::take(self.said.get_mut().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

impl fmt::Debug for Texts {
    /// Without a word of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_once_at_the_end_and_have_one() {
        let (tell, told) = std::sync::mpsc::channel();
        let texts = Texts::new(10, &[b'a'; 10_000]);
        let copy = Arc::clone(&texts);
        texts.hear(b"one ");
        texts.when_over(move |said| tell.send(said).unwrap());
        drop(texts);
        copy.hear(&[b'b'; 9_000]);
        assert!(told.try_recv().is_err());
        assert!(!format!("{copy:?}").contains('a'));
        drop(copy);
        let said = told.recv().unwrap();
        assert_eq!((said.request.0.len(), said.request.1.len(), said.request_bytes), (4106, 4106, 10_000));
        assert_eq!((said.answer.len(), said.answer_bytes, &said.answer[..5]), (4106, 9_004, &b"one b"[..]));
    }
}
