//! The series of both sides, put together by their tags.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::canary::{CanaryConfig, MetricSet, MetricSetPair, MetricSetScope, Pair};
use crate::error::{Error, Result};

/// Pairs the series of every metric; `sets` has one list for each metric of the config.
pub fn mix(
    config: &CanaryConfig,
    sets: Pair<Vec<Vec<MetricSet>>>,
    mut new_id: impl FnMut() -> String,
) -> Result<Vec<MetricSetPair>> {
    let metrics = config.metrics.as_deref().unwrap_or_default();
    let mut control = sets.control.into_iter();
    let mut experiment = sets.experiment.into_iter();
    let mut pairs = Vec::with_capacity(metrics.len());
    for metric in metrics {
        let name = metric.name.as_deref().unwrap_or_default();
        let sets = Pair {
            control: control.next().unwrap_or_default(),
            experiment: experiment.next().unwrap_or_default(),
        };
        let first = Pair {
            control: first_of("control", name, &sets.control)?,
            experiment: first_of("experiment", name, &sets.experiment)?,
        };
        check_tag_keys(&sets)?;
        let matched = match_by_tags(&sets);
        pairs.extend(
            matched
                .into_iter()
                .map(|found| pair(name, new_id(), found, first)),
        );
    }
    Ok(pairs)
}

fn first_of<'a>(side: &str, name: &str, sets: &'a [MetricSet]) -> Result<&'a MetricSet> {
    sets.first().ok_or_else(|| {
        Error::Invalid(format!(
            "No {side} metrics found for {name} and the metric service did not create a placeholder."
        ))
    })
}

fn check_tag_keys(sets: &Pair<Vec<MetricSet>>) -> Result<()> {
    let keys = sets.as_ref().map(|sets| tag_keys(sets));
    if keys.control.is_empty() || keys.experiment.is_empty() || keys.control == keys.experiment {
        return Ok(());
    }
    let keys = keys.map(|keys| keys.into_iter().collect::<Vec<_>>().join(", "));
    Err(Error::Invalid(format!(
        "Control metrics have different tag keys than the experiment tag set ([{}] != [{}]).",
        keys.control, keys.experiment
    )))
}

fn tag_keys(sets: &[MetricSet]) -> BTreeSet<&str> {
    sets.iter()
        .flat_map(|set| set.tags.keys().map(String::as_str))
        .collect()
}

/// At least one side of every match is there.
type Match<'a> = Pair<Option<&'a MetricSet>>;

fn match_by_tags(sets: &Pair<Vec<MetricSet>>) -> Vec<Match<'_>> {
    let untagged = sets
        .as_ref()
        .map(|sets| sets.iter().any(|set| set.tags.is_empty()));
    // Kayenta means placeholders here, but looks at the tags alone: what the untagged side holds
    // is dropped, be it real.
    match (untagged.control, untagged.experiment) {
        (true, false) => alone(&sets.experiment, |set| Pair {
            control: None,
            experiment: Some(set),
        }),
        (false, true) => alone(&sets.control, |set| Pair {
            control: Some(set),
            experiment: None,
        }),
        (true, true) | (false, false) => both(sets),
    }
}

fn alone<'a>(sets: &'a [MetricSet], place: fn(&'a MetricSet) -> Match<'a>) -> Vec<Match<'a>> {
    sets.iter().map(place).collect()
}

/// In the order of appearance; of several sets of one side with equal tags the first is taken.
fn both(sets: &Pair<Vec<MetricSet>>) -> Vec<Match<'_>> {
    let mut matches = IndexMap::<BTreeMap<&str, &str>, Match<'_>>::new();
    for set in &sets.control {
        let found = matches.entry(tags_of(set)).or_default();
        found.control.get_or_insert(set);
    }
    for set in &sets.experiment {
        let found = matches.entry(tags_of(set)).or_default();
        found.experiment.get_or_insert(set);
    }
    matches.into_values().collect()
}

