//! The pages: what they say, and what they never do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, config, request, series};
use crate::harness::Serin;
use crate::migrating::left_by_kayenta;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// Most bytes of a page.
const PAGE: usize = 300 * 1024;

pub async fn page(serin: &Serin, path: &str) -> (u16, String) {
    let url = format!("{}{path}", serin.client.url);
    let response = serin.client.http.get(url).send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html"),
        "{path}"
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    (status, text)
}

/// The page has all these texts.
async fn says(serin: &Serin, path: &str, wanted: &[&str]) -> String {
    let (status, text) = page(serin, path).await;
    assert_eq!(status, 200, "{path}: {text}");
    for part in wanted {
        assert!(text.contains(part), "{path} lacks '{part}':\n{text}");
    }
    text
}

/// An hour of points; the experiment's errors are four times the control's.
fn worse(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    if query.contains("silent") {
        return Reply::matrix(&json!([]));
    }
    hour(if query.contains("errors") && query.contains("v2") {
        4.0
    } else {
        1.0
    })
}

fn hour(level: f64) -> Reply {
    let values: Vec<Value> = (0..60)
        .filter(|minute| !(20..25).contains(minute))
        .map(|minute| {
            let value = level + f64::from(minute % 7) / 10.0;
            json!([1_717_203_600 + 60 * minute, value.to_string()])
        })
        .collect();
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

async fn run(serin: &Serin, path: &str, body: &Value) -> String {
    let id = serin.client.start_canary(path, body).await;
    serin.client.poll(&id).await;
    id
}

#[tokio::test]
async fn a_newcomer_is_told_what_to_do() {
    let serin = Serin::start("").await;
    says(&serin, "/", &["Nothing has been judged yet", "curl"]).await;
    says(
        &serin,
        "/ui/analyses",
        &["No analysis has been started yet", "curl"],
    )
    .await;
}

#[tokio::test]
async fn a_run_tells_its_verdict_and_why() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let body = adhoc(&["latency", "errors", "silent"]);
    let id = run(&serin, "/canary?application=web", &body).await;
    let path = format!("/ui/runs/{id}");
    let text = says(
        &serin,
        &path,
        &[
            "<span class=\"badge fail\" id=\"outcome\">Fail</span>",
            "does not reach the marginal threshold of 75",
            "1 of 3 metrics could not be judged",
            "+232 %: 1.29 → 4.29; surely more than noise: 98 % sure of +",
            "No data on either side",
            "silent group",
            "Score, as the sum of its groups",
            "version=&#34;v2&#34;",
            "2024-06-01 01:00:00",
        ],
    )
    .await;
    let at = |name: &str| {
        text.find(&format!("<span class=\"name\">{name}</span>"))
            .unwrap()
    };
    assert!(at("errors") < at("silent") && at("silent") < at("latency"));

    let judged = "2024-06-01 01:00</time> – <time datetime=\"2024-06-01T01:05:00Z\">01:05</time>";
    let listed = says(
        &serin,
        "/ui/",
        &[&path, "1 failed, 1 not judged of 3", "v1 → v2", judged],
    )
    .await;
    assert!(listed.contains("badge fail"));
    let part = &id[4..20].to_lowercase();
    for (find, is_found) in [
        ("V2", true),
        (part.as_str(), true),
        ("v3", false),
        ("%25", false),
    ] {
        let (_, listed) = page(&serin, &format!("/ui/?find={find}")).await;
        assert_eq!(listed.contains(&path), is_found, "{find}: {listed}");
    }
}

