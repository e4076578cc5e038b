//! A signature in the address, for WebSockets, whose openers often cannot add headers: HMAC-SHA256 over host, date and
//! request line, as the gateways of iFlytek check it.

use http::Uri;

use super::canonical::host;
use super::date::Utc;
use super::digest::{base64, hmac_sha256};
use super::encode;
use super::sign::{Draft, Moment, Sign, refuse};
use crate::codec::Result;
use crate::secret::Secret;

/// Adds `authorization`, `date` and `host` to the query.
#[derive(Clone, Debug)]
pub struct UrlHmac {
    key: Secret,
    secret: Secret,
}

impl UrlHmac {
    /// The key says who signs; the secret proves it.
    #[must_use]
    pub const fn new(key: Secret, secret: Secret) -> Self {
        Self { key, secret }
    }
}

impl Sign for UrlHmac {
    fn sign(&self, draft: &mut Draft<'_>, moment: &Moment) -> Result<()> {
        let date = Utc::new(moment.now).http();
        let host = host(draft.uri)?;
        let text = format!("host: {host}\ndate: {date}\n{} {} HTTP/1.1", draft.method, draft.uri.path());
        let signature = base64(hmac_sha256(self.secret.expose(), text));
        let authorization = format!(
            r#"api_key="{}", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}""#,
            self.key.expose(),
        );
        let query = format!(
            "authorization={}&date={}&host={}",
            encode::form(&base64(authorization)),
            encode::form(&date),
            encode::form(host),
        );
        *draft.uri = with_query(draft.uri, &query)?;
        Ok(())
    }
}

/// Adds parameters to what the query holds already, and takes out those of an earlier signature.
fn with_query(uri: &Uri, added: &str) -> Result<Uri> {
    let ours = |parameter: &&str| {
        let name = parameter.split_once('=').map_or(*parameter, |(name, _)| name);
        !matches!(name, "" | "authorization" | "date" | "host")
    };
    let kept: String = uri.query().unwrap_or_default().split('&').filter(ours).map(|parameter| format!("{parameter}&")).collect();
    let mut parts = uri.clone().into_parts();
    let unfit = |_| refuse("the signed address is not a valid one");
    parts.path_and_query = Some(format!("{}?{kept}{added}", uri.path()).parse().map_err(unfit)?);
    Uri::from_parts(parts).map_err(|_| refuse("the signed address is not a valid one"))
}
