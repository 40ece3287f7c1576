//! Servers that move what they are asked for to multiples of the step: nothing is put together of both.

use serde_json::json;
use serin::clock::Clock;

use crate::economy::{HOUR_ONE, MINUTE, answer, at, config_of, source_at, without_reuse};
use crate::prometheus_source::Asking;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// Shorter ranges are left where they are.
const FEWEST: i64 = 50;

/// As `AdjustStartEnd` of `VictoriaMetrics` does it.
fn moved(asked: &Asked) -> Asked {
    let millis = |name: &str| {
        serin::canary::Instant::parse(&asked.params[name])
            .unwrap()
            .as_millis()
    };
    let (mut start, mut end) = (millis("start"), millis("end"));
    let step = asked.params["step"].parse::<i64>().unwrap() * 1000;
    let points = (end - start) / step + 1;
    if FEWEST <= points {
        start -= start % step;
        end += (step - end % step) % step;
        while points < (end - start) / step + 1 {
            end -= step;
        }
    }
    let mut moved = asked.clone();
    moved.params.insert("start".to_owned(), at(start));
    moved.params.insert("end".to_owned(), at(end));
    moved
}

fn values(asked: &Asked) -> Reply {
    answer(&moved(asked), &["a", "b"], |label, time| {
        let number = time / 1000 % 97 + i64::from(label == "b");
        Some(f64::from(u8::try_from(number).unwrap()))
    })
}

fn victoria(asked: &Asked) -> Reply {
    let stats = json!({"seriesFetched": "2", "executionTimeMsec": 1});
    values(asked).saying("/stats", stats)
}

/// Minutes of windows that grow and slide.
const WINDOWS: [(i64, i64); 8] = [
    (0, 20),
    (0, 40),
    (0, 55),
    (0, 60),
    (5, 70),
    (5, 130),
    (5, 300),
    (200, 310),
];

/// How many requests windows took that are told as without reuse.
async fn check(script: fn(&Asked) -> Reply, shift: i64, windows: &[(i64, i64)]) -> usize {
    let clock = Clock::settable(HOUR_ONE + 600 * MINUTE);
    let server = ScriptedPrometheus::start(script).await;
    let config = config_of(&server);
    let (sparing, lavish) = (
        source_at(&config, &clock),
        source_at(&without_reuse(&config), &clock),
    );
    let mut asked = 0;
    for (slid, grown) in windows {
        let (start, end) = (
            HOUR_ONE + slid * MINUTE + shift,
            HOUR_ONE + grown * MINUTE + shift,
        );
        let asking = Asking::promql("m", &at(start), &at(end), 60);
        let before = server.asked().len();
        let sets = asking.fetch(&sparing).await.unwrap();
        asked += server.asked().len() - before;
        let whole = asking.fetch(&lavish).await.unwrap();
        assert_eq!(
            format!("{sets:?}"),
            format!("{whole:?}"),
            "{shift}: {slid} {grown}"
        );
    }
    asked
}

#[tokio::test]
async fn victoria_metrics_is_asked_for_the_whole_where_it_moves_it() {
    for shift in [0, 30_000, 59_999] {
        assert_eq!(check(victoria, shift, &WINDOWS).await, 8, "{shift}");
    }
}

#[tokio::test]
async fn what_is_on_the_grid_is_known_of_victoria_metrics_too() {
    let server = ScriptedPrometheus::start(victoria).await;
    let source = source_at(&config_of(&server), &Clock::System);
    for grown in [60, 90] {
        let asking = Asking::promql("m", &at(HOUR_ONE), &at(HOUR_ONE + grown * MINUTE), 60);
        asking.fetch(&source).await.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0].params["start"], at(HOUR_ONE));
    assert!(
        at(HOUR_ONE + 50 * MINUTE) < asked[1].params["start"],
        "{asked:?}"
    );
}

#[tokio::test]
async fn what_is_moved_without_a_word_is_not_kept() {
    fn always(asked: &Asked) -> Reply {
        let mut asked = asked.clone();
        for name in ["start", "end"] {
            let time = serin::canary::Instant::parse(&asked.params[name]).unwrap();
            let time = time.as_millis();
            asked
                .params
                .insert(name.to_owned(), at(time - time % MINUTE));
        }
        answer(&asked, &["a"], |_, time| {
            Some(f64::from(u8::try_from(time / MINUTE % 200).unwrap()))
        })
    }
    for shift in [0, 30_000] {
        assert_eq!(check(always, shift, &WINDOWS).await, 8, "{shift}");
    }
}

#[tokio::test]
async fn a_rest_that_was_moved_is_asked_for_with_the_whole() {
    // The first window is left where it is and kept; the rest of the second is moved.
    assert_eq!(check(values, 30_000, &[(0, 20), (0, 90)]).await, 3);
}
