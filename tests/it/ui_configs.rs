//! The pages of canary configs and accounts, as a browser without scripts uses them.

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::executions::series;
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

const HOSTILE: &str = "<script>alert(1)</script>\"'&";
const ESCAPED: &str = "&#60;script&#62;";

/// Pages, with redirects as they come.
struct Browser {
    http: Client,
    url: String,
}

impl Browser {
    fn of(serin: &Serin) -> Self {
        Self {
            http: Client::builder().redirect(Policy::none()).build().unwrap(),
            url: serin.client.url.clone(),
        }
    }

    async fn page(&self, path: &str) -> (u16, String) {
        let get = self.http.get(format!("{}{path}", self.url));
        read(get.send().await.unwrap()).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let post = self.http.post(format!("{}{path}", self.url));
        post.header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(body)
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        read(self.form(path, fields).send().await.unwrap()).await
    }

    /// Where the form leads to.
    async fn sent_to(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.form(path, fields).send().await.unwrap();
        let place = answer.headers().get("location").cloned();
        let (status, page) = read(answer).await;
        assert_eq!(status, 303, "{page}");
        place.unwrap().to_str().unwrap().to_owned()
    }
}

async fn read(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap())
}

fn config(name: &str) -> Value {
    json!({
        "name": name, "applications": ["web"], "description": "what it is for",
        "templates": {"version": "version=\"${scope}\""},
        "metrics": [{
            "name": "cpu", "scopeName": "default", "groups": ["load"],
            "query": {"type": "prometheus", "metricName": "cpu_seconds", "customFilterTemplate": "version"},
            "analysisConfigurations": {"canary": {"direction": "increase", "critical": true, "effectSize": {"allowedIncrease": 1.1}}},
        }],
        "classifier": {"groupWeights": {"load": 100}},
    })
}

async fn store(serin: &Serin, config: &Value) -> String {
    let (status, body) = serin.client.post("/canaryConfig", config).await;
    assert_eq!(status, 200, "{body}");
    body["canaryConfigId"].as_str().unwrap().to_owned()
}

/// All texts are in the page.
fn has(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "'{text}' is not in {page}");
    }
}

