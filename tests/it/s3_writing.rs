//! What objects are written with on S3 and its kin, and where these are.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;
use bytes::Bytes;
use serin::config::{LoadOptions, S3Account, S3Writing, Store, load_from};
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::harness::service;
use crate::s3::account;
use crate::scripted_s3::ScriptedS3;

const NAME: &str = "metrics/a/m.json";

fn with_all() -> S3Writing {
    S3Writing {
        encryption: Some("aws:kms".to_owned()),
        kms_key_id: Some("alias/canaries".to_owned()),
        bucket_key: Some(true),
        storage_class: Some("STANDARD_IA".to_owned()),
        tags: Some("team=check+out&cost=1%2B2".to_owned()),
    }
}

#[tokio::test]
async fn only_what_is_written_is_written_with_it() {
    let sent = [
        ("x-amz-server-side-encryption", "aws:kms"),
        (
            "x-amz-server-side-encryption-aws-kms-key-id",
            "alias/canaries",
        ),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-tagging", "team=check+out&cost=1%2B2"),
    ];
    for (writing, is_sent) in [(with_all(), true), (S3Writing::default(), false)] {
        let server = ScriptedS3::faithful().await;
        let store = S3Store::new(S3Account {
            writing,
            region: Some("auto".to_owned()),
            ..account(&server.url, "b")
        });
        store.put(NAME, Bytes::from_static(b"[]")).await.unwrap();
        store.get(NAME).await.unwrap();
        store.list("metrics/").await.unwrap();
        store.delete(NAME).await.unwrap();
        for asked in server.asked() {
            let is_written = asked.method == "PUT" && !asked.key.is_empty();
            for (name, value) in sent {
                let found = asked.headers.get(name).map(|value| value.to_str().unwrap());
                let expected = (is_written && is_sent).then_some(value);
                assert_eq!(found, expected, "{name}: {asked:?}");
            }
            // What several servers refuse, and the region by which all of them check a signature.
            let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("content-encoding"), None, "{asked:?}");
            assert_eq!(header("x-amz-trailer"), None, "{asked:?}");
            let names = asked.headers.keys().map(ToString::to_string);
            let checksums = names.filter(|name| name.starts_with("x-amz-checksum"));
            assert_eq!(checksums.count(), 0, "{asked:?}");
            let signed = header("authorization").unwrap();
            assert!(signed.contains("/auto/s3/aws4_request"), "{signed}");
            assert_eq!(asked.bucket, "b", "as a path");
        }
    }
}

#[tokio::test]
async fn a_server_has_what_was_written_with_it() {
    let Some(url) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    let store = |writing| {
        S3Store::new(S3Account {
            writing,
            ..account(&url, "written")
        })
    };
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .credentials_provider(Credentials::new("a", "b", None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(&url)
        .force_path_style(true)
        .build();
    let client = Client::from_conf(config);
    let encrypted = S3Writing {
        encryption: Some("AES256".to_owned()),
        ..S3Writing::default()
    };
    for (name, writing) in [("kms", with_all()), ("s3", encrypted)] {
        let key = format!("metrics/{name}/m.json");
        let version = store(writing.clone())
            .put(&key, Bytes::from_static(b"[]"))
            .await
            .unwrap();
        let listed = store(writing.clone())
            .list(&format!("metrics/{name}/"))
            .await
            .unwrap();
        assert_eq!(listed[0].version, version);
        let there = |key: String| format!("kayenta/{key}");
        let head = client
            .head_object()
            .bucket("written")
            .key(there(key.clone()));
        let head = head.send().await.unwrap();
        let encryption = head
            .server_side_encryption()
            .map(|it| it.as_str().to_owned());
        assert_eq!(encryption, writing.encryption, "{name}");
        assert_eq!(
            head.ssekms_key_id().is_some(),
            writing.kms_key_id.is_some(),
            "{name}"
        );
        let class = head.storage_class().map(|it| it.as_str().to_owned());
        assert_eq!(class, writing.storage_class, "{name}");
        let tags = client
            .get_object_tagging()
            .bucket("written")
            .key(there(key));
        let tags = tags.send().await.unwrap();
        let tags: BTreeMap<&str, &str> = (tags.tag_set().iter())
            .map(|tag| (tag.key(), tag.value()))
            .collect();
        let expected = match writing.tags {
            Some(_) => BTreeMap::from([("cost", "1+2"), ("team", "check out")]),
            None => BTreeMap::new(),
        };
        assert_eq!(tags, expected, "{name}");
    }
}

/// The accounts of `docs/storage/s3.md`, as they stand there.
#[test]
fn the_documented_accounts_are_read_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/storage/s3.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = (page.split("```yaml\n").skip(1))
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(blocks.len(), 2, "one of Amazon, one of all others");
    let mut found = BTreeMap::new();
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kayenta.yml");
        std::fs::write(&path, block).unwrap();
        let options = LoadOptions {
            file: Some(path),
            ..LoadOptions::default()
        };
        let secrets = ["S3_ACCESS_KEY", "S3_SECRET_KEY"];
        let secrets = secrets.map(|name| (name.to_owned(), "secret".to_owned()));
        let loaded = load_from(&options, &BTreeMap::from(secrets)).unwrap();
        assert_eq!(loaded.warnings, [""; 0], "{block}");
        for account in loaded.config.accounts {
            if let Some(Store::S3(s3)) = account.store {
                found.insert(account.name, s3);
            }
        }
    }
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["backblaze", "ceph", "google", "ibm", "minio", "my-s3", "r2"]
    );
    // What each of them wants of a signature.
    for (name, region) in [
        ("backblaze", Some("eu-central-003")),
        ("ceph", Some("default")),
        ("google", Some("auto")),
        ("ibm", Some("eu-de")),
        ("minio", None),
        ("r2", Some("auto")),
    ] {
        let account = &found[name];
        assert_eq!(account.region.as_deref(), region, "{name}");
        assert!(
            account.endpoint.is_some() && account.credentials.is_some(),
            "{name}"
        );
        assert_eq!(account.timeout, Duration::from_secs(45), "{name}");
    }
    let amazon = &found["my-s3"];
    assert!(amazon.endpoint.is_none());
    assert_eq!(amazon.writing.encryption.as_deref(), Some("aws:kms"));
    assert_eq!(amazon.writing.tags.as_deref(), Some("team=checkout"));
}
