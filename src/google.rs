//! Tokens of Google Cloud: for a service account's key, for a workload of another cloud, for who is
//! logged in with gcloud, and of the machine that serin runs on.

mod federated;
mod file;
mod metadata;
mod service_account;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;

use crate::http::ask::Token;
pub use crate::http::ask::{Failed, answer, may_pass, told};
use crate::http::{self, Giver};

/// What all of Google Cloud is reached with; what a token may do there, its roles say.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// For one request of those that a token takes.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The key of an account that names its file.
const GIVEN: &str = "jsonPath";

/// Where Google's tools look for credentials when nobody names them.
const NAMED: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const OF_GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

/// The tokens of one account.
pub type Tokens = http::Tokens<Source>;

/// Where the tokens of an account come from.
pub struct Source {
    found: Found,
    client: Client,
}

/// Where the credentials are.
enum Found {
    /// Read at each renewal, as it may be changed.
    File(PathBuf),
    /// On the metadata server of that host.
    Machine(String),
}

impl Tokens {
    /// Those of a file, if it is given; else those that Google's own tools would find in this
    /// environment: a file that is named there, that of gcloud, or the machine's.
    ///
    /// # Errors
    /// Why the credentials can never do.
    pub fn open(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let variable = |name| environment.get(name).filter(|value| !value.is_empty());
        let given = file.map(|path| (GIVEN, path.to_owned()));
        let named = variable(NAMED).map(|path| (NAMED, PathBuf::from(path)));
        let of_gcloud = variable("HOME").map(|home| Path::new(home).join(OF_GCLOUD));
        let of_gcloud = of_gcloud.filter(|path| path.is_file());
        let of_gcloud = of_gcloud.map(|path| ("gcloud's credentials", path));
        let found = match given.or(named).or(of_gcloud) {
            Some((key, path)) => {
                file::read(&path).map_err(|failed| format!("{key}: {failed}"))?;
                Found::File(path)
            }
            None => Found::Machine(metadata::host(environment)),
        };
        let client = http::client()
            .timeout(ATTEMPT)
            .redirect(reqwest::redirect::Policy::none());
        let client = match &found {
            // No proxy of the environment reaches this machine's own.
            Found::Machine(_) => client.no_proxy(),
            Found::File(_) => client,
        };
        Ok(Self::of(Source {
            found,
            client: client.build().map_err(|cause| http::in_words(&cause))?,
        }))
    }
}

#[async_trait]
impl Giver for Source {
    const WHOSE: &'static str = "Google Cloud";

    async fn ask(&self) -> Result<Token, Failed> {
        match &self.found {
            Found::File(path) => file::read(path)?.token(&self.client).await,
            Found::Machine(host) => metadata::token(&self.client, host).await,
        }
    }
}