/// The text of the editor, as a browser would show it.
fn edited(page: &str) -> String {
    let (_, area) = page.split_once("<textarea id=\"config\"").unwrap();
    let (_, text) = area.split_once(">\n").unwrap();
    let (text, _) = text.split_once("</textarea>").unwrap();
    [
        ("&#34;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}

#[tokio::test]
async fn configs_are_listed_by_application() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let (status, empty) = browser.page("/ui/configs").await;
    assert_eq!(status, 200);
    has(&empty, &["no canary configs", "curl", "/ui/configs/new"]);

    let id = store(&serin, &config("first")).await;
    let mut other = config("second");
    other["applications"] = json!(["shop", HOSTILE]);
    store(&serin, &other).await;
    let (_, all) = browser.page("/ui/configs").await;
    has(
        &all,
        &["first", "second", &format!("/ui/configs/{id}"), ESCAPED],
    );
    assert!(!all.contains("<script>alert"), "{all}");
    let (_, shop) = browser.page("/ui/configs?application=shop").await;
    assert!(
        shop.contains(">second<") && !shop.contains(">first<"),
        "{shop}"
    );
    let (_, none) = browser.page("/ui/configs?application=nosuch").await;
    has(&none, &["No config is for"]);
    let (status, page) = browser.page("/ui/configs?account=nosuch").await;
    assert_eq!(status, 400);
    has(&page, &["Unable to resolve account nosuch."]);
}

#[tokio::test]
async fn a_config_is_explained_and_nothing_in_it_is_markup() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let id = store(&serin, &config("plain")).await;
    let (status, page) = browser.page(&format!("/ui/configs/{id}")).await;
    assert_eq!(status, 200);
    has(
        &page,
        &[
            "what it is for",
            "avg(cpu_seconds{version=&#34;${scope}&#34;})",
            "critical",
            "increase",
            "counts from +10 %",
            "NetflixACAJudge-v1.0",
            "belong to each run",
            "/edit",
            "/copy",
            "/delete",
            "/try",
        ],
    );
    assert!(!page.contains("No canary can be judged"), "{page}");

    let mut hostile = config("hostile");
    hostile["description"] = json!(HOSTILE);
    hostile["templates"][HOSTILE] = json!(HOSTILE);
    hostile["classifier"]["groupWeights"] = json!({HOSTILE: 50});
    hostile["judge"] = json!({"name": HOSTILE, "judgeConfigurations": {"a": HOSTILE}});
    hostile["metrics"][0]["name"] = json!(HOSTILE);
    hostile["metrics"][0]["groups"] = json!([HOSTILE]);
    hostile["metrics"][0]["scopeName"] = json!(HOSTILE);
    hostile["metrics"][0]["query"] = json!({"type": "newrelic", "metricName": HOSTILE});
    let id = store(&serin, &hostile).await;
    for page in ["", "/edit", "/copy", "/delete", "/try"] {
        let (status, text) = browser.page(&format!("/ui/configs/{id}{page}")).await;
        assert_eq!(status, 200, "{page}");
        assert!(!text.contains("<script>alert"), "{page}: {text}");
    }
    let (_, page) = browser.page(&format!("/ui/configs/{id}")).await;
    has(
        &page,
        &[
            "No canary can be judged",
            "Unable to resolve canary judge",
            "serin cannot fetch this type",
        ],
    );

    assert_eq!(browser.page("/ui/configs/nosuch").await.0, 404);
    assert_eq!(browser.page("/ui/configs/a%5Cb").await.0, 400);
}

#[tokio::test]
async fn a_config_is_made_changed_copied_and_deleted_by_forms() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let (_, page) = browser.page("/ui/configs/new").await;
    has(&page, &["Nothing is wrong with it."]);
    let place = browser
        .sent_to(
            "/ui/configs/new",
            &[("config", &edited(&page).replace('\n', "\r\n"))],
        )
        .await;
    let (_, page) = browser.page(&place).await;
    has(&page, &["my-service", "error rate"]);

    let (_, page) = browser.page(&format!("{place}/edit")).await;
    let text = edited(&page);
    assert!(
        !text.contains("Timestamp") && !text.contains("serviceType"),
        "{text}"
    );
    let id = place.rsplit('/').next().unwrap();
    let stored = serin.client.get(&format!("/canaryConfig/{id}")).await.1;
    let seen = stored["updatedTimestamp"].to_string();
    let renamed = text.replace("my-service", "renamed");
    let save = [("config", renamed.as_str()), ("seen", &seen)];
    assert_eq!(
        browser.sent_to(&format!("{place}/edit"), &save).await,
        place
    );
    let changed = serin.client.get(&format!("/canaryConfig/{id}")).await.1;
    assert_eq!(changed["name"], "renamed");
    assert_eq!(changed["id"], id);
    assert_eq!(changed["createdTimestamp"], stored["createdTimestamp"]);

    let (_, page) = browser.page(&format!("{place}/copy")).await;
    has(&page, &["renamed-copy", "action=\"/ui/configs/new\""]);
    let copy = browser
        .sent_to("/ui/configs/new", &[("config", &edited(&page))])
        .await;
    assert_ne!(copy, place);

    let (_, page) = browser.page(&format!("{copy}/delete")).await;
    has(&page, &["Delete the config renamed-copy?"]);
    assert_eq!(
        browser.sent_to(&format!("{copy}/delete"), &[]).await,
        "/ui/configs"
    );
    assert_eq!(browser.page(&copy).await.0, 404);
}

