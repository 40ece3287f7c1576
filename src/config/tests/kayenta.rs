use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

#[test]
fn a_kayenta_yml_is_read_as_it_is() {
    let options = LoadOptions {
        file: Some(PathBuf::from("config/kayenta.yml")),
        ..LoadOptions::default()
    };
    let variables = environment(&[
        ("PROMETHEUS_PASSWORD", "pa${ss"),
        ("DATADOG_API_KEY", "key"),
        ("NEWRELIC_API_KEY", "key"),
        ("DATADOG_APPLICATION_KEY", "application"),
        ("WAVEFRONT_API_TOKEN", "token"),
    ]);
    let loaded = load_from(&options, &variables).unwrap();
    let config = &loaded.config;
    assert_eq!(
        names(config),
        [
            "production",
            "staging",
            "my-datadog",
            "my-newrelic",
            "my-wavefront",
            "my-atlas",
            "in-memory",
            "minio",
            "amazon"
        ]
    );

    let production = prometheus(&config.accounts[0]);
    assert_eq!(production.base_url, "http://prometheus.monitoring:9090");
    assert_eq!(production.username.as_deref(), Some("kayenta"));
    let password = production.password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), "pa${ss");
    assert_eq!(
        config.accounts[0].recommended_locations,
        ["eu-central-1", "us-east-1"]
    );
    let staging = prometheus(&config.accounts[1]);
    assert_eq!(
        staging.base_url,
        "https://prometheus.staging.example.com/prometheus"
    );
    assert!(staging.bearer_token.is_none() && staging.username_password_file.is_none());

    let minio = s3(&config.accounts[7]);
    assert_eq!(
        minio.endpoint.as_deref(),
        Some("https://minio.storage:9000")
    );
    let credentials = minio.credentials.as_ref().unwrap();
    assert_eq!(credentials.access_key.expose_secret(), "minio");
    assert_eq!(credentials.secret_key.expose_secret(), "minio-secret");
    let amazon = s3(&config.accounts[8]);
    assert_eq!(amazon.root_folder, "canary/kayenta");
    assert_eq!(amazon.profile_name.as_deref(), Some("canary"));
    assert!(amazon.credentials.is_none() && amazon.endpoint.is_none());
    assert_eq!(amazon.timeout, Duration::from_secs(45));
    assert_eq!(
        config.accounts[8].supported_types,
        [AccountType::ObjectStore]
    );

    assert_eq!(config.server.address, "0.0.0.0");
    assert_eq!(config.sources.prometheus.scope_label, "pod");
    let defaults = &config.sources.prometheus.test_controller_defaults;
    assert_eq!(defaults.start.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(config.retry.attempts, 5);
    assert_eq!(config.retry.backoff, Duration::from_millis(500));
    assert_eq!(config.retry.statuses, [408, 429, 502]);

    assert_eq!(
        loaded.warnings,
        [
            "kayenta.aws.accounts[1].proxyHost is not served by serin and is ignored",
            "kayenta.aws.accounts[2].bucket is not given: the account 'no-bucket' is left out",
        ]
    );
}

#[test]
fn nobody_is_told_of_a_section_whose_effect_is_there() {
    let cases = [
        // in the file                                                    who is told of
        ("url-handler: {trailing-slash: {enabled: true}}", None),
        ("keiko: {queue: {redis: {queue-name: q}}}", None),
        (
            "kayenta: {index: {enabled: true}, netflix: {judge: {tolerance: 0.2}}}",
            None,
        ),
        (
            "okHttpClient: {connectTimeoutMs: 1, readTimeoutMs: 2}",
            None,
        ),
        // What would be missed.
        (
            "ok-http-client: {read-timeout-ms: 2, trust-store: /t.p12}",
            Some("ok-http-client"),
        ),
        (
            "management: {endpoint: {health: {}}, server.port: 1}",
            Some("management"),
        ),
        ("sql: {enabled: true}", Some("sql")),
        ("kayenta: {sql: {enabled: false}, dataMigration: {}}", None),
        (
            "spring: {datasource: {url: '${NOWHERE}'}, jpa: {show-sql: true}}",
            None,
        ),
        ("spring: {cloud: {config: {}}}", Some("spring.cloud")),
    ];
    for (text, told) in cases {
        let loaded = load_text(text, &[]).unwrap();
        let told = told.map(|what| format!("{what} is not served by serin and is ignored"));
        let warnings = loaded.warnings.iter();
        // What is to be done without it may stand behind.
        let warnings = warnings.map(|warning| warning.split(": ").next().unwrap());
        assert_eq!(
            warnings.collect::<Vec<_>>(),
            Vec::from_iter(told.as_deref()),
            "{text}"
        );
    }
}

