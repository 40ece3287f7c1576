//! A `kayenta.yml` with every section that Kayenta knows.

use std::collections::BTreeMap;

use serde_json::json;
use serin::config::{AccountType, LoadOptions, load_from};

use crate::harness::Serin;

/// As Kayenta's own file has them, filled in.
const EVERY_SECTION: &str = "
server: {port: 0, address: 127.0.0.1, ssl: {enabled: false}}
services: {redis: {baseUrl: 'redis://redis:6379'}}
redis: {connection: '${services.redis.baseUrl}', timeout: 2000}
keiko: {queue: {redis: {queueName: kayenta.keiko.queue, deadLetterQueueName: kayenta.keiko.queue.deadLetters}}}
spring:
  application: {name: kayenta}
  datasource: {driver-class-name: org.postgresql.Driver, url: 'jdbc:postgresql://127.0.0.1:9/kayenta', username: u, password: p}
logging: {level: {root: INFO}}
management.endpoints.web.exposure.include: '*'
management.endpoint.health.show-details: always
spectator: {applicationName: '${spring.application.name}', webEndpoint: {enabled: true}}
swagger: {enabled: true, patterns: [.*]}
retrofit: {log-level: BASIC}
ok-http-client: {connectTimeoutMs: 5000, readTimeoutMs: 120000}
kayenta:
  security: {enabled: true}
  include-spring-security-authentication-in-pipeline-context: false
  disable: {metricname: {validation: false}}
  default-archivers: {enabled: true}
  serialization: {writeDatesAsTimestamps: false, writeDurationsAsTimestamps: false}
  standaloneCanaryAnalysis: {enabled: true}
  metrics: {retry: {series: SERVER_ERROR, statuses: 'REQUEST_TIMEOUT, TOO_MANY_REQUESTS', attempts: 10, backoffPeriodMultiplierMs: 1000}}
  index: {enabled: true, heartbeatIntervalMS: 5000}
  netflix: {judge: {tolerance: 0.25, confLevel: 0.98}}
  remoteJudge: {enabled: true, endpoint: {baseUrl: 'http://judge:8080'}}
  configbin:
    enabled: true
    accounts:
      - {name: my-configbin, endpoint: {baseUrl: 'http://127.0.0.1:9'}, ownerApp: kayenta, configType: canary, supportedTypes: [CONFIGURATION_STORE]}
  sql: {enabled: true}
  data-migration:
    enabled: true
    sourceStorageServiceClassName: com.netflix.kayenta.sql.storage.SqlStorageService
    sourceAccountName: my-azure
    targetStorageServiceClassName: com.netflix.kayenta.blobs.storage.BlobsStorageService
    targetAccountName: my-azure
  google:
    enabled: true
    accounts:
      - {name: my-google, project: p, bucket: b, bucketLocation: us-central1, rootFolder: kayenta, supportedTypes: [METRICS_STORE, OBJECT_STORE, CONFIGURATION_STORE]}
  gcs: {enabled: true}
  stackdriver: {enabled: true, metadataCachingIntervalMS: 60000}
  aws:
    enabled: true
    accounts:
      - {name: my-aws, bucket: b, region: us-west-2, rootFolder: kayenta, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}
  s3: {enabled: true}
  azure:
    enabled: true
    accounts:
      - {name: my-azure, storageAccountName: canaries, accountAccessKey: a2V5, endpointSuffix: core.windows.net, container: kayenta, rootFolder: kayenta, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}
  blobs: {enabled: true}
  memory:
    enabled: true
    accounts:
      - {name: in-memory, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}
  prometheus:
    enabled: true
    health: {enabled: false, initial-delay: PT2S, fixed-delay: PT5M}
    test-controller-defaults: {scope: s}
    accounts:
      - {name: my-prometheus, endpoint: {baseUrl: 'http://127.0.0.1:9'}, username: u, password: p, supportedTypes: [METRICS_STORE]}
  datadog:
    enabled: true
    accounts:
      - {name: my-datadog, apiKey: k, applicationKey: a, endpoint: {baseUrl: 'https://app.datadoghq.com'}, supportedTypes: [METRICS_STORE]}
  signalfx:
    enabled: true
    accounts:
      - {name: my-signalfx, accessToken: t, endpoint: {baseUrl: 'https://stream.signalfx.com'}, defaultScopeKey: server_group, defaultLocationKey: server_region, supportedTypes: [METRICS_STORE]}
  newrelic:
    enabled: true
    accounts:
      - {name: my-newrelic, apiKey: k, applicationKey: 1234567, endpoint: {baseUrl: 'https://insights-api.newrelic.com'}, supportedTypes: [METRICS_STORE]}
  graphite:
    enabled: true
    accounts:
      - {name: my-graphite, endpoint: {baseUrl: 'http://127.0.0.1:9'}, supportedTypes: [METRICS_STORE]}
  influxdb:
    enabled: true
    accounts:
      - {name: my-influxdb, endpoint: {baseUrl: 'http://127.0.0.1:9'}, apiKey: k, applicationKey: a, supportedTypes: [METRICS_STORE]}
  wavefront:
    enabled: true
    accounts:
      - {name: my-wavefront, endpoint: {baseUrl: 'http://127.0.0.1:9'}, apiToken: t, supportedTypes: [METRICS_STORE]}
  atlas:
    enabled: true
    stageTimeoutMinutes: 3
    maxBackoffPeriodSeconds: 32
    accounts:
      - {name: my-atlas, backendsJsonBaseUrl: 'http://127.0.0.1:9', fetchId: f, recommendedLocations: [us-east-1], supportedTypes: [METRICS_STORE]}
