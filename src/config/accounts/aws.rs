//! Who asks a service of AWS, as the accounts of its sources have it.

use super::s3::{S3Credentials, credentials};
use crate::config::scalar;
use crate::config::section::Section;
use crate::config::{Error, Result};

/// Where AWS's own tools look for a region when nobody names one.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Without keys and a profile, those credentials are meant that AWS's own tools find.
#[derive(Clone, Debug)]
pub struct AwsIdentity {
    pub region: String,
    pub keys: Option<S3Credentials>,
    pub profile: Option<String>,
    pub role: Option<AwsRole>,
}

/// A role that is assumed with the credentials.
#[derive(Clone, Debug)]
pub struct AwsRole {
    pub arn: String,
    pub external_id: Option<String>,
    /// Asked instead of the region's STS.
    pub sts_endpoint: Option<String>,
}

impl AwsIdentity {
    /// Of whom AWS's own tools find.
    pub fn of_region(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            keys: None,
            profile: None,
            role: None,
        }
    }

    /// `usual` is the region, where none is given.
    pub fn read(section: &mut Section<'_>, usual: Option<&str>) -> Result<Self> {
        let environment = &section.context().environment;
        let mut found = REGIONS.iter().filter_map(|name| environment.get(*name));
        let found = found.find(|region| !region.is_empty());
        let usual = usual.map(str::to_owned).or_else(|| found.cloned());
        let region = section.parsed_or("region", usual.as_deref(), region)?;
        let profile = either(section, "profileName", "profile")?;
        let keys = credentials(section)?;
        if let (Some(_), Some(profile)) = (&keys, &profile) {
            let path = section.path_of("profileName");
            return Err(Error(format!(
                "{path} is '{profile}', and explicitCredentials are given too: only one of them can be meant"
            )));
        }
        Ok(Self {
            region,
            keys,
            profile,
            role: role(section)?,
        })
    }
}

/// Of an address of AWS, as in `aps-workspaces.eu-west-1.amazonaws.com`, or that of an endpoint within a VPC, as in
/// `vpce-1-2.aps-workspaces.eu-west-1.vpce.amazonaws.com`.
pub fn region_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    let service = suffixes
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix))?;
    let service = service.strip_suffix(".vpce").unwrap_or(service);
    let (_, region) = service.rsplit_once('.')?;
    Some(region.to_owned())
}

fn region(text: &str) -> Result<String, String> {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if text.chars().all(|letter| is_word(letter) || letter == '-') {
        return Ok(text.to_owned());
    }
    Err("must be the name of a region, as in 'eu-central-1'".to_owned())
}

fn role(section: &mut Section<'_>) -> Result<Option<AwsRole>> {
    let arn = either(section, "roleArn", "assumeRole")?;
    let external_id = section.text("externalId")?;
    let sts_endpoint = section.parsed_if_given("stsEndpoint", scalar::without_credentials)?;
    let path = section.path_of("roleArn");
    let Some(arn) = arn else {
        let given = [
            ("externalId", external_id.is_some()),
            ("stsEndpoint", sts_endpoint.is_some()),
        ];
        let alone = given.into_iter().find(|(_, is_given)| *is_given);
        return alone.map_or(Ok(None), |(key, _)| {
            let key = section.path_of(key);
            Err(Error(format!("{key} is given, but no roleArn to assume")))
        });
    };
    if !arn.starts_with("arn:") || !arn.contains(":role/") {
        return Err(Error(format!(
            "{path} is '{arn}': must be the ARN of a role, as in 'arn:aws:iam::123456789012:role/serin'"
        )));
    }
    Ok(Some(AwsRole {
        arn,
        external_id,
        sts_endpoint,
    }))
}

/// A key, or another name that it has with other tools.
fn either(
    section: &mut Section<'_>,
    key: &'static str,
    other: &'static str,
) -> Result<Option<String>> {
    let (given, named) = (section.text(key)?, section.text(other)?);
    section.effective.shift_remove(other);
    if let (Some(_), Some(_)) = (&given, &named) {
        let path = section.path_of(key);
        return Err(Error(format!("{path} and {other} are the same key")));
    }
    let found = given.or(named);
    let shown = found.clone().into();
    section.effective.insert(key.to_owned(), shown);
    Ok(found)
}
