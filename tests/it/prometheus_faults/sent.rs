//! How queries are sent: long ones, many at once, compressed or not, and through redirects.

use super::*;

/// A query that is too long for an address.
fn long() -> Asking {
    let query = format!("up{{x=\"{}\"}}", "a".repeat(4000));
    Asking::promql(&query, "2024-06-01T01:00:00Z", "2024-06-01T01:05:00Z", 60)
}

#[tokio::test]
async fn headers_do_not_follow_to_another_server() {
    let other = ScriptedPrometheus::start(|_| nothing()).await;
    let elsewhere = format!("{}/login?secret=1", other.url);
    let here = Reply::text(302, "").with("location", elsewhere);
    let prometheus = ScriptedPrometheus::replying(vec![here]).await;
    let error = Asking::up().fails(&source(&config_of(&prometheus))).await;
    assert_eq!(
        error.message,
        format!(
            "'{}/api/v1/query_range' redirected to '{}', which is not followed: the account's baseUrl should lead there",
            prometheus.url, other.url
        )
    );
    assert!(other.asked().is_empty());

    let moved = Reply::text(307, "").with("location", "/new?query=up");
    let prometheus = ScriptedPrometheus::replying(vec![moved, nothing()]).await;
    Asking::up()
        .fetch(&source(&config_of(&prometheus)))
        .await
        .unwrap();
    assert_eq!(prometheus.asked()[1].path, "/new");
}

#[tokio::test]
async fn a_post_is_never_made_a_get_without_its_body() {
    for status in [301, 302, 307, 308] {
        let moved = Reply::text(status, "").with("location", "/moved/api/v1/query_range");
        let prometheus = ScriptedPrometheus::replying(vec![moved, nothing()]).await;
        let mut account = account(&prometheus.url);
        account.bearer_token = Some("token".into());
        let source = source(&config(vec![("mine", account)]));
        long().fetch(&source).await.unwrap();
        let asked = prometheus.asked();
        assert_eq!(asked.len(), 2, "{status}");
        for asked in &asked {
            assert_eq!(asked.method, "POST", "{status}");
            assert_eq!(asked.params["query"].len(), 4008, "{status}");
            assert_eq!(asked.header("authorization"), Some("Bearer token"));
        }
        assert_eq!(asked[1].path, "/moved/api/v1/query_range");
    }
    let seen = Reply::text(303, "").with("location", "/sign-in?next=secret");
    let prometheus = ScriptedPrometheus::replying(vec![seen, nothing()]).await;
    let error = long().fails(&source(&config_of(&prometheus))).await;
    let told = format!(
        "'{0}/api/v1/query_range' redirected to '{0}/sign-in', which is not",
        prometheus.url
    );
    assert!(error.message.starts_with(&told), "{}", error.message);
    assert_eq!(prometheus.asked().len(), 1);

    let around = Reply::text(301, "").with("location", "/around");
    let prometheus = ScriptedPrometheus::replying(vec![around]).await;
    let error = long().fails(&source(&config_of(&prometheus))).await;
    assert!(error.message.contains("/around', which is not"));
    assert_eq!(prometheus.asked().len(), 6);
}

/// Samples at every step; the series `late` begins in the second half of 2024-06-01.
fn grid(asked: &Asked) -> Reply {
    let seconds = |name: &str| {
        let instant: jiff::Timestamp = asked.params[name].parse().unwrap();
        instant.as_second()
    };
    let step: usize = asked.params["step"].parse().unwrap();
    let times: Vec<i64> = (seconds("start")..=seconds("end")).step_by(step).collect();
    let noon = 1_717_243_200;
    let series = |name: &str, from: i64| {
        let samples = times.iter().filter(|time| from <= **time);
        let samples: Vec<Value> = samples
            .map(|time| json!([time, time.to_string()]))
            .collect();
        (!samples.is_empty()).then(|| json!({"metric": {"x": name}, "values": samples}))
    };
    let result: Vec<_> = [series("early", noon), series("late", 0)]
        .into_iter()
        .flatten()
        .collect();
    Reply::matrix(&result.into())
}

