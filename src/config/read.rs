//! The keys of our own sections.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value as Json;
use tracing_subscriber::EnvFilter;

use super::accounts::{self, Additions, sql};
use super::context::Context;
use super::others::{SPRING_SECTIONS, SPRING_SERVER_KEYS, warn_of_rest};
use super::scalar;
use super::section::Section;
use super::shorthands::Shorthands;
use super::{
    Audit, Config, Database, Error, Executions, Limits, Log, LogFormat, Migration, RemoteJudge,
    Result, Retention, RetentionRule, Retry, Server, Sources, SqlAccount, Storage, Store, Tools,
};
use super::{access, actions, migration, notifications, tls};

const SECTIONS: &[&str] = &[
    "server",
    "access",
    "database",
    "storage",
    "executions",
    "limits",
    "retention",
    "notifications",
    "actions",
    "judge",
    "log",
    "traces",
    "audit",
    "spinnaker",
    "kayenta",
];

/// The sections of `kayenta` that serin reads beside those of accounts, as far as a mistyped one can
/// be told.
const KAYENTA_SECTIONS: &[&str] = &[
    "metrics",
    "disable",
    "default-archivers",
    "remote-judge",
    "data-migration",
];

/// Sections of `kayenta` that serin does not read.
const UNSERVED_KAYENTA_SECTIONS: &[&str] = &[
    "configbin",
    "index",
    "netflix",
    "security",
    "include-spring-security-authentication-in-pipeline-context",
];

/// Everything, from the sum of all layers. `file_order` has the keys of `kayenta` as the file has them.
pub fn read(
    context: &Context<'_>,
    file_order: &[String],
    shorthands: &Shorthands,
) -> Result<(Config, Json)> {
    let mut root = Section::new(context, "", Some(context.root))?;
    let server = root.section("server", server)?;
    let access = root.section("access", |section| access::read(section, &server))?;
    let storage = root.section("storage", |section| {
        Ok(Storage {
            directory: section.parsed("directory", |text| Ok(PathBuf::from(text)))?,
            refresh: section.duration("refresh", Duration::from_secs(1))?,
            replace_archives: section.flag("replaceArchives")?,
            refresh_timeout: section.duration("refreshTimeout", Duration::from_secs(1))?,
            max_object_bytes: section.size("maxObjectSize", 0)? as u64,
            min_free: section.parsed("minFree", scalar::spare)?,
        })
    })?;
    let database = root.section("database", |section| database(section, &storage))?;
    let executions = root.section("executions", executions)?;
    let limits = root.section("limits", limits)?;
    let retention = root.section("retention", retention)?;
    let recalibrate_every = root.section("calibration", |section| {
        section.parsed_if_given("every", scalar::duration_from(Duration::from_secs(1)))
    })?;
    let channels = root.section("notifications", notifications::read)?;
    let action_hosts = root.section("actions", actions::read)?;
    let fail_doubtful = root.section("judge", |section| {
        section.parsed("doubt", |text| match text {
            "tell" => Ok(false),
            "fail" => Ok(true),
            _ => Err("must be 'tell' or 'fail'".to_owned()),
        })
    })?;
    let log = root.section("log", log)?;
    let traces = root.section("traces", |section| {
        section.parsed_if_given("endpoint", |text| {
            let address = scalar::without_credentials(text)?;
            url::Url::parse(&address).map_err(|cause| cause.to_string())
        })
    })?;
    let audit = root.section("audit", |section| {
        Ok(Audit {
            keep: section.duration("keep", HOUR)?,
            log: section.flag("log")?,
            export_every: section.duration("exportEvery", Duration::from_secs(1))?,
        })
    })?;
    // Read where a secret of Kubernetes is wanted.
    root.section("spinnaker", |section| {
        section.section("secrets", |section| {
            let kubernetes = section.section("kubernetes", |section| section.flag("enabled"));
            warn_of_rest(section, &[], &[])?;
            kubernetes
        })?;
        warn_of_rest(section, &[], &[])
    })?;
    let kayenta = root.section("kayenta", |section| {
        let additions = Additions {
            shorthands,
            storage: &storage,
        };
        kayenta(section, file_order, &additions)
    })?;
    let sql = spring(&mut root, &kayenta)?;
    // Where it is in a database that serin does not read, that has been told.
    let is_there = sql.is_some() || !kayenta.is_in_sql;
    let migration = kayenta.migration;
    let migration = migration.filter(|it| is_there || it.from != sql::SQL);
    warn_of_rest(&mut root, SECTIONS, SPRING_SECTIONS)?;
    let config = Config {
        server,
        access,
        database,
        storage,
        executions,
        limits,
        retention,
        channels,
        action_hosts,
        fail_doubtful,
        recalibrate_every,
        log,
        traces,
        audit,
        accounts: kayenta.accounts,
        sources: kayenta.sources,
        sql,
        migration,
        retry: kayenta.retry,
        remote_judge: kayenta.remote_judge,
        metric_name_validation: kayenta.metric_name_validation,
        archive: kayenta.archive,
        secret_files: Arc::default(),
    };
    Ok((config, Json::Object(root.finish()?)))
}

