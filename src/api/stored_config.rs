//! Which stored canary config a request means: by its id, or by its name.

use crate::app::Seen;
use crate::canary::{CanaryConfig, CanaryConfigSummary, Id};
use crate::config::nearest;
use crate::error::{Error, Result};

/// How a request names a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Id(String),
    Name(String),
}

/// One by which the caller may start something.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` when a name is that of several.
pub async fn find(
    seen: Seen<'_>,
    account: &str,
    named: &Named,
    application: &str,
) -> Result<(Id, CanaryConfig)> {
    let id = match named {
        Named::Id(id) => Id::parse(id)?,
        Named::Name(name) => {
            let all = seen.configs_to_start(account).await?;
            Id::parse(&by_name(&all, name, application)?.id)?
        }
    };
    let config = seen.config_to_start(account, &id).await?;
    Ok((id, config))
}

/// The one of the application, else the only one that there is.
fn by_name<'a>(
    all: &'a [CanaryConfigSummary],
    name: &str,
    application: &str,
) -> Result<&'a CanaryConfigSummary> {
    let named: Vec<_> = all.iter().filter(|config| config.name == name).collect();
    let mut own = named.iter().filter(|config| {
        let mut applications = config.applications.iter();
        applications.any(|one| one == application)
    });
    if let Some(first) = own.next() {
        return Ok(first);
    }
    match named[..] {
        [only] => Ok(only),
        [] => {
            let known: Vec<&str> = all.iter().map(|config| config.name.as_str()).collect();
            let meant = nearest(name, &known);
            let advice = meant.map_or_else(String::new, |meant| format!("; is '{meant}' meant?"));
            let told = format!("there is no canary config named '{name}'{advice}");
            Err(Error::NotFound(told))
        }
        _ => Err(Error::Invalid(format!(
            "{} canary configs are named '{name}', and none is of the application '{application}': \
             give application or canaryConfigId",
            named.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_config_of_the_application_or_the_only_one() {
        let config = |id: &str, name: &str, application: &str| CanaryConfigSummary {
            id: id.to_owned(),
            name: name.to_owned(),
            updated_timestamp: 0,
            updated_timestamp_iso: String::new(),
            applications: vec![application.to_owned()],
        };
        let all = [
            config("1", "common", "web"),
            config("2", "common", "shop"),
            config("3", "alone", "web"),
        ];
        let cases = [
            ("common", "shop", Ok("2")),
            ("alone", "shop", Ok("3")),
            (
                "common",
                "other",
                Err("2 canary configs are named 'common'"),
            ),
            ("comon", "web", Err("is 'common' meant?")),
            (
                "nothing",
                "web",
                Err("there is no canary config named 'nothing'"),
            ),
        ];
        for (name, application, expected) in cases {
            match (by_name(&all, name, application), expected) {
                (Ok(found), Ok(id)) => assert_eq!(found.id, id, "{name}"),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{name}: {error}");
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
