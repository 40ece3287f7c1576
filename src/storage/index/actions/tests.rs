use super::*;
use crate::canary::{ActionMethod, ExecutionStatus, Kind};
use crate::storage::index::tests::{claimed, on_each};
use crate::storage::index::{Claim, Outbox};

const LEASE: Duration = Duration::from_secs(15);

async fn execution(index: &Index, id: &str) -> Claim {
    claimed(index, Kind::Analysis, id).await
}

fn turn(places: &[i64]) -> Outbox {
    let action = |place: &i64| NewAction {
        place: *place,
        event: Event::Start,
        number: None,
        call: Ok(ActionCall {
            method: ActionMethod::Put,
            url: format!("http://gateway/{place}"),
            headers: [].into(),
            body: None,
        }),
        patience: Duration::from_mins(10),
        at: 1_000,
    };
    Outbox {
        turn: Some(Turn {
            place: places[0],
            at: 1_000,
            actions: places[1..].iter().map(action).collect(),
        }),
        ..Outbox::default()
    }
}

async fn write(index: &Index, claim: &Claim, outbox: &Outbox) -> bool {
    let written = index.progress(claim, ExecutionStatus::Running, "{}", outbox);
    written.await.unwrap()
}

async fn claim(index: &Index, now: i64) -> Vec<DueAction> {
    index.claim_actions("me", now, LEASE, 100).await.unwrap()
}

async fn places(index: &Index, now: i64) -> Vec<i64> {
    let claimed = claim(index, now).await;
    claimed.iter().map(|action| action.place).collect()
}

async fn outcomes(index: &Index, id: &str) -> Vec<&'static str> {
    let rows = index.actions(id).await.unwrap();
    rows.iter().map(|row| row.outcome.as_str()).collect()
}

fn answered(status: u16) -> Attempted {
    Attempted {
        status: Some(status),
        message: None,
    }
}

#[tokio::test]
async fn actions_of_an_execution_are_claimed_one_after_the_other() {
    on_each(async |index| {
        let one = execution(&index, "one").await;
        assert!(write(&index, &one, &turn(&[0, 0, 1])).await);
        let two = execution(&index, "two").await;
        assert!(write(&index, &two, &turn(&[0, 5])).await);
        // A second attempt says again that it starts.
        assert!(write(&index, &one, &turn(&[0, 0, 1])).await);
        let lost = Claim {
            attempt: 0,
            ..one.clone()
        };
        assert!(!write(&index, &lost, &turn(&[0, 2])).await);

        let first = claim(&index, 1_000).await;
        assert_eq!(first.len(), 2, "the first of each");
        assert_eq!(
            (first[0].place, first[0].attempt, first[0].begun_at),
            (0, 1, Some(1_000))
        );
        assert!(
            claim(&index, 1_000).await.is_empty(),
            "the first is under way"
        );
        index
            .put_off_action(&first[0], &answered(500), 3_000, 1_100)
            .await
            .unwrap();
        assert!(claim(&index, 2_999).await.is_empty(), "the first waits");
        let again = claim(&index, 3_000).await;
        assert_eq!(
            (again[0].place, again[0].attempt, again[0].begun_at),
            (0, 2, Some(1_000))
        );
        let done = ActionOutcome::Done;
        // Who lost the claim changes nothing.
        index
            .settle_action(&first[0], done, &answered(200), 3_100)
            .await
            .unwrap();
        assert!(claim(&index, 3_100).await.is_empty());
        index
            .settle_action(&again[0], done, &answered(201), 3_200)
            .await
            .unwrap();
        assert_eq!(places(&index, 3_200).await, [1]);
        let rows = index.actions("one").await.unwrap();
        let first = &rows[0];
        assert_eq!(
            (first.outcome, first.attempts, first.status, first.ended_at),
            (done, 2, Some(201), Some(3_200))
        );
        assert_eq!(first.call.as_ref().unwrap().url, "http://gateway/0");
        assert_eq!(
            (rows[1].outcome, rows[1].begun_at),
            (ActionOutcome::Waiting, Some(3_200))
        );
    })
    .await;
}

