//! Kills, stores that let nothing go, and many replicas at once.

use super::*;

#[tokio::test]
async fn a_kill_while_many_are_deleted_harms_nothing() {
    const OLD: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..OLD {
        put_canary(folder, "web", &format!("old{index:03}"), 10);
    }
    for id in ["new1", "new2"] {
        put_canary(folder, "web", id, 1);
    }
    let port = free_port();
    let given = [
        ("SERIN__RETENTION__MAX_AGE", "5d"),
        ("SERIN__RETENTION__EVERY", "1s"),
        ("SERIN__STORAGE__REFRESH", "1s"),
    ];
    let mut left = OLD;
    for wanted in [350, 250, 120] {
        let mut serin = Process::start_with(folder, NO_PROMETHEUS, port, &given).await;
        let start = Instant::now();
        while wanted < left {
            assert!(start.elapsed() < Duration::from_secs(30), "{left} are left");
            tokio::time::sleep(Duration::from_millis(1)).await;
            left = archives(folder).len() - 2;
        }
        serin.kill();
        let archives = archives(folder);
        let referred: BTreeSet<String> = archives.iter().map(|id| pairs_key(id)).collect();
        let orphans: Vec<String> = keys(folder)
            .into_iter()
            .filter(|key| key.starts_with("metric_pairs/") && !referred.contains(key))
            .collect();
        assert!(
            orphans.is_empty(),
            "pairs that nobody would delete: {orphans:?}"
        );
    }
    assert!(
        0 < left && left < OLD,
        "killed in the middle: {left} are left"
    );

    let serin = Process::start_with(folder, NO_PROMETHEUS, port, &given).await;
    let expected = keys_of(&["new1", "new2"], &[]);
    until_left(folder, &expected, Duration::from_secs(30)).await;
    let listed = ok(serin
        .client
        .get("/canary/executions?application=web&limit=1000"))
    .await;
    let ids: BTreeSet<&str> = (listed.as_array().unwrap().iter())
        .map(|run| run["pipelineId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["new1", "new2"].into());
}

/// The ids of all archives.
fn archives(folder: &Path) -> BTreeSet<String> {
    let archives = folder.join("kayenta/canary_archive");
    let ids = std::fs::read_dir(archives).unwrap();
    ids.map(|id| id.unwrap().file_name().into_string().unwrap())
        .filter(|id| folder.join("kayenta").join(archive_key(id)).exists())
        .collect()
}

#[tokio::test]
async fn what_a_store_does_not_let_go_stays_due_and_keeps_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for id in ["stuck", "free"] {
        put_canary(folder, "web", id, 10);
    }
    // Files that not even root can delete.
    let pairs = folder.join("kayenta/metric_pairs/pairs-stuck");
    std::fs::remove_dir_all(&pairs).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/random", &pairs).unwrap();

    let serin = start(folder, &json!({"maxAge": "5d", "every": "7d"}), None).await;
    // The archive is the last to go, so the next pass finds it due again.
    for deleted in [1, 0, 0] {
        let done = retain(&serin.client).await;
        assert_eq!(
            (&done["deleted"], &done["failed"]),
            (&json!(deleted), &json!(1)),
            "{done}"
        );
        assert!(archives(folder).contains("stuck"));
    }
    std::fs::remove_file(&pairs).unwrap();
    write(folder, &pairs_key("stuck"), &json!([]));
    assert_eq!(
        due(&retain(&serin.client).await),
        [("stuck", "older than 5d")]
    );
    assert_eq!(keys(folder), BTreeSet::new());
    serin.service.stop().await;
}

#[tokio::test]
async fn many_replicas_at_once_delete_what_is_due_and_do_not_fail() {
    let Some(database) = new_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rules = json!({"maxAge": "5d", "every": "7d"});
    let (one, two) = (
        start(folder, &rules, Some(&database)).await,
        start(folder, &rules, Some(&database)).await,
    );
    for index in 0..200 {
        put_canary(folder, "web", &format!("old{index}"), 10);
    }
    let (first, second) = tokio::join!(retain(&one.client), retain(&two.client));
    // A reconciliation of one may find what the other has not quite deleted: done twice, it is harmless.
    let deleted: BTreeSet<&str> = [&first, &second]
        .into_iter()
        .flat_map(|report| due(report).into_iter().map(|(id, _)| id))
        .collect();
    assert_eq!(deleted.len(), 200);
    assert_eq!(
        (&first["failed"], &second["failed"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(keys(folder), BTreeSet::new());
    one.service.stop().await;
    two.service.stop().await;
}

#[tokio::test]
async fn an_account_whose_store_cannot_be_listed_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put_canary(folder, "web", "old", 10);
    let serin = start(folder, &json!({"maxAge": "5d", "dryRun": true}), None).await;
    assert_eq!(retain(&serin.client).await["total"], 1);
    // A folder that is a file cannot be listed.
    write(folder, "pin", &json!({}));
    let told = retain(&serin.client).await;
    assert_eq!((&told["total"], &told["due"]), (&json!(0), &json!([])));
    assert_eq!(told["leftOut"][0]["account"], "runs", "{told}");
    serin.service.stop().await;
}
