//! As few requests and samples as it takes.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use serin::canary::Instant;
use serin::clock::Clock;
use serin::config::Config;
use serin::metrics::MetricSource;

use crate::prometheus_source::{Asking, account, config, open, open_at, source};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// 2024-06-01T01:00:00Z
pub const HOUR_ONE: i64 = 1_717_203_600_000;
pub const MINUTE: i64 = 60_000;

pub fn at(millis: i64) -> String {
    Instant::from_millis(millis).unwrap().to_string()
}

/// `m` at every minute of a window.
fn window(start: i64, end: i64) -> Asking {
    Asking::promql("m", &at(start), &at(end), 60)
}

pub fn config_of(prometheus: &ScriptedPrometheus) -> Config {
    config(vec![("mine", account(&prometheus.url))])
}

pub fn source_at(config: &Config, clock: &Clock) -> Arc<dyn MetricSource> {
    open_at(config, clock).unwrap()[0].clone()
}

pub fn without_reuse(config: &Config) -> Config {
    let mut config = config.clone();
    config.sources.prometheus.reuse.enabled = false;
    config
}

pub fn asked_millis(asked: &Asked, name: &str) -> i64 {
    Instant::parse(&asked.params[name]).unwrap().as_millis()
}

/// Minutes since `HOUR_ONE` of the windows that were asked for.
pub fn windows(prometheus: &ScriptedPrometheus) -> Vec<(i64, i64)> {
    let asked = prometheus.asked();
    let minute = |asked: &Asked, name| (asked_millis(asked, name) - HOUR_ONE) / MINUTE;
    let window = |asked: &Asked| (minute(asked, "start"), minute(asked, "end"));
    asked.iter().map(window).collect()
}

/// What a Prometheus with these series answers to a range query; `data` has the value at a time.
pub fn answer(asked: &Asked, labels: &[&str], data: impl Fn(&str, i64) -> Option<f64>) -> Reply {
    let (start, end) = (asked_millis(asked, "start"), asked_millis(asked, "end"));
    let step: usize = asked.params["step"].parse().unwrap();
    let series = labels.iter().filter_map(|label| {
        let samples = (start..=end).step_by(step * 1000).filter_map(|time| {
            let value = data(label, time)?.to_string();
            Some(match time % 1000 {
                0 => json!([time / 1000, value]),
                _ => json!([
                    Duration::from_millis(time.unsigned_abs()).as_secs_f64(),
                    value
                ]),
            })
        });
        let samples: Vec<Value> = samples.collect();
        (!samples.is_empty()).then(|| json!({"metric": {"x": label}, "values": samples}))
    });
    Reply::matrix(&series.collect())
}

async fn minutes() -> ScriptedPrometheus {
    ScriptedPrometheus::start(|asked| answer(asked, &["a"], |_, time| Some(as_double(time)))).await
}

fn as_double(time: i64) -> f64 {
    Duration::from_millis(time.unsigned_abs()).as_secs_f64()
}

#[tokio::test]
async fn a_hundred_equal_queries_at_once_are_one_request() {
    let slow = Reply::matrix(&json!([{"metric": {}, "values": [[1_717_203_600, "1"]]}]));
    let slow = slow.after(Duration::from_millis(100));
    let prometheus = ScriptedPrometheus::replying(vec![slow]).await;
    let mut account = account(&prometheus.url);
    account.http.max_concurrent_queries = 1;
    let source = source(&config(vec![("mine", account)]));
    let asking = Asking::up();
    let answers = join_all((0..100).map(|_| asking.fetch(&source))).await;
    for sets in answers {
        assert_eq!(sets.unwrap()[0].values, [1.0]);
    }
    assert_eq!(prometheus.asked().len(), 1);
}

#[tokio::test]
async fn other_ranges_steps_and_accounts_are_other_queries() {
    let slow = || Reply::matrix(&json!([])).after(Duration::from_millis(50));
    let prometheus = ScriptedPrometheus::start(move |_| slow()).await;
    let accounts = ["one", "two"].map(|name| (name, account(&prometheus.url)));
    let sources = open(&config(accounts.to_vec())).unwrap();
    let (start, end) = (at(HOUR_ONE), at(HOUR_ONE + MINUTE));
    let asking = [
        Asking::promql("m", &start, &end, 60),
        Asking::promql("m", &start, &end, 30),
        Asking::promql("m", &start, &start, 60),
        Asking::promql("n", &start, &end, 60),
    ];
    let queries = asking.iter().flat_map(|asking| {
        let twice = sources.values().flat_map(|source| [source, source]);
        twice.map(move |source| asking.fetch(source))
    });
    assert!(join_all(queries).await.iter().all(Result::is_ok));
    assert_eq!(prometheus.asked().len(), 8);
}