#[tokio::test]
async fn a_later_event_overtakes_what_waits_and_waits_for_what_is_under_way() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        assert!(write(&index, &run, &turn(&[0, 0, 1])).await);
        let under_way = claim(&index, 1_000).await.remove(0);
        assert!(write(&index, &run, &turn(&[16, 16])).await);
        assert_eq!(
            outcomes(&index, "run").await,
            ["waiting", "superseded", "waiting"]
        );
        assert!(
            claim(&index, 1_001).await.is_empty(),
            "the earlier one may still arrive"
        );
        // It failed, and must not be tried again.
        index
            .put_off_action(&under_way, &answered(500), 5_000, 1_100)
            .await
            .unwrap();
        let next = claim(&index, 1_100).await.remove(0);
        assert_eq!(next.place, 16);
        assert_eq!(
            outcomes(&index, "run").await,
            ["superseded", "superseded", "waiting"]
        );

        let (done, yes) = (ActionOutcome::Done, answered(200));
        index.settle_action(&next, done, &yes, 1_200).await.unwrap();

        // An end without an action of its own takes back what waits.
        let stuck = execution(&index, "stuck").await;
        assert!(write(&index, &stuck, &turn(&[0, 0])).await);
        let gone = claim(&index, 2_000).await.remove(0);
        assert!(write(&index, &stuck, &turn(&[16])).await);
        assert_eq!(outcomes(&index, "stuck").await, ["waiting"]);
        // Its process is not heard of again; what it was about is settled, and not sent.
        assert!(claim(&index, 16_999).await.is_empty());
        let left = claim(&index, 17_000).await.remove(0);
        assert_eq!((left.is_superseded, left.attempt), (true, gone.attempt));
        index
            .settle_action(&left, ActionOutcome::Superseded, &answered(0), 17_100)
            .await
            .unwrap();
        assert_eq!(outcomes(&index, "stuck").await, ["superseded"]);
    })
    .await;
}

#[tokio::test]
async fn many_claimers_keep_the_order_of_every_execution() {
    on_each(async |index| {
        for number in 0..20 {
            let run = execution(&index, &format!("e{number}")).await;
            assert!(write(&index, &run, &turn(&[0, 0, 1, 2])).await);
        }
        let claimers = (0..6).map(|claimer| {
            let index = index.clone();
            async move {
                let (owner, mut taken) = (format!("w{claimer}"), Vec::new());
                loop {
                    let next = index.claim_actions(&owner, 5_000, LEASE, 3).await.unwrap();
                    if next.is_empty() {
                        return taken;
                    }
                    for action in next {
                        let settled = answered(200);
                        index
                            .settle_action(&action, ActionOutcome::Done, &settled, 5_000)
                            .await
                            .unwrap();
                        taken.push((action.execution_id, action.place));
                    }
                }
            }
        });
        let mut taken = futures::future::join_all(claimers).await.concat();
        // Who looked when another had what is next may have gone too early.
        while let Some(action) = claim(&index, 5_000).await.pop() {
            let settled = answered(200);
            index
                .settle_action(&action, ActionOutcome::Done, &settled, 5_000)
                .await
                .unwrap();
            taken.push((action.execution_id, action.place));
        }
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 60);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_written_fails_at_once_and_keeps_nobody_waiting() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        let mut outbox = turn(&[0, 0, 1]);
        outbox.turn.as_mut().unwrap().actions[0].call = Err("url:\0no".to_owned());
        assert!(write(&index, &run, &outbox).await);
        assert_eq!(places(&index, 1_000).await, [1]);
        let rows = index.actions("run").await.unwrap();
        assert_eq!(
            (rows[0].outcome, rows[0].message.as_deref()),
            (ActionOutcome::Failed, Some("url: no"))
        );
        assert_eq!((&rows[0].call, rows[0].attempts), (&None, 0));
    })
    .await;
}

#[tokio::test]
async fn actions_stay_as_long_as_their_execution() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        assert!(write(&index, &run, &turn(&[0, 0])).await);
        assert_eq!(index.forget_actions(9_000).await.unwrap(), 0);
        let claimed = claim(&index, 1_000).await.remove(0);
        assert_eq!((claimed.created_at, claimed.leased_until), (1_000, 16_000));
        // Its process ends, and its call may still be under way.
        assert!(claim(&index, 15_999).await.is_empty());
        assert_eq!(claim(&index, 16_000).await[0].attempt, claimed.attempt + 1);
        let (ended, nothing) = (ExecutionStatus::Succeeded, Outbox::default());
        let ended = index.finish(&run, ended, "{}", 2_000, 3_000, &nothing);
        assert!(ended.await.unwrap());
        index.remove_execution("run").await.unwrap();
        assert_eq!(index.forget_actions(1_000).await.unwrap(), 0);
        assert_eq!(index.forget_actions(9_000).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_no_database_keeps_is_left_out_of_a_message() {
    on_each(async |index| {
        let run = execution(&index, "run").await;
        assert!(write(&index, &run, &turn(&[0, 0])).await);
        let answered = Attempted {
            status: Some(500),
            message: Some("a\0b\u{1b}c\nd".to_owned()),
        };
        let first = claim(&index, 1_000).await.remove(0);
        let put_off = index.put_off_action(&first, &answered, 2_000, 1_100);
        put_off.await.unwrap();
        let again = claim(&index, 2_000).await.remove(0);
        let failed = ActionOutcome::Failed;
        let settled = index.settle_action(&again, failed, &answered, 2_100);
        settled.await.unwrap();
        let rows = index.actions("run").await.unwrap();
        assert_eq!(
            (rows[0].outcome, rows[0].message.as_deref()),
            (failed, Some("a b c d"))
        );
    })
    .await;
}
