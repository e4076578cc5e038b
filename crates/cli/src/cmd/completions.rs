//! `trunkline completions`.

use std::io::Write;

use crate::End;

/// Print shell completions.
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// For which shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &clap::Command) -> anyhow::Result<End> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command.clone(), "trunkline", &mut text);
        std::io::stdout().write_all(&text)?;
        Ok(End::Done)
    }
}
