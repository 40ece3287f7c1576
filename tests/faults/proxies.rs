//! toxiproxy: one proxy for every replica and service, so that one replica alone can be cut off.

use anyhow::Context;
use serde_json::{Value, json};

/// What a replica speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Database,
    Store,
    Prometheus,
}

impl Service {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Store => "store",
            Self::Prometheus => "prometheus",
        }
    }
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug)]
pub enum Toxic {
    Latency,
    ResetPeer,
    Bandwidth,
    /// Nothing comes through, and nobody says so.
    Silence,
    /// Nobody listens.
    Down,
    /// The connection ends after so many bytes of the answer.
    LimitData,
}

impl Toxic {
    pub const ALL: [Self; 6] = [
        Self::Latency,
        Self::ResetPeer,
        Self::Bandwidth,
        Self::Silence,
        Self::Down,
        Self::LimitData,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::ResetPeer => "reset_peer",
            Self::Bandwidth => "bandwidth",
            Self::Silence => "timeout",
            Self::Down => "down",
            Self::LimitData => "limit_data",
        }
    }

    fn attributes(self) -> Value {
        match self {
            Self::Latency => json!({"latency": 400, "jitter": 300}),
            Self::ResetPeer => json!({"timeout": 50}),
            Self::Bandwidth => json!({"rate": 8}),
            Self::Silence => json!({"timeout": 0}),
            Self::Down => Value::Null,
            Self::LimitData => json!({"bytes": 700}),
        }
    }
}

pub struct Toxiproxy {
    http: reqwest::Client,
    api: String,
}

impl Toxiproxy {
    pub fn new(http: reqwest::Client, api: String) -> Self {
        Self { http, api }
    }

    /// Makes a proxy; where it listens.
    pub async fn make(
        &self,
        service: Service,
        replica: usize,
        upstream: &str,
    ) -> anyhow::Result<String> {
        let body = json!({"name": name(service, replica), "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true});
        let made: Value = self
            .http
            .post(format!("{}/proxies", self.api))
            .json(&body)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let listen = made["listen"].as_str().context("a proxy listens")?;
        Ok(listen.to_owned())
    }

    pub async fn add(&self, service: Service, replica: usize, toxic: Toxic) -> anyhow::Result<()> {
        let proxy = format!("{}/proxies/{}", self.api, name(service, replica));
        let request = match toxic {
            Toxic::Down => self.http.post(proxy).json(&json!({"enabled": false})),
            toxic => self.http.post(format!("{proxy}/toxics")).json(&json!({
                "name": "fault", "type": toxic.name(), "stream": "downstream",
                "toxicity": 1.0, "attributes": toxic.attributes(),
            })),
        };
        request.send().await?.error_for_status()?;
        Ok(())
    }

    pub async fn remove(
        &self,
        service: Service,
        replica: usize,
        toxic: Toxic,
    ) -> anyhow::Result<()> {
        let proxy = format!("{}/proxies/{}", self.api, name(service, replica));
        let request = match toxic {
            Toxic::Down => self.http.post(proxy).json(&json!({"enabled": true})),
            _ => self.http.delete(format!("{proxy}/toxics/fault")),
        };
        request.send().await?.error_for_status()?;
        Ok(())
    }
}

fn name(service: Service, replica: usize) -> String {
    format!("{}-{replica}", service.name())
}
