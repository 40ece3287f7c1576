//! Secrets of Kubernetes, read with the token of the pod's service account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Certificate, Client};
use serde_json::Value;

use super::refusal;
use crate::http::in_words;
use crate::{config, http};

/// Where every pod finds what it needs to ask.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const ATTEMPT: Duration = Duration::from_secs(5);

/// A cluster, and who asks it.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub url: String,
    /// With `token`, `namespace` and `ca.crt`.
    pub folder: PathBuf,
}

impl Cluster {
    /// The one that serin runs in.
    ///
    /// # Errors
    /// When it runs in none.
    pub fn of_pod() -> Result<Self, String> {
        let environment = config::environment();
        let variable = |name| {
            environment
                .get(name)
                .filter(|text: &&String| !text.is_empty())
        };
        let host = variable("KUBERNETES_SERVICE_HOST")
            .ok_or("serin runs in no cluster: KUBERNETES_SERVICE_HOST is not set")?;
        let port = variable("KUBERNETES_SERVICE_PORT").map_or("443", String::as_str);
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        Ok(Self {
            url: format!("https://{host}:{port}"),
            folder: FOLDER.into(),
        })
    }

    /// The document of a secret. Without a namespace, it lies in that of the pod.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn secret(&self, namespace: Option<&str>, name: &str) -> Result<Vec<u8>, String> {
        let own = std::fs::read_to_string(self.folder.join("namespace"));
        let own = own.unwrap_or_default();
        let namespace = namespace.or(Some(own.trim()).filter(|own| !own.is_empty()));
        let namespace = named(namespace.unwrap_or("default"))?;
        let name = name.to_lowercase();
        let name = named(&name)?;
        let url = format!("{}/api/v1/namespaces/{namespace}/secrets/{name}", self.url);
        let token = read(&self.folder.join("token"))?;
        let token = String::from_utf8_lossy(&token);
        let client = self.client()?;
        let ask = || async {
            let asked = client.get(&url).bearer_auth(token.trim()).send().await;
            let answer = asked.map_err(|cause| (true, in_words(&cause)))?;
            let status = answer.status();
            let body = answer.bytes().await;
            let body = body.map_err(|cause| (true, in_words(&cause)))?;
            if status.is_success() {
                return Ok(body.to_vec());
            }
            let told: Value = serde_json::from_slice(&body).unwrap_or_default();
            let told = refusal("Kubernetes", status, told["message"].as_str());
            Err((status.is_server_error(), told))
        };
        let answer = ask
            .retry(ExponentialBuilder::default().with_max_times(2))
            .when(|(may_pass, _)| *may_pass)
            .await;
        answer.map_err(|(_, told)| told)
    }

    fn client(&self) -> Result<Client, String> {
        let scheme = self.url.split(':').next().unwrap_or_default();
        let certificates = match scheme {
            "https" => Certificate::from_pem_bundle(&read(&self.folder.join("ca.crt"))?)
                .map_err(|cause| in_words(&cause))?,
            _ => Vec::new(),
        };
        let client = http::trusting(http::client().timeout(ATTEMPT), scheme, certificates);
        client.build().map_err(|cause| in_words(&cause))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|cause| format!("'{}': {cause}", path.display()))
}

/// As Kubernetes names things: whatever it is, it leads to no other address.
fn named(name: &str) -> Result<&str, String> {
    let may_be = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    if name.chars().all(may_be) && name.chars().any(|letter| letter != '.') {
        Ok(name)
    } else {
        Err(format!("'{name}' is no name in Kubernetes"))
    }
}
