//! A query tried by itself, as no Kayenta could.

use serde_json::json;

use super::ONE_OF_EACH;
use crate::harness::{Serin, answer};

/// Kayenta has no such endpoint for SignalFx, and asks Datadog for nothing that has several queries.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_queries_that_are_no_texts_are_sent_as_json() {
    let accounts = ONE_OF_EACH.replace("<url>", "http://127.0.0.1:1");
    let accounts = format!("kayenta:\n  {}\n", accounts.replace("<deadline>", "20s"));
    let serin = Serin::start_with("", &[], Some(&accounts)).await;
    let pairs = json!([{"key": "uri", "value": "/v1"}, {"key": "!status", "value": "500,502"}]);
    let program = "data('m', filter=filter('uri', '/v1') and (not filter('status', '500','502')) and \
                   filter('version', 'v1')).mean(by=['version']).publish()";
    let queries = json!({"a": "sum:errors{${scope}}", "b": "sum:all{*}"});
    let of = |name: &'static str, value: &str| (name, value.to_owned());
    let cases = [
        (
            "signalfx",
            vec![of("metricName", "m"), of("queryPairs", &pairs.to_string())],
            200,
            program,
        ),
        (
            "datadog",
            vec![
                of("apiVersion", "v2"),
                of("formula", "a / b"),
                of("queries", &queries.to_string()),
            ],
            200,
            "a / b; a = sum:errors{v1}; b = sum:all{*}",
        ),
        (
            "signalfx",
            vec![of("metricName", "m"), of("queryPairs", "uri")],
            400,
            "'queryPairs' is to be JSON",
        ),
        (
            "wavefront",
            vec![of("metricName", "m"), of("aggregate", "avg")],
            200,
            "avg(ts(m, v1))",
        ),
        (
            "signalfx",
            vec![of("metricName", "m"), of("queryPairs", "{}")],
            400,
            "must be a list of pairs",
        ),
    ];
    for (kind, members, status, expected) in cases {
        let url = format!("{}/fetch/{kind}/query", serin.client.url);
        let usual = [("metricSetName", "m"), ("scope", "v1"), ("dryRun", "true")];
        let request = serin.client.http.post(url).query(&usual).query(&members);
        let answered = answer(request).await;
        let told = if status == 200 {
            &answered.1["query"]
        } else {
            &answered.1["message"]
        };
        let told = told.as_str().unwrap_or_default();
        assert!(
            answered.0 == status && told.contains(expected),
            "{members:?}: {answered:?}"
        );
    }
    serin.service.stop().await;
}
