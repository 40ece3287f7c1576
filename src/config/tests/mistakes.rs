use super::*;

#[test]
fn a_mistake_in_an_account_is_named_with_its_place() {
    let account = |keys: &str| {
        format!("kayenta: {{prometheus: {{enabled: true, accounts: [{{name: p, {keys}}}]}}}}")
    };
    let endpoint = "endpoint: {baseUrl: 'http://p'}";
    let s3 = |keys: &str| {
        format!(
            "kayenta: {{s3: {{enabled: true}}, aws: {{enabled: true, accounts: [{{name: a, bucket: b, {keys}}}]}}}}"
        )
    };
    let of_aws = |keys: &str| {
        format!("kayenta: {{cloudwatch: {{enabled: true, accounts: [{{name: c, {keys}}}]}}}}")
    };
    let cases = [
        (
            of_aws("profileName: a"),
            "kayenta.cloudwatch.accounts[0].region must be given",
        ),
        (
            of_aws("region: EU/../x"),
            "kayenta.cloudwatch.accounts[0].region (in serin.yml) is 'EU/../x': must be the name of a region, as in 'eu-central-1'",
        ),
        (
            of_aws("region: eu-central-1, roleArn: serin"),
            "kayenta.cloudwatch.accounts[0].roleArn is 'serin': must be the ARN of a role, as in 'arn:aws:iam::123456789012:role/serin'",
        ),
        (
            of_aws("region: eu-central-1, externalId: a"),
            "kayenta.cloudwatch.accounts[0].externalId is given, but no roleArn to assume",
        ),
        (
            of_aws("region: eu-central-1, profile: a, profileName: b"),
            "kayenta.cloudwatch.accounts[0].profileName and profile are the same key",
        ),
        (
            of_aws("region: eu-central-1, profile: a, explicitCredentials: {accessKey: b, secretKey: c}"),
            "kayenta.cloudwatch.accounts[0].profileName is 'a', and explicitCredentials are given too: only one of them can be meant",
        ),
        (
            account(&format!("{endpoint}, sigv4: {{}}")),
            "kayenta.prometheus.accounts[0].sigv4.region must be given",
        ),
        (
            account(&format!("{endpoint}, auth: google, sigv4: {{region: a}}")),
            "kayenta.prometheus.accounts[0].sigv4 is given beside auth: a request has the token of one or the signature of the other",
        ),
        (
            account("endpoint: {baseURI: x}"),
            "kayenta.prometheus.accounts[0].endpoint.baseUrl must be given",
        ),
        (
            account(&format!("{endpoint}, bearerTokn: x")),
            "unknown key 'kayenta.prometheus.accounts[0].bearerTokn' (in serin.yml); did you mean 'bearerToken'?",
        ),
        (
            account("endpoint: {baseUrl: 'ftp://prometheus:9090'}"),
            "kayenta.prometheus.accounts[0].endpoint.baseUrl (in serin.yml) is 'ftp://prometheus:9090': must begin with 'http://' or 'https://'",
        ),
        (
            account(&format!("{endpoint}, maxConcurrentQueries: 0")),
            "kayenta.prometheus.accounts[0].maxConcurrentQueries (in serin.yml) is '0': must be a whole number from 1 to 1000",
        ),
        (
            account(&format!("{endpoint}, password: '${{NOWHERE}}'")),
            "kayenta.prometheus.accounts[0].password (in serin.yml): '${NOWHERE}' has no value; set the environment variable, or write '${NOWHERE:default}'",
        ),
        (
            s3("timeout: 10ms"),
            "kayenta.aws.accounts[0].timeout (in serin.yml) is '10ms': must be at least 1s",
        ),
        (
            s3("accessKeyId: a"),
            "kayenta.aws.accounts[0].explicitCredentials has an accessKey, but no secretKey",
        ),
        (
            s3("supportedTypes: [OBJECT]"),
            "kayenta.aws.accounts[0].supportedTypes[0] (in serin.yml) is 'OBJECT': must be 'OBJECT_STORE' or 'CONFIGURATION_STORE'",
        ),
        (
            "kayenta: {file: {enabled: true, accounts: [{name: f, directory: d, supportedTypes: METRICS_STORE}]}}"
                .to_owned(),
            "kayenta.file.accounts[0].supportedTypes (in serin.yml) is 'METRICS_STORE': must be 'OBJECT_STORE' or 'CONFIGURATION_STORE'",
        ),
        (
            "server: {hosts: 'http://serin.example.com'}".to_owned(),
            "server.hosts (in serin.yml) is 'http://serin.example.com': must be a name without scheme and port, as in 'serin.example.com'",
        ),
        (
            "server: {hosts: [127.0.0.1]}".to_owned(),
            "server.hosts[0] (in serin.yml) is '127.0.0.1': addresses are always taken",
        ),
        (
            "kayenta: {metrics: {retry: {series: [5xx]}}}".to_owned(),
            "kayenta.metrics.retry.series[0] (in serin.yml) is '5xx': must be a series of statuses, as in 'SERVER_ERROR'",
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(mistake(&yaml), expected, "{yaml}");
    }
}

#[test]
fn a_mistake_in_a_channel_is_named_with_its_place() {
    let cases = [
        (
            "type: pager",
            "type (in serin.yml) is 'pager': must be 'slack', 'teams', 'webhook' or 'email'",
        ),
        ("type: slack", "url or urlFile must be given"),
        (
            "type: slack, url: 'http://a', urlFile: f",
            "url and urlFile are both given; one is enough",
        ),
        (
            "type: teams, url: 'ftp://a'",
            "url must begin with 'http://' or 'https://'",
        ),
        (
            "type: slack, url: 'http://a', on: [passed]",
            "on[0] (in serin.yml) is 'passed': must be 'start', 'pass', 'marginal', 'fail', 'inconclusive' or 'error', or one of them behind a '-', to leave it out",
        ),
        (
            "type: webhook, url: 'http://a', method: GET",
            "method (in serin.yml) is 'GET': must be 'POST', 'PUT' or 'PATCH'",
        ),
        (
            "type: webhook, url: 'http://a', template: \"{}\\n{{ title\"",
            "template: syntax error: unexpected end of input, expected end of variable block (in line:2)",
        ),
        (
            "type: webhook, url: 'http://a', headers: {'a b': x}",
            "headers: 'a b' is not the name of a header",
        ),
        (
            "type: email, server: s, from: nobody, to: a@b.c",
            "from (in serin.yml) is 'nobody': must be an address, as in 'serin <serin@example.com>'",
        ),
        ("type: email, server: s, from: a@b.c", "to must be given"),
        (
            "type: email, server: s, from: a@b.c, to: a@b.c, username: u",
            "username and a password (password or passwordFile) go together: give both or none",
        ),
    ];
    for (keys, expected) in cases {
        let yaml = format!("notifications: {{channels: [{{name: c, {keys}}}]}}");
        let expected = format!("notifications.channels[0].{expected}");
        assert_eq!(mistake(&yaml), expected, "{yaml}");
    }
    let twice = "{name: c, type: slack, url: 'http://a'}";
    assert_eq!(
        mistake(&format!("notifications: {{channels: [{twice}, {twice}]}}")),
        "notifications.channels[1].name 'c' stands twice"
    );
}

#[test]
fn a_mistake_is_named_with_what_would_be_right() {
    let cases = [
        (
            "server: {prot: 1}",
            "unknown key 'server.prot' (in serin.yml); did you mean 'port'?",
        ),
        (
            "executions: {threads: 1}",
            "unknown key 'executions.threads' (in serin.yml); known here: maxRunning, maxMetrics, deadline, maxWaiting, maxWaitingBytes, lease, maxAttempts, retention",
        ),
        (
            "sever: {port: 1}",
            "unknown key 'sever' (in serin.yml); did you mean 'server'?",
        ),
        (
            "kayneta: {a: 1}",
            "unknown key 'kayneta' (in serin.yml); did you mean 'kayenta'?",
        ),
        (
            "kayenta: {promtheus: {enabled: true}}",
            "unknown key 'kayenta.promtheus' (in serin.yml); did you mean 'prometheus'?",
        ),
        (
            "server: {port: 70000}",
            "server.port (in serin.yml) is '70000': must be a whole number from 0 to 65535",
        ),
        (
            "kayenta: {remoteJudge: {enabled: true}}",
            "kayenta.remote-judge.endpoint.baseUrl must be given",
        ),
        (
            "server: {requestTimeout: 30}",
            "server.requestTimeout (in serin.yml) is '30': must be a duration with its unit, as in '30s', '5m' or 'PT30S'",
        ),
        (
            "executions: {lease: 10ms}",
            "executions.lease (in serin.yml) is '10ms': must be at least 1s",
        ),
        (
            "log: {level: inof}",
            "log.level (in serin.yml) is 'inof': must be a level (off, error, warn, info, debug, trace) or a filter, as in 'info,serin=debug'",
        ),
        (
            "database: {url: 'mysql://u:secret@h/d'}",
            "database.url (in serin.yml) is 'mysql://***@h/d': must begin with 'sqlite:' or 'postgres://'",
        ),
        (
            "storage: {refresh: [1]}",
            "storage.refresh (in serin.yml) must be a single value",
        ),
        (
            "server: 8090",
            "server (in serin.yml) must be a mapping of keys to values",
        ),
        (
            "server: {maxBodySize: 1, max-body-size: 2}",
            "serin.yml: 'server.max-body-size' and 'server.maxBodySize' are the same key",
        ),
        (
            "[1]",
            "serin.yml: must be a mapping of keys to values at its top",
        ),
        (
            "a: ${b}\nstorage: {directory: '${a}'}",
            "storage.directory (in serin.yml): '${b}' has no value; set the environment variable, or write '${b:default}'",
        ),
        (
            "storage: {directory: '${storage.directory}'}",
            "storage.directory (in serin.yml): '${storage.directory}' has no value; set the environment variable, or write '${storage.directory:default}'",
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(mistake(yaml), expected, "{yaml}");
    }
}

#[test]
fn yaml_that_cannot_be_read_is_told_by_its_line() {
    let message = mistake("server:\n  port: 1\nlog:\n  level: info\n  level: debug\n");
    assert!(message.starts_with("serin.yml: "), "{message}");
    assert!(
        message.contains("duplicate") && message.contains("line 4"),
        "{message}"
    );

    let message = mistake("server:\n  port: [1\nlog: {}\n");
    assert!(message.contains("line 3"), "{message}");
}

#[test]
fn a_mistake_in_the_environment_is_told_by_its_variable() {
    let cases = [
        (
            ("SERIN__SERVER__PROT", "1"),
            "unknown key 'server.prot' (in SERIN__SERVER__PROT); did you mean 'port'?",
        ),
        (
            ("SERIN__SERVER__PORT", "x"),
            "server.port (in SERIN__SERVER__PORT) is 'x': must be a whole number from 0 to 65535",
        ),
        (
            ("SERIN__KAYENTA__MEMORY__ACCOUNTS", "[{"),
            "SERIN__KAYENTA__MEMORY__ACCOUNTS: ",
        ),
        (
            ("SERIN_PROMETHEUS_URL", "ftp://p:9090"),
            "kayenta.prometheus.accounts[0].endpoint.baseUrl (in --prometheus, or SERIN_PROMETHEUS_URL) is 'ftp://p:9090': must begin",
        ),
    ];
    for (variable, expected) in cases {
        let Error(message) = load_text("", &[variable]).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_rule_of_retention_that_would_delete_everything_is_refused() {
    let cases = [
        (
            "maxCount: 0",
            "retention.maxCount (in serin.yml) is '0': must be a whole number of at least 1",
        ),
        (
            "maxAge: 0s",
            "retention.maxAge (in serin.yml) is '0s': must be at least 1s",
        ),
        (
            "applications: [{name: web, maxAge: 1d}, {name: web}]",
            "retention.applications[1].name 'web' stands twice",
        ),
        (
            "applications: [{name: web, maxDays: 1}]",
            "unknown key 'retention.applications[0].maxDays' (in serin.yml); known here: name, maxAge, maxCount",
        ),
        (
            "applications: [{maxAge: 1d}]",
            "retention.applications[0].name must be given",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(mistake(&format!("retention: {{{keys}}}")), expected);
    }
    let loaded = load_text("retention: {maxAge: 90d, applications: [{name: web}]}", &[]);
    let retention = loaded.unwrap().config.retention;
    assert_eq!(retention.rule.max_age, Some(Duration::from_hours(90 * 24)));
    assert_eq!(retention.applications["web"], RetentionRule::default());
}

#[test]
fn what_cannot_go_together_is_refused_with_its_place() {
    let token = "tokenUrl: 'https://t/token', clientId: c";
    let cases = [
        (
            "headers: {Host: x}".to_owned(),
            "headers: serin sets the header 'host' itself, or leaves it out",
        ),
        (
            "headers: {X-Scope-OrgID: a, x-scope-orgid: b}".to_owned(),
            "headers: 'x-scope-orgid' and 'X-Scope-OrgID' are the same key",
        ),
        (
            "certFile: c.pem".to_owned(),
            "certFile and keyFile go together: give both or none",
        ),
        (
            "certFile: c.pem, keyFile: k.pem".to_owned(),
            "certFile wants a baseUrl that begins with 'https://'",
        ),
        (
            "auth: kerberos".to_owned(),
            "auth (in serin.yml) is 'kerberos': must be 'google' or 'azure', or not given",
        ),
        (
            "quotaProject: p".to_owned(),
            "quotaProject wants 'auth: google'",
        ),
        (
            "maxSourceResolution: coarse".to_owned(),
            "maxSourceResolution (in serin.yml) is 'coarse': must be 'auto', or a duration such as '0s', '5m' or '1h'",
        ),
        (
            "oauth2: {scopes: [metrics]}".to_owned(),
            "oauth2.tokenUrl must be given",
        ),
        (
            format!("oauth2: {{{token}}}"),
            "oauth2.clientSecret must be given, or clientSecretFile, or clientAssertionFile",
        ),
        (
            format!("oauth2: {{{token}, clientSecret: s, clientSecretFile: f}}"),
            "oauth2.clientSecret, clientSecretFile and clientAssertionFile: one is enough",
        ),
        (
            format!("bearerTokenFile: f, oauth2: {{{token}, clientSecret: s}}"),
            "bearerTokenFile and oauth2 are both given; one is enough",
        ),
        (
            "auth: azure".to_owned(),
            "oauth2.tokenUrl, or AZURE_TENANT_ID in the environment, must be given",
        ),
    ];
    for (keys, expected) in cases {
        let yaml = format!(
            "kayenta: {{prometheus: {{enabled: true, accounts: [{{name: p, endpoint: {{baseUrl: 'http://p'}}, {keys}}}]}}}}"
        );
        let expected = format!("kayenta.prometheus.accounts[0].{expected}");
        assert_eq!(mistake(&yaml), expected, "{yaml}");
    }
}
