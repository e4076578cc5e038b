//! Calls that are handed in together, to be done within hours and fetched then: a provider's own batches.
//!
//! One request each, through the same credentials, transport and error reading as every other call. Nothing here waits or asks again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::client::Client;
use crate::codec::catalog::{Batches, Cost, Work};
use crate::codec::dialect::advice;
use crate::codec::dialect::batch::{self, Answer, Batch, Content, Label, Outcome, Place, Status};
use crate::codec::dialect::{self, Dialect, Operation, Outgoing};
use crate::codec::{Error, Losses, Result, Retry};
use crate::exchange::{Failed, Lane, Parcel, explain};
use crate::ir::{Request, Usage};
use crate::monitor::reckon_whole;
use crate::operate::{reach, request_to};
use crate::relay::{describe, stalled};
use crate::target::{Service, Target};
use crate::transport::{Body, Reply as HttpReply};
use crate::{Reply, call};

/// The longest line of a file of answers.
const LONGEST: usize = 64 * 1024 * 1024;
/// Tokens that an answer is taken to have at most, where nobody set a bound.
const USUAL_ANSWER: u64 = 8192;
/// Bytes of a token, about, as it stands in JSON, and those around an answer.
const BYTES_A_TOKEN: usize = 6;
const FRAME: usize = 1024;
/// Pages of a list in which a batch is looked for.
const PAGES: usize = 20;

/// A target that takes calls in batches.
#[derive(Clone)]
pub struct BatchTarget {
    client: Client,
    target: Target,
    data: Batches,
    dialect: &'static Dialect,
    wire: &'static dyn Batch,
}

/// How a batch is, as it was told.
pub struct Told {
    /// How it is.
    pub status: Status,
    /// When the provider wants to be asked again, if it says so.
    pub wait: Option<Duration>,
    body: Bytes,
}

/// Answers, one after the other, as they come in.
pub struct Answers {
    batch: BatchTarget,
    whole: std::vec::IntoIter<Answer>,
    file: Option<Body>,
    held: BytesMut,
    /// So much of it holds no line end.
    seen: usize,
    patience: Duration,
}

impl Service {
    /// Whether it takes batches.
    pub const fn takes_batches(&self) -> bool {
        self.provider.batch.is_some()
    }
}

impl Client {
    /// The first target of a model's name that takes batches, and that is set up if any of them is; `None` where none does.
    ///
    /// # Errors
    /// As [`Client::plan`].
    pub fn batch_target(&self, model: &str) -> Result<Option<BatchTarget>> {
        let found = self.plan(model)?.into_iter().filter_map(|target| {
            let data = target.service.provider.batch.clone().filter(|data| data.takes(&target.model))?;
            let (wire, dialect) = (batch::find(&data.dialect)?, dialect::find(&data.dialect)?);
            Some(BatchTarget { client: self.clone(), target, data, dialect, wire })
        });
        let mut found: Vec<BatchTarget> = found.collect();
        let best = found.iter().position(|target| target.check().is_ok()).unwrap_or(0);
        Ok((best < found.len()).then(|| found.swap_remove(best)))
    }
}

impl BatchTarget {
    /// `provider/model`.
    pub fn name(&self) -> &str {
        self.target.name()
    }

    /// The provider's id.
    pub fn provider(&self) -> &str {
        &self.target.service.provider.id
    }

    /// Whether it is set up.
    ///
    /// # Errors
    /// When its credential is missing.
    pub fn check(&self) -> Result<()> {
        self.target.service.credentials().map(drop)
    }

    /// Most lines of a part.
    pub const fn lines(&self) -> usize {
        self.data.lines
    }

    /// Most bytes of a part.
    pub const fn bytes(&self) -> usize {
        self.data.bytes
    }

    /// Most bytes that all answers of a part may come to, where they come in one reply.
    pub fn answer_bytes(&self) -> Option<usize> {
        self.wire.is_inlined().then(|| self.longest_reply())
    }

    /// About how many bytes of that the answer to a request may take.
    pub fn answer_size(&self, request: &Request) -> usize {
        let usual = self.max_output().map_or(USUAL_ANSWER, |most| most.min(USUAL_ANSWER));
        let tokens = u64::from(request.n.unwrap_or(1).max(1)).saturating_mul(request.max_tokens.unwrap_or(usual));
        usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(BYTES_A_TOKEN).saturating_add(FRAME)
    }

    /// Whether a part of ours can be found at the provider by its name.
    pub fn can_find(&self) -> bool {
        self.wire.list_path(None, self.target.quirks()).is_some()
    }

    /// What a call of a batch costs that takes so much.
    pub fn cost(&self, usage: Usage) -> Option<Cost> {
        self.client.model_data().batch_cost(self.name(), &Work::from(usage), self.data.price_percent)
    }

