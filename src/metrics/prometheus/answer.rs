//! What Prometheus answers to a range query.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use serde::Deserialize;

use super::parse::{self, Unreadable};
use crate::canary::{Attributes, CanaryScope, Instant, MetricSet, iso_from_millis};
use crate::config::Limits;

/// Sorted by label name, which is the order in which Prometheus compares series.
pub type Labels = BTreeMap<String, String>;

/// One series as it came.
#[derive(Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// At least one.
    pub samples: Vec<Sample>,
    /// Native histograms beside them, which are no numbers.
    pub histograms: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the epoch.
    pub seconds: f64,
    /// `null` in the answer is none.
    pub value: Option<f64>,
}

/// What an answer holds.
#[derive(Debug, Default, PartialEq)]
pub struct Answered {
    pub series: Vec<Series>,
    /// What the server is not sure of: of a partial answer, for example.
    pub warnings: Vec<String>,
    /// What it noticed in the query.
    pub infos: Vec<String>,
    /// It said itself that there is more, as `VictoriaMetrics` does.
    pub is_partial: bool,
}

/// Why an answer cannot be read.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// In words that need no more: those of the server, or of a bound.
    Told(String),
    /// It is another thing.
    Other { why: String, beginning: Vec<u8> },
}

impl Wrong {
    pub fn other(body: &[u8], why: &str) -> Self {
        let end = why.floor_char_boundary(LONGEST_REASON);
        let cut = if end < why.len() { "…" } else { "" };
        Self::Other {
            why: format!("{}{cut}", &why[..end]),
            beginning: beginning(body).to_vec(),
        }
    }
}

/// More than is shown of an answer, as secrets are taken out of it first.
pub fn beginning(body: &[u8]) -> &[u8] {
    &body[..body.len().min(1 << 10)]
}

/// What a range query gives.
const MATRIX: &str = "matrix";

/// A reason may have any text of the answer in it.
const LONGEST_REASON: usize = 200;

/// What Prometheus says of a query, and not of what it was answered from.
const OF_THE_QUERY: &str = "PromQL ";

impl Answered {
    /// What says that there is more than was answered.
    pub fn partial(&self) -> Vec<&str> {
        let is_partial = |warning: &&str| !warning.starts_with(OF_THE_QUERY);
        let warnings = self.warnings.iter().map(String::as_str);
        let told = warnings.filter(is_partial);
        let itself = self.is_partial.then_some("isPartial");
        once(told.chain(itself))
    }

    /// What else it says.
    pub fn remarks(&self) -> Vec<&str> {
        let of_the_query = |warning: &&str| warning.starts_with(OF_THE_QUERY);
        let warnings = self.warnings.iter().map(String::as_str);
        let infos = self.infos.iter().map(String::as_str);
        once(warnings.filter(of_the_query).chain(infos))
    }

    /// Whether the same will be answered for the same time.
    pub fn is_settled(&self) -> bool {
        let is_whole = |series: &Series| series.histograms == 0;
        self.warnings.is_empty() && !self.is_partial && self.series.iter().all(is_whole)
    }
}

/// The answers to pieces of a range say the same.
fn once<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    texts.collect::<IndexSet<_>>().into_iter().collect()
}

/// What an answer holds, or what is wrong with it.
pub fn read(body: &[u8], limits: &Limits, before: usize) -> Result<Answered, Wrong> {
    let answer = match parse::parse(body, limits, before) {
        Ok(answer) => answer,
        Err(Unreadable::Beyond(what)) => return Err(Wrong::Told(what)),
        Err(Unreadable::Json(error)) => return Err(unreadable(body, &error)),
    };
    if let Some(status) = answer.status.filter(|status| status != "success") {
        let told = error_text(body).filter(|_| status == "error");
        let other = || Wrong::other(body, &format!("its status is '{status}', not 'success'"));
        return Err(told.map_or_else(other, Wrong::Told));
    }
    // Where stores behind it failed, Prometheus writes an empty type beside `null`.
    let kind = answer.result_type.filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.filter(|kind| kind != MATRIX) {
        return Err(Wrong::other(body, &no_matrix(&kind)));
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
        }),
        (_, Some(_)) => Err(Wrong::Told(
            "the answer holds native histograms, which cannot be judged; \
                 histogram_quantile, histogram_avg and the like make numbers of them"
                .to_owned(),
        )),
        (_, None) => Err(Wrong::other(body, "it holds a series without samples")),
    });
    Ok(Answered {
        series: series.collect::<Result<_, _>>()?,
        warnings: answer.warnings,
        infos: answer.infos,
        is_partial: answer.is_partial,
    })
}

