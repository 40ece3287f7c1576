//! What every client of HTTP in serin has in common.

mod again;
pub mod ask;
mod body;
mod failed;
mod rotating;
mod secrets;
mod tokens;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use reqwest::{Certificate, ClientBuilder};
use url::{Host, Url};

pub use again::{Again, retry_after};
pub use body::{Unread, beginning, read, read_paid};
pub use failed::Failed;
pub use rotating::{OwnCertificate, Rotating};
pub use secrets::Secrets;
pub use tokens::{Giver, Tokens};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that asks for nothing compressed: packing a small answer costs a server more than the
/// answer itself, and the line less than a wait for either.
pub fn client() -> ClientBuilder {
    // There is one for the process; another one that is installed already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
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

/// An error with its causes, the last of which says what happened.
pub fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .fold(String::new(), |words, cause| {
            if words.is_empty() {
                cause
            } else if words.ends_with(&cause) {
                // Some errors tell their cause themselves.
                words
            } else {
                format!("{words}: {cause}")
            }
        })
}

/// No more of a text than so many bytes.
pub fn cut(text: &mut String, most: usize) {
    if most < text.len() {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
}

/// Whether what is secret may be sent to that address: nobody on the way reads it.
pub fn is_safe(url: &str) -> bool {
    let url = Url::parse(url).ok();
    url.is_some_and(|url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    })
}

/// All but what RFC 3986, 2.3 lets stand as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As one segment of a path or one value of a query, whatever it holds.
pub fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
