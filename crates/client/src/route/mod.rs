//! Which targets a call goes to: in which order ([`plan`]), how they stand ([`Standing`]), and what is done when one
//! fails ([`Tries`]).

mod backoff;
mod budget;
mod dice;
mod health;
mod latency;
mod limit;
mod plan;
mod standing;
mod tries;

pub use dice::{Dice, mix};
pub use health::{CredentialHealth, Health, LimitHealth, State, TargetHealth};
pub(crate) use limit::{Gate, Rules as LimitRules};
pub use plan::{Candidate, Strategy, plan};
pub use standing::{Fitness, Look, Pass, Standing};
pub(crate) use tries::Rules;
pub use tries::{Leg, Need, Tries};
