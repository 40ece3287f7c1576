use super::*;
use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};

/// For a scope of that name, with a parameter `p` of that value.
fn made(template: &str, scope: &str, param: &str, pasting: Pasting) -> Result<Statement> {
    let params = [("p".to_owned(), param.to_owned())];
    let scope = CanaryScope {
        scope: Some(scope.to_owned()),
        extended_scope_params: Some(params.into_iter().collect()),
        ..CanaryScope::default()
    };
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &CanaryMetricConfig::default(),
        scope: &scope,
        longest: 200,
        is_reused: true,
    };
    of(&request, template, || Expansion::of(&request), pasting)
}

#[test]
fn a_value_is_bound_where_it_is_a_whole_string_or_a_parameter() {
    let cases = [
        // template, what is sent, what is shown
        (
            "SELECT a WHERE v = '${scope}'",
            "SELECT a WHERE v = {serin_0:String}",
            r"SELECT a WHERE v = 'o\'b\\'",
        ),
        (
            "SELECT a WHERE v = {scope:String}",
            "SELECT a WHERE v = {scope:String}",
            r"SELECT a WHERE v = 'o\'b\\'",
        ),
        (
            "SELECT '${scope}', '${scope}', '${p}'",
            "SELECT {serin_0:String}, {serin_0:String}, {serin_1:String}",
            r"SELECT 'o\'b\\', 'o\'b\\', 'x1'",
        ),
        (
            "SELECT {p:Identifier} + { p : UInt8 }",
            "SELECT {p:Identifier} + {p:UInt8}",
            "SELECT `x1` + x1",
        ),
        (
            "SELECT {p:Nullable(String)}",
            "SELECT {p:Nullable(String)}",
            "SELECT CAST('x1', 'Nullable(String)')",
        ),
        (
            "SELECT ${p}, a${p}, 'a-${p}', `${p}`",
            "SELECT x1, ax1, 'a-x1', `x1`",
            "SELECT x1, ax1, 'a-x1', `x1`",
        ),
        (
            "SELECT '''${p}', '\\'${p}', '${p}''', '$${scope}'",
            "SELECT '''x1', '\\'x1', 'x1''', '${scope}'",
            "SELECT '''x1', '\\'x1', 'x1''', '${scope}'",
        ),
        (
            "SELECT 1 -- don't ${scope}\n, '${p}' /* it's ${scope} */",
            "SELECT 1 -- don't ${scope}\n, {serin_0:String} /* it's ${scope} */",
            "SELECT 1 -- don't ${scope}\n, 'x1' /* it's ${scope} */",
        ),
        (
            "(SELECT map('a', {'b': 1}))",
            "(SELECT map('a', {'b': 1}))",
            "(SELECT map('a', {'b': 1}))",
        ),
        (
            "WITH 1 AS format SELECT format FROM t;",
            "WITH 1 AS format SELECT format FROM t;",
            "WITH 1 AS format SELECT format FROM t;",
        ),
    ];
    for (template, sql, shown) in cases {
        let made = made(template, r"o'b\", "x1", Pasting::Words).unwrap();
        assert_eq!(
            (made.sql.as_str(), made.shown.as_str()),
            (sql, shown),
            "{template}"
        );
    }
    let made = made(
        "SELECT '${scope}', {p:String}, {scope:String}",
        "a",
        "b",
        Pasting::Words,
    );
    let params = made.unwrap().params;
    let params: Vec<_> = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(params, [("serin_0", "a"), ("p", "b"), ("scope", "a")]);
    assert_eq!(sent_value("a\\N\tb\n'"), "a\\\\N\\tb\\n'");
}

#[test]
fn a_value_does_not_leave_its_place() {
    let cases = [
        // template, value, what is told; where it is no text, that it is taken
        (
            "SELECT ${p}",
            "1 UNION ALL SELECT 2",
            Some("is no name and no number"),
        ),
        ("SELECT ${p}", "", Some("is no name and no number")),
        ("SELECT ${p}", "1--2", Some("is no name and no number")),
        ("SELECT ${p}", "(1)", Some("is no name and no number")),
        ("SELECT ${p}", "-1.5", None),
        ("SELECT a FROM ${p}", "otel.metrics_gauge", None),
        ("SELECT 'a-${p}'", "b' OR '1", Some("holds a '")),
        ("SELECT 'a-${p}'", "b\\", Some("holds a \\")),
        ("SELECT `a-${p}`", "b`", Some("holds a `")),
        ("SELECT 'a-${p}'", "b\" -- c", None),
        ("SELECT '${p}'", "' OR 1=1 --", None),
        ("SELECT {p:String}", "' OR 1=1 --", None),
        (
            "SELECT {q:String}",
            "",
            Some("nothing gives {q:String} of the statement a value"),
        ),
        ("SELECT {serin_0:String}", "", Some("are serin's own")),
        (
            "SELECT ${q}",
            "",
            Some("Problem evaluating custom filter template: SELECT ${q}"),
        ),
        ("SELECT $$${p}$$", "a", Some("a string between dollars")),
        ("SELECT $x$a$x$", "a", Some("a string between dollars")),
        ("SELECT 1 FORMAT JSON", "", Some("ends with a FORMAT")),
        ("SELECT 1 FORMAT JSON ;\n", "", Some("ends with a FORMAT")),
        ("SELECT format('{}', 1) -- FORMAT x", "", None),
        ("DROP TABLE a", "", Some("begins with SELECT or WITH")),
        (
            "-- SELECT\nINSERT INTO a SELECT 1",
            "",
            Some("begins with SELECT or WITH"),
        ),
        ("/* a */ ( select 1 )", "", None),
        (
            "SELECT '${p}'",
            &"x".repeat(195),
            Some("(limits.queryText)"),
        ),
    ];
    for case in cases {
        is_told(case);
    }
    let raw = made("SELECT '${p}' FORMAT CSV", "s", "' OR '", Pasting::Raw).unwrap();
    assert_eq!(
        (raw.sql.as_str(), raw.params.len()),
        ("SELECT '' OR '' FORMAT CSV", 0)
    );
    assert_eq!(
        with_variables("a {p:UInt8} ${q} $${r:String} {'b':1}"),
        "a ${p} ${q} $${r:String} {'b':1}"
    );
}

/// A template, a value, and what is told; none, where it is taken.
fn is_told((template, value, expected): (&str, &str, Option<&str>)) {
    let told = made(template, "s", value, Pasting::Words).map_err(|error| error.to_string());
    match (expected, told) {
        (None, told) => assert!(told.is_ok(), "{template}, {value}: {told:?}"),
        (Some(expected), told) => {
            let told = told.expect_err(template);
            assert!(told.contains(expected), "{template}, {value}: {told}");
        }
    }
}

#[test]
fn a_statement_changes_no_settings() {
    let cases = [
        (
            "SELECT 1 FORMAT CSV SETTINGS max_threads = 1",
            "",
            Some("has SETTINGS"),
        ),
        ("SELECT 1 settings readonly=0", "", Some("has SETTINGS")),
        ("SELECT 1 SETTINGS\nlimit = 0", "", Some("has SETTINGS")),
        (
            "SELECT 1 SETTINGS/**/readonly = 0",
            "",
            Some("has SETTINGS"),
        ),
        ("SELECT 1 SETTINGS `readonly` = 0", "", Some("has SETTINGS")),
        (
            "SELECT a FROM (SELECT 1 AS a SETTINGS ${p} = 0)",
            "readonly",
            Some("has SETTINGS"),
        ),
        (
            "SELECT 1 ${p} max_result_rows = 0",
            "SETTINGS",
            Some("has SETTINGS"),
        ),
        (
            "SELECT 1 SETTINGS {p:Identifier} = 0",
            "readonly",
            Some("has SETTINGS"),
        ),
        ("SELECT 1 SETTINGS do_not_merge", "", Some("has SETTINGS")),
        // What would hide the rest from who reads it otherwise than ClickHouse.
        (
            "SELECT 1 /* /* */ ' */ SETTINGS a = 1 -- '",
            "",
            Some("has SETTINGS"),
        ),
        (
            "SELECT '\\${p}', ' SETTINGS a = 1 -- '",
            "",
            Some("stands before ${"),
        ),
        ("SELECT {p:String}SETTINGS a = 1", "x", Some("has SETTINGS")),
        (
            "SELECT settings, settings AS s FROM system.settings WHERE settings = 'SETTINGS a = 1' LIMIT 5",
            "",
            None,
        ),
        (
            "SELECT my_settings x -- SETTINGS a = 1\nFROM settings",
            "",
            None,
        ),
        (
            "SELECT $$'$$ SETTINGS readonly = 0 -- '",
            "",
            Some("a string between dollars"),
        ),
    ];
    for case in cases {
        is_told(case);
        // A value that is pasted as it is does no more.
        let (template, value, expected) = case;
        let raw = made(template, "s", value, Pasting::Raw);
        assert_eq!(raw.is_err(), expected.is_some(), "{template}: {raw:?}");
    }
    let pasted = made("SELECT '${p}'", "s", "' settings a = 1 -- ", Pasting::Raw);
    let told = pasted.unwrap_err().to_string();
    assert!(told.contains("has SETTINGS"), "{told}");
}
