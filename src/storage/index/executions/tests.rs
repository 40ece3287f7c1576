use std::collections::HashSet;

use super::*;
use crate::storage::index::Company;
use crate::storage::index::tests::{on_each, waiting};

const LEASE: Duration = Duration::from_secs(10);

async fn claim_one(index: &Index, owner: &str, now: i64) -> Option<Claim> {
    let mut claims = index.claim(owner, now, LEASE, 1).await.unwrap();
    claims.pop()
}

async fn claim_suspect(index: &Index, owner: &str, now: i64, company: Company) -> Option<Claim> {
    let claimed = index.claim_suspect(owner, now, LEASE, company);
    claimed.await.unwrap()
}

fn row(id: &str, build_time: i64) -> ExecutionRow {
    ExecutionRow {
        document: format!("{{\"pipelineId\":\"{id}\"}}"),
        ..waiting(Kind::Canary, id, build_time)
    }
}

#[tokio::test]
async fn many_claimers_claim_every_execution_once() {
    on_each(async |index| {
        for number in 0..100 {
            index
                .insert_execution(&row(&format!("e{number}"), 1), None)
                .await
                .unwrap();
        }
        let claimers = (0..8).map(|claimer| {
            let index = index.clone();
            async move {
                let mut claimed = Vec::new();
                while let Some(claim) = claim_one(&index, &format!("w{claimer}"), 5).await {
                    claimed.push(claim.id);
                }
                claimed
            }
        });
        let claimed = futures::future::join_all(claimers).await.concat();
        assert_eq!(claimed.len(), 100);
        assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 100);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_write() {
    on_each(async |index| {
        index.insert_execution(&row("e", 0), None).await.unwrap();
        let first = claim_one(&index, "one", 0).await.unwrap();
        assert!(index.renew(&first, 5_000, LEASE).await.unwrap());
        assert!(
            claim_suspect(&index, "two", 14_999, Company::Others)
                .await
                .is_none()
        );
        assert!(claim_one(&index, "two", 15_000).await.is_none());
        let second = claim_suspect(&index, "two", 15_000, Company::Others);
        let second = second.await.unwrap();
        assert_eq!((first.attempt, second.attempt), (1, 2));

        let (status, now) = (ExecutionStatus::Succeeded, 16_000);
        assert!(!index.renew(&first, now, LEASE).await.unwrap());
        assert!(
            !index
                .progress(&first, status, "{}", &Outbox::default())
                .await
                .unwrap()
        );
        assert!(
            !index
                .finish(&first, status, "{}", now, now, &Outbox::default())
                .await
                .unwrap()
        );
        assert!(
            index
                .finish(&second, status, "{\"a\":1}", now, now, &Outbox::default())
                .await
                .unwrap()
        );
        assert!(
            !index
                .finish(&second, status, "{\"a\":2}", now, now, &Outbox::default())
                .await
                .unwrap()
        );
        assert_eq!(
            index.execution("e").await.unwrap().unwrap().document,
            "{\"a\":1}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_end_from_outside_takes_the_claim_away() {
    on_each(async |index| {
        index.insert_execution(&row("e", 0), None).await.unwrap();
        let claim = claim_one(&index, "one", 0).await.unwrap();
        let seen = index.execution("e").await.unwrap().unwrap();
        let status = ExecutionStatus::Canceled;
        assert!(
            index
                .end(&seen, status, "{}", 1_000, &Outbox::default())
                .await
                .unwrap()
        );
        assert!(
            !index
                .end(&seen, status, "{}", 1_000, &Outbox::default())
                .await
                .unwrap()
        );
        assert!(
            !index
                .finish(
                    &claim,
                    ExecutionStatus::Succeeded,
                    "{}",
                    1_000,
                    0,
                    &Outbox::default()
                )
                .await
                .unwrap()
        );
        let archive = claim_one(&index, "two", 1_000).await.unwrap();
        assert!(archive.complete);
        index.archived(&["e".to_owned()]).await.unwrap();
        assert!(claim_one(&index, "two", 1_000_000).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn lists_join_rows_and_archives_newest_first() {
    on_each(async |index| {
        for (id, time) in [("a", 1), ("c", 3)] {
            index.insert_execution(&row(id, time), None).await.unwrap();
        }
        for (id, build_time, outcome) in [("b", 2, "nodata"), ("c", 3, "fail"), ("d", 4, "pass")] {
            let archive = crate::storage::index::ArchiveRow {
                kind: Kind::Canary,
                id: id.to_owned(),
                application: "web".to_owned(),
                status: "succeeded".to_owned(),
                build_time,
                version: String::new(),
                noted_at: 0,
                pair_list_id: String::new(),
                listing: crate::storage::index::Listing {
                    outcome: outcome.to_owned(),
                    ..Default::default()
                },
            };
            index.put_archive("s3", &archive).await.unwrap();
        }
        let list = |statuses: &'static [ExecutionStatus], limit, offset| {
            let wanted = Wanted {
                statuses,
                ..Wanted::default()
            };
            let index = index.clone();
            async move {
                let listed = index
                    .list_executions(Kind::Canary, "s3", "web", wanted, limit, offset)
                    .await;
                listed
                    .unwrap()
                    .into_iter()
                    .map(|row| row.id)
                    .collect::<Vec<_>>()
            }
        };
        assert_eq!(list(&[], 10, 0).await, ["d", "c", "b", "a"]);
        assert_eq!(list(&[], 2, 2).await, ["b", "a"]);
        assert_eq!(list(&[ExecutionStatus::Succeeded], 10, 0).await, ["d", "b"]);
        assert_eq!(
            list(&[ExecutionStatus::NotStarted], 10, 0).await,
            ["c", "a"]
        );
    })
    .await;
}

#[tokio::test]
async fn lists_hold_the_outcomes_that_are_wanted_wherever_a_row_has_its_own() {
    on_each(async |index| {
        // Accepted; ended and archived; ended, and not archived yet.
        for id in ["waits", "archived", "ended"] {
            index.insert_execution(&row(id, 1), None).await.unwrap();
        }
        let ended = "UPDATE execution SET complete = 1, status = 'succeeded' WHERE id <> 'waits'";
        sqlx::query(ended).execute(&index.write).await.unwrap();
        let listing = |outcome: &str| crate::storage::index::Listing {
            outcome: outcome.to_owned(),
            ..Default::default()
        };
        let archive = |id: &str, outcome: &str| crate::storage::index::ArchiveRow {
            kind: Kind::Canary,
            id: id.to_owned(),
            application: "web".to_owned(),
            status: "succeeded".to_owned(),
            build_time: 0,
            version: String::new(),
            noted_at: 0,
            pair_list_id: String::new(),
            listing: listing(outcome),
        };
        let account = row("archived", 1).storage_account;
        for (id, outcome) in [("archived", "fail"), ("old", "nodata"), ("only", "pass")] {
            let archive = archive(id, outcome);
            index.put_archive(&account, &archive).await.unwrap();
        }
        index
            .describe("ended", &listing("inconclusive"))
            .await
            .unwrap();
        let cases: [(&[Outcome], &[ExecutionStatus], &[&str]); 8] = [
            (&[], &[], &["waits", "ended", "archived", "only", "old"]),
            (&[Outcome::Fail], &[], &["archived"]),
            (&[Outcome::Pass, Outcome::Fail], &[], &["archived", "only"]),
            (&[Outcome::Inconclusive], &[], &["ended", "old"]),
            (&[Outcome::Waiting], &[], &["waits"]),
            (&[Outcome::Running], &[], &[]),
            (&[Outcome::Waiting, Outcome::Pass], &[], &["waits", "only"]),
            (
                &[Outcome::Waiting, Outcome::Pass],
                &[ExecutionStatus::Succeeded],
                &["only"],
            ),
        ];
        for (outcomes, statuses, expected) in cases {
            let wanted = Wanted { statuses, outcomes };
            let listed = index.list_executions(Kind::Canary, &account, "web", wanted, 10, 0);
            let ids: Vec<String> = listed
                .await
                .unwrap()
                .into_iter()
                .map(|row| row.id)
                .collect();
            assert_eq!(ids, expected, "{outcomes:?} {statuses:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_only_a_newer_version_knows_is_left_alone() {
    on_each(async |index| {
        index.insert_execution(&row("old", 0), None).await.unwrap();
        index.insert_execution(&row("new", 0), None).await.unwrap();
        let newer = sqlx::query("UPDATE execution SET kind = 'rehearsal' WHERE id = 'new'");
        newer.execute(&index.write).await.unwrap();
        let claims = index.claim("one", 5, LEASE, 10).await.unwrap();
        let ids: Vec<_> = claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(ids, ["old"]);
        assert!(index.execution("new").await.unwrap().is_none());
        let untouched = sqlx::query("SELECT attempt, failures FROM execution WHERE id = 'new'");
        let row = untouched.fetch_one(&index.read).await.unwrap();
        assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_accepted_with_a_lease_is_nobody_elses_until_it_ends() {
    on_each(async |index| {
        let lease = Lease {
            owner: "one",
            until: 10_000,
        };
        assert!(
            index
                .insert_execution(&row("e", 0), Some(lease))
                .await
                .unwrap()
        );
        assert!(
            !index
                .insert_execution(&row("e", 0), Some(lease))
                .await
                .unwrap()
        );
        assert!(index.is_under_way(Kind::Canary, "e").await.unwrap());
        assert!(!index.is_under_way(Kind::Analysis, "e").await.unwrap());
        let suspect = |now| claim_suspect(&index, "two", now, Company::Alone);
        assert!(suspect(9_999).await.is_none());
        let claim = suspect(10_000).await.unwrap();
        assert_eq!((claim.attempt, claim.failures), (2, 0));
    })
    .await;
}

/// Of those under way when their process died, one kills it whenever it runs.
#[tokio::test]
async fn only_who_was_alone_when_its_process_died_is_blamed() {
    on_each(async |index| {
        for id in ["poison", "slow", "good"] {
            index.insert_execution(&row(id, 0), None).await.unwrap();
        }
        assert_eq!(index.claim("one", 0, LEASE, 10).await.unwrap().len(), 3);
        index.insert_execution(&row("new", 0), None).await.unwrap();
        let later = |claims: i64| 10_000 * claims;
        // What nobody had begun is claimed as ever.
        let fresh = index.claim("two", later(1), LEASE, 10).await.unwrap();
        let fresh: Vec<_> = fresh.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(fresh, ["new"]);
        index.archived(&["new".to_owned()]).await.unwrap();

        let mut claimed = Vec::new();
        for claims in 1..12 {
            let suspect = claim_suspect(&index, "two", later(claims), Company::Alone);
            let Some(claim) = suspect.await else { break };
            claimed.push((claim.id.clone(), claim.failures));
            match claim.id.as_str() {
                // It is long until it ends: others begin beside it, and kill the process.
                "slow" if claim.attempt < 4 => {
                    let joined = index.joined_by_others("slow", claim.attempt, "two");
                    joined.await.unwrap();
                }
                "poison" if claim.failures < 4 => {}
                _ => index.archived(&[claim.id]).await.unwrap(),
            }
        }
        let of = |id: &str| -> Vec<i64> {
            let its = claimed.iter().filter(|(claimed, _)| claimed == id);
            its.map(|(_, failures)| *failures).collect()
        };
        assert_eq!(of("good"), [0]);
        assert_eq!(of("slow"), [0, 0, 0]);
        assert_eq!(of("poison"), [0, 1, 2, 3, 4]);
        assert_eq!(index.next_suspect(i64::MAX).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn who_is_given_back_is_no_suspect() {
    on_each(async |index| {
        index.insert_execution(&row("e", 0), None).await.unwrap();
        claim_one(&index, "one", 0).await.unwrap();
        let alone = claim_suspect(&index, "two", 10_000, Company::Alone);
        assert_eq!(alone.await.unwrap().attempt, 2);
        assert_eq!(index.give_back("one", 11_000).await.unwrap(), 0);
        assert_eq!(index.give_back("two", 11_000).await.unwrap(), 1);
        assert_eq!(index.next_suspect(11_000).await.unwrap(), None);
        let claim = claim_one(&index, "three", 11_000).await.unwrap();
        assert_eq!(claim.failures, 0);
    })
    .await;
}

#[test]
fn the_first_time_and_those_alone_are_counted() {
    let hopeless = |failures, most| {
        let row = waiting(Kind::Canary, "e", 0);
        let claim = Claim {
            kind: row.kind,
            id: row.id,
            attempt: 9,
            failures,
            storage_account: row.storage_account,
            complete: false,
            parent: None,
            document: row.document,
        };
        claim.is_hopeless(most)
    };
    let cases = [(0, 1, false), (1, 1, true), (3, 5, false), (4, 5, true)];
    for (failures, most, expected) in cases {
        assert_eq!(hopeless(failures, most), expected, "{failures} of {most}");
    }
}

#[tokio::test]
async fn archives_are_noted_together() {
    on_each(async |index| {
        let ids: Vec<String> = (0..70).map(|number| format!("e{number}")).collect();
        for id in &ids {
            index.insert_execution(&row(id, 0), None).await.unwrap();
        }
        index.archived(&ids[1..]).await.unwrap();
        index.archived(&[]).await.unwrap();
        let claims = index.claim("one", 5, LEASE, 100).await.unwrap();
        let left: Vec<_> = claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(left, ["e0"]);
        for id in &ids[1..] {
            assert!(index.execution(id).await.unwrap().unwrap().archived);
        }
    })
    .await;
}
