//! What `sequential-v1` found of all metrics, one below the other: what lies beyond its margin, within, and across.

use super::interval::{self, Interval};
use super::view::{Fact, words::fact};
use crate::canary::number::number;
use crate::canary::sequential::{Finding, Sequential};
use crate::canary::{CanaryAnalysisResult, CanaryJudgeResult};

/// All metrics that were judged by it, in the order of the results.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    pub rows: Vec<ForestRow>,
    /// How many lie where, in a sentence.
    pub counts: String,
    /// What is open, and what would settle it.
    pub needed: Option<String>,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct ForestRow {
    pub index: usize,
    pub name: String,
    pub tags: Vec<Fact>,
    pub place: Place,
    /// None where there is no interval.
    pub drawing: Option<Interval>,
    /// `+17.5 % (8.1 to 28.1 %)`
    pub change: String,
    pub margin: String,
    pub needed: Option<String>,
}

/// Where an interval lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Beyond the margin, in a direction that counts.
    Beyond,
    /// Beyond, in the other direction.
    Better,
    Within,
    /// It contains the margin.
    Across,
    /// There is no interval.
    Open,
}

impl Place {
    pub fn of(found: &Sequential) -> Self {
        match found.verdict {
            Finding::Regressed => Self::Beyond,
            Finding::Improved => Self::Better,
            Finding::Equivalent => Self::Within,
            Finding::Inconclusive if found.change.estimate.is_some() => Self::Across,
            Finding::Inconclusive => Self::Open,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Beyond => "beyond",
            Self::Better => "better",
            Self::Within => "within",
            Self::Across => "across",
            Self::Open => "not settled",
        }
    }

    pub const fn class(self) -> &'static str {
        match self {
            Self::Beyond => "beyond",
            Self::Better => "better",
            Self::Within => "within",
            Self::Across => "across",
            Self::Open => "open",
        }
    }
}

/// None where no metric was judged by it.
pub fn draw(judged: &CanaryJudgeResult) -> Option<Forest> {
    let rows = judged.results.iter().enumerate();
    let rows: Vec<ForestRow> = rows
        .filter_map(|(index, result)| row(index, result))
        .collect();
    if rows.is_empty() {
        return None;
    }
    Some(Forest {
        counts: counts(&rows),
        needed: needed(judged),
        rows,
    })
}

pub fn found(result: &CanaryAnalysisResult) -> Option<&Sequential> {
    result.explanation.as_ref()?.sequential.as_deref()
}

fn row(index: usize, result: &CanaryAnalysisResult) -> Option<ForestRow> {
    let found = found(result)?;
    Some(ForestRow {
        index,
        name: result.name.clone(),
        tags: result
            .tags
            .iter()
            .map(|(name, value)| fact(name, value))
            .collect(),
        place: Place::of(found),
        drawing: interval::against_margin(found),
        change: change(found),
        margin: margin(found),
        needed: found.minutes_needed.map(minutes),
    })
}

/// `+17.5 % (8.1 to 28.1 %)`, in the unit of the metric where there is no percent.
pub fn change(found: &Sequential) -> String {
    let (of, unit) = match found.percent.estimate {
        Some(_) => (found.percent, " %"),
        None => (found.change, ""),
    };
    let Some(estimate) = of.estimate else {
        return "–".to_owned();
    };
    let bound = |bound: Option<f64>| bound.map_or_else(|| "no bound".to_owned(), signed);
    let interval = match (of.lower, of.upper) {
        (None, None) => String::new(),
        (lower, Some(upper)) => format!(" ({} to {}{unit})", bound(lower), signed(upper)),
        (Some(lower), None) => format!(" ({}{unit} to no bound)", signed(lower)),
    };
    format!("{}{unit}{interval}", signed(estimate))
}

/// `−5 to +5 %`
pub fn margin(found: &Sequential) -> String {
    let margin = &found.margin;
    let (down, up, unit) = match (margin.down_percent, margin.up_percent) {
        (None, None) => (margin.down, margin.up, ""),
        (down, up) => (down, up, " %"),
    };
    let bound = |bound: Option<f64>| bound.map_or_else(|| "none".to_owned(), signed);
    match (down, up) {
        (None, None) => "–".to_owned(),
        (down, up) => format!("{} to {}{unit}", bound(down), bound(up)),
    }
}