    /// The longest answer of the model, as far as it is known.
    pub fn max_output(&self) -> Option<u64> {
        self.client.model_data().find(self.provider(), &self.target.model).and_then(|model| model.max_output)
    }

    /// Appends a request to a part, as a line with this key.
    ///
    /// # Errors
    /// When it cannot be said in the provider's dialect.
    pub fn push(&self, part: &mut Vec<u8>, key: &str, request: &Request) -> Result<()> {
        let request = Request { model: self.target.model.to_string(), stream: false, ..request.clone() };
        let mut outgoing = self.dialect.upstream.write_request(&request, Operation::Chat, self.target.quirks())?;
        self.target.service.body_values.apply(&mut outgoing.body);
        self.wire.push(part, key, self.endpoint(), &outgoing.body);
        Ok(())
    }

    fn endpoint(&self) -> &str {
        self.data.endpoint.as_deref().unwrap_or_else(|| self.wire.endpoint())
    }

    /// Sends a part's lines ahead, where they go as a file: its id. That alone does, and costs, nothing.
    ///
    /// # Errors
    /// When the provider cannot be reached, or does not take it.
    pub async fn upload(&self, part: &[u8]) -> Result<Option<String>> {
        let Some(outgoing) = self.wire.write_file(part) else { return Ok(None) };
        let body = self.post(outgoing).await?;
        self.wire.read_file(&body).map(Some).map_err(|error| self.sign(error, &body))
    }

    /// Hands a part in under this name of ours. Gives the provider's id of the batch that it is now.
    ///
    /// # Errors
    /// When the provider cannot be reached, or does not take it. [`is_untaken`] says whether it surely did not.
    pub async fn hand_in(&self, name: &str, file: Option<&str>, part: &[u8]) -> Result<String> {
        let label = Label { name, model: &self.target.model, endpoint: self.endpoint() };
        let content = file.map_or(Content::Lines(part), Content::File);
        let body = self.post(self.wire.write_part(&label, content, self.target.quirks())?).await?;
        let status = self.wire.read_status(&body, self.target.quirks()).map_err(|error| self.sign(error, &body))?;
        Ok(status.id)
    }

    /// How a batch is.
    ///
    /// # Errors
    /// When the provider cannot be reached, or answers with an error.
    pub async fn status(&self, id: &str) -> Result<Told> {
        let (headers, body) = self.get(self.wire.status_path(id, self.target.quirks())).await?;
        let status = self.wire.read_status(&body, self.target.quirks()).map_err(|error| self.sign(error, &body))?;
        let wait = advice::read_wait_header(&headers, self.client.clock().unix());
        Ok(Told { status, wait, body })
    }

