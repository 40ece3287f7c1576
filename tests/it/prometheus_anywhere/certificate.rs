//! A certificate of serin's own, which rotates.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};

use super::{asking, opened, source};
use crate::prometheus_tls::{self, NOTHING};

fn openssl(folder: &Path, arguments: &str) {
    let ended = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

/// An authority, and two certificates that it signed.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"),
    );
    std::fs::write(
        folder.join("ext"),
        "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    for name in ["one", "two"] {
        openssl(
            folder,
            &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -out {name}.pem"
            ),
        );
    }
}

fn show(folder: &Path, certificate: &str, key: &str) {
    std::fs::copy(
        folder.join(format!("{certificate}.pem")),
        folder.join("own.pem"),
    )
    .unwrap();
    std::fs::copy(folder.join(format!("{key}.key")), folder.join("own.key")).unwrap();
}

/// The certificates that were shown to a server that wants one, and its port.
fn serve(folder: &Path) -> (Arc<Mutex<Vec<CertificateDer<'static>>>>, u16) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap());
    let shown = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&shown);
    let port = prometheus_tls::serve_as(tls, move |connection| {
        let certificate = connection.peer_certificates().and_then(|all| all.first());
        heard
            .lock()
            .unwrap()
            .extend(certificate.cloned().map(CertificateDer::into_owned));
        NOTHING.to_owned()
    });
    (shown, port)
}

fn keys(folder: &Path, port: u16) -> Value {
    let trusted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/prometheus_tls/ca.pem");
    json!({
        "endpoint": {"baseUrl": format!("https://localhost:{port}")}, "caFile": trusted,
        "certFile": folder.join("own.pem"), "keyFile": folder.join("own.key"),
    })
}

#[tokio::test]
async fn a_certificate_is_shown_and_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates(folder);
    let (shown, port) = serve(folder);
    let mut without = keys(folder, port);
    for key in ["certFile", "keyFile"] {
        without.as_object_mut().unwrap().shift_remove(key);
    }
    asking(0).fails(&source(&without)).await;
    assert!(shown.lock().unwrap().is_empty());

    let own =
        |name: &str| CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
    show(folder, "one", "one");
    let source = source(&keys(folder, port));
    let steps = [
        ("one", "one", "one"),
        ("two", "two", "two"),
        // Half of a rotation, which shows what was good before; and its other half.
        ("one", "two", "two"),
        ("one", "one", "one"),
    ];
    for (number, (certificate, key, expected)) in steps.into_iter().enumerate() {
        show(folder, certificate, key);
        asking(number).fetch(&source).await.unwrap();
        let last = shown.lock().unwrap().last().cloned().unwrap();
        assert!(last == own(expected), "{certificate} {key}");
    }
    std::fs::remove_file(folder.join("own.key")).unwrap();
    source.health().await.unwrap();
    assert_eq!(shown.lock().unwrap().len(), steps.len() + 1);
}

#[test]
fn a_certificate_that_cannot_be_shown_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates(folder);
    let told = |folder: &Path| opened(&keys(folder, 1), &[]).err().unwrap().to_string();
    let missing = told(folder);
    assert!(
        missing.starts_with("account 'mine': cannot read keyFile '"),
        "{missing}"
    );
    show(folder, "one", "two");
    let other = told(folder);
    let expected = "account 'mine': certFile and keyFile are no certificate with its key: ";
    assert!(other.starts_with(expected), "{other}");
    std::fs::write(folder.join("own.pem"), "no PEM").unwrap();
    let none = told(folder);
    assert!(none.starts_with(expected), "{none}");
}
