//! Any request whose answer holds a token, as the configuration describes it.

use http::{HeaderMap, HeaderValue, Method, header};

use super::super::encode;
use super::super::grant::{Grant, header_name};
use super::super::lookup::Lookup;
use super::super::sign::refuse;
use super::{Minted, Post, request};
use crate::codec::Result;
use crate::codec::catalog::{Mint, Pick, Place, placeholders};
use crate::codec::json::quote;
use crate::secret::Secret;
use crate::transport::Payload;

/// The request, all but for the model's name.
pub(crate) struct Request {
    method: Method,
    url: String,
    body: Option<String>,
    headers: HeaderMap,
    values: Vec<(String, Secret)>,
    sign: Option<Grant>,
    token: Pick,
    expires: Option<Pick>,
    lifetime: Option<u64>,
    token_in: Place,
}

impl Request {
    pub(super) fn new(mint: &Mint, sign: Option<Grant>, lookup: &mut Lookup<'_>) -> Result<Self> {
        let values = mint.values.iter().map(|(name, value)| Ok((name.clone(), lookup.need(value)?)));
        let values: Vec<(String, Secret)> = values.collect::<Result<_>>()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &mint.headers {
            let value = lookup.find(value)?.map(|value| HeaderValue::from_str(value.expose()));
            if let Some(value) = value {
                headers.insert(header_name(name)?, value.map_err(|_| refuse(format!("`{name}` cannot stand in a header")))?);
            }
        }
        if mint.body.is_some() {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let usual = if mint.body.is_some() { "POST" } else { "GET" };
        let method = mint.method.as_deref().unwrap_or(usual).parse();
        Ok(Request {
            method: method.map_err(|_| refuse("auth: `method` of `mint` is not a method"))?,
            url: mint.url.clone(),
            body: mint.body.clone(),
            headers,
            values,
            sign,
            token: mint.token.clone(),
            expires: mint.expires.clone(),
            lifetime: mint.lifetime_seconds,
            token_in: mint.token_in.clone(),
        })
    }

    pub(super) async fn ask(&self, post: &Post<'_>, model: &str) -> Result<Minted> {
        let mut values = self.values.clone();
        values.push(("model".to_owned(), Secret::new(model)));
        let mut path = fill(&self.url, &values, |text| encode::strict(text));
        let body = self.body.as_ref().map(|body| fill(body, &values, escape));
        let mut headers = self.headers.clone();
        if let Some(sign) = &self.sign {
            sign.apply(&mut path, &mut headers);
        }
        let mut asked = request(self.method.clone(), &path, body.map_or_else(Payload::empty, Payload::whole))?;
        *asked.headers_mut() = headers;
        let received = post.send(asked, self.sign.as_ref()).await?;
        let now = post.client.clock().now();
        let timed = self.sign.as_ref().is_some_and(Grant::is_timed);
        let token = received.token(&self.token);
        let token = token.map_err(|error| if timed { received.blame_clock(error, now) } else { error })?;
        let life = received.lifetime(self.expires.as_ref(), self.lifetime, now);
        let notice = life.odd.map(|odd| format!("the token server {} {odd}", received.host));
        let mut grant = Grant::placed(&self.token_in, &token)?;
        // The operator knows the secret that it was minted with, not the token.
        let named = self.sign.as_ref().and_then(Grant::fingerprint).map(str::to_owned);
        match (named, self.values.iter().max_by_key(|(_, value)| value.expose().len())) {
            (Some(fingerprint), _) => grant.name(fingerprint),
            (None, Some((_, secret))) => grant = grant.known_by(secret),
            (None, None) => {}
        }
        Ok(Minted { grant, lifetime: life.length, notice })
    }
}

/// A text inside a JSON string.
fn escape(text: &str) -> String {
    let quoted = quote(text);
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// Puts values where their names stand in braces.
pub(super) fn fill(text: &str, values: &[(String, Secret)], escape: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    for name in placeholders(text) {
        let Some((_, value)) = values.iter().find(|(known, _)| known == name) else { continue };
        if let Some((before, after)) = rest.split_once(&format!("{{{name}}}")) {
            filled.push_str(before);
            filled.push_str(&escape(value.expose()));
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_names_stood() {
        let values = [("a".to_owned(), Secret::new("1\"{b}")), ("b".to_owned(), Secret::new("x/y"))];
        assert_eq!(
            fill("{\"k\":\"{a}\",\"o\":{},\"l\":\"{b}{a}\"}", &values, escape),
            "{\"k\":\"1\\\"{b}\",\"o\":{},\"l\":\"x/y1\\\"{b}\"}"
        );
        assert_eq!(fill("https://h/{b}/{c}", &values, |text| encode::strict(text)), "https://h/x%2Fy/{c}");
    }
}
