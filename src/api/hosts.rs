//! Under which names serin is reached. A page of another site can have its own name lead here (DNS
//! rebinding), and is then, for its browser, a page of serin; only the name tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use super::problem::Problem;
use crate::config::Server;

/// What only browsers send.
const OF_BROWSERS: [HeaderName; 4] = [
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
];

#[derive(Clone)]
pub struct Hosts {
    whose: Whose,
    /// In small letters, without a dot at the end.
    names: Arc<Vec<String>>,
}

/// Whose requests must name serin rightly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    All,
    Browsers,
    Nobodys,
}

impl Hosts {
    /// Of a service that listens there. On loopback there are browsers on the same machine, and its
    /// other clients know how it is called; elsewhere a cluster has names that serin cannot know.
    pub fn new(server: &Server, address: IpAddr) -> Self {
        let public = server.public_url.as_deref();
        let public = public.and_then(|url| Some(Url::parse(url).ok()?.host_str()?.to_owned()));
        let names: Vec<String> = server.hosts.iter().cloned().chain(public).collect();
        let whose = match (address.to_canonical().is_loopback(), names.is_empty()) {
            (true, _) => Whose::All,
            (false, false) => Whose::Browsers,
            (false, true) => Whose::Nobodys,
        };
        let names = names.iter().map(|name| plain(name)).collect();
        Self {
            whose,
            names: Arc::new(names),
        }
    }

    pub async fn check(self, request: Request, next: Next) -> Response {
        match self.problem(&request) {
            Some(problem) => problem.into_response(),
            None => next.run(request).await,
        }
    }

    fn problem(&self, request: &Request) -> Option<Problem> {
        let bad = |told: &str| Some(Problem::new(StatusCode::BAD_REQUEST, told));
        let mut given = request.headers().get_all(header::HOST).into_iter();
        let (host, second) = (given.next(), given.next());
        let authority = request.uri().authority();
        if second.is_some() {
            return bad("the request has two headers 'Host'");
        }
        // The health checks of balancers speak HTTP/1.0, and name nobody.
        if host.is_none() && authority.is_none() && Version::HTTP_10 < request.version() {
            return bad("the request has no header 'Host'");
        }
        let is_checked = match self.whose {
            Whose::All => true,
            Whose::Browsers => is_of_browser(request.headers()),
            Whose::Nobodys => false,
        };
        let named = [
            host.map(|host| host.to_str().unwrap_or("?")),
            authority.map(axum::http::uri::Authority::as_str),
        ];
        for named in named.into_iter().flatten() {
            let Some(name) = host_of(named) else {
                return bad("the header 'Host' is no name of a host");
            };
            if is_checked && !self.is_ours(name) {
                return Some(Problem::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "serin does not know that it is reached under this name: server.publicUrl or \
                     server.hosts says so",
                ));
            }
        }
        None
    }

    fn is_ours(&self, name: &str) -> bool {
        // No name leads to another address than an address does.
        let literal = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        match literal {
            Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
            None if name.parse::<Ipv4Addr>().is_ok() => true,
            None => {
                let name = plain(name);
                name == "localhost" || self.names.contains(&name)
            }
        }
    }
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    OF_BROWSERS.iter().any(|name| headers.contains_key(name))
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// `serin` of `serin:8090`; None where it is none.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(literal) => literal.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    let is_of_name =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=[]:".contains(&byte);
    (is_port && host.bytes().all(is_of_name)).then_some(host)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::body::Body;

    use super::*;
    use crate::config::{LoadOptions, load_from};

    fn hosts(address: &str, public_url: Option<&str>, names: &[&str]) -> Hosts {
        let loaded = load_from(&LoadOptions::default(), &BTreeMap::new()).unwrap();
        let server = Server {
            public_url: public_url.map(str::to_owned),
            hosts: names.iter().map(|name| (*name).to_owned()).collect(),
            ..loaded.config.server
        };
        Hosts::new(&server, address.parse().unwrap())
    }

    fn status(hosts: &Hosts, head: &str) -> u16 {
        let mut lines = head.split('|');
        let mut request = Request::builder().uri(lines.next().unwrap());
        for line in lines {
            let Some((name, value)) = line.split_once('=') else {
                request = request.version(Version::HTTP_10);
                continue;
            };
            request = request.header(name, value);
        }
        let problem = hosts.problem(&request.body(Body::empty()).unwrap());
        problem.map_or(200, |problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn on_loopback_only_known_names_are_taken() {
        let known = hosts(
            "127.0.0.1",
            Some("https://Serin.Example.com/x"),
            &["serin.lan"],
        );
        let cases = [
            ("/|host=localhost", 200),
            ("/|host=localhost:8090", 200),
            ("/|host=LOCALHOST.:1", 200),
            ("/|host=127.0.0.1:8090", 200),
            ("/|host=10.1.2.3", 200),
            ("/|host=[::1]:8090", 200),
            ("/|host=[2001:db8::1]", 200),
            ("/|host=serin.example.com", 200),
            ("/|host=SERIN.example.com.:443", 200),
            ("/|host=serin.lan:8090", 200),
            ("/|host=evil.example:8090", 421),
            ("/|host=evil.example.", 421),
            ("/|host=localhost.evil.example", 421),
            ("/|host=127.0.0.1.evil.example", 421),
            ("/|host=x.serin.example.com", 421),
            ("/|host=localhost..", 421),
            ("/|host=127.1", 421),
            ("/|host=[evil.example]", 421),
            ("/|host=", 421),
            ("/|host=user@localhost", 400),
            ("/|host=localhost:x", 400),
            ("/|host=localhost/x", 400),
            ("/|host=a b", 400),
            ("/|host=[::1", 400),
            ("/", 400),
            ("/|host=localhost|host=localhost", 400),
            ("/|1.0", 200),
            ("/|host=evil.example|1.0", 421),
            ("http://evil.example/x|host=localhost", 421),
            ("http://localhost/x|host=evil.example", 421),
            ("http://localhost:8090/x|host=localhost:8090", 200),
            // As HTTP/2 has it.
            ("http://localhost/x", 200),
            ("http://evil.example/x", 421),
        ];
        for (head, expected) in cases {
            assert_eq!(status(&known, head), expected, "{head}");
        }
        for address in ["::1", "127.0.0.2", "::ffff:127.0.0.1"] {
            let hosts = hosts(address, None, &[]);
            assert_eq!(status(&hosts, "/|host=evil.example"), 421, "{address}");
        }
    }

    #[test]
    fn elsewhere_only_browsers_are_asked_and_only_once_a_name_is_known() {
        let open = hosts("0.0.0.0", None, &[]);
        let known = hosts("0.0.0.0", Some("https://serin.example.com"), &[]);
        let cases = [
            // head, without a name, with one
            ("/|host=serin:8090", 200, 200),
            ("/|host=evil.example", 200, 200),
            ("/|host=evil.example|origin=http://evil.example", 200, 421),
            ("/|host=evil.example|sec-fetch-site=same-origin", 200, 421),
            ("/|host=evil.example|sec-fetch-mode=navigate", 200, 421),
            (
                "/|host=serin.example.com|origin=https://serin.example.com",
                200,
                200,
            ),
            ("/|host=10.0.0.7:8090|origin=http://10.0.0.7:8090", 200, 200),
            (
                "/|host=localhost:9999|origin=http://localhost:9999",
                200,
                200,
            ),
            ("/", 400, 400),
            ("/|1.0", 200, 200),
        ];
        for (head, without, with) in cases {
            assert_eq!(status(&open, head), without, "{head}");
            assert_eq!(status(&known, head), with, "{head}");
        }
    }
}