#[tokio::test]
async fn who_waits_gets_an_answer_though_the_first_who_asked_is_gone() {
    let slow = Reply::matrix(&json!([])).after(Duration::from_millis(300));
    let prometheus = ScriptedPrometheus::replying(vec![slow]).await;
    let source = source(&config_of(&prometheus));
    let ask = |source: Arc<dyn MetricSource>| async move { Asking::up().fetch(&source).await };
    let first = tokio::spawn(ask(source.clone()));
    while prometheus.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = tokio::spawn(ask(source.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap().unwrap().len(), 1);
    assert_eq!(prometheus.asked().len(), 1);
}

#[tokio::test]
async fn an_error_reaches_all_and_the_next_one_asks_anew() {
    let refused = Reply::text(400, "no").after(Duration::from_millis(50));
    let replies = vec![refused, Reply::matrix(&json!([]))];
    let prometheus = ScriptedPrometheus::replying(replies).await;
    let source = source(&config_of(&prometheus));
    let asking = Asking::up();
    for error in join_all((0..10).map(|_| asking.fails(&source))).await {
        let told = "Bad Request: a text that begins 'no' came from ";
        assert!(error.message.starts_with(told), "{}", error.message);
        assert_eq!((error.query.as_str(), error.status), ("up", Some(400)));
    }
    assert_eq!(prometheus.asked().len(), 1);
    asking.fetch(&source).await.unwrap();
    assert_eq!(prometheus.asked().len(), 2);
}

#[tokio::test]
async fn a_growing_window_is_asked_for_its_tail() {
    let prometheus = minutes().await;
    let clock = Clock::settable(HOUR_ONE);
    let source = source_at(&config_of(&prometheus), &clock);
    for grown in [10, 20, 30, 40] {
        let end = HOUR_ONE + grown * MINUTE;
        clock.set(end);
        let sets = window(HOUR_ONE, end).fetch(&source).await.unwrap();
        let points = usize::try_from(grown + 1).unwrap();
        assert_eq!(sets[0].values.len(), points);
        let expected: Vec<i64> = (HOUR_ONE..=end).step_by(60_000).collect();
        assert_eq!(sets[0].timestamps, expected);
    }
    assert_eq!(windows(&prometheus), [(0, 10), (6, 20), (16, 30), (26, 40)]);
}

#[tokio::test]
async fn a_sliding_window_and_a_shifted_control_are_asked_for_their_tails() {
    let prometheus = minutes().await;
    let source = source(&config_of(&prometheus));
    for slid in [0, 10, 20, 30] {
        for offset in [60, 0] {
            let end = HOUR_ONE + (30 + slid - offset) * MINUTE;
            window(end - 30 * MINUTE, end).fetch(&source).await.unwrap();
        }
    }
    let expected = [
        (-60, -30),
        (0, 30),
        (-34, -20),
        (26, 40),
        (-24, -10),
        (36, 50),
        (-14, 0),
        (46, 60),
    ];
    assert_eq!(windows(&prometheus), expected);
}

#[tokio::test]
async fn without_reuse_every_window_is_asked_for_whole() {
    let prometheus = minutes().await;
    let source = source(&without_reuse(&config_of(&prometheus)));
    for grown in [10, 20, 30, 40] {
        let asking = window(HOUR_ONE, HOUR_ONE + grown * MINUTE);
        asking.fetch(&source).await.unwrap();
    }
    assert_eq!(windows(&prometheus), [(0, 10), (0, 20), (0, 30), (0, 40)]);
}

#[tokio::test]
async fn what_was_fresh_or_not_yet_there_is_asked_for_again() {
    let prometheus = minutes().await;
    let clock = Clock::settable(HOUR_ONE + 12 * MINUTE);
    let source = source_at(&config_of(&prometheus), &clock);
    // The windows end in an hour; twelve minutes of them have passed, and then twenty.
    for (now, grown) in [(12, 60), (12, 61), (20, 62), (90, 63), (90, 64)] {
        clock.set(HOUR_ONE + now * MINUTE);
        let asking = window(HOUR_ONE, HOUR_ONE + grown * MINUTE);
        asking.fetch(&source).await.unwrap();
    }
    let expected = [(0, 60), (8, 61), (8, 62), (16, 63), (59, 64)];
    assert_eq!(windows(&prometheus), expected);
}

#[tokio::test]
async fn an_answer_that_lacks_something_is_told_and_not_kept() {
    let histogram = json!([[HOUR_ONE / 1000, {"count": "10", "sum": "2.5"}]]);
    let cases = [
        (
            "/warnings",
            json!(["a store is away"]),
            "partial",
            "a store is away",
        ),
        ("/isPartial", json!(true), "partial", "isPartial"),
        (
            "/infos",
            json!(["PromQL info: a is no counter"]),
            "warnings",
            "PromQL info: a is no counter",
        ),
        (
            "/warnings",
            json!(["PromQL warning: no le"]),
            "warnings",
            "PromQL warning: no le",
        ),
        (
            "/data/result/0/histograms",
            histogram,
            "dropped",
            "1 of 22 are native histograms",
        ),
    ];
    for (pointer, value, attribute, expected) in cases {
        let saying = move |asked: &Asked| {
            let reply = answer(asked, &["a"], |_, time| Some(as_double(time)));
            // The first window ends at 20 minutes.
            if asked_millis(asked, "end") == HOUR_ONE + 20 * MINUTE {
                return reply.saying(pointer, value.clone());
            }
            reply
        };
        let prometheus = ScriptedPrometheus::start(saying).await;
        let clock = Clock::settable(HOUR_ONE + 60 * MINUTE);
        let source = source_at(&config_of(&prometheus), &clock);
        for (grown, told) in [(20, Some(expected)), (30, None), (40, None)] {
            let asking = window(HOUR_ONE, HOUR_ONE + grown * MINUTE);
            let sets = asking.fetch(&source).await.unwrap();
            let attributes = sets[0].attributes.as_ref().unwrap();
            let found = attributes.get(attribute).map(|text| &**text);
            assert_eq!(found, told, "{pointer}");
        }
        // What was noticed in the query says nothing of the answer.
        let again = if pointer == "/infos" { 16 } else { 0 };
        assert_eq!(
            windows(&prometheus),
            [(0, 20), (again, 30), (26, 40)],
            "{pointer}"
        );
    }
}

#[tokio::test]
async fn a_link_opens_the_query_where_people_reach_prometheus() {
    let prometheus = minutes().await;
    let mut account = account(&prometheus.url);
    account.public_url = "https://prometheus.example.com/p".to_owned();
    let source = source(&config(vec![("mine", account)]));
    let sets = Asking::promql(
        "a{b=\"c d\"}",
        &at(HOUR_ONE),
        &at(HOUR_ONE + 30 * MINUTE),
        60,
    )
    .fetch(&source)
    .await
    .unwrap();
    assert_eq!(
        &**sets[0].attributes.as_ref().unwrap().get("link").unwrap(),
        "https://prometheus.example.com/p/graph?g0.expr=a%7Bb%3D%22c+d%22%7D&g0.tab=0&g0.range_input=1800s\
         &g0.end_input=2024-06-01T01%3A30%3A00Z&g0.step_input=60"
    );
}

#[tokio::test]
async fn a_failed_tail_leaves_what_is_known() {
    let asked = AtomicUsize::new(0);
    let prometheus =
        ScriptedPrometheus::start(move |request| match asked.fetch_add(1, Ordering::SeqCst) {
            2 => Reply::text(400, "no"),
            _ => answer(request, &["a"], |_, _| Some(1.0)),
        });
    let prometheus = prometheus.await;
    let source = source(&config_of(&prometheus));
    let grown = |minutes| window(HOUR_ONE, HOUR_ONE + minutes * MINUTE);
    grown(10).fetch(&source).await.unwrap();
    grown(20).fetch(&source).await.unwrap();
    grown(30).fails(&source).await;
    let sets = grown(30).fetch(&source).await.unwrap();
    assert_eq!(sets[0].values, [1.0; 31]);
    assert_eq!(windows(&prometheus), [(0, 10), (6, 20), (16, 30), (16, 30)]);
}

#[tokio::test]
async fn what_may_not_be_put_together_is_asked_for_whole() {
    // Not in the order of labels; off the grid; `null`, which no Prometheus sends.
    let unordered = |asked: &Asked| answer(asked, &["b", "a"], |_, _| Some(1.0));
    let elsewhere =
        |_: &Asked| Reply::matrix(&json!([{"metric": {}, "values": [[1_717_203_601, "1"]]}]));
    let null =
        |_: &Asked| Reply::matrix(&json!([{"metric": {}, "values": [[1_717_203_600, null]]}]));
    let scripts: [(&str, Script); 6] = [
        ("m", unordered),
        ("m", elsewhere),
        ("m", null),
        ("m @ end()", |asked| answer(asked, &["a"], |_, _| Some(1.0))),
        ("m offset -5m", |asked| {
            answer(asked, &["a"], |_, _| Some(1.0))
        }),
        ("running_sum(m)", |asked| {
            answer(asked, &["a"], |_, _| Some(1.0))
        }),
    ];
    for (query, script) in scripts {
        let prometheus = ScriptedPrometheus::start(script).await;
        let source = source(&config_of(&prometheus));
        for grown in [10, 20, 30, 40] {
            let end = HOUR_ONE + grown * MINUTE;
            let asking = Asking::promql(query, &at(HOUR_ONE), &at(end), 60);
            asking.fetch(&source).await.unwrap();
        }
        assert_eq!(windows(&prometheus), [(0, 10), (0, 20), (0, 30), (0, 40)]);
    }
}

#[tokio::test]
async fn a_tail_in_another_order_makes_the_whole_be_asked_for() {
    let late = HOUR_ONE + 25 * MINUTE;
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let begins = |label: &str, time| label == "b" || late <= time;
        answer(asked, &["b", "a"], |label, time| {
            begins(label, time).then_some(1.0)
        })
    });
    let prometheus = prometheus.await;
    let source = source(&config_of(&prometheus));
    for grown in [10, 20, 30] {
        let sets = window(HOUR_ONE, HOUR_ONE + grown * MINUTE);
        let sets = sets.fetch(&source).await.unwrap();
        let names: Vec<_> = sets.iter().map(|set| set.tags["x"].as_str()).collect();
        assert_eq!(
            names,
            if grown == 30 {
                vec!["b", "a"]
            } else {
                vec!["b"]
            }
        );
    }
    assert_eq!(windows(&prometheus), [(0, 10), (6, 20), (16, 30), (0, 30)]);
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let prometheus = minutes().await;
    let mut config = config_of(&prometheus);
    // An answer of an hour, and no room for an eighth of it.
    config.sources.prometheus.reuse.max_bytes = 1000;
    let source = source(&config);
    for grown in [60, 70, 80] {
        let asking = window(HOUR_ONE, HOUR_ONE + grown * MINUTE);
        asking.fetch(&source).await.unwrap();
    }
    assert_eq!(windows(&prometheus), [(0, 60), (0, 70), (0, 80)]);
}

