//! `/passthrough/{provider}/…`: a provider's other paths, as they are, with its credential.
//!
//! Method, path, query and body go as they came, the path under the provider's base address and nowhere else. What belongs
//! to the caller's own account or to this one connection stays here.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::header as names;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use hyper::body::{Body as _, Incoming};
use trunkline::Target;
use trunkline::codec::{Dialect, Error, Kind, Origin, Result};
use trunkline::exchange::{Failed, Parcel};
use trunkline::monitor::OpenCall;
use trunkline::operate::pass_through;
use trunkline::relay::Flow;
use trunkline::route::Need;
use trunkline::transport::{Payload, Reply};

use crate::edge::body;
use crate::edge::form::{Fault, Upload};
use crate::edge::reply::{self, Facts, ReplyBody, percent_decode};
use crate::header;
use crate::identify::without_key;
use crate::pipeline::introduce;
use crate::worker::Worker;

/// Headers that belong to one connection, and those that name the caller or are its credentials.
const DROPPED: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "expect",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "x-amz-security-token",
    "x-amz-date",
    "x-amz-content-sha256",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "cookie",
    "set-cookie",
    "forwarded",
    "via",
    "x-real-ip",
];

/// Answers one request.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    head: &Parts,
    incoming: Incoming,
    (errors, rest): (&'static Dialect, &str),
    id: &str,
) -> Response<ReplyBody> {
    let prepared = prepare(worker, head, rest);
    let (target, path) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return body::refuse(incoming, reply::error(errors, &error, id)),
    };
    let fault = Fault::default();
    let payload = match upload(worker, incoming, &fault) {
        Ok(payload) => payload,
        Err((incoming, error)) => return body::refuse(incoming, reply::error(errors, &error, id)),
    };
    let mut call = OpenCall::new(id.to_owned(), Arc::clone(&worker.record) as _, worker.client.model_data());
    introduce(worker, &mut call, head, errors, None);
    let mut facts = Facts::new(id, errors);
    facts.target = Some(target.service.provider.id.as_str().into());
    let mut headers = own_headers(&head.headers);
    // What is encoded cannot be searched for our credential, nor be watched.
    headers.insert(names::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let parcel = Parcel { method: head.method.clone(), path, headers, payload };
    let sent = worker.unless_cut(pin!(send(worker, &target, parcel, &mut call, &facts))).await;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => Err(error.into()),
    };
    facts.attempts = call.outcome().map_or(1, |outcome| reply::requests(outcome));
    match sent {
        Ok(answer) => {
            let (mut theirs, body) = answer.into_parts();
            // There is no body to tell it.
            let length = (head.method == Method::HEAD).then(|| theirs.headers.get(names::CONTENT_LENGTH).cloned()).flatten();
            theirs.headers = own_headers(&theirs.headers);
            theirs.headers.extend(length.map(|length| (names::CONTENT_LENGTH, length)));
            let dialect = target.service.provider.dialects.first().cloned().unwrap_or_default();
            let mut flow = Flow::new(body, target, call, worker.settings());
            // What is fetched may tell of tokens that another call has taken.
            if head.method == Method::POST {
                flow = flow.watch(&dialect);
            }
            reply::passthrough(flow, theirs, &facts)
        }
        Err(failed) => {
            let failed = fault.take().map_or(failed, Failed::from);
            let reply = reply::failure(errors, &failed, &facts);
            call.gives(reply::size(&reply));
            call.close(Some(failed.error));
            reply
        }
    }
}

/// Sends it as soon as the provider's limits let it, and waits for the head of the answer.
async fn send(
    worker: &Worker,
    target: &Target,
    parcel: Parcel,
    call: &mut OpenCall,
    facts: &Facts,
) -> std::result::Result<Reply, Failed> {
    let mut tries = worker.client.tries_at(target.clone(), &Need { uploads: true, ..Need::default() });
    let parcel = Mutex::new(Some(parcel));
    let sent = tries.answer(call, |leg| {
        let parcel = parcel.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let parcel = parcel.ok_or_else(|| Error::new(Kind::Internal, Origin::Gateway, "what is passed through goes once"))?;
            pass_through(&worker.client, &leg.target, parcel).await
        }
    });
    let sent = sent.await;
    if let Some(outcome) = call.outcome() {
        outcome.target.clone_from(&facts.target);
    }
    sent
}

