use serde_json::json;

use super::*;

fn query(json: &str) -> CanaryMetricSetQueryConfig {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_later_name_of_a_template_counts() {
    let cases = [
        (r#"{"type": "prometheus"}"#, None),
        (
            r#"{"type": "prometheus", "customFilterTemplate": "a"}"#,
            None,
        ),
        (
            r#"{"type": "atlas", "template": "a"}"#,
            Some(("template", "a")),
        ),
        (
            r#"{"type": "prometheus", "customInlineTemplate": "a"}"#,
            Some(("customInlineTemplate", "a")),
        ),
        (
            r#"{"template": "a", "type": "prometheus", "customInlineTemplate": "b"}"#,
            Some(("customInlineTemplate", "b")),
        ),
        (
            r#"{"type": "prometheus", "customInlineTemplate": "a", "template": "b"}"#,
            Some(("template", "b")),
        ),
        (
            r#"{"type": "x", "template": "a", "customInlineTemplate": "b", "template": "c"}"#,
            Some(("template", "c")),
        ),
        // What is not given does not take away what is.
        (
            r#"{"type": "prometheus", "customInlineTemplate": "a", "template": ""}"#,
            Some(("customInlineTemplate", "a")),
        ),
        (
            r#"{"type": "x", "customInlineTemplate": "a", "template": null}"#,
            Some(("customInlineTemplate", "a")),
        ),
    ];
    for (json, expected) in cases {
        let expected = expected.map(|(name, text)| (name, text.to_owned()));
        assert_eq!(query(json).inline_template(), expected, "{json}");
    }
}

#[test]
fn what_another_service_reads_comes_back_as_it_came() {
    let known = query(r#"{"type": "clickhouse", "template": "SELECT 1", "x": null}"#);
    let written = serde_json::to_value(&known).unwrap();
    let expected =
        json!({"type": "clickhouse", "template": "SELECT 1", "serviceType": "clickhouse"});
    assert_eq!(written, expected);
    let unknown =
        r#"{"fields":5,"type":"new one","serviceType":"other","x":{"y":null},"z":1.50e1}"#;
    let written = serde_json::to_string(&query(unknown)).unwrap();
    assert_eq!(written, unknown.replace("1.50e1", "15.0"));
    for json in [
        r#"{"type": 5}"#,
        r#"{"type": ""}"#,
        r#"{"metricName": "x"}"#,
        "[]",
    ] {
        let read = serde_json::from_str::<CanaryMetricSetQueryConfig>(json);
        assert!(read.is_err(), "{json}");
    }
}
