//! Our own limits: how many calls may be out to a provider and to each of its models, and how many may begin in a minute.
//!
//! Who finds no room takes a [`Place`] in a queue, which is bounded and served in the order of coming: a model that is
//! full holds up its own calls only, a provider that is full all of them. A [`Seat`] is the right to be out; dropping it,
//! or a place, passes the right on at once.

mod bucket;
mod gate;
mod learned;
mod meter;

pub(crate) use gate::{Gate, Place, Rules, Seat};
pub(crate) use learned::Learned;
