//! What servers of Prometheus's API want to be asked otherwise, or beside it.

use std::borrow::Cow;

use crate::config::{PrometheusAccount, Thanos, is_loki};
use crate::metrics::http::{Call, Sent, Wanted};
use crate::metrics::range::Range;

pub struct Dialect {
    /// Its queries are `LogQL`, its errors plain texts, and what it is asked is shifted to multiples of the step.
    pub is_loki: bool,
    /// Clouds have no page for their health.
    has_no_page: bool,
    thanos: Thanos,
}

impl Dialect {
    pub fn of(account: &PrometheusAccount) -> Self {
        Self {
            is_loki: is_loki(&account.base_url),
            has_no_page: account.google.is_some() || account.sigv4.is_some(),
            thanos: account.thanos.clone(),
        }
    }

    pub fn range_query<'a>(&self, query: &'a str, range: &Range) -> Call<'a> {
        let mut params = vec![
            ("query", query.to_owned()),
            ("start", range.start.to_string()),
            ("end", range.end.to_string()),
        ];
        params.extend(range.step.map(|step| ("step", step.to_string())));
        let thanos = &self.thanos;
        params.extend(self.partial_response());
        params.extend(thanos.dedup.map(|dedup| ("dedup", dedup.to_string())));
        let resolution = thanos.max_source_resolution.iter();
        params.extend(resolution.map(|resolution| ("max_source_resolution", resolution.clone())));
        Call {
            params,
            sent: Sent::GetOrForm,
            query,
            ..self.get("/api/v1/query_range")
        }
    }

    /// The names of metrics; a Loki has labels only.
    pub fn names(&self) -> Call<'static> {
        if self.is_loki {
            return self.get("/api/v1/labels");
        }
        Call {
            params: self.partial_response().into_iter().collect(),
            ..self.get("/api/v1/label/__name__/values")
        }
    }

    /// The labels of the series of a metric, or the values of one; of all series, where it is empty.
    pub fn labels(&self, metric: &str, label: Option<&str>) -> Call<'static> {
        let path = label.map_or_else(
            || "/api/v1/labels".to_owned(),
            |label| format!("/api/v1/label/{label}/values"),
        );
        let metric = metric.replace('\\', "\\\\").replace('"', "\\\"");
        let of_metric = || ("match[]", format!("{{__name__=\"{metric}\"}}"));
        let of_metric = (!metric.is_empty() && !self.is_loki).then(of_metric);
        let params = of_metric.into_iter().chain(self.partial_response());
        Call {
            params: params.collect(),
            ..self.get(path)
        }
    }

    pub fn health(&self) -> Call<'static> {
        match self.health_without_page() {
            Some(_) if !self.has_no_page => Call {
                wanted: Wanted::Anything,
                ..Call::get("/-/healthy")
            },
            Some(call) => call,
            None => self.names(),
        }
    }

    /// What every server answers that knows PromQL.
    pub fn health_without_page(&self) -> Option<Call<'static>> {
        (!self.is_loki).then(|| Call {
            params: vec![("query", "vector(1)".to_owned())],
            ..self.get("/api/v1/query")
        })
    }

    fn partial_response(&self) -> Option<(&'static str, String)> {
        let is_taken = self.thanos.partial_response?;
        Some(("partial_response", is_taken.to_string()))
    }

    fn get(&self, path: impl Into<Cow<'static, str>>) -> Call<'static> {
        let wanted = if self.is_loki {
            Wanted::JsonOrWords
        } else {
            Wanted::Json
        };
        Call {
            wanted,
            ..Call::get(path)
        }
    }
}