#[tokio::test]
async fn what_has_ended_is_pinned_and_deleted_and_what_runs_is_canceled() {
    let slow = Duration::from_secs(20);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let is_slow = asked.params["query"].contains("slow");
        if is_slow {
            series(1.0).after(slow)
        } else {
            series(1.0)
        }
    })
    .await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let press = async |path: String| {
        let url = format!("{}{path}", serin.client.url);
        let response = serin.client.http.post(url).send().await;
        response.unwrap().status().as_u16()
    };
    let id = run(&serin, "/canary?application=web", &adhoc(&["latency"])).await;
    let path = format!("/ui/runs/{id}");
    let filled = [
        "value=\"v1\"",
        "value=\"2024-06-01T01:00:00Z\"",
        "value=\"web\"",
    ];
    says(&serin, &format!("{path}/like"), &filled).await;
    says(&serin, &path, &["/pin\"", "/delete\"", "/like\""]).await;
    assert_eq!(press(format!("{path}/pin")).await, 200);
    let pinned = says(&serin, &path, &["pinned", "/unpin\""]).await;
    assert!(!pinned.contains("/delete\""), "{pinned}");
    assert_eq!(press(format!("{path}/delete")).await, 400);
    assert_eq!(press(format!("{path}/unpin")).await, 200);
    says(&serin, &format!("{path}/delete"), &["Delete this run?"]).await;
    assert_eq!(press(format!("{path}/delete")).await, 200);
    for gone in [path.clone(), format!("{path}/delete")] {
        assert_eq!(page(&serin, &gone).await.0, 404, "{gone}");
    }
    let (_, listed) = page(&serin, "/ui/").await;
    assert!(!listed.contains(&id), "{listed}");

    let running = serin
        .client
        .start_canary("/canary?application=web", &adhoc(&["slow"]))
        .await;
    let path = format!("/ui/runs/{running}");
    let shown = says(&serin, &path, &["/cancel\""]).await;
    assert!(!shown.contains("/delete\""), "{shown}");
    assert_eq!(press(format!("{path}/delete")).await, 400);
    assert_eq!(press(format!("/ui/analyses/{running}/cancel")).await, 404);
    assert_eq!(press(format!("{path}/cancel")).await, 200);
    says(&serin, &path, &["Canceled before its end"]).await;
}

#[tokio::test]
async fn a_run_that_passes_says_so() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary?application=web", &adhoc(&["latency"])).await;
    let wanted = [
        "<strong>100</strong>",
        "A score of 100 reaches the pass threshold of 95",
    ];
    says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
    says(&serin, "/ui/", &["1 passed", "badge pass"]).await;
}

#[tokio::test]
async fn series_are_given_for_a_chart_and_to_take_away() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary", &adhoc(&["errors"])).await;
    let path = format!("/ui/runs/{id}/metrics/0");

    let (status, data) = serin.client.get(&format!("{path}.json")).await;
    assert_eq!(status, 200);
    assert_eq!(data["name"], "errors");
    let times = data["experiment"]["times"].as_array().unwrap();
    let values = data["experiment"]["values"].as_array().unwrap();
    assert_eq!((times.len(), values.len()), (56, 56));
    assert_eq!(
        (&times[20], &values[20]),
        (&json!(1_717_204_800_000_i64), &Value::Null)
    );

    let (status, csv) = serin.client.get(&format!("{path}.csv")).await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = csv.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 1 + 2 * 55);
    assert_eq!(lines[0], "side,time,epoch_millis,value");
    assert_eq!(lines[1], "control,2024-06-01T01:00:00Z,1717203600000,1");
    for wrong in ["9.json", "0.xml", "x.json", "0"] {
        let (status, _) = page(&serin, &format!("/ui/runs/{id}/metrics/{wrong}")).await;
        assert_eq!(status, 404, "{wrong}");
    }
}

#[tokio::test]
async fn the_report_is_one_file_that_needs_nothing_else() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let keys = [("server.publicUrl", "https://serin.example.com")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = run(&serin, "/canary", &adhoc(&["errors", "</script>"])).await;
    let path = format!("/ui/runs/{id}/report.html");
    let text = says(
        &serin,
        &path,
        &[
            &format!("<a href=\"https://serin.example.com/ui/runs/{id}\">"),
            "surely more than noise",
            "uPlot",
            "id=\"data-0\"",
            "http-equiv=\"Content-Security-Policy\"",
        ],
    )
    .await;
    for loading in ["src=\"", "href=\"/", "@import", "url(http"] {
        assert!(!text.contains(loading), "{loading}");
    }
    // Two scripts and the series of two metrics; a name does not end one early.
    assert_eq!(text.matches("</script>").count(), 4);
}

