//! Secrets that lie elsewhere: AWS, Google Cloud and Kubernetes are asked for them when a configuration is read.

mod aws;
mod google;
mod kubernetes;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::config::{Reference, SecretEngines};
pub use kubernetes::Cluster;

/// For one secret, all attempts included.
const PATIENCE: Duration = Duration::from_secs(20);

/// Those of Spinnaker that serin has.
#[derive(Default)]
pub struct Engines {
    /// None for that of the pod.
    pub cluster: Option<Cluster>,
    /// What several keys refer to is asked for once.
    known: Mutex<HashMap<String, Vec<u8>>>,
}

impl Engines {
    pub fn of(cluster: Cluster) -> Self {
        Self {
            cluster: Some(cluster),
            ..Self::default()
        }
    }
}

/// Where a secret lies, and how it is told from others that lie there.
enum Kept<'a> {
    S3 {
        region: &'a str,
        bucket: &'a str,
        file: &'a str,
    },
    SecretsManager {
        region: &'a str,
        secret: &'a str,
    },
    CloudStorage {
        bucket: &'a str,
        file: &'a str,
    },
    SecretManager {
        project: &'a str,
        secret: &'a str,
        version: &'a str,
    },
    Kubernetes {
        namespace: Option<&'a str>,
        name: &'a str,
    },
}

impl SecretEngines for Engines {
    fn read(&self, reference: &Reference) -> Result<Vec<u8>, String> {
        let kept = Kept::of(reference)?;
        let key = reference.given("k");
        let payload = self.payload(reference, &kept)?;
        match (kept, key) {
            (Kept::S3 { .. } | Kept::CloudStorage { .. }, Some(key)) => within_yaml(&payload, key),
            (Kept::SecretsManager { .. } | Kept::SecretManager { .. }, Some(key)) => {
                within_json(&payload, key)
            }
            (Kept::Kubernetes { .. }, _) => of_kubernetes(&payload, reference.parameter("k")?),
            (_, None) => Ok(payload),
        }
    }
}

impl Engines {
    fn payload(&self, reference: &Reference, kept: &Kept<'_>) -> Result<Vec<u8>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = reference.parameters.clone();
        place.shift_remove("k");
        let place = format!("{} {place:?}", reference.engine);
        if let Some(payload) = known.get(&place) {
            return Ok(payload.clone());
        }
        // Who waits for it may be within a runtime already, where nobody may.
        let payload = std::thread::scope(|scope| {
            let asking = scope.spawn(|| ask(kept, self.cluster.as_ref()));
            asking
                .join()
                .unwrap_or_else(|_| Err("a defect of serin".to_owned()))
        })?;
        known.insert(place, payload.clone());
        Ok(payload)
    }
}

impl<'a> Kept<'a> {
    fn of(reference: &'a Reference) -> Result<Self, String> {
        match reference.engine.as_str() {
            "s3" => Ok(Self::S3 {
                region: reference.parameter("r")?,
                bucket: reference.parameter("b")?,
                file: reference.parameter("f")?,
            }),
            "secrets-manager" => Ok(Self::SecretsManager {
                region: reference.parameter("r")?,
                secret: reference.parameter("s")?,
            }),
            "gcs" => Ok(Self::CloudStorage {
                bucket: reference.parameter("b")?,
                file: reference.parameter("f")?,
            }),
            "google-secrets-manager" => Ok(Self::SecretManager {
                project: reference.parameter("p")?,
                secret: reference.parameter("s")?,
                version: reference.given("v").unwrap_or("latest"),
            }),
            "k8s" => Ok(Self::Kubernetes {
                namespace: reference.given("ns"),
                name: reference.parameter("n")?,
            }),
            other => Err(format!(
                "the engine '{other}' is not served; there are s3, secrets-manager, gcs, \
                 google-secrets-manager and k8s"
            )),
        }
    }
}

