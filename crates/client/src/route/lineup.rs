//! An alias's targets as a plan sees them: what is known of their models, held against what a call needs.

use super::feature::{Features, NEEDED, OPAQUE, words};
use super::plan::{Candidate, Strategy};
use super::said::{Said, Sight};
use crate::codec::catalog::{Abilities, Ability, Models, Pieces, Price, Work};
use crate::codec::dialect::Operation;
use crate::ir::Usage;
use crate::monitor::minute_of_week;
use crate::target::Target;

/// Tokens of an answer that has no limit, as far as its price goes.
const USUAL_OUTPUT: u64 = 500;
/// Tokens, or characters, of what is not read, as far as its price goes.
const USUAL_INPUT: u64 = 1000;
/// A sound that is not heard, in milliseconds, as far as its price goes.
const USUAL_SOUND: u64 = 60_000;

/// The targets of one alias, and what tells them from each other.
#[derive(Debug, Default)]
pub(crate) struct Lineup {
    rows: Vec<Row>,
    /// What some can do and others cannot.
    differ: Vec<Ability>,
    /// The smallest window and the shortest output limit, where these differ.
    window: Option<u64>,
    output: Option<u64>,
    /// Some speak dialects that others do not.
    dialects_differ: bool,
}

/// A bit for each thing that is needed and is not there.
type Lacks = u32;

/// What is known of one target's model.
#[derive(Debug, Default)]
struct Row {
    able: Abilities,
    context: Option<u64>,
    max_output: Option<u64>,
    price: Option<Price>,
}

impl Lineup {
    pub(crate) fn new(targets: &[Target], models: &Models) -> Self {
        let row = |target: &Target| match models.find(&target.service.provider.id, &target.model) {
            Some(model) => {
                Row { able: model.able, context: model.context, max_output: model.max_output, price: model.price.clone() }
            }
            None => Row::default(),
        };
        let rows: Vec<Row> = targets.iter().map(row).collect();
        let lacking = |ability: &&Ability| rows.iter().any(|row| !row.able.is_empty() && !row.able.has(**ability));
        let having = |ability: &&Ability| rows.iter().any(|row| row.able.is_empty() || row.able.has(**ability));
        let differ = NEEDED.iter().filter(lacking).filter(having).copied().collect();
        let window = smallest(rows.iter().map(|row| row.context));
        let output = smallest(rows.iter().map(|row| row.max_output));
        let spoken = |target: &Target| target.service.provider.dialects.clone();
        let dialects_differ = targets.windows(2).any(|pair| matches!(pair, [one, next] if spoken(one) != spoken(next)));
        Lineup { rows, differ, window, output, dialects_differ }
    }

    /// Whether it may matter what the call says: a look at its bytes, before it is read.
    fn matters(&self, said: &Said<'_>) -> bool {
        if matches!(said, Said::Unread(_)) {
            return false;
        }
        let (tokens, max_tokens) = said.bounds();
        let asked = max_tokens.unwrap_or(0);
        self.window.is_some_and(|window| tokens.saturating_add(asked) > window)
            || self.output.is_some_and(|output| asked > output)
            || self.differ.iter().any(|ability| said.may_hold(words(*ability)))
            || (self.dialects_differ && said.may_hold(OPAQUE))
    }

    /// Notes at each candidate whether it can do what the call needs, whether it is strange to what the conversation
    /// carries, and what the call may come to there. A request that cannot be read tells nothing: whoever is asked says
    /// what is wrong with it.
    pub(super) fn judge(&self, candidates: &mut [Candidate], targets: &[Target], strategy: Strategy, sight: &Sight<'_>) {
        if self.matters(&sight.said)
            && let Ok(Some(features)) = sight.features()
        {
            let lacks: Vec<Lacks> = self.rows.iter().map(|row| row.lacks(features)).collect();
            // What nobody can do tells nobody from the others.
            let common = lacks.iter().fold(u32::MAX, |common, lacks| common & lacks);
            for ((candidate, lacks), target) in candidates.iter_mut().zip(&lacks).zip(targets) {
                candidate.able = lacks & !common == 0;
                candidate.strange = features.owners.iter().any(|owner| !speaks(target, owner, sight.said.operation()));
            }
        }
        if strategy == Strategy::Cost {
            let work = expect(sight);
            let costs: Vec<_> = self.rows.iter().map(|row| row.price.as_ref().and_then(|price| price.cost(&work))).collect();
            // A sum in one currency says nothing about a sum in another.
            let currency = costs.iter().flatten().map(|cost| cost.currency).next();
            for (candidate, cost) in candidates.iter_mut().zip(costs) {
                candidate.price = cost.filter(|cost| Some(cost.currency) == currency).map(|cost| cost.micros);
            }
        }
    }
}

impl Row {
    /// What the model lacks of what is needed, as far as is known.
    fn lacks(&self, features: &Features) -> Lacks {
        let asked = features.max_tokens.unwrap_or(0);
        let abilities = NEEDED.iter().map(|ability| features.needs.has(*ability) && !self.able.has(*ability));
        let abilities = abilities.map(|lacks| lacks && !self.able.is_empty());
        let window = self.context.is_some_and(|context| features.tokens.saturating_add(asked) > context);
        let output = self.max_output.is_some_and(|output| asked > output);
        abilities.chain([window, output]).fold(0, |lacks, one| lacks << 1 | u32::from(one))
    }
}

fn speaks(target: &Target, dialect: &str, operation: Operation) -> bool {
    target.service.provider.speaks_for(dialect, operation, &target.model)
}

/// The smallest of those that are known, unless all are the same.
fn smallest(limits: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let limits: Vec<_> = limits.collect();
    let differ = limits.iter().any(|limit| Some(limit) != limits.first());
    limits.into_iter().flatten().min().filter(|_| differ)
}

/// What the call may take.
fn expect(sight: &Sight<'_>) -> Work {
    let mut work = Work { minute: minute_of_week(), ..Work::default() };
    let operation = sight.said.operation();
    if operation == Operation::Chat {
        let (tokens, max_tokens) = match sight.features() {
            Ok(Some(features)) => (features.tokens, features.max_tokens),
            _ => (USUAL_INPUT, None),
        };
        work.usage = Usage { input: tokens, output: max_tokens.unwrap_or(USUAL_OUTPUT), ..Usage::default() };
        return work;
    }
    work.usage = Usage { input: USUAL_INPUT, ..Usage::default() };
    work.pieces = match operation {
        Operation::ImageGenerate | Operation::ImageEdit => Pieces { images: 1, ..Pieces::default() },
        Operation::Speak => Pieces { characters: USUAL_INPUT, ..Pieces::default() },
        Operation::Transcribe | Operation::TranslateAudio => Pieces { milliseconds: USUAL_SOUND, ..Pieces::default() },
        _ => Pieces::default(),
    };
    work
}
