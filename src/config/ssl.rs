//! `server.ssl`, as Spring's web server has it: what it says in PEM is served as `server.tls`, and where it
//! says what serin does not read, serin does not start without TLS.

use secrecy::ExposeSecret;

use super::context::warn_unserved;
use super::section::Section;
use super::tls::{ClientCertificates, Tls};
use super::{CertificateFiles, Error, Result, scalar};

/// What is of key stores, of the hardware behind them, or of Java.
const OF_STORES: [&str; 12] = [
    "key-alias",
    "key-password",
    "key-store",
    "key-store-password",
    "key-store-provider",
    "key-store-type",
    "protocol",
    "server-name-bundles",
    "trust-certificate-private-key",
    "trust-store-password",
    "trust-store-provider",
    "trust-store-type",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Not,
    Want,
    Need,
}

/// What `server.tls` would be; none where it is off, or `is_replaced` by that.
pub fn read(section: &mut Section<'_>, is_replaced: bool) -> Result<Option<Tls>> {
    let enabled = section.parsed_if_given("enabled", scalar::flag)?;
    // As in Spring, whatever else stands there switches it on.
    let enabled = enabled.unwrap_or(!section.is_empty());
    if is_replaced || !enabled {
        section.take_rest();
        return Ok(None);
    }
    refuse_stores(section)?;
    let certificate = file(section, "certificate")?;
    let key = file(section, "certificate-private-key")?;
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Err(Error(format!(
            "{} and certificate-private-key must be given where TLS is on: serin would listen without it; \
             {}: false switches it off",
            section.path_of("certificate"),
            section.path_of("enabled"),
        )));
    };
    let own = CertificateFiles {
        certificate: certificate.into(),
        key: key.into(),
    };
    let clients = clients(section)?;
    check_protocols(section)?;
    section.ignore(&OF_STORES);
    for (key, value) in section.take_rest() {
        warn_unserved(section.context(), &section.path_of(key), value);
    }
    Ok(Some(Tls { own, clients }))
}

/// Each with what makes PEM of it. Where there is PEM as well, a key store does not count.
fn refuse_stores(section: &mut Section<'_>) -> Result<()> {
    if section.is_given("bundle") {
        return Err(Error(format!(
            "{} names what spring.ssl has, which serin does not read: it does not start, as it would listen without \
             TLS. Give server.tls.certFile and server.tls.keyFile, in PEM",
            section.path_of("bundle")
        )));
    }
    if section.is_given("certificate") {
        return Ok(());
    }
    if let Some(store) = file(section, "key-store")? {
        let kind = section.text("key-store-type")?.unwrap_or_default();
        let path = section.path_of("key-store");
        return Err(Error(format!(
            "{path} is '{store}', and serin reads PEM: it does not start, as it would listen without TLS. \
             {}, and give server.tls.certFile and server.tls.keyFile that file, which then count in place of \
             server.ssl{}",
            pem_of(&store, &kind),
            for_clients(section)?,
        )));
    }
    Ok(())
}

fn pem_of(store: &str, kind: &str) -> String {
    let ending = store.rsplit('.').next().unwrap_or_default();
    let is_pkcs12 = if kind.is_empty() {
        ["p12", "pfx", "pkcs12"].contains(&ending.to_lowercase().as_str())
    } else {
        kind.eq_ignore_ascii_case("PKCS12")
    };
    if is_pkcs12 {
        return format!("Make it by 'openssl pkcs12 -nodes -in {store} -out serin.pem'");
    }
    format!(
        "Make it by 'keytool -importkeystore -srckeystore {store} -destkeystore serin.p12 -deststoretype PKCS12', \
         then 'openssl pkcs12 -nodes -in serin.p12 -out serin.pem'"
    )
}

/// What else `server.tls` needs, where clients are asked for certificates.
fn for_clients(section: &mut Section<'_>) -> Result<String> {
    let word = match asked(section)? {
        Asked::Not => return Ok(String::new()),
        Asked::Want => "optional",
        Asked::Need => "required",
    };
    let store = file(section, "trust-store")?;
    let store = store.unwrap_or_else(|| "TRUST_STORE".to_owned());
    Ok(format!(
        "; server.tls.clientCertificates: {word} and server.tls.clientCaFile ask clients for certificates, with what \
         'keytool -list -rfc -keystore {store} > ca.pem' writes"
    ))
}

fn clients(section: &mut Section<'_>) -> Result<Option<ClientCertificates>> {
    let asked = asked(section)?;
    let ca_file = file(section, "trust-certificate")?;
    let store = file(section, "trust-store")?;
    let required = match asked {
        Asked::Not => return Ok(None),
        Asked::Want => false,
        Asked::Need => true,
    };
    let ca_file = ca_file.ok_or_else(|| {
        let made = store.map_or_else(String::new, |store| {
            format!(", as 'keytool -list -rfc -keystore {store} > ca.pem' writes them")
        });
        Error(format!(
            "{} must be given: who signs the certificates that clients are asked for, in PEM{made}",
            section.path_of("trust-certificate")
        ))
    })?;
    Ok(Some(ClientCertificates {
        ca_file: ca_file.into(),
        required,
    }))
}

fn asked(section: &mut Section<'_>) -> Result<Asked> {
    let asked =
        section.parsed_if_given("client-auth", |text| match text.to_lowercase().as_str() {
            "none" => Ok(Asked::Not),
            "want" => Ok(Asked::Want),
            "need" => Ok(Asked::Need),
            _ => Err("must be 'none', 'want' or 'need'".to_owned()),
        })?;
    Ok(asked.unwrap_or(Asked::Not))
}

/// serin speaks 1.2 and 1.3: whoever wants less than that, or older ones, is told.
fn check_protocols(section: &mut Section<'_>) -> Result<()> {
    let path = section.path_of("enabled-protocols");
    let enabled = section.texts("enabled-protocols")?;
    let are_spoken = |one: &String| matches!(one.as_str(), "TLSv1.2" | "TLSv1.3");
    let is_met = enabled.iter().all(are_spoken) && enabled.iter().any(|one| one == "TLSv1.2");
    if !enabled.is_empty() && !is_met {
        section.context().warn(format!(
            "{path} is not heeded: serin speaks TLSv1.2 and TLSv1.3"
        ));
    }
    Ok(())
}

/// As Spring names a file. What it takes as well is the content of one, which may be a key: it is not shown.
fn file(section: &mut Section<'_>, key: &'static str) -> Result<Option<String>> {
    let Some(given) = section.secret(key)? else {
        return Ok(None);
    };
    let text = given.expose_secret();
    let wrong = |why: &str| Err(Error(format!("{} {why}", section.path_of(key))));
    if text.contains("-----BEGIN") {
        return wrong("must be the path of a file, and not what is in it");
    }
    if text.starts_with("classpath:") {
        return wrong("must be the path of a file: serin has no class path");
    }
    let path = text.strip_prefix("file:").unwrap_or(text);
    let path = path.strip_prefix("//").unwrap_or(path);
    Ok(Some(path.to_owned()))
}
