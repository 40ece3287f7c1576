//! Services that are away, slow, or no such service; what is told of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ONE_OF_EACH, asking, kinds, open};
use crate::stand_in::StandIn;

/// What came instead of an answer, what is told of it, and how often it was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_a_service_is_told_with_what_came() {
    let text = |status: u16, kind: &str, body: &str| json!({"status": status, "headers": {"content-type": kind}, "body": body});
    let bare = |status: u16| json!({"status": status, "body": ""});
    let json = "application/json";
    let cases = [
        (bare(401), "Unauthorized, from", 1),
        (
            text(401, json, r#"{"code": 401, "message": "who are you?"}"#),
            "who are you?",
            1,
        ),
        (
            text(403, json, r#"{"errors": ["Forbidden"]}"#),
            "Forbidden",
            1,
        ),
        (
            text(
                500,
                json,
                r#"{"error": {"message": "away", "status": "INTERNAL"}}"#,
            ),
            "INTERNAL: away",
            3,
        ),
        (bare(503), "Service Unavailable, from", 3),
        (text(429, json, r#"{"error": "slower"}"#), "slower", 3),
        (
            json!({"close": true}),
            "connection closed before message completed",
            3,
        ),
        (
            text(200, "text/html", "<html>sign in</html>"),
            "a web page (text/html) that begins '<html>sign in</html>' came from",
            1,
        ),
        (
            text(200, "text/plain", "busy"),
            "a text (text/plain) that begins 'busy' came from",
            1,
        ),
        (bare(200), "nothing (status 200) came from", 1),
        (bare(204), "nothing (status 204) came from", 1),
    ];
    let stand_in = StandIn::start().await;
    let sources = open(&of_each(&stand_in, "20s"));
    for (query, answer) in kinds() {
        let source = &sources[query["type"].as_str().unwrap()];
        let mut cut = answer;
        cut["cut"] = json!(true);
        let cut = [(cut, "end of file before message length reached", 3)];
        for (came, expected, times) in cases.iter().chain(&cut) {
            stand_in.play(vec![came.clone()]);
            let told = asking(&query).fetch(source).await.unwrap_err().to_string();
            assert!(told.contains(expected), "{query}, {expected}: {told}");
            assert_eq!(stand_in.asked().len(), *times, "{query}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_given_the_time_that_it_asks_for_and_no_more_than_the_deadline() {
    let stand_in = StandIn::start().await;
    let sources = open(&of_each(&stand_in, "3s"));
    let busy =
        |seconds: &str| json!({"status": 429, "headers": {"retry-after": seconds}, "body": ""});
    for (query, answer) in kinds() {
        let source = &sources[query["type"].as_str().unwrap()];
        stand_in.play(vec![busy("1"), answer.clone()]);
        let started = Instant::now();
        let sets = asking(&query).fetch(source).await.unwrap();
        assert!(Duration::from_secs(1) <= started.elapsed(), "{query}");
        assert_eq!(sets[0].values[..3], [0.0, 1.0, 2.0], "{query}");

        let mut slow = answer;
        slow["delay"] = json!(60);
        let cases = [
            (busy("60"), "Too Many Requests"),
            (slow, "no answer within 3 s"),
        ];
        for (reply, expected) in cases {
            stand_in.play(vec![reply]);
            let told = asking(&query).fetch(source).await.unwrap_err().to_string();
            assert!(told.contains(expected), "{query}: {told}");
            assert_eq!(stand_in.asked().len(), 1, "{query}: {told}");
        }
    }
}

fn of_each(stand_in: &StandIn, deadline: &str) -> String {
    let accounts = ONE_OF_EACH.replace("<url>", &stand_in.url);
    accounts.replace("<deadline>", deadline)
}

/// What a query of Datadog is told when it is answered with that.
async fn told_by_datadog(replies: Vec<Value>) -> (String, usize) {
    let stand_in = StandIn::start().await;
    let sources = open(&of_each(&stand_in, "20s"));
    stand_in.play(replies);
    let query = json!({"type": "datadog", "metricName": "avg:m"});
    let told = match asking(&query).fetch(&sources["datadog"]).await {
        Ok(sets) => format!("{} sets", sets.len()),
        Err(error) => error.to_string(),
    };
    (told, stand_in.asked().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_in_the_services_words_without_keys_and_asked_again_where_that_helps() {
    let json = |status: u16, body: &str| json!({"status": status, "headers": {"content-type": "application/json"}, "body": body});
    let limited = json!({"status": 429, "headers": {"x-ratelimit-reset": "1"}, "body": "{\"errors\": [\"Rate limit\"]}"});
    let none = r#"{"status": "ok", "series": []}"#;
    let series = |count: usize| {
        let one = r#"{"start": 0, "end": 0, "interval": 60, "pointlist": []}"#;
        format!(
            r#"{{"status": "ok", "series": [{}]}}"#,
            vec![one; count].join(",")
        )
    };
    let cases = [
        // replies                                                        told, and how often it was asked
        (
            vec![json(403, r#"{"errors": ["key dd-api-key is not valid"]}"#)],
            "key … is not valid",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"status": "error", "error": "no dd-application-key"}"#,
            )],
            "no …",
            1,
        ),
        (vec![json(500, r#"{"errors": ["away"]}"#)], "away", 3),
        (vec![limited, json(200, none)], "1 sets", 2),
        (
            vec![json(200, &series(1_001))],
            "more than 1000 series (limits.series)",
            1,
        ),
        (
            vec![json(200, &series(20_001))],
            "a list of more than 20000 elements",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"series": [{"start": 0, "end": 9000000000000, "interval": 1, "pointlist": []}]}"#,
            )],
            "samples (limits.samples)",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"series": [{"start": 0, "end": 60000, "interval": 0, "pointlist": []}]}"#,
            )],
            "an interval of 0 s",
            1,
        ),
    ];
    for (replies, expected, times) in cases {
        let (told, asked) = told_by_datadog(replies).await;
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(asked, times, "{told}");
    }
}
