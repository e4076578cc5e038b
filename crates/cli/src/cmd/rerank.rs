//! `trunkline rerank`.

use serde_json::json;
use trunkline::codec::dialect::Operation;

use super::input::{model, tell, texts};
use crate::terminal::print_json;
use crate::{End, Global};

/// Put documents in the order of their relevance to a query.
#[derive(clap::Args)]
pub(crate) struct Rerank {
    /// Which model [default: the task `rerank`, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Only so many of the best
    #[arg(long, value_name = "N")]
    top: Option<u64>,
    /// Relevance to what
    query: String,
    /// The documents; none: the lines of a pipe
    documents: Vec<String>,
}

impl Rerank {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let documents = texts(self.documents)?;
        let call = client.rerank(model(&client, self.model, Operation::Rerank, global), self.query, documents.clone());
        let done = call.with(|wanted| wanted.top = self.top).await?;
        tell(global, &done.target, done.answer.usage, &done.losses);
        let text = |index: u64| usize::try_from(index).ok().and_then(|index| documents.get(index)).map_or("", String::as_str);
        if global.json {
            let rows = done.answer.results.iter();
            let rows = rows.map(|row| json!({ "index": row.index, "score": row.score, "document": text(row.index) }));
            print_json(&rows.collect::<Vec<_>>())?;
            return Ok(End::Done);
        }
        let mut out = std::io::stdout().lock();
        for row in &done.answer.results {
            std::io::Write::write_fmt(&mut out, format_args!("{:.4}  {}\n", row.score, text(row.index)))?;
        }
        Ok(End::Done)
    }
}
