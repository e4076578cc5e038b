//! The pair of texts that clouds call access key.

use crate::secret::Secret;

/// Who signs, and the secret that proves it.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Goes out with each request.
    pub id: Secret,
    /// Never leaves.
    pub secret: Secret,
    /// Goes out with each request where the pair is a temporary one.
    pub session: Option<Secret>,
}

impl AccessKey {
    /// A lasting pair.
    #[must_use]
    pub const fn new(id: Secret, secret: Secret) -> Self {
        Self { id, secret, session: None }
    }

    /// The token that belongs to a temporary pair.
    #[must_use]
    pub fn with_session(mut self, token: Secret) -> Self {
        self.session = Some(token);
        self
    }
}
