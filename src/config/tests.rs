use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value as Json;

use super::*;

mod access;
mod aws;
mod kayenta;
mod mistakes;
mod secrets;
mod sql;
mod stores;
mod tls;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Loads a file with these contents in this environment.
fn load_text(yaml: &str, variables: &[(&str, &str)]) -> Result<Loaded> {
    let mut file = tempfile::Builder::new()
        .suffix(".yml")
        .tempfile()
        .expect("a temporary file");
    file.write_all(yaml.as_bytes()).expect("it can be written");
    let options = LoadOptions {
        file: Some(file.path().to_owned()),
        ..LoadOptions::default()
    };
    load_from(&options, &environment(variables)).map_err(|Error(message)| {
        Error(message.replace(&file.path().display().to_string(), "serin.yml"))
    })
}

fn mistake(yaml: &str) -> String {
    match load_text(yaml, &[]) {
        Ok(_) => panic!("this was accepted:\n{yaml}"),
        Err(Error(message)) => message,
    }
}

fn names(config: &Config) -> Vec<&str> {
    let names = config.accounts.iter().map(|account| account.name.as_str());
    names.collect()
}

fn prometheus(account: &Account) -> &PrometheusAccount {
    match &account.source {
        Some(Source::Prometheus(prometheus)) => prometheus,
        other => panic!("not Prometheus: {other:?}"),
    }
}

fn s3(account: &Account) -> &S3Account {
    match &account.store {
        Some(Store::S3(s3)) => s3,
        other => panic!("not S3: {other:?}"),
    }
}

