//! One call of the library, whole or streamed.

mod audio;
mod embed;
mod image;
mod list;
mod mirror;
mod moderate;
mod operation;
mod rerank;
mod stream;

use std::pin::{Pin, pin};
use std::sync::Arc;

use crate::client::Client;
use crate::codec::catalog::Cost;
use crate::codec::dialect::{Framing, Operation};
use crate::codec::{Error, Kind, Losses, Origin, Result};
use crate::config::{HoldBack, Network};
use crate::exchange::{Answer, Ask, Failed, exchange, explain};
use crate::ir::{Content, Finish, Message, Reason, Request, Response, Role, TokenCount, Usage};
use crate::monitor::{Label, reckon_whole};
use crate::relay::{Events, GoOn, Hold, Stitched, Whole, hold, is_stream, whole};
use crate::route::{Features, Leg, Need, Said};
use crate::target::Target;

pub use operation::OperationCall;
pub use stream::ChatStream;

/// Changes the request for a provider.
type Tailor = Arc<dyn Fn(&str, &mut Request) -> Losses + Send + Sync>;

/// A call that has not been sent: await it for the whole reply, or [`Call::stream`] it.
///
/// ```no_run
/// # async fn example() -> trunkline::Result<()> {
/// let client = trunkline::Client::from_env()?;
/// let reply = client.chat("sim/echo", "Hello").system("Be brief.").max_tokens(100).await?;
/// println!("{} ({} tokens)", reply.text(), reply.response.usage.unwrap_or_default().output);
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited or streamed"]
pub struct Call {
    client: Client,
    request: Request,
    task: Option<String>,
    session: Option<String>,
    folded: bool,
    tailor: Option<Tailor>,
    label: Label,
}

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Who answered, `provider/model`.
    pub target: String,
    /// The answer in canonical form, usage included.
    pub response: Response,
    /// What the provider could not be told.
    pub losses: Losses,
    cost: Option<Cost>,
}

/// A piece of a streamed reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// More of the answer's text.
    Text(String),
    /// More of the thinking that is shown.
    Reasoning(String),
    /// More of a refusal.
    Refusal(String),
    /// A tool call, complete.
    ToolCall {
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
        /// JSON text.
        arguments: String,
    },
    /// The answer ended.
    Finish(Finish),
    /// What it took; cumulative, the last one counts.
    Usage(Usage),
}

impl Client {
    /// Asks `model` for an answer to `prompt`.
    pub fn chat(&self, model: impl Into<String>, prompt: impl Into<String>) -> Call {
        let messages = vec![Message::text(Role::User, prompt)];
        self.call(Request { model: model.into(), messages, ..Request::default() })
    }

    /// Sends a request in canonical form.
    pub fn call(&self, request: Request) -> Call {
        Call { client: self.clone(), request, task: None, session: None, label: Label::default(), folded: false, tailor: None }
    }

    /// Counts a request's input tokens: by the provider where it can, else an estimate that is marked as one.
    ///
    /// # Errors
    /// When the model is not known or the provider fails.
    pub async fn count_tokens(&self, request: &Request) -> Result<TokenCount> {
        let mut call = self.open_call(Operation::CountTokens, &request.model);
        let said = Said::Request(request, Operation::CountTokens);
        let mut tries = self.tries(&Need { said, ..Need::of(&request.model) }).map_err(|error| call.end(error))?;
        let count = tries.answer(&mut call, |leg| self.count(leg, request)).await;
        let count = count.map_err(|failed| call.end(failed.error))?;
        call.close(None);
        Ok(count)
    }

    async fn count(&self, leg: Leg, request: &Request) -> Result<TokenCount, Failed> {
        let target = &leg.target;
        let Some(dialect) = target.service.choose(None, Operation::CountTokens, &target.model) else {
            return Ok(estimate(request));
        };
        let ask = Ask::Write { request, operation: Operation::CountTokens, headers: None };
        let answer = exchange(self, target, dialect, ask).await?;
        let body = answer.body.collect(self.config().network.reply_limit).await;
        Ok(dialect.upstream.read_count(&body.map_err(|failure| explain(&failure, target))?)?)
    }
}

