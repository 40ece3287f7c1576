//! Objects in S3 and its kin.

mod connection;
mod failure;

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Object};
use axum::body::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::objects::{ObjectEntry, ObjectStore, too_large};
use crate::config::S3Account;
use crate::error::{Error, Result};
use connection::Connection;
use failure::{code, no_answer};

/// How often an object is read again when its body breaks off.
const BROKEN_BODIES: usize = 3;

/// The bucket of one account. The client is made with the first call, so that a start never waits.
pub struct S3Store {
    account: S3Account,
    connection: Connection,
    /// A bucket that was there and is gone is not an empty one, and is not made anew.
    was_there: AtomicBool,
    /// Of an object that is read.
    most: u64,
}

/// How far a listing is.
enum Place {
    Start,
    After(String),
    End,
}

/// The body of an object.
enum Collected {
    Whole(Bytes),
    /// So many bytes, or more.
    TooLarge(u64),
}

impl S3Store {
    pub fn new(account: S3Account) -> Self {
        Self {
            account,
            connection: Connection::default(),
            was_there: AtomicBool::new(false),
            most: u64::MAX,
        }
    }

    /// Reads no object that has more bytes.
    #[must_use]
    pub fn reading(self, most: u64) -> Self {
        Self { most, ..self }
    }

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
        let answer = match request(first.client.clone()).await {
            Err(error) if failure::is_refused(&error) => {
                match self.connection.renewed(&self.account, &first).await {
                    Some(renewed) => request(renewed.client).await,
                    None => Err(error),
                }
            }
            answer => answer,
        };
        if answer
            .as_ref()
            .err()
            .is_none_or(|error| code(error) == "NoSuchKey")
        {
            self.was_there.store(true, Ordering::Relaxed);
        }
        answer.map_err(Box::new)
    }

    /// Whether the bucket is missing because nothing has been put into it yet.
    fn is_not_made_yet<E: ProvideErrorMetadata>(&self, error: &SdkError<E>) -> bool {
        code(error) == "NoSuchBucket" && !self.was_there.load(Ordering::Relaxed)
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
        let connected = self.connection.client(&self.account).await;
        let mut request = connected
            .client
            .create_bucket()
            .bucket(&self.account.bucket);
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
        let why = match code(error) {
            "NoSuchBucket" => "NoSuchBucket; it was there before, and is not made anew".to_owned(),
            _ => failure::why(error, self.account.timeout),
        };
        let cause = DisplayErrorContext(error).to_string();
        if failure::may_pass(error) {
            return self.away(verb, key, &why, &cause);
        }
        self.error(verb, key, &why, cause)
    }

    /// What the store did not do now, it may do later.
    fn away(&self, verb: &str, key: &str, why: &str, cause: &str) -> Error {
        let told = self.told(verb, key, why);
        tracing::warn!(cause, "a store is away: {told}");
        Error::Unavailable(told)
    }

    fn error(
        &self,
        verb: &str,
        key: &str,
        why: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::storage(self.told(verb, key, why), cause)
    }

    fn told(&self, verb: &str, key: &str, why: &str) -> String {
        let bucket = &self.account.bucket;
        let place = match key {
            "" => format!("s3 bucket '{bucket}'"),
            key => format!("'{}' in s3 bucket '{bucket}'", self.full(key)),
        };
        format!("cannot {verb} {place}: {why}")
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let mut broken = 0;
        loop {
            let get = |client: Client| {
                let request = client.get_object().bucket(&self.account.bucket);
                request.key(self.full(key)).send()
            };
            let object = match self.send(get).await {
                Ok(object) => object,
                Err(error) if code(&error) == "NoSuchKey" || self.is_not_made_yet(&error) => {
                    return Ok(None);
                }
                Err(error) => return Err(self.failed("read", key, &error)),
            };
            // The SDK tries a request again, and not the body of its answer.
            match self.collect(object).await {
                Ok(Collected::Whole(body)) => return Ok(Some(body)),
                Ok(Collected::TooLarge(bytes)) => {
                    let why = too_large(bytes, self.most);
                    return Err(self.error("read", key, &why, why.clone()));
                }
                Err(_) if broken < BROKEN_BODIES => broken += 1,
                Err(cause) => {
                    let cause = DisplayErrorContext(cause).to_string();
                    return Err(self.away("read", key, "it breaks off", &cause));
                }
            }
        }
    }

    /// A server may tell no length, or another one.
    async fn collect(&self, mut object: GetObjectOutput) -> Result<Collected, ByteStreamError> {
        let told = object.content_length().unwrap_or(0);
        let told = u64::try_from(told).unwrap_or(0);
        if self.most < told {
            return Ok(Collected::TooLarge(told));
        }
        let mut body = Vec::new();
        while let Some(bytes) = object.body.try_next().await? {
            body.extend_from_slice(&bytes);
            let read = body.len() as u64;
            if self.most < read {
                return Ok(Collected::TooLarge(read));
            }
        }
        Ok(Collected::Whole(body.into()))
    }

    async fn page(&self, prefix: &str, place: Place) -> Result<Option<(Vec<ObjectEntry>, Place)>> {
        let after = match place {
            Place::Start => None,
            Place::After(token) => Some(token),
            Place::End => return Ok(None),
        };
        let list = |client: Client| {
            let request = client.list_objects_v2().bucket(&self.account.bucket);
            let request = request.prefix(self.full(prefix));
            request.set_continuation_token(after.clone()).send()
        };
        let page = match self.send(list).await {
            Ok(page) => page,
            Err(error) if self.is_not_made_yet(&error) => return Ok(None),
            Err(error) => return Err(self.failed("list", prefix, &error)),
        };
        let next = next_place(&page, after.as_deref()).ok_or_else(|| {
            let why = "the listing is cut short, and the server does not tell how to go on";
            self.error("list", prefix, why, why)
        })?;
        let root = self.full("");
        let objects = page.contents.unwrap_or_default();
        let entries = objects.iter().filter_map(|object| entry(object, &root));
        Ok(Some((entries.collect(), next)))
    }
}

