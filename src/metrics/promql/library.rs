//! Queries for the golden signals of what commonly stands before a service, by name: a metric whose
//! `customFilterTemplate` is `serin:istio/error-ratio` needs no PromQL of its own.

use crate::config;
use crate::error::{Error, Result};
use crate::metrics::template::{Variable, variables};

/// What the names begin with. Kayenta refuses a name that the config has no template of, so no
/// config means something else by these.
pub const PREFIX: &str = "serin:";

/// A query with `${…}` where a scope fills it in.
#[derive(Clone, Debug)]
pub struct Template {
    pub name: String,
    pub says: String,
    pub promql: String,
}

impl Template {
    /// Each once, in the order of the query.
    pub fn variables(&self) -> Vec<Variable<'_>> {
        let mut all: Vec<Variable<'_>> = Vec::new();
        for variable in variables(&self.promql) {
            if !all.contains(&variable) {
                all.push(variable);
            }
        }
        all
    }
}

/// What a variable of the library means.
pub fn meaning(variable: &str) -> &'static str {
    match variable {
        "scope" => "what is compared, a regular expression; the scope of each side",
        "location" => "the namespace, a regular expression; the location of each side",
        "scope_label" => "the label that tells the sides apart",
        "namespace_label" => "the label with the namespace",
        "window" => "how far each point looks back; best the step of the canary",
        "quantile" => "which quantile, 0 to 1",
        "reporter" => "which proxy tells: 'destination', or 'waypoint' in ambient mode",
        "requests" => "the counter of requests",
        "duration" => "the histogram of durations in seconds, without '_bucket'",
        "status_label" => "the label with the status code",
        _ => "",
    }
}

/// The text of a named template, as a config would hold it.
pub fn text(name: &str) -> Result<String> {
    let all = all();
    if let Some(template) = all.iter().find(|template| template.name == name) {
        return Ok(format!("PromQL:{}", template.promql));
    }
    let names: Vec<&str> = all.iter().map(|template| template.name.as_str()).collect();
    let advice = match config::nearest(name, &names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "'serin templates' lists them".to_owned(),
    };
    Err(Error::Invalid(format!(
        "there is no template '{name}' in serin's library; {advice}"
    )))
}

/// All of them, sorted by what they are for.
pub fn all() -> Vec<Template> {
    let of_source = |source: &Source| {
        [
            template(
                source,
                "error-ratio",
                "the part of the requests that failed, 0 to 1; NaN without requests",
                source.error_ratio(),
            ),
            template(
                source,
                "latency",
                &format!(
                    "a quantile of the {}, in {}",
                    source.measured, source.unit.name
                ),
                source.latency(),
            ),
            template(
                source,
                "saturation",
                "how many requests are in work at the same time, on average",
                source.in_work(),
            ),
        ]
    };
    let kubernetes = KUBERNETES.iter().map(|(name, says, promql)| Template {
        name: format!("{PREFIX}kubernetes/{name}"),
        says: (*says).to_owned(),
        promql: filled(promql, &[("selector", POD)]),
    });
    SOURCES
        .iter()
        .flat_map(of_source)
        .chain(kubernetes)
        .collect()
}

fn template(source: &Source, signal: &str, says: &str, promql: String) -> Template {
    Template {
        name: format!("{PREFIX}{}/{signal}", source.name),
        says: says.to_owned(),
        promql,
    }
}

/// Something that counts requests and measures how long they take.
struct Source {
    name: &'static str,
    /// Selects one side.
    selector: &'static str,
    requests: &'static str,
    /// Selects the requests that failed.
    failed: &'static str,
    duration: &'static str,
    /// Selects the durations, beside one side.
    durations: &'static str,
    measured: &'static str,
    unit: Unit,
}

struct Unit {
    name: &'static str,
    per_second: u32,
}

const SECONDS: Unit = Unit {
    name: "seconds",
    per_second: 1,
};

const MILLISECONDS: Unit = Unit {
    name: "milliseconds",
    per_second: 1000,
};

