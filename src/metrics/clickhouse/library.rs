//! SQL for the golden signals of what OpenTelemetry's exporter writes into ClickHouse.

use super::query::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

const GROUPS: &[Group] = &[
    Group {
        name: "otel-traces",
        side: "Timestamp >= fromUnixTimestamp(${startEpochSeconds}) AND Timestamp < fromUnixTimestamp(${endEpochSeconds}) AND ResourceAttributes['${scope_label:-service.version}'] = '${scope}' AND ServiceName LIKE '${service:-%}' AND SpanKind IN ('Server', 'SPAN_KIND_SERVER')",
        needs: "spans in the tables of OpenTelemetry's exporter, with an attribute of the resource that tells the sides apart",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the part of the requests that failed, 0 to 1",
                text: "SELECT countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR')) / count() AS value, toStartOfInterval(Timestamp, INTERVAL ${step} SECOND) AS time FROM ${table:-otel_traces} WHERE <side> GROUP BY time ORDER BY time",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a quantile of the duration of requests, in milliseconds",
                text: "SELECT quantile(${quantile:-0.99})(Duration) / 1000000 AS value, toStartOfInterval(Timestamp, INTERVAL ${step} SECOND) AS time FROM ${table:-otel_traces} WHERE <side> GROUP BY time ORDER BY time",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "SELECT count() / ${step} AS value, toStartOfInterval(Timestamp, INTERVAL ${step} SECOND) AS time FROM ${table:-otel_traces} WHERE <side> GROUP BY time ORDER BY time",
                members: &[],
            },
        ],
    },
    Group {
        name: "otel-kubernetes",
        side: "TimeUnix >= fromUnixTimestamp(${startEpochSeconds}) AND TimeUnix < fromUnixTimestamp(${endEpochSeconds}) AND ResourceAttributes['${scope_label:-k8s.deployment.name}'] = '${scope}' AND ResourceAttributes['k8s.namespace.name'] LIKE '${location:-%}'",
        needs: "gauges of OpenTelemetry's kubeletstats receiver, with those of limits switched on, in the tables of its exporter",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that containers use, as a part of their limits",
                text: "SELECT avg(Value) AS value, toStartOfInterval(TimeUnix, INTERVAL ${step} SECOND) AS time FROM ${table:-otel_metrics_gauge} WHERE <side> AND MetricName = 'k8s.container.cpu_limit_utilization' GROUP BY time ORDER BY time",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that containers use, as a part of their limits",
                text: "SELECT avg(Value) AS value, toStartOfInterval(TimeUnix, INTERVAL ${step} SECOND) AS time FROM ${table:-otel_metrics_gauge} WHERE <side> AND MetricName = 'k8s.container.memory_limit_utilization' GROUP BY time ORDER BY time",
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
    (
        "location",
        "the namespace, in which % is any text; the location of each side",
    ),
    (
        "scope_label",
        "the attribute of the resource that tells the sides apart",
    ),
    ("service", "the service, in which % is any text"),
    (
        "table",
        "the table, with its database where that is another",
    ),
    ("quantile", "which quantile, 0 to 1"),
    ("step", "seconds of a row; the step of the request"),
    ("startEpochSeconds", "the begin of the window"),
    ("endEpochSeconds", "the end of the window"),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
