//! The SDK's client of one account, made when it is first needed and made anew for new credentials.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::S3Account;

/// All attempts of one request, the first included.
const ATTEMPTS: u32 = 8;

/// The most that the pause before the second attempt takes; it doubles from there, to 13 s in all.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the credentials are not read again after they have been.
const RENEW_EVERY: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Connection {
    current: Mutex<Option<Current>>,
}

struct Current {
    http: SharedHttpClient,
    client: Client,
    /// Tells one client from the next.
    number: u64,
    renewed_at: Option<Instant>,
}

/// A client, and which one it is.
pub struct Numbered {
    pub client: Client,
    number: u64,
}

impl Connection {
    pub async fn client(&self, account: &S3Account) -> Numbered {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current {
            return current.numbered();
        }
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let made = Current {
            client: connect(account, http.clone()).await,
            http,
            number: 0,
            renewed_at: None,
        };
        current.insert(made).numbered()
    }

    /// A client with credentials that are read again, after those of `refused` were refused; `None`
    /// when they cannot have changed, or have only just been read.
    pub async fn renewed(&self, account: &S3Account, refused: &Numbered) -> Option<Numbered> {
        if account.credentials.is_some() {
            return None;
        }
        let mut current = self.current.lock().await;
        let current = current.as_mut()?;
        if current.number != refused.number {
            return Some(current.numbered());
        }
        if current
            .renewed_at
            .is_some_and(|last| last.elapsed() < RENEW_EVERY)
        {
            return None;
        }
        // The SDK reads a profile once in the life of a client.
        current.client = connect(account, current.http.clone()).await;
        current.number += 1;
        current.renewed_at = Some(Instant::now());
        tracing::info!(
            bucket = account.bucket,
            "the credentials were refused and are read again"
        );
        Some(current.numbered())
    }
}

impl Current {
    fn numbered(&self) -> Numbered {
        Numbered {
            client: self.client.clone(),
            number: self.number,
        }
    }
}

async fn connect(account: &S3Account, http: SharedHttpClient) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5).min(account.timeout))
        .operation_attempt_timeout(account.timeout / 3)
        .operation_timeout(account.timeout)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(PAUSE);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(profile) = &account.profile_name {
        loader = loader.profile_name(profile);
    }
    if let Some(given) = &account.credentials {
        let token = given.session_token.as_ref();
        loader = loader.credentials_provider(Credentials::new(
            given.access_key.expose_secret(),
            given.secret_key.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "serin",
        ));
    }
    // The endpoint wins over the region, which must be something all the same.
    let region = match (&account.region, &account.endpoint) {
        (Some(region), _) => Some(region.clone()),
        (None, Some(_)) => Some("us-east-1".to_owned()),
        (None, None) => None,
    };
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    let shared = loader.load().await;
    // By itself the SDK has one budget of retries for all clients of a region: a bucket that fails
    // would use up those of the others, and its own until long after it is back.
    let budget = RetryPartition::custom(account.bucket.clone())
        .token_bucket(TokenBucket::unlimited())
        .build();
    let mut config = aws_sdk_s3::config::Builder::from(&shared).retry_partition(budget);
    if let Some(endpoint) = &account.endpoint {
        config = config
            .endpoint_url(endpoint)
            .force_path_style(true)
            // Several servers refuse the checksums that the SDK adds by itself.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Client::from_conf(config.build())
}
