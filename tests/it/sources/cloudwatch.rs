//! CloudWatch as it is documented: metric math, Metrics Insights, pages, partial answers, limits.

use serde_json::{Value, json};
use serin::canary::{MetricSet, iso_from_millis};

use super::answers::{answered, of_json};
use super::{asking, cloudwatch, recent};
use crate::prometheus_source::Asking;

/// Of a result with points so many seconds after the begin.
fn result(label: &str, points: &[(i64, f64)], status: &str) -> Value {
    let times: Vec<i64> = points.iter().map(|(at, _)| recent() + at).collect();
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    json!({"Id": "e", "Label": label, "Timestamps": times, "Values": values, "StatusCode": status})
}

fn page(results: &[Value], next: Option<&str>) -> Value {
    let mut body = json!({"MetricDataResults": results});
    if let Some(next) = next {
        body["NextToken"] = next.into();
    }
    of_json(&body)
}

/// So many seconds from the begin of the hour, with that step.
fn asked_for(query: &Value, seconds: i64, step: i64, params: &Value) -> Asking {
    let [start, end] = [recent(), recent() + seconds].map(|time| iso_from_millis(time * 1000));
    let mut query = query.clone();
    query["type"] = "cloudwatch".into();
    Asking::of(
        &json!({}),
        &json!({"name": "m", "query": query}),
        &json!({"scope": "v1", "location": "eu", "start": start, "end": end, "step": step, "extendedScopeParams": params}),
    )
}

/// What is sent for a query over five minutes, and what its series are called.
async fn sent(query: &Value, step: i64, params: &Value) -> (Vec<Value>, Value, String) {
    let reply = page(&[result("a label", &[(0, 1.0)], "Complete")], None);
    let (source, stand_in) = answered("cloudwatch", vec![reply]).await;
    let sets = asked_for(query, 300, step, params).fetch(&source).await;
    let sets = sets.unwrap_or_else(|error| panic!("{query}: {error}"));
    let asked = &stand_in.asked()[0];
    assert_eq!(
        asked.headers["x-amz-target"],
        "GraniteServiceVersion20100801.GetMetricData"
    );
    assert_eq!(asked.headers["content-type"], "application/x-amz-json-1.0");
    let mut body: Value = serde_json::from_str(&asked.body).unwrap();
    let queries = body["MetricDataQueries"].take();
    assert_eq!(
        body,
        json!({"MetricDataQueries": null, "StartTime": recent(), "EndTime": recent() + 300, "ScanBy": "TimestampAscending"})
    );
    let attributes = sets[0].attributes.as_ref().unwrap();
    let text = attributes.get("query").unwrap().to_string();
    (
        queries.as_array().unwrap().clone(),
        json!(sets[0].tags),
        text,
    )
}

