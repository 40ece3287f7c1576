//! Whom a client certificate names.

use std::fmt::Write;

use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::access::{Identity, Proof};

/// Names beside the subject that rules are held against.
const MOST_NAMES: usize = 64;

/// What a certificate that was verified says.
pub struct Shown {
    /// None where it names nobody.
    pub identity: Option<Identity>,
    /// In epoch milliseconds.
    pub ends: i64,
}

/// Of a certificate in DER.
pub fn shown(der: &[u8]) -> Option<Shown> {
    let certificate = Certificate::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let ends = certificate.validity().not_after.to_unix_duration();
    Some(Shown {
        identity: identity(certificate),
        ends: i64::try_from(ends.as_millis()).ok()?,
    })
}

/// Its subject as RFC 4514 writes it, else the first of the names beside it.
fn identity(certificate: &TbsCertificate) -> Option<Identity> {
    let mut name = String::new();
    write!(name, "{}", certificate.subject()).ok()?;
    let also = certificate.get_extension::<SubjectAltName>().ok()?;
    let also: Vec<String> = also.map_or_else(Vec::new, |(_, names)| {
        names.0.iter().filter_map(plain).take(MOST_NAMES).collect()
    });
    if name.is_empty() {
        name.clone_from(also.first()?);
    }
    Some(Identity {
        proof: Proof::Certificate,
        name,
        also,
        ..Identity::default()
    })
}

fn plain(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(name)
        | GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn names(subject: &[(DnType, &str)], also: Vec<SanType>) -> Option<(String, Vec<String>)> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = also;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let identity = shown(certificate.der()).unwrap().identity;
        identity.map(|identity| (identity.name, identity.also))
    }

    #[test]
    fn a_certificate_is_called_by_its_subject_or_a_name_beside_it() {
        use DnType::{CommonName, OrganizationName};
        let uri = || SanType::URI("spiffe://c/ns/orca".try_into().unwrap());
        let dns = SanType::DnsName("orca.spinnaker".try_into().unwrap());
        let mail = SanType::Rfc822Name("a@example.com".try_into().unwrap());
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        let cases = [
            (
                &[(CommonName, "orca")][..],
                vec![],
                Some(("CN=orca", &[][..])),
            ),
            (
                &[(OrganizationName, "Example"), (CommonName, "orca")],
                vec![dns, uri(), address.clone(), mail],
                Some((
                    "CN=orca,O=Example",
                    &["orca.spinnaker", "spiffe://c/ns/orca", "a@example.com"],
                )),
            ),
            (
                &[(CommonName, "a,O=Example")],
                vec![],
                Some(("CN=a\\,O=Example", &[])),
            ),
            (
                &[],
                vec![uri()],
                Some(("spiffe://c/ns/orca", &["spiffe://c/ns/orca"])),
            ),
            (&[], vec![address], None),
        ];
        for (subject, also, expected) in cases {
            let found = names(subject, also);
            let expected = expected.map(|(name, also)| {
                let also = also.iter().map(|name| (*name).to_owned());
                (name.to_owned(), also.collect::<Vec<_>>())
            });
            assert_eq!(found, expected, "{subject:?}");
        }
        assert!(shown(b"no certificate").is_none());
    }
}
