//! What groups weigh, and whether the thresholds can be reached with them.

use indexmap::{IndexMap, IndexSet};

use super::{Code, Found, Given};
use crate::canary::near::near;
use crate::canary::number::number;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryConfig, CanaryMetricConfig, Path};
use crate::judge::policy::MetricPolicy;

/// Where the weights stand.
const WEIGHTS: &str = "classifier.groupWeights";

/// Weights such as 33.33 three times are meant to be 100.
const ROUNDING: f64 = 0.1;

pub fn check(canary: &CanaryConfig, given: &Given) -> Vec<Found> {
    let mut found = without_group(canary);
    found.extend(own_thresholds(canary));
    let classifier = canary.classifier.as_ref();
    let weights = classifier.and_then(|classifier| classifier.group_weights.as_ref());
    if let Some(weights) = weights
        && canary.metrics.iter().flatten().next().is_some()
    {
        let groups = Groups::of(canary, weights);
        if let Some(nothing) = groups.without_any() {
            found.push(nothing);
        } else {
            found.extend(groups.faults());
            found.extend(reachable(&groups, given.thresholds));
        }
    }
    found
}

fn without_group(canary: &CanaryConfig) -> Vec<Found> {
    let metrics = canary.metrics.iter().flatten().enumerate();
    let without = metrics.filter(|(_, metric)| metric.groups.as_ref().is_none_or(Vec::is_empty));
    without
        .map(|(at, metric)| {
            let name = metric.name.as_deref().unwrap_or_default();
            Found::new(
                Code::MetricWithoutGroup,
                Path::element("metrics", at).member("groups"),
                format!("'{name}' is in no group, so it costs no points"),
                "name its groups, as in \"groups\": [\"Errors\"]",
            )
        })
        .collect()
}

/// Nothing is judged by these, but pages and pipelines propose them.
fn own_thresholds(canary: &CanaryConfig) -> Option<Found> {
    let thresholds = canary.classifier.as_ref()?.score_thresholds?;
    let (pass, marginal) = (thresholds.pass?, thresholds.marginal?);
    (pass < marginal).then(|| never_marginal("classifier.scoreThresholds", pass, marginal))
}

fn never_marginal(path: &str, pass: f64, marginal: f64) -> Found {
    let (pass, marginal) = (number(pass), number(marginal));
    Found::new(
        Code::MarginalAbovePass,
        Path::of(path),
        format!("marginal {marginal} is above pass {pass}, so no score is marginal"),
        "let marginal be the lower one",
    )
}

struct Groups<'a> {
    weights: &'a IndexMap<String, f64>,
    /// Of metrics that are not muted.
    heard: IndexSet<&'a str>,
    /// Heard, and without a weight.
    unlisted: Vec<&'a str>,
    sum: f64,
}

impl<'a> Groups<'a> {
    fn of(canary: &'a CanaryConfig, weights: &'a IndexMap<String, f64>) -> Self {
        let metrics = canary.metrics.iter().flatten();
        let heard: IndexSet<&str> = metrics
            .filter(|metric| !is_muted(metric))
            .flat_map(|metric| metric.groups.iter().flatten())
            .map(String::as_str)
            .collect();
        let is_listed = |group: &&str| weights.contains_key(*group);
        let unlisted = heard.iter().copied().filter(|group| !is_listed(group));
        Self {
            unlisted: unlisted.collect(),
            sum: weights.values().sum(),
            weights,
            heard,
        }
    }

    /// Groups without a weight share what is left of 100.
    #[expect(clippy::cast_precision_loss, reason = "a handful of groups")]
    fn share(&self) -> f64 {
        (100.0 - self.sum) / self.unlisted.len() as f64
    }

    /// The score when every metric passes.
    fn highest(&self) -> f64 {
        let weight = |group: &&str| self.weights.get(*group).copied();
        let weights = self.heard.iter().map(weight);
        weights
            .map(|weight| weight.unwrap_or_else(|| self.share()))
            .sum()
    }