const SOURCES: [Source; 5] = [
    Source {
        name: "istio",
        selector: r#"reporter="${reporter:-destination}",${scope_label:-destination_workload}=~"${scope}",destination_workload_namespace=~"${location:-.*}""#,
        requests: "istio_requests_total",
        failed: r#"response_code=~"5..""#,
        duration: "istio_request_duration_milliseconds",
        durations: "",
        measured: "duration of requests",
        unit: MILLISECONDS,
    },
    Source {
        name: "nginx",
        selector: r#"${scope_label:-ingress}=~"${scope}",${namespace_label:-exported_namespace}=~"${location:-.*}""#,
        requests: "nginx_ingress_controller_requests",
        failed: r#"status=~"5..""#,
        duration: "nginx_ingress_controller_request_duration_seconds",
        durations: "",
        measured: "duration of requests",
        unit: SECONDS,
    },
    Source {
        name: "apisix",
        selector: r#"${scope_label:-route}=~"${scope}""#,
        requests: "apisix_http_status",
        failed: r#"code=~"5..""#,
        duration: "apisix_http_latency",
        // The others are parts of it: `upstream`, and `apisix` for the gateway itself.
        durations: r#",type="request""#,
        measured: "duration of requests",
        unit: MILLISECONDS,
    },
    Source {
        name: "linkerd",
        selector: r#"direction="inbound",${scope_label:-deployment}=~"${scope}",namespace=~"${location:-.*}""#,
        requests: "response_total",
        failed: r#"classification="failure""#,
        duration: "response_latency_ms",
        durations: "",
        measured: "time to the first byte of responses",
        unit: MILLISECONDS,
    },
    Source {
        name: "http",
        selector: r#"${scope_label:-version}=~"${scope}""#,
        requests: "${requests:-http_requests_total}",
        failed: r#"${status_label:-code}=~"5..""#,
        duration: "${duration:-http_request_duration_seconds}",
        durations: "",
        measured: "duration of requests",
        unit: SECONDS,
    },
];

const POD: &str = r#"pod=~"${scope}",namespace=~"${location:-.*}""#;

/// Of pods: from the kubelet (cAdvisor), and limits from kube-state-metrics.
const KUBERNETES: [(&str, &str, &str); 3] = [
    (
        "cpu-saturation",
        "CPU that is used, as a part of its limits",
        r#"sum(rate(container_cpu_usage_seconds_total{<selector>,container!=""}[${window:-1m}])) / sum(kube_pod_container_resource_limits{<selector>,resource="cpu"})"#,
    ),
    (
        "cpu-throttling",
        "the part of the periods in which the CPU was throttled",
        r#"sum(rate(container_cpu_cfs_throttled_periods_total{<selector>,container!=""}[${window:-1m}])) / sum(rate(container_cpu_cfs_periods_total{<selector>,container!=""}[${window:-1m}]))"#,
    ),
    (
        "memory-saturation",
        "memory that is used, as a part of its limits",
        r#"sum(container_memory_working_set_bytes{<selector>,container!=""}) / sum(kube_pod_container_resource_limits{<selector>,resource="memory"})"#,
    ),
];

impl Source {
    /// A counter of failures may begin with the first of them: without one, zero of what there is.
    fn error_ratio(&self) -> String {
        self.fill(
            "(sum(rate(<requests>{<selector>,<failed>}[<window>])) or sum(rate(<requests>{<selector>}[<window>])) * 0) / sum(rate(<requests>{<selector>}[<window>]))",
        )
    }

    fn latency(&self) -> String {
        self.fill(
            "histogram_quantile(${quantile:-0.99}, sum by (le) (rate(<duration>_bucket{<selector><durations>}[<window>])))",
        )
    }

    /// By Little's law: the time that was spent in requests, per time.
    fn in_work(&self) -> String {
        let spent = "sum(rate(<duration>_sum{<selector><durations>}[<window>]))";
        match self.unit.per_second {
            1 => self.fill(spent),
            per_second => self.fill(&format!("{spent} / {per_second}")),
        }
    }

    fn fill(&self, shape: &str) -> String {
        filled(
            shape,
            &[
                ("requests", self.requests),
                ("selector", self.selector),
                ("failed", self.failed),
                ("duration", self.duration),
                ("durations", self.durations),
                ("window", "${window:-1m}"),
            ],
        )
    }
}

fn filled(shape: &str, parts: &[(&str, &str)]) -> String {
    let mut text = shape.to_owned();
    for (name, part) in parts {
        text = text.replace(&format!("<{name}>"), part);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_variable_has_a_meaning_and_one_default() {
        for template in all() {
            let mut defaults = BTreeMap::new();
            for variable in template.variables() {
                assert_ne!(meaning(variable.name), "", "{} {variable:?}", template.name);
                let before = defaults.insert(variable.name, variable.default);
                assert_eq!(before, None, "{} {variable:?}", template.name);
            }
            assert_eq!(defaults.get("scope"), Some(&None), "{}", template.name);
            assert!(!template.promql.contains(['<', '>']), "{}", template.promql);
        }
    }

    #[test]
    fn a_template_reads_as_one_would_write_it() {
        assert_eq!(
            text("serin:http/latency").unwrap(),
            "PromQL:histogram_quantile(${quantile:-0.99}, sum by (le) (rate(\
             ${duration:-http_request_duration_seconds}_bucket{${scope_label:-version}=~\"${scope}\"}\
             [${window:-1m}])))"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let cases = [
            ("serin:istio/latncy", "did you mean 'serin:istio/latency'?"),
            ("serin:envoy/errors", "'serin templates' lists them"),
        ];
        for (name, advice) in cases {
            let told = text(name).unwrap_err().to_string();
            assert!(told.ends_with(advice), "{told}");
        }
    }
}
