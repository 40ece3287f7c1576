//! The filter and the aggregation for one metric of one side.

use std::fmt::Write;

use crate::canary::{CanaryMetricSetQueryConfig, CanaryScope};
use crate::config::{Config, Source};
use crate::error::{Error, Result};
use crate::metrics::library::Template;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::{
    Doubt, Draft, Language, Member, MetricRequest, library, query_of_kind, template,
};

pub const KIND: &str = "stackdriver";

const MEMBERS: &[Member] = &[
    Member::text(
        "metricType",
        "the metric, as in run.googleapis.com/request_latencies",
    ),
    Member::text("resourceType", "what it is of, as in cloud_run_revision"),
    Member::text(
        "crossSeriesReducer",
        "what makes one series of many: REDUCE_MEAN, if it is not given",
    ),
    Member::text(
        "perSeriesAligner",
        "what makes one point of a step: ALIGN_MEAN, if it is not given; distributions want \
         ALIGN_PERCENTILE_99 or the like",
    ),
    Member::texts("groupByFields", "labels that give a series each"),
];

const QUOTING: Quoting = Quoting {
    quotes: "\"'",
    comment: None,
    has_braces: false,
    never: "\"\\",
    way_back: None,
};

/// Resource types whose labels may be given as parameters, in this order.
const KUBERNETES: [(&[&str], &[&str]); 2] = [
    (
        &["k8s_container", "k8s_pod", "k8s_node"],
        &[
            "location",
            "node_name",
            "cluster_name",
            "pod_name",
            "container_name",
            "namespace_name",
        ],
    ),
    (
        &["gke_container"],
        &[
            "cluster_name",
            "namespace_id",
            "instance_id",
            "pod_id",
            "container_name",
            "zone",
        ],
    ),
];
const USER_LABELS: &str = "user_labels.";

/// The filters of Cloud Monitoring.
pub struct StackdriverFilter;

impl Language for StackdriverFilter {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "a filter beside metric and resource type, as in resource.labels.revision_name=\"${scope}\""
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String> {
        let project = own
            .accounts
            .iter()
            .find_map(|account| match &account.source {
                Some(Source::Stackdriver(account)) => Some(account.project.as_str()),
                _ => None,
            });
        text(request, project)
    }

    fn refuses_custom_filter(&self) -> bool {
        true
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let template = draft.template().unwrap_or_default();
        let scope = CanaryScope::default();
        let request = draft.request(&scope);
        let member = |name: &str| own(&request, draft.query, name).unwrap_or_default();
        let resource = member("resourceType");
        let metric = member("metricType");
        let mut doubts = Vec::new();
        if metric.is_empty() {
            doubts.push(Doubt::broken(
                "metricType",
                "'metricType' is missing: it names the metric",
                "write the type of the metric, as in compute.googleapis.com/instance/cpu/utilization",
            ));
        }
        if template.is_empty()
            && KUBERNETES
                .iter()
                .any(|(types, _)| types.contains(&resource.as_str()))
        {
            doubts.push(Doubt::doubtful(
                "resourceType",
                format!("'{resource}' does not ask for the scope by itself, so both sides may get the same data"),
                "write a customInlineTemplate with ${scope}, or give each side parameters of its own",
            ));
        }
        let (aligner, reducer) = (member("perSeriesAligner"), member("crossSeriesReducer"));
        let is_distribution = [
            "latencies",
            "_latency",
            "/distribution",
            "duration_distribution",
        ];
        if is_distribution.iter().any(|word| metric.contains(word))
            && !gives_numbers(&aligner, &reducer)
        {
            doubts.push(Doubt::doubtful(
                "perSeriesAligner",
                "this looks like a metric of distributions, which cannot be judged as they are",
                "set perSeriesAligner to ALIGN_PERCENTILE_99, ALIGN_COUNT or the like",
            ));
        }
        doubts
    }
}

/// Of distributions.
fn gives_numbers(aligner: &str, reducer: &str) -> bool {
    aligner.starts_with("ALIGN_PERCENTILE")
        || aligner == "ALIGN_COUNT"
        || aligner == "ALIGN_DELTA" && reducer.starts_with("REDUCE_PERCENTILE")
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub filter: String,
    pub range: Range,
    pub reducer: String,
    pub aligner: String,
    pub group_by: Vec<String>,
}

impl Asked {
    /// Seconds.
    pub fn step(&self) -> i64 {
        self.range.step.unwrap_or_default()
    }
}

pub fn asked(request: &MetricRequest<'_>, project: &str) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let range = Range::of(request.scope)?;
    if range.step.is_none() {
        return invalid(
            request,
            "the scope has no 'step', which is the alignment period in seconds",
        );
    }
    let or = |member: &str, usual: &str| {
        given(request, query, member).unwrap_or_else(|| usual.to_owned())
    };
    Ok(Asked {
        filter: text(request, Some(project))?,
        range,
        reducer: or("crossSeriesReducer", "REDUCE_MEAN"),
        aligner: or("perSeriesAligner", "ALIGN_MEAN"),
        group_by: query.texts("groupByFields"),
    })
}

