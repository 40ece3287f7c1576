//! Where the clusters of Atlas are: its files of backends and of storages.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use url::Url;

use crate::metrics::bounded::{at_most, if_any};

const MOST_BACKENDS: usize = 10_000;
const MOST_PLACES: usize = 1_000;
/// Names of all clusters, by region and environment.
const MOST_TARGETS: usize = 100_000;

/// `backends.json`
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Listed(#[serde(deserialize_with = "at_most::<MOST_BACKENDS, _, _>")] Vec<Backend>);

#[derive(Deserialize)]
struct Backend {
    cname: String,
    target: Option<String>,
    deployment: String,
    dataset: String,
    #[serde(default, deserialize_with = "if_any::<MOST_PLACES, _, _>")]
    regions: Option<Vec<String>>,
    #[serde(default, deserialize_with = "if_any::<MOST_PLACES, _, _>")]
    environments: Option<Vec<String>>,
}

/// `storage.json`
#[derive(Deserialize)]
pub struct Storages {
    /// By the id of an account.
    #[serde(default)]
    atlas_storage: BTreeMap<String, Storage>,
}

#[derive(Deserialize)]
struct Storage {
    global: Option<String>,
    regional: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_PLACES, _, _>")]
    regions: Vec<String>,
}

/// What a scope says of where its series are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub location: Option<String>,
    pub account_id: Option<String>,
    pub deployment: String,
    pub dataset: String,
    pub environment: String,
}

pub struct Backends {
    list: Vec<Backend>,
    storages: BTreeMap<String, Storage>,
    /// The host of each cluster, by its name.
    targets: HashMap<String, String>,
}

impl Backends {
    /// # Errors
    /// When there are too many.
    pub fn of(Listed(list): Listed, storages: Storages) -> Result<Self, String> {
        let mut targets = HashMap::new();
        for backend in &list {
            for (target, cname) in backend.targets() {
                if targets.len() == MOST_TARGETS {
                    return Err(format!("the list has more than {MOST_TARGETS} targets"));
                }
                targets.entry(target).or_insert(cname);
            }
        }
        Ok(Self {
            list,
            storages: storages.atlas_storage,
            targets,
        })
    }

    /// The address of the cluster that a scope means: one of that name, else that of its account, else the
    /// first that has its region.
    ///
    /// # Errors
    /// When there is none, or none could be meant.
    pub fn find(&self, place: &Place) -> Result<String, String> {
        let location = place.location.as_deref();
        let named = location.and_then(|location| self.targets.get(location).cloned());
        if let Some(cname) = named.or_else(|| self.of_account(place)) {
            return Ok(with_scheme(&cname));
        }
        let found = self.list.iter().find(|backend| backend.has(place));
        let backend = found.ok_or_else(|| {
            let or_null = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
            format!(
                "Unable to find an appropriate Atlas cluster for location={} accountId={} dataset={} \
                 deployment={} environment={}",
                or_null(&place.location),
                or_null(&place.account_id),
                place.dataset,
                place.deployment,
                place.environment
            )
        })?;
        let region = location.unwrap_or_default();
        for (name, value) in [("location", region), ("environment", &place.environment)] {
            if !is_word(value) {
                return Err(format!(
                    "'{value}' is no {name} of an Atlas cluster: it has letters, digits, '-' and '_'"
                ));
            }
        }
        Ok(with_scheme(&backend.filled(
            &backend.cname,
            region,
            &place.environment,
        )))
    }

    fn of_account(&self, place: &Place) -> Option<String> {
        let storage = self.storages.get(place.account_id.as_ref()?)?;
        if place.dataset == "global" {
            return storage.global.clone();
        }
        let region = place.location.as_ref()?;
        let regional = storage.regional.as_ref()?;
        let has_it = storage.regions.contains(region);
        has_it.then(|| regional.replace("$(region)", region))
    }
}

impl Backend {
    fn has(&self, place: &Place) -> bool {
        let is_in = |list: &Option<Vec<String>>, wanted: Option<&String>| {
            list.as_ref()
                .is_none_or(|list| wanted.is_some_and(|wanted| list.contains(wanted)))
        };
        self.deployment == place.deployment
            && self.dataset == place.dataset
            && is_in(&self.regions, place.location.as_ref())
            && is_in(&self.environments, Some(&place.environment))
    }