#[tokio::test]
async fn a_config_may_be_named_like_a_page() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    for id in ["new", "check", "a b+ä"] {
        let mut config = config("named");
        config["id"] = json!(id);
        config["name"] = json!(format!("n{}", id.len()));
        let text = config.to_string();
        let place = browser
            .sent_to("/ui/configs/new", &[("config", &text)])
            .await;
        let (status, page) = browser.page(&place).await;
        assert_eq!(status, 200, "{place}");
        has(
            &page,
            &[&format!("<code>{id}</code>"), &format!("{place}/edit")],
        );
    }
}

#[tokio::test]
async fn a_bad_config_comes_back_with_its_text_and_the_message() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    store(&serin, &config("taken")).await;
    let broken = "{\"name\": \"kept text\",";
    let (status, page) = browser.send("/ui/configs/new", &[("config", broken)]).await;
    assert_eq!(status, 422);
    has(&page, &["It cannot be stored like this.", "line 1", "EOF"]);
    assert_eq!(edited(&page), broken);

    let taken = config("taken").to_string();
    let (status, page) = browser.send("/ui/configs/new", &[("config", &taken)]).await;
    assert_eq!(status, 400);
    has(
        &page,
        &[
            "Not stored:",
            "already exists in the scope of applications [web]",
        ],
    );
    assert_eq!(edited(&page), taken);
}

#[tokio::test]
async fn what_somebody_else_stored_is_not_overwritten_unseen() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let id = store(&serin, &config("shared")).await;
    let path = format!("/canaryConfig/{id}");
    let seen = serin.client.get(&path).await.1["updatedTimestamp"].to_string();
    let mut theirs = config("shared");
    theirs["description"] = json!("theirs");
    assert_eq!(serin.client.put(&path, &theirs).await.0, 200);

    let mut mine = config("shared");
    mine["description"] = json!("mine");
    let mine = mine.to_string();
    let edit = format!("/ui/configs/{id}/edit");
    let save = [("config", mine.as_str()), ("seen", &seen)];
    let (status, page) = browser.send(&edit, &save).await;
    assert_eq!(status, 409);
    has(
        &page,
        &[
            "somebody else changed the canary config",
            "Overwrite it with mine",
        ],
    );
    assert_eq!(edited(&page), mine);
    let stored = serin.client.get(&path).await.1;
    assert_eq!(stored["description"], "theirs");

    let now = stored["updatedTimestamp"].to_string();
    assert!(
        page.contains(&format!("name=\"overwrite\" value=\"{now}\"")),
        "{page}"
    );
    let save = [save[0], save[1], ("overwrite", &now)];
    browser.sent_to(&edit, &save).await;
    assert_eq!(serin.client.get(&path).await.1["description"], "mine");
}

