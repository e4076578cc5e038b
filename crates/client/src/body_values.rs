//! Values of an account that a wire format has in the body.

use serde_json::Value;

use crate::codec::Result;
use crate::codec::catalog::Provider;
use crate::config::Environment;
use crate::credential::resolve;
use crate::secret::Secret;

/// What is put into every translated request for one provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyValues(Vec<(String, Secret)>);

impl BodyValues {
    /// Looks the values up; the inner `Err` names the variables of one that is missing.
    pub(crate) fn find(provider: &Provider, environment: &Environment) -> Result<Result<Self, Vec<String>>> {
        let mut values = BodyValues::default();
        for (pointer, reference) in &provider.body_values {
            match resolve(reference, environment)? {
                Some(value) => values.0.push((pointer.clone(), value)),
                None => return Ok(Err(reference.env_names().to_vec())),
            }
        }
        Ok(Ok(values))
    }

    /// Values that are told to nobody, each in its place.
    pub(crate) fn hidden(provider: &Provider) -> Self {
        BodyValues(provider.body_values.keys().map(|pointer| (pointer.clone(), Secret::new("***"))).collect())
    }

    /// The values.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> {
        self.0.iter().map(|(_, value)| value.clone())
    }

    /// Puts the values into a body that has their places.
    pub(crate) fn apply(&self, body: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return };
        for (pointer, secret) in &self.0 {
            if let Some(place) = value.pointer_mut(pointer) {
                *place = secret.expose().into();
            }
        }
        *body = value.to_string().into_bytes();
    }
}
