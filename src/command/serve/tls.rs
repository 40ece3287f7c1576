//! TLS of a listener: what serin shows, whom it asks who they are, and both anew when files change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::anyhow;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::callers::certificate::{self, Shown};
use crate::config::{self, ClientCertificates};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// To who speaks HTTP where TLS is spoken.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 68\r\n\r\n\
    {\"message\":\"this port speaks TLS: the address begins with https://\"}";

pub struct Tls {
    settings: config::Tls,
    made: RwLock<Made>,
}

struct Made {
    config: Arc<ServerConfig>,
    /// What the files held when they were last looked at.
    seen: u64,
}

/// What the files hold.
#[derive(Hash)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(settings: config::Tls) -> anyhow::Result<Self> {
        let pem = Pem::read(&settings);
        let seen = fingerprint(&pem);
        let config = pem.and_then(|pem| made(&settings, &pem));
        let config = config.map_err(|why| anyhow!("server.tls: {why}"))?;
        Ok(Self {
            settings,
            made: RwLock::new(Made { config, seen }),
        })
    }

    /// Reads the files again when they change, for ever. Connections that are open go on.
    pub async fn look_after(&self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let settings = self.settings.clone();
            let reading = tokio::task::spawn_blocking(move || Pem::read(&settings));
            let pem = reading.await.unwrap_or_else(|cause| Err(cause.to_string()));
            self.take(pem);
        }
    }

    fn take(&self, pem: Result<Pem, String>) {
        let seen = fingerprint(&pem);
        let mut now = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if now.seen == seen {
            return;
        }
        now.seen = seen;
        match pem.and_then(|pem| made(&self.settings, &pem)) {
            Ok(config) => {
                now.config = config;
                tracing::info!("server.tls: the files were read again");
            }
            // Half of a rotation: the next look finds the other half.
            Err(why) => tracing::warn!("server.tls: {why}; what was read before holds"),
        }
    }

    /// Until both sides know with whom they speak; what the certificate of the client says, if it
    /// shows one.
    ///
    /// # Errors
    /// What the client does otherwise.
    pub async fn shake(
        &self,
        mut stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Shown>)> {
        let mut first = [0];
        if 0 < stream.peek(&mut first).await? && first[0].is_ascii_alphabetic() {
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("a client that does not speak TLS"));
        }
        let config = {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&made.config)
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| certificate::shown(chain.first()?));
        Ok((stream, shown))
    }
}

impl Pem {
    fn read(settings: &config::Tls) -> Result<Self, String> {
        let clients = settings.clients.as_ref();
        Ok(Self {
            certificate: read("certFile", &settings.own.certificate)?,
            key: read("keyFile", &settings.own.key)?,
            client_ca: clients
                .map(|clients| read("clientCaFile", &clients.ca_file))
                .transpose()?,
        })
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|cause| format!("cannot read {key} '{}': {cause}", path.display()))
}

fn fingerprint(pem: &Result<Pem, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    pem.hash(&mut hasher);
    hasher.finish()
}

fn made(settings: &config::Tls, pem: &Pem) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?;
    let clients = settings.clients.as_ref().zip(pem.client_ca.as_deref());
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((ClientCertificates { required, .. }, ca)) => {
            let roots = Arc::new(roots(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = if *required {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier.build().map_err(|cause| cause.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let unusable = |cause: &dyn std::fmt::Display| {
        format!("certFile and keyFile are no certificate with its key: {cause}")
    };
    let chain = certificates(&pem.certificate).map_err(|cause| unusable(&cause))?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|cause| unusable(&cause))?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|cause| unusable(&cause))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if clients.is_some() {
        // A session that is resumed shows a certificate that may have ended meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(Arc::new(config))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let unusable =
        |cause: &dyn std::fmt::Display| format!("clientCaFile holds no certificates: {cause}");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|cause| unusable(&cause))? {
        roots.add(certificate).map_err(|cause| unusable(&cause))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("there is none in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(cause) => Err(cause.to_string()),
    }
}
