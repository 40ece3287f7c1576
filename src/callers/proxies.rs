//! What proxies say of who stands before them, where they are believed.

use std::net::{IpAddr, SocketAddr};

use reqwest::header::{HeaderMap, HeaderName};

use super::Refused;
use crate::access::{Identity, Proof};
use crate::config::TrustedProxy;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Bytes of what a proxy says of somebody.
const MOST_BYTES: usize = 8 << 10;

/// From where a request comes: the last of its hops that is no proxy that is trusted. None where that
/// cannot be told.
pub fn address(proxies: &[TrustedProxy], headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| of(proxies, address).next().is_some();
    if !is_trusted(peer) {
        return Some(peer);
    }
    let mut address = peer;
    let said: Vec<_> = headers.get_all(FORWARDED_FOR).into_iter().collect();
    for said in said.into_iter().rev() {
        for hop in said.to_str().ok()?.rsplit(',') {
            address = parsed(hop.trim())?;
            if !is_trusted(address) {
                return Some(address);
            }
        }
    }
    Some(address)
}

/// Some add the port.
fn parsed(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    let literal = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address: Option<IpAddr> = literal.unwrap_or(hop).parse().ok();
    address
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

/// Who has logged in there.
///
/// # Errors
/// `Refused` when it says that in two ways.
pub fn person(
    proxies: &[TrustedProxy],
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<Option<Identity>, Refused> {
    for proxy in of(proxies, peer) {
        let user = said(headers, proxy.user_header.as_ref())?;
        let Some(user) = user.map(str::trim).filter(|user| !user.is_empty()) else {
            continue;
        };
        let groups = said(headers, proxy.groups_header.as_ref())?;
        let groups = groups.unwrap_or_default().split(',').map(str::trim);
        return Ok(Some(Identity {
            proof: Proof::Proxy,
            name: user.to_owned(),
            groups: groups
                .filter(|group| !group.is_empty())
                .map(str::to_owned)
                .collect(),
            ..Identity::default()
        }));
    }
    Ok(None)
}

fn of(proxies: &[TrustedProxy], address: IpAddr) -> impl Iterator<Item = &TrustedProxy> {
    proxies.iter().filter(move |proxy| {
        let mut nets = proxy.addresses.iter();
        nets.any(|net| net.contains(&address))
    })
}

/// One value: of two, one may be that of the client.
fn said<'a>(headers: &'a HeaderMap, name: Option<&HeaderName>) -> Result<Option<&'a str>, Refused> {
    let Some(name) = name else {
        return Ok(None);
    };
    let mut values = headers.get_all(name).into_iter();
    let (Some(value), second) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text = text.filter(|text| text.len() <= MOST_BYTES && second.is_none());
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.map(Some).ok_or_else(|| {
        let told = format!("the header '{name}' is not one text of at most {MOST_BYTES} bytes");
        Refused::new("proxy", told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Vec<TrustedProxy> {
        let proxy = |addresses: &[&str], user: Option<&'static str>| TrustedProxy {
            addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
            user_header: user.map(HeaderName::from_static),
            groups_header: user.map(|_| HeaderName::from_static("x-groups")),
        };
        vec![
            proxy(&["10.0.0.0/8", "fd00::/8"], None),
            proxy(&["10.7.0.0/16"], Some("x-user")),
        ]
    }

    type Line = (&'static str, &'static str);

    fn headers(lines: &[Line]) -> HeaderMap {
        let lines = lines.iter();
        let lines = lines.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn the_last_hop_that_is_not_trusted_is_where_a_request_comes_from() {
        let cases: [(&str, &[&'static str], Option<&str>); 13] = [
            ("192.0.2.1", &[], Some("192.0.2.1")),
            ("192.0.2.1", &["198.51.100.7"], Some("192.0.2.1")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            (
                "10.0.0.1",
                &["203.0.113.9, 198.51.100.7"],
                Some("198.51.100.7"),
            ),
            (
                "10.0.0.1",
                &["203.0.113.9", "198.51.100.7,10.0.0.2"],
                Some("198.51.100.7"),
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            ("fd00::1", &["2001:db8::7"], Some("2001:db8::7")),
            ("10.0.0.1", &["[2001:db8::7]:4711"], Some("2001:db8::7")),
            ("10.0.0.1", &["198.51.100.7:4711"], Some("198.51.100.7")),
            ("10.0.0.1", &["::ffff:198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["unknown"], None),
            ("10.0.0.1", &["198.51.100.7,"], None),
        ];
        for (peer, said, expected) in cases {
            let said: Vec<_> = said
                .iter()
                .map(|value| ("x-forwarded-for", *value))
                .collect();
            let found = address(&proxies(), &headers(&said), peer.parse().unwrap());
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(found, expected, "{peer} {said:?}");
        }
    }

    #[test]
    fn people_are_named_by_their_proxy_alone() {
        // None where it is refused.
        type Named = Option<Option<&'static str>>;
        let ada = [("x-user", "ada"), ("x-groups", "sre, web,")];
        let cases: [(&str, &[Line], Named); 7] = [
            ("10.7.0.1", &ada, Some(Some("ada"))),
            ("10.0.0.1", &ada, Some(None)),
            ("192.0.2.1", &ada, Some(None)),
            ("10.7.0.1", &[("x-groups", "sre")], Some(None)),
            ("10.7.0.1", &[("x-user", " ")], Some(None)),
            ("10.7.0.1", &[("x-user", "ada"), ("x-user", "bob")], None),
            ("10.7.0.1", &[("x-user", "a\tb")], None),
        ];
        for (peer, lines, expected) in cases {
            let found = person(&proxies(), &headers(lines), peer.parse().unwrap()).ok();
            let found = found.map(|person| person.map(|person| (person.name, person.groups)));
            let groups = vec!["sre".to_owned(), "web".to_owned()];
            let expected = expected.map(|name| name.map(|name| (name.to_owned(), groups)));
            assert_eq!(found, expected, "{peer} {lines:?}");
        }
    }
}
