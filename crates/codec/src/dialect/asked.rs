//! What the writer of an answer must know of the request.

use crate::ir::Raw;

/// What a caller's request said that its answer depends on, or repeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The tools that take free text: a call of one is told as that text, and is `{"input":"…"}` in canonical form.
    pub custom_tools: Vec<String>,
    /// Members that the answer repeats, each as the caller wrote it.
    pub repeated: Vec<(&'static str, Raw)>,
}

impl Asked {
    /// Whether a tool takes free text.
    pub(crate) fn is_custom(&self, tool: &str) -> bool {
        self.custom_tools.iter().any(|name| name == tool)
    }
}
