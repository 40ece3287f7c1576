//! What Prometheus answers to a range query.

use serde::Deserialize;

use super::parse::{self, Unreadable};
use crate::config::Limits;
use crate::metrics::http::{Wrong, error_text};
use crate::metrics::series::{Answered, Series};

/// What a range query gives.
const MATRIX: &str = "matrix";

/// What to do about native histograms.
const NO_NUMBERS: &str = "the answer holds native histograms, which cannot be judged: write what makes \
    numbers of them, as in PromQL:histogram_quantile(0.95, sum(rate(…[5m]))), or histogram_avg, \
    histogram_count or histogram_fraction";

/// What Prometheus says of a query, and not of what it was answered from.
const OF_THE_QUERY: &str = "PromQL ";

/// What an answer holds, or what is wrong with it; `is_shifted` says whether the times that were asked for
/// are no multiples of their step.
pub fn read(
    body: &[u8],
    limits: &Limits,
    before: usize,
    is_shifted: bool,
) -> Result<Answered, Wrong> {
    let answer = match parse::parse(body, limits, before) {
        Ok(answer) => answer,
        Err(Unreadable::Beyond(what)) => return Err(Wrong::Told(what)),
        Err(Unreadable::Json(error)) => return Err(unreadable(body, &error)),
    };
    if let Some(status) = answer.status.filter(|status| status != "success") {
        let told = error_text(body).filter(|_| status == "error");
        let other = || Wrong::other(body, format!("its status is '{status}', not 'success'"));
        return Err(told.map_or_else(other, Wrong::Told));
    }
    // Where stores behind it failed, Prometheus writes an empty type beside `null`.
    let kind = answer.result_type.filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.filter(|kind| kind != MATRIX) {
        return Err(Wrong::other(body, no_matrix(&kind)));
    }
    let Some(series) = answer.series else {
        return Err(Wrong::other(body, "it has no data with a result"));
    };
    let series = series.into_iter();
    let series = series.map(|series| match (series.values, series.histograms) {
        (Some(samples), histograms) if !samples.is_empty() => Ok(Series {
            labels: series.metric,
            samples,
            histograms: histograms.unwrap_or(0),
            window: None,
        }),
        (_, Some(_)) => Err(Wrong::Told(NO_NUMBERS.to_owned())),
        (_, None) => Err(Wrong::other(body, "it holds a series without samples")),
    });
    let series = series.collect::<Result<_, _>>()?;
    // VictoriaMetrics moves a long range to multiples of the step, and leaves a short one where it is: parts
    // would not be what the whole is.
    let is_moved = is_shifted && answer.is_of_victoria;
    let is_unsettled = answer.is_partial || !answer.warnings.is_empty() || is_moved;
    let warnings = answer.warnings.into_iter();
    let (mut remarks, mut partial): (Vec<_>, Vec<_>) =
        warnings.partition(|warning| warning.starts_with(OF_THE_QUERY));
    remarks.extend(answer.infos);
    // As `VictoriaMetrics` says it.
    partial.extend(answer.is_partial.then(|| "isPartial".to_owned()));
    Ok(Answered {
        series,
        partial,
        remarks,
        is_unsettled,
        attributes: Vec::new(),
    })
}

/// What is wrong with a body that is not the answer to a range query.
fn unreadable(body: &[u8], error: &serde_json::Error) -> Wrong {
    #[derive(Deserialize)]
    struct Outline {
        data: Option<Kind>,
    }
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "resultType")]
        result_type: Option<String>,
    }
    if error.is_eof() {
        let why = format!("it ends too early, after {} bytes", body.len());
        return Wrong::other(body, why);
    }
    if let Some(text) = error_text(body) {
        return Wrong::Told(text);
    }
    let outline = serde_json::from_slice::<Outline>(body).ok();
    match outline.and_then(|outline| outline.data?.result_type) {
        Some(kind) if kind != MATRIX => Wrong::other(body, no_matrix(&kind)),
        _ => Wrong::other(body, format!("it is not what Prometheus sends: {error}")),
    }
}