pub fn minutes(minutes: u64) -> String {
    match minutes {
        1 => "1 minute".to_owned(),
        0..120 => format!("{minutes} minutes"),
        _ => {
            let tenths = minutes.div_ceil(6);
            let (hours, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 {
                format!("{hours} hours")
            } else {
                format!("{hours}.{tenth} hours")
            }
        }
    }
}

/// With a minus as typographers know it.
fn signed(value: f64) -> String {
    let text = number(value.abs());
    match value {
        value if 0.0 < value => format!("+{text}"),
        value if value < 0.0 => format!("−{text}"),
        _ => text,
    }
}

fn counts(rows: &[ForestRow]) -> String {
    let all = [
        (Place::Beyond, "beyond the margin"),
        (Place::Better, "better than before"),
        (Place::Within, "within it"),
        (Place::Across, "across its edge, so not settled"),
        (Place::Open, "not measured well enough for an interval"),
    ];
    let told = all.iter().filter_map(|(place, words)| {
        let count = rows.iter().filter(|row| row.place == *place).count();
        (0 < count).then(|| format!("{count} {words}"))
    });
    let told: Vec<String> = told.collect();
    told.join(", ")
}

/// How long the metrics that are not settled want to be measured yet, the longest one last.
pub fn needed(judged: &CanaryJudgeResult) -> Option<String> {
    let open = judged.results.iter().filter(|result| !result.muted);
    let open = open.filter_map(|result| {
        let found = found(result)?;
        let is_open = found.verdict == Finding::Inconclusive;
        Some((&result.name, found.minutes_needed?)).filter(|_| is_open)
    });
    let mut open: Vec<(&String, u64)> = open.collect();
    open.sort_by_key(|(_, minutes)| *minutes);
    let (name, longest) = open.last()?;
    let longest = minutes(*longest);
    Some(match open.len() {
        1 => format!("{name} would be settled by some {longest} more"),
        count => format!(
            "{count} metrics are not settled yet; the last of them, {name}, would be by some {longest} more"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::interval::tests;

    fn found(verdict: &str, change: [f64; 3]) -> Sequential {
        serde_json::from_value(tests::found(verdict, change)).unwrap()
    }

    #[test]
    fn a_change_is_told_with_its_interval_in_percent_where_there_is_one() {
        let mut rise = found("Regressed", [17.5, 8.1, 28.1]);
        assert_eq!(change(&rise), "+17.5 % (+8.1 to +28.1 %)");
        assert_eq!(margin(&rise), "−5 to +5 %");
        rise.percent.upper = None;
        assert_eq!(change(&rise), "+17.5 % (+8.1 % to no bound)");
        rise.percent.estimate = None;
        rise.margin.up_percent = None;
        rise.margin.down_percent = None;
        assert_eq!(change(&rise), "+17.5 (+8.1 to +28.1)");
        assert_eq!(margin(&rise), "−5 to +5");
        rise.change.estimate = None;
        assert_eq!(change(&rise), "–");
    }

    #[test]
    fn minutes_become_hours() {
        let cases = [
            (1, "1 minute"),
            (40, "40 minutes"),
            (119, "119 minutes"),
            (120, "2 hours"),
            (130, "2.2 hours"),
            (10_080, "168 hours"),
        ];
        for (count, expected) in cases {
            assert_eq!(minutes(count), expected);
        }
    }

    #[test]
    fn where_an_interval_lies_follows_from_what_was_found() {
        let cases = [
            ("Regressed", Place::Beyond),
            ("Improved", Place::Better),
            ("Equivalent", Place::Within),
            ("Inconclusive", Place::Across),
        ];
        for (verdict, expected) in cases {
            assert_eq!(Place::of(&found(verdict, [1.0, 0.0, 2.0])), expected);
        }
        let mut open = found("Inconclusive", [0.0; 3]);
        open.change.estimate = None;
        assert_eq!(Place::of(&open), Place::Open);
    }
}