    /// What its clusters are called, and their hosts.
    fn targets(&self) -> impl Iterator<Item = (String, String)> {
        let each = |list: &Option<Vec<String>>, variable: &str| match list {
            Some(list) => list.clone(),
            None => vec![variable.to_owned()],
        };
        let regions = each(&self.regions, "$(region)");
        let environments = each(&self.environments, "$(env)");
        let places = regions.into_iter().flat_map(move |region| {
            let environments = environments.clone().into_iter();
            environments.map(move |environment| (region.clone(), environment))
        });
        places.filter_map(|(region, environment)| {
            let target = self.filled(self.target.as_ref()?, &region, &environment);
            let cname = self.filled(&self.cname, &region, &environment);
            // What has no list of values has a name for none of them.
            (!target.contains("$(") && !cname.contains("$(")).then_some((target, cname))
        })
    }

    fn filled(&self, text: &str, region: &str, environment: &str) -> String {
        text.replace("$(deployment)", &self.deployment)
            .replace("$(dataset)", &self.dataset)
            .replace("$(region)", region)
            .replace("$(env)", environment)
    }
}

/// What may be put into the name of a host: scopes come from clients.
fn is_word(text: &str) -> bool {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    !text.is_empty() && text.chars().all(is_of_word)
}

/// By https, unless the list says another: Atlas of one's own may have no certificate.
fn with_scheme(cname: &str) -> String {
    let cname = cname.trim_end_matches('/');
    if cname.contains("://") {
        cname.to_owned()
    } else {
        format!("https://{cname}")
    }
}

/// # Errors
/// When it is no address of a server.
pub fn address(base: &str) -> Result<Url, String> {
    let url = Url::parse(base).ok();
    let url = url.filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    url.ok_or_else(|| {
        format!("the cname of the cluster is no host, with a port and a path if need be: '{base}'")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backends() -> Backends {
        let listed = json!([
            {"cname": "atlas-$(deployment).$(region).$(env).example", "target": "$(dataset).$(region).$(env)",
                "deployment": "main", "dataset": "regional", "regions": ["eu", "us"], "environments": ["test"]},
            {"cname": "any.$(region).example/", "deployment": "main", "dataset": "any"},
            {"cname": "http://global.example:7101", "target": "global", "deployment": "main",
                "dataset": "global", "regions": null},
        ]);
        let storages = json!({"atlas_storage": {
            "1": {"global": "g1.example", "regional": "r1-$(region).example", "regions": ["eu"]}}});
        let read = |listed| serde_json::from_value(listed).unwrap();
        Backends::of(read(listed), serde_json::from_value(storages).unwrap()).unwrap()
    }

    #[test]
    fn a_scope_means_the_cluster_of_that_name_or_of_its_account_or_the_first_with_its_region() {
        let cases = [
            // location, account, dataset, and where that is
            (
                Some("eu"),
                None,
                "regional",
                "https://atlas-main.eu.test.example",
            ),
            (
                Some("regional.us.test"),
                None,
                "none",
                "https://atlas-main.us.test.example",
            ),
            (
                Some("global"),
                Some("1"),
                "regional",
                "http://global.example:7101",
            ),
            (Some("eu"), Some("1"), "regional", "https://r1-eu.example"),
            (
                Some("us"),
                Some("1"),
                "regional",
                "https://atlas-main.us.test.example",
            ),
            (Some("us"), Some("1"), "global", "https://g1.example"),
            (
                Some("us"),
                Some("2"),
                "global",
                "http://global.example:7101",
            ),
            (Some("x-1"), None, "any", "https://any.x-1.example"),
            (
                Some("evil.com/"),
                None,
                "any",
                "'evil.com/' is no location of an Atlas cluster",
            ),
            (None, None, "any", "'' is no location of an Atlas cluster"),
            (
                Some("asia"),
                None,
                "regional",
                "Unable to find an appropriate Atlas cluster for location=asia",
            ),
            (
                None,
                Some("1"),
                "regional",
                "Unable to find an appropriate Atlas cluster for location=null",
            ),
        ];
        for (location, account_id, dataset, expected) in cases {
            let place = Place {
                location: location.map(str::to_owned),
                account_id: account_id.map(str::to_owned),
                deployment: "main".to_owned(),
                dataset: dataset.to_owned(),
                environment: "test".to_owned(),
            };
            let found = backends().find(&place).unwrap_or_else(|told| told);
            assert!(found.starts_with(expected), "{place:?}: {found}");
        }
    }

    #[test]
    fn a_cluster_is_a_host_with_a_port_and_a_path() {
        let cases = [
            ("https://a.example:1/b", true),
            ("http://a", true),
            ("https://user@a", false),
            ("https://a?b", false),
            ("https://a/#b", false),
            ("ftp://a", false),
            ("https://", false),
        ];
        for (base, expected) in cases {
            assert_eq!(address(base).is_ok(), expected, "{base}");
        }
    }
}
