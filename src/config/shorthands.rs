//! Metrics accounts for which one word is enough.

use std::collections::BTreeMap;

/// The word of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shorthands {
    /// An address, for the account `prometheus`; else `SERIN_PROMETHEUS_URL`.
    pub prometheus: Option<String>,
    /// A site or an address, for the account `datadog`; else `SERIN_DATADOG_SITE`.
    pub datadog: Option<String>,
    /// A realm or an address, for the account `signalfx`; else `SERIN_SIGNALFX_REALM`.
    pub signalfx: Option<String>,
    /// A project, or an address that ends in one, for the account `google`; else `SERIN_GOOGLE_PROJECT`.
    pub google: Option<String>,
}

impl Shorthands {
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        let variable = |name| environment.get(name).cloned();
        let all = Self {
            prometheus: variable("SERIN_PROMETHEUS_URL"),
            datadog: variable("SERIN_DATADOG_SITE"),
            signalfx: variable("SERIN_SIGNALFX_REALM"),
            google: variable("SERIN_GOOGLE_PROJECT"),
        };
        all.filled()
    }

    /// Without those that are empty.
    #[must_use]
    pub fn filled(mut self) -> Self {
        for word in [
            &mut self.prometheus,
            &mut self.datadog,
            &mut self.signalfx,
            &mut self.google,
        ] {
            word.take_if(|word| word.is_empty());
        }
        self
    }

    /// Each as it is here, else as it is there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            prometheus: self.prometheus.or(other.prometheus),
            datadog: self.datadog.or(other.datadog),
            signalfx: self.signalfx.or(other.signalfx),
            google: self.google.or(other.google),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// The type of a query that is given by itself.
    pub const fn kind(&self) -> &'static str {
        match self.first() {
            Some((_, kind)) => kind,
            None => "prometheus",
        }
    }

    /// The name of the first one's account, and the type of the queries that it answers.
    pub const fn first(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self {
                prometheus: Some(_),
                ..
            } => Some(("prometheus", "prometheus")),
            Self {
                datadog: Some(_), ..
            } => Some(("datadog", "datadog")),
            Self {
                signalfx: Some(_), ..
            } => Some(("signalfx", "signalfx")),
            Self {
                google: Some(_), ..
            } => Some(("google", "stackdriver")),
            _ => None,
        }
    }
}
