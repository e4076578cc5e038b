//! The catalogue: who serves models and how each is spoken to, as data.
//!
//! `providers/*.toml` (who) and `models/*.toml` (what they serve, and what it costs) are compiled in; the same tables, in
//! whole or in part, come from a user's configuration. Nothing here reads an environment variable, a file or a secret:
//! [`SecretRef`] only says where one is.

mod ability;
mod address;
mod auth;
mod batches;
mod import;
mod lookup;
mod model;
mod money;
mod nearest;
mod page;
mod parse;
mod placeholder;
mod price;
mod provider;
mod quirks;
mod resolve;
mod table;
mod week;

use std::collections::BTreeMap;

pub use ability::{Abilities, Ability};
pub use auth::{
    AWS_STARTS, ApiKey, ApiKeyPatch, Auth, AwsKeys, CMD_LIFETIME, ClientAuth, JwtHs256, KeyPair, KeyScheme, KeySignature, Limits,
    MessageAlgorithm, MessageSignature, Mint, OAuth2, Pick, Place, SecretRef, ServiceAccount, SigV4, placeholders,
};
pub use batches::Batches;
pub use import::{Import, Skipped, import_prices, write_prices};
pub use lookup::Models;
pub use model::Model;
pub use money::{Cost, Currency, Rate};
pub use nearest::nearest;
pub use page::{provider_index, provider_page};
pub use parse::{Fault, ParseError, parse_patch, parse_provider};
pub use price::{Level, ModelPatch, OffPeak, Pieces, Price, Rates, Tier, Work};
pub use provider::{API_KEYS_MAX, DIALECTS, Provider, ProviderPatch};
pub use quirks::{
    Chunks, GEMINI_VERSIONS, MaxTokensField, Quirks, QuirksPatch, REQUEST_FIELDS, ReasoningField, ReasoningReplay,
    ReasoningStyle, SystemRole,
};
pub use resolve::{ResolveError, matches};
pub use table::{Lang, batch_table, provider_table};
pub use week::Window;

include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// All providers that are known, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    providers: BTreeMap<String, Provider>,
}

impl Catalog {
    /// The providers that are compiled in.
    ///
    /// # Errors
    /// Never in a released build: a test reads every file.
    pub fn builtin() -> Result<Self, ParseError> {
        let mut catalog = Self::default();
        for (id, text) in FILES {
            catalog.insert(parse_provider(id, text)?);
        }
        Ok(catalog)
    }

    /// A provider by its id.
    pub fn get(&self, id: &str) -> Option<&Provider> {
        self.providers.get(id)
    }

    /// All providers, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.providers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Adds a provider, or replaces the one with its id.
    pub fn insert(&mut self, provider: Provider) {
        self.providers.insert(provider.id.clone(), provider);
    }

    /// Applies one `[providers.<id>]` table: changes the provider of that name, or adds it.
    ///
    /// # Errors
    /// When the outcome would not be a valid provider; the catalogue is then unchanged.
    pub fn apply(&mut self, id: &str, patch: ProviderPatch) -> Result<(), ParseError> {
        if let Some(known) = self.providers.get_mut(id) {
            return known.merge(patch);
        }
        self.insert(Provider::build(id, patch)?);
        Ok(())
    }

    /// Puts the environment's values into every provider's addresses and paths; see [`Provider::fill`]. `find` is told
    /// whose they are.
    ///
    /// # Errors
    /// When a value makes an address that is none.
    pub fn fill(&mut self, find: &dyn Fn(&str, &str) -> Option<String>) -> Result<(), ParseError> {
        self.providers.iter_mut().try_for_each(|(id, provider)| provider.fill(&|name| find(id, name)))
    }

    /// Points a provider at another address; see [`Provider::set_base_url`]. False when there is no such provider.
    ///
    /// # Errors
    /// When it is not an `http` or `https` address.
    pub fn set_base_url(&mut self, id: &str, url: &str) -> Result<bool, ParseError> {
        match self.providers.get_mut(id) {
            Some(provider) => provider.set_base_url(url).map(|()| true),
            None => Ok(false),
        }
    }
}