#[tokio::test]
async fn a_long_range_is_split_and_joined() {
    let prometheus = ScriptedPrometheus::start(grid).await;
    let source = source(&config_of(&prometheus));
    let asking = Asking::promql("up", "2024-06-01T00:00:00Z", "2024-06-02T00:00:02Z", 5);
    let sets = asking.fetch(&source).await.unwrap();
    let ranges: Vec<_> = prometheus
        .asked()
        .iter()
        .map(|asked| (asked.params["start"].clone(), asked.params["end"].clone()))
        .collect();
    let expected = [
        ("2024-06-01T00:00:00Z", "2024-06-01T15:16:35Z"),
        ("2024-06-01T15:16:40Z", "2024-06-02T00:00:02Z"),
    ];
    assert_eq!(
        ranges,
        expected.map(|(start, end)| (start.into(), end.into()))
    );

    let tags: Vec<_> = sets.iter().map(|set| set.tags["x"].as_str()).collect();
    assert_eq!(tags, ["early", "late"]);
    assert_eq!(sets[0].values.len(), 8641);
    assert_eq!(sets[1].values.len(), 17281);
    assert!(
        sets[1]
            .timestamps
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 5000)
    );
    assert_eq!(sets[1].step_millis, 5000);
}

#[tokio::test]
async fn a_query_that_names_its_range_is_not_split() {
    let prometheus = ScriptedPrometheus::start(|_| nothing()).await;
    let source = source(&config_of(&prometheus));
    for query in ["up @ start()", "up @ end ( )"] {
        let asking = Asking::promql(query, "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z", 1);
        asking.fetch(&source).await.unwrap();
    }
    assert_eq!(prometheus.asked().len(), 2);
}

#[tokio::test]
async fn a_long_query_goes_by_post() {
    let prometheus = ScriptedPrometheus::start(|_| nothing()).await;
    let source = source(&config_of(&prometheus));
    for (length, method) in [(100, "GET"), (5000, "POST")] {
        let query = format!("up{{x=\"{}\"}}", "ä+&".repeat(length / 3));
        let asking = Asking::promql(&query, "2024-06-01T00:00:00Z", "2024-06-01T01:00:00Z", 60);
        asking.fetch(&source).await.unwrap();
        let asked = prometheus.asked().pop().unwrap();
        assert_eq!(asked.method, method);
        assert_eq!(asked.path, "/api/v1/query_range");
        assert_eq!(asked.params["query"], query);
        assert_eq!(asked.params["step"], "60");
    }
}

#[tokio::test]
async fn no_more_queries_run_at_once_than_the_account_allows() {
    let reply = || nothing().after(Duration::from_millis(20));
    let prometheus = ScriptedPrometheus::start(move |_| reply()).await;
    let mut account = account(&prometheus.url);
    account.http.max_concurrent_queries = 3;
    let source = source(&config(vec![("mine", account)]));
    let (start, end) = ("2024-06-01T01:00:00Z", "2024-06-01T01:05:00Z");
    let queries = (0..12).map(|index| Asking::promql(&format!("m{index}"), start, end, 60));
    let queries: Vec<_> = queries.collect();
    let answers = join_all(queries.iter().map(|asking| asking.fetch(&source))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(prometheus.most_in_flight(), 3);
}

#[tokio::test]
async fn nothing_is_asked_for_compressed_unless_the_account_says_so() {
    for (compression, expected) in [(false, None), (true, Some("gzip"))] {
        let prometheus = ScriptedPrometheus::start(|asked| match asked.path.as_str() {
            "/api/v1/query_range" => nothing(),
            _ => Reply::text(200, r#"{"status":"success","data":["a"]}"#),
        })
        .await;
        let mut account = account(&prometheus.url);
        account.http.compression = compression;
        let source = source(&config(vec![("mine", account)]));
        let long = format!("up{{job!=\"{}\"}}", "x".repeat(3_000));
        let long = Asking::promql(&long, "2024-06-01T01:00:00Z", "2024-06-01T01:05:00Z", 60);
        Asking::up().fetch(&source).await.unwrap();
        long.fetch(&source).await.unwrap();
        source.metric_names("").await.unwrap();
        source.health().await.unwrap();
        let asked = prometheus.asked();
        assert_eq!(asked.len(), 4);
        for asked in asked {
            assert_eq!(asked.header("accept-encoding"), expected, "{}", asked.path);
        }
    }
}

#[tokio::test]
async fn an_answer_may_be_compressed_but_not_without_end() {
    let blanks = vec![b' '; 65 << 20];
    let result = json!([{"metric": {}, "values": [[1, "2"]]}]);
    let replies = vec![
        Reply::matrix(&result).gzipped(),
        Reply::text(200, blanks).gzipped(),
    ];
    let prometheus = ScriptedPrometheus::replying(replies).await;
    let mut account = account(&prometheus.url);
    account.http.compression = true;
    let source = source(&config(vec![("mine", account)]));
    assert_eq!(Asking::up().fetch(&source).await.unwrap()[0].values, [2.0]);
    let error = Asking::up().fails(&source).await;
    assert!(
        error.message.contains("larger than 64 MiB"),
        "{}",
        error.message
    );
    assert_eq!(prometheus.asked().len(), 2);
}
