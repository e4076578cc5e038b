//! One call of an operation beyond chat.

use std::pin::Pin;

use crate::client::Client;
use crate::codec::Result;
use crate::codec::dialect::operation::Wanted;
use crate::exchange::Failed;
use crate::monitor::OpenCall;
use crate::operate::{Done, operate};
use crate::route::{Leg, Need, Said, Shadow};

/// A call of an operation that has not been sent: await it for the answer.
///
/// ```no_run
/// # async fn example() -> trunkline::Result<()> {
/// let client = trunkline::Client::from_env()?;
/// let done = client.embed("sim/echo", ["one text", "another"]).dimensions(64).await?;
/// println!("{} vectors from {}", done.answer.vectors.len(), done.target);
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
pub struct OperationCall<W> {
    client: Client,
    task: Option<String>,
    pub(super) wanted: W,
}

impl Client {
    /// Sends a request of an operation in canonical form: [`Embed`](crate::ir::Embed), [`Rerank`](crate::ir::Rerank), …
    pub fn operate<W: Wanted>(&self, wanted: W) -> OperationCall<W> {
        OperationCall { client: self.clone(), task: None, wanted }
    }
}

impl<W: Wanted> OperationCall<W> {
    /// Asks the model of this task (`[tasks]`) instead of the one that is named; `auto` leaves the task to the rules.
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.task = Some(task.into());
        self
    }

    /// Changes anything else of the request.
    pub fn with(mut self, change: impl FnOnce(&mut W)) -> Self {
        change(&mut self.wanted);
        self
    }

    /// The answer.
    ///
    /// # Errors
    /// With kind, origin, retry advice and the provider's own words.
    pub async fn send(mut self) -> Result<Done<W::Answer>> {
        let model = self.wanted.model_mut().clone();
        let operation = self.wanted.operation();
        let Self { client, task, wanted } = &self;
        let said = Said::Unread(operation);
        let need = Need { repeatable: operation.may_be_repeated(), task: task.as_deref(), said, ..Need::of(&model) };
        let need = need.taking(wanted.length(), Some(0));
        let mut call = client.open_call(operation, &model);
        let mut tries = client.tries(&need).map_err(|error| call.end(error))?;
        if let Some(shadow) = client.shadow(&mut tries, &call, String::new) {
            tokio::spawn(mirror(client.clone(), wanted.clone(), shadow));
        }
        let done = tries.answer(&mut call, |leg| ask(client, leg, wanted)).await;
        let done = done.map_err(|failed| call.end(failed.error))?;
        close::<W>(&mut call, &done);
        Ok(done)
    }
}

async fn ask<W: Wanted>(client: &Client, leg: Leg, wanted: &W) -> Result<Done<W::Answer>, Failed> {
    operate(client, &leg.target, wanted.clone(), None).await
}

async fn mirror<W: Wanted>(client: Client, wanted: W, shadow: Shadow) {
    if let Some((done, mut call, _slot)) = shadow.answer(|leg| ask(&client, leg, &wanted)).await {
        close::<W>(&mut call, &done);
    }
}

fn close<W: Wanted>(call: &mut OpenCall, done: &Done<W::Answer>) {
    call.note(W::usage(&done.answer), &done.losses);
    call.note_pieces(done.pieces);
    call.close(None);
}

impl<W: Wanted> IntoFuture for OperationCall<W> {
    type Output = Result<Done<W::Answer>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
