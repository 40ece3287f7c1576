//! The series of both sides, put together by their tags.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::canary::{Attributes, CanaryConfig, MetricSet, MetricSetPair, MetricSetScope, Pair};
use crate::error::{Error, Result};

/// The series of both sides of one metric, and which of them belong together.
pub struct Matched {
    name: String,
    sets: Pair<Vec<MetricSet>>,
    matches: Vec<Match>,
}

/// Places in the lists of both sides; one of them at least is there.
type Match = Pair<Option<usize>>;

/// Matches the series of every metric; `sets` has one list for each metric of the config.
pub fn matched(config: &CanaryConfig, sets: Pair<Vec<Vec<MetricSet>>>) -> Result<Vec<Matched>> {
    let metrics = config.metrics.as_deref().unwrap_or_default();
    let mut control = sets.control.into_iter();
    let mut experiment = sets.experiment.into_iter();
    let mut all = Vec::with_capacity(metrics.len());
    for metric in metrics {
        let name = metric.name.as_deref().unwrap_or_default();
        let sets = Pair {
            control: control.next().unwrap_or_default(),
            experiment: experiment.next().unwrap_or_default(),
        };
        check_side("control", name, &sets.control)?;
        check_side("experiment", name, &sets.experiment)?;
        check_tag_keys(&sets)?;
        all.push(Matched {
            name: name.to_owned(),
            matches: match_by_tags(&sets),
            sets,
        });
    }
    Ok(all)
}

