//! Tokens of Google Cloud: for a service account's key, for a workload of another cloud, for who is
//! logged in with gcloud, and of the machine that serin runs on.

mod ask;
mod federated;
mod file;
mod metadata;
mod service_account;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::http;
use ask::Token;
pub use ask::{Failed, answer, may_pass, told};

/// What all of Google Cloud is reached with; what a token may do there, its roles say.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// For one request of those that a token takes.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A token is renewed so long before its end, or at three quarters of its time.
const AHEAD: Duration = Duration::from_secs(225);

/// For so long a failure is told again: all who wait would ask one after the other.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// The key of an account that names its file.
const GIVEN: &str = "jsonPath";

/// Where Google's tools look for credentials when nobody names them.
const NAMED: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const OF_GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

/// The tokens of one account; each is kept until it is about to end.
pub struct Tokens {
    found: Found,
    client: Client,
    known: Mutex<Known>,
    /// Held by who gets another one; others go on with the old one, as long as it is good.
    renewal: tokio::sync::Mutex<()>,
}

/// Where the credentials are.
enum Found {
    /// Read at each renewal, as it may be changed.
    File(PathBuf),
    /// On the metadata server of that host.
    Machine(String),
}

#[derive(Default)]
struct Known {
    token: Option<Kept>,
    failed: Option<(Instant, Failed)>,
}

struct Kept {
    bearer: SecretString,
    renewed_at: Instant,
    ends_at: Instant,
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
        Ok(Self {
            found,
            client: client.build().map_err(|cause| http::in_words(&cause))?,
            known: Mutex::default(),
            renewal: tokio::sync::Mutex::default(),
        })
    }

    /// A token that is good yet; where another one is wanted already, one of those who ask gets it.
    ///
    /// # Errors
    /// Why there is none, and whether there may be one later.
    pub async fn bearer(&self) -> Result<SecretString, Failed> {
        if let Some(fresh) = self.known().fresh() {
            return Ok(fresh);
        }
        let good = self.known().still_good();
        let _turn = match (self.renewal.try_lock(), good) {
            (Ok(turn), _) => turn,
            (Err(_), Some(good)) => return Ok(good),
            (Err(_), None) => self.renewal.lock().await,
        };
        // Somebody may have asked meanwhile.
        let told = self.known().told();
        match told {
            Some(told) => told,
            None => self.renew().await,
        }
    }

    async fn renew(&self) -> Result<SecretString, Failed> {
        let asked_at = Instant::now();
        match self.ask().await {
            Ok(token) => {
                let ahead = AHEAD.min(token.lasts / 4);
                *self.known() = Known {
                    token: Some(Kept {
                        bearer: token.bearer.clone(),
                        renewed_at: asked_at + token.lasts - ahead,
                        ends_at: asked_at + token.lasts,
                    }),
                    failed: None,
                };
                Ok(token.bearer)
            }
            Err(failed) => {
                tracing::warn!("cannot renew a token of Google Cloud: {failed}");
                let mut known = self.known();
                known.failed = Some((Instant::now(), failed.clone()));
                known.still_good().ok_or(failed)
            }
        }
    }

    /// Keeps that token no longer: it was refused before its end.
    pub fn forget(&self, bearer: &SecretString) {
        let mut known = self.known();
        let is_kept = known
            .token
            .as_ref()
            .is_some_and(|kept| kept.bearer.expose_secret() == bearer.expose_secret());
        if is_kept {
            known.token = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<Token, Failed> {
        match &self.found {
            Found::File(path) => file::read(path)?.token(&self.client).await,
            Found::Machine(host) => metadata::token(&self.client, host).await,
        }
    }
}

impl Known {
    fn fresh(&self) -> Option<SecretString> {
        let kept = self.token.as_ref();
        let fresh = kept.filter(|kept| Instant::now() < kept.renewed_at);
        fresh.map(|kept| kept.bearer.clone())
    }

    fn still_good(&self) -> Option<SecretString> {
        let kept = self.token.as_ref();
        let good = kept.filter(|kept| Instant::now() < kept.ends_at);
        good.map(|kept| kept.bearer.clone())
    }

    /// What there is to say without asking anybody.
    fn told(&self) -> Option<Result<SecretString, Failed>> {
        if let Some(fresh) = self.fresh() {
            return Some(Ok(fresh));
        }
        let failed = self.failed.as_ref();
        let (_, failed) = failed.filter(|(at, _)| at.elapsed() < FAILED_FOR)?;
        Some(self.still_good().ok_or_else(|| failed.clone()))
    }
}
