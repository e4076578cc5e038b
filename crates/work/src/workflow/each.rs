//! What a step is done for, one by one: the elements of a list, the lines of a file.

use serde_json::Value;
use trunkline::Result;

use super::run::context;
use super::{Each, Kind, Values};
use crate::fault::wrong;

/// Most elements that a step is done for.
const MOST: usize = 100_000;

impl Each {
    pub(super) fn items(&self, values: &Values) -> Result<Vec<Value>> {
        let items = match self {
            Each::List(expression) => {
                let value = serde_json::to_value(expression.value(values)?).unwrap_or(Value::Null);
                match value {
                    Value::Array(items) => items,
                    Value::Null => Vec::new(),
                    other => {
                        let kind = Kind::of(&other).word();
                        return Err(wrong(format!("each: {} is no list but a {kind}", expression.text)));
                    }
                }
            }
            Each::Lines(template) => {
                let path = template.render(&context(values))?;
                let path = std::path::Path::new(path.trim());
                let text = crate::fault::read(path)?;
                text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(Value::from).collect()
            }
        };
        if items.len() > MOST {
            return Err(wrong(format!("each: {} elements are more than {MOST}; `trunkline batch` does that", items.len())));
        }
        Ok(items)
    }
}