/// Of the query, else of the scope's parameters.
fn given(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    member: &str,
) -> Option<String> {
    own(request, query, member).or_else(|| param(request, member))
}

/// Of the query, else of the template of the library that it names.
fn own(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    member: &str,
) -> Option<String> {
    let own = query.text(member).filter(|text| !text.trim().is_empty());
    own.or_else(|| library::member(request, member).map(str::to_owned))
}

fn param(request: &MetricRequest<'_>, name: &str) -> Option<String> {
    let params = request.scope.extended_scope_params.as_ref()?;
    params
        .get(name)
        .filter(|value| !value.trim().is_empty())
        .cloned()
}

pub fn text(request: &MetricRequest<'_>, project: Option<&str>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let written = template::of(request.config, request.metric)?.unwrap_or_default();
    let Some(resource) = given(request, query, "resourceType") else {
        return invalid(request, "Resource type is required.");
    };
    let Some(metric) = own(request, query, "metricType") else {
        return invalid(request, "'metricType' is missing");
    };
    quoted::check_value(request, "metricType", &metric, '"', &QUOTING)?;
    let resource = plain(request, "resourceType", &resource)?;
    let mut filter = format!("metric.type=\"{metric}\" AND resource.type={resource}");
    if !written.is_empty() {
        let mut expansion = template::Expansion::of(request).with("resourceType", resource);
        let _ = write!(filter, " AND {}", expansion.expand(&written)?);
        quoted::check_template(request, &written, &QUOTING)?;
        return Ok(filter);
    }
    let project = param(request, "project").or_else(|| project.map(str::to_owned));
    let project = project.unwrap_or_default();
    let of_project = format!(" AND project={}", plain(request, "project", &project)?);
    let needed = |what: &str, name: &str, value: &Option<String>| {
        let value = value.as_deref().filter(|value| !value.is_empty());
        let Some(value) = value else {
            let told = format!("{what} is required when resourceType is '{resource}'.");
            return Err(Error::Invalid(told));
        };
        Ok(plain(request, name, value)?.to_owned())
    };
    let location = || {
        needed(
            "Location (i.e. region)",
            "location",
            &request.scope.location,
        )
    };
    let scope = || needed("Scope", "scope", &request.scope.scope);
    match resource {
        "global" => {}
        "gce_instance" => {
            let (location, scope) = (location()?, scope()?);
            let _ = write!(
                filter,
                "{of_project} AND metadata.user_labels.\"spinnaker-region\"={location} AND \
                 metadata.user_labels.\"spinnaker-server-group\"={scope}"
            );
        }
        "aws_ec2_instance" => {
            let (location, scope) = (location()?, scope()?);
            let _ = write!(
                filter,
                " AND resource.labels.region=\"aws:{location}\" AND \
                 metadata.user_labels.\"aws:autoscaling:groupname\"={scope}"
            );
        }
        "gae_app" => {
            let _ = write!(
                filter,
                "{of_project} AND resource.labels.version_id={}",
                scope()?
            );
            if let Some(service) = param(request, "service") {
                let service = plain(request, "service", &service)?;
                let _ = write!(filter, " AND resource.labels.module_id={service}");
            }
        }
        other => {
            let kubernetes = KUBERNETES.iter().find(|(types, _)| types.contains(&other));
            let Some((_, labels)) = kubernetes else {
                return invalid(
                    request,
                    &format!(
                        "Resource type '{other}' not yet explicitly supported. If you employ a custom filter, \
                         you may use any resource type you like."
                    ),
                );
            };
            filter.push_str(&of_project);
            for label in *labels {
                if let Some(value) = param(request, label) {
                    let value = plain(request, label, &value)?;
                    let _ = write!(filter, " AND resource.labels.{label}={value}");
                }
            }
            for (name, value) in request.scope.extended_scope_params.iter().flatten() {
                if let Some(label) = name.strip_prefix(USER_LABELS) {
                    quoted::check_value(request, name, label, '"', &QUOTING)?;
                    quoted::check_value(request, name, value, '"', &QUOTING)?;
                    let _ = write!(filter, " AND metadata.user_labels.\"{label}\"=\"{value}\"");
                }
            }
        }
    }
    Ok(filter)
}

/// A value that stands without quotes: it may not be more than one word of a filter.
fn plain<'v>(request: &MetricRequest<'_>, name: &str, value: &'v str) -> Result<&'v str> {
    let ends = |letter: char| letter.is_whitespace() || "\"'\\()=<>".contains(letter);
    if let Some(found) = value.chars().find(|letter| ends(*letter)) {
        return invalid(
            request,
            &format!(
                "the value of '{name}' holds {found:?}, and its filter has it without quotes, where that ends it: \
                 write a customInlineTemplate that puts it between quotes"
            ),
        );
    }
    Ok(value)
}

fn invalid<T>(request: &MetricRequest<'_>, what: &str) -> Result<T> {
    let name = request.metric.name.as_deref().unwrap_or_default();
    Err(Error::Invalid(format!("metric '{name}': {what}")))
}
