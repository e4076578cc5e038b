//! HTTP in and out.

pub mod body;
pub mod form;
pub mod reply;

use http::Method;
use http::request::Parts;
use trunkline::codec::dialect::{self, Aside, Operation, ReadName, operation};
use trunkline::codec::{Dialect, Error, Kind, Origin};
use trunkline::operate::error_dialect;

/// Where a request goes.
pub enum Route {
    /// A call to a model.
    Call(&'static Dialect, Operation),
    /// A call of an operation beyond chat.
    Operate(Wish),
    /// A provider's own path: the dialect of errors, and what stands behind `/passthrough/`.
    Pass(&'static Dialect, String),
    /// The list of models, in a dialect's shape.
    Models(&'static Dialect),
    /// One model.
    Model(&'static Dialect, String),
    /// One model, whose name this reads from the body.
    Show(&'static Dialect, ReadName),
    /// What is always answered alike, and to everybody: media type and body.
    Fixed(&'static str, &'static str),
    /// Running totals.
    Stats(&'static Dialect),
    /// The same for Prometheus.
    Metrics(&'static Dialect),
    /// How the targets stand.
    Targets(&'static Dialect),
    /// An answer that was kept is not kept any longer.
    Unkeep(&'static Dialect, String),
    /// Is it alive, is it ready.
    Health(Health),
}

/// An operation beyond chat, in a dialect.
#[derive(Clone, Copy)]
pub struct Wish {
    /// What is wanted.
    pub operation: Operation,
    /// In which dialect, by its name.
    pub dialect: &'static str,
    /// The dialect that errors are told in.
    pub errors: &'static Dialect,
}

/// Which question about the gateway's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The process answers.
    Live,
    /// New calls are taken.
    Ready,
}

impl Route {
    /// The dialect that errors are told in.
    pub fn dialect(&self) -> Option<&'static Dialect> {
        match self {
            Route::Operate(wish) => Some(wish.errors),
            Route::Call(dialect, _)
            | Route::Pass(dialect, _)
            | Route::Models(dialect)
            | Route::Model(dialect, _)
            | Route::Show(dialect, _)
            | Route::Targets(dialect)
            | Route::Unkeep(dialect, _)
            | Route::Metrics(dialect)
            | Route::Stats(dialect) => Some(dialect),
            Route::Health(_) | Route::Fixed(..) => None,
        }
    }
}

/// Path and method to route.
///
/// # Errors
/// `NotFound` and `MethodNotAllowed`, with the dialect that the caller most likely speaks.
pub fn route(head: &Parts) -> Result<Route, (Option<&'static Dialect>, Error)> {
    let path = head.uri.path();
    if let Some(route) = route_beyond(path, head) {
        return match (&route, &head.method) {
            (Route::Pass(..), _) | (_, &Method::POST) => Ok(route),
            _ => Err((route.dialect(), wrong_method(&head.method, path, "POST"))),
        };
    }
    if let Some((dialect, operation)) = dialect::route(path) {
        return match head.method {
            Method::POST => Ok(Route::Call(dialect, operation)),
            _ => Err((Some(dialect), wrong_method(&head.method, path, "POST"))),
        };
    }
    if let Some((dialect, aside)) = dialect::aside(path) {
        let right = aside.method();
        if head.method != right && !(head.method == Method::HEAD && right == Method::GET) {
            return Err((Some(dialect), wrong_method(&head.method, path, right.as_str())));
        }
        return Ok(match aside {
            Aside::Fixed { media, body } => Route::Fixed(media, body),
            Aside::Models => Route::Models(dialect),
            Aside::Model(read) => Route::Show(dialect, read),
        });
    }
    if let (Some((place, id)), &Method::DELETE) = (path.rsplit_once('/'), &head.method)
        && let Some((dialect, Operation::Chat)) = dialect::route(place)
        && dialect.downstream().kept(b"{}").is_some()
    {
        return Ok(Route::Unkeep(dialect, id.to_owned()));
    }
    let speaks = guess(head);
    let models = ["/v1beta/models", "/v1/models", "/foundation-models"].iter().find_map(|place| path.strip_prefix(place));
    let found = match (path, models, speaks) {
        ("/health/live", ..) => Some(Route::Health(Health::Live)),
        ("/health/ready", ..) => Some(Route::Health(Health::Ready)),
        ("/health/targets", _, Some(dialect)) => Some(Route::Targets(dialect)),
        ("/stats", _, Some(dialect)) => Some(Route::Stats(dialect)),
        ("/metrics", _, Some(dialect)) => Some(Route::Metrics(dialect)),
        (_, Some("" | "/"), Some(dialect)) => Some(Route::Models(dialect)),
        (_, Some(rest), Some(dialect)) if rest.starts_with('/') => {
            Some(Route::Model(dialect, rest.trim_start_matches('/').to_owned()))
        }
        _ => None,
    };
    match (found, &head.method) {
        (Some(route), &Method::GET | &Method::HEAD) => Ok(route),
        (Some(_), method) => Err((speaks, wrong_method(method, path, "GET"))),
        (None, _) => {
            let what = format!(
                "there is no {path} here; calls go to /v1/chat/completions, /v1/responses, /v1/messages or /v1beta/models/…:generateContent"
            );
            // An SDK must not take this for an unknown model.
            let error = Error { code: Some("unknown_path".to_owned()), ..Error::new(Kind::NotFound, Origin::Caller, what) };
            Err((speaks, error))
        }
    }
}

/// Calls that are no chat.
fn route_beyond(path: &str, head: &Parts) -> Option<Route> {
    if let Some(rest) = path.strip_prefix("/passthrough/") {
        return Some(Route::Pass(guess(head)?, rest.to_owned()));
    }
    let (dialect, operation) = operation::route(path)?;
    Some(Route::Operate(Wish { operation, dialect, errors: error_dialect(dialect)? }))
}

fn wrong_method(method: &Method, path: &str, right: &str) -> Error {
    Error::new(Kind::MethodNotAllowed, Origin::Caller, format!("{path} takes {right}, not {method}"))
}

/// The dialect of a request whose path does not tell: by the headers that its SDK always sends.
fn guess(head: &Parts) -> Option<&'static Dialect> {
    let has = |name: &str| head.headers.contains_key(name);
    let path = head.uri.path();
    // Some SDKs are made by a generator and say whose they are: a dialect's name begins with that.
    let made_for = head.headers.get("x-fern-sdk-name").and_then(|name| name.to_str().ok());
    let is_its = |dialect: &&Dialect| made_for.is_some_and(|name| dialect.name.split('-').next() == Some(name));
    if let Some(dialect) = dialect::ALL.iter().find(is_its) {
        return Some(dialect);
    }
    let name = if path.starts_with("/model/") || path.starts_with("/foundation-models") {
        "bedrock-converse"
    } else if has("anthropic-version") || path.starts_with("/v1/messages") {
        "anthropic-messages"
    } else if path.starts_with("/v1beta") || has("x-goog-api-key") || has("x-goog-api-client") {
        "gemini"
    } else if path.starts_with("/api/") {
        "ollama"
    } else if path.starts_with("/v2/") {
        "cohere-chat"
    } else {
        "openai-chat"
    };
    dialect::find(name)
}
