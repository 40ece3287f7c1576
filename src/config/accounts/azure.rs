//! Containers of Azure Blob Storage.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::http::other_url;
use super::{Account, Face, Kind, ROOT_FOLDER, Sources, Store, name, of_two_switches, store_types};
use crate::config::section::Section;
use crate::config::{Error, Result, scalar};

/// Of Azure's public cloud.
const SUFFIX: &str = "core.windows.net";
const TIMEOUT: &str = "45s";
const AUTHORITY: &str = "https://login.microsoftonline.com";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

pub const KIND: Kind = Kind {
    section: "azure",
    switches: &["blobs"],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "azure",
    title: "Azure Blob Storage",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct AzureAccount {
    pub container: String,
    pub root_folder: String,
    /// What the container lies below; without a trailing slash.
    pub url: String,
    pub credentials: AzureCredentials,
    /// Total time for one request, retries included.
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum AzureCredentials {
    /// The key of the storage account, in base64.
    Key {
        account: String,
        key: SecretString,
    },
    /// A shared access signature.
    Sas(SecretString),
    Identity(AzureIdentity),
}

/// Who serin runs as.
#[derive(Clone, Debug)]
pub struct AzureIdentity {
    /// Which of several identities.
    pub client_id: Option<String>,
    pub giver: AzureGiver,
}

/// Who gives tokens; Azure's own tools find it in the environment.
#[derive(Clone, Debug)]
pub enum AzureGiver {
    /// Entra ID, for an app that proves what it is.
    Directory {
        /// Without a trailing slash.
        authority: String,
        tenant: String,
        proof: AzureProof,
    },
    /// An app of App Service or Container Apps.
    App {
        endpoint: String,
        header: SecretString,
    },
    /// The metadata of a machine.
    Machine { url: String },
}

#[derive(Clone, Debug)]
pub enum AzureProof {
    /// Of a pod of Kubernetes, whose own token lies there.
    File(PathBuf),
    Secret(SecretString),
}

/// What a connection string says; each of it may stand in a key of its own instead.
#[derive(Default)]
struct Connection {
    account: Option<String>,
    key: Option<SecretString>,
    sas: Option<SecretString>,
    suffix: Option<String>,
    url: Option<String>,
}

fn read(kayenta: &mut Section<'_>, _: &mut Sources) -> Result<Vec<Account>> {
    of_two_switches(kayenta, KIND.section, "blobs", FACE.title, |section| {
        account(section).map(Some)
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let account = section.parsed_if_given("storageAccountName", storage_account)?;
    let key = section.secret("accountAccessKey")?;
    let sas = section.secret("sasToken")?;
    let connection = connection(section)?;
    let own = Own {
        client_id: section.text("clientId")?,
        tenant_id: section.text("tenantId")?,
        client_secret: section.secret("clientSecret")?,
    };
    let suffix = section.parsed_if_given("endpointSuffix", suffix)?;
    let url = other_url(section)?;
    let container = section.parsed("container", container)?;
    let root_folder = section.text_or("rootFolder", ROOT_FOLDER)?;
    let timeout = section.duration_or("timeout", TIMEOUT, Duration::from_secs(1))?;
    let supported_types = store_types(section, &name)?;

    let given = Connection {
        account: one(section, "storageAccountName", account, connection.account)?,
        key: one(section, "accountAccessKey", key, connection.key)?,
        sas: one(section, "sasToken", sas, connection.sas)?,
        suffix: one(section, "endpointSuffix", suffix, connection.suffix)?,
        url: one(section, "endpoint.baseUrl", url, connection.url)?,
    };
    let address = address(section, &given)?;
    let account = AzureAccount {
        container: container.clone(),
        root_folder: root_folder.clone(),
        url: address.clone(),
        credentials: credentials(section, given, own)?,
        timeout,
    };
    let face = Face {
        bucket: Some(container),
        server: Some(address),
        root_folder: Some(root_folder),
        ..FACE
    };
    Ok(Account {
        store: Some(Store::Azure(account)),
        ..super::account(section, name, supported_types, face)?
    })
}

/// What an account says of who asks, without a key or a signature.
struct Own {
    client_id: Option<String>,
    tenant_id: Option<String>,
    client_secret: Option<SecretString>,
}

/// What stands in a key or in the connection string, and not in both.
fn one<T>(
    section: &Section<'_>,
    key: &str,
    given: Option<T>,
    connected: Option<T>,
) -> Result<Option<T>> {
    if given.is_some() && connected.is_some() {
        let (key, connection) = (section.path_of(key), section.path_of("connectionString"));
        return Err(Error(format!(
            "{key} is given, and {connection} says the same: one of both is wanted"
        )));
    }
    Ok(given.or(connected))
}

fn address(section: &Section<'_>, given: &Connection) -> Result<String> {
    match (&given.url, &given.account) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(account)) => {
            let suffix = given.suffix.as_deref().unwrap_or(SUFFIX);
            Ok(format!("https://{account}.blob.{suffix}"))
        }
        (None, None) => Err(missing(section, "storageAccountName")),
    }
}

fn credentials(section: &Section<'_>, given: Connection, own: Own) -> Result<AzureCredentials> {
    let members = [
        ("clientId", own.client_id.is_some()),
        ("tenantId", own.tenant_id.is_some()),
        ("clientSecret", own.client_secret.is_some()),
    ];
    let member = members.into_iter().find(|(_, is_given)| *is_given);
    if let (Some((key, _)), true) = (member, given.key.is_some() || given.sas.is_some()) {
        return Err(Error(format!(
            "{} is of use without a key or a signature only",
            section.path_of(key)
        )));
    }
    match (given.key, given.sas) {
        (Some(key), None) => {
            let account = given.account;
            let account = account.ok_or_else(|| missing(section, "storageAccountName"))?;
            Ok(AzureCredentials::Key { account, key })
        }
        (None, Some(token)) => {
            let token = token.expose_secret().trim().trim_start_matches('?');
            Ok(AzureCredentials::Sas(token.into()))
        }
        (Some(_), Some(_)) => Err(Error(format!(
            "{} and {} are both given: one of them is wanted",
            section.path_of("accountAccessKey"),
            section.path_of("sasToken"),
        ))),
        (None, None) => identity(section, own).map(AzureCredentials::Identity),
    }
}

/// With the secret of the account, else as Azure's own tools find it: that of a pod, that of an app with its secret,
/// of an app of Azure, else of the machine.
fn identity(section: &Section<'_>, own: Own) -> Result<AzureIdentity> {
    let environment = section.context().environment;
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let secret = own.client_secret.map(|secret| {
        let key = section.path_of("clientSecret");
        (format!("{key} is given"), AzureProof::Secret(secret))
    });
    let found = || {
        let file = variable(TOKEN_FILE).map(|file| (TOKEN_FILE, AzureProof::File(file.into())));
        let found = file.or_else(|| {
            let secret = variable(SECRET)?.as_str();
            Some((SECRET, AzureProof::Secret(secret.into())))
        });
        found.map(|(name, proof)| (format!("{name} is set"), proof))
    };
    if let Some((what, proof)) = secret.or_else(found) {
        let client_id = own
            .client_id
            .or_else(|| variable("AZURE_CLIENT_ID").cloned());
        let tenant = own
            .tenant_id
            .or_else(|| variable("AZURE_TENANT_ID").cloned());
        let (Some(client_id), Some(tenant)) = (client_id, tenant) else {
            let (id, tenant) = (section.path_of("clientId"), section.path_of("tenantId"));
            return Err(Error(format!(
                "{what}; {id} and {tenant} are wanted with it, or AZURE_CLIENT_ID and AZURE_TENANT_ID"
            )));
        };
        let authority = variable("AZURE_AUTHORITY_HOST").map_or(AUTHORITY, String::as_str);
        return Ok(AzureIdentity {
            client_id: Some(client_id),
            giver: AzureGiver::Directory {
                authority: authority.trim_end_matches('/').to_owned(),
                tenant,
                proof,
            },
        });
    }
    if own.tenant_id.is_some() {
        let tenant = section.path_of("tenantId");
        return Err(Error(format!(
            "{tenant} is given, and neither a clientSecret nor {TOKEN_FILE}"
        )));
    }
    let client_id = own.client_id;
    let app = (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER"));
    let giver = match app {
        (Some(endpoint), Some(header)) => AzureGiver::App {
            endpoint: endpoint.clone(),
            header: header.as_str().into(),
        },
        _ => AzureGiver::Machine {
            url: METADATA.to_owned(),
        },
    };
    Ok(AzureIdentity { client_id, giver })
}

fn missing(section: &Section<'_>, key: &str) -> Error {
    Error(format!("{} must be given", section.path_of(key)))
}

/// As the portal of Azure shows it: `AccountName=…;AccountKey=…;EndpointSuffix=…`.
fn connection(section: &mut Section<'_>) -> Result<Connection> {
    let Some(text) = section.secret("connectionString")? else {
        return Ok(Connection::default());
    };
    let path = section.path_of("connectionString");
    // What is wrong with it is told without what stands there.
    let wrong = |why: &str| Error(format!("{path}: {why}"));
    let mut connection = Connection::default();
    let mut scheme = "https";
    let parts = text.expose_secret().split(';').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let pair = part.split_once('=');
        let (key, value) = pair.ok_or_else(|| {
            wrong("parts are wanted with ';' between them, each a name, '=' and a value")
        })?;
        match key.trim().to_ascii_lowercase().as_str() {
            "accountname" => {
                let account = storage_account(value).map_err(|why| wrong(&why))?;
                connection.account = Some(account);
            }
            "accountkey" => connection.key = Some(value.into()),
            "sharedaccesssignature" => connection.sas = Some(value.into()),
            "endpointsuffix" => {
                connection.suffix = Some(suffix(value).map_err(|why| wrong(&why))?);
            }
            "blobendpoint" => {
                let url = scalar::without_credentials(value);
                connection.url = Some(url.map_err(|why| wrong(&format!("BlobEndpoint {why}")))?);
            }
            "defaultendpointsprotocol" if value == "http" => scheme = "http",
            "usedevelopmentstorage" => {
                return Err(wrong(
                    "UseDevelopmentStorage is not served: name BlobEndpoint, AccountName and AccountKey",
                ));
            }
            // Of other services, and what is so anyway.
            _ => {}
        }
    }
    if let ("http", None, Some(account)) = (scheme, &connection.url, &connection.account) {
        let suffix = connection.suffix.as_deref().unwrap_or(SUFFIX);
        connection.url = Some(format!("http://{account}.blob.{suffix}"));
    }
    Ok(connection)
}

/// Its name is the first label of a host.
fn storage_account(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if (3..=24).contains(&text.len()) && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("the name of a storage account has 3 to 24 lower-case letters and digits".to_owned())
}

fn container(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_named = (3..=63).contains(&text.len()) && text.chars().all(is_plain);
    let is_divided = text.starts_with('-') || text.ends_with('-') || text.contains("--");
    if is_named && !is_divided {
        return Ok(text.to_owned());
    }
    Err("must be 3 to 63 lower-case letters, digits and single '-' between them".to_owned())
}

fn suffix(text: &str) -> Result<String, String> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(name),
        _ => Err(format!(
            "must be the end of a host, as in '{SUFFIX}' or 'core.chinacloudapi.cn'"
        )),
    }
}
