//! One file in the hands of several: in one process, and in others. Linux tells who holds which lock.

use std::path::Path;

use trunkline_store::{Ids, Opening, Store};

use crate::folder::{Folder, call, hour};
use crate::process::count;

/// Whether somebody holds the lock by which processes with an older SQLite see that they are not the only ones.
fn is_held(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(path).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| line.contains(&format!(":{inode} 1073741826 ")))
}

/// A process has two stores of one file open, as the gateway has its ledger and its sessions. Another process that comes and
/// goes must not take it for closed: it would take the log away that the first one still writes to.
#[tokio::test]
async fn what_a_process_with_two_stores_writes_is_there_for_others() {
    let folder = Folder::new("shared");
    let path = folder.store();
    let mut ledger = Store::open(&Opening::at(&path)).await.unwrap();
    let ids = Ids::new();
    ledger.add(&[call(&ids, hour(1), 0)]).await.unwrap();
    let sessions = Store::open(&Opening::at(&path)).await.unwrap();
    for written in 1..4 {
        assert!(is_held(&path), "another process believes that nobody has the file open");
        assert_eq!(count(&path), written);
        ledger.add(&[call(&ids, hour(1), written)]).await.unwrap();
        assert!(ledger.is_there());
    }
    sessions.close().await;
    ledger.close().await;
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("new")), "{left:?}");
}