/// The error that Prometheus put into a body: `<errorType>: <error>`.
pub fn error_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(rename = "errorType")]
        kind: Option<String>,
        error: Option<String>,
    }
    let told: Told = serde_json::from_slice(body).ok()?;
    match (told.kind, told.error) {
        (Some(kind), Some(error)) => Some(format!("{kind}: {error}")),
        (kind, error) => error.or(kind),
    }
}

/// Answers to consecutive ranges as one answer to all of them would give them.
pub fn join(mut answers: Vec<Answered>) -> Answered {
    if answers.len() == 1 {
        return answers.remove(0);
    }
    let mut joined = Answered::default();
    let mut series = Vec::new();
    for answer in answers {
        series.push(answer.series);
        joined.warnings.extend(answer.warnings);
        joined.infos.extend(answer.infos);
        joined.is_partial |= answer.is_partial;
    }
    joined.series = join_series(series);
    joined
}

fn join_series(answers: Vec<Vec<Series>>) -> Vec<Series> {
    let mut joined = BTreeMap::<Labels, (Vec<Sample>, usize)>::new();
    for series in answers.into_iter().flatten() {
        let (samples, histograms) = joined.entry(series.labels).or_default();
        samples.extend(series.samples);
        *histograms += series.histograms;
    }
    joined
        .into_iter()
        .map(|(labels, (samples, histograms))| Series {
            labels,
            samples,
            histograms,
        })
        .collect()
}

/// One metric set a series; one without values when there is no series.
pub fn metric_sets(
    name: &str,
    attributes: &Attributes,
    scope: &CanaryScope,
    series: &[Series],
) -> Vec<MetricSet> {
    if series.is_empty() {
        return vec![placeholder(name, attributes, scope)];
    }
    series
        .iter()
        .map(|series| metric_set(name, attributes, series))
        .collect()
}

fn placeholder(name: &str, attributes: &Attributes, scope: &CanaryScope) -> MetricSet {
    let millis = |instant: Option<Instant>| instant.map_or(0, Instant::as_millis);
    MetricSet {
        name: name.to_owned(),
        start_time_millis: millis(scope.start),
        start_time_iso: scope.start.map(|start| start.to_string()),
        end_time_millis: millis(scope.end),
        end_time_iso: scope.end.map(|end| end.to_string()),
        step_millis: scope.step.unwrap_or_default().saturating_mul(1000),
        attributes: Some(attributes.clone()),
        ..MetricSet::default()
    }
}

/// Start, step and end are read off the samples, whatever was asked for, as Kayenta does.
fn metric_set(name: &str, attributes: &Attributes, series: &Series) -> MetricSet {
    let samples = &series.samples;
    let start = samples.first().map_or(0, |sample| sample.millis());
    let step = samples.get(1).map_or(0, |second| {
        second.millis().saturating_sub(start) / 1000 * 1000
    });
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    let end = start.saturating_add(count.saturating_mul(step));
    let kept = || samples.iter().filter(|sample| sample.value.is_some());
    let mut attributes = attributes.clone();
    if let Some(dropped) = dropped(series) {
        attributes.insert("dropped", dropped);
    }
    MetricSet {
        name: name.to_owned(),
        start_time_millis: start,
        start_time_iso: Some(iso_from_millis(start)),
        end_time_millis: end,
        end_time_iso: Some(iso_from_millis(end)),
        step_millis: step,
        values: kept().filter_map(|sample| sample.value).collect(),
        timestamps: kept().map(|sample| sample.millis()).collect(),
        attributes: Some(attributes),
        tags: series
            .labels
            .iter()
            .filter(|(label, _)| *label != "__name__")
            .map(|(label, value)| (label.clone(), value.clone()))
            .collect(),
    }
}

/// `41 of 61 are native histograms`
fn dropped(series: &Series) -> Option<String> {
    let unreadable = series.samples.iter().filter(|s| s.value.is_none()).count();
    let all = series.samples.len() + series.histograms;
    let told = [
        (series.histograms, "native histograms"),
        (unreadable, "no numbers"),
    ];
    let told = told.into_iter().filter(|(count, _)| 0 < *count);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} of {all} are {what}"))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

