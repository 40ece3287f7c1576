//! What a source does with a Prometheus that is slow, busy, picky or broken.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod sent;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use serin::config::{Config, PrometheusAccount};
use serin::error::Error;
use serin::metrics::MetricSource;

use crate::prometheus_source::{Asking, account, config, open, source};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

fn nothing() -> Reply {
    Reply::matrix(&json!([]))
}

fn config_of(prometheus: &ScriptedPrometheus) -> Config {
    config(vec![("mine", account(&prometheus.url))])
}

type Change<'a> = Box<dyn Fn(&mut PrometheusAccount) + 'a>;

#[tokio::test]
async fn credentials_and_headers_go_with_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    fs::write(&file, "  file:pass:word\n").unwrap();
    let alice = |account: &mut PrometheusAccount| {
        account.username = Some("alice".to_owned());
        account.password = Some("secret".into());
    };
    let token = |account: &mut PrometheusAccount| account.bearer_token = Some("token".into());
    let (in_file, in_address) = ("Basic ZmlsZTpwYXNzOndvcmQ=", "Basic dTpwJjE=");
    let cases: Vec<(Change<'_>, Option<&str>)> = vec![
        (Box::new(|_| {}), None),
        (Box::new(alice), Some("Basic YWxpY2U6c2VjcmV0")),
        (Box::new(token), Some("Bearer token")),
        (
            Box::new(|account| {
                alice(account);
                token(account);
            }),
            Some("Bearer token"),
        ),
        (
            Box::new(|account| {
                token(account);
                account.username_password_file = Some(file.clone());
            }),
            Some(in_file),
        ),
        (
            Box::new(|account| {
                account.base_url = account.base_url.replace("//", "//u:p%261@");
            }),
            Some(in_address),
        ),
        (
            Box::new(|account| {
                account.base_url = account.base_url.replace("//", "//u:p%261@");
                token(account);
            }),
            Some("Bearer token"),
        ),
    ];
    for (change, expected) in cases {
        let prometheus = ScriptedPrometheus::start(|_| nothing()).await;
        let mut account = account(&prometheus.url);
        account
            .headers
            .insert("X-Scope-OrgID".to_owned(), "shop".into());
        change(&mut account);
        let source = source(&config(vec![("mine", account)]));
        Asking::up().fetch(&source).await.unwrap();
        let asked = prometheus.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].header("authorization"), expected);
        assert_eq!(asked[0].header("x-scope-orgid"), Some("shop"));
        let all = asked[0].headers.get_all("authorization").iter().count();
        assert_eq!(all, usize::from(expected.is_some()));
    }
}

#[tokio::test]
async fn a_credentials_file_may_change_go_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let prometheus = ScriptedPrometheus::start(|_| nothing()).await;
    let mut account = account(&prometheus.url);
    account.username_password_file = Some(file.clone());
    let source = source(&config(vec![("mine", account)]));

    let error = Asking::up().fails(&source).await;
    assert!(
        error
            .message
            .starts_with("cannot read usernamePasswordFile")
    );
    for content in ["a:b", "a:c"] {
        fs::write(&file, content).unwrap();
        Asking::up().fetch(&source).await.unwrap();
    }
    fs::write(&file, "nothing").unwrap();
    let error = Asking::up().fails(&source).await;
    assert!(error.message.ends_with("does not hold 'user:password'"));

    let sent: Vec<_> = prometheus
        .asked()
        .iter()
        .map(|asked| asked.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Basic YTpi", "Basic YTpj"]);
}

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    let cases = [
        Reply::text(500, ""),
        Reply::text(503, "busy"),
        Reply::text(408, ""),
        Reply::text(429, "slow down"),
        nothing().breaking(),
        Reply::text(200, "cut").gzipped().breaking(),
    ];
    for failing in cases {
        let replies = vec![failing.clone(), failing, nothing()];
        let prometheus = ScriptedPrometheus::replying(replies).await;
        let source = source(&config_of(&prometheus));
        Asking::up().fetch(&source).await.unwrap();
        assert_eq!(prometheus.asked().len(), 3);
    }
}

