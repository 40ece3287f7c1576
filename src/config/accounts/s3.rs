//! S3 and its kin.

use std::time::Duration;

use secrecy::SecretString;

use super::{Account, Face, Kind, ROOT_FOLDER, Sources, Store, name, of_two_switches, store_types};
use crate::config::scalar::{self, MASK};
use crate::config::section::Section;
use crate::config::{Error, Result};

const TIMEOUT: &str = "45s";
/// By a key of AWS's key service.
const KMS: &str = "aws:kms";
/// Of one object.
const MOST_TAGS: usize = 10;

pub const KIND: Kind = Kind {
    section: "aws",
    switches: &["s3"],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "aws",
    title: "S3",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct S3Account {
    pub bucket: String,
    pub region: Option<String>,
    pub root_folder: String,
    pub profile_name: Option<String>,
    /// With a scheme; requests are then path-style.
    pub endpoint: Option<String>,
    pub credentials: Option<S3Credentials>,
    pub writing: S3Writing,
    /// Total time for one request, retries included.
    pub timeout: Duration,
}

/// What an object is written with; without it, as the bucket says.
#[derive(Clone, Debug, Default)]
pub struct S3Writing {
    /// By which the server encrypts it, in S3's words.
    pub encryption: Option<String>,
    pub kms_key_id: Option<String>,
    /// Whether S3 derives a key for the bucket, which spares calls of the key service.
    pub bucket_key: Option<bool>,
    pub storage_class: Option<String>,
    /// As a query has them.
    pub tags: Option<String>,
}

#[derive(Clone, Debug)]
pub struct S3Credentials {
    pub access_key: SecretString,
    pub secret_key: SecretString,
    pub session_token: Option<SecretString>,
}

fn read(kayenta: &mut Section<'_>, _: &mut Sources) -> Result<Vec<Account>> {
    of_two_switches(kayenta, KIND.section, "s3", FACE.title, account)
}

/// `None` without a bucket: Kayenta logs such an account and leaves it out.
fn account(section: &mut Section<'_>) -> Result<Option<Account>> {
    let name = name(section)?;
    let bucket = section.text("bucket")?;
    let region = section.text("region")?;
    let root_folder = section.text_or("rootFolder", ROOT_FOLDER)?;
    let profile_name = section.text("profileName")?;
    let endpoint = section.parsed_if_given("endpoint", |text| {
        // As the AWS SDK for Java has it.
        if text.contains("://") {
            scalar::without_credentials(text)
        } else {
            scalar::without_credentials(&format!("https://{text}"))
        }
    })?;
    let shown = endpoint.clone().into();
    section.effective.insert("endpoint".to_owned(), shown);
    let credentials = credentials(section)?;
    let writing = writing(section)?;
    let timeout = section.duration_or("timeout", TIMEOUT, Duration::from_secs(1))?;
    let supported_types = store_types(section, &name)?;
    section.unserved(&["proxyHost", "proxyPort", "proxyProtocol"]);
    let Some(bucket) = bucket else {
        let path = section.path_of("bucket");
        section.context().warn(format!(
            "{path} is not given: the account '{name}' is left out"
        ));
        section.ignore(&["locations", "recommendedLocations"]);
        return Ok(None);
    };
    let face = Face {
        bucket: Some(bucket.clone()),
        server: endpoint.clone(),
        region: region.clone(),
        root_folder: Some(root_folder.clone()),
        ..FACE
    };
    let account = S3Account {
        bucket,
        region,
        root_folder,
        profile_name,
        endpoint,
        credentials,
        writing,
        timeout,
    };
    Ok(Some(Account {
        store: Some(Store::S3(account)),
        ..super::account(section, name, supported_types, face)?
    }))
}

fn writing(section: &mut Section<'_>) -> Result<S3Writing> {
    let encryption = section.parsed_if_given("encryption", |text| {
        let known = ["AES256", KMS, "aws:kms:dsse"].contains(&text);
        known
            .then(|| text.to_owned())
            .ok_or_else(|| format!("must be 'AES256', '{KMS}' or 'aws:kms:dsse'"))
    })?;
    let kms_key_id = section.text("kmsKeyId")?;
    let bucket_key = section.parsed_if_given("bucketKey", scalar::flag)?;
    let by_kms = encryption.as_deref().is_some_and(|it| it.starts_with(KMS));
    if kms_key_id.is_some() && !by_kms {
        let (key, encryption) = (section.path_of("kmsKeyId"), section.path_of("encryption"));
        return Err(Error(format!(
            "{key} is of use with {encryption}: {KMS} only"
        )));
    }
    if bucket_key.is_some() && encryption.as_deref() != Some(KMS) {
        let (key, encryption) = (section.path_of("bucketKey"), section.path_of("encryption"));
        return Err(Error(format!(
            "{key} is of use with {encryption}: {KMS} only"
        )));
    }
    let storage_class = section.parsed_if_given("storageClass", storage_class)?;
    Ok(S3Writing {
        encryption,
        kms_key_id,
        bucket_key,
        storage_class,
        tags: tags(section)?,
    })
}

fn storage_class(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err("must be a class in S3's words, as in 'STANDARD_IA'".to_owned());
    }
    if ["GLACIER", "DEEP_ARCHIVE"].contains(&text) {
        return Err("what lies there cannot be read at once; GLACIER_IR can".to_owned());
    }
    Ok(text.to_owned())
}

