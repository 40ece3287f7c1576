//! S3 and Secrets Manager, with the credentials that the SDK finds.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use serde_json::{Value, json};

use super::{decoded, refusal};
use crate::clock::Clock;
use crate::http::in_words;
use crate::{config, http};

const ATTEMPT: Duration = Duration::from_secs(5);

pub async fn object(region: &str, bucket: &str, file: &str) -> Result<Vec<u8>, String> {
    let shared = shared(region).await;
    let mut settings = aws_sdk_s3::config::Builder::from(&shared);
    if let Some(endpoint) = endpoint("S3") {
        settings = settings.endpoint_url(endpoint).force_path_style(true);
    }
    let client = aws_sdk_s3::Client::from_conf(settings.build());
    let got = client.get_object().bucket(bucket).key(file).send().await;
    let got = got.map_err(|error| match (error.code(), error.message()) {
        (Some(code), told) => refusal("S3", code, told),
        _ => in_words(&error),
    })?;
    let body = got.body.collect().await;
    let body = body.map_err(|cause| in_words(&cause))?;
    Ok(body.to_vec())
}

/// One request: the SDK's own client would weigh more than the rest of serin's AWS together.
pub async fn secret(region: &str, secret: &str) -> Result<Vec<u8>, String> {
    let shared = shared(region).await;
    let provider = shared.credentials_provider();
    let provider = provider.ok_or("no credentials are given")?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|cause| in_words(&cause))?;
    let url = endpoint("SECRETS_MANAGER").unwrap_or_else(|| service_of(region));
    let url = format!("{}/", url.trim_end_matches('/'));
    let body = json!({"SecretId": secret}).to_string();
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "secretsmanager.GetSecretValue"),
    ];

    let identity = credentials.into();
    let now = u64::try_from(Clock::System.now_millis()).unwrap_or(0);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("secretsmanager")
        .time(UNIX_EPOCH + Duration::from_millis(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|cause| in_words(&cause))?
        .into();
    let signable = SignableRequest::new(
        "POST",
        url.as_str(),
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    );
    let signed = signable.and_then(|signable| sign(signable, &parameters));
    let (signature, _) = signed.map_err(|cause| in_words(&cause))?.into_parts();

    let client = http::client().timeout(ATTEMPT).build();
    let client = client.map_err(|cause| in_words(&cause))?;
    let mut request = client.post(&url).body(body);
    for (name, value) in headers.into_iter().chain(signature.headers()) {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(|cause| in_words(&cause))?;
    let status = answer.status();
    let told = answer.bytes().await.map_err(|cause| in_words(&cause))?;
    let told: Value = serde_json::from_slice(&told).unwrap_or_default();
    if !status.is_success() {
        let kind = told["__type"].as_str().unwrap_or_default();
        let kind = kind.rsplit('#').next().filter(|kind| !kind.is_empty());
        let message = told.get("message").or_else(|| told.get("Message"));
        let status = kind.map_or_else(|| status.to_string(), str::to_owned);
        let message = message.and_then(Value::as_str);
        return Err(refusal("Secrets Manager", status, message));
    }
    match (&told["SecretString"], &told["SecretBinary"]) {
        (Value::String(text), _) => Ok(text.clone().into_bytes()),
        (_, Value::String(base64)) => decoded(base64.as_bytes()),
        _ => Err("Secrets Manager answers without a secret".to_owned()),
    }
}

async fn shared(region: &str) -> SdkConfig {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region.to_owned()))
        .load()
        .await
}

/// A service of one's own, as the SDK is told of it.
fn endpoint(service: &str) -> Option<String> {
    let environment = config::environment();
    let of_service = environment.get(&format!("AWS_ENDPOINT_URL_{service}"));
    let endpoint = of_service.or_else(|| environment.get("AWS_ENDPOINT_URL"));
    endpoint.filter(|url| !url.is_empty()).cloned()
}

fn service_of(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://secretsmanager.{region}.amazonaws.com{china}")
}
