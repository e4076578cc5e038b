//! Which targets a call goes to: for which task ([`TaskRules`]), in which order ([`plan`]), how they stand
//! ([`Standing`]), and what is done when one fails ([`Tries`]).

mod backoff;
mod budget;
mod choice;
mod dice;
mod feature;
mod health;
mod latency;
mod leg;
mod limit;
mod lineup;
mod mirror;
mod need;
mod plan;
mod prognosis;
mod race;
mod said;
mod standing;
mod task;
mod text;
mod tries;

pub use dice::{Dice, mix};
pub use feature::Features;
pub use health::{CredentialHealth, Health, LimitHealth, State, TargetHealth};
pub use leg::Leg;
pub(crate) use limit::{Gate, Rules as LimitRules};
pub(crate) use lineup::Lineup;
pub(crate) use mirror::Shadows;
pub use mirror::{Shadow, Slot};
pub use need::Need;
pub use plan::{Candidate, Strategy, plan};
pub use said::Said;
pub use standing::{Fitness, Look, Pass, Standing};
pub use task::TaskRules;
pub(crate) use task::{check as check_tasks, model_of as task_model, names as task_names};
pub use tries::Tries;
