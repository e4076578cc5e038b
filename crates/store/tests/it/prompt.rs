//! Prompts and their versions.

use std::collections::BTreeMap;

use trunkline_store::{Opening, Store};

use crate::folder::Folder;

#[tokio::test]
async fn versions_are_never_edited_and_their_numbers_never_given_twice() {
    let folder = Folder::new("prompts");
    let mut store = Store::open(&Opening::at(folder.store())).await.unwrap();
    assert!(store.prompts().await.unwrap().is_empty());
    assert_eq!(store.add_prompt("问候", "toml", "prompt = 'a'", 1).await.unwrap(), (1, true));
    assert_eq!(store.add_prompt("问候", "toml", "prompt = 'a'", 2).await.unwrap(), (1, false));
    assert_eq!(store.add_prompt("问候", "yaml", "prompt: b", 3).await.unwrap(), (2, true));
    assert_eq!(store.add_prompt("other", "toml", "x", 4).await.unwrap(), (1, true));
    store.label_prompt("问候", "live", Some(1)).await.unwrap();
    store.label_prompt("问候", "live", Some(2)).await.unwrap();
    store.label_prompt("问候", "old", Some(1)).await.unwrap();
    store.label_prompt("问候", "old", None).await.unwrap();
    store.share_prompt("问候", &BTreeMap::from([(1, 50), (2, 50)])).await.unwrap();
    store.share_prompt("问候", &BTreeMap::from([(1, 90), (2, 10)])).await.unwrap();
    for wrong in [
        store.label_prompt("问候", "live", Some(3)).await.unwrap_err(),
        store.share_prompt("问候", &BTreeMap::from([(1, 90), (3, 10)])).await.unwrap_err(),
    ] {
        assert_eq!(wrong.message, "the prompt 问候 has no version 3");
    }
    assert_eq!(store.label_prompt("nobody", "live", Some(1)).await.unwrap_err().message, "there is no prompt `nobody`");
    store.close().await;

    let mut store = Store::open(&Opening::existing(folder.store())).await.unwrap();
    let prompts = store.prompts().await.unwrap();
    let [other, greeting] = prompts.as_slice() else { panic!("{prompts:?}") };
    assert_eq!((other.name.as_str(), other.versions.len()), ("other", 1));
    assert_eq!(
        (greeting.labels.clone(), greeting.shares.clone()),
        (BTreeMap::from([("live".to_owned(), 2)]), BTreeMap::from([(1, 90), (2, 10)]))
    );
    let versions: Vec<_> =
        greeting.versions.iter().map(|one| (one.version, one.form.as_str(), one.source.as_str(), one.made_us)).collect();
    assert_eq!(versions, [(1, "toml", "prompt = 'a'", 1), (2, "yaml", "prompt: b", 3)]);

    assert!(store.delete_prompt("问候").await.unwrap());
    assert!(!store.delete_prompt("问候").await.unwrap());
    assert_eq!(store.prompts().await.unwrap().len(), 1);
    assert_eq!(store.add_prompt("问候", "toml", "prompt = 'a'", 5).await.unwrap(), (3, true));
    let again = store.prompts().await.unwrap().pop().unwrap();
    assert!(again.labels.is_empty() && again.shares.is_empty() && again.versions.len() == 1);
}

/// One deletes prompts while another one labels their versions: no label may point at what is gone.
#[test]
fn a_label_points_at_a_version_that_is_there_whoever_deletes_meanwhile() {
    let folder = Folder::new("prompts-meanwhile");
    let path = folder.store();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = async |path| Store::open(&Opening::at(path)).await.unwrap();
    let newest = std::sync::atomic::AtomicU32::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    struct End<'a>(&'a std::sync::atomic::AtomicU32);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // However it ends: else the others would go on for ever.
            let _end = End(&newest);
            runtime().block_on(async {
                let mut store = open(&path).await;
                for number in 0..150 {
                    let (version, _) = store.add_prompt("p", "toml", &format!("v{number}"), 1).await.unwrap();
                    newest.store(version, order);
                    store.delete_prompt("p").await.unwrap();
                }
            });
        });
        runtime().block_on(async {
            let mut store = open(&path).await;
            loop {
                let version = newest.load(order);
                if version == u32::MAX {
                    break;
                }
                let _ = store.label_prompt("p", "live", Some(version)).await;
                let _ = store.share_prompt("p", &BTreeMap::from([(version, 1)])).await;
                // Room for the other, who would else be kept waiting longer than a statement waits.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
    });
    runtime().block_on(async {
        let mut store = open(&path).await;
        store.add_prompt("p", "toml", "the last", 1).await.unwrap();
        let prompt = store.prompts().await.unwrap().pop().unwrap();
        assert!(prompt.labels.is_empty() && prompt.shares.is_empty(), "{prompt:?}");
    });
}