    fn faults(&self) -> Vec<Found> {
        let path = Path::of(WEIGHTS);
        let mut found = Vec::new();
        for (group, weight) in self.weights {
            let path = path.clone().member(group);
            if *weight < 0.0 {
                found.push(Found::new(
                    Code::NegativeWeight,
                    path,
                    format!(
                        "group '{group}' weighs {}, so passing costs points",
                        number(*weight)
                    ),
                    "write a weight from 0 to 100",
                ));
            } else if !self.heard.contains(group.as_str()) {
                found.push(Found::new(
                    Code::GroupWithoutMetrics,
                    path,
                    format!(
                        "no metric that is judged is in group '{group}', so its {} are lost",
                        points(*weight)
                    ),
                    match near(group, &self.unlisted) {
                        Some(meant) => format!("write '{meant}'"),
                        None => "take it out, or put a metric into it".to_owned(),
                    },
                ));
            }
        }
        found.extend(self.shares(&path));
        found.extend(self.sums(&path));
        found
    }

    fn shares(&self, path: &Path) -> Vec<Found> {
        let left = 100.0 - self.sum;
        if ROUNDING < left {
            return Vec::new();
        }
        let told = |group: &&str| {
            if left < -ROUNDING {
                return Found::new(
                    Code::NegativeWeight,
                    path.clone(),
                    format!(
                        "group '{group}' has no weight and gets {} of what is left of 100, so passing \
                         costs points",
                        number(self.share())
                    ),
                    "let the weights sum to 100, that of this group included",
                );
            }
            Found::new(
                Code::GroupWithoutWeight,
                path.clone(),
                format!("group '{group}' has no weight, and nothing is left of 100 for it"),
                "give it a weight, and the others less",
            )
        };
        self.unlisted.iter().map(told).collect()
    }

    fn without_any(&self) -> Option<Found> {
        let has_weight = |group: &&str| {
            let weight = self.weights.get(*group).copied();
            0.0 < weight.unwrap_or_else(|| self.share())
        };
        let is_nothing = !self.heard.iter().any(has_weight);
        is_nothing.then(|| {
            Found::new(
                Code::ScoreAlwaysZero,
                Path::of(WEIGHTS),
                "no metric counts for a group with a weight, so no score is above 0",
                "put metrics that are not muted into groups with weights",
            )
        })
    }

    fn sums(&self, path: &Path) -> Option<Found> {
        let is_whole = (self.sum - 100.0).abs() <= ROUNDING;
        (self.unlisted.is_empty() && !is_whole).then(|| {
            Found::new(
                Code::WeightsSum,
                path.clone(),
                format!(
                    "the weights sum to {}, so the best score is {} and not 100",
                    number(self.sum),
                    number(self.highest())
                ),
                "let them sum to 100",
            )
        })
    }
}

fn is_muted(metric: &CanaryMetricConfig) -> bool {
    MetricPolicy::of(metric).is_ok_and(|policy| policy.muted)
}

fn points(weight: f64) -> String {
    format!("{} points", number(weight))
}

fn reachable(groups: &Groups<'_>, thresholds: CanaryClassifierThresholdsConfig) -> Vec<Found> {
    let mut found = Vec::new();
    if let (Some(pass), Some(marginal)) = (thresholds.pass, thresholds.marginal)
        && pass < marginal
    {
        found.push(never_marginal("", pass, marginal));
    }
    // The judge rounds scores to two decimals.
    let highest = (groups.highest() * 100.0).round() / 100.0;
    let told = |sentence, fix: &str| {
        Found::new(Code::UnreachableThreshold, Path::of(WEIGHTS), sentence, fix)
    };
    let beyond: Vec<String> = [("pass", thresholds.pass), ("marginal", thresholds.marginal)]
        .into_iter()
        .filter_map(|(name, threshold)| Some((name, threshold?)))
        .filter(|(_, threshold)| highest < *threshold)
        .map(|(name, threshold)| format!("{name} {}", number(threshold)))
        .collect();
    if !beyond.is_empty() {
        found.push(told(
            format!(
                "no canary can reach {}: the best score is {}",
                beyond.join(" or "),
                number(highest)
            ),
            "let the weights of groups with metrics sum to 100, and the thresholds be less",
        ));
    }
    if let Some(pass) = thresholds.pass.filter(|pass| *pass <= 0.0) {
        found.push(told(
            format!("every canary reaches pass {}", number(pass)),
            "let a score below 100 fail, such as pass 95",
        ));
    }
    found
}
