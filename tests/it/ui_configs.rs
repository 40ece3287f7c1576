//! The pages of canary configs and accounts, as a browser without scripts uses them.

mod editor;
mod series;
mod text;
mod trial;

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
    hostile["metrics"][0]["query"] = json!({"type": "dynatrace", "metricName": HOSTILE});
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
async fn a_config_may_be_named_like_a_page() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let ids = ["new", "check", "labels", "series", "templates", "a b+ä"];
    for (at, id) in ids.into_iter().enumerate() {
        let mut config = config("named");
        config["id"] = json!(id);
        config["name"] = json!(format!("n{at}"));
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
            "<td>metrics</td>",
            "<td>reports<br>configs</td>",
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
