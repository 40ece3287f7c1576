//! The pages: what they say, and what they never do.

mod lists;
mod over_time;
mod runs;

use serde_json::{Value, json};

use crate::executions::{adhoc, config, request, series};
use crate::harness::Serin;
use crate::migrating::left_by_kayenta;
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

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

async fn run(serin: &Serin, path: &str, body: &Value) -> String {
    let id = serin.client.start_canary(path, body).await;
    serin.client.poll(&id).await;
    id
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
    let back = format!("href=\"/ui/analyses/{id}\"");
    let wanted = ["2024-06-01 02:00:00", "judgement 2 of 2 of", &back];
    says(&serin, &link, &wanted).await;
    let wanted = [&*format!("href=\"{link}\""), "of an analysis", &back];
    says(&serin, "/ui/", &wanted).await;
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
