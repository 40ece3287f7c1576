//! Amazon CloudWatch.

use std::time::Duration;

use super::aws::AwsIdentity;
use super::http::{Http, base_url};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "cloudwatch",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "cloudwatch",
    title: "CloudWatch",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct CloudWatchAccount {
    /// Without a trailing slash.
    pub base_url: String,
    pub identity: AwsIdentity,
    pub http: Http,
}

/// What holds for all accounts of CloudWatch.
#[derive(Clone, Debug, Default)]
pub struct CloudWatch {
    /// How long the list of metrics of an account is kept.
    pub metadata_caching_interval: Duration,
    /// Total time for one query with all its pages, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.cloudwatch = CloudWatch {
            metadata_caching_interval: section
                .integer("metadataCachingIntervalMS", 1..=86_400_000)
                .map(Duration::from_millis)?,
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let identity = AwsIdentity::read(section, None)?;
    let region = &identity.region;
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let usual = format!("https://monitoring.{region}.amazonaws.com{china}");
    let account = CloudWatchAccount {
        base_url: base_url(section, &usual)?,
        identity,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        region: Some(account.identity.region.clone()),
        ..FACE
    };
    source(section, name, Source::CloudWatch(account), face)
}
