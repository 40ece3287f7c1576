//! Requests to services of AWS: with whose credentials, and how they are signed.

mod sign;
mod told;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use reqwest::Request;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::config::{AwsIdentity, AwsRole, S3Credentials};
use crate::http::{Failed, cut, in_words};

pub use told::{code, is_of_credentials, is_throttled, name};

/// For one request of those that credentials take, and for all of them.
const ATTEMPT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(15);

/// Credentials are renewed so long before their end, or at three quarters of their time.
const AHEAD: Duration = Duration::from_mins(5);

/// Those without an end are read again after that time: a file may have others by then.
const READ_AGAIN: Duration = Duration::from_mins(5);

/// Those that were refused are kept for so long: who asks at once would get the same.
const KEPT: Duration = Duration::from_secs(5);

/// For so long a failure is told again: all who wait would ask one after the other.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// Of a reason, which may hold what a service said.
const TOLD_BYTES: usize = 1 << 10;

/// What STS says where asking again changes nothing.
const FINAL: [&str; 6] = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "SignatureDoesNotMatch",
    "ValidationError",
];

/// What an assumed role calls its session, which the logs of AWS tell.
const SESSION: &str = "serin";

/// Signs requests to one service, with credentials that are kept until they are about to end.
pub struct Signer {
    identity: AwsIdentity,
    service: String,
    known: Mutex<Known>,
    /// Held by who gets others; all else go on with the old ones, as long as they are good.
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    kept: Option<Kept>,
    failed: Option<(Instant, Failed)>,
}

struct Kept {
    credentials: Credentials,
    since: Instant,
    renewed_at: Instant,
    ends_at: Option<Instant>,
}

