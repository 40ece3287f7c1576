//! S3 and its kin.

use std::time::Duration;

use secrecy::SecretString;

use super::{Account, Face, Kind, ROOT_FOLDER, Sources, Store, name, of_two_switches, store_types};
use crate::config::scalar::{self, MASK};
use crate::config::section::Section;
use crate::config::{Error, Result};

const TIMEOUT: &str = "45s";

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
    /// Total time for one request, retries included.
    pub timeout: Duration,
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
        timeout,
    };
    Ok(Some(Account {
        store: Some(Store::S3(account)),
        ..super::account(section, name, supported_types, face)?
    }))
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