/// `None` where half a listing would pass for a whole one.
fn next_place(page: &ListObjectsV2Output, after: Option<&str>) -> Option<Place> {
    let token = page.next_continuation_token();
    let token = token.filter(|token| !token.is_empty() && Some(*token) != after);
    match (page.is_truncated(), token) {
        (Some(false), _) | (None, None) => Some(Place::End),
        (_, Some(token)) => Some(Place::After(token.to_owned())),
        (Some(true), None) => None,
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
impl ObjectStore for S3Store {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let limit = self.account.timeout;
        let read = tokio::time::timeout(limit, self.read(key)).await;
        read.unwrap_or_else(|_| {
            let why = no_answer(limit);
            Err(self.away("read", key, &why, &why))
        })
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let put = |client: Client| {
            let request = client.put_object().bucket(&self.account.bucket);
            let request = request.key(self.full(key)).content_type("application/json");
            request.body(ByteStream::from(body.clone())).send()
        };
        let written = match self.send(put).await {
            Err(error) if self.is_not_made_yet(&error) => {
                self.create_bucket().await?;
                self.send(put).await
            }
            written => written,
        };
        written
            .map(|written| written.e_tag.unwrap_or_default())
            .map_err(|error| self.failed("write", key, &error))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let delete = |client: Client| {
            let request = client.delete_object().bucket(&self.account.bucket);
            request.key(self.full(key)).send()
        };
        match self.send(delete).await {
            Err(error) if code(&error) == "NoSuchKey" || self.is_not_made_yet(&error) => Ok(()),
            Err(error) => Err(self.failed("delete", key, &error)),
            Ok(_) => Ok(()),
        }
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        stream::try_unfold(Place::Start, move |place| self.page(prefix, place)).boxed()
    }

    fn expect_objects(&self) {
        self.was_there.store(true, Ordering::Relaxed);
    }
}
