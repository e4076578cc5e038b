//! Answers that are kept, told again by their ids, or kept no longer.

use std::sync::Arc;

use http::Method;
use http::request::Parts;
use trunkline::codec::dialect::{Asked, Cx, Framing};
use trunkline::codec::{Dialect, Error, Kind, Origin, Result};
use trunkline::ir::{Choice, Finish, Raw, Reason, Response, Usage};
use trunkline_store::TurnRow;

use super::{PREVIOUS, may_have};
use crate::header;
use crate::worker::Worker;

/// What is told of the answer of this id: the answer as it was, or that it is gone now if that is what is wanted.
///
/// # Errors
/// When nothing of this id is kept for this user.
pub(crate) async fn tell(worker: &Worker, head: &Parts, (dialect, id): (&'static Dialect, &str)) -> Result<Vec<u8>> {
    let what = || format!("Response with id '{id}' not found: nothing of that id is kept here");
    let unknown = || Error { code: Some("response_not_found".to_owned()), ..Error::new(Kind::NotFound, Origin::Caller, what()) };
    header::check(&head.headers)?;
    let (sessions, user) = (worker.record.sessions().ok_or_else(unknown)?, header::user(&head.headers));
    if head.method == Method::DELETE {
        let gone = sessions.delete_response(id, user).await?;
        // The words of the one dialect that has such.
        let told = || serde_json::json!({ "id": id, "object": "response", "deleted": true }).to_string().into_bytes();
        return if gone { Ok(told()) } else { Err(unknown()) };
    }
    let (turn, previous) =
        sessions.answer(id).await?.filter(|(turn, _)| may_have(user.as_deref(), turn.user_id.as_deref())).ok_or_else(unknown)?;
    Ok(write(dialect, turn, previous))
}

fn write(dialect: &'static Dialect, turn: TurnRow, previous: Option<String>) -> Vec<u8> {
    let told = turn.finish.as_ref().map(|word| serde_json::Value::from(word.as_ref()));
    // What broke off is not complete.
    let reason = told.map_or(Reason::Length, |word| serde_json::from_value(word).unwrap_or_default());
    let message = turn.answered;
    let (parts, extra) = message.map(|message| (message.parts, message.extra)).unwrap_or_default();
    let usage = turn.input.zip(turn.output).map(|(input, output)| Usage {
        input,
        output,
        estimated: turn.usage_estimated,
        ..Usage::default()
    });
    let asked_of = turn.target.as_deref().and_then(|target| target.split_once('/')).map(|(_, model)| model);
    let model = turn.told_model.as_deref().or(asked_of).unwrap_or(&turn.model);
    let id = turn.response_id.unwrap_or_default();
    // What its parts' ids were made from, too.
    let prefix = dialect.downstream().kept(b"{}").map_or("", |kept| kept.prefix);
    let call = id.strip_prefix(prefix).unwrap_or(&id).to_owned();
    let created = turn.begun_us / 1_000_000;
    let choice = Choice { parts, extra, finish: Finish::from(reason), ..Choice::default() };
    let response =
        Response { id, model: model.to_owned(), created: Some(created), choices: vec![choice], usage, ..Response::default() };
    let repeated = previous.map(|id| (PREVIOUS, Raw::of(&id))).into_iter().chain([("store", Raw::of(&true))]).collect();
    let cx = Cx {
        request_id: call.clone(),
        id: call,
        created,
        model: turn.model,
        framing: Framing::Sse,
        stream_usage: true,
        asked: Some(Arc::new(Asked { repeated, ..Asked::default() })),
    };
    dialect.downstream().write_response(&response, &cx)
}
