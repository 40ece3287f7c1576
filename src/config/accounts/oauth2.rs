//! Tokens of an authorization server, by the grant of client credentials.

use std::path::PathBuf;

use indexmap::IndexMap;
use secrecy::SecretString;

use super::http::CertificateFiles;
use crate::config::section::Section;
use crate::config::{Error, Result, scalar};

/// Where Entra ID is, unless the environment says otherwise.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// What Azure Monitor's Prometheus is reached with.
const AZURE_MONITOR: &str = "https://prometheus.monitor.azure.com/.default";

#[derive(Clone, Debug)]
pub struct OAuth2 {
    pub token_url: String,
    pub client_id: String,
    pub proof: Proof,
    pub scopes: Vec<String>,
    pub audience: Option<String>,
    /// What else the server wants to know.
    pub endpoint_params: IndexMap<String, SecretString>,
    /// PEM certificates to trust there beside the system's.
    pub ca_file: Option<PathBuf>,
    pub certificate: Option<CertificateFiles>,
}

/// How a client proves who it is; files are read for every token.
#[derive(Clone, Debug)]
pub enum Proof {
    Secret(SecretString),
    SecretFile(PathBuf),
    /// With what somebody whom the server trusts has signed (RFC 7523).
    AssertionFile(PathBuf),
}

/// Who fills in what a configuration does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    Nobody,
    /// The environment of a workload in Azure, for Azure Monitor.
    Azure,
}

impl OAuth2 {
    /// `None` where nothing is given.
    pub fn read(account: &mut Section<'_>, usual: Usual) -> Result<Option<Self>> {
        account.section("oauth2", |section| Self::of(section, usual))
    }

    fn of(section: &mut Section<'_>, usual: Usual) -> Result<Option<Self>> {
        let environment = &section.context().environment;
        let variable = |name: &str| {
            let value = environment.get(name).filter(|_| usual == Usual::Azure);
            value.filter(|value| !value.is_empty()).cloned()
        };
        let token_url = section.parsed_if_given("tokenUrl", scalar::without_credentials)?;
        let client_id = section.text("clientId")?;
        let given = [
            section.secret("clientSecret")?.map(Proof::Secret),
            section
                .text("clientSecretFile")?
                .map(|path| Proof::SecretFile(path.into())),
            section
                .text("clientAssertionFile")?
                .map(|path| Proof::AssertionFile(path.into())),
        ];
        let mut given = given.into_iter().flatten();
        let (proof, another) = (given.next(), given.next());
        let mut scopes = section.texts("scopes")?;
        let audience = section.text("audience")?;
        let endpoint_params = section.secrets_by_name("endpointParams")?;
        let ca_file = section.text("caFile")?.map(PathBuf::from);
        let certificate = CertificateFiles::read(section)?;

        let is_nothing = token_url.is_none() && client_id.is_none() && proof.is_none();
        let is_more = !scopes.is_empty() || audience.is_some() || !endpoint_params.is_empty();
        if usual == Usual::Nobody && is_nothing && !is_more {
            return Ok(None);
        }
        if another.is_some() {
            return Err(Error(format!(
                "{}, clientSecretFile and clientAssertionFile: one is enough",
                section.path_of("clientSecret")
            )));
        }
        let missing = |key: &'static str, variable: &str| {
            let path = section.path_of(key);
            Error(match usual {
                Usual::Nobody => format!("{path} must be given"),
                Usual::Azure => format!("{path}, or {variable} in the environment, must be given"),
            })
        };
        let of_workload = || {
            let authority =
                variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
            let tenant = variable("AZURE_TENANT_ID")?;
            let authority = authority.trim_end_matches('/');
            Some(format!("{authority}/{tenant}/oauth2/v2.0/token"))
        };
        let proof = proof.or_else(|| {
            let file = variable("AZURE_FEDERATED_TOKEN_FILE");
            let file = file.map(|path| Proof::AssertionFile(path.into()));
            file.or_else(|| Some(Proof::Secret(variable("AZURE_CLIENT_SECRET")?.into())))
        });
        if usual == Usual::Azure && scopes.is_empty() {
            scopes.push(AZURE_MONITOR.to_owned());
        }
        Ok(Some(Self {
            token_url: token_url
                .or_else(of_workload)
                .ok_or_else(|| missing("tokenUrl", "AZURE_TENANT_ID"))?,
            client_id: client_id
                .or_else(|| variable("AZURE_CLIENT_ID"))
                .ok_or_else(|| missing("clientId", "AZURE_CLIENT_ID"))?,
            proof: proof.ok_or_else(|| {
                let file = "AZURE_FEDERATED_TOKEN_FILE";
                match missing("clientSecret", file) {
                    Error(why) if usual == Usual::Nobody => Error(format!(
                        "{why}, or clientSecretFile, or clientAssertionFile"
                    )),
                    error => error,
                }
            })?,
            scopes,
            audience,
            endpoint_params,
            ca_file,
            certificate,
        }))
    }
}
