//! What every client of HTTP in serin has in common.

use std::time::Duration;

use reqwest::{Certificate, ClientBuilder};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that asks for nothing compressed: packing a small answer costs a server more than the
/// answer itself, and the line less than a wait for either.
pub fn client() -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .gzip(false)
}

/// Trusts certificates beside the system's. Without TLS these are not needed, and images without
/// any will do.
pub fn trusting(
    client: ClientBuilder,
    scheme: &str,
    certificates: Vec<Certificate>,
) -> ClientBuilder {
    if !certificates.is_empty() {
        client.tls_certs_merge(certificates)
    } else if scheme == "http" {
        client.tls_certs_only([])
    } else {
        client
    }
}
