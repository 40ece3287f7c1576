//! What ClickHouse answers: names of columns, their types, and the rows, each in a line of JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::at_most;
use crate::metrics::cost;
use crate::metrics::grid::{Grid, Places};
use crate::metrics::http::{Fault, Wrong};
use crate::metrics::range::Range;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

pub const FORMAT: &str = "JSONCompactEachRowWithNamesAndTypes";
/// Names of columns that hold times, whatever their type.
pub const TIMES: [&str; 4] = ["time", "timestamp", "ts", "t"];

const MOST_COLUMNS: usize = 1_000;
const EXCEPTION: &str = "DB::Exception: ";
const EXCEPTION_CODE: &str = "x-clickhouse-exception-code";

/// Exceptions after which the same may be answered: limits of what runs at once, of time, of memory, and faults of
/// its network and disks.
const PASSING: [u32; 14] = [
    3, 159, 198, 202, 203, 209, 210, 236, 241, 279, 319, 394, 439, 999,
];

/// An exception, whatever the status that came with it.
pub fn fault(headers: &HeaderMap, body: &[u8]) -> Option<Fault> {
    let code = headers
        .get(EXCEPTION_CODE)
        .and_then(|code| code.to_str().ok()?.trim().parse().ok());
    let code = code.filter(|code: &u32| *code != 0);
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let told = match exception(text) {
        Some(told) if code.is_some() || text.starts_with("Code: ") => told,
        _ => code.map(|code| match text {
            "" => format!("exception {code} of ClickHouse"),
            text => text.to_owned(),
        })?,
    };
    let code = code.or_else(|| code_of(&told));
    let may_pass = code.is_none_or(|code| PASSING.contains(&code));
    Some(Fault { told, may_pass })
}

/// `Code: 60. DB::Exception: …`, without what may stand around it in an answer that had begun.
fn exception(text: &str) -> Option<String> {
    let at = text.find(EXCEPTION)?;
    let begin = text[..at].rfind("Code: ").unwrap_or(at);
    let told = &text[begin..];
    // Newer servers end such an answer with a line of its length, and a mark.
    let told = match told.rfind("__exception__") {
        Some(mark) => told[..mark]
            .trim_end()
            .rsplit_once('\n')
            .map_or("", |(told, _)| told),
        None => told,
    };
    let lines = told.lines().map(str::trim).filter(|line| !line.is_empty());
    Some(lines.collect::<Vec<_>>().join(" "))
}

fn code_of(told: &str) -> Option<u32> {
    let digits = told.strip_prefix("Code: ")?;
    let end = digits.find(|it: char| !it.is_ascii_digit())?;
    digits[..end].parse().ok()
}

