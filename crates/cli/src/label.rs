//! For whom and what for the command's calls are.

use trunkline::monitor;

use crate::Global;

/// What calls are found and summed up by afterwards.
#[derive(clap::Args)]
pub(crate) struct Label {
    /// A tag for `stats` and `logs`, NAME=VALUE; no provider gets it. May be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = read_tag)]
    tag: Vec<(String, String)>,
    /// For whom the calls are, for `stats`, `logs` and `store forget`; no provider gets it
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

fn read_tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write NAME=VALUE".to_owned())
}

impl Label {
    /// All calls of this run have it.
    pub(crate) fn apply(&self, global: &Global) {
        let mut label = monitor::Label { user: self.user.clone(), ..monitor::Label::default() };
        self.tag.iter().for_each(|(name, value)| label.tag(name, value));
        global.record.label(label);
    }
}
