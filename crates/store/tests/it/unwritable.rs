//! A store on a disk without room, or another's: nothing can be made beside it, and what is in it is read all the same.
#![cfg(unix)]

use std::path::{Path, PathBuf};

use trunkline_store::{By, Ids, Opening, SessionRow, Sought, Store, Wanted};

use crate::folder::{Folder, call, hour};

/// A new store, with two calls in it.
async fn store_of_two(path: &Path) -> Store {
    let ids = Ids::new();
    let mut store = Store::open(&Opening::at(path)).await.unwrap();
    store.add(&[call(&ids, hour(1), 1), call(&ids, hour(1), 2)]).await.unwrap();
    store
}

/// How many calls are read.
async fn count(store: &mut Store) -> usize {
    store.calls(&Wanted { limit: 9, ..Wanted::default() }).await.unwrap().len()
}

#[tokio::test]
async fn what_is_there_is_read_where_nothing_can_be_written() {
    let folder = Folder::new("unwritable");
    let (whole, cut) = (folder.store(), folder.0.join("cut.db"));
    let mut store = store_of_two(&whole).await;
    store.add_session(&SessionRow::new("one", 1)).await.unwrap();
    // As a sudden end leaves it: the last rows are in the log beside the file.
    let log = |path: &Path, ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
    std::fs::copy(&whole, &cut).unwrap();
    std::fs::copy(log(&whole, "-wal"), log(&cut, "-wal")).unwrap();
    store.close().await;
    for path in [&whole, &cut] {
        // What several share of a store cannot be made where this stands.
        std::os::unix::fs::symlink("/nowhere/shm", log(path, "-shm")).unwrap();
        let mut store = Store::open(&Opening::existing(path)).await.unwrap();
        assert!(store.unwritable().is_some());
        assert_eq!(count(&mut store).await, 2, "{}", path.display());
        assert_eq!(store.stats(By::Model, hour(0)).await.unwrap().all.calls, 2);
        assert_eq!(store.sessions(&Sought { limit: 9, ..Sought::default() }).await.unwrap().len(), 1);
        let refused = store.add_session(&SessionRow::new("two", 1)).await.unwrap_err();
        assert!(refused.message.contains("nothing can be written until a file can be made beside it"), "{refused}");
        store.close().await;
    }
}

/// A store that was copied without its log, to where no log can be made either.
#[tokio::test]
async fn a_copy_is_read_where_no_log_can_be_made() {
    let folder = Folder::new("仓库 100%?");
    let path = folder.store();
    store_of_two(&path).await.close().await;
    for ending in ["-wal", "-shm"] {
        std::os::unix::fs::symlink("/nowhere/file", format!("{}{ending}", path.display())).unwrap();
    }
    let mut store = Store::open(&Opening::existing(&path)).await.unwrap();
    assert!(store.unwritable().is_some());
    assert_eq!(count(&mut store).await, 2);
    let refused = store.add_session(&SessionRow::new("two", 1)).await.unwrap_err();
    assert!(refused.message.contains("nothing can be written"), "{refused}");
    store.close().await;
}

/// Who may do everything may write here, too; everybody else reads.
#[tokio::test]
async fn what_may_only_be_read_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("read-only");
    let path = folder.store();
    store_of_two(&path).await.close().await;
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&path, 0o400);
    allow(&folder.0, 0o500);
    let mut store = Store::open(&Opening::existing(&path)).await.unwrap();
    assert_eq!(count(&mut store).await, 2);
    if store.unwritable().is_some() {
        let refused = store.add_session(&SessionRow::new("one", 1)).await.unwrap_err();
        assert!(refused.message.contains("where you may only read"), "{refused}");
    }
    store.close().await;
    allow(&folder.0, 0o700);
}
