//! Any HTTP API: what must not be done with the account of one, and what cannot be read.

use serde_json::{Value, json};
use serin::budget::Budget;
use serin::canary::CanaryConfig;
use serin::metrics::MetricRequest;

use super::json_api::{asking, of_json, source, told};
use super::{START, reply};
use crate::stand_in::StandIn;

fn metric(query: &Value) -> Value {
    let mut whole = json!({"type": "http", "path": "/x", "times": "$.t", "values": "$.v"});
    for (name, value) in query.as_object().unwrap() {
        whole[name] = value.clone();
    }
    json!({"name": "m", "query": whole})
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_client_leads_out_of_the_address_of_an_account() {
    let secret = ", headers: {X-Key: very-secret}, bearerToken: very-secret";
    let (source, stand_in) = source(secret).await;
    let elsewhere = StandIn::start().await;
    let host = elsewhere.url.trim_start_matches("http://").to_owned();
    let hostile = [
        format!("//{host}/"),
        format!("http://{host}/"),
        format!("@{host}/"),
        format!(":80@{host}/"),
        format!("\\\\{host}\\"),
        format!("x\r\nHost: {host}"),
        format!("x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        "..".to_owned(),
        "../..".to_owned(),
        "%2e%2e/%2e%2e".to_owned(),
        "..%2f".to_owned(),
        "%2e%2e%5c".to_owned(),
        "..;/".to_owned(),
        "?x=1".to_owned(),
        "#".to_owned(),
        "\u{0}".to_owned(),
        "\u{ff0f}\u{ff0f}evil".to_owned(),
        "${scope}".to_owned(),
    ];
    let fine = of_json(&json!({"t": [START], "v": [1]}));
    stand_in.play(vec![fine.clone()]);
    let mut sent = 0;
    for value in &hostile {
        let written = [
            json!({"path": "/fixed/${scope}"}),
            json!({"path": "/${scope}"}),
            json!({"path": "${scope}"}),
            json!({"path": value}),
            json!({"path": format!("/{value}")}),
            json!({"path": format!("/fixed/{value}/x")}),
            json!({"parameters": {"q": "${scope}", "${scope}": 1}}),
            json!({"body": {"q": "${scope}"}}),
            json!({"body": {"q": "${scope}"}, "contentType": "application/x-www-form-urlencoded"}),
            json!({"body": "${scope}", "contentType": "text/plain"}),
            json!({"path": "/x", "headers": {"Host": host, "X-Key": value}}),
        ];
        for query in written {
            if asking(&metric(&query), value).fetch(&source).await.is_ok() {
                sent += 1;
            }
        }
    }
    let asked = stand_in.asked();
    assert_eq!(asked.len(), sent);
    assert!(hostile.len() * 5 < sent, "{sent}");
    for asked in asked {
        assert!(asked.path.starts_with("/base/"), "{asked:#?}");
        let own = stand_in.url.trim_start_matches("http://");
        assert_eq!(asked.headers["host"], own, "{asked:#?}");
        assert_eq!(asked.headers["x-key"], "very-secret", "{asked:#?}");
        let is_ours = |name: &String| {
            let ours = [
                "host",
                "x-key",
                "authorization",
                "user-agent",
                "accept",
                "content-type",
                "content-length",
            ];
            ours.contains(&name.as_str())
        };
        assert!(asked.headers.keys().all(is_ours), "{asked:#?}");
    }

    // Nor does a redirect.
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/base/x", elsewhere.url);
        let there = json!({"status": status, "headers": {"location": location}, "body": ""});
        stand_in.play(vec![there]);
        for query in [json!({}), json!({"body": {}})] {
            let told = asking(&metric(&query), "v2").fails(&source).await.message;
            assert!(told.contains("which is not followed"), "{status}: {told}");
        }
    }
    assert!(elsewhere.asked().is_empty(), "{:#?}", elsewhere.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_ask_for_the_paths_of_an_account_only() {
    let keys = ", paths: [/a, '/*/_search', '/deep/**'], healthPath: /alive";
    let (source, stand_in) = source(keys).await;
    stand_in.play(vec![of_json(&json!({"t": [START], "v": [1]}))]);
    let cases = [
        ("/a", true),
        ("/logs/_search", true),
        ("/${scope}/_search", true),
        ("/deep/b/c", true),
        ("/", false),
        ("/a/b", false),
        ("/logs/_delete_by_query", false),
        ("/logs/x/_search", false),
        ("/deep", false),
        ("/alive", false),
    ];
    for (path, is_taken) in cases {
        let metric = metric(&json!({"path": path}));
        // Its slashes are none.
        let fetched = asking(&metric, "a/b").fetch(&source).await;
        match fetched {
            Ok(_) => assert!(is_taken, "{path}"),
            Err(error) => {
                let told = error.to_string();
                let expected = "which the account 'h' does not let queries ask for";
                assert!(!is_taken && told.contains(expected), "{path}: {told}");
            }
        }
    }
    stand_in.play(vec![
        json!({"status": 200, "body": "fine"}),
        json!({"status": 503, "body": ""}),
    ]);
    assert!(source.health().await.is_ok());
    assert!(source.health().await.is_err());
    assert!(
        stand_in
            .asked()
            .iter()
            .all(|asked| asked.path == "/base/alive")
    );
    assert_eq!(source.metric_names("").await.unwrap(), []);
}

/// What is told of a query with these members, when it is answered with that.
async fn are_told(cases: Vec<(Value, Value, &str)>) {
    let (source, stand_in) = source("").await;
    for (query, answer, expected) in cases {
        stand_in.play(vec![of_json(&answer)]);
        let fetched = asking(&metric(&query), "v'2").fetch(&source).await;
        let told = fetched.map(|sets| told(&sets)).unwrap_err().to_string();
        assert!(told.contains(expected), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_with_its_place() {
    let points = json!({"points": "$.p[*]"});
    let several = json!({"points": "$.p[*]", "times": "$.t[*]"});
    let each = json!({"series": "$.s[*]"});
    let iso = json!({"timeUnit": "iso"});
    let one = json!({"t": [1], "v": [1]});
    let rows = |times: &str, values: &str| {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        json!({"t": read(times), "v": read(values)})
    };
    let nested = json!({"error": {"type": "x", "message": "no index"}});
    let number = json!({"error": {"code": 7}});
    are_told(vec![
        (
            json!({}),
            rows("[1, 2]", "[1]"),
            "2 times at '$.t' and 1 values at '$.v'",
        ),
        (
            json!({}),
            rows("[1, {}]", "[1, 2]"),
            "part 1 of '$', time 2 at '$.t' is an object",
        ),
        (
            json!({}),
            rows("[1, null]", "[1, 2]"),
            "time 2 at '$.t' is null",
        ),
        (
            json!({}),
            rows("[1, 2]", "[1, true]"),
            "value 2 at '$.v' is true",
        ),
        (
            json!({}),
            rows("[1, 1]", "[1, 2]"),
            "two values for one time",
        ),
        (iso, one, "such as 2026-01-01T00:00:00Z"),
        (
            points.clone(),
            json!({"p": [{"v": 1}]}),
            "time 1 at '$.t' is null",
        ),
        (
            points,
            json!({"p": [{"t": 1, "v": {"a": 1}}]}),
            "an object of 1 members",
        ),
        (
            several,
            json!({"p": [{"t": [1, 2]}]}),
            "'$.t[*]' matches 2 parts",
        ),
        (each.clone(), nested, "no index"),
        (
            each.clone(),
            json!({"errors": [{"message": "bad query"}]}),
            "bad query",
        ),
        (each, number, "is an error: {\"error\":{\"code\":7}}"),
        (
            json!({"values": "$.v["}),
            json!({}),
            "'values' is '$.v[', which is wrong at",
        ),
        (json!({"path": ""}), json!({}), "'path' is missing"),
        (
            json!({"parameters": {"a": "${nosuch}"}}),
            json!({}),
            "${nosuch}",
        ),
        (
            json!({"body": {"q": "v='${scope}'"}}),
            json!({}),
            "holds a '",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_than_may_be() {
    let one = json!({"t": [START], "v": [1]});
    let groups: Vec<Value> = (0..1001)
        .map(|host| json!({"t": START, "v": 1, "h": host}))
        .collect();
    let labels: serde_json::Map<String, Value> =
        (0..101).map(|at| (format!("l{at}"), json!(1))).collect();
    let grouped = json!({"points": "$.p[*]", "groupBy": {"h": "$.h"}});
    let apart = json!({"t": [0, 60, 9_000_000_000_i64], "v": [1, 2, 3]});
    let all = json!({"l": labels, "t": [1], "v": [1]});
    let series = "more than 1000 series (limits.series)";
    are_told(vec![
        (
            json!({"series": "$.s[*]"}),
            json!({"s": vec![one; 1001]}),
            series,
        ),
        (grouped, json!({"p": groups}), series),
        (json!({"labels": "$.l"}), all, "more than 100 tags"),
        (json!({}), apart, "samples (limits.samples)"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_beside_its_series_is_told() {
    let (source, stand_in) = source("").await;
    let all =
        json!({"series": "$.s[*]", "partial": ["$.timed_out", "$.next"], "warnings": "$.w[*]"});
    let answer =
        json!({"s": [], "timed_out": true, "next": "abc", "w": ["slow", "old"], "error": null});
    stand_in.play(vec![of_json(&answer)]);
    let sets = asking(&metric(&all), "v2").fetch(&source).await.unwrap();
    let [set] = sets.as_slice() else {
        panic!("no series is one without values: {sets:?}");
    };
    assert!(set.values.is_empty());
    let attributes = serde_json::to_value(&set.attributes).unwrap();
    assert_eq!(
        attributes["partial"],
        "'$.timed_out' is true; '$.next' is 'abc'"
    );
    let warnings = "'$.w[*]' is 'slow'; '$.w[*]' is 'old'; there is nothing at '$.s[*]', where series are looked for";
    assert_eq!(attributes["warnings"], warnings);
    assert_eq!(attributes["query"], "GET /x");
}

/// A mebibyte of numbers is two mebibytes of points, and many more as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_paid_for_as_what_it_becomes() {
    let (source, stand_in) = source("").await;
    let list = |many: usize| {
        format!(
            "{{\"t\": [1], \"v\": [1], \"x\": [{}0]}}",
            "0,".repeat(many)
        )
    };
    let budget = Budget::new(Some(512 << 20), 64 << 20);
    let metric = serde_json::from_value(metric(&json!({}))).unwrap();
    let scope =
        json!({"scope": "v2", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T00:03:00Z"});
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &metric,
        scope: &serde_json::from_value(scope).unwrap(),
        longest: 1000,
        is_reused: true,
    };
    for (many, is_read) in [(100_000, true), (1_000_000, false)] {
        stand_in.play(vec![reply("application/json", &list(many))]);
        let fetched = source.fetch(&request, &budget.share()).await;
        match fetched {
            Ok(sets) => assert!(is_read, "{many}: {sets:?}"),
            Err(error) => {
                let told = error.to_string();
                assert!(
                    !is_read && told.contains("limits.execution"),
                    "{many}: {told}"
                );
            }
        }
    }
}
