//! The pages of a list of time series.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::filter::Asked;
use crate::budget::Held;
use crate::canary::Instant;
use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::cost;
use crate::metrics::http::Wrong;
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
    /// Several of one page may have equal labels. A later page goes on with the first of them.
    found: IndexMap<Labels, Vec<Vec<Timed>>>,
    series: usize,
    samples: usize,
    partial: Vec<String>,
}

struct Timed {
    start: Instant,
    end: Instant,
    value: f64,
}

impl Pages {
    /// `held` pays for what is kept of a page until the last one came.
    pub fn add(
        &mut self,
        page: Page,
        asked: &Asked,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<(), Wrong> {
        if asked.step() <= 0 {
            let told = format!("a step of {} s is no alignment period", asked.step());
            return Err(told.into());
        }
        let errors = page.execution_errors.into_iter().map(|error| {
            let message = error.get("message").and_then(Value::as_str);
            message.map_or_else(|| error.to_string(), str::to_owned)
        });
        let unreachable = page.unreachable.into_iter();
        let unreachable = unreachable.map(|place| format!("{place} could not be reached"));
        for partial in errors.chain(unreachable) {
            held.grow(partial.len())?;
            self.partial.push(partial);
        }
        let earlier = self.found.len();
        for series in page.time_series {
            self.add_series(series, earlier, limits, held)?;
        }
        Ok(())
    }

    /// Of a page, before which as many were found.
    fn add_series(
        &mut self,
        series: TimeSeries,
        earlier: usize,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<(), Wrong> {
        let kind = series.value_type.unwrap_or_default();
        let Some(points) = series.points else {
            let told = "the answer has a series without points, not even an empty list";
            return Err(told.to_owned().into());
        };
        self.samples += points.len();
        if limits.samples < self.samples {
            return Err(too_many_samples(limits).into());
        }
        let labels = labels(series.resource, series.metric, limits)?;
        held.grow(cost::labels(&labels) + points.len() * size_of::<Timed>())?;
        let points = points.into_iter().map(|point| {
            let end = point.interval.end_time;
            Ok(Timed {
                start: point.interval.start_time.unwrap_or(end),
                end,
                value: number(&kind, point.value)?,
            })
        });
        let points = points.collect::<Result<Vec<_>, String>>()?;
        let entry = self.found.entry(labels);
        let is_continued = entry.index() < earlier;
        let alike = entry.or_default();
        match alike.first_mut() {
            Some(first) if is_continued => first.extend(points),
            _ => {
                alike.push(points);
                self.series += 1;
            }
        }
        if limits.series < self.series {
            return Err(too_many_series(limits).into());
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
        let of = |labels: Labels, mut points: Vec<Timed>| {
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
        let found = self.found.into_iter();
        let found = found.flat_map(|(labels, alike)| {
            let alike = alike.into_iter();
            alike.map(move |points| (labels.clone(), points))
        });
        let mut series: Vec<Series> = found.map(|(labels, points)| of(labels, points)).collect();
        if series.is_empty() {
            series.push(of(Labels::new(), Vec::new()));
        }
        Answered {
            series,
            partial: self.partial,
            ..Answered::default()
        }
    }
}

/// Those of the resource without its project; those of the metric win.
fn labels(
    resource: Option<Labeled>,
    metric: Option<Labeled>,
    limits: &Limits,
) -> Result<Labels, String> {
    let mut labels = resource.unwrap_or_default().labels;
    labels.remove("project_id");
    labels.extend(metric.unwrap_or_default().labels);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::budget::{Budget, Share};
    use crate::metrics::range::Range;

    const LIMITS: Limits = Limits {
        memory: None,
        execution: 1 << 20,
        query_text: 100,
        series: 3,
        labels: 2,
        samples: 20_000,
    };

    fn asked() -> Asked {
        Asked {
            filter: String::new(),
            range: Range {
                start: Instant(jiff::Timestamp::UNIX_EPOCH),
                end: Instant(jiff::Timestamp::UNIX_EPOCH),
                step: Some(60),
            },
            reducer: String::new(),
            aligner: String::new(),
            group_by: Vec::new(),
        }
    }

    /// The name of a zone, and values a second apart.
    fn page(series: &[(&str, Vec<u32>)]) -> Page {
        let series = series.iter().map(|(zone, values)| {
            let points = values.iter().map(|value| {
                let end = crate::canary::iso_from_millis(i64::from(*value) * 1000);
                json!({"interval": {"endTime": end}, "value": {"doubleValue": value}})
            });
            json!({
                "resource": {"labels": {"project_id": "p", "zone": "of the resource"}},
                "metric": {"labels": {"zone": zone}},
                "valueType": "DOUBLE", "points": points.collect::<Vec<_>>(),
            })
        });
        let series: Vec<Value> = series.collect();
        serde_json::from_value(json!({"timeSeries": series})).unwrap()
    }

    fn share() -> std::sync::Arc<Share> {
        Budget::new(Some(4 << 20), 1 << 19).share()
    }

    #[test]
    fn a_page_goes_on_with_series_of_those_before() {
        let share = share();
        let mut held = share.hold(0).unwrap();
        let mut pages = Pages::default();
        let all = [
            page(&[("a", vec![3, 2]), ("a", vec![9]), ("b", vec![])]),
            page(&[("b", vec![5]), ("a", vec![1])]),
        ];
        for page in all {
            pages.add(page, &asked(), &LIMITS, &mut held).unwrap();
        }
        let series = pages.into_answered(&asked()).series;
        let read = series.iter().map(|series| {
            let values = series.samples.iter().map(|sample| sample.value.unwrap());
            (series.labels["zone"].as_str(), values.collect::<Vec<_>>())
        });
        let expected = [
            ("a", vec![1.0, 2.0, 3.0]),
            ("a", vec![9.0]),
            ("b", vec![5.0]),
        ];
        assert_eq!(read.collect::<Vec<_>>(), expected);
        let mut pages = Pages::default();
        let mut add = |series: &[_]| pages.add(page(series), &asked(), &LIMITS, &mut held);
        add(&[("a", vec![]), ("a", vec![]), ("b", vec![])]).unwrap();
        let wrong = add(&[("a", vec![]), ("c", vec![])]).unwrap_err();
        assert_eq!(wrong, Wrong::Told(too_many_series(&LIMITS)));
    }

    #[test]
    fn what_is_kept_of_a_page_is_paid_for_while_others_come() {
        let share = share();
        let mut held = share.hold(0).unwrap();
        let mut pages = Pages::default();
        let values: Vec<u32> = (0..8_000).collect();
        let mut add = |series: &[_]| pages.add(page(series), &asked(), &LIMITS, &mut held);
        add(&[("a", values.clone())]).unwrap();
        let wrong = add(&[("a", values.clone())]).unwrap_err();
        assert!(matches!(wrong, Wrong::NoMemory(_)), "{wrong:?}");
        let wrong = add(&[("a", values)]).unwrap_err();
        assert_eq!(wrong, Wrong::Told(too_many_samples(&LIMITS)));
        drop(held);
        assert!(share.take(1 << 19).is_ok(), "it is given back");
    }
}