    /// Looks for the batch that a part of this name, or of this file, is; the provider's id of it.
    ///
    /// # Errors
    /// When the provider cannot be reached, or answers with an error.
    pub async fn find(&self, name: &str, file: Option<&str>) -> Result<Option<String>> {
        let is_it = |mark: &String| mark == name || Some(mark.as_str()) == file;
        let mut after = None;
        for _ in 0..PAGES {
            let Some(path) = self.wire.list_path(after.as_deref(), self.target.quirks()) else { return Ok(None) };
            let (_, body) = self.get(path).await?;
            let listed = self.wire.read_list(&body).map_err(|error| self.sign(error, &body))?;
            if let Some((_, id)) = listed.named.into_iter().find(|(marks, _)| marks.iter().any(is_it)) {
                return Ok(Some(id));
            }
            after = listed.after;
            if after.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// The answers at one of the places that a status names.
    ///
    /// # Errors
    /// When the provider cannot be reached, or answers with an error.
    pub async fn answers(&self, told: &Told, place: &Place) -> Result<Answers> {
        let patience = Duration::from_secs(self.client.config().network.idle_seconds);
        let mut answers =
            Answers { batch: self.clone(), whole: Vec::new().into_iter(), file: None, held: BytesMut::new(), seen: 0, patience };
        match place {
            Place::Status => {
                let whole = self.wire.read_status_answers(&told.body).map_err(|error| self.sign(error, &told.body))?;
                answers.whole = whole.into_iter();
            }
            Place::Path(path) => answers.file = Some(self.fetch(path.clone()).await?.into_body()),
        }
        Ok(answers)
    }

    /// What came of a line.
    ///
    /// # Errors
    /// When it has no answer: with the provider's reason.
    pub fn read(&self, answer: &Outcome) -> Result<Reply> {
        let upstream = self.dialect.upstream;
        let error = match answer {
            Outcome::Reply(body) => match upstream.read_reply(body, self.target.quirks()) {
                Ok(response) => {
                    let cost = response.usage.and_then(|usage| self.cost(usage));
                    return Ok(call::Reply::new(self.name().to_owned(), response, cost));
                }
                Err(error) => describe(error, body),
            },
            Outcome::Refusal(status, body) => {
                let error = upstream.classify(*status, &HeaderMap::new(), body);
                Error { retry: error.kind.usual_retry(), ..error }
            }
            Outcome::Lost(error) => Error::clone(error),
        };
        Err(self.target.service.sign(error))
    }

    /// Tells the recorder of a call of a batch that is over. `model`: as it was asked for.
    pub fn record(&self, model: &str, answer: &Result<Reply>) {
        let mut call = self.client.open_call(Operation::Chat, model);
        if let Some(outcome) = call.outcome() {
            outcome.batch = Some(self.data.price_percent);
        }
        let exchange = call.begin(&self.target);
        match answer {
            Ok(reply) => {
                call.note(Some(reckon_whole(&reply.response)), &Losses::default());
                call.close(None);
            }
            Err(error) => {
                call.failed(exchange, error, None);
                call.close(Some(error.clone()));
            }
        }
    }

    async fn post(&self, outgoing: Outgoing) -> Result<Bytes> {
        let (mut parcel, _) = Parcel::new(outgoing, None);
        let defaults = dialect::headers::defaults(self.dialect.name, self.target.quirks());
        defaults.into_iter().for_each(|(name, value)| _ = name.map(|name| parcel.headers.entry(name).or_insert(value)));
        let reply = reach(&self.client, &self.target, self.dialect.name, parcel, Lane::Translate).await;
        Ok(self.collect(reply).await?.1)
    }

    async fn get(&self, path: String) -> Result<(HeaderMap, Bytes)> {
        let parcel = request_to(&self.target, self.dialect.name, path);
        self.collect(reach(&self.client, &self.target, self.dialect.name, parcel, Lane::Translate).await).await
    }

    async fn fetch(&self, path: String) -> Result<HttpReply> {
        let parcel = request_to(&self.target, self.dialect.name, path);
        reach(&self.client, &self.target, self.dialect.name, parcel, Lane::Translate).await.map_err(|failed| failed.error)
    }

    async fn collect(&self, reply: Result<HttpReply, Failed>) -> Result<(HeaderMap, Bytes)> {
        let (head, body) = reply.map_err(|failed| failed.error)?.into_parts();
        // What a whole batch came to may stand in one answer.
        let limit = self.longest_reply();
        let body = body.collect(limit).await.map_err(|failure| {
            let error = explain(&failure, &self.target);
            // It is as long the next time.
            let message = || format!("{}; raise reply_limit under [network] in trunkline.toml", error.message);
            if failure.too_long { Error { retry: Retry::Never, message: message(), ..error } } else { error }
        })?;
        Ok((head.headers, body))
    }

    fn longest_reply(&self) -> usize {
        self.client.config().network.reply_limit.max(LONGEST)
    }

    fn sign(&self, error: Error, body: &[u8]) -> Error {
        self.target.service.sign(describe(error, body))
    }
}

/// Whether what was handed in was surely not taken: nothing went out, or it was refused by somebody who had read it.
pub fn is_untaken(error: &Error) -> bool {
    let refused = error.status.is_some_and(|status| (400..500).contains(&status) && status != 408 || matches!(status, 503 | 529));
    refused || error.status.is_none() && crate::monitor::is_unused(error)
}

/// Whether the same request may go well later.
pub fn may_pass(error: &Error) -> bool {
    error.retry != Retry::Never
}

impl Answers {
    /// The next answer; `None` behind the last.
    pub async fn next(&mut self) -> Option<Result<Answer>> {
        if let Some(answer) = self.whole.next() {
            return Some(Ok(answer));
        }
        loop {
            let line = match self.line().await? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(self.batch.wire.read_answer(line).map_err(|error| self.batch.sign(error, line)));
            }
        }
    }

    async fn line(&mut self) -> Option<Result<BytesMut>> {
        loop {
            let fresh = self.held.get(self.seen..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                let line = self.held.split_to(self.seen + at + 1);
                self.seen = 0;
                return Some(Ok(line));
            }
            self.seen = self.held.len();
            if self.seen > LONGEST {
                self.file = None;
                return Some(Err(self.batch.sign(Error::malformed("a line of the batch is too long"), b"")));
            }
            let more = match tokio::time::timeout(self.patience, self.file.as_mut()?.chunk()).await {
                Ok(Some(Ok(more))) => more,
                Ok(None) => {
                    self.file = None;
                    self.seen = 0;
                    return Some(Ok(std::mem::take(&mut self.held)));
                }
                Ok(Some(Err(failure))) => {
                    self.file = None;
                    self.held.clear();
                    return Some(Err(explain(&failure, &self.batch.target)));
                }
                Err(_) => {
                    self.file = None;
                    self.held.clear();
                    return Some(Err(self.batch.target.service.sign(stalled(self.patience.as_secs()))));
                }
            };
            self.held.extend_from_slice(&more);
        }
    }
}