fn ask(kept: &Kept<'_>, cluster: Option<&Cluster>) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start a runtime: {cause}"))?;
    runtime.block_on(async {
        let asked = async {
            match *kept {
                Kept::S3 {
                    region,
                    bucket,
                    file,
                } => aws::object(region, bucket, file).await,
                Kept::SecretsManager { region, secret } => aws::secret(region, secret).await,
                Kept::CloudStorage { bucket, file } => google::object(bucket, file).await,
                Kept::SecretManager {
                    project,
                    secret,
                    version,
                } => google::secret(project, secret, version).await,
                Kept::Kubernetes { namespace, name } => match cluster {
                    Some(cluster) => cluster.secret(namespace, name).await,
                    None => Cluster::of_pod()?.secret(namespace, name).await,
                },
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    })
}

/// The value at a path of keys with dots between them.
fn within_yaml(payload: &[u8], path: &str) -> Result<Vec<u8>, String> {
    let yaml: Value = yaml_serde::from_slice(payload)
        // Its words could quote what is secret.
        .map_err(|_| "what lies there is no YAML".to_owned())?;
    let value = path.split('.').try_fold(&yaml, |value, key| value.get(key));
    plain(value, path)
}

fn within_json(payload: &[u8], key: &str) -> Result<Vec<u8>, String> {
    let json: Value =
        serde_json::from_slice(payload).map_err(|_| "what lies there is no JSON".to_owned())?;
    plain(json.get(key), key)
}

fn plain(value: Option<&Value>, key: &str) -> Result<Vec<u8>, String> {
    match value {
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string().into_bytes()),
        Some(_) => Err(format!("'{key}' is no single value there")),
        None => Err(format!("there is no '{key}' in it")),
    }
}

fn of_kubernetes(payload: &[u8], key: &str) -> Result<Vec<u8>, String> {
    let secret: Value =
        serde_json::from_slice(payload).map_err(|_| "Kubernetes answers no JSON".to_owned())?;
    decoded(&plain(secret["data"].get(key), key)?)
}

fn decoded(base64: &[u8]) -> Result<Vec<u8>, String> {
    let decoded = BASE64_STANDARD.decode(base64);
    decoded.map_err(|_| "it is not encoded in base64".to_owned())
}

/// What a service answered instead.
fn refusal(service: &str, status: impl Display, told: Option<&str>) -> String {
    match told {
        Some(told) => format!("{service} answers {status}: {told}"),
        None => format!("{service} answers {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u8>, String> {
        let reference = Reference::parse(text).unwrap().unwrap();
        Engines::default().read(&reference)
    }

    #[test]
    fn an_engine_that_is_not_served_is_named() {
        let cases = [
            (
                "encrypted:vault!s:b",
                "the engine 'vault' is not served; there are s3",
            ),
            ("encrypted:gcs!b:a", "the parameter 'f' is missing"),
            (
                "encrypted:google-secrets-manager!s:b",
                "the parameter 'p' is missing",
            ),
            ("encrypted:s3!b:a!f:b", "the parameter 'r' is missing"),
            ("encrypted:s3!r:a!b:!f:b", "the parameter 'b' is missing"),
            (
                "encrypted:secrets-manager!r:eu",
                "the parameter 's' is missing",
            ),
            ("encrypted:k8s!k:a", "the parameter 'n' is missing"),
        ];
        for (text, expected) in cases {
            let told = read(text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
    }

    #[test]
    fn a_key_picks_a_value() {
        let yaml = b"a: {b: deep, 'n': 5}\nlist: [1]\n";
        let cases = [
            ("a.b", Ok("deep")),
            ("a.n", Ok("5")),
            ("a", Err("'a' is no single value there")),
            ("list", Err("'list' is no single value there")),
            ("a.c", Err("there is no 'a.c' in it")),
        ];
        for (path, expected) in cases {
            let found = within_yaml(yaml, path);
            let found = found
                .as_deref()
                .map(|found| std::str::from_utf8(found).unwrap());
            assert_eq!(found.map_err(String::as_str), expected, "{path}");
        }
        assert_eq!(within_json(br#"{"a.b": "x"}"#, "a.b"), Ok(b"x".to_vec()));
        assert!(within_json(b"hunter2", "a").is_err_and(|told| !told.contains("hunter2")));
        assert!(within_yaml(b"[hunter2", "a").is_err_and(|told| !told.contains("hunter2")));
    }
}
