//! Queries of Datadog for the golden signals: of APM, of load balancers of AWS, of Kubernetes.

use super::query::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

const GROUPS: &[Group] = &[
    Group {
        name: "datadog-apm",
        side: "service:${service:-*},env:${location:-*},${scope_label:-version}:${scope}",
        needs: "trace metrics of Datadog APM, with the tags service, env and version of unified service tagging",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the part of the requests that failed, 0 to 1",
                text: "default_zero(sum:trace.${operation:-http.request}.errors{<side>}.as_count()) / sum:trace.${operation:-http.request}.hits{<side>}.as_count()",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a percentile of the duration of requests, in seconds",
                text: "${percentile:-p99}:trace.${operation:-http.request}{<side>}",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "sum:trace.${operation:-http.request}.hits{<side>}.as_rate()",
                members: &[],
            },
        ],
    },
    Group {
        name: "datadog-alb",
        side: "${scope_label:-targetgroup}:${scope},region:${location:-*}",
        needs: "Datadog's integration of AWS, with its metrics of Application Load Balancers",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the part of the requests that targets answered with 5xx, 0 to 1",
                text: "default_zero(sum:aws.applicationelb.httpcode_target_5xx{<side>}.as_count()) / sum:aws.applicationelb.request_count{<side>}.as_count()",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "the time until targets answer, in seconds",
                text: "avg:aws.applicationelb.target_response_time.${statistic:-average}{<side>}",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "sum:aws.applicationelb.request_count{<side>}.as_rate()",
                members: &[],
            },
        ],
    },
    Group {
        name: "datadog-kubernetes",
        side: "${scope_label:-kube_deployment}:${scope},kube_namespace:${location:-*}",
        needs: "the Datadog Agent in Kubernetes, and limits of the containers",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that is used, as a part of its limits",
                // The usage is in nanocores.
                text: "sum:kubernetes.cpu.usage.total{<side>} / sum:kubernetes.cpu.limits{<side>} / 1000000000",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "cpu-throttling",
                says: "the part of the periods in which the CPU was throttled",
                text: "sum:kubernetes.cpu.cfs.throttled.periods{<side>} / sum:kubernetes.cpu.cfs.periods{<side>}",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that is used, as a part of its limits",
                text: "sum:kubernetes.memory.working_set{<side>} / sum:kubernetes.memory.limits{<side>}",
                members: &[],
            },
        ],
    },
];

const MEANINGS: &[(&str, &str)] = &[
    (
        "scope",
        "what is compared, a value of a tag, in which * is any text; the scope of each side",
    ),
    (
        "location",
        "the environment, region or namespace; the location of each side",
    ),
    ("scope_label", "the tag that tells the sides apart"),
    ("service", "the service"),
    (
        "operation",
        "the operation of the service's entry spans, as servlet.request",
    ),
    ("percentile", "which percentile: p50, p75, p90, p95, p99"),
    (
        "statistic",
        "average, or p95 or p99 where the integration collects percentiles",
    ),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