/// A guess from the text's length: 4 bytes a token, plus a few for each message and a thousand for an image, a document
/// or a sound.
pub fn estimate(request: &Request) -> TokenCount {
    TokenCount { input: Features::of(request).tokens, estimated: true }
}

impl Call {
    /// Instructions before the conversation.
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.request.messages.insert(0, Message::text(Role::System, text));
        self
    }

    /// Most output tokens.
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.request.max_tokens = Some(tokens);
        self
    }

    /// How freely tokens are drawn.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.request.sampling.temperature = Some(temperature);
        self
    }

    /// Asks the model of this task (`[tasks]`) instead of the one that is named; `auto` leaves the task to the rules.
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.task = Some(task.into());
        self
    }

    /// Goes to the target that the others of this session went to, where the model's alias is sticky by session.
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Keeps a streamed answer as it comes, so that [`ChatStream::response`] has it. Takes as much memory as the answer.
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    /// Has the request changed for each provider that is asked, by its id, just before it is: what `tailor` tells of it is
    /// told with the provider's own losses. An answer that breaks off is gone on with from the request as it is.
    pub fn tailored(mut self, tailor: impl Fn(&str, &mut Request) -> Losses + Send + Sync + 'static) -> Self {
        self.tailor = Some(Arc::new(tailor));
        self
    }

    /// For whom it is made: for the ledger, and for no provider.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.label.user = Some(user.into());
        self
    }

    /// Under which of a gateway's keys it is made, by its fingerprint: for the ledger.
    pub fn key(mut self, key: Option<&str>) -> Self {
        self.label.key = key.map(Arc::from);
        self
    }

    /// What else there is to say of it, to be found and summed up by: for the ledger, and for no provider.
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.label.tag(name, value);
        self
    }

    /// Changes anything else of the request.
    pub fn with(mut self, change: impl FnOnce(&mut Request)) -> Self {
        change(&mut self.request);
        self
    }

    /// The whole reply.
    ///
    /// # Errors
    /// With kind, origin, retry advice and the provider's own words.
    pub async fn send(self) -> Result<Reply> {
        let Call { client, mut request, task, session, label, tailor, .. } = self;
        request.stream = false;
        let mut call = client.open_call(Operation::Chat, &request.model);
        label.apply(&mut call);
        call.prompt(estimate(&request).input);
        let need = Need { task: task.as_deref(), session: session.as_deref(), ..need(&client, &request) };
        let mut tries = client.tries(&need).map_err(|error| call.end(error))?;
        mirror::mirror(&client, &mut tries, &call, (&request, tailor.as_ref()));
        let ask = &Asked { client: &client, request: &request, tailor: tailor.as_ref() };
        let reply = tries.answer(&mut call, |leg| async move { ask_whole(ask, &leg).await }).await;
        let reply = reply.map_err(|failed| call.end(failed.error))?;
        call.note(Some(reckon_whole(&reply.response)), &reply.losses);
        call.close(None);
        Ok(reply)
    }

    /// The reply as it comes.
    ///
    /// # Errors
    /// Those before the first byte; later ones are items of the stream.
    pub async fn stream(self) -> Result<ChatStream> {
        let Call { client, mut request, task, session, label, folded, tailor } = self;
        request.stream = true;
        request.stream_usage = Some(true);
        let network: Network = client.config().network.clone();
        let mut call = client.open_call(Operation::Chat, &request.model);
        if let Some(outcome) = call.outcome() {
            outcome.streamed = true;
        }
        label.apply(&mut call);
        call.prompt(estimate(&request).input);
        let need = Need { streamed: true, task: task.as_deref(), session: session.as_deref(), ..need(&client, &request) };
        let mut tries = client.tries(&need).map_err(|error| call.end(error))?;
        mirror::mirror(&client, &mut tries, &call, (&request, tailor.as_ref()));
        let (ask, network) = (&Asked { client: &client, request: &request, tailor: tailor.as_ref() }, &network);
        let begun = tries.answer(&mut call, |leg| async move { ask_stream(ask, &leg, network).await }).await;
        let Begun { target, losses, events } = begun.map_err(|failed| call.end(failed.error))?;
        call.note(None, &losses);
        let more =
            tries.continues().then(|| Box::new(GoOn { client: client.clone(), tries, request: request.clone(), caller: None }));
        let stitched = Stitched::new(events, call, more);
        Ok(ChatStream::new(target, losses, stitched, folded))
    }
}