fn stat(metric: &Value, dimensions: &[(&str, &str)], period: i64, stat: &str) -> Value {
    let dimensions = dimensions.iter();
    let dimensions: Vec<Value> = dimensions
        .map(|(name, value)| json!({"Name": name, "Value": value}))
        .collect();
    let metric = json!({"Namespace": "AWS/X", "MetricName": metric, "Dimensions": dimensions});
    json!({"Metric": metric, "Period": period, "Stat": stat})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_sent_as_it_is_documented() {
    let odd = "it's \"${x}\" \\ OR";
    let insights = "SELECT AVG(CPU) FROM SCHEMA(\"AWS/EC2\", Group) WHERE Group = '${scope}'";
    let search = "SEARCH('{AWS/EC2,Id} MetricName=\"CPU\" Group=\"${scope}\"', 'Average', ${step})";
    let mut with_unit = stat(&json!("Latency"), &[], 120, "p99.9");
    with_unit["Unit"] = "Seconds".into();
    let (no_label, label) = (json!({}), json!({"label": "a label"}));
    let of = |name: &str| json!({"namespace": "AWS/X", "metricName": name, "stat": "Sum", "dimensions": {"Group": "${scope}"}});
    let cases = [
        (
            json!({"namespace": "AWS/X", "metricName": "CPU", "dimensions": {"Group": "$\\{scope}", "Of": "${odd}"}}),
            60,
            vec![
                json!({"Id": "m", "MetricStat": stat(&json!("CPU"), &[("Group", "v1"), ("Of", odd)], 60, "Average")}),
            ],
            &no_label,
            "Average(AWS/X CPU{Group=\"v1\",Of=\"it's \\\"${x}\\\" \\\\ OR\"})",
        ),
        (
            json!({"namespace": "AWS/X", "metricName": "Latency", "stat": "p99.9", "unit": "Seconds", "period": 120}),
            60,
            vec![json!({"Id": "m", "MetricStat": with_unit})],
            &no_label,
            "p99.9(AWS/X Latency{}, Seconds)",
        ),
        (
            json!({"queries": {"e": of("Errors"), "r": of("Requests")}, "customInlineTemplate": "100 * e / r"}),
            60,
            vec![
                json!({"Id": "e", "MetricStat": stat(&json!("Errors"), &[("Group", "v1")], 60, "Sum"), "ReturnData": false}),
                json!({"Id": "r", "MetricStat": stat(&json!("Requests"), &[("Group", "v1")], 60, "Sum"), "ReturnData": false}),
                json!({"Id": "result", "Expression": "100 * e / r"}),
            ],
            &no_label,
            "100 * e / r; e = Sum(AWS/X Errors{Group=\"v1\"}); r = Sum(AWS/X Requests{Group=\"v1\"})",
        ),
        (
            json!({"customInlineTemplate": insights}),
            60,
            vec![
                json!({"Id": "e", "Expression": insights.replace("${scope}", "v1"), "Period": 60}),
            ],
            &no_label,
            "SELECT AVG(CPU) FROM SCHEMA(\"AWS/EC2\", Group) WHERE Group = 'v1'",
        ),
        (
            json!({"expression": search, "label": "$${PROP('Dim.Id')} of ${scope}"}),
            90,
            vec![json!({
                "Id": "e", "Expression": search.replace("${scope}", "v1").replace("${step}", "120"), "Period": 120,
                "Label": "${PROP('Dim.Id')} of v1",
            })],
            &label,
            "SEARCH('{AWS/EC2,Id} MetricName=\"CPU\" Group=\"v1\"', 'Average', 120)",
        ),
        (
            json!({"queries": {"all": search, "m": of("Errors")}, "expression": "AVG(all) + m"}),
            60,
            vec![
                json!({"Id": "all", "Expression": search.replace("${scope}", "v1").replace("${step}", "60"), "Period": 60, "ReturnData": false}),
                json!({"Id": "m", "MetricStat": stat(&json!("Errors"), &[("Group", "v1")], 60, "Sum"), "ReturnData": false}),
                json!({"Id": "result", "Expression": "AVG(all) + m"}),
            ],
            &no_label,
            "AVG(all) + m; all = ",
        ),
    ];
    // A value may hold what a template would take for a variable, where nothing gives it a value: escaped.
    let params = json!({"odd": odd.replace("${", "$${")});
    for (query, step, expected, tags, text) in cases {
        let (queries, tagged, told) = sent(&query, step, &params).await;
        assert_eq!(queries, expected, "{query}");
        assert_eq!(&tagged, tags, "{query}");
        assert!(told.starts_with(text), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_told_before_anything_is_sent() {
    let (source, stand_in) = answered("cloudwatch", vec![cloudwatch(&[])]).await;
    let metric = json!({"namespace": "N", "metricName": "m"});
    let with = |name: &str, value: Value| {
        let mut query = metric.clone();
        query[name] = value;
        query
    };
    let sql = "SELECT AVG(m) FROM N WHERE v = '${bad}'";
    let search = |value: &str| format!("SEARCH('{{N,v}} v={value}', 'Sum', 60)");
    let cases = [
        (json!({}), "'namespace' is missing, or a template"),
        (json!({"namespace": "N"}), "'metricName' is missing"),
        (with("stat", json!("average")), "did you mean 'Average'?"),
        (
            with("period", json!(45)),
            "'period' is '45': must be 1, 5, 10, 20, 30 or a multiple of 60",
        ),
        (
            with("dimensions", json!(["v"])),
            "'dimensions' is an object",
        ),
        (
            with("dimensions", json!({"v": ""})),
            "'dimensions' has no value for 'v'",
        ),
        (
            with("dimensions", json!({"v": "${nosuch}"})),
            "Problem evaluating",
        ),
        (
            with("expression", json!("a")),
            "'namespace' is of a metric, and there is an expression",
        ),
        (
            json!({"expression": "a", "customInlineTemplate": "b"}),
            "only one of them can be meant",
        ),
        (
            json!({"queries": {"A": "a"}}),
            "a name begins with a small letter",
        ),
        (
            json!({"queries": {"a": {"namespace": "N"}}}),
            "'queries' has 'a', and there 'metricName' is missing",
        ),
        (
            json!({"queries": {"a": with("stats", json!("Sum"))}}),
            "'stats' is unknown: there are namespace",
        ),
        (
            json!({"queries": {"a": "x", "b": "y"}}),
            "need an 'expression'",
        ),
        (
            json!({"queries": {"a": 1}}),
            "neither a metric nor an expression",
        ),
        (json!({"queries": []}), "'queries' is an object of names"),
        (
            json!({"customInlineTemplate": sql}),
            "the value of 'bad' holds a '",
        ),
        (
            json!({"queries": {"a": sql}}),
            "the value of 'bad' holds a '",
        ),
        (
            json!({"expression": search("\"${bad}\"")}),
            "the value of 'bad' holds a '",
        ),
        (
            json!({"expression": search("${wide}")}),
            "the value of 'wide' holds ' ', and its SEARCH",
        ),
    ];
    let params = json!({"bad": "x' OR v = 'y", "wide": "x OR v=y"});
    for (query, expected) in cases {
        let asking = asked_for(&query, 300, 60, &params);
        let told = asking.fetch(&source).await.unwrap_err().to_string();
        assert!(told.contains(expected), "{query}: {told}");
    }
    let short = asked_for(&metric, 0, 60, &params).fetch(&source).await;
    let told = short.unwrap_err().to_string();
    assert!(told.contains("has no point of 60 s in it"), "{told}");
    let told = asked_for(&metric, 300, 0, &params).fetch(&source).await;
    let told = told.unwrap_err().to_string();
    assert!(told.contains("the scope has no 'step'"), "{told}");
    assert_eq!(stand_in.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_put_together_series_by_series() {
    let grouped =
        json!({"customInlineTemplate": "SELECT AVG(m) FROM N WHERE v = '${scope}' GROUP BY zone"});
    let replies = vec![
        page(
            &[
                result("a", &[(0, 1.0), (60, 2.0)], "PartialData"),
                result("b", &[(120, 5.0)], "PartialData"),
                result("empty", &[], "Complete"),
            ],
            Some("to/ken \"2\""),
        ),
        page(
            &[
                result("b", &[(240, 6.5)], "Complete"),
                result("a", &[(180, 3.0)], "Complete"),
            ],
            None,
        ),
    ];
    let (source, stand_in) = answered("cloudwatch", replies).await;
    let sets = asked_for(&grouped, 300, 60, &json!({}))
        .fetch(&source)
        .await
        .unwrap();
    let read = serde_json::to_value(&sets).unwrap();
    let read: Vec<Value> = read
        .as_array()
        .unwrap()
        .iter()
        .map(|set| json!([set["tags"]["label"], set["values"]]))
        .collect();
    assert_eq!(
        json!(read),
        json!([
            ["a", [1.0, 2.0, "NaN", 3.0, "NaN"]],
            ["b", ["NaN", "NaN", 5.0, "NaN", 6.5]]
        ])
    );
    assert_eq!(sets[0].start_time_millis, recent() * 1000);
    assert_eq!(sets[0].step_millis, 60_000);
    assert_eq!(told(&sets, "partial"), None);
    let bodies = stand_in.asked().into_iter().map(|asked| asked.body);
    let tokens =
        bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap()["NextToken"].take());
    assert_eq!(
        tokens.collect::<Vec<_>>(),
        [Value::Null, "to/ken \"2\"".into()]
    );
}

fn told(sets: &[MetricSet], name: &str) -> Option<String> {
    let attributes = sets[0].attributes.as_ref().unwrap();
    attributes.get(name).map(ToString::to_string)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_says_of_itself_is_heard() {
    let query = json!({"type": "cloudwatch", "namespace": "N", "metricName": "m"});
    let messages = json!([{"Code": "ArithmeticError", "Value": "divided by zero"}]);
    let mut doubtful = result("m", &[(0, 1.0)], "PartialData");
    doubtful["Messages"] = messages.clone();
    let mut body = json!({"MetricDataResults": [doubtful]});
    body["Messages"] = json!([{"Code": "MaxMetricsExceeded", "Value": "too many"}]);
    let (source, _) = answered("cloudwatch", vec![of_json(&body)]).await;
    let sets = asking(&query).fetch(&source).await.unwrap();
    assert_eq!(
        told(&sets, "partial").unwrap(),
        "MaxMetricsExceeded: too many; 'e' (m) is PartialData"
    );
    assert_eq!(
        told(&sets, "warnings").unwrap(),
        "ArithmeticError: divided by zero"
    );

    let broken = |status: &str| {
        let mut result = result("m", &[], status);
        result["Messages"] = messages.clone();
        page(&[result], None)
    };
    let uneven = json!({"MetricDataResults": [{"Id": "m", "Timestamps": [1], "Values": []}]});
    let far = json!({"MetricDataResults": [{"Id": "m", "Timestamps": [-9e15], "Values": [1]}]});
    let cases = [
        (
            broken("InternalError"),
            "InternalError for 'e' (m): ArithmeticError: divided by zero",
            3,
        ),
        (broken("Forbidden"), "Forbidden for 'e' (m)", 1),
        (of_json(&uneven), "as many values as times", 1),
        (of_json(&far), "samples (limits.samples)", 1),
        (page(&[], Some("again")), "more than 100 pages", 100),
        (
            page(&vec![result("m", &[], "Complete"); 20_001], None),
            "a list of more than 20000 elements",
            1,
        ),
        (
            page(
                &(0..1_001)
                    .map(|at| result(&at.to_string(), &[], "Complete"))
                    .collect::<Vec<_>>(),
                None,
            ),
            "more than 1000 series (limits.series)",
            1,
        ),
        (
            of_json(&json!({"MetricDataResults": 1})),
            "it is not what cloudwatch sends",
            1,
        ),
    ];
    for (reply, expected, times) in cases {
        let (source, stand_in) = answered("cloudwatch", vec![reply]).await;
        let told = asking(&query).fetch(&source).await.unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(stand_in.asked().len(), times, "{told}");
    }
    let good = page(&[result("m", &[(0, 1.0)], "Complete")], None);
    let (source, _) = answered("cloudwatch", vec![broken("InternalError"), good]).await;
    let sets = asking(&query).fetch(&source).await.unwrap();
    assert_eq!(sets[0].values[..1], [1.0]);
    let (source, _) = answered(
        "cloudwatch",
        vec![page(&[result("m", &[], "Complete")], None)],
    )
    .await;
    let sets = asking(&query).fetch(&source).await.unwrap();
    assert!(
        sets.len() == 1 && sets[0].values.is_empty(),
        "a metric that nobody wrote"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_that_was_before_the_window() {
    let query = json!({"type": "cloudwatch", "namespace": "N", "metricName": "m"});
    let day = 86_400;
    let cases = [
        // days ago, the begin after a whole hour, seconds from it to what is asked for, the period
        (0, 34, 60, 60, None),
        (
            16,
            60,
            300,
            300,
            Some("points are 300 s apart instead of 60 s: CloudWatch keeps no finer"),
        ),
        (70, 60, 3_600, 3_600, Some("points are 3600 s apart")),
    ];
    for (days, after, asked_from, period, remark) in cases {
        let hour = (recent() - days * day).div_euclid(3_600) * 3_600 - 7_200;
        let point = json!({"Id": "m", "Timestamps": [hour + asked_from], "Values": [1]});
        let reply = of_json(&json!({"MetricDataResults": [point]}));
        let (source, stand_in) = answered("cloudwatch", vec![reply]).await;
        let [start, end] = [hour + after, hour + 7_200].map(|time| iso_from_millis(time * 1000));
        let scope = json!({"scope": "v1", "start": start, "end": end, "step": 60});
        let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope);
        let sets = asking.fetch(&source).await.unwrap();
        let body: Value = serde_json::from_str(&stand_in.asked()[0].body).unwrap();
        assert_eq!(body["StartTime"], hour + asked_from, "{days}");
        assert_eq!(body["MetricDataQueries"][0]["MetricStat"]["Period"], period);
        let count = (7_200 - asked_from).div_euclid(period);
        assert_eq!(
            sets[0].values.len(),
            usize::try_from(count).unwrap(),
            "{days}"
        );
        let told = told(&sets, "warnings");
        match remark {
            None => assert_eq!(told, None),
            Some(part) => assert!(told.clone().unwrap().contains(part), "{told:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_listed_page_by_page_and_once() {
    let metric = |name: &str, dimensions: &[&str]| {
        let dimensions: Vec<Value> = dimensions
            .iter()
            .map(|name| json!({"Name": name, "Value": "x"}))
            .collect();
        json!({"Namespace": "AWS/X", "MetricName": name, "Dimensions": dimensions})
    };
    let replies = vec![
        of_json(
            &json!({"Metrics": [metric("CPU", &["Id"]), metric("CPU", &["Id"]), metric("CPU", &["Zone", "Id"])], "NextToken": "2"}),
        ),
        of_json(&json!({"Metrics": [metric("Errors", &[]), metric("CPU", &[])]})),
    ];
    let (source, stand_in) = answered("cloudwatch", replies).await;
    let names = source.metric_names("").await.unwrap();
    assert_eq!(
        serde_json::to_value(names).unwrap(),
        json!([
            {"name": "AWS/X/CPU", "namespace": "AWS/X", "metricName": "CPU", "dimensions": [[], ["Id"], ["Id", "Zone"]]},
            {"name": "AWS/X/Errors", "namespace": "AWS/X", "metricName": "Errors", "dimensions": [[]]},
        ])
    );
    assert_eq!(source.metric_names("err").await.unwrap().len(), 1);
    let asked = stand_in.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0].headers["x-amz-target"],
        "GraniteServiceVersion20100801.ListMetrics"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&asked[1].body).unwrap()["NextToken"],
        "2"
    );

    let again = of_json(&json!({"Metrics": [], "NextToken": "again"}));
    let (source, stand_in) = answered("cloudwatch", vec![again]).await;
    let told = source.metric_names("").await.unwrap_err().to_string();
    assert!(told.contains("more than 100 pages"), "{told}");
    assert_eq!(stand_in.asked().len(), 100);
}
