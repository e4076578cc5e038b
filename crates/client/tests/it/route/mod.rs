//! Calls that survive: who is asked, in which order, how often, and what is counted.

mod able;
mod limit;
mod mirror;
mod model;
mod race;
mod share;
mod storm;
mod task;
mod world;
