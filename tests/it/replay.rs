//! The recorded exchanges with a Kayenta, played against serin: each is answered the same, or the
//! difference stands in `docs/kayenta.md`.

mod accounts;
mod compare;
pub mod documented;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::explained;
use crate::harness::{ALL_MAY_ALL, Serin, golden_lines, service};
use compare::{Answer, Comparison, Difference, Ids};
pub use documented::Documented;

const HEADING: &str = "## Recorded exchanges that serin answers differently";

/// Exchanges that cannot be played, by name.
const SKIPPED: &[(&str, &str)] = &[
    ("prom-down-done", "was still running when it was recorded"),
    ("prom-429-done", "was still running when it was recorded"),
    (
        "metadata-clean-*",
        "another instance answered, with other accounts",
    ),
    ("clean-*", "another instance answered, with other accounts"),
    (
        "s3b-metricSetList-get",
        "its id was taken from the hash order of a list",
    ),
    (
        "restart-scape-submit",
        "its config was stored by a request that was not recorded",
    ),
    ("live-config", "live series, in real time"),
    ("scape-live-*", "live series, in real time"),
    ("s3-metricSetPairList-list", "counts what the live run left"),
    ("s3-metricSetList-list", "counts what the live run left"),
];

/// Reports that a client wrote itself.
const FOREIGN: &[&str] = &["canary-get-from-archive"];

/// How long a request that polls may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits of the recording, in seconds, without which another state would be met.
const PAUSES: &[(&str, u64)] = &[
    ("cancel-delete-running", 2),
    ("cancel-scape-get", 3),
    ("admin-disabled-canary-get", 3),
];

#[derive(Default)]
struct Tally {
    total: usize,
    same: usize,
    documented: usize,
    skipped: usize,
    unexplained: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_exchanges_are_answered_as_kayenta_did_or_as_documented() {
    let (Some(prometheus), Some(s3)) = (
        service("SERIN_TEST_PROMETHEUS_URL"),
        service("SERIN_TEST_S3_ENDPOINT"),
    ) else {
        return;
    };
    accounts::empty_bucket(&s3).await;
    let file = accounts::configuration(&accounts::proxy(&prometheus).await, &s3).await;
    let file = format!("{file}\n{ALL_MAY_ALL}");
    let serin = Serin::start_with("", &[], Some(&file)).await;

    let exchanges = golden_lines("http.jsonl.gz");
    let mut documented = Documented::below(HEADING);
    let mut ids = Ids::needed_by(exchanges.iter().map(|exchange| &exchange["request"]));
    let mut used_skips = BTreeSet::new();
    let mut tally = Tally::default();
    let mut explained = 0;
    for exchange in &exchanges {
        let name = exchange["name"].as_str().unwrap();
        tally.total += 1;
        if let Some((pattern, _)) = SKIPPED
            .iter()
            .find(|(pattern, _)| documented::matches(pattern, name))
        {
            used_skips.insert(*pattern);
            tally.skipped += 1;
            continue;
        }
        let differences = if let Some(id) = ids.missing(&exchange["request"]) {
            vec![Difference::blocked(&id)]
        } else {
            let (answer, differences) = play(&serin, exchange, &mut ids).await;
            explained += check_explanations(name, &answer.body);
            differences
        };
        if differences.is_empty() {
            tally.same += 1;
            continue;
        }
        let unexplained: Vec<_> = differences
            .iter()
            .filter(|difference| !documented.explains(name, &difference.what))
            .map(ToString::to_string)
            .collect();
        if unexplained.is_empty() {
            tally.documented += 1;
        } else {
            tally.unexplained.push(format!(
                "{} {name}\n    {}",
                exchange["n"],
                unexplained.join("\n    ")
            ));
        }
    }
    report(&tally);
    assert_eq!(tally.unexplained.len(), 0, "unexplained differences");
    let unused = documented.unused();
    assert!(unused.is_empty(), "no exchange needs {unused:#?}");
    let known: BTreeSet<_> = SKIPPED.iter().map(|(pattern, _)| *pattern).collect();
    assert!(80 < explained, "{explained} results are explained");
    assert_eq!(used_skips, known, "what is skipped must be there");
}

/// Past the capture of the test's output, so that every run shows it.
fn report(tally: &Tally) {
    let mut text = format!(
        "\nreplay: {} exchanges: {} same, {} different as documented, {} skipped, {} unexplained\n",
        tally.total,
        tally.same,
        tally.documented,
        tally.skipped,
        tally.unexplained.len()
    );
    for entry in &tally.unexplained {
        text += entry;
        text.push('\n');
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Sends one exchange until its answer is as far as the recorded one, and compares.
async fn play(serin: &Serin, exchange: &Value, ids: &mut Ids) -> (Answer, Vec<Difference>) {
    let name = exchange["name"].as_str().unwrap();
    let (request, recorded) = (&exchange["request"], Answer::recorded(exchange));
    if let Some((_, seconds)) = PAUSES.iter().find(|(paused, _)| *paused == name) {
        tokio::time::sleep(Duration::from_secs(*seconds)).await;
    }
    let start = Instant::now();
    let mut answer = send(serin, request, ids).await;
    while request["method"] == "GET"
        && answer.is_behind(&recorded, start.elapsed())
        && start.elapsed() < PATIENCE
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = send(serin, request, ids).await;
    }
    let differences = Comparison::new(name, ids).compare(&recorded, &answer);
    (answer, differences)
}

/// How many results a run explains: all of them, and what did not pass with the queries of both
/// sides.
fn check_explanations(name: &str, body: &Value) -> usize {
    let judged = &body["result"]["judgeResult"];
    let Some(results) = judged["results"].as_array() else {
        return 0;
    };
    if FOREIGN.contains(&name) {
        assert_eq!(judged["summary"], Value::Null, "{name}");
        return 0;
    }
    let thresholds = &body["canaryExecutionRequest"]["thresholds"];
    let wrong = explained::complaints(judged, thresholds);
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    for result in results {
        let queries = &result["explanation"]["queries"];
        let are_there = ["control", "experiment"].map(|side| queries[side]["text"].is_string());
        assert!(
            result["classification"] == "Pass" || are_there == [true, true],
            "{name}: {result}"
        );
    }
    results.len()
}

async fn send(serin: &Serin, request: &Value, ids: &Ids) -> Answer {
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let url = format!(
        "{}{}",
        serin.client.url,
        ids.live(request["path"].as_str().unwrap())
    );
    let mut headers = BTreeMap::from([("accept".to_owned(), Some("application/json".to_owned()))]);
    let body = match (&request["rawBody"], &request["body"]) {
        (Value::String(raw), _) => Some(ids.live(raw)),
        (_, Value::Null) => None,
        (_, body) => Some(ids.live(&body.to_string())),
    };
    if body.is_some() {
        headers.insert(
            CONTENT_TYPE.to_string(),
            Some("application/json".to_owned()),
        );
    }
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        headers.insert(name.to_lowercase(), value.as_str().map(str::to_owned));
    }
    let mut query = Vec::new();
    for (name, value) in request["query"].as_object().into_iter().flatten() {
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            let text = value.as_str().map_or(value.to_string(), str::to_owned);
            query.push((name.clone(), ids.live(&text)));
        }
    }

    let mut sending = serin.client.http.request(method, url).query(&query);
    for (name, value) in headers {
        if let Some(value) = value {
            sending = sending.header(name, value);
        }
    }
    if let Some(body) = body {
        sending = sending.body(body);
    }
    Answer::read(sending.send().await.unwrap()).await
}
