use super::*;
use crate::canary::ExecutionStatus;
use crate::storage::index::tests::{claimed, on_each};
use crate::storage::index::{Claim, Outbox};

const LEASE: Duration = Duration::from_secs(30);
const ENDED: ExecutionStatus = ExecutionStatus::Succeeded;

async fn execution(index: &Index, id: &str) -> Claim {
    claimed(index, Kind::Canary, id).await
}

fn notice(channel: &str, event: Event) -> Notice {
    Notice {
        channel: channel.to_owned(),
        event,
        at: 1_000,
    }
}

fn telling(notices: &[Notice]) -> Outbox {
    Outbox {
        notices: notices.to_vec(),
        ..Outbox::default()
    }
}

async fn finish(index: &Index, claim: &Claim, notices: &[Notice]) -> bool {
    let outbox = telling(notices);
    let finished = index.finish(claim, ENDED, "{}", 1_000, 2_000, &outbox);
    finished.await.unwrap()
}

async fn claim(index: &Index, now: i64) -> Vec<DueNotice> {
    let claimed = index.claim_notices("me", now, LEASE, 100).await;
    claimed.unwrap()
}

#[tokio::test]
async fn a_notice_is_written_with_the_end_or_not_at_all() {
    on_each(async |index| {
        let held = execution(&index, "held").await;
        let lost = Claim {
            attempt: 0,
            ..held.clone()
        };
        assert!(!finish(&index, &lost, &[notice("a", Event::Fail)]).await);
        assert_eq!(claim(&index, 5_000).await, []);
        assert!(
            finish(
                &index,
                &held,
                &[notice("a", Event::Pass), notice("b", Event::Pass)]
            )
            .await
        );
        assert!(!finish(&index, &held, &[notice("a", Event::Fail)]).await);
        let told = claim(&index, 5_000).await;
        let mut told: Vec<_> = told
            .iter()
            .map(|one| (one.channel.as_str(), one.event))
            .collect();
        told.sort_by_key(|(channel, _)| *channel);
        assert_eq!(told, [("a", Event::Pass), ("b", Event::Pass)]);
    })
    .await;
}

#[tokio::test]
async fn many_claimers_claim_every_notice_once() {
    on_each(async |index| {
        for number in 0..50 {
            let claim = execution(&index, &format!("e{number}")).await;
            assert!(finish(&index, &claim, &[notice("a", Event::Pass)]).await);
        }
        let claimers = (0..8).map(|claimer| {
            let index = index.clone();
            async move {
                let (owner, mut claimed) = (format!("w{claimer}"), Vec::new());
                loop {
                    let next = index.claim_notices(&owner, 5_000, LEASE, 3).await.unwrap();
                    if next.is_empty() {
                        return claimed;
                    }
                    claimed.extend(next.into_iter().map(|notice| notice.execution_id));
                }
            }
        });
        let mut claimed = futures::future::join_all(claimers).await.concat();
        claimed.sort();
        claimed.dedup();
        assert_eq!(claimed.len(), 50);
    })
    .await;
}

#[tokio::test]
async fn a_claimed_notice_comes_back_when_its_lease_ends_it_is_put_off_or_given_back() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        assert!(finish(&index, &run, &[notice("a", Event::Fail)]).await);
        let first = claim(&index, 1_000).await.remove(0);
        assert_eq!(first.attempt, 1);
        assert_eq!(claim(&index, 30_999).await, []);
        let second = claim(&index, 31_000).await.remove(0);
        assert_eq!(second.attempt, 2);
        // Who lost the claim changes nothing.
        index.settle_notice(&first).await.unwrap();
        index.put_off_notice(&first, 31_001).await.unwrap();
        assert_eq!(claim(&index, 32_000).await, []);
        index.put_off_notice(&second, 40_000).await.unwrap();
        assert_eq!(claim(&index, 39_999).await, []);
        assert_eq!(claim(&index, 40_000).await[0].attempt, 3);
        assert_eq!(index.give_back_notices("other", 41_000).await.unwrap(), 0);
        assert_eq!(index.give_back_notices("me", 41_000).await.unwrap(), 1);
        let last = claim(&index, 41_000).await.remove(0);
        index.settle_notice(&last).await.unwrap();
        assert_eq!(claim(&index, i64::MAX / 2).await, []);
    })
    .await;
}

#[tokio::test]
async fn an_end_waits_until_the_start_was_told_to_the_same_channel() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        let start = telling(&[notice("a", Event::Start)]);
        // A second attempt says again that it starts.
        for _ in 0..2 {
            let running = ExecutionStatus::Running;
            assert!(index.progress(&run, running, "{}", &start).await.unwrap());
        }
        assert!(
            finish(
                &index,
                &run,
                &[notice("a", Event::Pass), notice("b", Event::Pass)]
            )
            .await
        );
        let told = claim(&index, 1_000).await;
        let mut names: Vec<_> = told
            .iter()
            .map(|one| (one.channel.as_str(), one.event))
            .collect();
        names.sort_by_key(|(channel, _)| *channel);
        assert_eq!(names, [("a", Event::Start), ("b", Event::Pass)]);
        for notice in &told {
            index.settle_notice(notice).await.unwrap();
        }
        let told = claim(&index, 1_000).await;
        assert_eq!((told.len(), told[0].event), (1, Event::Pass));
    })
    .await;
}

#[tokio::test]
async fn a_chart_keeps_its_token_as_long_as_its_execution() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        let chart = |pair: &str| ChartRow {
            kind: Kind::Canary,
            execution_id: "run".to_owned(),
            storage_account: "s3".to_owned(),
            list_id: "list".to_owned(),
            pair_id: pair.to_owned(),
            label: "High".to_owned(),
        };
        assert_eq!(index.keep_chart(&chart("p"), "t1", 5).await.unwrap(), "t1");
        assert_eq!(index.keep_chart(&chart("p"), "t2", 6).await.unwrap(), "t1");
        assert_eq!(index.keep_chart(&chart("q"), "t3", 6).await.unwrap(), "t3");
        assert_eq!(index.chart("t1").await.unwrap(), Some(chart("p")));
        assert_eq!(index.chart("t2").await.unwrap(), None);

        let start = telling(&[notice("a", Event::Start)]);
        let running = ExecutionStatus::Running;
        assert!(index.progress(&run, running, "{}", &start).await.unwrap());
        // The start of what still runs must not be told again.
        assert_eq!(index.forget_notices(9_000).await.unwrap(), 0);
        assert!(finish(&index, &run, &[]).await);
        assert_eq!(index.forget_notices(9_000).await.unwrap(), 1);
        index.remove_execution("run").await.unwrap();
        assert_eq!(index.forget_notices(6).await.unwrap(), 1);
        assert_eq!(index.forget_notices(9_000).await.unwrap(), 1);
        assert_eq!(index.chart("t1").await.unwrap(), None);
    })
    .await;
}
