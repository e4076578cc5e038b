//! `trunkline embed`.

use serde_json::json;
use trunkline::codec::dialect::Operation;

use super::input::{model, tell, texts};
use crate::terminal::print_json;
use crate::{End, Global};

/// Turn texts into vectors, one line each.
#[derive(clap::Args)]
pub(crate) struct Embed {
    /// Which model [default: the task `embed`, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// The vectors' length
    #[arg(long, value_name = "N")]
    dimensions: Option<u32>,
    /// The texts; none: the lines of a pipe
    texts: Vec<String>,
}

impl Embed {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let call = client.embed(model(&client, self.model, Operation::Embed, global), texts(self.texts)?);
        let done = call.with(|wanted| wanted.dimensions = self.dimensions).await?;
        tell(global, &done.target, done.answer.usage, &done.losses);
        if global.json {
            print_json(&json!({ "target": done.target, "vectors": done.answer.vectors, "usage": done.answer.usage }))?;
            return Ok(End::Done);
        }
        let mut out = std::io::stdout().lock();
        for vector in &done.answer.vectors {
            serde_json::to_writer(&mut out, vector)?;
            std::io::Write::write_all(&mut out, b"\n")?;
        }
        Ok(End::Done)
    }
}
