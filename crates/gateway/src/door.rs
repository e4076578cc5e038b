//! The key that callers must have, while it may be replaced.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::config::{Config, Environment, resolve_secret};
use trunkline::{Client, Secret};

/// What callers must send, if anything. Clones are the same door.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<ArcSwapOption<Key>>);

/// A key that callers must have.
#[derive(Debug)]
pub struct Key {
    /// Itself.
    pub secret: Secret,
    /// What the ledger calls it.
    pub id: Arc<str>,
}

impl Key {
    fn new(secret: Secret) -> Arc<Self> {
        Arc::new(Key { id: secret.fingerprint().into(), secret })
    }
}

impl Door {
    /// The door that a configuration describes.
    ///
    /// # Errors
    /// When its key's variable is not set, or its file or command cannot be used.
    pub fn open(config: &Config, environment: &Environment) -> Result<Self> {
        Ok(Door(Arc::new(ArcSwapOption::new(key(config, environment)?.map(Key::new)))))
    }

    /// The key now.
    pub fn key(&self) -> impl std::ops::Deref<Target = Option<Arc<Key>>> {
        self.0.load()
    }

    /// Whether everybody may come in.
    pub fn is_open(&self) -> bool {
        self.0.load().is_none()
    }

    /// Has the client read everything again, and takes the new key, if the new configuration is good for a gateway that
    /// only this machine (`loopback`), or others too, can reach.
    ///
    /// # Errors
    /// Why it is not: then everything stays as it was.
    pub fn reload(&self, client: &Client, loopback: bool) -> Result<()> {
        let mut new = None;
        client.reload_if(|config, environment| {
            new = key(config, environment)?;
            if new.is_none() && !loopback {
                return Err(wrong("[server] key is gone, and others than this machine can reach the gateway".to_owned()));
            }
            Ok(())
        })?;
        self.0.store(new.map(Key::new));
        Ok(())
    }
}

fn key(config: &Config, environment: &Environment) -> Result<Option<Secret>> {
    let Some(reference) = &config.server.key else { return Ok(None) };
    match resolve_secret(reference, environment)? {
        Some(key) => Ok(Some(key)),
        None => Err(wrong(format!("[server] key: {reference} is not set; set it, or remove the key to listen on loopback only"))),
    }
}

fn wrong(what: String) -> Error {
    Error::new(Kind::Internal, Origin::Gateway, what)
}
