//! What stands in an item's `encrypted_content`: the state that must come back with it.
//!
//! A provider's own state belongs to one item and is checked against that item's id, so that both make up the value of
//! a signature: `<id>:<encrypted_content>`. State of other dialects travels sealed. Where it belongs to a part that has
//! no such field (a call, a text), a reasoning item with nothing else in it carries it behind that part; state that
//! stands for thinking that nobody may read says so.

use super::NAME;
use crate::ir::Signature;

const REDACTED: &str = "tl.redacted.";
const TEXT: &str = "tl.text.";
const CALL: &str = "tl.call.";

/// What a field says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// It belongs to the item's own thinking.
    Reasoning { signature: Signature, redacted: bool },
    /// It belongs to the call with this id or, without one, to the text before.
    Carried { call: Option<String>, signature: Signature },
}

/// The signature of an item that is this dialect's own.
pub(super) fn join(id: &str, encrypted: &str) -> Signature {
    let id = if id.contains(':') { "" } else { id };
    Signature { owner: NAME, value: format!("{id}:{encrypted}") }
}

/// The item's id (empty: not known) and its field, of a signature that is this dialect's own.
pub(super) fn split(value: &str) -> (&str, &str) {
    value.split_once(':').unwrap_or(("", value))
}

/// The field for a signature of thinking.
pub(super) fn write(signature: &Signature, redacted: bool) -> String {
    match (signature.owner == NAME, redacted) {
        (true, _) => split(&signature.value).1.to_owned(),
        (false, false) => signature.sealed(NAME),
        (false, true) => format!("{REDACTED}{}", tagged(signature)),
    }
}

/// The field of an item that carries the signature of a call or, without an id, of a text.
pub(super) fn write_carried(call: Option<&str>, signature: &Signature) -> String {
    match call {
        // The length keeps apart what may hold any character.
        Some(id) => format!("{CALL}{}.{id}.{}", id.len(), tagged(signature)),
        None => format!("{TEXT}{}", tagged(signature)),
    }
}

fn tagged(signature: &Signature) -> String {
    format!("{}.{}", signature.owner, signature.value)
}

/// Reads the field of the item `id` as a caller sends it back.
pub(super) fn read(id: &str, field: &str) -> Sealed {
    let unseal = |rest: &str| Some(Signature::unseal(&format!("tl.{rest}"), NAME)).filter(|found| found.owner != NAME);
    let redacted = || Some(Sealed::Reasoning { signature: unseal(field.strip_prefix(REDACTED)?)?, redacted: true });
    let text = || Some(Sealed::Carried { call: None, signature: unseal(field.strip_prefix(TEXT)?)? });
    let call = || {
        let (length, rest) = field.strip_prefix(CALL)?.split_once('.')?;
        let (id, rest) = rest.split_at_checked(length.parse().ok()?)?;
        Some(Sealed::Carried { call: Some(id.to_owned()), signature: unseal(rest.strip_prefix('.')?)? })
    };
    let plain = || Some(Sealed::Reasoning { signature: unseal(field.strip_prefix("tl.")?)?, redacted: false });
    let own = || Sealed::Reasoning { signature: join(id, field), redacted: false };
    redacted().or_else(text).or_else(call).or_else(plain).unwrap_or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(owner: &'static str, value: &str) -> Signature {
        Signature { owner, value: value.to_owned() }
    }

    #[test]
    fn what_is_sealed_is_read_again() {
        let theirs = of("gemini", "a.b:c");
        let read = |field: String| read("rs_1", &field);
        let reasoning = |redacted| Sealed::Reasoning { signature: theirs.clone(), redacted };
        assert_eq!(read(write(&theirs, false)), reasoning(false));
        assert_eq!(read(write(&theirs, true)), reasoning(true));
        for call in [None, Some("call_1"), Some("a.tl.b:ü."), Some("")] {
            let field = write_carried(call, &theirs);
            assert_eq!(read(field), Sealed::Carried { call: call.map(str::to_owned), signature: theirs.clone() });
        }
    }

    #[test]
    fn what_is_our_own_keeps_its_id() {
        for field in ["gAAAA=", "tl.nobody.x", "tl.call.9.x", "tl.call.1.é.gemini.x", ""] {
            let signature = join("rs_1", field);
            assert_eq!(read("rs_1", field), Sealed::Reasoning { signature: signature.clone(), redacted: false });
            assert_eq!(split(&signature.value), ("rs_1", field));
            assert_eq!(write(&signature, false), field);
        }
    }
}
