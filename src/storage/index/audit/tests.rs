use std::sync::Arc;

use sqlx::Executor;

use super::*;
use crate::audit::{Fault, Walk};
use crate::canary::Kind;
use crate::storage::index::tests::{on_each, waiting};

fn deed(id: &str, at: i64) -> Entry {
    Entry {
        at,
        ..Entry::new(By::serin(), Deed::Started, What::Canary, id).of("web")
    }
}

/// Another process on the same database.
fn replica(index: &Index) -> Index {
    Index {
        chain: Arc::new(Chain::new(true)),
        ..index.clone()
    }
}

async fn walked(index: &Index, chain: &str) -> Result<(), Fault> {
    let chains = index.chains().await.unwrap();
    let chain = chains.iter().find(|one| one.chain == chain).unwrap();
    let mut walk = Walk::after(chain.anchor.clone());
    let rows = index.chain_rows(&chain.chain, chain.anchor.number, 1_000);
    for row in rows.await.unwrap() {
        walk.take(&row)?;
    }
    walk.end(&chain.last)
}

async fn break_it(index: &Index, sql: &'static str) {
    (&index.write).execute(sql).await.unwrap();
}

#[tokio::test]
async fn two_replicas_have_a_chain_each_and_see_each_other_begin() {
    on_each(async |one| {
        let two = replica(&one);
        for number in 0..20 {
            let (a, b) = (deed(&format!("a{number}"), number), deed("b", number));
            let both = tokio::join!(one.record(&a), two.record(&b));
            both.0.and(both.1).unwrap();
        }
        for index in [&one, &two] {
            assert_eq!(walked(index, index.chain().id()).await, Ok(()));
        }
        let chains = one.chains().await.unwrap();
        let numbers: Vec<i64> = chains.iter().map(|chain| chain.last.number).collect();
        assert_eq!(numbers, [21, 21], "with the row by which it begins");
        let three = replica(&one);
        three.record(&deed("c", 30)).await.unwrap();
        let opened = three.deed(three.chain().id(), 1).await.unwrap().unwrap();
        for chain in chains {
            assert!(
                opened.details.contains(&chain.last.hash),
                "{}",
                opened.details
            );
        }
    })
    .await;
}

