//! The pages of a list of time series.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::filter::Asked;
use crate::canary::Instant;
use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series,
};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_POINTS: usize = 5_000_000;
/// What is told of partial answers.
const MOST_ERRORS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    time_series: Vec<TimeSeries>,
    pub next_page_token: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_ERRORS, _, _>")]
    execution_errors: Vec<Value>,
    #[serde(default, deserialize_with = "at_most::<MOST_ERRORS, _, _>")]
    unreachable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeSeries {
    metric: Option<Labeled>,
    resource: Option<Labeled>,
    value_type: Option<String>,
    #[serde(default, deserialize_with = "if_any::<MOST_POINTS, _, _>")]
    points: Option<Vec<Point>>,
}

#[derive(Default, Deserialize)]
struct Labeled {
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
struct Point {
    interval: Interval,
    value: Option<TypedValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Interval {
    /// Gauges may have none.
    start_time: Option<Instant>,
    end_time: Instant,
}

#[derive(Deserialize)]
struct TypedValue {
    #[serde(rename = "doubleValue")]
    double: Option<Double>,
    #[serde(rename = "int64Value")]
    int64: Option<String>,
    #[serde(rename = "boolValue")]
    truth: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Double {
    Number(f64),
    /// `"NaN"`, `"Infinity"`.
    Text(String),
}

/// What the pages hold together.
#[derive(Default)]
pub struct Pages {
    series: Vec<(Labels, Vec<Timed>)>,
    /// Of those that a later page goes on with.
    known: IndexMap<Labels, usize>,
    partial: Vec<String>,
    samples: usize,
}

struct Timed {
    start: Instant,
    end: Instant,
    value: f64,
}

impl Pages {
    pub fn add(&mut self, page: Page, asked: &Asked, limits: &Limits) -> Result<(), String> {
        if asked.step() <= 0 {
            return Err(format!(
                "a step of {} s is no alignment period",
                asked.step()
            ));
        }
        let errors = page.execution_errors.into_iter().map(|error| {
            let message = error.get("message").and_then(Value::as_str);
            message.map_or_else(|| error.to_string(), str::to_owned)
        });
        self.partial.extend(errors);
        let unreachable = page.unreachable.into_iter();
        self.partial
            .extend(unreachable.map(|place| format!("{place} could not be reached")));
        let earlier = self.known.clone();
        for series in page.time_series {
            let labels = labels(&series, limits)?;
            let kind = series.value_type.unwrap_or_default();
            let Some(points) = series.points else {
                return Err(
                    "the answer has a series without points, not even an empty list".to_owned(),
                );
            };
            self.samples += points.len();
            if limits.samples < self.samples {
                return Err(too_many_samples(limits));
            }
            let points = points.into_iter().map(|point| {
                let end = point.interval.end_time;
                Ok(Timed {
                    start: point.interval.start_time.unwrap_or(end),
                    end,
                    value: number(&kind, point.value)?,
                })
            });
            let points = points.collect::<Result<Vec<_>, String>>()?;
            if let Some(&at) = earlier.get(&labels) {
                self.series[at].1.extend(points);
                continue;
            }
            self.known
                .entry(labels.clone())
                .or_insert(self.series.len());
            self.series.push((labels, points));
            if limits.series < self.series.len() {
                return Err(too_many_series(limits));
            }
        }
        Ok(())
    }

    pub fn into_answered(self, asked: &Asked) -> Answered {
        let step = asked.step().saturating_mul(1000);
        let whole = Window {
            start: asked.range.start,
            end: asked.range.end,
            step,
        };
        let of = |(labels, mut points): (Labels, Vec<Timed>)| {
            // The newest come first, as a rule.
            points.sort_by_key(|point| point.end);
            let ends = points.first().zip(points.last());
            let window = ends.map_or(whole, |(first, last)| Window {
                start: first.start,
                end: last.end,
                step,
            });
            let samples = points.iter();
            let samples = samples.map(|point| Sample::at(point.end.as_millis(), point.value));
            Series {
                labels,
                samples: samples.collect(),
                histograms: 0,
                window: Some(window),
            }
        };
        let mut series: Vec<Series> = self.series.into_iter().map(of).collect();
        if series.is_empty() {
            series.push(of((Labels::new(), Vec::new())));
        }
        Answered {
            series,
            partial: self.partial,
            ..Answered::default()
        }
    }
}

/// Those of the resource without its project; those of the metric win.
fn labels(series: &TimeSeries, limits: &Limits) -> Result<Labels, String> {
    let of = |labeled: &Option<Labeled>| {
        let labels = labeled.iter().flat_map(|labeled| labeled.labels.clone());
        labels.collect::<Vec<_>>()
    };
    let resource = of(&series.resource).into_iter();
    let resource = resource.filter(|(name, _)| name != "project_id");
    let labels: Labels = resource.chain(of(&series.metric)).collect();
    if limits.labels < labels.len() {
        return Err(format!(
            "the answer holds a series with more than {} labels (limits.labels)",
            limits.labels
        ));
    }
    Ok(labels)
}

fn number(kind: &str, value: Option<TypedValue>) -> Result<f64, String> {
    let value = value.ok_or("the answer has a point without a value")?;
    match (kind, value) {
        ("DOUBLE", TypedValue { double: Some(value), .. }) => match value {
            Double::Number(number) => Ok(number),
            Double::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                text => Err(format!("'{text}' is no number")),
            },
        },
        ("INT64", TypedValue { int64: Some(text), .. }) => {
            let number: i64 = text.parse().map_err(|_| format!("'{text}' is no whole number"))?;
            #[expect(clippy::cast_precision_loss, reason = "as Kayenta reads it")]
            let number = number as f64;
            Ok(number)
        }
        ("BOOL", TypedValue { truth: Some(value), .. }) => Ok(f64::from(u8::from(value))),
        ("DISTRIBUTION", _) => Err(
            "the series are distributions, which cannot be judged: perSeriesAligner ALIGN_PERCENTILE_99, \
             ALIGN_PERCENTILE_50 or ALIGN_COUNT makes numbers of them"
                .to_owned(),
        ),
        ("STRING", _) => Err(
            "the series are texts, which cannot be judged: perSeriesAligner ALIGN_COUNT makes numbers of them"
                .to_owned(),
        ),
        ("" | "VALUE_TYPE_UNSPECIFIED", _) => {
            Err("the answer does not say what type its values are of".to_owned())
        }
        (kind, _) => Err(format!("the answer has a point whose value is not of its type {kind}")),
    }
}
