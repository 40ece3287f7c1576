use super::*;
use crate::storage::index::tests::on_each;
use crate::storage::index::{ArchiveRow, Claim, ExecutionRow, Outbox};

const ALL: Limit = Limit {
    most: i64::MAX,
    since: i64::MIN,
};

fn limits(general: Limit, applications: &[(&str, Limit)]) -> Limits {
    let own = applications.iter();
    Limits {
        general,
        applications: own
            .map(|(name, limit)| ((*name).to_owned(), *limit))
            .collect(),
    }
}

fn at_most(most: i64) -> Limit {
    Limit { most, ..ALL }
}

fn since(since: i64) -> Limit {
    Limit { since, ..ALL }
}

async fn archive(index: &Index, application: &str, id: &str, build_time: i64) {
    let row = ArchiveRow {
        kind: Kind::Canary,
        id: id.to_owned(),
        application: application.to_owned(),
        status: "succeeded".to_owned(),
        build_time,
        version: String::new(),
        noted_at: 0,
        pair_list_id: String::new(),
        listing: crate::storage::index::Listing::default(),
    };
    index.put_archive("s3", &row).await.unwrap();
}

async fn due(index: &Index, limits: &Limits) -> Vec<DueRow> {
    let accounts = ["s3".to_owned()];
    let due = index.due(&accounts, limits, 100, 0).await.unwrap();
    let counted = index.count_due(&accounts, limits).await.unwrap();
    assert_eq!(usize::try_from(counted).unwrap(), due.len());
    due
}

async fn due_ids(index: &Index, limits: &Limits) -> Vec<String> {
    let due = due(index, limits).await;
    due.into_iter().map(|due| due.id).collect()
}

#[tokio::test]
async fn age_and_count_hold_for_every_application_that_has_no_rule_of_its_own() {
    on_each(async |index| {
        for (application, id, build_time) in [
            ("web", "w1", 1),
            ("web", "w2", 2),
            ("web", "w3", 3),
            ("shop", "s1", 1),
            ("shop", "s4", 4),
        ] {
            archive(&index, application, id, build_time).await;
        }
        // Others of the same name and age in another account, or of no known age.
        let other = ArchiveRow {
            kind: Kind::Canary,
            id: "w1".to_owned(),
            application: "web".to_owned(),
            status: "succeeded".to_owned(),
            build_time: 1,
            version: String::new(),
            noted_at: 0,
            pair_list_id: String::new(),
            listing: crate::storage::index::Listing::default(),
        };
        index.put_archive("other", &other).await.unwrap();
        archive(&index, "web", "undated", 0).await;

        let cases: [(Limits, &[&str]); 8] = [
            (limits(ALL, &[]), &[]),
            (limits(at_most(2), &[]), &["w1"]),
            (limits(at_most(1), &[]), &["s1", "w1", "w2"]),
            (limits(since(2), &[]), &["s1", "w1"]),
            (
                limits(Limit { most: 1, since: 2 }, &[]),
                &["s1", "w1", "w2"],
            ),
            (limits(at_most(1), &[("web", ALL)]), &["s1"]),
            (limits(ALL, &[("web", at_most(1))]), &["w1", "w2"]),
            (
                limits(at_most(1), &[("web", since(2)), ("shop", since(9))]),
                &["s1", "w1", "s4"],
            ),
        ];
        for (limits, expected) in cases {
            assert_eq!(due_ids(&index, &limits).await, expected, "{limits:?}");
        }
        let accounts = ["s3".to_owned(), "other".to_owned()];
        let both = index.due(&accounts, &limits(since(2), &[]), 2, 1).await;
        let both: Vec<_> = both.unwrap().into_iter().map(|due| due.account).collect();
        assert_eq!(both, ["s3", "s3"], "the second page's first two of three");
    })
    .await;
}