#[derive(Deserialize)]
struct Row(#[serde(deserialize_with = "at_most::<MOST_COLUMNS, _, _>")] Vec<Value>);

/// One series for each combination of the texts in its rows.
pub fn series(
    body: &[u8],
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    let heads = (lines.next(), lines.next());
    let (Some(names), Some(types)) = heads else {
        return Err(Wrong::other(
            body,
            "names and types of its columns are missing",
        ));
    };
    let [names, types] = [names, types].map(|head| row(head, body));
    let columns = Columns::of(&texts(names?, body)?, &texts(types?, body)?)?;
    if limits.labels < columns.labels.len() {
        return Err(too_many_tags(limits).into());
    }
    let mut all = BTreeMap::<Labels, Vec<Point>>::new();
    let mut rows = 0;
    for line in lines {
        let Row(cells) = row(line, body)?;
        rows += 1;
        if limits.samples < rows {
            return Err(too_many_samples(limits).into());
        }
        let labels = columns.labels_of(&cells);
        let point = columns.point_of(&cells)?;
        if let Some(points) = all.get_mut(&labels) {
            held.grow(cost::read(1))?;
            points.push(point);
            continue;
        }
        if limits.series == all.len() {
            return Err(too_many_series(limits).into());
        }
        held.grow(cost::read(1) + cost::labels(&labels))?;
        all.insert(labels, vec![point]);
    }
    let mut answered = Answered::default();
    answered.remarks.extend(columns.remark());
    if columns.time.is_some() {
        by_times(all, range, &mut Places::new(limits, held), &mut answered)?;
    } else {
        by_order(all, range, &mut answered)?;
    }
    Ok(answered)
}

fn row(line: &[u8], body: &[u8]) -> Result<Row, Wrong> {
    serde_json::from_slice(line).map_err(|cause| {
        // What follows the rows is where an answer that had begun ends.
        let text =
            String::from_utf8_lossy(&body[body.len() - body.len().min(64 << 10)..]).into_owned();
        match exception(&text) {
            Some(told) => told.into(),
            None => Wrong::other(line, format!("it is no row of {FORMAT}: {cause}")),
        }
    })
}

fn texts(Row(cells): Row, body: &[u8]) -> Result<Vec<String>, Wrong> {
    let texts = cells.into_iter().map(|cell| match cell {
        Value::String(text) => Ok(text),
        _ => Err(Wrong::other(
            body,
            "names and types of its columns are missing",
        )),
    });
    texts.collect()
}

/// Milliseconds, and the value; without a column of times, 0.
type Point = (i64, f64);

/// What the columns are for.
#[derive(Debug, PartialEq)]
struct Columns {
    names: Vec<String>,
    time: Option<usize>,
    value: usize,
    labels: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Time,
    Number,
    Text,
    Other,
}

impl Holds {
    fn of(kind: &str) -> Self {
        let within = |kind: &str, around: &str| {
            let inner = kind
                .strip_prefix(around)?
                .strip_prefix('(')?
                .strip_suffix(')')?;
            Some(inner.to_owned())
        };
        let mut kind = kind.trim().to_owned();
        while let Some(inner) =
            within(&kind, "Nullable").or_else(|| within(&kind, "LowCardinality"))
        {
            kind = inner;
        }
        let name = kind.split('(').next().unwrap_or_default();
        let is_any = |begins: &[&str]| begins.iter().any(|begin| name.starts_with(begin));
        if is_any(&["Date"]) {
            Self::Time
        } else if is_any(&["Int", "UInt", "Float", "BFloat", "Decimal", "Nothing"]) {
            Self::Number
        } else if is_any(&["String", "FixedString", "Enum", "UUID", "IPv", "Bool"]) {
            Self::Text
        } else {
            Self::Other
        }
    }
}

impl Columns {
    fn of(names: &[String], types: &[String]) -> Result<Self, String> {
        if names.is_empty() || names.len() != types.len() {
            return Err("the answer has no columns, or not as many types as names".to_owned());
        }
        let holds: Vec<Holds> = types.iter().map(|kind| Holds::of(kind)).collect();
        let is_named = |at: &usize| TIMES.contains(&names[*at].to_lowercase().as_str());
        let all = || 0..names.len();
        let times: Vec<usize> = all().filter(|at| holds[*at] == Holds::Time).collect();
        let time = match times.as_slice() {
            [] => all().find(|at| is_named(at) && holds[*at] != Holds::Other && 1 < names.len()),
            [time] => Some(*time),
            several => {
                let mut meant = several.iter().copied().filter(is_named);
                let (Some(time), None) = (meant.next(), meant.next()) else {
                    let told: Vec<&str> = several.iter().map(|at| names[*at].as_str()).collect();
                    return Err(format!(
                        "the answer has several columns of times ({}): name the one that is meant 'time'",
                        told.join(", ")
                    ));
                };
                Some(time)
            }
        };
        let of = |wanted: Holds| all().find(|at| Some(*at) != time && holds[*at] == wanted);
        let Some(value) = of(Holds::Number).or_else(|| of(Holds::Text)) else {
            let told: Vec<String> = all()
                .map(|at| format!("{} {}", names[at], types[at]))
                .collect();
            return Err(format!(
                "the answer has no column of numbers ({}): one is wanted, as in avg(latency) AS value",
                told.join(", ")
            ));
        };
        let is_label = |at: &usize| holds[*at] == Holds::Text && *at != value && Some(*at) != time;
        Ok(Self {
            names: names.to_vec(),
            time,
            value,
            labels: all().filter(is_label).collect(),
        })
    }

    /// What is said of columns that nothing reads.
    fn remark(&self) -> Option<String> {
        let is_read =
            |at: usize| at == self.value || Some(at) == self.time || self.labels.contains(&at);
        let unread = self
            .names
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_read(*at));
        let unread: Vec<&str> = unread.map(|(_, name)| name.as_str()).collect();
        (!unread.is_empty()).then(|| {
            let value = &self.names[self.value];
            format!(
                "'{value}' is judged, as the first column of numbers, and not: {}",
                unread.join(", ")
            )
        })
    }

    fn labels_of(&self, cells: &[Value]) -> Labels {
        let labels = self.labels.iter().map(|at| {
            let text = match cells.get(*at) {
                Some(Value::String(text)) => text.clone(),
                None | Some(Value::Null) => String::new(),
                Some(other) => other.to_string(),
            };
            (self.names[*at].clone(), text)
        });
        labels.collect()
    }

    fn point_of(&self, cells: &[Value]) -> Result<Point, String> {
        let cell = |at: usize| cells.get(at).unwrap_or(&Value::Null);
        let of = |at: usize, why: String| format!("the column '{}' {why}", self.names[at]);
        let time = match self.time {
            Some(at) => time(cell(at)).map_err(|why| of(at, why))?,
            None => 0,
        };
        let value = number(cell(self.value)).map_err(|why| of(self.value, why))?;
        Ok((time, value))
    }
}

