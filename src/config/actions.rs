//! Where actions may go, and what they carry there.

use std::path::PathBuf;

use reqwest::header::HeaderName;
use url::Url;

use super::notifications::{Given, given};
use super::section::Section;
use super::{Error, Result};

/// A host that actions may call, and what it wants to be shown.
#[derive(Clone, Debug)]
pub struct ActionHost {
    pub scheme: Schemes,
    /// In lower case; `*.example.com` is all below `example.com`.
    pub name: String,
    /// Without one, that of the scheme.
    pub port: Option<u16>,
    /// What paths begin with; empty: all.
    pub paths: Vec<String>,
    pub token: Option<Given>,
    /// The header of the token; without one, it is a bearer token.
    pub header: Option<String>,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Signs every call.
    pub secret: Option<Given>,
}

/// By which schemes a host is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    Http,
    Https,
    Both,
}

impl Schemes {
    fn allow(self, scheme: &str) -> bool {
        match self {
            Self::Http => scheme == "http",
            Self::Https => scheme == "https",
            Self::Both => true,
        }
    }
}

impl ActionHost {
    pub fn allows(&self, url: &Url) -> bool {
        self.scheme.allow(url.scheme()) && self.leads_to(url)
    }

    /// Whether it is allowed but for its scheme.
    pub fn leads_to(&self, url: &Url) -> bool {
        let name = url.host_str().unwrap_or_default();
        let is_named = match self.name.strip_prefix('*') {
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
            None => name == self.name,
        };
        let is_port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        is_named && is_port && self.allows_path(url.path())
    }

    fn allows_path(&self, path: &str) -> bool {
        if self.paths.is_empty() {
            return true;
        }
        // What a server may decode to a way out of the path.
        let path_in_lower_case = path.to_ascii_lowercase();
        let is_escaped = ["%2e", "%2f", "%5c", "%25"]
            .iter()
            .any(|part| path_in_lower_case.contains(part));
        // Some servers cut the parameters of a segment off first: `..;a=b`.
        let is_plain = !is_escaped
            && path_in_lower_case.split('/').all(|segment| {
                let name = segment.replace("%3b", ";");
                !matches!(name.split(';').next(), Some("." | ".."))
            });
        let below = |prefix: &String| match path.strip_prefix(prefix.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'),
            None => false,
        };
        is_plain && self.paths.iter().any(below)
    }
}

pub fn read(section: &mut Section<'_>) -> Result<Vec<ActionHost>> {
    section.list("hosts", |section| host(section).map(Some))
}

fn host(section: &mut Section<'_>) -> Result<ActionHost> {
    let (scheme, name, port) = section.parsed("host", address)?;
    let mut host = ActionHost {
        scheme: scheme.unwrap_or(Schemes::Both),
        name,
        port,
        paths: section.each("paths", |text| match text {
            _ if text.starts_with('/') => Ok(text.to_owned()),
            _ => Err("must begin with '/'".to_owned()),
        })?,
        token: given(section, "token", "tokenFile")?,
        header: section.parsed_if_given("header", header)?,
        ca_file: section.text("caFile")?.map(PathBuf::from),
        secret: given(section, "secret", "secretFile")?,
    };
    // What is shown to a host must not go in the clear because a client wrote `http`.
    let is_trusted = host.token.is_some() || host.secret.is_some() || host.ca_file.is_some();
    if scheme.is_none() && is_trusted {
        host.scheme = Schemes::Https;
    }
    if host.header.is_some() && host.token.is_none() {
        let path = section.path_of("header");
        return Err(Error(format!(
            "{path} is for a token: give token or tokenFile too"
        )));
    }
    Ok(host)
}

fn header(text: &str) -> Result<String, String> {
    match HeaderName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be the name of a header, as in 'X-API-KEY'".to_owned()),
    }
}

type Address = (Option<Schemes>, String, Option<u16>);

