//! A Prometheus behind TLS whose certificate only `caFile` vouches for.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig, ServerConnection, StreamOwned};

use crate::prometheus_source::{Asking, account, config, source};

// Made for these tests, trusted nowhere else; the key of the authority was thrown away.
const CERTIFICATE: &[u8] = include_bytes!("prometheus_tls/server.pem");
const KEY: &[u8] = include_bytes!("prometheus_tls/server.key");

/// Long ago.
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

pub const NOTHING: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

/// Answers every request with an empty matrix; its port.
pub fn serve() -> u16 {
    serve_with(NOTHING)
}

/// Answers every request with that.
pub fn serve_with(body: &'static str) -> u16 {
    let provider = rustls::crypto::ring::default_provider().into();
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    serve_as(tls, move |_| body.to_owned())
}

/// Answers every request with what that says of its connection.
pub fn serve_as(
    tls: ConfigBuilder<ServerConfig, WantsServerCert>,
    answer: impl Fn(&ServerConnection) -> String + Send + 'static,
) -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let tls = tls.with_single_cert(vec![certificate], key).unwrap();
    let tls = Arc::new(tls);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(tls.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            let mut line = String::new();
            let mut length = 0;
            // A client that does not trust the certificate ends the connection here.
            let is_whole = loop {
                line.clear();
                match stream.read_line(&mut line) {
                    Ok(0) | Err(_) => break false,
                    Ok(2) => break true,
                    Ok(_) => {}
                }
                if let Some(told) = line.to_lowercase().strip_prefix("content-length:") {
                    length = told.trim().parse().unwrap();
                }
            };
            if !is_whole || stream.read_exact(&mut vec![0; length]).is_err() {
                continue;
            }
            let body = answer(&stream.get_ref().conn);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ndate: {DATE}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let stream = stream.get_mut();
            let _ = stream
                .write_all(answer.as_bytes())
                .and_then(|()| stream.flush());
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_is_trusted_when_the_ca_file_vouches_for_it() {
    let url = format!("https://localhost:{}", serve());
    let error = Asking::up()
        .fails(&source(&config(vec![("mine", account(&url))])))
        .await;
    assert!(error.message.contains("certificate"), "{}", error.message);

    let mut account = account(&url);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    account.http.ca_file = Some(folder.join("tests/it/prometheus_tls/ca.pem"));
    let source = source(&config(vec![("mine", account)]));
    assert_eq!(Asking::up().fetch(&source).await.unwrap().len(), 1);
}
