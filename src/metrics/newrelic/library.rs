//! NRQL for the golden signals: of APM, and of Kubernetes.

use super::query::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

const GROUPS: &[Group] = &[
    Group {
        name: "newrelic-apm",
        side: "TIMESERIES ${step} seconds SINCE ${startEpochSeconds} UNTIL ${endEpochSeconds} WHERE appName LIKE '${service:-%}' AND ${scope_label:-tags.version} = '${scope}'",
        needs: "New Relic APM, with an attribute of the transactions that tells the sides apart",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the percentage of the transactions that failed",
                text: "SELECT percentage(count(*), WHERE error IS true) FROM Transaction <side>",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a percentile of the duration of transactions, in seconds",
                text: "SELECT percentile(duration, ${percentile:-99}) FROM Transaction <side>",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "transactions a second",
                text: "SELECT rate(count(*), 1 second) FROM Transaction <side>",
                members: &[],
            },
        ],
    },
    Group {
        name: "newrelic-kubernetes",
        side: "TIMESERIES ${step} seconds SINCE ${startEpochSeconds} UNTIL ${endEpochSeconds} WHERE ${scope_label:-deploymentName} = '${scope}' AND namespaceName LIKE '${location:-%}'",
        needs: "New Relic's integration of Kubernetes, and limits of the containers",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that is used, in percent of its limits",
                text: "SELECT average(cpuCoresUtilization) FROM K8sContainerSample <side>",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that is used, in percent of its limits",
                text: "SELECT average(memoryWorkingSetUtilization) FROM K8sContainerSample <side>",
                members: &[],
            },
        ],
    },
];

const MEANINGS: &[(&str, &str)] = &[
    (
        "scope",
        "what is compared, a value of an attribute; the scope of each side",
    ),
    ("location", "the namespace; the location of each side"),
    ("scope_label", "the attribute that tells the sides apart"),
    ("service", "the application, in which % is any text"),
    ("percentile", "which percentile, 0 to 100"),
    ("step", "seconds of an entry; the step of the request"),
    ("startEpochSeconds", "the begin of the window"),
    ("endEpochSeconds", "the end of the window"),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
