//! InfluxDB 1, 2 and 3: who asks, where data are, and Flux.

use std::sync::Arc;

use serde_json::{Value, json};
use serin::metrics::MetricSource;

use super::{START, influxdb, open, reply};
use crate::prometheus_source::Asking;
use crate::stand_in::StandIn;

async fn source_of(account: &str, replies: Vec<Value>) -> (Arc<dyn MetricSource>, StandIn) {
    let stand_in = StandIn::start().await;
    let url = &stand_in.url;
    let sources = open(&format!(
        "influxdb: {{enabled: true, queryDeadline: 20s, accounts: [{{name: i, endpoint: {{baseUrl: '{url}'}}, {account}}}]}}"
    ));
    stand_in.play(replies);
    (Arc::clone(&sources["i"]), stand_in)
}

/// For ten minutes of a version.
fn asking(query: &Value, scope: &str) -> Asking {
    let scope = json!({"scope": scope, "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T00:10:00Z", "step": 60,
        "extendedScopeParams": {"env": "prod\""}});
    Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_a_database_and_its_policy() {
    let token = "Token abc";
    let cases = [
        // the account, the query, who asks, database and policy
        (
            "username: u, password: p",
            json!({}),
            Some("Basic dTpw"),
            "m",
            None,
        ),
        ("token: abc, username: u", json!({}), Some(token), "m", None),
        ("bearerToken: abc", json!({}), Some("Bearer abc"), "m", None),
        (
            "database: d, retentionPolicy: r, bucket: b/x",
            json!({}),
            None,
            "d",
            Some("r"),
        ),
        ("bucket: b, token: abc", json!({}), Some(token), "b", None),
        (
            "bucket: b/x, retentionPolicy: r",
            json!({}),
            None,
            "b",
            Some("x"),
        ),
        (
            "database: d, retentionPolicy: r",
            json!({"bucket": "c/y"}),
            None,
            "c",
            Some("y"),
        ),
        ("bucket: b/x", json!({"database": "e"}), None, "e", None),
        (
            "bucket: b/x",
            json!({"retentionPolicy": "z"}),
            None,
            "b",
            Some("z"),
        ),
    ];
    for (account, members, who, database, policy) in cases {
        let (source, stand_in) = source_of(account, vec![influxdb(&[1.0, 2.0])]).await;
        let mut query = json!({"type": "influxdb", "customInlineTemplate": "SELECT v FROM m WHERE ${timeFilter} AND ${scope}"});
        query
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let sets = asking(&query, "version:v1").fetch(&source).await.unwrap();
        assert_eq!(sets[0].values, [1.0, 2.0], "{account}");
        let asked = &stand_in.asked()[0];
        let param = |wanted: &str| {
            let mut params = asked.query.iter();
            params
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(asked.path, "/query");
        assert_eq!(
            asked.headers.get("authorization").map(String::as_str),
            who,
            "{account}"
        );
        assert_eq!(
            (param("db"), param("rp")),
            (Some(database), policy),
            "{account} {members}"
        );
    }
}

const SCRIPT: &str = "import \"math\"\nfrom(bucket: \"${bucket}\") |> ${timeFilter} // of \"one\" side\n  \
    |> filter(fn: (r) => r._measurement == \"http\" and r.env == \"${env}\" and ${scope})\n  \
    |> aggregateWindow(every: ${step}, fn: mean, createEmpty: true)";

fn flux() -> Value {
    json!({"type": "influxdb", "language": "flux", "customInlineTemplate": SCRIPT})
}

fn csv(lines: &[&str]) -> Value {
    reply("text/csv; charset=utf-8", &(lines.join("\r\n") + "\r\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_flux_is_asked_and_its_tables_are_read() {
    let tables = csv(&[
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,string,string,dateTime:RFC3339,double",
        "#group,false,false,true,true,true,true,false,false",
        "#default,_result,,,,,,,",
        ",result,table,_start,_stop,_field,pod,_time,_value",
        ",,0,2024-06-01T00:00:00Z,2024-06-01T00:10:00Z,latency,\"a,\"\"1\"\"\",2024-06-01T00:01:00Z,1.5",
        ",,0,2024-06-01T00:00:00Z,2024-06-01T00:10:00Z,latency,\"a,\"\"1\"\"\",2024-06-01T00:02:00Z,",
        ",,0,2024-06-01T00:00:00Z,2024-06-01T00:10:00Z,latency,\"a,\"\"1\"\"\",2024-06-01T00:03:00.5Z,3",
        ",,1,2024-06-01T00:00:00Z,2024-06-01T00:10:00Z,latency,b,2024-06-01T00:01:00Z,+Inf",
        "",
        "#datatype,string,long,string,dateTime:RFC3339,long",
        "#group,false,false,true,false,false",
        "#default,_result,,c,,",
        ",result,table,pod,_time,_value",
        ",,2,,2024-06-01T00:05:00Z,7",
        "",
    ]);
    let (source, stand_in) = source_of("token: abc, org: o, bucket: 'b/x'", vec![tables]).await;
    let sets = asking(&flux(), "version:v\"1")
        .fetch(&source)
        .await
        .unwrap();
    let sets = serde_json::to_value(sets).unwrap();
    let minute = |minute: i64| (START + 60 * minute) * 1000;
    let expected = [
        (
            json!({"field": "latency", "pod": "a,\"1\""}),
            json!([1.5, "NaN", 3.0]),
            minute(1),
        ),
        (
            json!({"field": "latency", "pod": "b"}),
            json!(["Infinity"]),
            minute(1),
        ),
        (json!({"pod": "c"}), json!([7.0]), minute(5)),
    ];
    assert_eq!(sets.as_array().unwrap().len(), 3);
    for (at, (tags, values, start)) in expected.iter().enumerate() {
        let set = &sets[at];
        let read = (
            &set["tags"],
            &set["values"],
            &set["startTimeMillis"],
            &set["stepMillis"],
        );
        assert_eq!(read, (tags, values, &json!(start), &json!(60_000)));
    }
    let asked = &stand_in.asked()[0];
    let org = ("org".to_owned(), "o".to_owned());
    assert_eq!(
        (asked.path.as_str(), &asked.query[..]),
        ("/api/v2/query", &[org][..])
    );
    assert_eq!(asked.headers["authorization"], "Token abc");
    let sent: Value = serde_json::from_str(&asked.body).unwrap();
    let script = "import \"math\"\nfrom(bucket: \"b/x\") |> range(start: 2024-06-01T00:00:00Z, stop: 2024-06-01T00:10:00Z) \n  \
        |> filter(fn: (r) => r._measurement == \"http\" and r.env == \"prod\\\"\" and r[\"version\"] == \"v\\\"1\")\n  \
        |> aggregateWindow(every: 60s, fn: mean, createEmpty: true)";
    let dialect = json!({"annotations": ["datatype", "group", "default"], "header": true});
    assert_eq!(
        sent,
        json!({"query": script, "type": "flux", "dialect": dialect})
    );
    assert_eq!(sets[0]["attributes"]["query"], script);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_flux_is_told() {
    let annotations = [
        "#datatype,string,long,dateTime:RFC3339,double",
        "#group,false,false,false,false",
        "#default,_result,,,",
    ];
    let table = |rows: &[&str]| csv(&[&annotations[..], rows].concat());
    let failed = [
        "#datatype,string,string",
        "#group,true,true",
        "#default,,",
        ",error,reference",
        ",\"failed: no bucket of abc-token\",897",
    ];
    let refused = json!({"status": 400, "headers": {"content-type": "application/json"},
        "body": "{\"code\": \"invalid\", \"message\": \"error @1:1: undefined identifier x\"}"});
    let cases = [
        // what comes, what is told; or how many sets are read
        (refused, Err("undefined identifier x")),
        (csv(&failed), Err("failed: no bucket of …")),
        (
            table(&[
                ",result,table,_time,_value",
                ",,0,2024-06-01T00:00:00Z,1",
                "",
                &failed.join("\r\n"),
            ]),
            Err("failed: no bucket of …"),
        ),
        (
            table(&[
                ",result,table,_time,_value,error",
                ",,0,2024-06-01T00:00:00Z,1,timeout",
            ]),
            Ok(1),
        ),
        (
            table(&[",result,table,_time,v", ",,0,2024-06-01T00:00:00Z,1"]),
            Err("without the column _value"),
        ),
        (
            table(&[",result,table,_stop,_value", ",,0,2024-06-01T00:00:00Z,1"]),
            Err("without the column _time"),
        ),
        (
            table(&[",result,table,_time,_value", ",,0,2024-06-01T00:00:00Z,x"]),
            Err("has \"x\", which is no number"),
        ),
        (
            table(&[",result,table,_time,_value", ",,0,yesterday,1"]),
            Err("has \"yesterday\", where a time like"),
        ),
        (
            table(&[",result,table,_time,_value", ",,0,\"2024"]),
            Err("a quote is not closed"),
        ),
        (
            reply("text/html", "<html>sign in</html>"),
            Err("a web page (text/html) that begins '<html>sign in</html>'"),
        ),
        (csv(&[]), Ok(1)),
        (table(&[",result,table,_time,_value"]), Ok(1)),
    ];
    for (came, expected) in cases {
        let (source, _) = source_of("token: abc-token, bucket: b", vec![came.clone()]).await;
        let read = asking(&flux(), "version:v1").fetch(&source).await;
        match (read, expected) {
            (Ok(sets), expected) => assert_eq!(Ok(sets.len()), expected, "{came}"),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{expected}: {error}");
            }
            (Err(error), _) => panic!("{came}: {error}"),
        }
    }
    let queries = [
        (
            json!({"type": "influxdb", "language": "flux", "metricName": "m"}),
            "a template with the whole script",
        ),
        (
            json!({"type": "influxdb", "language": "sql", "metricName": "m"}),
            "'language' is 'influxql' or 'flux', not 'sql'",
        ),
        (
            json!({"type": "influxdb", "language": "Flux", "customInlineTemplate": "x |> ${timeFilter}"}),
            "${scope} is required",
        ),
        (
            json!({"type": "influxdb", "language": "flux", "customInlineTemplate": "${timeFilter} ${scope} |> to(bucket: \"b\")"}),
            "to() writes",
        ),
    ];
    let (source, stand_in) = source_of("token: abc", Vec::new()).await;
    for (query, expected) in queries {
        let told = asking(&query, "version:v1")
            .fetch(&source)
            .await
            .unwrap_err()
            .to_string();
        assert!(told.contains(expected), "{query}: {told}");
    }
    assert!(stand_in.asked().is_empty());
}
