//! SignalFlow programs for the golden signals: of Splunk APM, and of Kubernetes.

use super::program::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

const GROUPS: &[Group] = &[
    Group {
        name: "splunk-apm",
        side: "filter('sf_service', '${service:-*}') and filter('sf_environment', '${location:-*}') and filter('${scope_label:-service.version}', '${scope}')",
        needs: "Splunk APM, with a Monitoring MetricSet of services for the span tag that tells the sides apart",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the part of the requests that failed, 0 to 1; nothing where none failed",
                text: "(data('service.request.count', filter=<side> and filter('sf_error', 'true'), rollup='sum').sum() / data('service.request.count', filter=<side>, rollup='sum').sum()).publish()",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a percentile of the duration of requests, in nanoseconds",
                text: "data('service.request.duration.ns.${percentile:-p99}', filter=<side>).mean().publish()",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "data('service.request.count', filter=<side>, rollup='rate').sum().publish()",
                members: &[],
            },
        ],
    },
    Group {
        name: "splunk-kubernetes",
        side: "filter('${scope_label:-k8s.deployment.name}', '${scope}') and filter('k8s.namespace.name', '${location:-*}')",
        needs: "the Splunk distribution of the OpenTelemetry Collector in Kubernetes, and limits of the containers",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that is used, as a part of its limits",
                text: "(data('container.cpu.time', filter=<side>, rollup='rate').sum() / data('k8s.container.cpu_limit', filter=<side>).sum()).publish()",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that is used, as a part of its limits",
                text: "(data('container.memory.usage', filter=<side>).sum() / data('k8s.container.memory_limit', filter=<side>).sum()).publish()",
                members: &[],
            },
        ],
    },
];

const MEANINGS: &[(&str, &str)] = &[
    (
        "scope",
        "what is compared, a value of a property, in which * is any text; the scope of each side",
    ),
    (
        "location",
        "the environment or namespace; the location of each side",
    ),
    ("scope_label", "the property that tells the sides apart"),
    ("service", "the service"),
    ("percentile", "median, p90 or p99"),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
