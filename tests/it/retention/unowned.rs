//! Metric sets and pairs that no execution owns.

use super::*;

#[tokio::test]
async fn pairs_that_an_unreadable_canary_may_own_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put_canary(folder, "web", "read", 1);
    let (pairs, sets) = (
        "metric_pairs/posted/metric_set_pairs.json",
        "metrics/posted/metric_sets.json",
    );
    for key in [pairs, sets] {
        write(folder, key, &json!([]));
        age(folder, key, 8);
    }
    write(folder, &archive_key("unread"), &json!("not an execution"));
    let serin = start(folder, &json!({"unownedMaxAge": "7d"}), None).await;
    // What cannot be read is read once, and stays unread.
    for deleted in [1, 0] {
        let told = retain(&serin.client).await;
        assert_eq!(told["unowned"]["deleted"], deleted, "{told}");
        assert_eq!(told["leftOut"][0]["account"], "runs", "{told}");
        assert!(keys(folder).contains(pairs) && !keys(folder).contains(sets));
    }
    std::fs::remove_dir_all(folder.join("kayenta/canary_archive/unread")).unwrap();
    let told = retain(&serin.client).await;
    assert_eq!(told["unowned"]["deleted"], 1, "{told}");
    assert_eq!(told["leftOut"], json!([]));
    assert!(!keys(folder).contains(pairs));
    serin.service.stop().await;
}

/// As old as that, by its file.
fn age(folder: &Path, key: &str, days: i64) {
    let path = folder.join("kayenta").join(key);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let written = Duration::from_millis(u64::try_from(days_ago(days)).unwrap());
    file.set_modified(UNIX_EPOCH + written).unwrap();
}

#[tokio::test]
async fn metric_sets_and_pairs_that_no_execution_owns_go_when_they_are_old() {
    on_each_database(async |database| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put_canary(folder, "web", "of-kayenta", 1);
        let failed = json!({
            "pipelineId": "own", "application": "web", "status": "terminal", "complete": true,
            "buildTimeMillis": days_ago(1),
        });
        write(folder, &archive_key("own"), &failed);
        let own = serin::storage::pair_list_of_run("own").to_string();
        let lists = [
            // group      id                  file                     days  stays
            (
                "metric_pairs",
                "pairs-of-kayenta",
                "metric_set_pairs.json",
                100,
                true,
            ),
            ("metric_pairs", &own, "metric_set_pairs.json", 100, true),
            ("metric_pairs", "posted", "metric_set_pairs.json", 8, false),
            (
                "metric_pairs",
                "posted-lately",
                "metric_set_pairs.json",
                6,
                true,
            ),
            ("metrics", "posted", "metric_sets.json", 8, false),
            ("metrics", "posted-lately", "metric_sets.json", 6, true),
        ];
        for (group, id, file, days, _) in lists {
            let key = format!("{group}/{id}/{file}");
            write(folder, &key, &json!([]));
            age(folder, &key, days);
        }
        let before = keys(folder);
        let rules = json!({"unownedMaxAge": "7d"});
        let serin = start(folder, &rules, database.as_deref()).await;
        let client = &serin.client;
        let told = ok(client.get("/retention")).await;
        assert_eq!(told["rules"]["unownedMaxAge"], "7d");
        let due = json!({"total": 2, "deleted": 0, "failed": 0});
        assert_eq!((&told["unowned"], &told["total"]), (&due, &json!(0)));
        let dry = ok(client.post("/retention?dryRun=true", &Value::Null)).await;
        assert_eq!((&dry["unowned"], &keys(folder)), (&due, &before));
        let done = retain(client).await;
        let expected = json!({"total": 2, "deleted": 2, "failed": 0});
        assert_eq!((&done["unowned"], &done["deleted"]), (&expected, &json!(0)));
        let gone = lists.iter().filter(|(.., stays)| !stays);
        let gone: BTreeSet<_> = gone
            .map(|(group, id, file, ..)| format!("{group}/{id}/{file}"))
            .collect();
        assert_eq!(keys(folder), &before - &gone);
        // What owned them takes them with it.
        assert_eq!(
            client.delete("/canaryResultArchive/of-kayenta").await.0,
            204
        );
        assert_eq!(retain(client).await["unowned"]["deleted"], 1);
    })
    .await;
}