/// The keys of a tree, in order: `server.port`, `kayenta.aws.accounts[].name`.
fn paths(value: &Json) -> Vec<String> {
    fn walk(value: &Json, path: &str, found: &mut Vec<String>) {
        match value {
            Json::Object(members) if path.ends_with(".headers") => {
                assert!(!members.is_empty() || path.contains("accounts"));
                found.push(path.to_owned());
            }
            Json::Object(_) | Json::Null if path.ends_with(".claims") => {
                found.push(path.to_owned());
            }
            Json::Object(_) if path.ends_with(".endpointParams") => found.push(path.to_owned()),
            Json::Object(members) => {
                for (key, value) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(value, &format!("{path}{dot}{key}"), found);
                }
            }
            Json::Array(items) if items.iter().any(Json::is_object) => {
                for item in items {
                    walk(item, &format!("{path}[]"), found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// `config/serin.yml` with its example accounts.
fn with_examples() -> String {
    let lines = DEFAULTS.lines().map(|line| match line.split_once("#  ") {
        Some((indent, example)) if !indent.is_empty() && indent.trim().is_empty() => {
            format!("{indent}   {example}")
        }
        _ => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace("enabled: false", "enabled: true")
}

#[test]
fn without_any_configuration_serin_listens_on_loopback_and_stores_locally() {
    let loaded = load_from(&LoadOptions::default(), &BTreeMap::new()).unwrap();
    let config = loaded.config;
    assert_eq!(config.server.address, "127.0.0.1");
    assert_eq!(config.server.port, 8090);
    assert_eq!(config.server.max_body_bytes, 10 << 20);
    assert_eq!(config.database.url, "sqlite:serin-data/serin.db");
    assert_eq!(names(&config), ["local"]);
    let local = &config.accounts[0];
    assert_eq!(
        local.supported_types,
        [AccountType::ObjectStore, AccountType::ConfigurationStore]
    );
    match &local.store {
        Some(Store::File(file)) => {
            assert_eq!(file.directory, PathBuf::from("serin-data"));
            assert_eq!(file.root_folder, "kayenta");
        }
        other => panic!("not a directory: {other:?}"),
    }
    assert!(config.metric_name_validation && config.archive);
    assert_eq!(config.retry.statuses, [408, 429]);
    assert_eq!(config.retry.series, [5]);
    assert_eq!(config.retry.backoff, Duration::from_secs(1));
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn every_key_is_documented_and_every_documented_key_is_read() {
    let documented: Json = yaml_serde::from_str(&with_examples()).unwrap();
    let loaded = load_text(&with_examples(), &[]).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(
        names(&loaded.config),
        [
            "my-prometheus",
            "my-datadog",
            "my-signalfx",
            "my-newrelic",
            "my-graphite",
            "my-influxdb",
            "my-clickhouse",
            "my-wavefront",
            "my-atlas",
            "my-cloudwatch",
            "my-http",
            "my-s3",
            "my-google",
            "my-azure",
            "my-memory",
            "my-files"
        ]
    );
    assert_eq!(paths(&loaded.effective), paths(&documented));
}

#[test]
fn every_documented_key_has_a_comment() {
    let own_words: BTreeSet<&str> = ["enabled", "accounts", "name"].into();
    let lines: Vec<&str> = DEFAULTS.lines().map(str::trim).collect();
    let (start, _) = (lines.iter().enumerate())
        .find(|(_, line)| **line == "server:")
        .unwrap();
    let end = lines.iter().position(|line| *line == "kayenta:").unwrap();
    for index in start..end {
        let Some((key, _)) = lines[index].split_once(':') else {
            continue;
        };
        let is_section = lines[index].ends_with(':') && lines[index - 1].is_empty();
        if lines[index].starts_with('#') || is_section || own_words.contains(key) {
            continue;
        }
        assert!(
            lines[index - 1].starts_with('#'),
            "no comment above '{key}'"
        );
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let yaml = "server: {port: 1, address: a, public-url: 'http://a/'}\nlog.level: debug";
    let variables = [
        ("SERIN__SERVER__PORT", "2"),
        ("SERIN__SERVER__PUBLIC_URL", "https://b/serin"),
        ("SERIN__STORAGE__DIRECTORY", "elsewhere"),
        ("SERIN__KAYENTA__DISABLE__METRICNAME__VALIDATION", "true"),
        ("SERIN__KAYENTA__METRICS__RETRY__STATUSES", "429,503"),
        ("SERIN__KAYENTA__MEMORY__ENABLED", "true"),
        (
            "SERIN__KAYENTA__MEMORY__ACCOUNTS",
            "[{name: scratch, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}]",
        ),
        ("UNRELATED__SERVER__PORT", "3"),
    ];
    let loaded = load_text(yaml, &variables).unwrap();
    let config = &loaded.config;
    assert_eq!(config.server.port, 2);
    assert_eq!(config.server.address, "a");
    assert_eq!(config.server.public_url.as_deref(), Some("https://b/serin"));
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.database.url, "sqlite:elsewhere/serin.db");
    assert_eq!(config.retry.statuses, [429, 503]);
    assert!(!config.metric_name_validation);
    assert_eq!(names(config), ["scratch"]);

    let options = LoadOptions {
        overrides: vec![("server.port".to_owned(), "0".to_owned())],
        ..LoadOptions::default()
    };
    let loaded = load_from(&options, &environment(&variables)).unwrap();
    assert_eq!(loaded.config.server.port, 0);
}

#[test]
fn the_file_may_be_named_by_the_environment_and_must_be_there() {
    let variables = environment(&[("SERIN_CONFIG", "config/compose.yml")]);
    let Error(message) = load_from(&LoadOptions::default(), &variables).unwrap_err();
    assert!(
        message.contains("'${DATABASE_URL}' has no value"),
        "{message}"
    );

    let variables = environment(&[("SERIN_CONFIG", "absent.yml")]);
    let Error(message) = load_from(&LoadOptions::default(), &variables).unwrap_err();
    assert!(message.starts_with("cannot read the configuration 'absent.yml':"));

    for empty in ["", "# nothing but a comment\n", "---\n"] {
        assert_eq!(names(&load_text(empty, &[]).unwrap().config), ["local"]);
    }
}

#[test]
fn one_word_makes_an_account() {
    let variables = environment(&[
        ("SERIN_PROMETHEUS_URL", "http://p"),
        ("SERIN_SIGNALFX_REALM", "eu0"),
        ("SERIN_GOOGLE_PROJECT", "of-variable"),
        ("SFX_AUTH_TOKEN", "t"),
    ]);
    let google = |word: &str| {
        let shorthands = Shorthands {
            google: Some(word.to_owned()),
            ..Shorthands::default()
        };
        let options = LoadOptions {
            shorthands,
            ..LoadOptions::default()
        };
        load_from(&options, &variables)
    };
    let loaded = google("my-project").unwrap();
    assert_eq!(
        names(&loaded.config),
        ["prometheus", "signalfx", "google", "local"]
    );
    let [_, signalfx, google_account, _] = &loaded.config.accounts[..] else {
        panic!("{:?}", loaded.config.accounts);
    };
    let Some(Source::SignalFx(signalfx)) = &signalfx.source else {
        panic!("{signalfx:?}");
    };
    assert_eq!(signalfx.base_url, "https://stream.eu0.signalfx.com");
    assert_eq!(signalfx.access_token.as_ref().unwrap().expose_secret(), "t");
    let Some(Source::Stackdriver(stackdriver)) = &google_account.source else {
        panic!("{google_account:?}");
    };
    assert_eq!(stackdriver.project, "my-project");
    assert!(google_account.store.is_none() && loaded.warnings.is_empty());
    // What is shown can be read again.
    let shown = print(&loaded.effective).replace("accessToken: '***'", "accessToken: t");
    let again = load_text(&shown, &[]).unwrap();
    assert_eq!(names(&again.config), names(&loaded.config));

    let at = google("https://private.example.com/my-project").unwrap();
    let Some(Source::Stackdriver(account)) = &at.config.accounts[2].source else {
        panic!("{:?}", at.config.accounts);
    };
    assert_eq!(
        (account.url.as_str(), account.project.as_str()),
        ("https://private.example.com", "my-project")
    );
    for (word, part) in [
        ("a/b", "must be a project, or an address"),
        ("https://host", "must be a project, or an address"),
        ("ftp://host/p", "must begin with 'http://'"),
    ] {
        let told = google(word).unwrap_err().to_string();
        assert!(told.contains(part) && told.contains("--google"), "{told}");
    }
    let without = environment(&[("SERIN_SIGNALFX_REALM", "eu0")]);
    let told = load_from(&LoadOptions::default(), &without)
        .unwrap_err()
        .to_string();
    assert!(told.contains("SFX_AUTH_TOKEN"), "{told}");
}

#[test]
fn datadog_needs_its_keys() {
    let options = LoadOptions {
        shorthands: Shorthands {
            datadog: Some("datadoghq.eu".to_owned()),
            ..Shorthands::default()
        },
        ..LoadOptions::default()
    };
    let told = load_from(&options, &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(told.contains("DD_API_KEY"), "{told}");
    let keys = environment(&[("DD_API_KEY", "k${x"), ("DD_APP_KEY", "a")]);
    let loaded = load_from(&options, &keys).unwrap();
    let account = &loaded.config.accounts[0];
    let Some(Source::Datadog(datadog)) = &account.source else {
        panic!("{account:?}");
    };
    assert_eq!(datadog.base_url, "https://api.datadoghq.eu");
    assert_eq!(datadog.app_url, "https://app.datadoghq.eu");
    let key = datadog.api_key.as_ref().unwrap();
    assert_eq!(key.expose_secret(), "k${x");
}
