//! Series from ClickHouse: SQL over HTTP, whose rows are points.

mod answer;
mod library;
mod query;
mod statement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, MAX_ANSWER_BYTES, Sent, Unanswered};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{ClickHouseAccount, Config, Limits, Login};
use crate::error::{FetchError, Result};

pub use query::Sql;
use query::{Asked, KIND};
use statement::{Pasting, sent_value};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);
/// Who asks where only a password is given.
const USUAL_USER: &str = "default";

pub struct ClickHouse {
    client: Client,
    limits: Limits,
    database: Option<String>,
    pasting: Pasting,
    /// What goes with every query.
    settings: Vec<(&'static str, String)>,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a header or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &ClickHouseAccount,
    config: &Config,
) -> Result<Asking<ClickHouse>> {
    let login = Login {
        username: (account.login.username.clone()).or_else(|| Some(USUAL_USER.to_owned())),
        ..account.login.clone()
    };
    let has_login = account.login.username.is_some() || account.login.password.is_some();
    let endpoint = Endpoint {
        account: name,
        base_url: &account.endpoint_url,
        headers: (login.headers.iter())
            .map(|(header, value)| (header.as_str(), value.clone()))
            .collect(),
        credentials: if has_login {
            Credentials::of(&login)
        } else {
            Credentials::of(&account.login)
        },
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let deadline = config.sources.clickhouse.query_deadline;
    let settings = if account.send_settings {
        settings(&config.limits, deadline, account.http.compression)
    } else {
        Vec::new()
    };
    let service = ClickHouse {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        database: account.database.clone(),
        pasting: if config.sources.clickhouse.raw_values {
            Pasting::Raw
        } else {
            Pasting::Words
        },
        settings,
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

/// A query reads, no longer and no more than serin would, and its numbers and times have one form.
fn settings(
    limits: &Limits,
    deadline: Duration,
    is_compressed: bool,
) -> Vec<(&'static str, String)> {
    let seconds = deadline.as_secs().max(1);
    let mut settings = vec![
        ("readonly", "1".to_owned()),
        ("max_execution_time", seconds.to_string()),
        ("max_result_rows", limits.samples.to_string()),
        ("max_result_bytes", MAX_ANSWER_BYTES.to_string()),
        ("result_overflow_mode", "throw".to_owned()),
        (
            "cancel_http_readonly_queries_on_client_close",
            "1".to_owned(),
        ),
        ("date_time_output_format", "iso".to_owned()),
        ("output_format_json_quote_denormals", "1".to_owned()),
    ];
    if is_compressed {
        settings.push(("enable_http_compression", "1".to_owned()));
    }
    settings
}

impl ClickHouse {
    fn call<'a>(&self, sql: &str, params: &[(String, String)], told: &'a str) -> Call<'a> {
        let format = [
            ("default_format", answer::FORMAT.to_owned()),
            // An exception comes with its status then, and not behind rows.
            ("wait_end_of_query", "1".to_owned()),
        ];
        let database = self.database.iter().map(|it| ("database", it.clone()));
        let named = params.iter();
        let named = named.map(|(name, value)| (format!("param_{name}"), sent_value(value)));
        Call {
            params: database
                .chain(format)
                .chain(self.settings.clone())
                .collect(),
            named: named.collect(),
            sent: Sent::Post("text/plain; charset=utf-8", sql.to_owned()),
            query: told,
            fault: Some(answer::fault),
            ..Call::get("/")
        }
    }
}

#[async_trait]
impl Service for ClickHouse {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &Sql
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::asked(request, self.pasting).map(|asked| asked.text)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        query::asked(request, self.pasting)
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    fn length(asked: &Asked) -> usize {
        let params = asked
            .params
            .iter()
            .map(|(name, value)| name.len() + value.len());
        asked.text.len() + asked.sql.len() + params.sum::<usize>()
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let call = self.call(&asked.sql, &asked.params, &asked.text);
        let (range, limits) = (asked.range, self.limits);
        let read = move |body: &[u8], held: &mut Held| answer::series(body, &range, &limits, held);
        let deadline = self.client.deadline();
        self.client.read_body(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let query = ("query", asked.text.clone());
        answer.told().chain([query]).collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    /// Not `/ping`, which asks neither who it is nor whether its settings are taken.
    async fn health(&self) -> Result<(), FetchError> {
        let call = self.call("SELECT 1", &[], "");
        self.client.aside(&call).await.map(drop)
    }
}