#[tokio::test]
async fn pins_are_neither_counted_nor_due() {
    on_each(async |index| {
        for (id, build_time) in [("a", 1), ("b", 2), ("c", 3)] {
            archive(&index, "web", id, build_time).await;
        }
        assert!(index.pin("s3", Kind::Canary, "c", 9).await.unwrap());
        assert_eq!(due_ids(&index, &limits(at_most(1), &[])).await, ["a"]);
        let found = due(&index, &limits(at_most(1), &[])).await;
        // Pinned between the search and the removal.
        assert!(index.pin("s3", Kind::Canary, "a", 9).await.unwrap());
        assert!(!index.take_out(&found[0]).await.unwrap());
        assert_eq!(index.pins("s3").await.unwrap().len(), 2);

        assert!(!index.unpin("s3", Kind::Canary, "a", 8).await.unwrap());
        assert!(index.unpin("s3", Kind::Canary, "a", 9).await.unwrap());
        assert!(index.take_out(&found[0]).await.unwrap());
        assert!(!index.take_out(&found[0]).await.unwrap(), "once is enough");
        assert!(!index.pin("s3", Kind::Canary, "a", 9).await.unwrap());
        assert!(!index.pin("s3", Kind::Analysis, "c", 9).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_goes_on_or_is_waited_for_is_not_due() {
    on_each(async |index| {
        let row = |id: &str, parent: Option<&str>| ExecutionRow {
            kind: Kind::Canary,
            id: id.to_owned(),
            application: "web".to_owned(),
            canary_config_id: String::new(),
            storage_account: "s3".to_owned(),
            status: ExecutionStatus::Succeeded,
            complete: false,
            archived: false,
            build_time: 1,
            attempt: 0,
            parent: parent.map(str::to_owned),
            document: "{}".to_owned(),
        };
        for id in ["runs", "waited-for", "ended"] {
            archive(&index, "web", id, 1).await;
        }
        index
            .insert_execution(&row("runs", None), None)
            .await
            .unwrap();
        index
            .insert_execution(&row("parent", None), None)
            .await
            .unwrap();
        let ended = [row("waited-for", Some("parent")), row("ended", None)];
        for row in &ended {
            index.insert_execution(row, None).await.unwrap();
            let claim = Claim {
                kind: row.kind,
                id: row.id.clone(),
                attempt: 0,
                failures: 0,
                storage_account: String::new(),
                complete: false,
                parent: None,
                document: String::new(),
            };
            let status = ExecutionStatus::Succeeded;
            assert!(
                index
                    .finish(&claim, status, "{}", 2, 2, &Outbox::default())
                    .await
                    .unwrap()
            );
        }
        let limits = limits(since(5), &[]);
        assert_eq!(
            due_ids(&index, &limits).await,
            [""; 0],
            "no archive is noted"
        );
        for row in &ended {
            index.archived(std::slice::from_ref(&row.id)).await.unwrap();
        }
        let found = due(&index, &limits).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, "ended");
        assert!(index.take_out(&found[0]).await.unwrap());
        assert!(index.execution("ended").await.unwrap().is_none());
        let waited_for = DueRow {
            id: "waited-for".to_owned(),
            ..found[0].clone()
        };
        assert!(!index.take_out(&waited_for).await.unwrap());
        assert!(index.execution("waited-for").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_chore_is_done_by_one_replica_and_again_when_it_is_due() {
    on_each(async |index| {
        assert!(
            !index.take_chore("sweep", 10, 20).await.unwrap(),
            "it is new"
        );
        assert!(!index.take_chore("sweep", 19, 30).await.unwrap());
        let takers = (0..8).map(|_| index.take_chore("sweep", 20, 30));
        let taken = futures::future::join_all(takers).await;
        let taken: Vec<bool> = taken.into_iter().map(Result::unwrap).collect();
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
        index.put_off_chore("sweep", 21).await.unwrap();
        assert!(index.take_chore("sweep", 21, 30).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_a_version_before_wrote_owns_what_nobody_knows_and_is_read_once_more() {
    on_each(async |index| {
        archive(&index, "web", "known", 1).await;
        let lists = async || {
            let mut lists = Vec::new();
            let note = |id: &str, list: &str| lists.push((id.to_owned(), list.to_owned()));
            let told = index.each_pair_list("s3", note).await;
            told.map(|()| lists)
        };
        assert_eq!(
            lists().await.unwrap(),
            [("known".to_owned(), String::new())]
        );
        let forgotten = "UPDATE archive SET pair_list_id = NULL, version = 'v'";
        sqlx::query(forgotten).execute(&index.write).await.unwrap();
        assert!(lists().await.is_err());
        let mut versions = Vec::new();
        let note = |_: &str, version: &str| versions.push(version.to_owned());
        index
            .each_archive_version("s3", Kind::Canary, note)
            .await
            .unwrap();
        assert_eq!(versions, [""]);
    })
    .await;
}