#[test]
fn the_file_of_the_composition_is_read() {
    let options = LoadOptions {
        file: Some(PathBuf::from("config/compose.yml")),
        ..LoadOptions::default()
    };
    let variables = environment(&[
        ("DATABASE_URL", "postgres://serin:secret@postgres/serin"),
        ("S3_ACCESS_KEY", "a"),
        ("S3_SECRET_KEY", "b"),
    ]);
    let loaded = load_from(&options, &variables).unwrap();
    assert!(loaded.config.database.url.ends_with("@postgres/serin"));
    assert_eq!(names(&loaded.config), ["prometheus", "s3"]);
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn accounts_keep_the_order_of_the_file_and_print_in_it() {
    let yaml = "
kayenta:
  file: {enabled: true, accounts: [{name: f, directory: d, supportedTypes: [OBJECT_STORE]}]}
  s3: {enabled: true}
  aws: {enabled: true, accounts: [{name: b, bucket: x}, {name: a, bucket: x}]}
  prometheus: {enabled: true, accounts: [{name: p, endpoint: {baseUrl: 'http://p'}}]}
";
    let loaded = load_text(yaml, &[("SERIN_PROMETHEUS_URL", "http://q:9090/")]).unwrap();
    assert_eq!(names(&loaded.config), ["f", "b", "a", "p", "prometheus"]);
    assert_eq!(
        prometheus(&loaded.config.accounts[4]).base_url,
        "http://q:9090"
    );
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);

    let printed = print(&loaded.effective);
    let again = load_text(&printed, &[]).unwrap();
    assert_eq!(names(&again.config), names(&loaded.config));
    assert_eq!(print(&again.effective), printed);
    assert_eq!(again.warnings, [""; 0]);
}

#[test]
fn local_stores_what_no_other_account_does_and_stands_last() {
    let cases = [
        // supportedTypes of one S3 account       accounts
        ("[OBJECT_STORE, CONFIGURATION_STORE]", vec!["s3"]),
        ("[OBJECT_STORE]", vec!["s3", "local"]),
        ("[CONFIGURATION_STORE]", vec!["s3", "local"]),
    ];
    for (types, expected) in cases {
        let yaml = format!(
            "kayenta:
  s3.enabled: true
  aws: {{enabled: true, accounts: [{{name: s3, bucket: b, supportedTypes: {types}}}]}}"
        );
        let loaded = load_text(&yaml, &[]).unwrap();
        assert_eq!(names(&loaded.config), expected, "{types}");
        let again = load_text(&print(&loaded.effective), &[]).unwrap();
        assert_eq!(names(&again.config), expected, "{types}");
    }
}

#[test]
fn two_accounts_of_one_name_are_a_mistake() {
    let memory = "memory: {enabled: true, accounts: [{name: prometheus}]}";
    let message = mistake(&format!(
        "kayenta: {{{memory}, file: {{enabled: true, accounts: [{{name: prometheus, directory: d}}]}}}}"
    ));
    assert!(
        message.starts_with(
            "two accounts are named 'prometheus', in kayenta.memory and in kayenta.file;"
        ),
        "{message}"
    );
    let shorthand = [("SERIN_PROMETHEUS_URL", "http://p")];
    let Error(message) = load_text(&format!("kayenta: {{{memory}}}"), &shorthand).unwrap_err();
    assert!(
        message.starts_with("two accounts are named 'prometheus'"),
        "{message}"
    );
}