fn tags(section: &mut Section<'_>) -> Result<Option<String>> {
    let tags = section.texts_by_name("tags")?;
    let path = section.path_of("tags");
    if MOST_TAGS < tags.len() {
        return Err(Error(format!("{path}: S3 takes {MOST_TAGS} tags at most")));
    }
    let is_long = |text: &str, most| most < text.chars().count();
    let long = tags
        .iter()
        .find(|(name, value)| is_long(name, 128) || is_long(value, 256));
    if let Some((name, _)) = long {
        return Err(Error(format!(
            "{path}.{name}: a tag has a name of 128 characters at most, and a value of 256"
        )));
    }
    let is_plain = |c: char| c.is_alphanumeric() || " +-=._:/@".contains(c);
    let odd = tags
        .iter()
        .find(|(name, value)| !name.chars().chain(value.chars()).all(is_plain));
    if let Some((name, _)) = odd {
        return Err(Error(format!(
            "{path}.{name}: a tag has letters, digits, blanks and any of + - = . _ : / @"
        )));
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(&tags);
    Ok(Some(query.finish()).filter(|query| !query.is_empty()))
}

/// Kayenta's spelling, or Halyard's flat one.
pub fn credentials(section: &mut Section<'_>) -> Result<Option<S3Credentials>> {
    let path = section.path_of("explicitCredentials");
    let (access_key, secret_key, session_token) =
        section.section("explicitCredentials", |section| {
            Ok((
                section.secret("accessKey")?,
                section.secret("secretKey")?,
                section.secret("sessionToken")?,
            ))
        })?;
    let flat = (
        section.secret("accessKeyId")?,
        section.secret("secretAccessKey")?,
    );
    section.effective.shift_remove("accessKeyId");
    section.effective.shift_remove("secretAccessKey");
    match (access_key.or(flat.0), secret_key.or(flat.1)) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => {
            let shown = session_token.as_ref().map(|_| MASK);
            let shown = serde_json::json!({
                "accessKey": MASK, "secretKey": MASK, "sessionToken": shown,
            });
            section
                .effective
                .insert("explicitCredentials".to_owned(), shown);
            Ok(Some(S3Credentials {
                access_key,
                secret_key,
                session_token,
            }))
        }
        (Some(_), None) => Err(Error(format!("{path} has an accessKey, but no secretKey"))),
        (None, Some(_)) => Err(Error(format!("{path} has a secretKey, but no accessKey"))),
    }
}
