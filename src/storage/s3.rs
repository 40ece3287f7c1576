//! Objects in S3 and its kin.

mod connection;
mod failure;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Object, ServerSideEncryption, StorageClass,
};
use bytes::Bytes;
use futures::stream::BoxStream;

use super::guarded::{Backend, Failure, Guarded};
use super::objects::{ObjectEntry, below};
use super::paged;
use crate::config::S3Account;
use connection::Connection;
use failure::code;

/// How often an object is read again when its body breaks off.
const BROKEN_BODIES: usize = 3;

pub type S3Store = Guarded<Bucket>;

/// The bucket of one account. The client is made with the first call, so that a start never waits.
pub struct Bucket {
    account: S3Account,
    connection: Connection,
}

type Result<T, E = Failure> = std::result::Result<T, E>;

/// The body of an object.
enum Collected {
    Whole(Bytes),
    /// So many bytes, or more.
    TooLarge(u64),
}

impl S3Store {
    pub fn new(account: S3Account) -> Self {
        Self::around(Bucket {
            account,
            connection: Connection::default(),
        })
    }
}

impl Bucket {
    /// Sends a request, and once more with fresh credentials when those at hand are refused.
    async fn send<T, E, Sent>(
        &self,
        request: impl Fn(Client) -> Sent,
    ) -> Result<T, Box<SdkError<E>>>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        Sent: Future<Output = Result<T, SdkError<E>>>,
    {
        let first = self.connection.client(&self.account).await;
        match request(first.client.clone()).await {
            Err(error) if failure::is_refused(&error) => {
                match self.connection.renewed(&self.account, &first).await {
                    Some(renewed) => request(renewed.client).await,
                    None => Err(error),
                }
            }
            answer => answer,
        }
        .map_err(Box::new)
    }

    /// The key in the bucket.
    fn full(&self, key: &str) -> String {
        below(&self.account.root_folder, key)
    }

    fn failure<E>(&self, error: &SdkError<E>) -> Failure
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        if code(error) == "NoSuchBucket" {
            return Failure::Gone("NoSuchBucket".to_owned());
        }
        let why = failure::why(error, self.account.timeout);
        let cause = DisplayErrorContext(error).to_string();
        if failure::may_pass(error) {
            Failure::Away { why, cause }
        } else {
            Failure::Wrong { why, cause }
        }
    }

    /// A server may tell no length, or another one.
    async fn collect(
        &self,
        mut object: GetObjectOutput,
        most: u64,
    ) -> Result<Collected, ByteStreamError> {
        let told = object.content_length().unwrap_or(0);
        let told = u64::try_from(told).unwrap_or(0);
        if most < told {
            return Ok(Collected::TooLarge(told));
        }
        let mut body = Vec::new();
        while let Some(bytes) = object.body.try_next().await? {
            body.extend_from_slice(&bytes);
            let read = body.len() as u64;
            if most < read {
                return Ok(Collected::TooLarge(read));
            }
        }
        Ok(Collected::Whole(body.into()))
    }

    async fn page(&self, prefix: &str, after: Option<String>) -> paged::Page {
        let list = |client: Client| {
            let request = client.list_objects_v2().bucket(&self.account.bucket);
            let request = request.prefix(self.full(prefix));
            request.set_continuation_token(after.clone()).send()
        };
        let page = match self.send(list).await {
            Ok(page) => page,
            Err(error) => return Err(self.failure(&error)),
        };
        let next = next_mark(&page)?;
        let root = self.full("");
        let objects = page.contents.unwrap_or_default();
        let entries = objects.iter().filter_map(|object| entry(object, &root));
        Ok((entries.collect(), next))
    }
}

fn next_mark(page: &ListObjectsV2Output) -> Result<Option<String>> {
    let token = page.next_continuation_token();
    match (page.is_truncated(), token.filter(|token| !token.is_empty())) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(token)) => Ok(Some(token.to_owned())),
        (Some(true), None) => Err(paged::cut_short()),
    }
}

fn entry(object: &Object, root: &str) -> Option<ObjectEntry> {
    let updated = object
        .last_modified()
        .and_then(|time| time.to_millis().ok());
    Some(ObjectEntry {
        key: object.key()?.strip_prefix(root)?.to_owned(),
        updated_millis: updated.unwrap_or(0),
        version: object.e_tag().unwrap_or_default().to_owned(),
        bytes: object
            .size()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(0),
    })
}

#[async_trait]
impl Backend for Bucket {
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let mut broken = 0;
        loop {
            let get = |client: Client| {
                let request = client.get_object().bucket(&self.account.bucket);
                request.key(self.full(key)).send()
            };
            let object = match self.send(get).await {
                Ok(object) => object,
                Err(error) if code(&error) == "NoSuchKey" => return Ok(None),
                Err(error) => return Err(self.failure(&error)),
            };
            // The SDK tries a request again, and not the body of its answer.
            match self.collect(object, most).await {
                Ok(Collected::Whole(body)) => return Ok(Some(body)),
                Ok(Collected::TooLarge(bytes)) => return Err(Failure::TooLarge(bytes)),
                Err(_) if broken < BROKEN_BODIES => broken += 1,
                Err(cause) => {
                    let why = "it breaks off".to_owned();
                    let cause = DisplayErrorContext(cause).to_string();
                    return Err(Failure::Away { why, cause });
                }
            }
        }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let put = |client: Client| {
            let request = client.put_object().bucket(&self.account.bucket);
            let request = request.key(self.full(key)).content_type("application/json");
            let with = &self.account.writing;
            let encryption = with.encryption.as_deref().map(ServerSideEncryption::from);
            request
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(with.kms_key_id.clone())
                .set_bucket_key_enabled(with.bucket_key)
                .set_storage_class(with.storage_class.as_deref().map(StorageClass::from))
                .set_tagging(with.tags.clone())
                .body(ByteStream::from(body.clone()))
                .send()
        };
        match self.send(put).await {
            Ok(written) => Ok(written.e_tag.unwrap_or_default()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let delete = |client: Client| {
            let request = client.delete_object().bucket(&self.account.bucket);
            request.key(self.full(key)).send()
        };
        match self.send(delete).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == "NoSuchKey" => Ok(()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        paged::pages(move |after| self.page(prefix, after))
    }

    async fn create(&self) -> Result<()> {
        let place = match (&self.account.region, &self.account.endpoint) {
            (Some(region), None) if region != "us-east-1" => Some(
                CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::from(region.as_str()))
                    .build(),
            ),
            _ => None,
        };
        let create = |client: Client| {
            let request = client.create_bucket().bucket(&self.account.bucket);
            request
                .set_create_bucket_configuration(place.clone())
                .send()
        };
        match self.send(create).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error).starts_with("BucketAlready") => Ok(()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn place(&self, key: &str) -> String {
        let bucket = &self.account.bucket;
        match key {
            "" => format!("s3 bucket '{bucket}'"),
            key => format!("'{}' in s3 bucket '{bucket}'", self.full(key)),
        }
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.account.timeout)
    }
}