/// What the call asks for. How many tokens it may take matters only where these are limited.
fn need<'a>(client: &Client, request: &'a Request) -> Need<'a> {
    let need = Need::to(request);
    if client.config().limits.is_empty() {
        return need;
    }
    let input = usize::try_from(estimate(request).input).unwrap_or(usize::MAX);
    need.taking(input.saturating_mul(4), request.max_tokens)
}

/// What each target is asked.
struct Asked<'a> {
    client: &'a Client,
    request: &'a Request,
    tailor: Option<&'a Tailor>,
}

async fn ask_whole(asked: &Asked<'_>, leg: &Leg) -> Result<Reply, Failed> {
    let client = asked.client;
    let mut answer = leg.begin(pin!(asked.ask(&leg.target))).await?;
    let losses = std::mem::take(&mut answer.losses);
    let target = leg.target.name().to_owned();
    match whole(answer, client.config().network.reply_limit).await? {
        Whole::Read(response) => {
            let cost = response.usage.and_then(|usage| client.cost(&target, usage));
            Ok(Reply { target, response, losses, cost })
        }
        Whole::Same { .. } => Err(Error::new(Kind::Internal, Origin::Gateway, "a library call was not translated").into()),
    }
}

/// A stream of which as much has come as is kept back.
struct Begun {
    target: String,
    losses: Losses,
    events: Events,
}

async fn ask_stream(asked: &Asked<'_>, leg: &Leg, network: &Network) -> Result<Begun, Failed> {
    let mut answer = leg.begin(pin!(asked.ask(&leg.target))).await?;
    let losses = std::mem::take(&mut answer.losses);
    let until = match leg.hold.until {
        // There is no head to be passed on before the first piece.
        HoldBack::None | HoldBack::FirstByte => HoldBack::FirstToken,
        more => more,
    };
    let answer = if is_stream(&answer) { hold(answer, Framing::Sse, Hold { until, ..leg.hold }).await? } else { answer };
    let target = leg.target.name().to_owned();
    Ok(Begun { target, losses, events: Events::open(answer, network).await? })
}

impl Asked<'_> {
    async fn ask(&self, target: &Target) -> Result<Answer, Failed> {
        let Some(tailor) = self.tailor else { return ask(self.client, target, self.request).await };
        let mut request = self.request.clone();
        let losses = tailor(&target.service.provider.id, &mut request);
        let mut answer = ask(self.client, target, &request).await?;
        let told = std::mem::replace(&mut answer.losses, losses);
        answer.losses.extend(told);
        Ok(answer)
    }
}

async fn ask(client: &Client, target: &Target, request: &Request) -> Result<Answer, Failed> {
    let dialect = target.service.choose(None, Operation::Chat, &target.model).ok_or_else(|| {
        let what = format!("{} speaks no dialect that can chat", target.service.provider.id);
        Error::new(Kind::Unsupported, Origin::Gateway, what)
    })?;
    exchange(client, target, dialect, Ask::Write { request, operation: Operation::Chat, headers: None }).await
}

impl IntoFuture for Call {
    type Output = Result<Reply>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl Reply {
    /// A reply that did not come by a call of its own.
    pub(crate) fn new(target: String, response: Response, cost: Option<Cost>) -> Self {
        Reply { target, response, losses: Losses::default(), cost }
    }

    /// The text of the first answer.
    pub fn text(&self) -> String {
        let parts = self.response.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
        let texts = parts.iter().filter_map(|part| match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The tool calls of the first answer: id, name, arguments as JSON text.
    pub fn tool_calls(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let parts = self.response.choices.first().into_iter().flat_map(|choice| &choice.parts);
        parts.filter_map(|part| match &part.content {
            Content::ToolCall { id, name, arguments } => Some((id.as_str(), name.as_str(), arguments.as_str())),
            _ => None,
        })
    }

    /// What it came to, where usage and price are known.
    pub fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// Why the first answer ended.
    pub fn reason(&self) -> Reason {
        self.response.choices.first().map(|choice| choice.finish.reason).unwrap_or_default()
    }
}
