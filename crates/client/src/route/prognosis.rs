//! What a failure means for the call: whether anybody would do better, and when.

use crate::codec::{Error, Kind, Origin, Phase, Retry};

/// No other target would do better: the request itself is at fault, or nobody waits any more.
pub(super) fn is_final(error: &Error) -> bool {
    match error.kind {
        Kind::BadRequest | Kind::Filtered | Kind::Cancelled | Kind::MethodNotAllowed => true,
        // A window or a limit of one target says nothing about the next one's, nor does a model that it has not.
        Kind::NotFound | Kind::TooLarge | Kind::ContextTooLong => error.origin == Origin::Caller,
        _ => false,
    }
}

/// What an error is worth to the caller beside those of other targets: most if it could do something about it, least if
/// nothing would come of asking again.
pub(super) fn worth(error: &Error) -> u8 {
    match error.retry {
        _ if matches!(error.kind, Kind::ContextTooLong | Kind::TooLarge) => 2,
        Retry::After(_) | Retry::Backoff => 1,
        Retry::Never => 0,
    }
}

/// Whether the same target may do better later.
pub(super) fn may_help(error: &Error, repeatable: bool) -> bool {
    let passing = matches!(
        error.kind,
        Kind::RateLimited | Kind::Overloaded | Kind::Server | Kind::Timeout | Kind::Network | Kind::Truncated | Kind::Conflict
    );
    passing && error.retry != Retry::Never && (repeatable || !may_be_done(error))
}

/// Whether the request may have been carried out all the same. Who refuses by status has done nothing, unless it speaks for
/// somebody behind it; nor has who was never reached.
pub(super) fn may_be_done(error: &Error) -> bool {
    let sent = matches!(error.origin, Origin::Provider | Origin::Network) && error.phase != Some(Phase::Connect);
    sent && error.status.is_none_or(|status| matches!(status, 408 | 502 | 504))
}
