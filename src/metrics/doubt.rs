//! What is wrong with a query, or doubtful, before it is asked.

use super::{Language, MetricRequest, stand_in, template};
use crate::canary::{
    CanaryConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryScope, Pair,
};
use crate::config::Config;
use crate::error::Result;

/// A query that is looked at, and what is known of how it will be asked.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub own: &'a Config,
    /// Its templates are those that the metric may name.
    pub config: &'a CanaryConfig,
    pub metric: &'a CanaryMetricConfig,
    /// That of the metric, and its language.
    pub query: &'a CanaryMetricSetQueryConfig,
    pub language: &'a dyn Language,
    /// Where they are not known, made-up ones stand in.
    pub scopes: Option<&'a Pair<CanaryScope>>,
    /// Seconds between two points.
    pub step: i64,
}

impl Draft<'_> {
    /// With its variables; none, too, of a name that no template has.
    pub fn template(&self) -> Option<String> {
        template::of(self.config, self.metric).ok().flatten()
    }

    /// The text of a member of the query, if there is more in it than blanks.
    pub fn text(&self, member: &str) -> Option<String> {
        let text = self.query.text(member);
        text.filter(|text| !text.trim().is_empty())
    }

    /// Its texts with variables in them, each with its member; with none for the template.
    ///
    /// # Errors
    /// `Invalid` when the template that it names is not there.
    pub fn written(&self) -> Result<Vec<(&'static str, String)>> {
        self.language
            .written(&self.request(&CanaryScope::default()))
    }

    /// The texts that both sides would be sent.
    pub fn sent(&self) -> Pair<Result<String>> {
        let made_up = || stand_in::made_up(&self.written().unwrap_or_default());
        let scopes = self.scopes.cloned().unwrap_or_else(made_up);
        scopes.as_ref().map(|scope| self.sent_for(scope))
    }

    /// The text that would be sent for a scope.
    ///
    /// # Errors
    /// Why nothing would.
    pub fn sent_for(&self, scope: &CanaryScope) -> Result<String> {
        self.language.text(self.own, &self.request(scope))
    }

    pub fn request<'s>(&'s self, scope: &'s CanaryScope) -> MetricRequest<'s> {
        MetricRequest {
            config: self.config,
            metric: self.metric,
            scope,
            longest: template::MAX_BYTES,
            is_reused: true,
        }
    }
}

/// What there is to tell of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub kind: DoubtKind,
    /// Of the query; empty for that of its template.
    pub member: &'static str,
    /// Where in that text, in characters from 0, as far as it is known.
    pub at: Option<usize>,
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

/// Which doubt it is; `docs/lint.md` has each under the name that the lint gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtKind {
    /// No canary can be judged by it.
    Broken,
    Doubtful,
    /// What it is taken for without a prefix is not what its author wrote.
    NoPrefix,
    /// Without a prefix it is taken for what it is, and only here.
    NoPrefixOfKayenta,
    ForeignFilter,
    NoFilter,
    KeptLabel,
    SharedData,
    CounterWithoutRate,
    QuantileWithoutLe,
    QuantileOutOfRange,
}

impl Doubt {
    pub fn broken(
        member: &'static str,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            member,
            ..Self::of_template(DoubtKind::Broken, sentence, fix)
        }
    }

    pub fn doubtful(
        member: &'static str,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            member,
            ..Self::of_template(DoubtKind::Doubtful, sentence, fix)
        }
    }

    pub fn of_template(
        kind: DoubtKind,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            member: "",
            at: None,
            sentence: sentence.into(),
            fix: fix.into(),
        }
    }
}

/// What to do about what is wrong in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Where no query can be made of a metric.
    pub unbuildable: &'static str,
    /// Where both sides would be sent the same.
    pub equal: &'static str,
}

impl Default for Advice {
    fn default() -> Self {
        Self {
            unbuildable: "give the query what is missing",
            equal: "select the side by ${scope}",
        }
    }
}
