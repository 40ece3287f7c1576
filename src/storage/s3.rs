//! Objects in S3 and its kin.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use axum::body::Bytes;
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

use super::objects::{ObjectEntry, ObjectStore};
use crate::config::S3Account;
use crate::error::{Error, Result};

/// The bucket of one account. The client is made with the first call, so that a start never waits.
pub struct S3Store {
    account: S3Account,
    client: OnceCell<Client>,
}

impl S3Store {
    pub fn new(account: S3Account) -> Self {
        Self {
            account,
            client: OnceCell::new(),
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> Client {
        let account = &self.account;
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(15))
            .operation_timeout(Duration::from_secs(45))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(timeouts);
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
        let mut config = aws_sdk_s3::config::Builder::from(&shared);
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

    /// The key in the bucket; a root folder may have slashes around it, or be empty.
    fn full(&self, key: &str) -> String {
        let root = self.account.root_folder.trim_matches('/');
        match root {
            "" => key.to_owned(),
            root => format!("{root}/{key}"),
        }
    }

    async fn create_bucket(&self) -> Result<()> {
        let client = self.client().await;
        let mut request = client.create_bucket().bucket(&self.account.bucket);
        if let (Some(region), None) = (&self.account.region, &self.account.endpoint)
            && region != "us-east-1"
        {
            let place = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region.as_str()));
            request = request.create_bucket_configuration(place.build());
        }
        match request.send().await {
            Ok(_) => {
                tracing::info!(bucket = self.account.bucket, "created the bucket");
                Ok(())
            }
            Err(error) if code(&error).starts_with("BucketAlready") => Ok(()),
            Err(error) => Err(self.failed("create the bucket of", "", &error)),
        }
    }

    fn failed<E>(&self, verb: &str, key: &str, error: &SdkError<E>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let place = match key {
            "" => format!("s3 bucket '{}'", self.account.bucket),
            key => format!(
                "'{}' in s3 bucket '{}'",
                self.full(key),
                self.account.bucket
            ),
        };
        let why = match code(error) {
            "" => "no answer",
            code => code,
        };
        Error::storage(
            format!("cannot {verb} {place}: {why}"),
            DisplayErrorContext(error).to_string(),
        )
    }
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or("")
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let client = self.client().await;
        let request = client
            .get_object()
            .bucket(&self.account.bucket)
            .key(self.full(key));
        let object = match request.send().await {
            Ok(object) => object,
            Err(error) if ["NoSuchKey", "NoSuchBucket"].contains(&code(&error)) => return Ok(None),
            Err(error) => return Err(self.failed("read", key, &error)),
        };
        let body =
            object.body.collect().await.map_err(|cause| {
                Error::storage(format!("cannot read '{key}' to its end"), cause)
            })?;
        Ok(Some(body.into_bytes()))
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let client = self.client().await;
        let put = || {
            client
                .put_object()
                .bucket(&self.account.bucket)
                .key(self.full(key))
                .content_type("application/json")
                .body(ByteStream::from(body.clone()))
                .send()
        };
        let written = match put().await {
            Err(error) if code(&error) == "NoSuchBucket" => {
                self.create_bucket().await?;
                put().await
            }
            written => written,
        };
        written
            .map(|written| written.e_tag.unwrap_or_default())
            .map_err(|error| self.failed("write", key, &error))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let client = self.client().await;
        let request = client
            .delete_object()
            .bucket(&self.account.bucket)
            .key(self.full(key));
        match request.send().await {
            Err(error) if !["NoSuchKey", "NoSuchBucket"].contains(&code(&error)) => {
                Err(self.failed("delete", key, &error))
            }
            _ => Ok(()),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectEntry>> {
        let client = self.client().await;
        let root = self.full("");
        let mut pages = client
            .list_objects_v2()
            .bucket(&self.account.bucket)
            .prefix(self.full(prefix))
            .into_paginator()
            .send();
        let mut entries = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if code(&error) == "NoSuchBucket" => return Ok(Vec::new()),
                Err(error) => return Err(self.failed("list", prefix, &error)),
            };
            for object in page.contents.unwrap_or_default() {
                let Some(key) = object.key().and_then(|key| key.strip_prefix(&root)) else {
                    continue;
                };
                let updated = object
                    .last_modified()
                    .and_then(|time| time.to_millis().ok());
                entries.push(ObjectEntry {
                    key: key.to_owned(),
                    updated_millis: updated.unwrap_or(0),
                    version: object.e_tag().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(entries)
    }
}
