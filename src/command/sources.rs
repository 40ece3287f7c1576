//! Metric sources that are named in place of a server.

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::client::Remote;
use crate::config::Shorthands;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Sources {
    /// Judge in this process, with series straight from this Prometheus.
    #[arg(
        long,
        env = "SERIN_PROMETHEUS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    prometheus: Option<String>,
    /// Judge in this process, with series from this site of Datadog, as `datadoghq.eu`; the keys are in
    /// `DD_API_KEY` and `DD_APP_KEY`.
    #[arg(long, env = "SERIN_DATADOG_SITE", value_name = "SITE")]
    datadog: Option<String>,
    /// Judge in this process, with series from this realm of Splunk Observability, as `eu0`; the token is
    /// in `SFX_AUTH_TOKEN`.
    #[arg(long, env = "SERIN_SIGNALFX_REALM", value_name = "REALM")]
    signalfx: Option<String>,
    /// Judge in this process, with series of this project of Google Cloud; the credentials are those that
    /// Google's own tools find.
    #[arg(long, env = "SERIN_GOOGLE_PROJECT", value_name = "PROJECT")]
    google: Option<String>,
}

impl Sources {
    /// What is typed takes the place of the variables that it excludes.
    pub fn prefer(&mut self, remote: &mut Remote, typed: &ArgMatches) {
        let is_from = |id: &str, source| typed.value_source(id) == Some(source);
        let here = [
            ("prometheus", &mut self.prometheus),
            ("datadog", &mut self.datadog),
            ("signalfx", &mut self.signalfx),
            ("google", &mut self.google),
        ];
        let is_typed = |id: &str| is_from(id, ValueSource::CommandLine);
        if here.iter().any(|(id, _)| is_typed(id)) && is_from("server", ValueSource::EnvVariable) {
            remote.server = None;
        }
        if is_typed("server") {
            for (id, word) in here {
                word.take_if(|_| is_from(id, ValueSource::EnvVariable));
            }
        }
    }

    pub fn shorthands(&self) -> Shorthands {
        let all = Shorthands {
            prometheus: self.prometheus.clone(),
            datadog: self.datadog.clone(),
            signalfx: self.signalfx.clone(),
            google: self.google.clone(),
        };
        all.filled()
    }
}
