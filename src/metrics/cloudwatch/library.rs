//! Expressions for the golden signals: of load balancers, of Lambda, of ECS.

use super::query::KIND;
use crate::metrics::library::{Group, Shape, Signal, Template, of_groups};

const GROUPS: &[Group] = &[
    Group {
        name: "aws-alb",
        side: "{AWS/ApplicationELB,LoadBalancer,${scope_label:-TargetGroup}} ${scope_label:-TargetGroup}=\"${scope}\"",
        needs: "an Application Load Balancer, with a target group for each side",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the percentage of requests that targets answered with 5xx; nothing where none was",
                text: "100 * SUM(SEARCH('<side> MetricName=\"HTTPCode_Target_5XX_Count\"', 'Sum', ${step})) / SUM(SEARCH('<side> MetricName=\"RequestCount\"', 'Sum', ${step}))",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a percentile of the time that targets take to answer, in seconds",
                text: "AVG(SEARCH('<side> MetricName=\"TargetResponseTime\"', 'p${percentile:-99}', ${step}))",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "requests a second",
                text: "SUM(SEARCH('<side> MetricName=\"RequestCount\"', 'Sum', ${step})) / ${step}",
                members: &[],
            },
        ],
    },
    Group {
        name: "aws-lambda",
        side: "{AWS/Lambda,FunctionName,Resource} Resource=\"${scope}\"",
        needs: "a function with an alias or a version for each side; the scope is as in my-function:live",
        shapes: &[
            Shape {
                signal: Signal::Errors,
                name: "error-ratio",
                says: "the percentage of invocations that failed",
                text: "100 * SUM(SEARCH('<side> MetricName=\"Errors\"', 'Sum', ${step})) / SUM(SEARCH('<side> MetricName=\"Invocations\"', 'Sum', ${step}))",
                members: &[],
            },
            Shape {
                signal: Signal::Latency,
                name: "latency",
                says: "a percentile of the duration of invocations, in milliseconds",
                text: "AVG(SEARCH('<side> MetricName=\"Duration\"', 'p${percentile:-99}', ${step}))",
                members: &[],
            },
            Shape {
                signal: Signal::Traffic,
                name: "traffic",
                says: "invocations a second",
                text: "SUM(SEARCH('<side> MetricName=\"Invocations\"', 'Sum', ${step})) / ${step}",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "throttles",
                says: "invocations a second that were throttled",
                text: "SUM(SEARCH('<side> MetricName=\"Throttles\"', 'Sum', ${step})) / ${step}",
                members: &[],
            },
        ],
    },
    Group {
        name: "aws-ecs",
        side: "{AWS/ECS,ClusterName,ServiceName} ServiceName=\"${scope}\"",
        needs: "a service of ECS for each side",
        shapes: &[
            Shape {
                signal: Signal::Saturation,
                name: "cpu-saturation",
                says: "CPU that tasks use, in percent of what they have reserved",
                text: "AVG(SEARCH('<side> MetricName=\"CPUUtilization\"', 'Average', ${step}))",
                members: &[],
            },
            Shape {
                signal: Signal::Saturation,
                name: "memory-saturation",
                says: "memory that tasks use, in percent of what they have reserved",
                text: "AVG(SEARCH('<side> MetricName=\"MemoryUtilization\"', 'Average', ${step}))",
                members: &[],
            },
        ],
    },
];

const MEANINGS: &[(&str, &str)] = &[
    (
        "scope",
        "what is compared, the value of a dimension; the scope of each side",
    ),
    ("scope_label", "the dimension that tells the sides apart"),
    ("percentile", "which percentile, 0 to 100"),
    ("step", "seconds of a point; the step of the request"),
];

pub fn templates() -> Vec<Template> {
    of_groups(KIND, GROUPS, MEANINGS)
}