#[tokio::test]
async fn what_failed_on_the_way_is_told_first() {
    let prometheus = ScriptedPrometheus::start(|_| {
        Reply::text(400, r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected <bracket>"}"#)
            .with("content-type", "application/json")
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary", &adhoc(&["latency"])).await;
    let wanted = [
        "badge error",
        "What went wrong while fetching a metric",
        "unexpected &#60;bracket&#62;",
        "Fetch the control",
    ];
    says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
}

#[tokio::test]
async fn what_runs_is_live() {
    let slow = Duration::from_secs(20);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = serin
        .client
        .start_canary("/canary?application=web", &adhoc(&["latency"]))
        .await;
    loop {
        let (_, body) = serin.client.get(&format!("/canary/{id}")).await;
        if body["stageStatus"]
            .as_object()
            .is_some_and(|stages| !stages.is_empty())
            && body["status"] == "running"
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let live = format!("data-live=\"/canary/{id}/events\"");
    says(
        &serin,
        &format!("/ui/runs/{id}"),
        &["Running", &live, "http-equiv=\"refresh\"", "0 of 1"],
    )
    .await;
    says(&serin, "/ui/?verdict=running", &["data-poll", &id]).await;
    let list = says(&serin, "/ui/?verdict=pass", &["No run is like that"]).await;
    assert!(!list.contains(&id));
    let (status, _) = serin.client.delete(&format!("/canary/{id}")).await;
    assert_eq!(status, 202);
    says(
        &serin,
        &format!("/ui/runs/{id}"),
        &["Canceled", "Canceled before its end"],
    )
    .await;
}

#[tokio::test]
async fn an_analysis_is_a_line_of_judgements() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let body = json!({"canaryConfig": config(&["latency"]), "executionRequest": {
        "scopes": [{"controlScope": "v1", "experimentScope": "v2", "step": 60,
            "startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:00:00Z"}],
        "thresholds": {"pass": 95, "marginal": 75}, "analysisIntervalMins": 30,
    }});
    let (_, started) = serin
        .client
        .post("/standalone_canary_analysis?application=web", &body)
        .await;
    let id = started["canaryAnalysisExecutionId"].as_str().unwrap();
    let path = format!("/standalone_canary_analysis/{id}");
    let done = loop {
        let (_, body) = serin.client.get(&format!("{path}?wait=5s")).await;
        if body["complete"] == true {
            break body;
        }
    };
    let canary = &done["canaryAnalysisExecutionResult"]["canaryExecutionResults"][1]["executionId"];
    let link = format!("/ui/runs/{}", canary.as_str().unwrap());
    let wanted = [
        "Pass",
        "A score of 100 reaches the pass threshold of 95",
        &link,
        "2024-06-01 01:30:00",
        "2024-06-01 02:00:00",
    ];
    says(&serin, &format!("/ui/analyses/{id}"), &wanted).await;
    says(&serin, "/ui/analyses", &[id, "2 judgements"]).await;
    says(&serin, &link, &["2024-06-01 02:00:00"]).await;
}

#[tokio::test]
async fn what_kayenta_judged_is_shown_without_reasons() {
    let folder = tempfile::tempdir().unwrap();
    for (key, body) in left_by_kayenta() {
        let path = folder.path().join("kayenta").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }
    let yml = json!({"kayenta": {"file": {"enabled": true, "accounts": [
        {"name": "old", "directory": folder.path(), "rootFolder": "kayenta"},
    ]}}});
    let serin = Serin::start_with("http://127.0.0.1:9", &[], Some(&yml.to_string())).await;
    let id = "01M7YG305ARK8ECTB8TPJXH2WJ";
    let wanted = [
        "Pass",
        "<strong>100</strong>",
        "NetflixACAJudge-v1.0 gave a score of 100",
        "cpu",
        "+17.9 %",
        "40.8 on average in the control",
        "data-chart=\"0\"",
    ];
    let text = says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
    assert!(text.contains("class=\"line experiment\""));
    says(&serin, "/ui/", &[id, "s3-flow"]).await;
    says(
        &serin,
        "/ui/?config=s3flow&application=web&verdict=pass",
        &[id],
    )
    .await;
    says(&serin, "/ui/analyses", &["01M7YG318R8M99767NNYRMYZAQ"]).await;
    says(
        &serin,
        "/ui/analyses/01M7YG318R8M99767NNYRMYZAQ",
        &["Judgements"],
    )
    .await;
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let hostile = "<script>alert(1)</script>";
    let mut body = adhoc(&[hostile]);
    body["canaryConfig"]["name"] = json!(hostile);
    body["executionRequest"]["scopes"]["default"]["controlScope"]["scope"] =
        json!("\"><img src=x>");
    let path = "/canary?application=%3Cscript%3Ealert(1)%3C/script%3E";
    let id = run(&serin, path, &body).await;
    for path in [
        format!("/ui/runs/{id}"),
        format!("/ui/runs/{id}/report.html"),
        "/ui/".to_owned(),
        "/ui/?config=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        "/ui/?since=%3Cscript%3Ealert(1)".to_owned(),
    ] {
        let (status, text) = page(&serin, &path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!text.contains("<script>alert"), "{path}");
        assert!(!text.contains("<img"), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_address_is_answered_with_a_page() {
    let serin = Serin::start("").await;
    for (path, words) in [
        ("/ui/runs/none", "no run with id &#39;none&#39;"),
        ("/ui/runs/a%2Fb", "no run with id"),
        ("/ui/analyses/none", "no analysis with id"),
        ("/ui/nowhere", "there is no page"),
        ("/ui/assets/0/none.js", "no file"),
    ] {
        let (status, text) = page(&serin, path).await;
        assert_eq!(status, 404, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
        assert!(text.contains("<main"), "{path}");
    }
    // Scripts get what the API would say.
    let asked = serin
        .client
        .http
        .get(format!("{}/ui/runs/none", serin.client.url));
    let (status, body) = crate::harness::answer(asked.header("accept", "application/json")).await;
    assert_eq!((status, &body["status"]), (404, &json!(404)));
}

#[tokio::test]
async fn files_of_the_pages_are_kept_by_browsers() {
    let serin = Serin::start("").await;
    let (_, text) = page(&serin, "/ui/").await;
    let start = text.find("/ui/assets/").unwrap();
    let path = text[start..].split('"').next().unwrap();
    let get = |path: String| serin.client.http.get(format!("{}{path}", serin.client.url));
    let first = get(path.to_owned()).send().await.unwrap();
    assert_eq!(
        first.headers()["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let tag = first.headers()["etag"].clone();
    let again = get(path.to_owned())
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    let parts: Vec<&str> = path.split('/').collect();
    let other = get(format!("/ui/assets/0000/{}", parts[4]))
        .send()
        .await
        .unwrap();
    assert_eq!(other.headers()["cache-control"], "no-cache");
}

#[tokio::test]
async fn pages_stay_small() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let start: f64 = 1_717_203_600.0;
        let level = if asked.params["query"].contains("v2") {
            1.5
        } else {
            1.0
        };
        let values: Vec<Value> = (0..1_440)
            .map(|minute: i32| {
                let value = level + f64::from(minute * 7_919 % 1_000) / 1_000.0;
                json!([start + 60.0 * f64::from(minute), value.to_string()])
            })
            .collect();
        Reply::matrix(&json!([{"metric": {}, "values": values}]))
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let names: Vec<String> = (0..30).map(|index| format!("metric-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut body = json!({"canaryConfig": config(&names), "executionRequest": request()});
    for side in ["controlScope", "experimentScope"] {
        body["executionRequest"]["scopes"]["default"][side]["end"] = json!("2024-06-02T01:00:00Z");
    }
    let id = run(&serin, "/canary", &body).await;
    let (_, text) = page(&serin, &format!("/ui/runs/{id}")).await;
    println!("a run of 30 metrics × 1,440 points: {} bytes", text.len());
    assert!(text.len() < PAGE, "{} bytes", text.len());
    let (_, list) = page(&serin, "/ui/").await;
    assert!(list.len() < PAGE, "{} bytes", list.len());
}

#[tokio::test]
async fn a_long_list_goes_on_where_it_ended() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let mut ids = Vec::new();
    for index in 0..53 {
        let path = format!("/canary?application=app-{}", index % 2);
        ids.push(serin.client.start_canary(&path, &adhoc(&["latency"])).await);
    }
    for id in &ids {
        serin.client.poll(id).await;
    }
    let (_, first) = page(&serin, "/ui/").await;
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let (_, second) = page(&serin, &next).await;
    let seen = |text: &str| ids.iter().filter(|id| text.contains(id.as_str())).count();
    assert_eq!((seen(&first), seen(&second)), (50, 3));
    assert!(!second.contains("rel=\"next\""));
    let (_, one) = page(&serin, "/ui/?application=app-1").await;
    assert_eq!(seen(&one), 26);
    let none = [
        "until=2020-01-01T00:00",
        "since=2100-01-01",
        "until=now-1h",
        "config=other",
        "application=none",
    ];
    for filter in none {
        says(&serin, &format!("/ui/?{filter}"), &["No run is like that"]).await;
    }
    says(
        &serin,
        "/ui/?since=2020-01-01T00:00&until=2100-01-01",
        &[&ids[52]],
    )
    .await;
    let recent = "/ui/?since=now-1h&until=2100-01-01T00:00:00%2B02:00";
    says(&serin, recent, &[&ids[52], "value=\"now-1h\""]).await;
    says(&serin, "/ui/?verdict=nonsense", &["is no verdict"]).await;
    for list in ["/ui/", "/ui/analyses"] {
        let wrong = ["&#39;now-1&#39; is no time: one like", "value=\"now-1\""];
        says(&serin, &format!("{list}?since=now-1"), &wrong).await;
        let empty = "&#39;now-2h&#39; is not after &#39;now-1h&#39;";
        says(
            &serin,
            &format!("{list}?since=now-1h&until=now-2h"),
            &[empty],
        )
        .await;
    }
}
