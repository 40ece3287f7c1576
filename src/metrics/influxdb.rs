//! Series from InfluxDB: InfluxQL over `/query`, which InfluxDB 1, 2 and 3 answer, or Flux, which 2 does.

mod answer;
mod csv;
mod flux;
mod language;
mod query;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered, Wanted};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, InfluxDbAccount, Limits};
use crate::error::{FetchError, Result};

pub use language::InfluxQl;
use query::{Asked, Home, KIND, Of};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);

pub struct InfluxDb {
    client: Client,
    limits: Limits,
    home: Home,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a header or a certificate that cannot be used.
pub fn open(name: &str, account: &InfluxDbAccount, config: &Config) -> Result<Asking<InfluxDb>> {
    let login = &account.login;
    let token = account.token.as_ref().map(|token| {
        let header = format!("Token {}", token.expose_secret());
        ("authorization", SecretString::from(header))
    });
    let credentials = match token {
        Some(_) => Credentials::None,
        None => Credentials::of(login),
    };
    let headers = login.headers.iter();
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: headers
            .map(|(header, value)| (header.as_str(), value.clone()))
            .chain(token)
            .collect(),
        credentials,
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let deadline = config.sources.influxdb.query_deadline;
    let service = InfluxDb {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        home: Home {
            database: account.database.clone(),
            retention_policy: account.retention_policy.clone(),
            bucket: account.bucket.clone(),
            org: account.org.clone(),
        },
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

#[async_trait]
impl Service for InfluxDb {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &InfluxQl
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::text_of(request, &self.home)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        query::asked(request, &self.home)
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let (range, limits) = (asked.range, self.limits);
        let deadline = self.client.deadline();
        match &asked.of {
            Of::InfluxQl { database, policy } => {
                let params = [
                    ("db", Some(database.clone())),
                    ("rp", policy.clone()),
                    ("q", Some(asked.text.clone())),
                ];
                let params = params.into_iter();
                let call = Call {
                    params: params
                        .filter_map(|(name, value)| Some((name, value?)))
                        .collect(),
                    sent: Sent::GetOrForm,
                    query: &asked.text,
                    ..Call::get("/query")
                };
                let read =
                    move |answer, held: &mut Held| answer::series(answer, &range, &limits, held);
                self.client.read(&call, deadline, share, read).await
            }
            Of::Flux { org } => {
                let dialect =
                    json!({"annotations": ["datatype", "group", "default"], "header": true});
                let body = json!({"query": asked.text, "type": "flux", "dialect": dialect});
                let call = Call {
                    params: org.iter().map(|org| ("org", org.clone())).collect(),
                    sent: Sent::Post("application/json", body.to_string()),
                    query: &asked.text,
                    wanted: Wanted::Anything,
                    ..Call::get("/api/v2/query")
                };
                let read =
                    move |body: &[u8], held: &mut Held| csv::series(body, &range, &limits, held);
                self.client.read_body(&call, deadline, share, read).await
            }
        }
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let database = match &asked.of {
            Of::InfluxQl { database, .. } => Some(("database", database.clone())),
            Of::Flux { .. } => None,
        };
        let query = ("query", asked.text.clone());
        answer.told().chain(database).chain([query]).collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<(), FetchError> {
        let call = Call {
            wanted: Wanted::Anything,
            ..Call::get("/ping")
        };
        self.client.aside(&call).await.map(drop)
    }

    /// Anybody is told of its health.
    async fn probe(&self) -> Result<(), FetchError> {
        let bucket = self.home.bucket.as_deref();
        let bucket = bucket.and_then(|bucket| bucket.split('/').next());
        let database = self.home.database.as_deref().or(bucket);
        let statement = match database {
            Some(_) => "SHOW MEASUREMENTS LIMIT 1",
            None => "SHOW DATABASES",
        };
        let database = database.map(|database| ("db", database.to_owned()));
        let call = Call {
            params: database
                .into_iter()
                .chain([("q", statement.to_owned())])
                .collect(),
            query: statement,
            ..Call::get("/query")
        };
        let answer: answer::Queried = self.client.aside_json(&call).await?;
        match answer.into_error() {
            Some(error) => Err(self.client.error(&call, Some(200), error)),
            None => Ok(()),
        }
    }
}