#[tokio::test]
async fn many_at_once_make_one_chain() {
    on_each(async |index| {
        let deeds: Vec<Entry> = (0..50).map(|at| deed(&format!("e{at}"), at)).collect();
        let all = deeds.iter().map(|deed| index.record(deed));
        futures::future::try_join_all(all).await.unwrap();
        assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_as_it_was_written_is_found_in_every_column() {
    let cases: [(&str, Fault); 16] = [
        (
            "UPDATE audit SET at = at + 1 WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET who = 'user:ada' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET proof = 'token' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET address = '::1' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET request_id = 'r' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET deed = 'stored' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET kind = 'config' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET id = 'e9' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET application = '' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET outcome = 'refused' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET details = '[]' WHERE number = 3",
            Fault::Changed(3),
        ),
        (
            "UPDATE audit SET hash = who WHERE number = 3",
            Fault::Changed(3),
        ),
        ("DELETE FROM audit WHERE number = 3", Fault::Missing(3)),
        ("DELETE FROM audit WHERE number = 1", Fault::Missing(1)),
        ("DELETE FROM audit WHERE number = 5", Fault::Missing(5)),
        (
            "UPDATE audit SET number = CASE number WHEN 2 THEN 90 ELSE 91 END WHERE number IN (2, 4); \
             UPDATE audit SET number = CASE number WHEN 90 THEN 4 ELSE 2 END WHERE number IN (90, 91)",
            Fault::Changed(2),
        ),
    ];
    on_each(async |index| {
        for (sql, expected) in cases.clone() {
            break_it(&index, "DELETE FROM audit; DELETE FROM audit_chain").await;
            let index = replica(&index);
            for at in 0..4 {
                index.record(&deed(&format!("e{at}"), at)).await.unwrap();
            }
            assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
            break_it(&index, sql).await;
            let found = walked(&index, index.chain().id()).await;
            assert_eq!(found, Err(expected), "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_start_and_its_record_are_written_together_or_not_at_all() {
    on_each(async |index| {
        let row = waiting(Kind::Canary, "e", 0);
        assert!(
            index
                .insert_recorded(&row, None, &deed("e", 5))
                .await
                .unwrap()
        );
        assert!(
            !index
                .insert_recorded(&row, None, &deed("e", 6))
                .await
                .unwrap()
        );
        let key = |record| async {
            let row = waiting(Kind::Canary, "k", 0);
            let record = Some(record);
            let kept = index.insert_execution_with_key(&row, None, "key", "f", 0, record.as_ref());
            kept.await.unwrap()
        };
        assert_eq!(key(deed("k", 7)).await, None);
        assert!(key(deed("k", 8)).await.is_some());
        let deeds = index.deeds(&DeedSearch::default(), None, 10).await.unwrap();
        let told: Vec<(&str, i64)> = deeds.iter().map(|row| (&*row.deed, row.at)).collect();
        assert_eq!(told, [("started", 7), ("started", 5), ("opened", 5)]);
        assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_in_the_middle_leaves_a_whole_chain() {
    on_each(async |index| {
        index.record(&deed("a", 1)).await.unwrap();
        let lost = async {
            let entry = deed("lost", 2);
            let mut recording = index.recording(Some(&entry)).await;
            let mut transaction = index.write.begin().await.unwrap();
            recording.write(&mut transaction).await.unwrap();
            // The process dies here.
        };
        lost.await;
        index.record(&deed("b", 3)).await.unwrap();
        let deeds = index.deeds(&DeedSearch::default(), None, 10).await.unwrap();
        let ids: Vec<&str> = deeds.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["b", "a", index.chain().id()]);
        assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
        let after_a_crash = replica(&index);
        after_a_crash.record(&deed("c", 4)).await.unwrap();
        assert_eq!(
            walked(&after_a_crash, after_a_crash.chain().id()).await,
            Ok(())
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_the_rest_stays_whole() {
    on_each(async |index| {
        for at in [10, 11, 30, 12, 31] {
            index.record(&deed("e", at)).await.unwrap();
        }
        let only = async || index.chains().await.unwrap().remove(0);
        let cases = [
            // until, exported, then kept from
            (10, 6, None),
            (12, 2, Some(2)),
            (12, 2, None),
            // One that is younger stands before row 5.
            (20, 6, Some(3)),
            (99, 5, Some(5)),
            (99, 9, Some(6)),
            (99, 9, None),
        ];
        for (until, exported, expected) in cases {
            let anchor = index.prune(&only().await, until, exported).await.unwrap();
            assert_eq!(anchor.map(|it| it.number), expected, "until {until}");
            assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
        }
        index.record(&deed("e", 100)).await.unwrap();
        let rows = index.chain_rows(index.chain().id(), 0, 9).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [7]);
        assert_eq!(walked(&index, index.chain().id()).await, Ok(()));
        break_it(&index, "UPDATE audit_chain SET anchor_hash = 'x'").await;
        let found = walked(&index, index.chain().id()).await;
        assert_eq!(found, Err(Fault::Changed(7)));
    })
    .await;
}

#[tokio::test]
async fn deeds_are_found_by_what_is_known_of_them_and_page_by_page() {
    on_each(async |index| {
        for at in 0..10 {
            let id = format!("e{}", at % 3);
            let entry = deed(&id, at).of(if at % 2 == 0 { "shop" } else { "pay, sh_p" });
            index.record(&entry).await.unwrap();
        }
        let found = async |search: DeedSearch<'_>| {
            let mut times = Vec::new();
            let mut place = None;
            loop {
                let rows = index.deeds(&search, place.as_ref(), 2).await.unwrap();
                let Some(last) = rows.last() else {
                    return times;
                };
                let told = DeedPlace::of(last).to_string();
                place = DeedPlace::parse(&told);
                assert!(place.is_some(), "{told}");
                times.extend(
                    rows.iter()
                        .filter(|row| row.deed == "started")
                        .map(|row| row.at),
                );
            }
        };
        let all = DeedSearch::default;
        let cases = [
            (all(), vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
            (
                DeedSearch {
                    since: Some(3),
                    until: Some(6),
                    ..all()
                },
                vec![5, 4, 3],
            ),
            (
                DeedSearch {
                    id: Some("e1"),
                    ..all()
                },
                vec![7, 4, 1],
            ),
            (
                DeedSearch {
                    application: Some("shop"),
                    ..all()
                },
                vec![8, 6, 4, 2, 0],
            ),
            (
                DeedSearch {
                    application: Some("sh_p"),
                    ..all()
                },
                vec![9, 7, 5, 3, 1],
            ),
            (
                DeedSearch {
                    application: Some("ay"),
                    ..all()
                },
                vec![],
            ),
            (
                DeedSearch {
                    who: Some("serin"),
                    since: Some(9),
                    ..all()
                },
                vec![9],
            ),
            (
                DeedSearch {
                    who: Some("user:ada"),
                    ..all()
                },
                vec![],
            ),
            (
                DeedSearch {
                    deed: Some("opened"),
                    ..all()
                },
                vec![],
            ),
        ];
        for (search, expected) in cases {
            assert_eq!(found(search.clone()).await, expected, "{search:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_leaves_long_details_out_and_a_row_has_them() {
    on_each(async |index| {
        let large = deed("large", 20).changing(None, Some(&json!("x".repeat(20_000))));
        index.record(&large).await.unwrap();
        let all = DeedSearch::default();
        let rows = index.deeds(&all, None, 1).await.unwrap();
        let left_out = &rows[0].details;
        assert!(left_out.starts_with("{\"leftOutBytes\":20"), "{left_out}");
        let whole = index.deed(&rows[0].chain, rows[0].number).await;
        assert!(20_000 < whole.unwrap().unwrap().details.len());
    })
    .await;
}