fn tags_of(set: &MetricSet) -> BTreeMap<&str, &str> {
    set.tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// A missing side is made of what is known of the first set of that side.
fn pair(name: &str, id: String, found: Match<'_>, first: Pair<&MetricSet>) -> MetricSetPair {
    let tags = found.control.or(found.experiment).map(|set| &set.tags);
    let sets = Pair {
        control: found.control.unwrap_or(first.control),
        experiment: found.experiment.unwrap_or(first.experiment),
    };
    let timestamps = found.map(|set| set.map(|set| set.timestamps.clone()).unwrap_or_default());
    let known = !timestamps.control.is_empty() || !timestamps.experiment.is_empty();
    MetricSetPair {
        name: name.to_owned(),
        id,
        tags: tags.cloned().unwrap_or_default(),
        values: Pair {
            control: values(found.control, first.control),
            experiment: values(found.experiment, first.experiment),
        },
        nulls: None,
        timestamps: known.then_some(timestamps),
        scopes: by_side(sets.map(scope_of)),
        attributes: by_side(Pair {
            control: attributes(found.control, first.control),
            experiment: attributes(found.experiment, first.experiment),
        }),
    }
}

/// NaN for every point that the window should hold beyond those that are there.
fn values(found: Option<&MetricSet>, first: &MetricSet) -> Vec<f64> {
    let mut values = found.map(|set| set.values.clone()).unwrap_or_default();
    let expected = found.unwrap_or(first).expected_points();
    values.resize(values.len().max(expected), f64::NAN);
    values
}

/// How a side was asked for; what it lacks of a series that is not there is not told of this one.
fn attributes(found: Option<&MetricSet>, first: &MetricSet) -> IndexMap<String, String> {
    let mut attributes = found
        .unwrap_or(first)
        .attributes
        .clone()
        .unwrap_or_default();
    if found.is_none() {
        attributes.shift_remove("dropped");
    }
    attributes
}

fn scope_of(set: &MetricSet) -> MetricSetScope {
    MetricSetScope {
        start_time_iso: set.start_time_iso.clone(),
        start_time_millis: set.start_time_millis,
        step_millis: set.step_millis,
    }
}

fn by_side<T>(pair: Pair<T>) -> IndexMap<String, T> {
    IndexMap::from([
        ("control".to_owned(), pair.control),
        ("experiment".to_owned(), pair.experiment),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A set of one-minute points whose window holds `expected` of them.
    fn set(tags: &[(&str, &str)], values: &[f64], expected: i64) -> MetricSet {
        let start = 1_717_203_600_000;
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let count = i64::try_from(values.len()).unwrap();
        MetricSet {
            name: "m".to_owned(),
            tags: tags.collect(),
            start_time_millis: start,
            start_time_iso: Some("2024-06-01T01:00:00Z".to_owned()),
            end_time_millis: start + expected * 60_000,
            step_millis: 60_000,
            values: values.to_vec(),
            timestamps: (0..count).map(|i| start + i * 60_000).collect(),
            attributes: Some(IndexMap::from([("query".to_owned(), "q".to_owned())])),
            ..MetricSet::default()
        }
    }

    fn config(names: &[&str]) -> CanaryConfig {
        let metrics: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        serde_json::from_value(json!({ "metrics": metrics })).unwrap()
    }

    fn mixed(control: Vec<MetricSet>, experiment: Vec<MetricSet>) -> Result<Vec<MetricSetPair>> {
        let sets = Pair {
            control: vec![control],
            experiment: vec![experiment],
        };
        let mut ids = 0..;
        mix(&config(&["m"]), sets, || ids.next().unwrap().to_string())
    }

    /// Tags and values of both sides, as text: NaN equals NaN there.
    fn shown(pairs: &[MetricSetPair]) -> Vec<String> {
        let show = |pair: &MetricSetPair| {
            let tags: Vec<_> = pair.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let values = &pair.values;
            format!(
                "{} {:?} {:?}",
                tags.join(","),
                values.control,
                values.experiment
            )
        };
        pairs.iter().map(show).collect()
    }

    #[test]
    fn series_are_paired_by_tags_and_padded_with_nan() {
        let ns1 = &[("ns", "1")][..];
        let ns2 = &[("ns", "2")][..];
        let cases = [
            (
                "untagged on both sides",
                vec![set(&[], &[1.0, 2.0], 2)],
                vec![set(&[], &[3.0, 4.0], 2)],
                vec![" [1.0, 2.0] [3.0, 4.0]"],
            ),
            (
                "a short series is padded at its end, a long one is left alone",
                vec![set(&[], &[1.0], 3)],
                vec![set(&[], &[3.0, 4.0], 1)],
                vec![" [1.0, NaN, NaN] [3.0, 4.0]"],
            ),
            (
                "placeholders on both sides",
                vec![set(&[], &[], 2)],
                vec![set(&[], &[], 2)],
                vec![" [NaN, NaN] [NaN, NaN]"],
            ),
            (
                "equal tags meet, whatever their order",
                vec![set(ns1, &[1.0], 1), set(ns2, &[2.0], 1)],
                vec![set(ns2, &[4.0], 1), set(ns1, &[3.0], 1)],
                vec!["ns=1 [1.0] [3.0]", "ns=2 [2.0] [4.0]"],
            ),
            (
                "a missing partner is as long as the first set of its side should be",
                vec![set(ns1, &[1.0, 1.0], 2)],
                vec![set(ns1, &[3.0], 1), set(ns2, &[4.0], 1)],
                vec!["ns=1 [1.0, 1.0] [3.0]", "ns=2 [NaN, NaN] [4.0]"],
            ),
            (
                "a placeholder meets every tagged set",
                vec![set(&[], &[], 2)],
                vec![set(ns1, &[3.0], 1), set(ns2, &[4.0], 1)],
                vec!["ns=1 [NaN, NaN] [3.0]", "ns=2 [NaN, NaN] [4.0]"],
            ),
            (
                "real values of an untagged side are dropped",
                vec![set(ns1, &[1.0], 1)],
                vec![set(&[], &[3.0], 1)],
                vec!["ns=1 [1.0] [NaN]"],
            ),
            (
                "of several sets with equal tags the first is taken",
                vec![set(ns1, &[1.0], 1), set(ns1, &[2.0], 1)],
                vec![set(ns1, &[3.0], 1)],
                vec!["ns=1 [1.0] [3.0]"],
            ),
        ];
        for (name, control, experiment, expected) in cases {
            let pairs = mixed(control, experiment).unwrap();
            assert_eq!(shown(&pairs), expected, "{name}");
        }
    }

    #[test]
    fn the_order_of_tags_in_a_map_does_not_matter() {
        let one = set(&[("a", "1"), ("b", "2")], &[1.0], 1);
        let other = set(&[("b", "2"), ("a", "1")], &[2.0], 1);
        let pairs = mixed(vec![one], vec![other]).unwrap();
        assert_eq!(shown(&pairs), ["a=1,b=2 [1.0] [2.0]"]);
    }

    #[test]
    fn what_cannot_be_paired_is_an_error() {
        let cases = [
            (
                vec![],
                vec![set(&[], &[1.0], 1)],
                "No control metrics found for m and the metric service did not create a placeholder.",
            ),
            (
                vec![set(&[], &[1.0], 1)],
                vec![],
                "No experiment metrics found for m and the metric service did not create a placeholder.",
            ),
            (
                vec![set(&[("namespace", "ns1")], &[1.0], 1)],
                vec![set(&[("app", "web")], &[1.0], 1)],
                "Control metrics have different tag keys than the experiment tag set ([namespace] != [app]).",
            ),
        ];
        for (control, experiment, expected) in cases {
            let error = mixed(control, experiment).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_pair_tells_where_both_sides_came_from() {
        let control = set(&[("ns", "1")], &[1.0, 2.0], 2);
        let experiment = set(&[("ns", "2")], &[3.0], 1);
        let pairs = mixed(vec![control.clone()], vec![experiment]).unwrap();
        let pair = &pairs[0];
        assert_eq!((pair.name.as_str(), pair.id.as_str()), ("m", "0"));
        assert!(pair.values.experiment.iter().all(|value| value.is_nan()));
        assert_eq!(
            pair.timestamps,
            Some(Pair {
                control: control.timestamps,
                experiment: vec![]
            })
        );
        for side in ["control", "experiment"] {
            assert_eq!(pair.scopes[side].start_time_millis, 1_717_203_600_000);
            assert_eq!(pair.scopes[side].step_millis, 60_000);
            assert_eq!(pair.attributes[side]["query"], "q");
        }
    }

    #[test]
    fn pairs_stand_in_the_order_of_the_config() {
        let list = |value| vec![set(&[], &[value], 1)];
        let sets = Pair {
            control: vec![list(1.0), list(2.0)],
            experiment: vec![list(3.0), list(4.0)],
        };
        let pairs = mix(&config(&["b", "a"]), sets, String::new).unwrap();
        let names: Vec<_> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(shown(&pairs), [" [1.0] [3.0]", " [2.0] [4.0]"]);
    }
}
