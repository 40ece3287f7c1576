//! S3 and Secrets Manager, with the credentials that the SDK finds.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use serde_json::{Value, json};

use super::{decoded, refusal};
use crate::aws::{self, Signer, shared};
use crate::config::{self, AwsIdentity};
use crate::http::{self, in_words};

const ATTEMPT: Duration = Duration::from_secs(5);

pub async fn object(region: &str, bucket: &str, file: &str) -> Result<Vec<u8>, String> {
    let shared = Box::pin(shared(&AwsIdentity::of_region(region))).await;
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
    let url = endpoint("SECRETS_MANAGER");
    let url = url.unwrap_or_else(|| aws::address("secretsmanager", region));
    let url = format!("{}/", url.trim_end_matches('/'));
    let client = http::client().timeout(ATTEMPT).build();
    let client = client.map_err(|cause| in_words(&cause))?;
    let request = client
        .post(url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .body(json!({"SecretId": secret}).to_string())
        .build();
    let mut request = request.map_err(|cause| in_words(&cause))?;
    let signer = Signer::new(AwsIdentity::of_region(region), "secretsmanager");
    let done = signer.sign(&mut request).await;
    done.map_err(|failed| failed.why)?;
    let answer = client.execute(request).await;
    let answer = answer.map_err(|cause| in_words(&cause))?;
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

/// A service of one's own, as the SDK is told of it.
fn endpoint(service: &str) -> Option<String> {
    let environment = config::environment();
    let of_service = environment.get(&format!("AWS_ENDPOINT_URL_{service}"));
    let endpoint = of_service.or_else(|| environment.get("AWS_ENDPOINT_URL"));
    endpoint.filter(|url| !url.is_empty()).cloned()
}
