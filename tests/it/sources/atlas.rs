//! Where the clusters of Atlas are, and what cannot be asked there.

use serde_json::{Value, json};

use super::open;
use crate::prometheus_source::Asking;
use crate::stand_in::{Asked, StandIn};

/// Tells where the clusters are, as it told Kayenta; all are at one host.
pub async fn directory(host: &str) -> StandIn {
    let stand_in = StandIn::start().await;
    let host = host.to_owned();
    stand_in.answer(move |asked| told(&host, asked));
    stand_in
}

fn told(host: &str, asked: &Asked) -> Value {
    let body = match asked.path.as_str() {
        "/api/v1/atlas/backends.json" => json!([
            {"cname": format!("{host}/$(deployment)-$(dataset)-$(region)-$(env)"),
                "target": "$(dataset).$(region).$(env)", "deployment": "main", "dataset": "regional",
                "environments": ["test", "prod"], "regions": ["us-east-1", "us-west-2"],
                "step": "PT1M", "description": "regional"},
            {"cname": format!("{host}/global"), "target": "global", "deployment": "main",
                "dataset": "global", "step": "PT1M", "description": "global"},
            {"cname": "a@b/$(region)", "deployment": "odd", "dataset": "regional"},
        ]),
        "/api/v1/atlas/storage.json" => json!({"atlas_storage": {"123456": {
            "global": format!("{host}/acct-global"), "regional": format!("{host}/acct-$(region)"),
            "regions": ["us-east-1"]}}}),
        _ => return json!({"status": 404, "body": ""}),
    };
    super::reply("application/json", &body.to_string())
}

fn asking(location: &str, params: &Value) -> Asking {
    let query = json!({"type": "atlas", "q": "name,x,:eq"});
    let scope = json!({"scope": "v1", "location": location, "start": "2024-06-01T00:00:00Z",
        "end": "2024-06-01T01:00:00Z", "step": 60, "extendedScopeParams": params});
    Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_scope_says_moves_nothing_to_another_host_and_faults_are_told() {
    let cluster = StandIn::start().await;
    let directory = directory(&cluster.url).await;
    let nobody = "http://127.0.0.1:1";
    let sources = open(&format!(
        "atlas: {{enabled: true, queryDeadline: 5s, accounts: [\
         {{name: here, backendsJsonBaseUrl: '{}'}}, {{name: other, backendsJsonBaseUrl: '{}'}}, \
         {{name: away, backendsJsonBaseUrl: '{nobody}'}}]}}",
        directory.url, cluster.url,
    ));
    let warned =
        "data: {\"type\": \"warn\", \"message\": \"few\"}\n\ndata: {\"type\": \"close\"}\n";
    let cases = [
        // the account, the location, parameters, and what is told
        ("here", "us-east-1", json!({}), "warnings: few"),
        (
            "here",
            "evil.example/",
            json!({"deployment": "odd"}),
            "'evil.example/' is no location of an Atlas cluster",
        ),
        (
            "here",
            "eu",
            json!({"deployment": "odd"}),
            "the cname of the cluster is no host",
        ),
        (
            "here",
            "us-east-1",
            json!({"environment": "prod/../x"}),
            "Unable to find an appropriate Atlas cluster",
        ),
        (
            "here",
            "us-east-1",
            json!({"type": "node"}),
            "Scope type 'node' is unknown",
        ),
        // Its lists are what a cluster answers.
        ("other", "us-east-1", json!({}), "instead of an answer"),
        ("away", "us-east-1", json!({}), "Connection refused"),
    ];
    for (account, location, params, expected) in cases {
        cluster.play(vec![super::reply("text/event-stream", warned)]);
        let fetched = asking(location, &params).fetch(&sources[account]).await;
        let told = match fetched {
            Ok(sets) => {
                let attributes = serde_json::to_value(&sets[0]).unwrap()["attributes"].clone();
                format!("warnings: {}", attributes["warnings"].as_str().unwrap())
            }
            Err(error) => error.to_string(),
        };
        assert!(
            told.contains(expected),
            "{account} {location} {params}: {told}"
        );
    }
    // A stream that ends in its midst is asked for again.
    let cut = "data: {\"type\": \"timeseries\", \"id\": \"x\", \"start\": 0, \"end\": 60000, \"step\": 60000, \
        \"tags\": {}, \"data\": {\"values\": [1.0]}}\n";
    let whole = format!("{cut}data: {{\"type\": \"close\"}}\n");
    let error = format!("{cut}data: {{\"type\": \"error\", \"message\": \"no such\"}}\n");
    let never = "'close' never came";
    let cases = [
        // what comes, what is told, how often it was asked
        (vec![cut, &whole], "1 sets", 2),
        (vec![cut], never, 3),
        (vec![&cut[..40]], never, 3),
        (vec!["data: {\"type\": \"heartbeat\"}\n"], never, 3),
        (vec![&error], "no such", 1),
    ];
    for (streams, expected, times) in cases {
        let replies = streams.iter();
        let replies = replies.map(|stream| super::reply("text/event-stream", stream));
        cluster.play(replies.collect());
        let fetched = asking("us-east-1", &json!({}))
            .fetch(&sources["here"])
            .await;
        let told = match fetched {
            Ok(sets) => format!("{} sets", sets.len()),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(expected), "{streams:?}: {told}");
        assert_eq!(cluster.asked().len(), times, "{streams:?}");
    }
    assert!(sources["here"].health().await.is_ok());
    assert!(sources["other"].health().await.is_err());
    assert!(sources["away"].health().await.is_err());
    // They are told once for all queries of a while, and for health.
    assert_eq!(directory.asked().len(), 4);
}
