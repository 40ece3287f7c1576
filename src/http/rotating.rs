//! A client that shows a certificate of its own, which rotates.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use reqwest::{Client, ClientBuilder, Identity};

use super::in_words;

/// A certificate and its key, each in a file of PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Made anew when the files change: connections with the old certificate end as they are done.
pub struct Rotating {
    builder: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    own: Option<OwnCertificate>,
    made: Mutex<Made>,
}

struct Made {
    client: Client,
    /// What the files held when they were last looked at.
    seen: u64,
}

/// What the files hold, as one PEM.
type Pem = Result<Vec<u8>, String>;

impl Rotating {
    /// A client as `builder` has it, with that certificate.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open(
        own: Option<OwnCertificate>,
        builder: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let pem = own.as_ref().map(OwnCertificate::read);
        let (client, seen) = match pem {
            None => (made(builder(), None)?, 0),
            Some(pem) => {
                let seen = fingerprint(&pem);
                (made(builder(), Some(pem?))?, seen)
            }
        };
        Ok(Self {
            builder: Box::new(builder),
            own,
            made: Mutex::new(Made { client, seen }),
        })
    }

    /// The one for the next request.
    pub async fn client(&self) -> Client {
        let Some(own) = self.own.clone() else {
            return self.made().client.clone();
        };
        let reading = tokio::task::spawn_blocking(move || own.read());
        let pem = reading.await.unwrap_or_else(|cause| Err(cause.to_string()));
        let seen = fingerprint(&pem);
        let mut now = self.made();
        if now.seen != seen {
            now.seen = seen;
            match pem.and_then(|pem| made((self.builder)(), Some(pem))) {
                Ok(client) => now.client = client,
                // Half of a rotation: the next request finds the other half.
                Err(why) => tracing::warn!("{why}; the one before is shown"),
            }
        }
        now.client.clone()
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnCertificate {
    fn read(&self) -> Pem {
        let mut pem = Vec::new();
        for (key, path) in [("keyFile", &self.key), ("certFile", &self.certificate)] {
            let read = std::fs::read(path)
                .map_err(|cause| format!("cannot read {key} '{}': {cause}", path.display()));
            pem.extend(read?);
            pem.push(b'\n');
        }
        Ok(pem)
    }
}

fn made(builder: ClientBuilder, pem: Option<Vec<u8>>) -> Result<Client, String> {
    let Some(pem) = pem else {
        return builder.build().map_err(|cause| in_words(&cause));
    };
    let unusable = |cause: reqwest::Error| {
        let cause = in_words(&cause);
        format!("certFile and keyFile are no certificate with its key: {cause}")
    };
    let identity = Identity::from_pem(&pem).map_err(unusable)?;
    builder.identity(identity).build().map_err(unusable)
}

fn fingerprint(pem: &Pem) -> u64 {
    let mut hasher = DefaultHasher::new();
    pem.hash(&mut hasher);
    hasher.finish()
}
