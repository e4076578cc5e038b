//! From what a call needs to its targets in order.

use std::time::Duration;

use super::dice::mix;
use super::lineup::Lineup;
use super::need::Need;
use super::plan::{Candidate, Strategy, plan};
use super::said::Sight;
use super::task::{Chosen, choose};
use super::tries::Rules;
use crate::codec::Result;
use crate::codec::dialect::Operation;
use crate::config::{Alias, Mirror, Sticky};
use crate::relay::Hold;
use crate::runtime::State;
use crate::target::Target;

/// Tells the throw for a call's copy from that for its order.
const MIRRORED: u64 = 0x6D69_7272_6F72;

/// Where a call goes.
pub(crate) struct Routed {
    /// Whom it may ask, in order.
    pub(crate) targets: Vec<Target>,
    /// A bit for each of these, the first lowest: whether it can do what the call needs, and read what it carries.
    pub(crate) apt: u64,
    /// What is done when they fail.
    pub(crate) rules: Rules,
    /// Its task.
    pub(crate) task: Option<String>,
    /// Who gets a copy of it.
    pub(crate) mirror: Option<Target>,
}

impl State {
    /// The targets of a call in the order in which they are asked, and the rules for when they fail.
    pub(crate) fn route(&self, need: &Need<'_>, now: Duration, seed: u64) -> Result<Routed> {
        let sight = Sight::new(need.said);
        let Chosen { model, task } = choose(&self.config, &self.task_rules, (need.task, need.model), &sight)?;
        let mut targets = self.plan(model)?;
        let alias = self.config.models.get(model);
        let mut apt = u64::MAX;
        if let Some(alias) = alias.filter(|_| targets.len() > 1) {
            let order;
            (order, apt) = self.order(model, alias, &targets, need, &sight, (now, seed));
            targets = order.iter().filter_map(|at| targets.get(*at).cloned()).collect();
        }
        let mirror = alias.and_then(|alias| alias.mirror.as_ref());
        let mirror = mirror.filter(|mirror| mirror.takes(need, seed)).and_then(|mirror| self.target(&mirror.target).ok());
        Ok(Routed { rules: self.rules(need, alias, targets.len()), targets, apt, task, mirror })
    }

    /// One target, and nobody else; it may take as long as it likes, as the transport goes.
    pub(crate) fn route_to(&self, target: Target, need: &Need<'_>) -> Routed {
        let rules = Rules { attempts: 1, deadline: Duration::MAX, ..self.rules(need, None, 1) };
        Routed { rules, targets: vec![target], apt: 1, task: None, mirror: None }
    }

    fn order(
        &self,
        name: &str,
        alias: &Alias,
        targets: &[Target],
        need: &Need<'_>,
        sight: &Sight<'_>,
        (now, seed): (Duration, u64),
    ) -> (Vec<usize>, u64) {
        let mut candidates: Vec<Candidate> = targets
            .iter()
            .zip(&alias.targets)
            .map(|(target, choice)| Candidate {
                look: target.look(need.streamed, now),
                tier: choice.tier,
                weight: choice.weight,
                able: true,
                room: (alias.strategy == Strategy::Tokens).then(|| target.room(now)).flatten(),
                name_hash: hash(&choice.target),
                ..Candidate::default()
            })
            .collect();
        // Read from the catalogue when the first call needs it: that costs nothing at the start.
        if let Some(lineup) = self.lineups.get(name) {
            let lineup = lineup.get_or_init(|| Lineup::new(targets, &self.models));
            lineup.judge(&mut candidates, targets, alias.strategy, sight);
        }
        let sticky = alias.sticky.and_then(|sticky| who(sticky, need, sight));
        let order = plan(alias.strategy, &candidates, sticky, seed);
        let is_apt = |at: &usize| candidates.get(*at).is_some_and(|candidate| candidate.able && !candidate.strange);
        // Of more targets than there are bits, the last ones do not count.
        let bits = order.iter().take(64).enumerate();
        let apt = bits.fold(0, |apt, (bit, at)| apt | u64::from(is_apt(at)) << bit);
        (order, apt)
    }

    fn rules(&self, need: &Need<'_>, alias: Option<&Alias>, targets: usize) -> Rules {
        let calls = &self.config.calls;
        let deadline = alias.and_then(|alias| alias.deadline_seconds).unwrap_or(calls.deadline_seconds);
        let deadline = Duration::from_secs(deadline);
        Rules {
            deadline: need.patience.map_or(deadline, |patience| patience.min(deadline)),
            first_byte: alias.and_then(|alias| alias.first_byte_seconds).map(Duration::from_secs).filter(|_| !need.uploads),
            all: need.patience.is_none() && !need.uploads,
            attempts: alias.and_then(|alias| alias.attempts).filter(|_| !calls.own_pace).unwrap_or(calls.attempts).max(1),
            own_pace: calls.own_pace,
            longest_wait: Duration::from_secs(calls.wait_seconds),
            retry_percent: calls.retry_percent,
            hold: Hold {
                until: alias.and_then(|alias| alias.hold_back).unwrap_or(calls.hold_back),
                frame_limit: self.config.network.frame_limit,
                limit: self.config.network.reply_limit,
                idle_seconds: self.config.network.idle_seconds,
                first_by: None,
            },
            streamed: need.streamed,
            continues: need.streamed && alias.is_some_and(|alias| alias.continue_cut),
            repeatable: need.repeatable,
            tokens: need.tokens,
            // What is still coming can be told to one only.
            hedge: alias
                .and_then(|alias| alias.hedge_ms)
                .map(Duration::from_millis)
                .filter(|_| targets > 1 && need.repeatable && !need.uploads),
        }
    }
}

impl Mirror {
    /// Whether this call is one of those that are mirrored. A count of tokens tells nothing of a model, and what is still
    /// coming can be told to one only.
    fn takes(&self, need: &Need<'_>, seed: u64) -> bool {
        // Not the number that the order of targets follows from.
        let drawn = (u128::from(mix(seed ^ MIRRORED)) * 100) >> 64;
        drawn < u128::from(self.percent) && !need.uploads && need.said.operation() != Operation::CountTokens
    }
}

/// Who shall always find the same target.
fn who(sticky: Sticky, need: &Need<'_>, sight: &Sight<'_>) -> Option<u64> {
    let request = || sight.request().ok().flatten();
    let name = match sticky {
        Sticky::User => request()?.user.as_deref(),
        Sticky::Session => need.session.or_else(|| {
            let request = request()?;
            request.cache_key.as_deref().or_else(|| request.metadata.get("session_id").map(String::as_str))
        }),
    };
    name.filter(|name| !name.is_empty()).map(|name| mix(hash(name)))
}

/// The same for the same text, on every machine and in every version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
