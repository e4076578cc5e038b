//! `trunkline models`.

use serde::Serialize;

use crate::terminal::{Mark, print_json, print_table};
use crate::{End, Global};

/// List the models that can be asked for by name.
#[derive(clap::Args)]
pub(crate) struct Models {
    /// Only this provider's, ready or not
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
}

#[derive(Serialize)]
struct Row {
    model: String,
    provider: String,
    ready: bool,
}

impl Models {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let mut rows: Vec<Row> = Vec::new();
        if self.provider.is_none() {
            let config = client.config();
            rows.extend(config.models.iter().map(|(name, alias)| Row {
                model: name.clone(),
                provider: alias.targets.join(", "),
                ready: true,
            }));
        }
        let services = client.services();
        let known: Vec<&str> = services.iter().map(|service| service.provider.id.as_str()).collect();
        if let Some(id) = self.provider.as_deref().filter(|id| !known.contains(id)) {
            let near = trunkline::codec::catalog::nearest(id, known.iter().copied());
            anyhow::bail!(
                "there is no provider `{id}`{}",
                near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
            );
        }
        for service in &services {
            let provider = &service.provider;
            let wanted = self.provider.as_ref().map_or(service.is_ready(), |id| *id == provider.id);
            let patterns = provider.models.iter().filter(|_| wanted);
            rows.extend(patterns.map(|pattern| Row {
                model: format!("{}/{pattern}", provider.id),
                provider: provider.name.clone(),
                ready: service.is_ready(),
            }));
        }
        if global.json {
            print_json(&rows)?;
        } else {
            let mark = |ready: bool| if ready { Mark::Yes } else { Mark::No };
            let rows: Vec<_> = rows.into_iter().map(|row| (mark(row.ready), vec![row.model, row.provider])).collect();
            print_table(&rows)?;
        }
        Ok(End::Done)
    }
}