#[test]
fn what_nobody_switched_on_is_ignored_with_one_warning() {
    let cases = [
        (
            "kayenta: {google: {enabled: false, accounts: [{name: g}]}}",
            vec![],
        ),
        (
            "kayenta: {prometheus: {enabled: 'no', accounts: [{nam: p}]}}",
            vec![],
        ),
        (
            "kayenta: {prometheus: {accounts: [{name: p}]}}",
            vec![
                "kayenta.prometheus.accounts is ignored, as kayenta.prometheus.enabled is not true",
            ],
        ),
        (
            "kayenta: {aws: {accounts: [{name: a, bucket: b}]}, s3: {enabled: true}}",
            vec!["kayenta.aws.accounts is ignored, as kayenta.aws.enabled is not true"],
        ),
        (
            "kayenta: {s3: {enabled: true}}",
            vec![
                "kayenta.aws.enabled is not true: S3 needs both kayenta.aws.enabled and kayenta.s3.enabled",
            ],
        ),
        (
            "kayenta: {aws: {enabled: true, accounts: [{name: a, bucket: b}]}}",
            vec![
                "kayenta.s3.enabled is not true: S3 needs both kayenta.aws.enabled and kayenta.s3.enabled",
            ],
        ),
        (
            "kayenta: {unheard-of: {a: 1}}\nanother: [1]",
            vec![
                "kayenta.unheard-of is not served by serin and is ignored",
                "another is not served by serin and is ignored",
            ],
        ),
        (
            "server: {ssl: {enabled: false, key-store: '${NOWHERE}'}}",
            vec![],
        ),
        (
            "kayenta: {configbin: {enabled: true, accounts: [{name: c}]}}\nsql: {connection: '${NOWHERE}'}",
            vec![
                "kayenta.configbin is not served by serin and is ignored: it is a store within Netflix. Another account \
                 keeps configs, and 'serin canary-config put' brings them there; its accounts are not available: c",
                "sql is not served by serin and is ignored: what runs is kept where database.url says",
            ],
        ),
    ];
    for (yaml, expected) in cases {
        let loaded = load_text(yaml, &[]).unwrap();
        assert_eq!(loaded.warnings, expected, "{yaml}");
        assert_eq!(names(&loaded.config), ["local"], "{yaml}");
    }
}

#[test]
fn names_of_loggers_do_not_trouble_the_reading_of_dotted_keys() {
    let yaml = "logging: {level: {org.spring: INFO, org.spring.web: DEBUG}}\nserver.port: 1\nserver: {address: a}";
    let loaded = load_text(yaml, &[]).unwrap();
    assert_eq!(loaded.config.server.port, 1);
    assert_eq!(loaded.config.server.address, "a");
}

#[test]
fn yaml_words_stay_texts() {
    let yaml = "
kayenta:
  prometheus:
    enabled: on
    accounts: [{name: y, username: 010, password: 1.0, endpoint: {baseUrl: 'http://p'}}]";
    let loaded = load_text(yaml, &[]).unwrap();
    let account = &loaded.config.accounts[0];
    assert_eq!(account.name, "y");
    assert_eq!(prometheus(account).username.as_deref(), Some("010"));
    let password = prometheus(account).password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), "1.0");
}

