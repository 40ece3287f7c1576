//! ClickHouse: what is asked of it, what its rows become, what it refuses.

use std::sync::Arc;

use serde_json::{Value, json};
use serin::error::Error;
use serin::metrics::{MetricSource, library};

use super::{START, open, reply};
use crate::harness::{Serin, service};
use crate::prometheus_source::Asking;
use crate::stand_in::StandIn;

const STORE: &str = "memory: {enabled: true, accounts: [{name: m, supportedTypes: [OBJECT_STORE, \
                     CONFIGURATION_STORE]}]}";

fn account(url: &str, more: &str) -> String {
    format!(
        "clickhouse: {{enabled: true, queryDeadline: 45s, accounts: [{{name: ch, endpointUrl: '{url}', {more}}}]}}"
    )
}

/// For ten minutes of one version.
fn asking(template: &str, scope: &str) -> Asking {
    let query = json!({"type": "clickhouse", "customInlineTemplate": template});
    let scope = json!({"scope": scope, "location": "eu", "start": "2024-06-01T00:00:00Z",
        "end": "2024-06-01T00:10:00Z", "step": 60});
    Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
}

/// Lines of names, of types, and rows.
fn rows(lines: &[Value]) -> Value {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    reply("application/x-ndjson", &format!("{}\n", lines.join("\n")))
}

