//! Members that nobody reads: misspelt ones, and those of something else.

use serde_json::{Map, Value};
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{Code, Found, sequential};
use crate::canary::near::near;
use crate::canary::{
    CanaryClassifierConfig, CanaryConfig, CanaryJudgeConfig, CanaryMetricConfig, Path,
};
use crate::judge::policy;
use crate::judge::sequential::settings;
use crate::metrics;

/// Of every query, beside those of its language.
const QUERY: [&str; 6] = [
    "type",
    "serviceType",
    "customInlineTemplate",
    "template",
    "customFilterTemplate",
    "customFilter",
];

pub fn check(canary: &CanaryConfig) -> Vec<Found> {
    let mut found = Vec::new();
    let mut check = |path: &Path, names: &mut dyn Iterator<Item = &str>, known: &[&str]| {
        let unknown = names.filter(|name| !known.contains(name));
        found.extend(unknown.map(|name| told(path, name, known)));
    };
    let config = members_of::<CanaryConfig>();
    check(&Path::default(), &mut keys(&canary.other), &texts(&config));
    if let Some(judge) = &canary.judge {
        let known = members_of::<CanaryJudgeConfig>();
        check(&Path::of("judge"), &mut keys(&judge.other), &texts(&known));
    }
    if let Some(classifier) = &canary.classifier {
        let known = members_of::<CanaryClassifierConfig>();
        let path = Path::of("classifier");
        check(&path, &mut keys(&classifier.other), &texts(&known));
    }
    let is_sequential = sequential::judges(canary);
    let known = members_of::<CanaryMetricConfig>();
    for (at, metric) in canary.metrics.iter().flatten().enumerate() {
        let path = Path::element("metrics", at);
        check(&path, &mut keys(&metric.other), &texts(&known));
        let query = metric.query.as_ref();
        if let Some(query) = query
            && let Some(language) = metrics::language(query.kind())
        {
            let own = language.members().iter().map(|member| member.name);
            let known: Vec<&str> = own.chain(QUERY).collect();
            check(&path.clone().member("query"), &mut query.members(), &known);
        }
        let Some(configurations) = &metric.analysis_configurations else {
            continue;
        };
        let path = path.member("analysisConfigurations");
        check(&path, &mut keys(configurations), &["canary"]);
        let path = path.member("canary");
        let canary = configurations.get("canary").and_then(Value::as_object);
        for (part, known) in policy::MEMBERS {
            let (path, members) = match part {
                "" => (path.clone(), canary),
                part => {
                    let members = canary.and_then(|canary| canary.get(part)?.as_object());
                    (path.clone().member(part), members)
                }
            };
            let own: &[&str] = match part {
                "" if is_sequential => &settings::OF_METRIC,
                _ => &[],
            };
            let known = [known, own].concat();
            check(&path, &mut members.into_iter().flat_map(keys), &known);
        }
    }
    found
}

fn told(path: &Path, name: &str, known: &[&str]) -> Found {
    let path = path.clone().member(name);
    match near(name, known) {
        Some(meant) => Found::new(
            Code::MisspeltMember,
            path,
            format!("'{name}' is no member here, so it is not read"),
            format!("write '{meant}'"),
        ),
        None => Found::new(
            Code::UnknownMember,
            path,
            format!("'{name}' is kept and not read"),
            format!("take it out, or use one of {}", known.join(", ")),
        ),
    }
}

fn keys(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    members.keys().map(String::as_str)
}

/// The members that the document of the API knows of a type.
fn members_of<T: PartialSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.into_keys().collect(),
        _ => Vec::new(),
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_member_stands_in_the_docs() {
        let text = include_str!("../../docs/canary-config.md");
        let types = [
            members_of::<CanaryConfig>(),
            members_of::<CanaryMetricConfig>(),
            members_of::<CanaryJudgeConfig>(),
            members_of::<CanaryClassifierConfig>(),
        ];
        let policy = policy::MEMBERS.iter().flat_map(|(_, known)| *known);
        let others = policy.chain(&QUERY).chain(&settings::OF_METRIC);
        for name in types
            .iter()
            .flatten()
            .map(String::as_str)
            .chain(others.copied())
        {
            let ways = [
                format!("`{name}`"),
                format!(".{name}`"),
                format!("`{name}."),
            ];
            let is_told = ways.iter().any(|way| text.contains(way));
            assert!(is_told, "{name}");
        }
        for kind in metrics::kinds() {
            assert!(text.contains(&format!("`{kind}`")), "{kind}");
        }
    }

    #[test]
    fn what_is_read_is_known() {
        let config: CanaryConfig = serde_json::from_value(json!({
            "id": "i", "name": "n", "description": "d", "configVersion": "1", "applications": ["a"],
            "createdTimestamp": 1, "updatedTimestamp": 1, "createdTimestampIso": "", "updatedTimestampIso": "",
            "judge": {"name": "j", "judgeConfigurations": {}}, "templates": {},
            "classifier": {"groupWeights": {}, "scoreThresholds": {}},
            "metrics": [{
                "name": "m", "groups": ["g"], "scopeName": "default",
                "query": {"type": "prometheus", "serviceType": "prometheus", "metricName": "x"},
                "analysisConfigurations": {"canary": {"direction": "increase", "effectSize": {"measure": "cles"}}},
            }],
        }))
        .unwrap();
        assert_eq!(check(&config), []);
        for known in [
            members_of::<CanaryConfig>(),
            members_of::<CanaryMetricConfig>(),
            members_of::<CanaryJudgeConfig>(),
            members_of::<CanaryClassifierConfig>(),
        ] {
            assert!(!known.is_empty());
        }
    }
}
