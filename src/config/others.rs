//! What stands in the files that Kayenta reads and is none of serin's: what needs no word, and what to say of the
//! rest.

use ::config::{Value, ValueKind};

use super::context::{origin, warn_unserved};
use super::scalar::{self, nearest};
use super::section::Section;
use super::{Error, Result};

/// Sections beside Kayenta's own in the files that it reads; none of them is a mistyped one of ours.
pub const SPRING_SECTIONS: &[&str] = &[
    "redis",
    "keiko",
    "spring",
    "springdoc",
    "spectator",
    "management",
    "swagger",
    "retrofit",
    "retrofit2",
    "ok-http-client",
    "services",
    "security",
    "logging",
    "sql",
    "resilience4j",
    "orca",
    "queue",
];

/// Sections and keys that need no word: what they say is so without them, or is of machinery that serin
/// does not have and does not miss.
const NEEDLESS: &[&str] = &[
    // Slashes at the ends of paths.
    "url-handler",
    // Where Kayenta keeps what runs, and its index of the stores.
    "redis",
    "keiko",
    "kayenta.index",
    // Placeholders find them all the same.
    "services",
    "spring.application",
    // Who may call: everybody, in both.
    "kayenta.security",
    "kayenta.include-spring-security-authentication-in-pipeline-context",
    // Kayenta does not heed it either.
    "kayenta.netflix",
    // Names and doors of what is told: /health, /metrics and /swagger-ui are always there.
    "spectator",
    "swagger",
    "springdoc",
    "management.endpoint",
    "management.endpoints",
    "management.health",
    "management.metrics",
    // What is logged of classes.
    "logging",
    // Of Spring Data and Liquibase, which look after Kayenta's tables.
    "spring.jpa",
    "spring.liquibase",
    "spring.profiles",
    "retrofit.log-level",
    "retrofit2.log-level",
    // Time limits, which each kind of account has of its own.
    "ok-http-client.connect-timeout-ms",
    "ok-http-client.read-timeout-ms",
];

/// What Spring's web server reads beside address and port.
pub const SPRING_SERVER_KEYS: &[&str] = &[
    "servlet",
    "tomcat",
    "jetty",
    "undertow",
    "netty",
    "compression",
    "http2",
    "error",
    "shutdown",
    "forward-headers-strategy",
    "max-http-header-size",
    "max-http-request-header-size",
    "server-header",
    "connection-timeout",
];

fn is_needless(path: &str, value: &Value) -> bool {
    let is_known = |known: &&str| scalar::relax(known) == scalar::relax(path);
    if NEEDLESS.iter().any(is_known) {
        return true;
    }
    match &value.kind {
        ValueKind::Table(table) if !table.is_empty() => table
            .iter()
            .all(|(key, value)| is_needless(&format!("{path}.{key}"), value)),
        _ => false,
    }
}

/// What is left is not ours, unless it is a mistyped key of ours.
pub fn warn_of_rest(section: &mut Section<'_>, ours: &[&str], theirs: &[&str]) -> Result<()> {
    for (key, value) in section.take_rest() {
        let path = section.path_of(key);
        if is_needless(&path, value) {
            continue;
        }
        let is_theirs = theirs
            .iter()
            .any(|known| scalar::relax(known) == scalar::relax(key));
        match nearest(key, ours) {
            Some(near) if !is_theirs => {
                let origin = origin(value);
                return Err(Error(format!(
                    "unknown key '{path}' (in {origin}); did you mean '{near}'?"
                )));
            }
            _ => warn_unserved(section.context(), &path, value),
        }
    }
    Ok(())
}