impl Sample {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Prometheus has milliseconds; finer digits are cut, as Kayenta does"
    )]
    fn millis(self) -> i64 {
        (self.seconds * 1000.0) as i64
    }
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
        return Wrong::other(body, &why);
    }
    if let Some(text) = error_text(body) {
        return Wrong::Told(text);
    }
    let outline = serde_json::from_slice::<Outline>(body).ok();
    match outline.and_then(|outline| outline.data?.result_type) {
        Some(kind) if kind != MATRIX => Wrong::other(body, &no_matrix(&kind)),
        _ => Wrong::other(body, &format!("it is not what Prometheus sends: {error}")),
    }
}

fn no_matrix(kind: &str) -> String {
    format!("it is of the type {kind}, which cannot be judged: a matrix is wanted")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
            match (read(body.as_bytes(), &LIMITS, 0), expected) {
                (Ok(answered), None) => assert_eq!(answered.series.len(), 3),
                (Err(Wrong::Told(told)), Some(expected)) => {
                    assert!(told.contains(expected) && told.contains(beyond), "{told}");
                }
                (read, _) => panic!("{expected:?}: {read:?}"),
            }
        }
        let body = json!({"status": "success", "data": {"result": [series(0, 2)]}}).to_string();
        assert!(read(body.as_bytes(), &LIMITS, 3).is_ok());
        let told = read(body.as_bytes(), &LIMITS, 4).unwrap_err();
        assert!(
            matches!(&told, Wrong::Told(told) if told.contains("more than 5 samples")),
            "{told:?}"
        );
    }

    #[test]
    fn remarks_are_cut() {
        let long = "ä".repeat(10_000);
        let body = json!({
            "data": {"result": null}, "warnings": vec![long; 1_000], "infos": null,
            "isPartial": {"deep": [[[]]]},
        });
        let answered = read(body.to_string().as_bytes(), &LIMITS, 0).unwrap();
        let texts = answered.warnings.iter().map(String::len);
        assert_eq!(texts.max(), Some(1_024 + '…'.len_utf8()));
        assert_eq!((answered.warnings.len(), answered.infos.len()), (20, 0));
        assert!(!answered.is_partial);
    }

    #[test]
    fn an_answer_may_be_nothing_but_a_warning() {
        let body = r#"{"status":"success","data":{"resultType":"","result":null},"warnings":["store-2: deadline exceeded"]}"#;
        let answered = read(body.as_bytes(), &LIMITS, 0).unwrap();
        assert_eq!(answered.partial(), ["store-2: deadline exceeded"]);
        assert!(answered.series.is_empty());
    }

    fn sets(result: &Value) -> Vec<MetricSet> {
        let body = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
        let answered = read(body.to_string().as_bytes(), &LIMITS, 0).unwrap();
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
                "the answer holds native histograms, which cannot be judged; histogram_quantile, histogram_avg and the like make numbers of them",
            ),
        ];
        for (body, expected) in told {
            let wrong = read(body.as_bytes(), &LIMITS, 0).unwrap_err();
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
                "it is of the type streams, which cannot be judged: a matrix is wanted",
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
            let wrong = read(body.as_bytes(), &LIMITS, 0).unwrap_err();
            let Wrong::Other { why, beginning } = wrong else {
                panic!("{body}: {wrong:?}");
            };
            assert!(why.starts_with(expected), "{why}");
            assert!(why.len() <= LONGEST_REASON + '…'.len_utf8(), "{why}");
            assert!(body.as_bytes().starts_with(&beginning), "{body}");
        }
    }

    #[test]
    fn joined_answers_have_the_order_of_one() {
        let series = |labels: &[(&str, &str)], seconds: &[f64]| Series {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            samples: seconds
                .iter()
                .map(|&seconds| Sample {
                    seconds,
                    value: Some(1.0),
                })
                .collect(),
            histograms: seconds.len(),
        };
        let (a, b, c) = (
            &[("x", "a")][..],
            &[("x", "b")][..],
            &[("x", "b"), ("y", "c")][..],
        );
        let joined = join_series(vec![
            vec![series(b, &[1.0])],
            vec![series(a, &[2.0]), series(b, &[2.0]), series(c, &[2.0])],
            vec![series(a, &[3.0])],
        ]);
        let expected = [
            series(a, &[2.0, 3.0]),
            series(b, &[1.0, 2.0]),
            series(c, &[2.0]),
        ];
        assert_eq!(joined, expected);
    }
}