";

/// In PEM, as Spring's web server has it.
const PEM: &str = "ssl: {certificate: /a.pem, certificate-private-key: /a.key, trust-certificate: /ca.pem, client-auth: want}";

/// What is told at start of such a file, and why it is.
const TOLD: [&str; 2] = [
    // A store within Netflix, whose way of being asked nobody else has.
    "kayenta.configbin is not served by serin and is ignored: it is a store within Netflix. Another account keeps \
     configs, and 'serin canary-config put' brings them there; its accounts are not available: my-configbin",
    // Nothing is put into tables of Kayenta's, so that somebody has to say where documents are to go.
    "kayenta.sql: serin keeps its documents in accounts, and reads Kayenta's tables only when it is told to: \
     'serin import --from sql --to my-google' brings what is in them, and may be repeated; kayenta.sql.enabled: false \
     ends this word",
];

#[tokio::test]
async fn a_file_with_every_section_starts_with_two_words_about_what_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kayenta.yml");
    std::fs::write(&path, EVERY_SECTION.replace("ssl: {enabled: false}", PEM)).unwrap();
    let options = LoadOptions {
        file: Some(path),
        ..LoadOptions::default()
    };
    let loaded = load_from(&options, &BTreeMap::new()).unwrap();
    let accounts: Vec<&str> = loaded
        .config
        .accounts
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let expected = [
        "my-google",
        "my-aws",
        "my-azure",
        "in-memory",
        "my-prometheus",
        "my-datadog",
        "my-signalfx",
        "my-newrelic",
        "my-graphite",
        "my-influxdb",
        "my-wavefront",
        "my-atlas",
    ];
    assert_eq!(accounts, expected);
    assert_eq!(loaded.warnings, TOLD);
    assert!(loaded.config.server.tls.unwrap().clients.is_some());
    let migration = loaded.config.migration.unwrap();
    assert_eq!(
        (migration.from.as_str(), migration.to.as_str()),
        ("sql", "my-azure")
    );
    for account in &loaded.config.accounts {
        for kind in &account.supported_types {
            assert!(account.serves(*kind), "{} {kind:?}", account.name);
        }
    }
    let stores = loaded.config.accounts.iter();
    let stores = stores.filter(|account| account.serves(AccountType::ObjectStore));
    assert_eq!(stores.count(), 4);
}

/// None of its services is reachable here: that is told by their health, and stops nothing.
#[tokio::test]
async fn a_serin_with_all_kinds_of_accounts_answers() {
    let stores = ["  google:", "  aws:"].map(|section| EVERY_SECTION.find(section).unwrap());
    // Their clients would look for credentials of this machine.
    let (before, rest) = (&EVERY_SECTION[..stores[0]], &EVERY_SECTION[stores[1]..]);
    let rest = &rest[rest.find("  azure:").unwrap()..];
    let file = format!("{before}{rest}").replace(
        "endpointSuffix: core.windows.net",
        "endpoint: {baseUrl: 'http://127.0.0.1:9/canaries'}, timeout: 1s",
    );
    let serin = Serin::start_with("", &[], Some(&file)).await;
    let (status, credentials) = serin.client.get("/credentials").await;
    assert_eq!(status, 200);
    let kinds = credentials.as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|account| account["type"].clone()).collect();
    let expected = json!([
        "azure",
        "memory",
        "prometheus",
        "datadog",
        "signalfx",
        "newrelic",
        "graphite",
        "influxdb",
        "wavefront",
        "atlas"
    ]);
    assert_eq!(json!(kinds), expected);
}
