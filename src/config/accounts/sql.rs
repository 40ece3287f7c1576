//! Kayenta's tables in PostgreSQL (`kayenta.sql`, at `spring.datasource`): where `serin import` finds documents,
//! and no account of a running serin.

use secrecy::SecretString;
use url::Url;

use super::{Account, Face, Store};
use crate::config::section::Section;
use crate::config::{Result, scalar};

/// What `serin import` calls it.
pub const SQL: &str = "sql";

const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

#[derive(Clone, Debug)]
pub struct SqlAccount {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// PostgreSQL's word for how the connection is encrypted.
    pub ssl_mode: Option<String>,
    /// Of the tables, if they are not where the user looks first.
    pub schema: Option<String>,
}

/// Where a datasource is.
enum Place {
    Postgres(Box<SqlAccount>),
    /// A database of that kind.
    Other(String),
}

/// `spring.datasource`; `to` is an account that keeps documents.
pub fn read(section: &mut Section<'_>, to: &str) -> Result<Option<SqlAccount>> {
    let place = section.parsed_if_given("url", place)?;
    let username = section.text("username")?;
    let password = section.secret("password")?;
    // Its driver and its pool.
    section.take_rest();
    let mut found = match place {
        Some(Place::Postgres(found)) => *found,
        None => {
            section.context().warn(format!(
                "kayenta.sql: {} does not say where Kayenta's tables are, so that 'serin import --from {SQL}' cannot read \
                 them; kayenta.sql.enabled: false ends this word",
                section.path_of("url")
            ));
            return Ok(None);
        }
        Some(Place::Other(kind)) => {
            section.context().warn(format!(
                "kayenta.sql: serin reads Kayenta's tables in PostgreSQL, and not in {kind}. Let Kayenta bring them \
                 into a bucket (kayenta.data-migration, with com.netflix.kayenta.sql.storage.SqlStorageService as its \
                 sourceStorageServiceClassName), and give serin that; kayenta.sql.enabled: false ends this word"
            ));
            return Ok(None);
        }
    };
    section.context().warn(format!(
        "kayenta.sql: serin keeps its documents in accounts, and reads Kayenta's tables only when it is told to: \
         'serin import --from {SQL} --to {to}' brings what is in them, and may be repeated; kayenta.sql.enabled: false \
         ends this word"
    ));
    found.username = username.or(found.username);
    found.password = password.or(found.password);
    Ok(Some(found))
}

/// For who brings documents from there.
pub fn account(sql: &SqlAccount) -> Account {
    Account {
        name: SQL.to_owned(),
        supported_types: Vec::new(),
        locations: Vec::new(),
        recommended_locations: Vec::new(),
        source: None,
        store: Some(Store::Sql(sql.clone())),
        face: Face {
            section: SQL,
            word: SQL,
            title: "SQL",
            ..Face::NONE
        },
    }
}

fn place(text: &str) -> Result<Place, String> {
    let wrong = || {
        "must be a JDBC URL of one server, as in 'jdbc:postgresql://host:5432/kayenta'".to_owned()
    };
    let below = text.strip_prefix("jdbc:").ok_or_else(wrong)?;
    let (kind, _) = below.split_once(':').ok_or_else(wrong)?;
    if kind != "postgresql" {
        return Ok(Place::Other(kind.to_owned()));
    }
    let url = Url::parse(below).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.contains(','));
    let host = host.ok_or_else(wrong)?;
    let mut found = SqlAccount {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(5432),
        database: scalar::percent_decoded(url.path().trim_start_matches('/')),
        username: None,
        password: None,
        ssl_mode: None,
        schema: None,
    };
    if found.database.is_empty() {
        return Err(wrong());
    }
    for (name, value) in url.query_pairs() {
        let value = value.into_owned();
        match name.as_ref() {
            "user" => found.username = Some(value),
            "password" => found.password = Some(value.into()),
            "currentSchema" => found.schema = Some(value),
            "sslmode" => found.ssl_mode = Some(ssl_mode(value)?),
            // As its driver takes it: a word of `sslmode` counts, wherever it stands.
            "ssl" if value != "false" => {
                found
                    .ssl_mode
                    .get_or_insert_with(|| "verify-full".to_owned());
            }
            _ => {}
        }
    }
    Ok(Place::Postgres(Box::new(found)))
}

fn ssl_mode(word: String) -> Result<String, String> {
    if SSL_MODES.contains(&word.as_str()) {
        return Ok(word);
    }
    Err(format!(
        "its sslmode must be one of {}",
        SSL_MODES.join(", ")
    ))
}
