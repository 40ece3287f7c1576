//! What InfluxDB answers to Flux: tables of CSV, with lines before each that say what its columns are.

use jiff::Timestamp;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::cost;
use crate::metrics::http::Wrong;
use crate::metrics::range::Range;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

const MOST_COLUMNS: usize = 1_000;
/// Columns of every table that are no tags.
const NO_TAGS: [&str; 7] = ["", "result", "table", "_start", "_stop", "_time", "_value"];

/// One series for each table.
pub fn series(
    body: &[u8],
    range: &Range,
    limits: &Limits,
    paid: &mut Held,
) -> Result<Answered, Wrong> {
    let text = std::str::from_utf8(body).map_err(|_| Wrong::other(body, "it is no text"))?;
    let mut reader = Reader {
        range,
        limits,
        head: Head::default(),
        last: None,
        samples: 0,
        answered: Answered::default(),
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (cells, tail) = record(rest).map_err(|why| Wrong::other(body, why))?;
        rest = tail;
        if cells.iter().all(String::is_empty) {
            // Behind an empty line another kind of tables begins.
            if cells.len() == 1 && reader.head.is_read {
                reader.head = Head::default();
            }
            continue;
        }
        reader.read(cells, body, paid)?;
    }
    reader.close();
    Ok(reader.answered)
}

/// What is said of columns before the rows.
#[derive(Default)]
struct Head {
    groups: Vec<String>,
    defaults: Vec<String>,
    names: Vec<String>,
    has_annotations: bool,
    is_read: bool,
}

impl Head {
    fn at(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn cell<'c>(&'c self, cells: &'c [String], at: usize) -> &'c str {
        let cell = cells.get(at).map_or("", String::as_str);
        let default = self.defaults.get(at).map_or("", String::as_str);
        if cell.is_empty() { default } else { cell }
    }
}

struct Reader<'r> {
    range: &'r Range,
    limits: &'r Limits,
    head: Head,
    /// Result and table of the last series.
    last: Option<(String, String)>,
    samples: usize,
    answered: Answered,
}

