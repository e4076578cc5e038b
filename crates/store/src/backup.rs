//! How large a store is, and copies of it.

use std::path::Path;

use sqlx::Executor;
use sqlx::sqlite::Sqlite;
use trunkline_codec::Result;

use crate::store::Store;
use crate::{store, wrong};

/// How large a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Calls.
    pub calls: u64,
    /// Bytes of the file that are in use.
    pub bytes: u64,
}

impl Store {
    /// How many bytes of the file are in use.
    pub(crate) async fn bytes(&mut self) -> Result<u64> {
        let pages = self.number("PRAGMA page_count").await?.saturating_sub(self.number("PRAGMA freelist_count").await?);
        Ok(pages * self.number("PRAGMA page_size").await?)
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn size(&mut self) -> Result<Size> {
        Ok(Size { calls: self.count().await?, bytes: self.bytes().await? })
    }

    /// Writes a copy of the whole store as it is at this moment, while others go on writing.
    ///
    /// # Errors
    /// When there is a file of this name already, or it cannot be written.
    pub async fn backup(&mut self, to: &Path) -> Result<()> {
        let said = |what: String| wrong(format!("cannot write the copy {}: {what}", to.display()));
        let name = to.to_str().ok_or_else(|| said("its name is no text".to_owned()))?;
        // An empty file would be taken; a copy is never written over.
        store::private().write(true).create_new(true).open(to).map_err(|error| said(error.to_string()))?;
        let done = self.connection.execute(sqlx::query::<Sqlite>("VACUUM INTO $1").bind(name)).await;
        if let Err(error) = done {
            let _ = std::fs::remove_file(to);
            return Err(said(self.wrong(&error).message));
        }
        std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(|error| said(error.to_string()))
    }
}