/// Whom it goes to, and the path and query there.
fn prepare(worker: &Worker, head: &Parts, rest: &str) -> Result<(Target, String)> {
    if !worker.client.config().server.passthrough {
        let what = "nothing is passed through here; the gateway's configuration says [server] passthrough = false";
        return Err(Error::new(Kind::Forbidden, Origin::Caller, what));
    }
    header::check(&head.headers)?;
    let (provider, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    check_path(path)?;
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let what = format!("{} is not passed through", head.method);
        return Err(Error::new(Kind::MethodNotAllowed, Origin::Caller, what));
    }
    if head.headers.contains_key(names::UPGRADE) {
        return Err(Error::new(Kind::Unsupported, Origin::Caller, "connections are not upgraded here; WebSockets do not pass"));
    }
    let service = worker.client.service(provider).ok_or_else(|| {
        let known = worker.client.services();
        let near = trunkline::codec::catalog::nearest(provider, known.iter().map(|service| service.provider.id.as_str()));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let what = format!("there is no provider `{provider}`{near}");
        Error { code: Some("unknown_provider".to_owned()), ..Error::new(Kind::NotFound, Origin::Caller, what) }
    })?;
    let mut path = path.to_owned();
    if let Some(query) = without_key(head.uri.query()) {
        path.push('?');
        path.push_str(&query);
    }
    Ok((Target::new(service, "*"), path))
}

/// Refuses paths that could mean another place to a server than they say here.
fn check_path(path: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::bad_request(format!("the path to pass through {what}")).at("path"));
    // Servers and proxies on the way may decode more than once.
    let mut seen = path.to_owned();
    for round in 0..4 {
        if seen.contains('\\') {
            return refuse("must not hold backslashes");
        }
        if seen.chars().any(char::is_control) {
            return refuse("must not hold line breaks or other control characters");
        }
        if seen.contains("//") {
            return refuse("must not hold empty segments (`//`) or another address");
        }
        let up = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        if seen.split('/').any(up) {
            return refuse("must not hold `.` or `..` segments");
        }
        let decoded = percent_decode(&seen);
        if decoded.matches('/').count() != seen.matches('/').count() {
            return refuse("must not hold encoded slashes");
        }
        if decoded == seen {
            return Ok(());
        }
        if round == 0 && (decoded.contains('?') || decoded.contains('#')) {
            return refuse("must not hold encoded question marks or hashes");
        }
        seen = decoded;
    }
    refuse("is encoded too many times")
}

fn upload(worker: &Worker, incoming: Incoming, fault: &Fault) -> std::result::Result<Payload, (Incoming, Error)> {
    if incoming.is_end_stream() {
        return Ok(Payload::empty());
    }
    let limit = worker.client.config().server.upload_limit;
    Upload::new(incoming, limit, None, fault.clone()).map(|upload| upload.payload(Vec::new()))
}

/// The headers that pass on, in either direction.
fn own_headers(from: &HeaderMap) -> HeaderMap {
    let listed = from.get_all(names::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = listed.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    let stays = |name: &HeaderName| {
        let name = name.as_str();
        DROPPED.contains(&name)
            || name.starts_with("x-forwarded-")
            || name.starts_with("x-trunkline-")
            || named.iter().any(|other| other == name)
    };
    let mut to = HeaderMap::with_capacity(from.len());
    for (name, value) in from.iter().filter(|(name, _)| !stays(name)) {
        to.append(name.clone(), value.clone());
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass_and_tricks_do_not() {
        for fine in
            ["", "/", "/files", "/v1/files/file-1/content", "/models/a%20b:generate", "/a.b/..c/...", "/x/%E2%98%83", "/100%"]
        {
            assert!(check_path(fine).is_ok(), "{fine}");
        }
        let tricks = [
            "/..",
            "/../secrets",
            "/a/../../b",
            "/./a",
            "/a//b",
            "//evil.example/x",
            "/http://evil.example/",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2fb",
            "/a%2F..%2Fb",
            "/a%5c..%5cb",
            "/a\\b",
            "/%252e%252e/x",
            "/%252fx",
            "/%25252e%25252e/x",
            "/a%0d%0ax: y",
            "/a%00",
            "/..;/x",
            "/%2e%2e;a=b/x",
            "/a%3fkey=x",
            "/a%23x",
        ];
        for trick in tricks {
            let error = check_path(trick).expect_err(trick);
            assert_eq!((error.kind, error.param.as_deref()), (Kind::BadRequest, Some("path")), "{trick}");
        }
    }

    #[test]
    fn what_is_the_callers_own_stays_here() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-trunkline-anything", "1"),
            ("content-type", "text/plain"),
            ("openai-beta", "assistants=v2"),
        ] {
            from.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let to = own_headers(&from);
        let names: Vec<&str> = to.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "openai-beta"]);
    }
}
