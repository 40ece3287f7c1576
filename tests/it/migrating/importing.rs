//! `serin import`.

use std::path::Path;

use axum::body::Bytes;
use serde_json::json;
use serin::storage::file::FileStore;
use serin::storage::objects::ObjectStore;

use super::*;
use crate::command::serin;

/// Runs `serin import` with that configuration: exit code, standard output, standard error.
pub async fn import(yml: &Path, from: &str, to: &str, more: &[&str]) -> (i32, String, String) {
    let config = yml.to_str().unwrap();
    let mut arguments = vec!["import", "--config", config, "--from", from, "--to", to];
    arguments.extend(more);
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let run = move || {
        serin(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            "",
        )
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Two folder accounts, `old` as Kayenta leaves it and `new`, and a configuration with both.
struct TwoFolders {
    folder: tempfile::TempDir,
    old: FileStore,
    new: FileStore,
}

impl TwoFolders {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let yml = json!({"kayenta": {
            "memory": {"enabled": true, "accounts": [{"name": "scratch"}]},
            "prometheus": {"enabled": true, "accounts": [{"name": "prom", "endpoint": {"baseUrl": "http://p"}}]},
            "file": {"enabled": true, "accounts": [{"name": "old", "directory": old}, {"name": "new", "directory": new}]},
        }});
        std::fs::write(folder.path().join("serin.yml"), yml.to_string()).unwrap();
        let two = Self {
            old: folder_store(&old),
            new: folder_store(&new),
            folder,
        };
        lay_out(&two.old).await;
        two
    }

    async fn import(&self, more: &[&str]) -> (i32, String, String) {
        let yml = self.folder.path().join("serin.yml");
        import(&yml, "old", "new", more).await
    }
}

/// Without the metric sets, which no report needs.
fn imported(mut objects: Vec<(String, Bytes)>) -> Vec<(String, Bytes)> {
    objects.retain(|(key, _)| !key.starts_with("metrics/"));
    objects
}

#[tokio::test]
async fn an_import_from_a_bucket_to_a_folder_and_back_is_equal_byte_for_byte() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let yml = folder.path().join("kayenta.yml");
    let (first, second) = (
        s3::account(&endpoint, "import-from"),
        s3::account(&endpoint, "import-back"),
    );
    lay_out(&S3Store::new(first.clone())).await;

    std::fs::write(&yml, kayenta_yml(Some(&first), Some(folder.path()))).unwrap();
    let (code, told, warned) = import(&yml, "my-s3-account", "my-folder", &[]).await;
    assert_eq!(code, 0, "{warned}");
    assert!(
        told.contains("7 copied") && told.contains("1 missing"),
        "{told}"
    );
    let there = objects(&folder_store(folder.path())).await;
    assert_eq!(there, imported(left_by_kayenta()));

    std::fs::write(&yml, kayenta_yml(Some(&second), Some(folder.path()))).unwrap();
    let (code, told, warned) = import(&yml, "my-folder", "my-s3-account", &[]).await;
    assert_eq!(code, 0, "{warned}");
    assert!(told.contains("7 copied"), "{told}");
    let back = S3Store::new(second);
    assert_eq!(objects(&back).await, imported(left_by_kayenta()));

    let written = back.list("canary_config/").await.unwrap();
    let (_, told, _) = import(&yml, "my-folder", "my-s3-account", &[]).await;
    assert!(told.contains(" 0 copied, 0 replaced, 7 equal"), "{told}");
    assert_eq!(back.list("canary_config/").await.unwrap(), written);
}

