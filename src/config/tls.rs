//! `server.tls`: the certificate that serin shows, and whose certificates it asks for.

use std::path::PathBuf;

use serde_json::json;

use super::accounts::http::CertificateFiles;
use super::section::Section;
use super::{Error, Result, ssl};

#[derive(Clone, Debug)]
pub struct Tls {
    pub own: CertificateFiles,
    /// None where nobody is asked for one.
    pub clients: Option<ClientCertificates>,
}

#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// PEM certificates; who signs those of clients.
    pub ca_file: PathBuf,
    /// Whether there is no connection without one.
    pub required: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Not,
    Optional,
    Required,
}

/// `server.tls`, or what Spring has in its place.
pub fn of(server: &mut Section<'_>) -> Result<Option<Tls>> {
    let own = server.section("tls", read)?;
    let is_own = own.is_some();
    let springs = server.section_if_given("ssl", |section| ssl::read(section, is_own))?;
    // It is shown as what it is read as.
    server.effective.shift_remove("ssl");
    let Some(tls) = springs.flatten() else {
        return Ok(own);
    };
    let clients = tls.clients.as_ref();
    let asked = clients.map(|clients| {
        if clients.required {
            "required"
        } else {
            "optional"
        }
    });
    server.effective["tls"] = json!({
        "certFile": tls.own.certificate,
        "keyFile": tls.own.key,
        "clientCaFile": clients.map(|clients| &clients.ca_file),
        "clientCertificates": asked,
    });
    Ok(Some(tls))
}

fn read(section: &mut Section<'_>) -> Result<Option<Tls>> {
    let own = CertificateFiles::read(section)?;
    let ca_file = section.text("clientCaFile")?.map(PathBuf::from);
    let asked = section.parsed_if_given("clientCertificates", |text| match text {
        "none" => Ok(Asked::Not),
        "optional" => Ok(Asked::Optional),
        "required" => Ok(Asked::Required),
        _ => Err("must be 'none', 'optional' or 'required'".to_owned()),
    })?;
    let asks = asked.is_some_and(|asked| asked != Asked::Not);
    if asks && ca_file.is_none() {
        return Err(Error(format!(
            "{} must be given: who signs the certificates that clients are asked for",
            section.path_of("clientCaFile")
        )));
    }
    let Some(own) = own else {
        return match ca_file {
            None => Ok(None),
            Some(_) => Err(Error(format!(
                "{} and keyFile must be given: without TLS nobody is asked for a certificate",
                section.path_of("certFile")
            ))),
        };
    };
    let asked = asked.unwrap_or(Asked::Required);
    let clients = ca_file.filter(|_| asked != Asked::Not);
    Ok(Some(Tls {
        own,
        clients: clients.map(|ca_file| ClientCertificates {
            ca_file,
            required: asked == Asked::Required,
        }),
    }))
}
