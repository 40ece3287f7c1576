//! Loki's metric queries.

use std::time::Duration;

use serde_json::{Value, json};
use serin::canary::MetricSet;

use super::{answer, source};
use crate::prometheus_source::Asking;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const ERRORS: &str = r#"sum(count_over_time({app="${scope}"} |= "error" [1m]))"#;

fn logql(template: &str, start: &str, end: &str) -> Asking {
    let query = json!({"type": "prometheus", "customInlineTemplate": template});
    let scope = json!({"scope": "shop", "start": start, "end": end, "step": 60});
    Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
}

fn hour(template: &str) -> Asking {
    logql(template, "2024-06-01T01:00:30Z", "2024-06-01T02:00:30Z")
}

fn keys(url: &str) -> Value {
    json!({"endpoint": {"baseUrl": url}, "headers": {"X-Scope-OrgID": "team-a"}})
}

fn told<'a>(set: &'a MetricSet, name: &str) -> Option<&'a str> {
    let told = set.attributes.as_ref()?.get(name)?;
    Some(&**told)
}

/// As Loki does it: times are moved to multiples of the step, outwards.
fn moved(asked: &Asked) -> Reply {
    let seconds = |name: &str| {
        let instant = serin::canary::Instant::parse(&asked.params[name]).unwrap();
        instant.as_millis() / 1000
    };
    let (start, end) = (seconds("start"), seconds("end"));
    let (start, end) = (start / 60 * 60, (end + 59) / 60 * 60);
    let values: Vec<Value> = (start..=end)
        .step_by(60)
        .map(|time| json!([time, time.to_string()]))
        .collect();
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
        .saying("/data/stats", json!({"summary": {"execTime": 0.1}}))
}

#[tokio::test]
async fn a_loki_is_asked_below_its_path() {
    let loki = ScriptedPrometheus::start(|asked| match asked.path.as_str() {
        "/loki/api/v1/query_range" => moved(asked),
        "/loki/api/v1/labels" => answer(asked),
        _ => Reply::text(404, "404 page not found"),
    })
    .await;
    let source = source(&keys(&format!("{}/loki", loki.url)));
    for prefix in ["LogQL:", "PromQL:"] {
        let sets = hour(&format!("{prefix}{ERRORS}"))
            .fetch(&source)
            .await
            .unwrap();
        assert_eq!(sets[0].values.len(), 62);
        assert!(told(&sets[0], "link").is_none(), "there is no page to open");
        assert_eq!(told(&sets[0], "looksBack"), Some("60000"));
    }
    let names = source.metric_names("").await.unwrap();
    assert_eq!(names[0].name, "a");
    source.health().await.unwrap();
    let asked = loki.asked();
    assert_eq!(asked.len(), 4, "what was moved is not kept: {asked:?}");
    let expected = json!({
        "query": r#"sum(count_over_time({app="shop"} |= "error" [1m]))"#,
        "start": "2024-06-01T01:00:30Z", "end": "2024-06-01T02:00:30Z", "step": "60",
    });
    assert_eq!(json!(asked[0].params), expected);
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("x-scope-orgid") == Some("team-a"))
    );
}

#[tokio::test]
async fn the_point_between_two_pieces_is_told_once() {
    let loki = ScriptedPrometheus::start(moved).await;
    let source = source(&keys(&format!("{}/loki", loki.url)));
    let asking = logql(
        &format!("LogQL:{ERRORS}"),
        "2024-06-01T00:00:30Z",
        "2024-06-11T00:00:30Z",
    );
    let sets = asking.fetch(&source).await.unwrap();
    assert_eq!(loki.asked().len(), 2);
    let steps: Vec<i64> = sets[0]
        .timestamps
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(
        steps.iter().all(|step| *step == 60_000) && steps.len() == 14_401,
        "{}",
        steps.len()
    );
}

#[tokio::test]
async fn what_loki_says_is_heard() {
    let parse = "parse error at line 1, col 35: syntax error: unexpected IDENTIFIER, expecting STRING; and then some more words";
    let streams = json!({"status": "success", "data": {"resultType": "streams", "result": []}});
    let streams = json!({"resultType": "streams", "result": [{"stream": {}, "values": [["1", "line"]]}], "a": streams});
    let plain = |status, text: &str| {
        Reply::text(status, text).with("content-type", "text/plain; charset=utf-8")
    };
    let cases = [
        (plain(400, &format!("{parse}\n")), format!("Bad Request: {parse}")),
        (plain(401, "no org id\n"), "Unauthorized: no org id".to_owned()),
        (plain(400, "no team-a here"), "Bad Request: no … here".to_owned()),
        (
            Reply::text(200, json!({"status": "success", "data": streams}).to_string()),
            "it is of the type streams, which cannot be judged: a matrix is wanted, as count_over_time(…[1m]) or rate(…[1m]) make one of lines".to_owned(),
        ),
    ];
    for (reply, expected) in cases {
        let loki = ScriptedPrometheus::replying(vec![reply]).await;
        let source = source(&keys(&format!("{}/loki/", loki.url)));
        let told = hour(&format!("LogQL:{ERRORS}"))
            .fails(&source)
            .await
            .message;
        assert!(told.ends_with(&expected), "{told}");
    }
    let warning = Reply::matrix(&json!([])).saying("/warnings", json!(["a querier is away"]));
    let loki = ScriptedPrometheus::replying(vec![warning.after(Duration::ZERO)]).await;
    let source = source(&keys(&format!("{}/loki", loki.url)));
    let sets = hour(&format!("LogQL:{ERRORS}"))
        .fetch(&source)
        .await
        .unwrap();
    assert_eq!(told(&sets[0], "partial"), Some("a querier is away"));
}

#[tokio::test]
async fn logql_is_not_sent_to_a_prometheus() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let source = source(&keys(&prometheus.url));
    let told = hour(&format!("LogQL:{ERRORS}"))
        .fetch(&source)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        told,
        "the query is LogQL, and the account 'mine' is no Loki: the baseUrl of one ends in '/loki'"
    );
    // A value may not end its string there either.
    let loki = self::source(&keys(&format!("{}/loki", prometheus.url)));
    let query = json!({"type": "prometheus", "customInlineTemplate": format!("LogQL:{ERRORS}")});
    let scope = json!({"scope": "x\"} or {a=\"", "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z", "step": 60});
    let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope);
    let told = asking.fetch(&loki).await.unwrap_err().to_string();
    assert!(told.contains("the value of 'scope' holds a \""), "{told}");
    assert!(prometheus.asked().is_empty());
}