fn time(cell: &Value) -> Result<i64, String> {
    let wanted = |shown: &str| {
        format!(
            "has {shown}, where a time is wanted: a DateTime, or seconds since 1970 by toUnixTimestamp"
        )
    };
    match cell {
        Value::Number(number) => {
            let whole = number.as_i64().map(whole_since_epoch);
            let time = whole.or_else(|| number.as_f64().and_then(since_epoch));
            time.ok_or_else(|| wanted(&number.to_string()))
        }
        Value::String(text) => {
            let day = || {
                let day = text.parse::<Date>().ok().filter(|_| text.len() == 10)?;
                Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
            };
            let instant = text.parse::<Timestamp>().ok().or_else(day);
            let instant = instant.map(Timestamp::as_millisecond);
            instant
                .or_else(|| text.parse().ok().map(whole_since_epoch))
                .or_else(|| text.parse().ok().and_then(since_epoch))
                .ok_or_else(|| wanted(&cell.to_string()))
        }
        other => Err(wanted(&other.to_string())),
    }
}

/// Of seconds, milliseconds, micro- or nanoseconds, whichever it must be.
const fn whole_since_epoch(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1_000),
        _ => number.div_euclid(1_000_000),
    }
}

/// The same of one that is no whole number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of a time that can be have 13 digits"
)]
fn since_epoch(number: f64) -> Option<i64> {
    let millis = match number.abs() {
        seconds if seconds < 1e11 => number * 1e3,
        millis if millis < 1e14 => number,
        micros if micros < 1e17 => number / 1e3,
        nanos if nanos < 1e20 => number / 1e6,
        _ => return None,
    };
    Some(millis.round() as i64)
}

/// `null` is NaN: there is no value.
fn number(cell: &Value) -> Result<f64, String> {
    match cell {
        Value::Null => Ok(f64::NAN),
        Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("has {cell}, which is no number")),
        other => Err(format!("has {other}, which is no number")),
    }
}

/// Rows without times are taken for consecutive steps, as Kayenta takes them.
fn by_order(
    all: BTreeMap<Labels, Vec<Point>>,
    range: &Range,
    answered: &mut Answered,
) -> Result<(), Wrong> {
    let Some(step) = range.step.filter(|step| 0 < *step) else {
        if all.is_empty() {
            return Ok(());
        }
        let told = "the scope has no 'step', which rows without a column 'time' are apart";
        return Err(told.to_owned().into());
    };
    let (start, step) = (range.start.as_millis(), step.saturating_mul(1000));
    for (labels, points) in all {
        let samples = points.into_iter().scan(start, |next, (_, value)| {
            let sample = Sample::at(*next, value);
            *next = next.saturating_add(step);
            Some(sample)
        });
        answered.series.push(Series {
            labels,
            samples: samples.collect(),
            histograms: 0,
            window: Some(Window::of(start, range.end.as_millis(), step)),
        });
    }
    Ok(())
}

