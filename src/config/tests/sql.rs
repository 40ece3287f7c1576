//! `kayenta.sql`, `spring.datasource` and `kayenta.data-migration`.

use secrecy::ExposeSecret;

use super::*;

/// With SQL on, and that datasource.
fn with_datasource(keys: &str) -> String {
    format!("kayenta: {{sql: {{enabled: true}}}}\nspring: {{datasource: {{{keys}}}}}")
}

#[test]
fn a_datasource_is_read_as_its_driver_reads_it() {
    let cases = [
        // spring.datasource        host, port, database, user, password, mode, schema
        (
            "url: 'jdbc:postgresql://db/kayenta', username: u, password: p, driverClassName: org.postgresql.Driver",
            ["db", "5432", "kayenta", "u", "p", "", ""],
        ),
        (
            "url: 'jdbc:postgresql://[::1]:6432/a%20b?user=x&password=y&sslmode=require&currentSchema=s&tcpKeepAlive=true'",
            ["::1", "6432", "a b", "x", "y", "require", "s"],
        ),
        (
            "url: 'jdbc:postgresql://db/kayenta?ssl=true', hikari: {maximum-pool-size: 3}",
            ["db", "5432", "kayenta", "", "", "verify-full", ""],
        ),
        (
            "url: 'jdbc:postgresql://db/kayenta?sslmode=require&ssl=true'",
            ["db", "5432", "kayenta", "", "", "require", ""],
        ),
    ];
    for (keys, expected) in cases {
        let loaded = load_text(&with_datasource(keys), &[]).unwrap();
        let sql = loaded.config.sql.as_ref().unwrap();
        let password = sql.password.as_ref().map(ExposeSecret::expose_secret);
        let port = sql.port.to_string();
        let found = [
            sql.host.as_str(),
            port.as_str(),
            sql.database.as_str(),
            sql.username.as_deref().unwrap_or_default(),
            password.unwrap_or_default(),
            sql.ssl_mode.as_deref().unwrap_or_default(),
            sql.schema.as_deref().unwrap_or_default(),
        ];
        assert_eq!(found, expected, "{keys}");
        // It is no account of a running serin, which says so.
        assert_eq!(names(&loaded.config), ["local"]);
        assert_eq!(
            loaded.warnings,
            [
                "kayenta.sql: serin keeps its documents in accounts, and reads Kayenta's tables only when it is told to: \
                 'serin import --from sql --to local' brings what is in them, and may be repeated; \
                 kayenta.sql.enabled: false ends this word"
            ]
        );
        let printed = print(&loaded.effective);
        assert!(
            !printed.contains("password=y") && !printed.contains("password: p"),
            "{printed}"
        );
        assert!(load_text(&printed, &[]).unwrap().config.sql.is_some());
    }
}

#[test]
fn a_datasource_that_serin_cannot_read_is_told() {
    let text = with_datasource("url: 'jdbc:mysql://db/kayenta'").replace(
        "kayenta: {",
        "kayenta: {data-migration: {enabled: true, sourceStorageServiceClassName: a.SqlStorageService, \
         sourceAccountName: a, targetAccountName: a}, ",
    );
    let mysql = load_text(&text, &[]).unwrap();
    assert!(mysql.config.sql.is_none() && mysql.config.migration.is_none());
    assert_eq!(mysql.warnings.len(), 1);
    let told = &mysql.warnings[0];
    for part in [
        "not in mysql",
        "kayenta.data-migration",
        "com.netflix.kayenta.sql.storage.SqlStorageService",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let nowhere = load_text(&with_datasource("username: u"), &[]).unwrap();
    assert!(nowhere.config.sql.is_none());
    let told = &nowhere.warnings[..];
    assert!(
        told.len() == 1 && told[0].contains("spring.datasource.url does not say"),
        "{told:?}"
    );
    let cases = [
        (
            "url: 'postgres://db/kayenta'",
            "must be a JDBC URL of one server",
        ),
        (
            "url: 'jdbc:postgresql://a,b/kayenta?password=secret'",
            "must be a JDBC URL of one server",
        ),
        (
            "url: 'jdbc:postgresql://a'",
            "must be a JDBC URL of one server",
        ),
        (
            "url: 'jdbc:postgresql://a/b?sslmode=maybe'",
            "its sslmode must be one of disable",
        ),
    ];
    for (keys, expected) in cases {
        let told = mistake(&with_datasource(keys));
        assert!(told.contains(expected), "{keys}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_migration_goes_from_account_to_account() {
    const CLASS: &str = "com.netflix.kayenta.sql.storage.SqlStorageService";
    let cases = [
        // kayenta.data-migration                                                  from, to
        ("enabled: false, sourceAccountName: a", None),
        (
            "enabled: true, sourceAccountName: a, targetAccountName: b",
            Some(("a", "b")),
        ),
        (
            "enabled: true, sourceAccountName: a, targetAccountName: a, sourceStorageServiceClassName: SQL",
            Some(("sql", "a")),
        ),
        (
            "enabled: true, sourceAccountName: a, targetAccountName: a, targetStorageServiceClassName: SQL",
            None,
        ),
    ];
    for (keys, expected) in cases {
        let text = format!(
            "kayenta: {{data-migration: {{{}}}}}",
            keys.replace("SQL", CLASS)
        );
        let loaded = load_text(&text, &[]).unwrap();
        let migration = loaded.config.migration;
        let found = migration
            .as_ref()
            .map(|it| (it.from.as_str(), it.to.as_str()));
        assert_eq!(found, expected, "{keys}");
        let is_told = keys.contains("target") && expected.is_none();
        assert_eq!(loaded.warnings.len(), usize::from(is_told), "{keys}");
        let printed = print(&loaded.effective);
        assert_eq!(
            load_text(&printed, &[]).unwrap().config.migration,
            migration
        );
    }
    let told = mistake("kayenta: {data-migration: {enabled: true, sourceAccountName: a}}");
    assert_eq!(
        told,
        "kayenta.data-migration.targetAccountName must be given"
    );
}