impl Signer {
    /// `service` is what the service is called in a signature.
    pub fn new(identity: AwsIdentity, service: impl Into<String>) -> Self {
        Self {
            identity,
            service: service.into(),
            known: Mutex::default(),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    /// Signs a request as it will be sent: its address is written as its signature has it.
    ///
    /// # Errors
    /// Why there are no credentials, and whether there may be some later.
    pub async fn sign(&self, request: &mut Request) -> Result<(), Failed> {
        let credentials = self.credentials().await?;
        let (region, service) = (&self.identity.region, &self.service);
        let now = UNIX_EPOCH + Duration::from_millis(now());
        sign::sign(request, credentials, region, service, now).map_err(Failed::for_good)
    }

    /// Keeps the credentials no longer that signed what was sent with these headers, as they were
    /// refused; whether there may be others.
    pub fn forget(&self, sent: &HeaderMap) -> bool {
        let mut known = self.known();
        let is_old = known.kept.as_ref().is_some_and(|kept| {
            sign::is_by(sent, kept.credentials.access_key_id()) && KEPT <= kept.since.elapsed()
        });
        if is_old {
            known.kept = None;
        }
        is_old
    }

    async fn credentials(&self) -> Result<Credentials, Failed> {
        if let (Some(keys), None) = (&self.identity.keys, &self.identity.role) {
            return Ok(given(keys));
        }
        if let Some(fresh) = self.known().fresh() {
            return Ok(fresh);
        }
        let good = self.known().still_good();
        let _turn = match (self.renewal.try_lock(), good) {
            (Ok(turn), _) => turn,
            (Err(_), Some(good)) => return Ok(good),
            (Err(_), None) => self.renewal.lock().await,
        };
        // Somebody may have asked meanwhile.
        let told = self.known().told();
        match told {
            Some(told) => told,
            None => self.renew().await,
        }
    }

    async fn renew(&self) -> Result<Credentials, Failed> {
        let asked_at = Instant::now();
        // What the SDK does takes much room.
        match timeout(PATIENCE, Box::pin(ask(&self.identity))).await {
            Ok(Ok(credentials)) => {
                *self.known() = Known {
                    kept: Some(Kept::of(credentials.clone(), asked_at)),
                    failed: None,
                };
                Ok(credentials)
            }
            failed => {
                let failed = match failed {
                    Ok(Err(failed)) => failed,
                    _ => Failed {
                        why: format!("no credentials of AWS within {} s", PATIENCE.as_secs()),
                        may_pass: true,
                    },
                };
                tracing::warn!("cannot renew credentials of AWS: {failed}");
                let mut known = self.known();
                known.failed = Some((Instant::now(), failed.clone()));
                known.still_good().ok_or(failed)
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn fresh(&self) -> Option<Credentials> {
        let kept = self.kept.as_ref();
        let fresh = kept.filter(|kept| Instant::now() < kept.renewed_at);
        fresh.map(|kept| kept.credentials.clone())
    }

    fn still_good(&self) -> Option<Credentials> {
        let kept = self.kept.as_ref();
        let good = kept.filter(|kept| kept.ends_at.is_none_or(|end| Instant::now() < end));
        good.map(|kept| kept.credentials.clone())
    }

    /// What there is to say without asking anybody.
    fn told(&self) -> Option<Result<Credentials, Failed>> {
        if let Some(fresh) = self.fresh() {
            return Some(Ok(fresh));
        }
        let failed = self.failed.as_ref();
        let (_, failed) = failed.filter(|(at, _)| at.elapsed() < FAILED_FOR)?;
        Some(self.still_good().ok_or_else(|| failed.clone()))
    }
}

impl Kept {
    fn of(credentials: Credentials, asked_at: Instant) -> Self {
        let end = credentials.expiry().map(|end| {
            let end = end.duration_since(UNIX_EPOCH).unwrap_or_default();
            end.saturating_sub(Duration::from_millis(now()))
        });
        let lasts = end.map_or(READ_AGAIN, |lasts| {
            lasts.saturating_sub(AHEAD.min(lasts / 4))
        });
        Self {
            credentials,
            since: Instant::now(),
            renewed_at: asked_at + lasts,
            ends_at: end.map(|lasts| asked_at + lasts),
        }
    }
}

/// What the SDK finds for an identity, a role left aside: what it was given, a profile, the
/// environment, a web identity, or what a container or a machine is told.
pub async fn shared(identity: &AwsIdentity) -> SdkConfig {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .region(Region::new(identity.region.clone()));
    if let Some(profile) = &identity.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &identity.keys {
        loader = loader.credentials_provider(given(keys));
    }
    loader.load().await
}

/// The SDK reads a profile once in the life of a provider, so each time there is a new one.
async fn ask(identity: &AwsIdentity) -> Result<Credentials, Failed> {
    let shared = shared(identity).await;
    let Some(provider) = shared.credentials_provider() else {
        return Err(Failed::for_good("no credentials of AWS are given"));
    };
    let found = match &identity.role {
        None => provider.provide_credentials().await,
        Some(role) => assuming(role, shared).await.provide_credentials().await,
    };
    found.map_err(|error| {
        let what = match &identity.role {
            Some(role) => format!("the role '{}' cannot be assumed", role.arn),
            None => "no credentials of AWS".to_owned(),
        };
        let mut why = format!("{what}: {}", in_words(&error));
        cut(&mut why, TOLD_BYTES);
        let is_final = matches!(
            error,
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
        );
        let may_pass = !is_final && !FINAL.iter().any(|code| why.contains(code));
        Failed { why, may_pass }
    })
}

async fn assuming(role: &AwsRole, shared: SdkConfig) -> AssumeRoleProvider {
    let shared = match &role.sts_endpoint {
        Some(url) => shared.into_builder().endpoint_url(url).build(),
        None => shared,
    };
    let mut builder = AssumeRoleProvider::builder(&role.arn)
        .session_name(SESSION)
        .configure(&shared);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    builder.build().await
}

fn given(keys: &S3Credentials) -> Credentials {
    let token = keys.session_token.as_ref();
    Credentials::new(
        keys.access_key.expose_secret(),
        keys.secret_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
        None,
        "serin",
    )
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    u64::try_from(Clock::System.now_millis()).unwrap_or(0)
}

/// Of the service in that region.
pub fn address(service: &str, region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{china}")
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    fn ending(seconds: Option<i64>) -> Credentials {
        let end = seconds.map(|after| {
            let millis = i64::try_from(now()).unwrap() + after * 1000;
            UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap())
        });
        Credentials::new("AKID", "secret", None, end, "test")
    }

    #[test]
    fn credentials_are_renewed_before_their_end() {
        let cases = [
            // seconds to the end, to the renewal, whether they are good until then
            (Some(3_600), 3_300, true),
            (Some(400), 300, true),
            (Some(-10), 0, false),
            (None, 300, true),
        ];
        for (end, renewed, is_good) in cases {
            let asked_at = Instant::now();
            let kept = Kept::of(ending(end), asked_at);
            let after = kept.renewed_at.duration_since(asked_at).as_secs_f64();
            assert!((after - f64::from(renewed)).abs() < 1.0, "{end:?}: {after}");
            assert_eq!(kept.ends_at.is_some(), end.is_some());
            let known = Known {
                kept: Some(kept),
                failed: None,
            };
            assert_eq!(known.still_good().is_some(), is_good, "{end:?}");
            assert_eq!(known.fresh().is_some(), is_good, "{end:?}");
        }
    }

    #[test]
    fn credentials_that_were_refused_are_forgotten_once_they_are_some_seconds_old() {
        let signed_by = |key: &str| -> HeaderMap {
            let value = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/r/s/aws4_request");
            [(AUTHORIZATION, value.parse().unwrap())]
                .into_iter()
                .collect()
        };
        let signer = Signer::new(AwsIdentity::of_region("r"), "s");
        assert!(!signer.forget(&signed_by("AKID")), "there are none");
        let cases = [(0, "AKID", false), (6, "OTHER", false), (6, "AKID", true)];
        for (age, key, is_forgotten) in cases {
            let mut kept = Kept::of(ending(None), Instant::now());
            kept.since -= Duration::from_secs(age);
            signer.known().kept = Some(kept);
            assert_eq!(signer.forget(&signed_by(key)), is_forgotten, "{age} {key}");
            assert_eq!(signer.known().kept.is_none(), is_forgotten);
        }
    }

    #[test]
    fn a_failure_is_told_again_for_a_moment() {
        let failed = Failed::for_good("no");
        let mut known = Known {
            kept: None,
            failed: Some((Instant::now(), failed.clone())),
        };
        assert_eq!(known.told().unwrap().unwrap_err(), failed);
        known.failed = Some((Instant::now() - 2 * FAILED_FOR, failed));
        assert!(known.told().is_none());
    }
}
