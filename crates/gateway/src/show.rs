//! One model, whose name stands in the body of the request for it.

use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use trunkline::codec::Dialect;
use trunkline::codec::dialect::ReadName;

use crate::edge::body;
use crate::edge::reply::{self, ReplyBody};
use crate::shed::Held;
use crate::worker::Worker;

/// Reads the name and tells what is known of the model.
pub(crate) async fn answer(
    worker: &Worker,
    head: &Parts,
    incoming: Incoming,
    (dialect, read): (&'static Dialect, ReadName),
    id: &str,
) -> Response<ReplyBody> {
    let limit = worker.client.config().server.body_limit;
    let mut held = Held::new(&worker.shed, &worker.client.config().server);
    let receive = body::receive(head, incoming, limit, &mut held);
    let received = worker.unless_cut(receive).await.unwrap_or_else(|error| Err((None, error)));
    match received {
        Err((incoming, error)) => body::refuse_some(incoming, reply::error(dialect, &error, id)),
        Ok(body) => match read(&body) {
            Ok(name) => reply::model(worker, dialect, &name, id),
            Err(error) => reply::error(dialect, &error, id),
        },
    }
}