fn server(section: &mut Section<'_>) -> Result<Server> {
    section.unserved(SPRING_SERVER_KEYS);
    if section.is_given("admin") {
        return Err(Error(format!(
            "{} is no key any more: a rule of access.rules says who has the role 'admin', as in \
             {{who: {{token: ops}}, may: [admin]}}",
            section.path_of("admin")
        )));
    }
    Ok(Server {
        address: section.parsed("address", |text| Ok(text.to_owned()))?,
        port: section.integer("port", 0..=u16::MAX)?,
        admin_address: section.parsed_if_given("adminAddress", host_and_port)?,
        tls: tls::of(section)?,
        public_url: section.parsed_if_given("publicUrl", |text| {
            let url = scalar::without_credentials(text)?;
            Ok(url.trim_end_matches('/').to_owned())
        })?,
        hosts: section.each("hosts", host)?,
        max_connections: section.integer("maxConnections", 1..=1_000_000_usize)?,
        max_body_bytes: section.size("maxBodySize", 1)?,
        body_memory: section.size("bodyMemory", 1)?,
        answer_memory: section.size("answerMemory", 1)?,
        request_timeout: section.duration("requestTimeout", Duration::from_millis(1))?,
        least_rate: section.size("leastRate", 1)?,
        cors: section.flag("cors")?,
        gate_aliases: section.flag("gateAliases")?,
        mcp: section.parsed("mcp", Tools::parse)?,
        header_timeout: section.duration("headerTimeout", Duration::from_millis(1))?,
        idle_timeout: section.duration("idleTimeout", Duration::from_millis(1))?,
        shutdown_grace: section.duration("shutdownGrace", Duration::ZERO)?,
    })
}

fn host_and_port(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(_) => Ok(text.to_owned()),
        None => {
            Err("must be an address and a port, as in '127.0.0.1:8091' or '[::1]:8091'".to_owned())
        }
    }
}

/// As browsers send it.
fn host(text: &str) -> Result<String, String> {
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(name),
        Ok(_) => Err("addresses are always taken".to_owned()),
        Err(_) => {
            Err("must be a name without scheme and port, as in 'serin.example.com'".to_owned())
        }
    }
}

fn database(section: &mut Section<'_>, storage: &Storage) -> Result<Database> {
    let embedded = format!("sqlite:{}", storage.directory.join("serin.db").display());
    let url = section.parsed_or("url", Some(&embedded), |text| {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if known.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(text.to_owned());
        }
        Err("must begin with 'sqlite:' or 'postgres://'".to_owned())
    })?;
    Ok(Database {
        url,
        max_connections: section.integer("maxConnections", 2..=1_000_u32)?,
        acquire_timeout: section.duration("acquireTimeout", Duration::from_millis(100))?,
        statement_timeout: section.duration("statementTimeout", Duration::from_millis(100))?,
        notify: section.flag("notify")?,
    })
}