type Script = fn(&Asked) -> Reply;

#[tokio::test]
async fn twelve_growing_intervals_fetch_little_more_than_the_last_window() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let (start, end) = (asked_millis(asked, "start"), asked_millis(asked, "end"));
        let points = usize::try_from((end - start) / MINUTE + 1).unwrap();
        counter.fetch_add(points, Ordering::SeqCst);
        answer(asked, &["a"], |_, _| Some(1.0))
    });
    let prometheus = prometheus.await;
    let clock = Clock::settable(HOUR_ONE);
    let source = source_at(&config_of(&prometheus), &clock);
    let queries: Vec<String> = (0..40).map(|index| format!("m{index}")).collect();
    let mut last = 0;
    for interval in 1..=12 {
        let end = HOUR_ONE + interval * 30 * MINUTE;
        clock.set(end + 1000);
        let asking = queries.iter().map(|query| {
            let asking = Asking::promql(query, &at(HOUR_ONE), &at(end), 60);
            let source = Arc::clone(&source);
            async move { asking.fetch(&source).await.unwrap()[0].values.len() }
        });
        last = join_all(asking).await.into_iter().sum();
    }
    assert_eq!(last, 40 * 361);
    let percent = sent.load(Ordering::SeqCst) * 100 / last;
    assert!((100..=130).contains(&percent), "{percent} %");
}