#[tokio::test]
async fn what_will_not_pass_fails_at_once_with_the_words_of_prometheus() {
    let bad_data = r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#;
    let cases = [
        (400, bad_data, "bad_data: 1:5: parse error"),
        (422, bad_data, "bad_data: 1:5: parse error"),
        (200, bad_data, "bad_data: 1:5: parse error"),
        (401, "", "Unauthorized, from 'URL'"),
        (
            403,
            "no entry\n",
            "Forbidden: a text that begins 'no entry' came from 'URL'",
        ),
        (
            404,
            "<html>not here</html>",
            "Not Found: a web page that begins '<html>not here</html>' came from 'URL'",
        ),
        (
            200,
            " ",
            "nothing (status 200) came from 'URL' instead of an answer",
        ),
        (
            204,
            "",
            "nothing (status 204) came from 'URL' instead of an answer",
        ),
        (
            200,
            "{\"status\":",
            "JSON that begins '{\"status\":' came from 'URL' instead of an answer: it ends too early, \
             after 10 bytes",
        ),
        (
            200,
            "{not json",
            "JSON that begins '{not json' came from 'URL' instead of an answer: it is not what \
             Prometheus sends: key must be a string at line 1 column 2",
        ),
        (
            200,
            "{}",
            "JSON that begins '{}' came from 'URL' instead of an answer: it has no data with a result",
        ),
        (
            200,
            "\"x\"",
            "a text that begins '\"x\"' came from 'URL' instead of an answer",
        ),
        (403, "{\"message\": \"no route\"}", "no route"),
        (
            200,
            "# HELP up Whether it is up.\nup 1\n",
            "a text that begins '# HELP up Whether it is up. up 1' came from 'URL' instead of an answer",
        ),
    ];
    for (status, body, expected) in cases {
        let prometheus = ScriptedPrometheus::replying(vec![Reply::text(status, body)]).await;
        let source = source(&config_of(&prometheus));
        let error = Asking::up().fails(&source).await;
        let from = format!("{}/api/v1/query_range", prometheus.url);
        assert_eq!(error.message, expected.replace("URL", &from));
        assert_eq!(error.status, Some(status));
        assert_eq!(error.method, "GET");
        assert_eq!(
            error.url,
            format!(
                "{}/api/v1/query_range?query=up&start=2024-06-01T01%3A00%3A00Z\
                 &end=2024-06-01T01%3A05%3A00Z&step=60",
                prometheus.url
            )
        );
        assert_eq!(
            (error.query.as_str(), error.account.as_str()),
            ("up", "mine")
        );
        assert_eq!(prometheus.asked().len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn attempts_are_bounded() {
    let body = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let prometheus = ScriptedPrometheus::replying(vec![Reply::text(503, body)]).await;
    let error = Asking::up().fails(&source(&config_of(&prometheus))).await;
    assert_eq!(error.message, "timeout: query timed out");
    assert_eq!(error.status, Some(503));
    assert_eq!(prometheus.asked().len(), 3);
}

#[tokio::test]
async fn a_named_time_is_waited_for() {
    let cases = [
        vec![("retry-after", "1")],
        vec![
            ("date", "Sat, 01 Jun 2024 01:00:00 GMT"),
            ("retry-after", "Sat, 01 Jun 2024 01:00:01 GMT"),
        ],
    ];
    for headers in cases {
        let busy = headers
            .into_iter()
            .fold(Reply::text(429, ""), |reply, (name, value)| {
                reply.with(name, value)
            });
        let prometheus = ScriptedPrometheus::replying(vec![busy, nothing()]).await;
        let started = Instant::now();
        Asking::up()
            .fetch(&source(&config_of(&prometheus)))
            .await
            .unwrap();
        assert!(Duration::from_secs(1) <= started.elapsed());
        assert_eq!(prometheus.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_named_time_beyond_the_deadline_is_not_waited_for() {
    for wait in ["6", "3600", "18446744073709551615"] {
        let busy = Reply::text(429, "").with("retry-after", wait);
        let prometheus = ScriptedPrometheus::replying(vec![busy]).await;
        let started = Instant::now();
        let error = Asking::up().fails(&source(&config_of(&prometheus))).await;
        let too_many = format!(
            "Too Many Requests, from '{}/api/v1/query_range'",
            prometheus.url
        );
        assert_eq!(
            (error.status, error.message.as_str()),
            (Some(429), too_many.as_str())
        );
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!(prometheus.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_deadline_bounds_all_attempts_together() {
    let slow = nothing().after(Duration::from_mins(1));
    let cases = [
        (vec![slow.clone()], "no answer within 0.2 s"),
        (
            vec![Reply::text(500, "oops"), slow],
            "no answer within 0.2 s; before that: Internal Server Error: a text that begins 'oops' \
             came from 'URL'",
        ),
    ];
    for (replies, expected) in cases {
        let prometheus = ScriptedPrometheus::replying(replies).await;
        let mut config = config_of(&prometheus);
        config.sources.prometheus.query_deadline = Duration::from_millis(200);
        let started = Instant::now();
        let error = Asking::up().fails(&source(&config)).await;
        let expected = expected.replace("URL", &format!("{}/api/v1/query_range", prometheus.url));
        assert_eq!((error.status, error.message), (None, expected));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_prometheus_that_is_away_is_told_without_secrets() {
    let mut account = account("http://user:hunter2@127.0.0.1:1/prefix/");
    account.headers.insert("x-key".to_owned(), "hunter3".into());
    let error = Asking::up()
        .fails(&source(&config(vec![("mine", account)])))
        .await;
    assert!(
        error.message.contains("Connection refused"),
        "{}",
        error.message
    );
    assert!(
        error
            .url
            .starts_with("http://127.0.0.1:1/prefix/api/v1/query_range?query=up")
    );
    assert_eq!(error.status, None);
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
}

#[tokio::test]
async fn a_tenant_that_is_also_a_label_and_a_number_changes_no_series() {
    let series = json!([{
        "metric": {"error": "1717200000"},
        "values": [[1_717_203_600, "1717200000"], [1_717_203_660, "2"]],
    }]);
    let reply = Reply::matrix(&series).saying("/warnings", json!(["tenant 1717200000 is full"]));
    let prometheus = ScriptedPrometheus::replying(vec![reply]).await;
    let mut account = account(&prometheus.url);
    let tenant = ("X-Scope-OrgID".to_owned(), "1717200000".into());
    account.headers.extend([tenant]);
    let source = source(&config(vec![("mine", account)]));
    let sets = Asking::up().fetch(&source).await.unwrap();
    assert_eq!(sets[0].tags["error"], "1717200000");
    assert_eq!(sets[0].values[..2], [1_717_200_000.0, 2.0]);
    let attributes = serde_json::to_string(&sets[0].attributes).unwrap();
    assert!(attributes.contains("tenant … is full"), "{attributes}");
}

#[tokio::test]
async fn what_is_no_answer_is_told_with_its_place_and_beginning() {
    let page = "<html><title>Sign in</title></html>";
    let cases = [
        (
            vec![
                Reply::text(302, "").with("location", "/sign-in"),
                Reply::text(200, page).with("content-type", "text/html"),
            ],
            "a web page (text/html) that begins '<html><title>Sign in</title></html>' came from \
             'URL/sign-in' instead of an answer",
        ),
        (
            vec![Reply::text(200, vec![0x1b, 0x02, 0x00, 0x80]).with("content-encoding", "br")],
            "what is encoded as 'br', which nobody asked for, came from 'URL/api/v1/query_range' \
             instead of an answer",
        ),
        (
            vec![Reply::text(200, "{\"status\":\"ok\"}").with("content-type", "application/json")],
            "JSON (application/json) that begins '{\"status\":\"ok\"}' came from \
             'URL/api/v1/query_range' instead of an answer: its status is 'ok', not 'success'",
        ),
    ];
    for (replies, expected) in cases {
        let prometheus = ScriptedPrometheus::replying(replies).await;
        let error = Asking::up().fails(&source(&config_of(&prometheus))).await;
        assert_eq!(error.message, expected.replace("URL", &prometheus.url));
    }
}

/// The secret lies where its answer is cut, and where the reason is.
#[tokio::test]
async fn nothing_is_told_of_what_was_sent_with_a_request() {
    let short = "s3cret/of-the+tenant".to_owned();
    for secret in [short.clone(), short.repeat(60)] {
        let replies = [
            format!("{{\"{}\": \"{secret}\"}}", "x".repeat(60)),
            format!("{{\"data\": \"{secret}\"}}"),
            format!("{{\"data\": \"{}{secret}\"}}", "x".repeat(140)),
            format!("{} {secret}", "x".repeat(70)),
        ];
        for reply in replies {
            let source = knowing(&secret, Reply::text(200, reply)).await;
            let error = Asking::up().fails(&source).await;
            assert!(error.message.contains('…'), "{}", error.message);
            assert!(!error.message.contains("s3c"), "{}", error.message);
            let error = source.metric_names("").await.unwrap_err().to_string();
            assert!(!error.contains("s3c"), "{error}");
        }
        let warning = format!("{}{secret}", "x".repeat(1_020));
        let reply = Reply::matrix(&json!([])).saying("/warnings", json!([warning]));
        let source = knowing(&secret, reply).await;
        let sets = Asking::up().fetch(&source).await.unwrap();
        let told = serde_json::to_string(&sets[0].attributes).unwrap();
        assert!(told.contains("xxx…") && !told.contains("s3c"), "{told}");
    }
}

/// A source that sends a secret with its queries, and is answered with that.
async fn knowing(secret: &str, reply: Reply) -> Arc<dyn MetricSource> {
    let prometheus = ScriptedPrometheus::replying(vec![reply]).await;
    let mut account = account(&prometheus.url);
    let tenant = ("X-Scope-OrgID".to_owned(), secret.into());
    account.headers.extend([tenant]);
    source(&config(vec![("mine", account)]))
}

#[tokio::test]
async fn metric_names_are_kept_for_a_while_and_one_account_does_not_hide_another() {
    let names = Reply::text(200, r#"{"status":"success","data":["a","b"]}"#);
    let prometheus = ScriptedPrometheus::replying(vec![names]).await;
    let config = config(vec![
        ("broken", account("http://127.0.0.1:1")),
        ("mine", account(&prometheus.url)),
    ]);
    let sources = open(&config).unwrap();
    assert!(sources["broken"].metric_names("").await.is_err());
    for _ in 0..3 {
        let names = sources["mine"].metric_names("").await.unwrap();
        let names: Vec<&str> = names.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
    let asked = prometheus.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/api/v1/label/__name__/values");
}

#[tokio::test]
async fn health_is_what_prometheus_says() {
    let replies = vec![Reply::text(200, "ok"), Reply::text(503, "starting")];
    let prometheus = ScriptedPrometheus::replying(replies).await;
    let source = source(&config_of(&prometheus));
    source.health().await.unwrap();
    let error = source.health().await.unwrap_err();
    let told = format!(
        "Service Unavailable: a text that begins 'starting' came from '{}/-/healthy'",
        prometheus.url
    );
    assert_eq!(error.to_string(), told);
    let paths: Vec<_> = prometheus
        .asked()
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    assert_eq!(paths, ["/-/healthy", "/-/healthy"]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_it_is_sent() {
    let prometheus = ScriptedPrometheus::start(|_| nothing()).await;
    let source = source(&config_of(&prometheus));
    let up = json!({"type": "prometheus", "customInlineTemplate": "PromQL:up"});
    let (start, end) = ("2024-06-01T01:00:00Z", "2024-06-01T02:00:00Z");
    let cases = [
        (
            json!({"query": up}),
            json!({"end": end}),
            "Start time is required.",
        ),
        (
            json!({"query": up}),
            json!({"start": start}),
            "End time is required.",
        ),
        (json!({"name": "m"}), json!({}), "metric 'm' has no query"),
        (
            json!({"name": "m", "query": {"type": "dynatrace"}}),
            json!({"start": start, "end": end}),
            "Unable to resolve canary scope factory for 'dynatrace': metric 'm' cannot be fetched, as serin reads <kinds> only.",
        ),
    ];
    for (metric, scope, expected) in cases {
        match Asking::of(&json!({}), &metric, &scope).fetch(&source).await {
            Err(Error::Invalid(message)) => {
                let kinds = serin::metrics::kinds().join(", ");
                assert_eq!(message, expected.replace("<kinds>", &kinds));
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert!(prometheus.asked().is_empty());
    assert!(serin::metrics::supports("prometheus") && !serin::metrics::supports("dynatrace"));
}

#[test]
fn an_account_that_cannot_work_is_named_when_it_is_opened() {
    type Change = fn(&mut PrometheusAccount);
    let cases: [(Change, &str); 4] = [
        (
            |account| account.base_url = "prometheus:9090".to_owned(),
            "account 'mine': its baseUrl is not an address such as 'http://prometheus:9090'",
        ),
        (
            |account| account.http.ca_file = Some("nosuch.pem".into()),
            "account 'mine': cannot read caFile 'nosuch.pem': No such file or directory (os error 2)",
        ),
        (
            |account| drop(account.headers.insert("a b".to_owned(), "secret".into())),
            "account 'mine': the name of header 'a b' is not valid",
        ),
        (
            |account| drop(account.headers.insert("a".to_owned(), "sec\nret".into())),
            "account 'mine': the value of header 'a' is not valid",
        ),
    ];
    for (change, expected) in cases {
        let mut account = account("http://127.0.0.1:9090");
        change(&mut account);
        let error = open(&config(vec![("mine", account)])).err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}