fn no_matrix(kind: &str) -> String {
    let advice = match kind {
        // Of a Loki.
        "streams" => ", as count_over_time(…[1m]) or rate(…[1m]) make one of lines",
        _ => "",
    };
    format!("it is of the type {kind}, which cannot be judged: a matrix is wanted{advice}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use std::collections::BTreeMap;

    use super::*;
    use crate::canary::MetricSet;
    use crate::metrics::series::metric_sets;

    const LIMITS: Limits = Limits {
        memory: None,
        execution: 1 << 20,
        query_text: 100,
        series: 3,
        labels: 2,
        samples: 5,
    };

    #[test]
    fn no_more_is_kept_than_may_be() {
        let series = |labels: usize, samples: usize| {
            let labels: BTreeMap<_, _> = (0..labels).map(|at| (at.to_string(), "")).collect();
            json!({"metric": labels, "values": vec![json!([1, "1"]); samples]})
        };
        let beyond = "limits.";
        let cases = [
            (vec![series(2, 1), series(0, 2), series(0, 2)], None),
            (
                vec![series(0, 1); 4],
                Some("more than 3 series (limits.series)"),
            ),
            (
                vec![series(3, 1)],
                Some("more than 2 labels (limits.labels)"),
            ),
            (
                vec![series(0, 6)],
                Some("more than 5 samples (limits.samples)"),
            ),
            (vec![series(0, 3); 2], Some("more than 5 samples")),
        ];
        for (result, expected) in cases {
            let body = json!({"status": "success", "data": {"result": result}}).to_string();
            match (read(body.as_bytes(), &LIMITS, 0, false), expected) {
                (Ok(answered), None) => assert_eq!(answered.series.len(), 3),
                (Err(Wrong::Told(told)), Some(expected)) => {
                    assert!(told.contains(expected) && told.contains(beyond), "{told}");
                }
                (read, _) => panic!("{expected:?}: {read:?}"),
            }
        }
        let body = json!({"status": "success", "data": {"result": [series(0, 2)]}}).to_string();
        assert!(read(body.as_bytes(), &LIMITS, 3, false).is_ok());
        let told = read(body.as_bytes(), &LIMITS, 4, false).unwrap_err();
        assert!(
            matches!(&told, Wrong::Told(told) if told.contains("more than 5 samples")),
            "{told:?}"
        );
    }

    #[test]
    fn of_remarks_the_first_are_kept() {
        let body = json!({
            "data": {"result": null}, "warnings": vec!["full"; 1_000], "infos": null,
            "isPartial": {"deep": [[[]]]},
        });
        let answered = read(body.to_string().as_bytes(), &LIMITS, 0, false).unwrap();
        assert_eq!((answered.partial.len(), answered.remarks.len()), (20, 0));
    }

    #[test]
    fn an_answer_may_be_nothing_but_a_warning() {
        let body = r#"{"status":"success","data":{"resultType":"","result":null},"warnings":["store-2: deadline exceeded"]}"#;
        let answered = read(body.as_bytes(), &LIMITS, 0, false).unwrap();
        assert_eq!(answered.partial, ["store-2: deadline exceeded"]);
        assert!(answered.series.is_empty());
    }

    #[test]
    fn what_victoria_metrics_moved_is_not_kept() {
        let cases = [
            (
                r#""stats":{"seriesFetched":"1","executionTimeMsec":3}"#,
                true,
                true,
            ),
            (r#""stats":{"seriesFetched":"1"}"#, false, false),
            (r#""stats":{"timings":{}}"#, true, false),
            (r#""stats":null"#, true, false),
        ];
        for (stats, is_shifted, expected) in cases {
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[]}},{stats}}}"#
            );
            let answered = read(body.as_bytes(), &LIMITS, 0, is_shifted).unwrap();
            assert_eq!(answered.is_unsettled, expected, "{stats} {is_shifted}");
        }
    }

    fn sets(result: &Value) -> Vec<MetricSet> {
        let body = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
        let answered = read(body.to_string().as_bytes(), &LIMITS, 0, false).unwrap();
        let attributes = [("query", "up")].into_iter().collect();
        let scope =
            json!({"start": "2024-06-01T01:00:00.5Z", "end": "2024-06-01T01:05:00Z", "step": 60});
        let scope = serde_json::from_value(scope).unwrap();
        metric_sets("cpu", &attributes, &scope, &answered.series)
    }

    #[test]
    fn no_series_is_a_placeholder_of_the_scope() {
        for nothing in [json!([]), Value::Null] {
            let expected = json!([{
                "name": "cpu", "tags": {},
                "startTimeMillis": 1_717_203_600_500_i64, "startTimeIso": "2024-06-01T01:00:00.500Z",
                "endTimeMillis": 1_717_203_900_000_i64, "endTimeIso": "2024-06-01T01:05:00Z",
                "stepMillis": 60000, "values": [], "attributes": {"query": "up"},
            }]);
            assert_eq!(serde_json::to_value(sets(&nothing)).unwrap(), expected);
        }
    }

    #[test]
    fn a_series_is_a_metric_set_with_its_labels() {
        let result = json!([{
            "metric": {"__name__": "up", "job": "web"},
            "values": [[1_717_203_600, "1"], [1_717_203_660.0, "2.5e1"], [1_717_203_720, "NaN"]],
        }]);
        let expected = json!([{
            "name": "cpu", "tags": {"job": "web"},
            "startTimeMillis": 1_717_203_600_000_i64, "startTimeIso": "2024-06-01T01:00:00Z",
            "endTimeMillis": 1_717_203_780_000_i64, "endTimeIso": "2024-06-01T01:03:00Z",
            "stepMillis": 60000, "values": [1.0, 25.0, "NaN"],
            "timestamps": [1_717_203_600_000_i64, 1_717_203_660_000_i64, 1_717_203_720_000_i64],
            "attributes": {"query": "up"},
        }]);
        assert_eq!(serde_json::to_value(sets(&result)).unwrap(), expected);
    }

    #[test]
    fn start_step_and_end_are_read_off_the_samples() {
        let cases = [
            // samples                                        start              step   end                values
            (
                json!([[1_599_657_179.540, "1"], [1_599_657_180.540, "2"]]),
                (1_599_657_179_540, 1000, 1_599_657_181_540),
                vec![1.0, 2.0],
            ),
            (
                json!([[1_717_203_600, "7"]]),
                (1_717_203_600_000, 0, 1_717_203_600_000),
                vec![7.0],
            ),
            (
                json!([[100, "1"], [340, "2"], [400, "3"]]),
                (100_000, 240_000, 820_000),
                vec![1.0, 2.0, 3.0],
            ),
            (
                json!([[0, "1"], [1.9, "2"]]),
                (0, 1000, 2000),
                vec![1.0, 2.0],
            ),
            (
                json!([[0, "+Inf"], [60, null], [120, "-Inf"]]),
                (0, 60_000, 180_000),
                vec![f64::INFINITY, f64::NEG_INFINITY],
            ),
        ];
        for (samples, expected, values) in cases {
            let set = &sets(&json!([{"metric": {}, "values": samples}]))[0];
            let times = (set.start_time_millis, set.step_millis, set.end_time_millis);
            assert_eq!(times, expected, "{samples}");
            assert_eq!(set.values, values);
            assert_eq!(set.timestamps.len(), values.len());
        }
    }

    #[test]
    fn what_is_no_answer_says_what_is_wrong() {
        let told = [
            (
                r#"{"status":"error","errorType":"execution","error":"too slow"}"#,
                "execution: too slow",
            ),
            (
                r#"{"status":"success","data":{"result":[{"metric":{},"histograms":[[1,{"count":"1"}]]}]}}"#,
                NO_NUMBERS,
            ),
        ];
        for (body, expected) in told {
            let wrong = read(body.as_bytes(), &LIMITS, 0, false).unwrap_err();
            assert_eq!(wrong, Wrong::Told(expected.to_owned()), "{body}");
        }
        let long = format!(r#"{{"data":"{}"}}"#, "ä".repeat(1 << 20));
        let others = [
            ("{\"status\":\"succ", "it ends too early, after 15 bytes"),
            ("{}", "it has no data with a result"),
            (r#"{"status":"success"}"#, "it has no data with a result"),
            (r#"{"status":"ok"}"#, "its status is 'ok', not 'success'"),
            (
                r#"{"status":"error"}"#,
                "its status is 'error', not 'success'",
            ),
            (
                r#"{"status":"fail","data":{"result":[]}}"#,
                "its status is 'fail', not 'success'",
            ),
            (
                "[]",
                "it is not what Prometheus sends: invalid type: sequence, expected an answer of Prometheus",
            ),
            (
                r#"{"status":"success","data":{"hits":[]}}"#,
                "it has no data with a result",
            ),
            (
                r#"{"status":"success","data":null}"#,
                "it has no data with a result",
            ),
            (
                r#"{"status":"success","data":[]}"#,
                "it is not what Prometheus sends: invalid type: sequence, expected data with a result",
            ),
            (
                r#"{"status":"success","data":{"result":"x"}}"#,
                "it is not what Prometheus sends: invalid type: string \"x\", expected a list of series",
            ),
            (
                &long,
                "it is not what Prometheus sends: invalid type: string \"ä",
            ),
            (
                r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
                "it is of the type streams, which cannot be judged: a matrix is wanted, as count_over_time(…[1m])",
            ),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
                "it is of the type scalar, which cannot be judged: a matrix is wanted",
            ),
            (
                r#"{"status":"success","data":{"result":[{"metric":{},"value":[1,"1"]}]}}"#,
                "it holds a series without samples",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"one"]]}]}}"#,
                "it is not what Prometheus sends: 'one' is not a number at line 1 column 91",
            ),
        ];
        for (body, expected) in others {
            let wrong = read(body.as_bytes(), &LIMITS, 0, false).unwrap_err();
            let Wrong::Other { why, beginning } = wrong else {
                panic!("{body}: {wrong:?}");
            };
            assert!(why.starts_with(expected), "{why}");
            assert!(body.as_bytes().starts_with(&beginning), "{body}");
        }
    }
}
