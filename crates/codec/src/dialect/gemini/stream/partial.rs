//! Arguments that arrive piece by piece, each with its JSON path, put together to one object.

use serde_json::{Map, Value};

use crate::error::{Error, Kind, Origin, Result};

use crate::dialect::gemini::wire::{PartialArg, value};

/// The arguments of a call so far.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    root: Map<String, Value>,
    /// The path whose string goes on with the next piece.
    open: Option<String>,
    bytes: usize,
}

/// The most bytes that the arguments of one call may have.
pub(crate) const MOST_BYTES: usize = 16 << 20;

/// One step of a path.
enum Step {
    Key(String),
    Index(usize),
}

impl Arguments {
    /// Takes one piece.
    pub(crate) fn push(&mut self, piece: PartialArg<'_>) -> Result<()> {
        let path = piece.path.as_deref().unwrap_or_default().to_owned();
        let steps =
            read_path(&path).ok_or_else(|| Error::malformed(format!("a piece of a call's arguments has the path `{path}`")))?;
        self.bytes += path.len() + piece.string.as_deref().map_or(8, str::len);
        if self.bytes > MOST_BYTES {
            return Err(Error::new(Kind::Malformed, Origin::Provider, "the arguments of a call are longer than 16 MiB"));
        }
        let continues = self.open.as_ref() == Some(&path);
        let place = self.place(steps).ok_or_else(|| Error::malformed(format!("no place `{path}` in a call's arguments")))?;
        let more = piece.more == Some(true);
        match (&piece.string, place) {
            (Some(text), Value::String(old)) if continues => old.push_str(text),
            (Some(text), place) => *place = Value::from(&*text.0),
            (None, place) => {
                *place = match (piece.number, piece.boolean) {
                    (Some(number), _) => value(number),
                    (None, Some(flag)) => Value::Bool(flag),
                    (None, None) => Value::Null,
                };
            }
        }
        self.open = more.then_some(path);
        Ok(())
    }

    /// The arguments as JSON text.
    pub(crate) fn finish(self) -> String {
        Value::Object(self.root).to_string()
    }

    fn place(&mut self, steps: Vec<Step>) -> Option<&mut Value> {
        let mut steps = steps.into_iter();
        let Step::Key(first) = steps.next()? else { return None };
        let mut place = self.root.entry(first).or_insert(Value::Null);
        for step in steps {
            place = match step {
                Step::Key(key) => {
                    if place.is_null() {
                        *place = Value::Object(Map::new());
                    }
                    place.as_object_mut()?.entry(key).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    if place.is_null() {
                        *place = Value::Array(Vec::new());
                    }
                    let list = place.as_array_mut()?;
                    // Elements come in order; a gap would let a short path ask for any amount of memory.
                    if index == list.len() {
                        list.push(Value::Null);
                    }
                    list.get_mut(index)?
                }
            };
        }
        Some(place)
    }
}

/// `$.a.b[0]['c d']` as steps.
fn read_path(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < 64 {
        if let Some(quoted) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
            let (key, after) = quoted.split_once("']").or_else(|| quoted.split_once("\"]"))?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            let inner = rest.strip_prefix('.').unwrap_or(rest);
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            let (key, after) = inner.split_at_checked(end).filter(|(key, _)| !key.is_empty())?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
    }
    (rest.is_empty() && !steps.is_empty()).then_some(steps)
}