fn executions(section: &mut Section<'_>) -> Result<Executions> {
    Ok(Executions {
        max_running: section.integer("maxRunning", 1..=10_000_usize)?,
        max_metrics: section.integer("maxMetrics", 1..=1_000_000_usize)?,
        deadline: section.duration("deadline", Duration::from_secs(1))?,
        max_waiting: section.integer("maxWaiting", 1..=10_000_000_u64)?,
        max_waiting_bytes: section.size("maxWaitingBytes", 1)? as u64,
        lease: section.duration("lease", Duration::from_secs(1))?,
        max_attempts: section.integer("maxAttempts", 1..=1_000_i64)?,
        retention: section.duration("retention", Duration::ZERO)?,
    })
}

fn limits(section: &mut Section<'_>) -> Result<Limits> {
    Ok(Limits {
        memory: section.parsed_if_given("memory", scalar::size_from(16 << 20))?,
        execution: section.size("execution", 1 << 20)?,
        query_text: section.size("queryText", 1)?,
        series: section.integer("series", 1..=10_000_000_usize)?,
        labels: section.integer("labels", 1..=1_000_000_usize)?,
        samples: section.integer("samples", 1..=1_000_000_000_usize)?,
    })
}

fn retention(section: &mut Section<'_>) -> Result<Retention> {
    let rule = retention_rule(section)?;
    let unowned_max_age = section.parsed_if_given("unownedMaxAge", scalar::duration_from(HOUR))?;
    let dry_run = section.flag("dryRun")?;
    let every = section.duration("every", Duration::from_secs(1))?;
    let mut applications = IndexMap::new();
    section.list("applications", |section| {
        let name = section.parsed("name", |text| Ok(text.to_owned()))?;
        let twice = format!("{} '{name}' stands twice", section.path_of("name"));
        match applications.insert(name, retention_rule(section)?) {
            Some(_) => Err(Error(twice)),
            None => Ok(Some(())),
        }
    })?;
    Ok(Retention {
        rule,
        applications,
        unowned_max_age,
        dry_run,
        every,
    })
}

/// What is younger may belong to what is still under way.
const HOUR: Duration = Duration::from_hours(1);

fn retention_rule(section: &mut Section<'_>) -> Result<RetentionRule> {
    Ok(RetentionRule {
        max_age: section
            .parsed_if_given("maxAge", scalar::duration_from(Duration::from_secs(1)))?,
        max_count: section.parsed_if_given("maxCount", |text| {
            let count = text.parse().ok().filter(|count| 0 < *count);
            count.ok_or_else(|| "must be a whole number of at least 1".to_owned())
        })?,
    })
}

fn log(section: &mut Section<'_>) -> Result<Log> {
    Ok(Log {
        level: section.parsed("level", log_filter)?,
        format: section.parsed("format", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("must be 'text' or 'json'".to_owned()),
        })?,
    })
}

fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let advice = || "must be a level (off, error, warn, info, debug, trace) or a filter, as in 'info,serin=debug'";
    // A filter takes a lone word that is no level for the name of a crate, and then logs nothing else.
    let directives = text.split(',').map(str::trim);
    let mistyped = directives
        .filter(|directive| !directive.contains(['=', '[']))
        .any(|directive| !LEVELS.contains(&directive.to_lowercase().as_str()));
    if mistyped || EnvFilter::try_new(text).is_err() {
        return Err(advice().to_owned());
    }
    Ok(text.to_owned())
}

struct Kayenta {
    accounts: Vec<super::Account>,
    sources: Sources,
    retry: Retry,
    remote_judge: Option<RemoteJudge>,
    metric_name_validation: bool,
    archive: bool,
    /// Whether its documents are in SQL.
    is_in_sql: bool,
    migration: Option<Migration>,
}