impl Reader<'_> {
    fn read(&mut self, cells: Vec<String>, body: &[u8], paid: &mut Held) -> Result<(), Wrong> {
        if let Some(annotation) = cells[0].strip_prefix('#') {
            if self.head.is_read {
                self.head = Head::default();
            }
            self.last = None;
            self.head.has_annotations = true;
            match annotation {
                "group" => self.head.groups = cells,
                "default" => {
                    self.head.defaults = cells;
                    self.head.defaults[0].clear();
                }
                _ => {}
            }
            return Ok(());
        }
        if !self.head.has_annotations {
            return Err(Wrong::other(
                body,
                "it is no annotated CSV, as Flux is answered with",
            ));
        }
        if !self.head.is_read {
            self.head.names = cells;
            self.head.is_read = true;
            return Ok(());
        }
        self.row(&cells, paid)
    }

    fn row(&mut self, cells: &[String], paid: &mut Held) -> Result<(), Wrong> {
        let head = &self.head;
        // Series have a table; a column of that name is a tag there.
        if let (Some(at), None) = (head.at("error"), head.at("table")) {
            return Err(head.cell(cells, at).to_owned().into());
        }
        let wanted = |name: &str, what: &str| {
            head.at(name).ok_or_else(|| {
                Wrong::from(format!(
                    "the answer has a table without the column {name}: {what}, as behind aggregateWindow()"
                ))
            })
        };
        let time = wanted("_time", "each row is to have its time")?;
        let value = wanted("_value", "one value is to stand in each row")?;
        let of = |name: &str| {
            head.at(name)
                .map_or("", |at| head.cell(cells, at))
                .to_owned()
        };
        let key = (of("result"), of("table"));
        let text = head.cell(cells, time);
        let time = text.parse::<Timestamp>().map_err(|_| {
            format!(
                "the column '_time' has {text:?}, where a time like 2026-01-01T00:00:00Z is wanted"
            )
        })?;
        let number = match head.cell(cells, value) {
            // There is no value for that time.
            "" => f64::NAN,
            text => text
                .parse()
                .map_err(|_| format!("the column '_value' has {text:?}, which is no number"))?,
        };
        if self.limits.samples == self.samples {
            return Err(too_many_samples(self.limits).into());
        }
        self.samples += 1;
        paid.grow(cost::read(1))?;
        if self.last.as_ref() != Some(&key) {
            let labels = self.labels(cells)?;
            paid.grow(cost::labels(&labels))?;
            self.close();
            self.answered.series.push(Series {
                labels,
                samples: Vec::new(),
                histograms: 0,
                window: None,
            });
            self.last = Some(key);
        }
        if let Some(series) = self.answered.series.last_mut() {
            series
                .samples
                .push(Sample::at(time.as_millisecond(), number));
        }
        Ok(())
    }

    fn labels(&self, cells: &[String]) -> Result<Labels, Wrong> {
        if self.limits.series == self.answered.series.len() {
            return Err(too_many_series(self.limits).into());
        }
        let head = &self.head;
        let columns = head.names.iter().enumerate();
        let tags = columns.filter(|(at, name)| {
            let is_of_group = head.groups.get(*at).is_some_and(|group| group == "true");
            is_of_group && !NO_TAGS.contains(&name.as_str())
        });
        let labels = tags.map(|(at, name)| {
            // As InfluxQL's answers are read.
            let name = if name == "_field" { "field" } else { name };
            (name.to_owned(), head.cell(cells, at).to_owned())
        });
        let labels: Labels = labels.collect();
        if self.limits.labels < labels.len() {
            return Err(too_many_tags(self.limits).into());
        }
        Ok(labels)
    }

    /// Says what time the last series is for.
    fn close(&mut self) {
        let asked = self.range.step.unwrap_or_default().saturating_mul(1000);
        let Some(series) = self.answered.series.last_mut() else {
            return;
        };
        series
            .samples
            .sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let times: Vec<i64> = series
            .samples
            .iter()
            .take(2)
            .map(|sample| sample.millis())
            .collect();
        let Some(first) = times.first() else { return };
        let step = times.get(1).map_or(asked, |second| second - first);
        let rows = i64::try_from(series.samples.len()).unwrap_or(i64::MAX);
        series.window = Some(Window::of(
            *first,
            first.saturating_add(step.saturating_mul(rows)),
            step,
        ));
    }
}

/// The cells of the first line, and what comes behind it. A cell between quotes may hold line breaks.
fn record(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        if cells.len() == MOST_COLUMNS {
            return Err(format!("a line of more than {MOST_COLUMNS} cells"));
        }
        let mut cell = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let Some((part, tail)) = rest.split_once('"') else {
                    return Err("a quote is not closed".to_owned());
                };
                cell.push_str(part);
                rest = tail;
                let Some(tail) = rest.strip_prefix('"') else {
                    break;
                };
                cell.push('"');
                rest = tail;
            }
        }
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        let is_last = !rest[end..].starts_with(',');
        cell.push_str(rest[..end].trim_end_matches('\r'));
        cells.push(cell);
        rest = rest.get(end + 1..).unwrap_or_default();
        if is_last {
            return Ok((cells, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_with_their_quotes() {
        let cases: [(&str, &[&str], &str); 5] = [
            ("a,b\r\nc", &["a", "b"], "c"),
            (",,\n", &["", "", ""], ""),
            ("\r\n,a", &[""], ",a"),
            ("\"a,\n\"\"b\"\"\",c", &["a,\n\"b\"", "c"], ""),
            ("a", &["a"], ""),
        ];
        for (text, cells, rest) in cases {
            let (read, tail) = record(text).unwrap();
            assert_eq!(
                (read.iter().map(String::as_str).collect::<Vec<_>>(), tail),
                (cells.to_vec(), rest),
                "{text:?}"
            );
        }
        assert!(record("\"a").is_err());
        assert!(record(&",".repeat(1_001)).is_err());
    }
}
