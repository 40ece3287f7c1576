//! What a judge takes from a report.

use crate::canary::calibration::Report;
use crate::canary::number::number;
use crate::canary::{Learned, LearnedMargin};

/// The margins of a report, under the id that configs name.
pub fn learned(report: &Report, id: &str, made_millis: i64) -> Learned {
    let metrics = report
        .metrics
        .iter()
        .filter(|metric| metric.unfit || metric.margin.is_some());
    let metrics = metrics.map(|metric| LearnedMargin {
        metric: metric.metric.clone(),
        margin: metric.margin,
        windows: report.windows,
        query: metric.query.clone(),
    });
    Learned {
        calibration: id.to_owned(),
        made_millis,
        from_millis: report.from_millis,
        to_millis: report.to_millis,
        metrics: metrics.collect(),
    }
}

/// Which margins are others than before, in words.
pub fn moved(before: &Learned, after: &Learned) -> Vec<String> {
    let told = |margin: Option<f64>| {
        margin.map_or_else(
            || "none that holds".to_owned(),
            |margin| format!("{} %", number(margin * 100.0)),
        )
    };
    let moved = after.metrics.iter().filter_map(|metric| {
        let known = before.of(&metric.metric)?;
        (known.margin != metric.margin).then(|| {
            let (from, to) = (told(known.margin), told(metric.margin));
            format!("{}: the margin moved from {from} to {to}", metric.metric)
        })
    });
    moved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_told() {
        let learned = |margins: &[(&str, Option<f64>)]| Learned {
            calibration: "c".to_owned(),
            made_millis: 0,
            from_millis: 0,
            to_millis: 1,
            metrics: margins
                .iter()
                .map(|(metric, margin)| LearnedMargin {
                    metric: (*metric).to_owned(),
                    margin: *margin,
                    windows: 200,
                    query: String::new(),
                })
                .collect(),
        };
        let before = learned(&[("a", Some(0.05)), ("b", Some(0.1)), ("c", Some(0.5))]);
        let after = learned(&[
            ("a", Some(0.075)),
            ("b", Some(0.1)),
            ("c", None),
            ("d", Some(0.01)),
        ]);
        let told = moved(&before, &after);
        assert_eq!(
            told,
            [
                "a: the margin moved from 5 % to 7.5 %",
                "c: the margin moved from 50 % to none that holds"
            ]
        );
    }
}
