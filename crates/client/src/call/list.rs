//! A provider's own list of its models.

use crate::client::Client;
use crate::codec::dialect::operation::{list_path, read_list};
use crate::codec::{Error, Kind, Origin, Result};
use crate::operate::fetch;
use crate::target::Target;

impl Client {
    /// Asks a provider, by its id, for the models that it has now; the names as it knows them, sorted.
    ///
    /// # Errors
    /// When there is no such provider, it has no list, or it fails.
    pub async fn live_models(&self, provider: &str) -> Result<Vec<String>> {
        let unknown = || Error::new(Kind::NotFound, Origin::Caller, format!("there is no provider `{provider}`"));
        let service = self.service(provider).ok_or_else(unknown)?.clone();
        let data = &service.provider;
        let place = data.dialects.iter().find_map(|dialect| Some((dialect.clone(), list_path(dialect, &data.quirks)?)));
        let (dialect, path) = place.ok_or_else(|| {
            let what = format!("{provider} speaks no dialect that lists models");
            Error::new(Kind::Unsupported, Origin::Gateway, what)
        })?;
        let target = Target::new(service, "*");
        let body = fetch(self, &target, &dialect, path).await.map_err(|failed| failed.error)?;
        read_list(&body).map_err(|error| target.service.sign(error))
    }
}