fn kayenta(
    section: &mut Section<'_>,
    file_order: &[String],
    additions: &Additions<'_>,
) -> Result<Kayenta> {
    let (sources, accounts) = accounts::read(section, file_order, additions)?;
    let retry = section.section("metrics", |section| section.section("retry", retry))?;
    let disabled = section.section("disable", |section| {
        section.section("metricname", |section| section.flag("validation"))
    })?;
    let archive = section.section("default-archivers", |section| section.flag("enabled"))?;
    let remote_judge = section.section("remote-judge", remote_judge)?;
    // Of a Kayenta that is left behind: they are shown where they are given.
    let is_in_sql = section.is_given("sql") && section.section("sql", in_sql)?;
    let migration = if section.is_given("data-migration") {
        section.section("data-migration", migration::read)?
    } else {
        None
    };
    // The first is always on, the second is what serin does by itself.
    section.ignore(&["standalone-canary-analysis", "serialization"]);
    let ours: Vec<&str> = KAYENTA_SECTIONS
        .iter()
        .copied()
        .chain(accounts::sections())
        .collect();
    warn_of_rest(section, &ours, UNSERVED_KAYENTA_SECTIONS)?;
    Ok(Kayenta {
        accounts,
        sources,
        retry,
        remote_judge,
        metric_name_validation: !disabled,
        archive,
        is_in_sql,
        migration,
    })
}

fn in_sql(section: &mut Section<'_>) -> Result<bool> {
    let enabled = section.flag_or("enabled", false);
    section.take_rest();
    enabled
}

/// `spring.datasource`, where Kayenta's documents are in it.
fn spring(root: &mut Section<'_>, kayenta: &Kayenta) -> Result<Option<SqlAccount>> {
    if !kayenta.is_in_sql && !root.is_given("spring") {
        return Ok(None);
    }
    let mut stores = kayenta.accounts.iter();
    let to = stores.find(|account| account.store.as_ref().is_some_and(Store::is_lasting));
    let to = to.map_or("ACCOUNT", |account| account.name.as_str());
    let found = root.section("spring", |section| {
        let found = if kayenta.is_in_sql {
            section.section("datasource", |section| sql::read(section, to))?
        } else {
            section.ignore(&["datasource"]);
            None
        };
        warn_of_rest(section, &[], &[])?;
        Ok(found)
    })?;
    if !kayenta.is_in_sql {
        root.effective.shift_remove("spring");
    }
    Ok(found)
}

fn remote_judge(section: &mut Section<'_>) -> Result<Option<RemoteJudge>> {
    let enabled = section.flag("enabled")?;
    let base_url = section.section("endpoint", |section| {
        let url = section.parsed_if_given("baseUrl", scalar::without_credentials)?;
        if enabled && url.is_none() {
            let path = section.path_of("baseUrl");
            return Err(Error(format!("{path} must be given")));
        }
        Ok(url)
    })?;
    Ok(base_url
        .filter(|_| enabled)
        .map(|base_url| RemoteJudge { base_url }))
}

fn retry(section: &mut Section<'_>) -> Result<Retry> {
    let milliseconds = |millis: u64| Duration::from_millis(millis);
    Ok(Retry {
        attempts: section.integer("attempts", 1..=1_000_usize)?,
        backoff: section
            .integer("backoffPeriodMultiplierMs", 0..=3_600_000)
            .map(milliseconds)?,
        statuses: section.each("statuses", |text| {
            scalar::status(text)
                .ok_or_else(|| "must be a status, as in '429' or 'TOO_MANY_REQUESTS'".to_owned())
        })?,
        series: section.each("series", |text| {
            scalar::status_series(text)
                .ok_or_else(|| "must be a series of statuses, as in 'SERVER_ERROR'".to_owned())
        })?,
        patience: None,
    })
}