#[tokio::test]
async fn an_import_tells_what_it_does_and_a_dry_one_does_nothing() {
    let two = TwoFolders::new().await;
    let (code, told, _) = two.import(&["--dry-run"]).await;
    assert_eq!(code, 0);
    assert_eq!(
        told,
        "an import would go from 'old' to 'new': 7 copied, 0 replaced, 0 equal already, \
         0 kept that differ and are newer, 1 missing in the source, 0 failed\n"
    );
    assert_eq!(objects(&two.new).await, []);

    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert!(
        told.starts_with("imported from 'old' to 'new': 7 copied"),
        "{told}"
    );
    for part in [
        "canary_config: 2 documents",
        "canary_archive: 2 documents",
        "standalone_canary_archive: 1 documents",
        "missing: metric_pairs/6d9abaa2-9898-4315-b241-53cb12ac995a is not in the source",
        "metric_pairs: 2 documents",
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
    assert_eq!(objects(&two.new).await, imported(left_by_kayenta()));
}

#[tokio::test]
async fn the_built_in_store_is_imported_though_another_stands_in_its_place() {
    let two = TwoFolders::new().await;
    let yml = two.folder.path().join("serin.yml");
    let text = std::fs::read_to_string(&yml).unwrap();
    let mut keys: Value = serde_json::from_str(&text).unwrap();
    keys["storage"] = json!({"directory": two.folder.path().join("old")});
    keys["kayenta"]["file"]["accounts"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    std::fs::write(&yml, keys.to_string()).unwrap();
    let (code, told, lines) = import(&yml, "local", "new", &[]).await;
    assert_eq!(code, 0, "{told}{lines}");
    assert_eq!(objects(&two.new).await, imported(left_by_kayenta()));
    let (code, _, lines) = import(&yml, "new", "local", &[]).await;
    assert_eq!(code, 1);
    assert!(
        lines.contains("'local' is not in the configuration"),
        "{lines}"
    );
}

#[tokio::test]
async fn pins_come_along_and_ahead_of_what_they_keep() {
    let two = TwoFolders::new().await;
    let (key, pin) = ("pin/x/canary.json", Bytes::from_static(b"{}"));
    two.old.put(key, pin.clone()).await.unwrap();
    let (code, _, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert_eq!(two.new.get(key).await.unwrap(), Some(pin));
    let (pins, archives) = lines.split_once("canary_archive: ").unwrap();
    assert!(pins.contains("pin: 1 documents"), "{pins} / {archives}");
}

#[tokio::test]
async fn what_differs_is_replaced_by_the_newer_one_only() {
    let two = TwoFolders::new().await;
    two.import(&[]).await;
    let key = format!("canary_config/{RENAMED}/s3-renamed.json");
    let put = async |store: &FileStore, key: &str, body: &'static str| {
        // Times of files have to differ.
        tokio::time::sleep(Duration::from_millis(30)).await;
        store
            .put(key, Bytes::from_static(body.as_bytes()))
            .await
            .unwrap();
    };

    put(&two.new, &key, "edited in the target").await;
    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert!(told.contains("6 equal already, 1 kept"), "{told}");
    assert!(lines.contains(&format!("kept: {key}")), "{lines}");
    let kept = two.new.get(&key).await.unwrap().unwrap();
    assert_eq!(kept, "edited in the target");

    put(&two.old, &key, "edited in the source").await;
    let (_, told, _) = two.import(&[]).await;
    assert!(told.contains("0 copied, 1 replaced, 6 equal"), "{told}");
    let replaced = two.new.get(&key).await.unwrap().unwrap();
    assert_eq!(replaced, "edited in the source");

    // A rename: the id has one file again, or Kayenta would not find it.
    let renamed = format!("canary_config/{RENAMED}/once-more.json");
    put(&two.old, &renamed, "{}").await;
    two.old.delete(&key).await.unwrap();
    let (_, told, _) = two.import(&[]).await;
    assert!(told.contains("0 copied, 1 replaced, 6 equal"), "{told}");
    let folder = format!("canary_config/{RENAMED}/");
    let left = two.new.list(&folder).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, renamed);
}

#[tokio::test]
async fn what_cannot_be_copied_is_named_and_keeps_nothing_else() {
    let two = TwoFolders::new().await;
    // A file where a folder should be, and an archive that is none.
    let blocked = format!("canary_config/{RENAMED}");
    let in_the_way = two.folder.path().join("new/kayenta").join(&blocked);
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "").unwrap();
    let torn = "canary_archive/torn/canary_archive.json";
    two.old
        .put(torn, Bytes::from_static(b"{\"a"))
        .await
        .unwrap();

    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 1);
    assert!(
        told.contains("6 copied") && told.contains("2 failed"),
        "{told}"
    );
    assert!(
        lines.contains(&format!("failed: {blocked}/s3-renamed.json: cannot")),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("failed: {torn}: it was copied, but")),
        "{lines}"
    );
    assert_eq!(two.new.get(torn).await.unwrap().unwrap(), "{\"a");
}

#[tokio::test]
async fn an_import_between_what_are_not_two_stores_is_refused() {
    let two = TwoFolders::new().await;
    let yml = two.folder.path().join("serin.yml");
    for (from, to, why) in [
        ("old", "old", "'old' cannot be imported into itself"),
        ("old", "none", "'none' is not in the configuration"),
        (
            "scratch",
            "new",
            "'scratch' is kept in the memory of a running serin",
        ),
        ("old", "prom", "'prom' keeps no documents"),
        ("new", "old", "'new' holds no documents"),
    ] {
        let (code, told, lines) = import(&yml, from, to, &[]).await;
        assert_eq!((code, told.as_str()), (1, ""), "{lines}");
        assert!(lines.contains(why), "{lines}");
        let accounts = lines.contains("known are 'old', 'new'") || from == "new";
        assert!(accounts, "{lines}");
    }
}