impl Matched {
    /// How many values its pairs will hold that no series has: what is missing is made up to the length
    /// that it should have.
    pub fn padding(&self) -> usize {
        let side = |sets: &[MetricSet], place: fn(&Match) -> Option<usize>| {
            let missing = |found: &Match| match place(found) {
                Some(at) => sets[at]
                    .expected_points()
                    .saturating_sub(sets[at].values.len()),
                None => sets.first().map_or(0, MetricSet::expected_points),
            };
            let missing = self.matches.iter().map(missing);
            missing.fold(0_usize, usize::saturating_add)
        };
        let control = side(&self.sets.control, |found| found.control);
        control.saturating_add(side(&self.sets.experiment, |found| found.experiment))
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The pairs of all metrics, in their order.
pub fn mix(matched: Vec<Matched>, mut new_id: impl FnMut() -> String) -> Vec<MetricSetPair> {
    let mut pairs = Vec::with_capacity(matched.iter().map(|one| one.matches.len()).sum());
    for Matched {
        name,
        sets,
        matches,
    } in matched
    {
        let firsts = sets.as_ref().map(|sets| sets.first().map(First::of));
        let firsts = firsts.map(Option::unwrap_or_default);
        // Every series belongs to one pair at most, which takes it.
        let mut sets = sets.map(|sets| sets.into_iter().map(Some).collect::<Vec<_>>());
        for found in matches {
            let found = Pair {
                control: found.control.and_then(|at| sets.control[at].take()),
                experiment: found.experiment.and_then(|at| sets.experiment[at].take()),
            };
            pairs.push(pair(&name, new_id(), found, &firsts));
        }
    }
    pairs
}

fn check_side(side: &str, name: &str, sets: &[MetricSet]) -> Result<()> {
    if sets.is_empty() {
        return Err(Error::Invalid(format!(
            "No {side} metrics found for {name} and the metric service did not create a placeholder."
        )));
    }
    Ok(())
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

fn match_by_tags(sets: &Pair<Vec<MetricSet>>) -> Vec<Match> {
    let untagged = sets
        .as_ref()
        .map(|sets| sets.iter().any(|set| set.tags.is_empty()));
    // Kayenta means placeholders here, but looks at the tags alone: what the untagged side holds
    // is dropped, be it real.
    match (untagged.control, untagged.experiment) {
        (true, false) => alone(&sets.experiment, |at| Pair {
            control: None,
            experiment: Some(at),
        }),
        (false, true) => alone(&sets.control, |at| Pair {
            control: Some(at),
            experiment: None,
        }),
        (true, true) | (false, false) => both(sets),
    }
}

fn alone(sets: &[MetricSet], place: fn(usize) -> Match) -> Vec<Match> {
    (0..sets.len()).map(place).collect()
}

/// In the order of appearance; of several sets of one side with equal tags the first is taken.
fn both(sets: &Pair<Vec<MetricSet>>) -> Vec<Match> {
    let mut matches = IndexMap::<BTreeMap<&str, &str>, Match>::new();
    for (at, set) in sets.control.iter().enumerate() {
        let found = matches.entry(tags_of(set)).or_default();
        found.control.get_or_insert(at);
    }
    for (at, set) in sets.experiment.iter().enumerate() {
        let found = matches.entry(tags_of(set)).or_default();
        found.experiment.get_or_insert(at);
    }
    matches.into_values().collect()
}

fn tags_of(set: &MetricSet) -> BTreeMap<&str, &str> {
    set.tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// What is known of the first set of a side: a missing partner is made of it.
#[derive(Default)]
struct First {
    scope: MetricSetScope,
    attributes: Attributes,
    expected_points: usize,
}

impl First {
    fn of(set: &MetricSet) -> Self {
        let mut attributes = set.attributes.clone().unwrap_or_default();
        // What it lacks is not told of a series that is not there.
        attributes.remove("dropped");
        Self {
            scope: scope_of(set),
            attributes,
            expected_points: set.expected_points(),
        }
    }
}

/// What one side of a pair is made of.
struct Side {
    values: Vec<f64>,
    timestamps: Vec<i64>,
    scope: MetricSetScope,
    attributes: Attributes,
}

fn pair(
    name: &str,
    id: String,
    found: Pair<Option<MetricSet>>,
    firsts: &Pair<First>,
) -> MetricSetPair {
    let Pair {
        control: mut found_control,
        experiment: mut found_experiment,
    } = found;
    let tags = match (&mut found_control, &mut found_experiment) {
        (Some(set), _) | (None, Some(set)) => std::mem::take(&mut set.tags),
        (None, None) => IndexMap::new(),
    };
    let control = side(found_control, &firsts.control);
    let experiment = side(found_experiment, &firsts.experiment);
    let known = !control.timestamps.is_empty() || !experiment.timestamps.is_empty();
    MetricSetPair {
        name: name.to_owned(),
        id,
        tags,
        values: Pair {
            control: control.values,
            experiment: experiment.values,
        },
        nulls: None,
        timestamps: known.then_some(Pair {
            control: control.timestamps,
            experiment: experiment.timestamps,
        }),
        scopes: by_side(control.scope, experiment.scope),
        attributes: by_side(control.attributes, experiment.attributes),
    }
}

/// With NaN for every point that the window should hold beyond those that are there.
fn side(found: Option<MetricSet>, first: &First) -> Side {
    match found {
        Some(set) => {
            let expected = set.expected_points().max(set.values.len());
            let mut values = set.values;
            values.resize(expected, f64::NAN);
            Side {
                values,
                timestamps: set.timestamps,
                scope: MetricSetScope {
                    start_time_iso: set.start_time_iso,
                    start_time_millis: set.start_time_millis,
                    step_millis: set.step_millis,
                },
                attributes: set.attributes.unwrap_or_default(),
            }
        }
        None => Side {
            values: vec![f64::NAN; first.expected_points],
            timestamps: Vec::new(),
            scope: first.scope.clone(),
            attributes: first.attributes.clone(),
        },
    }
}

fn scope_of(set: &MetricSet) -> MetricSetScope {
    MetricSetScope {
        start_time_iso: set.start_time_iso.clone(),
        start_time_millis: set.start_time_millis,
        step_millis: set.step_millis,
    }
}

fn by_side<T>(control: T, experiment: T) -> IndexMap<String, T> {
    IndexMap::from([
        ("control".to_owned(), control),
        ("experiment".to_owned(), experiment),
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
            attributes: Some([("query", "q")].into_iter().collect()),
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
        let matched = matched(&config(&["m"]), sets)?;
        let (fetched, padding) = (held(&matched[0].sets), matched[0].padding());
        let pairs = mix(matched, || ids.next().unwrap().to_string());
        let values: usize = pairs.iter().map(MetricSetPair::points).sum();
        assert!(
            values <= fetched + padding,
            "{values} > {fetched} + {padding}"
        );
        Ok(pairs)
    }

    fn held(sets: &Pair<Vec<MetricSet>>) -> usize {
        let sets = sets.control.iter().chain(&sets.experiment);
        sets.map(|set| set.values.len()).sum()
    }

    #[test]
    fn what_is_made_up_is_known_before_it_is_made() {
        let (ns1, ns2) = (&[("ns", "1")][..], &[("ns", "2")][..]);
        let cases = [
            (
                "nothing",
                vec![set(&[], &[1.0], 1)],
                vec![set(&[], &[2.0], 1)],
                0,
            ),
            (
                "an end",
                vec![set(&[], &[1.0], 3)],
                vec![set(&[], &[2.0], 1)],
                2,
            ),
            (
                "a placeholder for each",
                vec![set(&[], &[], 1_000_000)],
                vec![set(ns1, &[1.0], 1), set(ns2, &[1.0], 1)],
                2_000_000,
            ),
            (
                "more than there is memory",
                vec![set(&[], &[], i64::MAX / 100_000_000_000)],
                vec![set(&[], &[], 0)],
                92_233_720,
            ),
        ];
        for (name, control, experiment, expected) in cases {
            let sets = Pair {
                control: vec![control],
                experiment: vec![experiment],
            };
            let matched = matched(&config(&["m"]), sets).unwrap();
            assert_eq!(matched[0].padding(), expected, "{name}");
        }
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
            assert_eq!(**pair.attributes[side].get("query").unwrap(), *"q");
        }
    }

    #[test]
    fn pairs_stand_in_the_order_of_the_config() {
        let list = |value| vec![set(&[], &[value], 1)];
        let sets = Pair {
            control: vec![list(1.0), list(2.0)],
            experiment: vec![list(3.0), list(4.0)],
        };
        let pairs = mix(matched(&config(&["b", "a"]), sets).unwrap(), String::new);
        let names: Vec<_> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(shown(&pairs), [" [1.0] [3.0]", " [2.0] [4.0]"]);
    }
}