/// `http://apisix-admin:9180`, `*.example.com`.
fn address(text: &str) -> Result<Address, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Some(Schemes::Http), rest),
        Some(("https", rest)) => (Some(Schemes::Https), rest),
        _ => (None, text),
    };
    let (name, port) = authority(rest)?;
    Ok((scheme, name, port))
}

/// `apisix-admin:9180`, `*.example.com`.
fn authority(text: &str) -> Result<(String, Option<u16>), String> {
    let wrong = || "must be a host, as in 'apisix-admin:9180' or '*.example.com'".to_owned();
    let (below, plain) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    let url = Url::parse(&format!("other://{plain}")).map_err(|_| wrong())?;
    // Its name as an address of the web has it.
    let name = url
        .host_str()
        .and_then(|name| Url::parse(&format!("http://{name}")).ok());
    let name = name
        .and_then(|url| url.host_str().map(str::to_owned))
        .ok_or_else(wrong)?;
    let is_more = !matches!(url.path(), "") || !url.username().is_empty() || url.query().is_some();
    if is_more || name.contains('*') {
        return Err(wrong());
    }
    Ok((format!("{below}{name}"), url.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str, paths: &[&str]) -> ActionHost {
        let (scheme, name, port) = address(text).unwrap();
        ActionHost {
            scheme: scheme.unwrap_or(Schemes::Both),
            name,
            port,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            token: None,
            header: None,
            ca_file: None,
            secret: None,
        }
    }

    #[test]
    fn a_host_allows_its_own_addresses_only() {
        let cases = [
            ("gateway:9180", "http://gateway:9180/a", true),
            ("Gateway:9180", "http://GATEWAY:9180", true),
            ("gateway:9180", "http://gateway/a", false),
            ("gateway:80", "http://gateway/a", true),
            ("gateway", "https://gateway/a", true),
            ("gateway", "http://gateway:9180/a", false),
            ("gateway", "http://gateway.evil/a", false),
            ("gateway", "http://evil/gateway", false),
            ("http://gateway:80", "http://gateway/a", true),
            ("http://gateway", "http://gateway:80/a", true),
            ("http://gateway", "https://gateway/a", false),
            ("https://gateway", "https://gateway/a", true),
            ("https://gateway", "http://gateway/a", false),
            ("https://gateway:80", "http://gateway/a", false),
            ("https://*.example.com", "https://a.example.com/", true),
            ("*.example.com", "https://a.b.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://evilexample.com/", false),
            ("127.0.0.1:80", "http://127.1/", true),
            ("[::1]:80", "http://[0:0::1]/", true),
        ];
        for (pattern, url, allowed) in cases {
            let url = Url::parse(url).unwrap();
            assert_eq!(host(pattern, &[]).allows(&url), allowed, "{pattern} {url}");
        }
        for wrong in [
            "",
            "a/b",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://http://a",
            "HTTP://a",
            "u@a",
            "a:b",
            "*",
            "*.*.a",
            "a b",
            "a?b",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_not_left() {
        let host = host("a", &["/admin/routes", "/api/"]);
        for (path, allowed) in [
            ("/admin/routes", true),
            ("/admin/routes/1", true),
            ("/admin/routes?ttl=1", true),
            ("/api/x", true),
            ("/admin/routes2", false),
            ("/admin/routes/../ssl", false),
            ("/admin/routes/%2e%2e/ssl", false),
            ("/admin/routes/%2E%2E%2Fssl", false),
            ("/admin/routes/..%5cssl", false),
            ("/admin/routes/%252e%252e/ssl", false),
            ("/admin/routes/..;/ssl", false),
            ("/admin/routes/..;a=b/ssl", false),
            ("/admin/routes/..%3b/ssl", false),
            ("/admin/routes/.%3Ba/ssl", false),
            ("/admin/routes/.;/ssl", false),
            ("/admin/routes/a;b/..c/...", true),
            ("/other", false),
        ] {
            let url = Url::parse(&format!("http://a{path}")).unwrap();
            assert_eq!(host.allows(&url), allowed, "{path}");
        }
    }
}