#[tokio::test]
async fn a_text_is_checked_as_it_is_typed() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let cases = [
        // text, severity, path, line, column, part of the message
        ("{\n\"name\": \"a\",\n}", "error", "", 3, "trailing comma"),
        (
            "{\n\"name\": 5,\n\"applications\": 5}",
            "error",
            "applications",
            3,
            "invalid type",
        ),
        ("", "error", "", 0, "JSON is wanted"),
        ("{} {}", "error", "", 1, "nothing may follow"),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [\n{\"name\": \"m\",\n\"query\": {\"type\": 5}}]}",
            "error",
            "metrics[0].query",
            3,
            "needs a 'type'",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [\n{\"name\": \"m\",\n\"query\": {}}]}",
            "error",
            "metrics[0].query",
            3,
            "needs a 'type'",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"],\n\"metrics\": [{\"name\": \"l\", \"query\": {\"type\": \"prometheus\"}, \"scopeName\": \"s\"},\n{\"name\": \"m\"}],\n\"classifier\": {\"groupWeights\": {}}}",
            "warning",
            "metrics[1].query",
            3,
            "Metric 'm' has no query.",
        ),
        (
            "{\"classifier\": {\"groupWeights\": {\"g\": 5,\n\"h\": \"much\"}}}",
            "error",
            "classifier.groupWeights.h",
            2,
            "'much' is not a number",
        ),
        (
            "{\"applications\": [\"b\"],\n\"name\": \"a b\", \"metrics\": []}",
            "error",
            "name",
            2,
            "Canary config cannot be named 'a b'.",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [{\"name\": \"m\", \"analysisConfigurations\": {\"canary\": {\n\"effectSize\": {\n\"allowedIncrease\": \"1.2\"}}}}]}",
            "error",
            "metrics[0].analysisConfigurations.canary.effectSize.allowedIncrease",
            3,
            "a number is wanted",
        ),
    ];
    for (text, severity, path, line, message) in cases {
        let (status, answer) = browser.send("/ui/configs/check", &[("config", text)]).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let first = &answer["findings"][0];
        let expected_line = if line == 0 { Value::Null } else { json!(line) };
        assert_eq!(
            (&first["severity"], &first["path"], &first["line"]),
            (&json!(severity), &json!(path), &expected_line),
            "{text}: {answer}"
        );
        let told = first["message"].as_str().unwrap();
        assert!(told.contains(message), "{text}: {told}");
        assert!(!told.contains(" at line "), "{told}");
    }
    let many = r#"{"metrics": [{"name": ""}, {"name": "m"}, {"name": "m"}]}"#;
    let (_, answer) = browser.send("/ui/configs/check", &[("config", many)]).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let errors = answer["findings"].as_array().unwrap().iter();
    let paths: Vec<_> = errors
        .filter(|f| f["severity"] == "error")
        .map(|f| &f["path"])
        .collect();
    assert_eq!(
        paths,
        ["name", "applications", "metrics[0].name", "metrics[2].name"]
    );

    let (_, answer) = browser
        .send(
            "/ui/configs/check",
            &[("config", &config("fine").to_string())],
        )
        .await;
    assert_eq!(answer, r#"{"findings":[]}"#);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let serin = Serin::start_with(
        "",
        &[("server.publicUrl", "https://serin.example.com/")],
        None,
    )
    .await;
    let browser = Browser::of(&serin);
    let id = store(&serin, &config("kept")).await;
    let host = serin.client.url.trim_start_matches("http://").to_owned();
    let cases = [
        // Sec-Fetch-Site, Origin, whether it gets through
        (Some("cross-site"), Some("https://evil.example"), false),
        (Some("same-site"), None, false),
        (None, Some("https://evil.example"), false),
        (None, Some("null"), false),
        (None, Some(&*format!("http://{host}")), true),
        (None, Some("https://serin.example.com"), true),
        (Some("same-origin"), Some("https://behind.example"), true),
    ];
    for (site, origin, is_fine) in cases {
        let mut post = browser
            .http
            .post(format!("{}/ui/configs/check", serin.client.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("config=%7B%7D");
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            post = value
                .into_iter()
                .fold(post, |post, value| post.header(name, value));
        }
        let (status, page) = read(post.send().await.unwrap()).await;
        assert_eq!(
            status,
            if is_fine { 200 } else { 403 },
            "{site:?} {origin:?}"
        );
        assert!(
            is_fine || page.contains("came from a page of another site"),
            "{page}"
        );
    }
    let delete = browser
        .http
        .post(format!("{}/ui/configs/{id}/delete", serin.client.url));
    let refused = delete
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // What a browser sends without asking for leave, to the API too.
    let foreign = browser
        .http
        .delete(format!("{}/canaryConfig/{id}", serin.client.url));
    let foreign = foreign.header("origin", "https://evil.example").send();
    assert_eq!(foreign.await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(
        serin.client.get(&format!("/canaryConfig/{id}")).await.0,
        200
    );
}

#[tokio::test]
async fn trying_a_config_starts_a_run_over_the_past() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let browser = Browser::of(&serin);
    let mut tried = config("tried");
    // Nowhere may actions go, and a trial takes none.
    tried["actions"] = json!({"pass": {"url": "http://gateway/weight"}});
    let id = store(&serin, &tried).await;
    let path = format!("/ui/configs/{id}/try");
    let (status, page) = browser.page(&path).await;
    assert_eq!(status, 200);
    has(
        &page,
        &[
            "scopes.0.control.start",
            "scopes.0.experiment.scope",
            "value=\"95\"",
            ">prometheus<",
            ">local<",
        ],
    );

    let fields = [
        ("scopes.0.control.scope", "v1"),
        ("scopes.0.control.location", "eu"),
        ("scopes.0.control.start", "2024-05-01 10:00"),
        ("scopes.0.control.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.control.parameters", "quantile=0.99\r\n"),
        ("scopes.0.experiment.scope", "v2"),
        ("scopes.0.experiment.start", "2024-05-01T12:00:00+02:00"),
        ("scopes.0.experiment.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.step", "60"),
        ("marginal", "75"),
        ("pass", "95"),
        ("application", "web"),
        ("metricsAccountName", "prometheus"),
        ("storageAccountName", "local"),
    ];
    let place = browser.sent_to(&path, &fields).await;
    let run = place.strip_prefix("/ui/runs/").unwrap();
    let run = serin.client.poll(run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["application"], "web");
    assert_eq!(run["canaryConfigId"], id.as_str());
    assert_eq!(run["config"].get("actions"), None);
    let scopes = &run["canaryExecutionRequest"]["scopes"]["default"];
    assert_eq!(
        scopes["controlScope"]["extendedScopeParams"]["quantile"],
        "0.99"
    );
    assert_eq!(scopes["experimentScope"]["start"], "2024-05-01T10:00:00Z");
    assert_eq!(scopes["experimentScope"]["scope"], "v2");

    let mut wrong = fields;
    wrong[3].1 = "2024-05-01T09:00:00Z";
    wrong[8].1 = HOSTILE;
    wrong[4].1 = "no parameter";
    let (status, page) = browser.send(&path, &wrong).await;
    assert_eq!(status, 422);
    has(
        &page,
        &[
            "Not started:",
            "the end must be after the start",
            "is no step",
            "name=value is wanted",
            "value=\"v1\"",
            ESCAPED,
        ],
    );

    let mut wrong = fields;
    wrong[12].1 = "nosuch";
    let (status, page) = browser.send(&path, &wrong).await;
    assert_eq!(status, 400);
    has(
        &page,
        &["Unable to resolve account nosuch.", "value=\"v1\""],
    );
}

#[tokio::test]
async fn accounts_are_shown_with_their_health_and_without_secrets() {
    let alive = ScriptedPrometheus::start(|_| series(1.0)).await;
    let file = format!(
        "kayenta:\n  prometheus:\n    enabled: true\n    accounts:\n      - name: alive\n        endpoint:\n          baseUrl: {}\n      - name: dead\n        endpoint:\n          baseUrl: http://user:hunter2@127.0.0.1:1\n        headers:\n          X-Scope-OrgID: hunter3\n",
        alive.url
    );
    let serin = Serin::start_with("", &[], Some(&file)).await;
    let (status, page) = Browser::of(&serin).page("/ui/accounts").await;
    assert_eq!(status, 200);
    has(
        &page,
        &[
            "alive",
            &alive.url,
            "local",
            "METRICS_STORE",
            "OBJECT_STORE",
            "http://127.0.0.1:1",
        ],
    );
    assert!(!page.contains("hunter"), "{page}");
    let state = |name: &str| {
        let (_, row) = page.split_once(&format!(">{name}</th>")).unwrap();
        let (row, _) = row.split_once("</tr>").unwrap();
        row.contains("is-up")
    };
    assert!(state("alive") && state("local") && !state("dead"), "{page}");
}