/// In the order of their times. Where these lie in one raster, NaN stands where there is none.
fn by_times(
    mut all: BTreeMap<Labels, Vec<Point>>,
    range: &Range,
    places: &mut Places<'_>,
    answered: &mut Answered,
) -> Result<(), Wrong> {
    let (start, end) = (range.start.as_millis(), range.end.as_millis());
    let asked = range
        .step
        .filter(|step| 0 < *step)
        .map(|step| step.saturating_mul(1000));
    // A row may be for a step that had begun before the window.
    let earliest = start.saturating_sub(asked.unwrap_or(0).saturating_sub(1).max(0));
    let count = |all: &BTreeMap<Labels, Vec<Point>>| all.values().map(Vec::len).sum::<usize>();
    let came = count(&all);
    for points in all.values_mut() {
        points.retain(|(time, _)| (earliest..=end).contains(time));
        points.sort_by_key(|(time, _)| *time);
    }
    let left_out = came - count(&all);
    if 0 < left_out {
        answered.remarks.push(format!(
            "{left_out} of {came} rows are left out, as their times lie beyond the window"
        ));
    }
    all.retain(|_, points| !points.is_empty());
    let step = asked.or_else(|| least_distance(&all)).unwrap_or(0);
    let times = || all.values().flatten().map(|(time, _)| *time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Ok(());
    };
    let is_raster = 0 < step
        && times().all(|time| (time - first).rem_euclid(step) == 0)
        && all
            .values()
            .all(|points| points.windows(2).all(|pair| pair[0].0 < pair[1].0));
    if !is_raster {
        answered.remarks.push(
            "the rows lie at irregular times, and are judged as they came: group them by \
             toStartOfInterval(time, INTERVAL ${step} SECOND)"
                .to_owned(),
        );
        let window = Window::of(start, end, step);
        answered
            .series
            .extend(all.into_iter().map(|(labels, points)| {
                Series {
                    labels,
                    samples: points
                        .into_iter()
                        .map(|(time, value)| Sample::at(time, value))
                        .collect(),
                    histograms: 0,
                    window: Some(window),
                }
            }));
        return Ok(());
    }
    let grid = Grid {
        start: first.min(start + (first - start).rem_euclid(step)),
        step,
        last: last.max(end - 1 - (end - 1 - first).rem_euclid(step)),
    };
    let window = Window::of(grid.start, grid.last.saturating_add(step), step);
    for (labels, points) in all {
        answered.series.push(Series {
            labels,
            samples: places.place(&grid, points)?.samples,
            histograms: 0,
            window: Some(window),
        });
    }
    Ok(())
}

fn least_distance(all: &BTreeMap<Labels, Vec<Point>>) -> Option<i64> {
    let pairs = all.values().flat_map(|points| points.windows(2));
    pairs
        .map(|pair| pair[1].0 - pair[0].0)
        .filter(|apart| 0 < *apart)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_told_without_what_stands_around_it() {
        let told = "Code: 395. DB::Exception: Value passed: it is 1. (FUNCTION_THROW_IF)";
        let cases = [
            told.to_owned(),
            format!("[1]\n{told}\n"),
            format!("[1]\r\n__exception__\r\nabc\r\n{told}\r\n69 abc\r\n__exception__\r\n"),
        ];
        for text in cases {
            assert_eq!(exception(&text).as_deref(), Some(told), "{text}");
        }
        assert_eq!(exception("[1]\n[2]\n"), None);
        assert_eq!(code_of(told), Some(395));
    }

    #[test]
    fn numbers_are_times_in_whichever_unit_they_must_be() {
        let millis = 1_717_200_000_250;
        for (number, wanted) in [
            (1.717_200_000_25e9, millis),
            (1.717_200_000_25e12, millis),
            (1.717_200_000_25e15, millis),
            (1.717_200_000_25e18, millis),
            (-1.5, -1_500),
        ] {
            assert_eq!(since_epoch(number), Some(wanted), "{number}");
        }
        for number in [
            1_717_200_000,
            1_717_200_000_000,
            1_717_200_000_000_000,
            1_717_200_000_000_000_000,
        ] {
            assert_eq!(whole_since_epoch(number), 1_717_200_000_000, "{number}");
        }
        assert_eq!(whole_since_epoch(-1), -1_000);
        assert_eq!(since_epoch(f64::NAN), None);
        assert_eq!(since_epoch(1e21), None);
    }
}
