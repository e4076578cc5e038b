//! One prompt to all models at once, each as a stream.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use trunkline::ir::{Request, Usage};
use trunkline::{Client, Piece, Result};

use super::{Answer, Contest, Prompt, Round};

/// How often it is told how far the round is.
const TELL: Duration = Duration::from_millis(80);

/// What one model's stream tells.
enum Word {
    Target(String),
    Text(String),
    Usage(Usage),
    Over(Result<()>),
}

impl Contest {
    /// What one of the models is asked.
    fn request(&self, prompt: &Prompt, model: &str) -> Result<Request> {
        let mut request = prompt.request.clone();
        model.clone_into(&mut request.model);
        if let Some(prepared) = self.prepared.get(model) {
            request.model.clone_from(&prepared.model);
            prepared.prompt.extend(&mut request, &prepared.given)?;
        }
        Ok(request)
    }

    pub(super) async fn ask(&self, client: &Client, prompt: &Prompt, tell: &mut impl FnMut(&Round, bool)) -> Round {
        let answers = self.models.iter().map(|model| Answer { model: model.clone(), ..Answer::default() }).collect();
        let mut round = Round { id: prompt.id.clone(), prompt: prompt.last(), answers, verdict: None };
        let (words, mut heard) = mpsc::unbounded_channel();
        let began = Instant::now();
        let calls: FuturesUnordered<_> = self
            .models
            .iter()
            .zip(0usize..)
            .map(|(model, at)| {
                let words = words.clone();
                async move {
                    let say = |word| drop(words.send((at, Instant::now(), word)));
                    let ended = follow(client, self.request(prompt, model), &say).await;
                    say(Word::Over(ended));
                }
            })
            .collect();
        drop(words);
        let mut all = pin!(calls.collect::<Vec<()>>());
        let mut ticks = tokio::time::interval(TELL);
        let mut running = true;
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    let open = round.answers.iter_mut().filter(|answer| !answer.over);
                    open.for_each(|answer| answer.elapsed = began.elapsed());
                    tell(&round, false);
                }
                _ = &mut all, if running => running = false,
                word = heard.recv() => match word {
                    None => break,
                    Some((at, when, word)) => {
                        if let Some(answer) = round.answers.get_mut(at) {
                            answer.hear(word, when.saturating_duration_since(began), client);
                        }
                    }
                }
            }
        }
        round
    }
}

async fn follow(client: &Client, request: Result<Request>, say: &impl Fn(Word)) -> Result<()> {
    let mut stream = client.call(request?).stream().await?;
    say(Word::Target(stream.target.clone()));
    while let Some(piece) = stream.next().await {
        match piece? {
            Piece::Text(text) | Piece::Refusal(text) => say(Word::Text(text)),
            Piece::ToolCall { name, arguments, .. } => say(Word::Text(format!("{name}({arguments})"))),
            Piece::Usage(usage) => say(Word::Usage(usage)),
            Piece::Reasoning(_) | Piece::Finish(_) => {}
        }
    }
    Ok(())
}

impl Answer {
    fn hear(&mut self, word: Word, after: Duration, client: &Client) {
        match word {
            Word::Target(target) => self.target = Some(target),
            Word::Text(text) => {
                self.first.get_or_insert(after);
                self.text.push_str(&text);
            }
            Word::Usage(usage) => {
                (self.input, self.output) = (Some(usage.input), Some(usage.output));
                self.cost = self.target.as_deref().and_then(|target| client.cost(target, usage));
            }
            Word::Over(ended) => {
                (self.over, self.elapsed) = (true, after);
                self.error = ended.err().map(|error| error.to_string());
                self.tokens_per_second = self.speed();
            }
        }
    }

    /// From the first piece to the end; nothing where that is no time at all.
    #[expect(clippy::cast_precision_loss)]
    fn speed(&self) -> Option<f64> {
        let seconds = self.elapsed.saturating_sub(self.first?).as_secs_f64();
        let tokens = self.output.filter(|tokens| *tokens > 1)?;
        (seconds > 0.000_1).then(|| (tokens - 1) as f64 / seconds)
    }
}
