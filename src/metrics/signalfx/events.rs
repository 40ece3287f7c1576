//! The stream of server-sent events that a program is answered by.

use serde::Deserialize;

use super::program::Asked;
use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::at_most;
use crate::metrics::grid::{Grid, Places};
use crate::metrics::http::{Wrong, error_text};
use crate::metrics::series::{Answered, Labels, Series, Window, too_many_samples};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default, deserialize_with = "at_most::<1_000, _, _>")]
    data: Vec<Value>,
    logical_timestamp_ms: i64,
}

#[derive(Deserialize)]
struct Value {
    value: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    event: Option<String>,
    abort_info: Option<serde_json::Value>,
}

/// The one series of a program; what else the job says is an error, or told.
pub fn read(
    body: &[u8],
    asked: &Asked,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer is no text".to_owned())?;
    let mut points = Vec::new();
    let mut has_ended = false;
    let mut remarks = Vec::new();
    for Event { name, data } in events(text) {
        match name {
            "data" => {
                points.push(point(&data)?);
                if limits.samples < points.len() {
                    return Err(too_many_samples(limits).into());
                }
            }
            "control-message" => {
                let control: Control = json(name, &data)?;
                match control.event.as_deref() {
                    Some("END_OF_CHANNEL") => has_ended = true,
                    Some("CHANNEL_ABORT") => {
                        let why = control.abort_info.map(|info| format!(": {info}"));
                        let why = why.unwrap_or_default();
                        return Err(format!("the job was aborted{why}").into());
                    }
                    _ => {}
                }
            }
            "error" => {
                let said = error_text(data.as_bytes());
                let said = said.unwrap_or_else(|| format!("the job failed: {data}"));
                return Err(said.into());
            }
            "message" => remarks.extend(warning(&data)),
            _ => {}
        }
    }
    if !has_ended {
        let told = "the stream ended before the job did: END_OF_CHANNEL never came";
        return Err(told.to_owned().into());
    }
    answered(&points, remarks, asked, &mut Places::new(limits, held))
}

fn point(data: &str) -> Result<(i64, f64), String> {
    let Data {
        data,
        logical_timestamp_ms: time,
    } = json("data", data)?;
    match data.as_slice() {
        [] | [Value { value: None }] => Ok((time, f64::NAN)),
        [Value { value: Some(value) }] => Ok((time, *value)),
        several => Err(format!(
            "there are {} values for one time: the program needs an aggregation, as .mean()",
            several.len()
        )),
    }
}

/// What the job says of itself, unless it is mere information.
fn warning(data: &str) -> Option<String> {
    let said: serde_json::Value = serde_json::from_str(data).ok()?;
    let message = said.get("message")?;
    let level = message.get("messageLevel")?.as_str()?;
    let code = message
        .get("messageCode")
        .and_then(serde_json::Value::as_str);
    (level != "INFO").then(|| format!("{level}: {}", code.unwrap_or("a message without a code")))
}

fn answered(
    points: &[(i64, f64)],
    remarks: Vec<String>,
    asked: &Asked,
    places: &mut Places<'_>,
) -> Result<Answered, Wrong> {
    let mut labels = Labels::new();
    for (key, value) in &asked.pairs {
        if let Some(before) = labels.insert(key.clone(), value.clone()) {
            let told = format!(
                "two of 'queryPairs' have the key '{key}', with '{before}' and '{value}': one with both is \
                 wanted, as in \"500,502\""
            );
            return Err(told.into());
        }
    }
    let window = Window {
        start: asked.range.start,
        end: asked.range.end,
        step: asked.resolution(),
    };
    let begin = window.start.as_millis();
    let mut answered = Answered {
        remarks,
        ..Answered::default()
    };
    let times = points.iter().map(|(time, _)| *time);
    answered
        .attributes
        .push(("actual-data-point-count", points.len().to_string()));
    let mut samples = Vec::new();
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        answered
            .attributes
            .push(("actual-start-ts", first.to_string()));
        answered
            .attributes
            .push(("actual-end-ts", last.to_string()));
        // The times of a job are whole multiples of its resolution.
        let phase = first.saturating_sub(begin).rem_euclid(window.step);
        let start = match phase {
            0 => begin,
            phase => begin.saturating_add(phase - window.step),
        };
        let grid = Grid {
            start,
            step: window.step,
            last,
        };
        let row = places.place(&grid, points.iter().copied())?;
        answered.remarks.extend(row.remark());
        samples = row.samples;
    }
    answered.series.push(Series {
        labels,
        samples,
        histograms: 0,
        window: Some(window),
    });
    Ok(answered)
}

struct Event<'a> {
    name: &'a str,
    data: String,
}

/// As the standard of server-sent events reads them: lines of `data` are joined, what begins with a colon
/// is a comment.
fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut event = Event {
            name: "",
            data: String::new(),
        };
        let mut is_any = false;
        for line in lines.by_ref() {
            if line.is_empty() {
                if is_any {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => (event.name, is_any) = (value, true),
                "data" => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                    is_any = true;
                }
                _ => {}
            }
        }
        // The last one may lack its empty line.
        is_any.then_some(event)
    })
}

fn json<'a, T: Deserialize<'a>>(name: &str, data: &'a str) -> Result<T, String> {
    serde_json::from_str(data)
        .map_err(|cause| format!("a '{name}' of the stream cannot be read: {cause}"))
}
