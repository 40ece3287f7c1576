//! Windows out of long series, as a source would have answered each of them.

use crate::canary::{Instant, MetricSet, Window};

/// What lies in a window whose end belongs to the next one. Series without a point in it are as if they were not
/// there; where none has one, a series without values stands for them.
pub fn cut(sets: &[MetricSet], start: i64, end: i64, step: i64) -> Vec<MetricSet> {
    let window = Window {
        start,
        end: end - step,
        step,
        asked_at: end,
    };
    let mut kept: Vec<MetricSet> = sets
        .iter()
        .filter_map(|set| piece(set, start, end))
        .collect();
    if kept.is_empty() {
        kept.extend(
            sets.first()
                .map(|set| without_values(set, start, end, step)),
        );
    }
    for set in &mut kept {
        window.tell_instead(set.attributes.get_or_insert_default());
    }
    kept
}

fn piece(set: &MetricSet, start: i64, end: i64) -> Option<MetricSet> {
    let first = set.timestamps.partition_point(|time| *time < start);
    let last = set.timestamps.partition_point(|time| *time < end);
    let times = set
        .timestamps
        .get(first..last)
        .filter(|times| !times.is_empty())?;
    let values = set.values.get(first..last)?;
    let begin = times[0];
    // As it is read off the points of an answer.
    let step = times
        .get(1)
        .map_or(0, |second| (second - begin) / 1000 * 1000);
    let count = i64::try_from(times.len()).unwrap_or(i64::MAX);
    Some(MetricSet {
        name: set.name.clone(),
        tags: set.tags.clone(),
        values: values.to_vec(),
        timestamps: times.to_vec(),
        attributes: set.attributes.clone(),
        ..at(
            begin,
            begin.saturating_add(count.saturating_mul(step)),
            step,
        )
    })
}

fn without_values(set: &MetricSet, start: i64, end: i64, step: i64) -> MetricSet {
    MetricSet {
        name: set.name.clone(),
        attributes: set.attributes.clone(),
        ..at(start, end - step, step)
    }
}

fn at(start: i64, end: i64, step: i64) -> MetricSet {
    let iso = |millis| Instant::from_millis(millis).map(|time| time.to_string());
    MetricSet {
        start_time_millis: start,
        start_time_iso: iso(start),
        end_time_millis: end,
        end_time_iso: iso(end),
        step_millis: step,
        ..MetricSet::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(times: &[i64]) -> MetricSet {
        MetricSet {
            name: "m".to_owned(),
            timestamps: times.iter().map(|time| time * 1000).collect(),
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            values: times.iter().map(|time| *time as f64).collect(),
            attributes: Some(
                [("query", "up"), ("windowStartMillis", "0")]
                    .into_iter()
                    .collect(),
            ),
            ..MetricSet::default()
        }
    }

    #[test]
    fn a_window_has_its_points_and_not_that_of_its_end() {
        let sets = [set(&[0, 60, 120, 180, 240]), set(&[0, 300])];
        let cut = cut(&sets, 60_000, 180_000, 60_000);
        assert_eq!(cut.len(), 1);
        assert_eq!(cut[0].values, [60.0, 120.0]);
        assert_eq!(
            (
                cut[0].start_time_millis,
                cut[0].end_time_millis,
                cut[0].step_millis
            ),
            (60_000, 180_000, 60_000)
        );
        let told = Window::told(cut[0].attributes.as_ref().unwrap()).unwrap();
        assert_eq!((told.start, told.end, told.points()), (60_000, 120_000, 2));
        assert_eq!(told.asked_at, told.end);
    }

    #[test]
    fn a_window_without_points_keeps_its_query() {
        let cut = cut(&[set(&[0])], 60_000, 180_000, 60_000);
        assert_eq!((cut.len(), cut[0].values.len()), (1, 0));
        let attributes = cut[0].attributes.as_ref().unwrap();
        assert_eq!(attributes.get("query").map(|text| &**text), Some("up"));
    }
}
