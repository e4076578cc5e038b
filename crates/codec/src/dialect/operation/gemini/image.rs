//! Images, by whichever way the model has: Imagen's `:predict`, or `:generateContent` that answers with pictures.

use super::super::{Told, Wire};
use super::{generate, predict, read_object};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Outgoing};
use crate::error::Result;
use crate::ir::{Draw, Images};

/// Images.
pub(in super::super) struct Draws;

/// The shapes that both ways know, as width to height.
const RATIOS: [(&str, f64); 5] = [("1:1", 1.0), ("4:3", 4.0 / 3.0), ("3:4", 0.75), ("16:9", 16.0 / 9.0), ("9:16", 0.5625)];

/// Most pictures in one request of Imagen's.
const MOST: usize = 4;

/// The shape nearest to a size in pixels.
pub(super) fn ratio(size: &str) -> Option<&'static str> {
    let (width, height) = size.split_once('x')?;
    let shape = width.parse::<f64>().ok()? / height.parse::<f64>().ok().filter(|height| *height > 0.0)?;
    let distance = |ratio: f64| (ratio.ln() - shape.ln()).abs();
    RATIOS.iter().min_by(|one, other| distance(one.1).total_cmp(&distance(other.1))).map(|(word, _)| *word)
}

/// The models that are asked by `:predict` all bear this name.
fn is_predicted(model: &str) -> bool {
    model.rsplit('/').next().is_some_and(|name| name.starts_with("imagen"))
}

impl Wire<Draw> for Draws {
    fn write_request(&self, wanted: &Draw, quirks: &Quirks) -> Result<Outgoing> {
        if is_predicted(&wanted.model) { predict::write(wanted, quirks) } else { generate::write(wanted, quirks) }
    }

    fn read_answer(&self, _: &str, body: &[u8]) -> Result<Images> {
        let answer = read_object(body, &["predictions", "candidates", "promptFeedback"])?;
        let images = if answer.get("predictions").is_some() { predict::read(&answer) } else { generate::read(&answer) };
        images.map_err(|error| error.with_raw(body))
    }

    /// Callers who want pictures and nothing else ask by `:predict`; the other way is a chat's.
    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<Draw> {
        predict::read_request(head, body)
    }

    fn write_answer(&self, _: &Draw, answer: &Images, _: &Cx) -> Told {
        predict::write_answer(answer)
    }

    fn most(&self, wanted: &Draw) -> usize {
        if is_predicted(&wanted.model) { MOST } else { 1 }
    }
}
