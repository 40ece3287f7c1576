//! PromQL for the golden signals of what commonly stands before a service.

use super::{KIND, PREFIX};
use crate::metrics::library::{self, Signal, Template, filled};

/// What a variable of these means.
const MEANINGS: &[(&str, &str)] = &[
    (
        "scope",
        "what is compared, a regular expression; the scope of each side",
    ),
    (
        "location",
        "the namespace, a regular expression; the location of each side",
    ),
    ("scope_label", "the label that tells the sides apart"),
    ("namespace_label", "the label with the namespace"),
    (
        "window",
        "how far each point looks back; best the step of the canary",
    ),
    ("quantile", "which quantile, 0 to 1"),
    (
        "reporter",
        "which proxy tells: 'destination', or 'waypoint' in ambient mode",
    ),
    ("requests", "the counter of requests"),
    (
        "duration",
        "the histogram of durations in seconds, without '_bucket'",
    ),
    ("status_label", "the label with the status code"),
];

/// All of them, sorted by what they are for.
pub fn templates() -> Vec<Template> {
    let of_source = |source: &Source| {
        [
            template(
                source.name,
                "error-ratio",
                Signal::Errors,
                "the part of the requests that failed, 0 to 1; NaN without requests",
                &source.error_ratio(),
            ),
            template(
                source.name,
                "latency",
                Signal::Latency,
                &format!(
                    "a quantile of the {}, in {}",
                    source.measured, source.unit.name
                ),
                &source.latency(),
            ),
            template(
                source.name,
                "saturation",
                Signal::Saturation,
                "how many requests are in work at the same time, on average",
                &source.in_work(),
            ),
        ]
    };
    let kubernetes = KUBERNETES.iter().map(|(name, says, promql)| {
        let promql = filled(promql, &[("selector", POD)]);
        template("kubernetes", name, Signal::Saturation, says, &promql)
    });
    SOURCES
        .iter()
        .flat_map(of_source)
        .chain(kubernetes)
        .collect()
}

fn template(source: &str, name: &str, signal: Signal, says: &str, promql: &str) -> Template {
    Template {
        name: format!("{}{source}/{name}", library::PREFIX),
        kind: KIND,
        signal,
        says: says.to_owned(),
        needs: "",
        text: format!("{PREFIX}{promql}"),
        members: &[],
        meanings: MEANINGS,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_as_one_would_write_it() {
        assert_eq!(
            library::text(KIND, "serin:http/latency").unwrap(),
            "PromQL:histogram_quantile(${quantile:-0.99}, sum by (le) (rate(\
             ${duration:-http_request_duration_seconds}_bucket{${scope_label:-version}=~\"${scope}\"}\
             [${window:-1m}])))"
        );
    }
}
