//! Filters of Cloud Monitoring for the golden signals: of Cloud Run, of load balancers, of GKE.

use super::filter::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

/// Aligner and reducer.
type How = [&'static str; 2];
const RATE: How = ["ALIGN_RATE", "REDUCE_SUM"];
/// Of all that was measured, not the mean of each series' own.
const P99: How = ["ALIGN_DELTA", "REDUCE_PERCENTILE_99"];
const MEAN: How = ["ALIGN_MEAN", "REDUCE_MEAN"];

const fn of(
    metric: &'static str,
    resource: &'static str,
    [aligner, reducer]: How,
) -> [(&'static str, &'static str); 4] {
    [
        ("metricType", metric),
        ("resourceType", resource),
        ("perSeriesAligner", aligner),
        ("crossSeriesReducer", reducer),
    ]
}

const GROUPS: &[Group] = &[
    Group {
        name: "cloud-run",
        side: "resource.labels.${scope_label:-revision_name}=\"${scope}\"",
        needs: "services of Cloud Run, whose metrics are always there",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "errors",
                says: "requests a second that were answered with 5xx; nothing where none was",
                text: "<side> AND metric.labels.response_code_class=\"5xx\"",
                members: &of(
                    "run.googleapis.com/request_count",
                    "cloud_run_revision",
                    RATE,
                ),
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "the 99th percentile of the duration of requests, in milliseconds",
                text: "<side>",
                members: &of(
                    "run.googleapis.com/request_latencies",
                    "cloud_run_revision",
                    P99,
                ),
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "<side>",
                members: &of(
                    "run.googleapis.com/request_count",
                    "cloud_run_revision",
                    RATE,
                ),
            },
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "the 99th percentile of CPU that instances use, as a part of what they have",
                text: "<side>",
                members: &of(
                    "run.googleapis.com/container/cpu/utilizations",
                    "cloud_run_revision",
                    P99,
                ),
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "the same of memory",
                text: "<side>",
                members: &of(
                    "run.googleapis.com/container/memory/utilizations",
                    "cloud_run_revision",
                    P99,
                ),
            },
        ],
    },
    Group {
        name: "google-lb",
        side: "resource.labels.${scope_label:-backend_target_name}=\"${scope}\"",
        needs: "an external Application Load Balancer, with a backend service for each side",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "errors",
                says: "requests a second that were answered with 5xx; nothing where none was",
                text: "<side> AND metric.labels.response_code_class=\"500\"",
                members: &of(
                    "loadbalancing.googleapis.com/https/request_count",
                    "https_lb_rule",
                    RATE,
                ),
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "the 99th percentile of the duration of requests, in milliseconds",
                text: "<side>",
                members: &of(
                    "loadbalancing.googleapis.com/https/total_latencies",
                    "https_lb_rule",
                    P99,
                ),
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "<side>",
                members: &of(
                    "loadbalancing.googleapis.com/https/request_count",
                    "https_lb_rule",
                    RATE,
                ),
            },
        ],
    },
    Group {
        name: "gke",
        side: "${scope_label:-metadata.system_labels.top_level_controller_name}=\"${scope}\" AND resource.labels.namespace_name=monitoring.regex.full_match(\"${location:-.*}\")",
        needs: "GKE with its system metrics, and limits of the containers",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that containers use, as a part of their limits",
                text: "<side>",
                members: &of(
                    "kubernetes.io/container/cpu/limit_utilization",
                    "k8s_container",
                    MEAN,
                ),
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that containers cannot give back, as a part of their limits",
                text: "<side> AND metric.labels.memory_type=\"non-evictable\"",
                members: &of(
                    "kubernetes.io/container/memory/limit_utilization",
                    "k8s_container",
                    MEAN,
                ),
            },
        ],
    },
];

const MEANINGS: &[(&str, &str)] = &[
    ("scope", "what is compared; the scope of each side"),
    (
        "location",
        "the namespace, a regular expression; the location of each side",
    ),
    ("scope_label", "the label that tells the sides apart"),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