async fn source_of(replies: Vec<Value>) -> (Arc<dyn MetricSource>, StandIn) {
    let stand_in = StandIn::start().await;
    let login = "username: u, password: p, database: d";
    let sources = open(&account(&format!("{}/ch", stand_in.url), login));
    stand_in.play(replies);
    (Arc::clone(&sources["ch"]), stand_in)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_sent_with_limits_and_its_values_apart() {
    let (source, stand_in) = source_of(vec![rows(&[json!(["v"]), json!(["Float64"])])]).await;
    let template = "SELECT avg(v) FROM t WHERE a = '${scope}' AND b = {location:String} AND c LIKE '${scope}%' \
                    AND at >= ${startEpochSeconds} AND at < ${endEpochSeconds} LIMIT ${step}";
    let asking = asking(template, "v1\t");
    let sets = asking.fetch(&source).await.unwrap();
    let asked = &stand_in.asked()[0];
    let sent = "SELECT avg(v) FROM t WHERE a = {serin_0:String} AND b = {location:String} AND c LIKE 'v1\t%' \
                AND at >= 1717200000 AND at < 1717200600 LIMIT 60";
    assert_eq!(
        (
            asked.method.as_str(),
            asked.path.as_str(),
            asked.body.as_str()
        ),
        ("POST", "/ch/", sent)
    );
    let bytes = (64 << 20).to_string();
    let expected = [
        ("cancel_http_readonly_queries_on_client_close", "1"),
        ("database", "d"),
        ("date_time_output_format", "iso"),
        ("default_format", "JSONCompactEachRowWithNamesAndTypes"),
        ("max_execution_time", "45"),
        ("max_result_bytes", &bytes),
        ("max_result_rows", "2500000"),
        ("output_format_json_quote_denormals", "1"),
        ("param_location", "eu"),
        ("param_serin_0", "v1\\t"),
        ("readonly", "1"),
        ("result_overflow_mode", "throw"),
        ("wait_end_of_query", "1"),
    ];
    let query: Vec<_> = asked
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(query, expected);
    assert_eq!(asked.headers["authorization"], "Basic dTpw");
    // Without rows there is one set, and nothing in it.
    let given = serde_json::to_value(&sets).unwrap();
    assert_eq!(
        (sets.len(), &given[0]["values"], &given[0]["stepMillis"]),
        (1, &json!([]), &json!(60_000))
    );
    let told = "SELECT avg(v) FROM t WHERE a = 'v1\t' AND b = 'eu' AND c LIKE 'v1\t%' \
                AND at >= 1717200000 AND at < 1717200600 LIMIT 60";
    assert_eq!(given[0]["attributes"]["query"], told);

    let bare = open(&account(&stand_in.url, "sendSettings: false"));
    asking.fetch(&bare["ch"]).await.unwrap();
    let asked = &stand_in.asked()[1];
    let names: Vec<&str> = asked.query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "default_format",
            "param_location",
            "param_serin_0",
            "wait_end_of_query"
        ]
    );
    assert_eq!(asked.headers.get("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn rows_become_series() {
    let at = |minute: i64| START + 60 * minute;
    let minute = |minute: i64| format!("2024-06-01T00:{minute:02}:00Z");
    // A set that begins at that time, with that many steps and values at some of these.
    let set = |tags: Value, start: i64, steps: usize, values: &[(usize, f64)]| {
        let mut all = vec![json!("NaN"); steps];
        for (place, value) in values {
            all[*place] = if value.is_finite() {
                json!(value)
            } else {
                json!("Infinity")
            };
        }
        json!({"tags": tags, "values": all, "startTimeMillis": start * 1000, "stepMillis": 60_000})
    };
    let cases = [
        (
            "as in Kayenta: rows in their order, from the start on",
            vec![
                json!(["v", "more"]),
                json!(["Nullable(Float64)", "UInt8"]),
                json!([1.5, 9]),
                json!([null, 9]),
                json!(["3", 9]),
            ],
            vec![set(json!({}), START, 3, &[(0, 1.5), (2, 3.0)])],
            "'v' is judged, as the first column of numbers, and not: more",
        ),
        (
            "times in no order, with gaps",
            vec![
                json!(["v", "at"]),
                json!(["Float64", "DateTime('UTC')"]),
                json!([4, minute(9)]),
                json!([1, minute(7)]),
                json!(["inf", minute(6)]),
            ],
            vec![set(
                json!({}),
                START,
                10,
                &[(6, f64::INFINITY), (7, 1.0), (9, 4.0)],
            )],
            "",
        ),
        (
            "seconds, and texts as labels",
            vec![
                json!(["time", "pod", "v"]),
                json!(["UInt32", "LowCardinality(String)", "Decimal(9, 2)"]),
                json!([at(8), "b", 2]),
                json!([at(9), "a", 1]),
                json!([at(9), "b", 3]),
            ],
            vec![
                set(json!({"pod": "a"}), START, 10, &[(9, 1.0)]),
                set(json!({"pod": "b"}), START, 10, &[(8, 2.0), (9, 3.0)]),
            ],
            "",
        ),
        (
            "nanoseconds, and a step that began before the window",
            vec![
                json!(["ts", "v"]),
                json!(["Int64", "Float64"]),
                json!([(at(0) - 30) * 1_000_000_000, 1]),
                json!([format!("{}", (at(0) + 30) * 1_000_000_000), 2]),
                json!([(at(0) - 90) * 1_000_000_000, 7]),
            ],
            vec![set(json!({}), START - 30, 11, &[(0, 1.0), (1, 2.0)])],
            "1 of 3 rows are left out, as their times lie beyond the window",
        ),
        (
            "times of no raster",
            vec![
                json!(["v", "t"]),
                json!(["Float64", "DateTime64(9)"]),
                json!([2, "2024-06-01T00:00:07.250000000Z"]),
                json!([1, "2024-06-01T00:00:01.000000000Z"]),
                json!([3, "2024-06-01T00:00:07.250000000Z"]),
            ],
            vec![set(json!({}), START, 3, &[(0, 1.0), (1, 2.0), (2, 3.0)])],
            "the rows lie at irregular times",
        ),
    ];
    for (name, lines, expected, warning) in cases {
        let (source, _) = source_of(vec![rows(&lines)]).await;
        let sets = asking("SELECT ${step}", "v1").fetch(&source).await.unwrap();
        let sets = serde_json::to_value(sets).unwrap();
        assert_eq!(sets.as_array().unwrap().len(), expected.len(), "{name}");
        for (at, wanted) in expected.iter().enumerate() {
            for (member, wanted) in wanted.as_object().unwrap() {
                assert_eq!(sets[at][member], *wanted, "{name}: {member}");
            }
        }
        let told = sets[0]["attributes"]["warnings"]
            .as_str()
            .unwrap_or_default();
        assert!(
            told.contains(warning) && told.is_empty() == warning.is_empty(),
            "{name}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn what_is_no_answer_is_told_in_the_words_of_clickhouse() {
    let exception = |status: u16, code: &str, text: &str| json!({"status": status, "headers": {"content-type": "text/plain", "x-clickhouse-exception-code": code}, "body": text});
    let head = "[\"v\"]\n[\"Float64\"]\n[1]\n";
    let in_the_midst = |text: &str| reply("application/x-ndjson", &format!("{head}{text}"));
    let unknown =
        "Code: 60. DB::Exception: Table default.x doesn't exist for u:p. (UNKNOWN_TABLE)\n";
    let cases = [
        // what came, what is told, how often it was asked for
        (
            exception(404, "60", unknown),
            "Code: 60. DB::Exception: Table default.x doesn't exist",
            1,
        ),
        (
            exception(
                500,
                "164",
                "Code: 164. DB::Exception: Cannot modify 'readonly' setting in readonly mode.",
            ),
            "Code: 164. DB::Exception: Cannot modify",
            1,
        ),
        (
            exception(
                500,
                "202",
                "Code: 202. DB::Exception: Too many simultaneous queries.",
            ),
            "Too many simultaneous queries",
            3,
        ),
        (
            exception(
                200,
                "241",
                &format!("{head}Code: 241. DB::Exception: Memory limit exceeded"),
            ),
            "Code: 241. DB::Exception: Memory limit exceeded",
            3,
        ),
        (exception(500, "47", ""), "exception 47 of ClickHouse", 1),
        (
            reply("text/plain", "Code: 62. DB::Exception: Syntax error"),
            "Code: 62. DB::Exception: Syntax error",
            1,
        ),
        (
            in_the_midst("Code: 395. DB::Exception: Value passed to 'throwIf'\n"),
            "Code: 395. DB::Exception: Value passed to 'throwIf'",
            1,
        ),
        (
            in_the_midst(
                "\r\n__exception__\r\nabcdefgh\r\nCode: 395. DB::Exception: Value passed\r\n57 abcdefgh\r\n__exception__\r\n",
            ),
            "Code: 395. DB::Exception: Value passed",
            1,
        ),
        (
            in_the_midst("{\"v\": 1}\n"),
            "it is no row of JSONCompactEachRowWithNamesAndTypes",
            1,
        ),
        (
            reply("application/json", "{\"data\": []}"),
            "names and types of its columns are missing",
            1,
        ),
        (
            rows(&[json!(["v"]), json!(["Float64"]), json!(["x"])]),
            "the column 'v' has \"x\", which is no number",
            1,
        ),
        (
            rows(&[
                json!(["v", "t"]),
                json!(["Float64", "DateTime"]),
                json!([1, "2024-06-01 00:00:00"]),
            ]),
            "the column 't' has \"2024-06-01 00:00:00\", where a time is wanted: a DateTime, or seconds since 1970 by toUnixTimestamp",
            1,
        ),
        (
            rows(&[
                json!(["v", "a", "b"]),
                json!(["Float64", "DateTime", "Date"]),
            ]),
            "several columns of times (a, b)",
            1,
        ),
        (
            rows(&[json!(["t", "a"]), json!(["DateTime", "Array(Float64)"])]),
            "no column of numbers (t DateTime, a Array(Float64))",
            1,
        ),
        (
            rows(&[json!(["v"]), json!([])]),
            "not as many types as names",
            1,
        ),
    ];
    for (came, expected, times) in cases {
        let (source, stand_in) = source_of(vec![came]).await;
        let told = asking("SELECT 1", "v1")
            .fetch(&source)
            .await
            .unwrap_err()
            .to_string();
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(stand_in.asked().len(), times, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_series_are_read_than_may_be() {
    let wide: Vec<Value> = (0..1_001).map(|at| json!([1, at.to_string()])).collect();
    let lines: Vec<Value> = [json!(["v", "pod"]), json!(["Float64", "String"])]
        .into_iter()
        .chain(wide)
        .collect();
    let (source, _) = source_of(vec![rows(&lines)]).await;
    let told = asking("SELECT 1", "v1")
        .fetch(&source)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("more than 1000 series (limits.series)"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_asks_who_it_is() {
    let (source, stand_in) = source_of(vec![
        rows(&[json!(["1"]), json!(["UInt8"]), json!([1])]),
        json!({"status": 403, "headers": {"x-clickhouse-exception-code": "516"}, "body": "Code: 516. DB::Exception: u: Authentication failed"}),
    ])
    .await;
    source.health().await.unwrap();
    let told = source.health().await.unwrap_err().to_string();
    assert!(told.contains("Authentication failed"), "{told}");
    assert_eq!(stand_in.asked()[0].body, "SELECT 1");
}

/// The engine of ClickHouse behind an HTTP front, with a database of this test in it.
async fn real(name: &str, statements: &[&str]) -> Option<String> {
    let url = service("SERIN_TEST_CLICKHOUSE_URL")?;
    let client = reqwest::Client::builder().build().unwrap();
    let database = format!("CREATE DATABASE {name}");
    for statement in [database.as_str()].iter().chain(statements) {
        let sent = client
            .post(&url)
            .body((*statement).to_owned())
            .send()
            .await
            .unwrap();
        let status = sent.status();
        assert!(
            status.is_success(),
            "{statement}: {}",
            sent.text().await.unwrap()
        );
    }
    Some(url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_metric_is_judged_by_clickhouse_itself() {
    let fill = "INSERT INTO serin_documented.requests SELECT fromUnixTimestamp64Milli((1717200000 + number) * 1000), \
                100 + number % 7 + (number % 2) * 50, if(number % 2 = 0, 'v1', 'it''s v2\\\\') FROM numbers(1800)";
    let table = "CREATE TABLE serin_documented.requests (at DateTime64(3), latency Float64, version LowCardinality(String)) \
                 ENGINE = MergeTree ORDER BY at";
    let Some(url) = real("serin_documented", &[table, fill]).await else {
        return;
    };
    let page = std::fs::read_to_string("docs/sources/clickhouse.md").unwrap();
    let (_, metric) = page.split_once("```json").unwrap();
    let metric: Value = serde_json::from_str(metric.split_once("```").unwrap().0).unwrap();
    let account = account(&url, "database: serin_documented");
    let serin = Serin::start_with(
        "",
        &[],
        Some(&format!("kayenta:\n  {STORE}\n  {account}\n")),
    )
    .await;
    let scope = |scope: &str| json!({"scope": scope, "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T00:30:00Z", "step": 60});
    let body = json!({
        "canaryConfig": {"name": "c", "applications": ["a"], "metrics": [metric.clone()],
            "classifier": {"groupWeights": {"Latency": 100}}},
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("it's v2\\")}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    });
    let id = serin.client.start_canary("/canary", &body).await;
    let document = serin.client.poll(&id).await;
    let result = &document["result"]["judgeResult"]["results"][0];
    assert_eq!(result["classification"], "High", "{document}");
    let counts =
        ["controlMetadata", "experimentMetadata"].map(|side| &result[side]["stats"]["count"]);
    assert_eq!(counts, [&json!(30), &json!(30)], "{result}");

    // What it refuses is told in its words, and asked for once.
    let sources = open(&account);
    for (template, expected) in [
        ("SELECT nosuch FROM requests", "UNKNOWN_IDENTIFIER"),
        (
            "SELECT number FROM numbers(3000000)",
            "Limit for result exceeded",
        ),
        (
            "WITH 1 AS x SELECT * FROM (SELECT throwIf(number = 3, 'it is ${scope}') FROM numbers(5))",
            "it is v1",
        ),
    ] {
        let told = asking(template, "v1")
            .fetch(&sources["ch"])
            .await
            .unwrap_err();
        let Error::Fetch(told) = told else {
            panic!("{told}")
        };
        assert!(told.message.contains(expected), "{told}");
    }
    serin.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_gives_what_was_measured() {
    let traces = "CREATE TABLE serin_library.otel_traces (Timestamp DateTime64(9), SpanKind LowCardinality(String), \
        ServiceName LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String), Duration UInt64, \
        StatusCode LowCardinality(String)) ENGINE = MergeTree ORDER BY (ServiceName, toDateTime(Timestamp))";
    let gauges = "CREATE TABLE serin_library.otel_metrics_gauge (ResourceAttributes Map(LowCardinality(String), String), \
        MetricName String, TimeUnix DateTime64(9), Value Float64) ENGINE = MergeTree ORDER BY (MetricName, TimeUnix)";
    // Ten minutes, a request a second: of a hundred, the control fails 5 and the experiment 20.
    let spans = "INSERT INTO serin_library.otel_traces SELECT fromUnixTimestamp64Nano((1717200000 + intDiv(number, 2)) * 1000000000), \
        'Server', 'checkout', map('service.version', if(number % 2 = 0, 'control', 'experiment')), \
        if(number % 2 = 0, 100000000, 300000000), \
        if(intDiv(number, 2) % 20 < if(number % 2 = 0, 1, 4), 'Error', 'Unset') FROM numbers(1200)";
    let values = "INSERT INTO serin_library.otel_metrics_gauge SELECT map('k8s.deployment.name', \
        if(number % 2 = 0, 'control', 'experiment'), 'k8s.namespace.name', 'shop'), \
        if(number % 4 < 2, 'k8s.container.cpu_limit_utilization', 'k8s.container.memory_limit_utilization'), \
        fromUnixTimestamp64Nano((1717200000 + 15 * intDiv(number, 4)) * 1000000000), \
        if(number % 2 = 0, 0.25, 0.75) FROM numbers(160)";
    let Some(url) = real("serin_library", &[traces, gauges, spans, values]).await else {
        return;
    };
    let sources = open(&account(&url, "database: serin_library"));
    let mut templates = library::all();
    templates.retain(|template| template.kind == "clickhouse");
    assert_eq!(templates.len(), 5);
    for template in templates {
        let (control, experiment) = match template.name.rsplit_once('/').unwrap().1 {
            "error-ratio" => (0.05, 0.2),
            "latency" => (100.0, 300.0),
            "traffic" => (1.0, 1.0),
            "cpu-saturation" | "memory-saturation" => (0.25, 0.75),
            other => panic!("{other} is measured by nothing"),
        };
        let query = json!({"type": "clickhouse", "customFilterTemplate": template.name});
        for (side, wanted) in [("control", control), ("experiment", experiment)] {
            let scope = json!({"scope": side, "location": "shop", "start": "2024-06-01T00:00:00Z",
                "end": "2024-06-01T00:10:00Z", "step": 60});
            let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope);
            let sets = asking.fetch(&sources["ch"]).await.unwrap();
            assert_eq!(
                (sets.len(), sets[0].values.len()),
                (1, 10),
                "{} {side}",
                template.name
            );
            for value in &sets[0].values {
                let is_close = (value - wanted).abs() <= 1e-6 * wanted;
                assert!(is_close, "{} {side}: {value}, not {wanted}", template.name);
            }
        }
    }
}