#[test]
fn a_google_account_is_of_the_services_that_are_switched_on() {
    let all =
        "project: p, bucket: b, supportedTypes: [METRICS_STORE, OBJECT_STORE, CONFIGURATION_STORE]";
    let cases: [(&str, &str, &[&str], &[&str]); 8] = [
        // switched on       the account    its types        what is told
        (
            "gcs stackdriver",
            all,
            &["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"],
            &[],
        ),
        (
            "gcs",
            all,
            &["OBJECT_STORE", "CONFIGURATION_STORE"],
            &["kayenta.stackdriver.enabled is not true: the account 'g' is no METRICS_STORE"],
        ),
        (
            "stackdriver",
            "project: p, supportedTypes: [METRICS_STORE, OBJECT_STORE]",
            &["METRICS_STORE"],
            &["kayenta.gcs.enabled is not true: the account 'g' is no OBJECT_STORE"],
        ),
        ("stackdriver", "project: p", &["METRICS_STORE"], &[]),
        (
            "gcs",
            "project: p",
            &[],
            &["kayenta.stackdriver.enabled is not true: the account 'g' is no METRICS_STORE"],
        ),
        (
            "gcs",
            "supportedTypes: [OBJECT_STORE]",
            &[],
            &["kayenta.google.accounts[0].bucket is not given: the account 'g' is left out"],
        ),
        (
            "stackdriver",
            "supportedTypes: [METRICS_STORE]",
            &[],
            &["kayenta.google.accounts[0].project is not given: the account 'g' is left out"],
        ),
        (
            "stackdriver",
            "project: p, jsonPath: /nosuch.json",
            &[],
            &[
                "kayenta.google.accounts[0].jsonPath: there is no file '/nosuch.json': the account 'g' is left out",
            ],
        ),
    ];
    for (switches, account, types, told) in cases {
        let on = |name| switches.contains(name);
        let yaml = format!(
            "kayenta:
  google: {{enabled: true, accounts: [{{name: g, {account}}}]}}
  gcs: {{enabled: {}}}
  stackdriver: {{enabled: {}, metadata-caching-interval-ms: 60000}}",
            on("gcs"),
            on("stackdriver"),
        );
        let loaded = load_text(&yaml, &[]).unwrap();
        let mut accounts = loaded.config.accounts.iter();
        let google = accounts.find(|account| account.name == "g");
        let found = google.map_or(Vec::new(), |google| google.supported_types.clone());
        let found: Vec<_> = found.into_iter().map(AccountType::as_str).collect();
        assert_eq!(found, types, "{switches} {account}");
        assert_eq!(loaded.warnings, told, "{switches} {account}");
        let keeps = google.is_some_and(|google| google.store.is_some());
        assert_eq!(
            keeps,
            types.contains(&"OBJECT_STORE"),
            "{switches} {account}"
        );
    }
}

#[test]
fn cloud_storage_is_where_it_is_said_to_be() {
    let cases = [
        // endpoint                     STORAGE_EMULATOR_HOST   asked
        ("", "", "https://storage.googleapis.com"),
        ("", "localhost:4443", "http://localhost:4443"),
        ("", "http://gcs:4443/", "http://gcs:4443"),
        ("", "https://gcs:4443", "https://gcs:4443"),
        (
            "endpoint: {baseUrl: 'https://private/'}",
            "localhost:4443",
            "https://private",
        ),
    ];
    for (endpoint, emulator, expected) in cases {
        let yaml = format!(
            "kayenta:
  gcs.enabled: true
  google: {{enabled: true, accounts: [{{name: g, bucket: b, supportedTypes: [OBJECT_STORE], {endpoint}}}]}}"
        );
        let loaded = load_text(&yaml, &[("STORAGE_EMULATOR_HOST", emulator)]).unwrap();
        let Some(Store::Gcs(gcs)) = &loaded.config.accounts[0].store else {
            panic!("{loaded:?}");
        };
        assert_eq!(gcs.url, expected, "{endpoint} {emulator}");
        let is_a_stand_in = expected.contains(":4443");
        assert_eq!(
            gcs.google.is_asked_with_tokens(&gcs.url),
            !is_a_stand_in,
            "{expected}"
        );
    }
}
