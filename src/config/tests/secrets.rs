use secrecy::ExposeSecret;

use super::*;
use crate::config::secret::{Reference, SecretEngines};

#[test]
fn secrets_are_printed_nowhere() {
    let yaml = "
database: {url: 'postgres://serin:hush-1@db/serin?sslpassword=hush-2'}
kayenta:
  prometheus:
    enabled: true
    accounts:
      - {name: a, endpoint: {baseUrl: 'http://u:hush%2D3@p/'}, headers: {X-Scope-OrgID: hush-4, y: '${Y:hush-5}'}}
      - {name: b, endpoint: {baseUrl: 'http://p'}, username: u, password: hush-6, bearerToken: '${TOKEN}'}
  s3: {enabled: true}
  aws:
    enabled: true
    accounts:
      - {name: c, bucket: x, accessKeyId: hush-7, secretAccessKey: hush-8}
      - {name: d, bucket: x, explicitCredentials: {accessKey: hush-9, secretKey: hush-10, sessionToken: hush-11}}
  datadog: {enabled: true, accounts: [{name: e, apiKey: hush-12}]}
notifications:
  channels:
    - {name: s, type: slack, url: 'https://slack/hush-14'}
    - {name: w, type: webhook, url: 'https://w/hush-15', headers: {A: hush-16}, secret: hush-17}
    - {name: m, type: email, server: m, username: u, password: hush-18, from: a@b.c, to: a@b.c}
actions:
  hosts:
    - {host: a, token: hush-19, secret: hush-20}
";
    let loaded = load_text(yaml, &[("TOKEN", "hush-13")]).unwrap();
    let a = prometheus(&loaded.config.accounts[0]);
    assert_eq!(a.base_url, "http://p");
    assert_eq!(a.username.as_deref(), Some("u"));
    assert_eq!(a.password.as_ref().unwrap().expose_secret(), "hush-3");
    assert_eq!(a.headers["X-Scope-OrgID"].expose_secret(), "hush-4");
    assert!(loaded.config.database.url.contains("hush-1"));

    let shown = [
        format!("{loaded:?}"),
        format!("{:#?}", loaded.config),
        print(&loaded.effective),
        loaded.effective.to_string(),
        loaded.warnings.join("\n"),
    ];
    for shown in shown {
        assert!(!shown.contains("hush"), "{shown}");
    }
    // The same secrets beside a mistake.
    for (right, wrong) in [
        ("name: a,", "name: a, nmae: x,"),
        ("name: a,", ""),
        ("http://u:", "ftp://u:"),
        ("http://u:", "u:"),
        ("postgres://serin:", "serin:"),
        ("u:hush%2D3@p/", "u:hush%2D3@"),
        ("password: hush-6", "password: [hush-6]"),
        ("headers: {X", "headers: {hush: {a: hush}, X"),
        ("postgres://", "mysql://"),
        ("secretAccessKey: hush-8", "secretAccesKey: hush-8"),
        (
            "bucket: x, accessKeyId",
            "bucket: x, endpoint: 'http://u:hush@s3', accessKeyId",
        ),
        ("enabled: true}", "enabled: true"),
        ("url: 'https://slack/", "url: 'hush://slack/"),
        ("url: 'https://slack/hush-14'", "url: hush"),
        ("secret: hush-17", "secret: [hush-17]"),
        ("server: m, ", ""),
        ("token: hush-19", "token: [hush-19]"),
    ] {
        let wrong = yaml.replace(right, wrong);
        let Error(message) = load_text(&wrong, &[("TOKEN", "hush-13")]).unwrap_err();
        let message = message.replace("headers.hush", "");
        assert!(!message.contains("hush"), "{message}");
    }
}

#[test]
fn a_secret_that_lies_elsewhere_is_printed_as_where_it_lies() {
    struct Hush;
    impl SecretEngines for Hush {
        fn read(&self, _: &Reference) -> Result<Vec<u8>, String> {
            Ok(b"hush".to_vec())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let yaml = "spinnaker.secrets.kubernetes.enabled: true\naccess: {issuers: [{name: c, issuer: 'https://c', audience: s}], rules: [{who: {subject: REF,
        claims: {team: REF, a.b: REF}}, may: [read], applications: [REF]}]}";
    std::fs::write(&file, yaml.replace("REF", "'encrypted:k8s!n:a!k:b'")).unwrap();
    let options = LoadOptions {
        file: Some(file),
        ..LoadOptions::default()
    };
    let loaded = load_with(&options, &environment(&[]), &Hush).unwrap();
    let rules = loaded.config.access.rules.unwrap();
    assert_eq!(rules.0[0].who.claims["team"], "hush");
    let shown = loaded.effective["access"].to_string();
    assert_eq!(shown.matches("encrypted:k8s!n:a!k:b").count(), 4, "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
