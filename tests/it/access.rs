//! Who may what: each door, as each of those meets it who may not.

use reqwest::Method;
use serde_json::{Value, json};
use serin::config::TokenHash;

use crate::executions::{adhoc, config, request, series};
use crate::harness::{Client, Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

/// Of two teams, of one who may see what the first has, of one who may nothing, and of one who keeps serin.
const NAMES: [&str; 6] = ["pay", "shop", "eye", "none", "ops", "narrow"];

fn token(name: &str) -> String {
    format!("serin_token-of-the-tests-for-{name}")
}

fn access() -> String {
    let tokens = NAMES.map(|name| {
        let hash = TokenHash::of(&token(name)).in_digits();
        format!("  - {{name: {name}, sha256: {hash}}}\n")
    });
    format!(
        "access:\n  tokens:\n{}  rules:\n{}",
        tokens.concat(),
        "  - {who: {token: ops}, may: [admin]}
  - {who: {token: pay}, may: [read, start, config, delete], applications: [pay]}
  - {who: {token: shop}, may: [read, start, config, delete], applications: [shop]}
  - {who: {token: eye}, may: [read], applications: [pay]}
  - {who: {token: narrow}, may: [start], applications: [pay], accounts: [other]}
"
    )
}

/// A service with a canary, an analysis and a config of `pay`.
struct Street {
    serin: Serin,
    run: String,
    analysis: String,
    config: String,
    pairs: String,
}

impl Street {
    async fn open() -> Self {
        let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
        let serin = Serin::start_with(&prometheus.url, &[], Some(&access())).await;
        let pay = serin.client.with_token(&token("pay"));
        let run = pay
            .start_canary("/canary?application=pay", &adhoc(&["latency"]))
            .await;
        let done = pay.poll(&run).await;
        assert_eq!(done["caller"], "token:pay");
        let (status, stored) = pay.post("/canaryConfig", &config_of("ours", "pay")).await;
        assert_eq!(status, 200, "{stored}");
        let (status, analysis) = pay
            .post("/standalone_canary_analysis?application=pay", &analysis())
            .await;
        assert_eq!(status, 200, "{analysis}");
        let text = |told: &Value| told.as_str().unwrap().to_owned();
        Self {
            serin,
            run,
            analysis: text(&analysis["canaryAnalysisExecutionId"]),
            config: text(&stored["canaryConfigId"]),
            pairs: text(&done["metricSetPairListId"]),
        }
    }

    fn of(&self, name: &str) -> Client {
        self.serin.client.with_token(&token(name))
    }
}

fn config_of(name: &str, application: &str) -> Value {
    let mut config = config(&["latency"]);
    config["name"] = name.into();
    config["applications"] = json!([application]);
    config["configVersion"] = "1".into();
    config["judge"] = json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}});
    config
}

fn analysis() -> Value {
    let scope = json!({"scopeName": "default", "controlScope": "v1", "experimentScope": "v2",
        "startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T01:05:00Z", "step": 60});
    json!({"canaryConfig": config(&["latency"]), "executionRequest": {
        "scopes": [scope], "thresholds": {"pass": 95, "marginal": 75}}})
}

/// Without the time at which it was answered.
async fn ask(client: &Client, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let asked = client.http.request(method, format!("{}{path}", client.url));
    let asked = if body.is_null() {
        asked
    } else {
        asked.json(body)
    };
    let (status, mut told) = answer(asked).await;
    if let Some(members) = told.as_object_mut() {
        members.remove("timestamp");
    }
    (status, told)
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn what_one_may_not_read_is_as_if_it_were_not_there() {
    let street = Street::open().await;
    let Street {
        run,
        analysis,
        config,
        pairs,
        ..
    } = &street;
    let none = Value::Null;
    let again = json!({});
    let accepted = json!({"reason": "it is fine", "by": "ada"});
    let theirs = config_of("theirs", "shop");
    let deed = Some(403);
    // What is asked, of which id, and what who may only read it is told, where it is a deed.
    let cases: [(&str, &str, &String, &Value, Option<u16>); 29] = [
        ("GET", "/canary/{}", run, &none, None),
        ("GET", "/canary/{}?wait=20s", run, &none, None),
        ("GET", "/canary/{}/events", run, &none, None),
        ("GET", "/canary/{}/actions", run, &none, None),
        ("GET", "/pipelines/{}", run, &none, None),
        ("GET", "/canaryResultArchive/{}", run, &none, None),
        ("GET", "/metricSetPairList/{}", pairs, &none, None),
        ("GET", "/metricSetPairList/{}/x", pairs, &none, None),
        ("GET", "/canaryConfig/{}", config, &none, None),
        ("GET", "/v2/canaryConfig/{}", config, &none, None),
        (
            "GET",
            "/standalone_canary_analysis/{}",
            analysis,
            &none,
            None,
        ),
        (
            "GET",
            "/standalone_canary_analysis/{}/events",
            analysis,
            &none,
            None,
        ),
        (
            "GET",
            "/standalone_canary_analysis/{}/actions",
            analysis,
            &none,
            None,
        ),
        ("GET", "/judges/comparison/{}", run, &none, None),
        // Of another kind.
        ("GET", "/standalone_canary_analysis/{}", run, &none, None),
        ("GET", "/canary/{}", analysis, &none, None),
        ("DELETE", "/canary/{}", run, &none, deed),
        ("PUT", "/pipelines/{}/cancel", run, &none, deed),
        ("DELETE", "/pipelines/{}", run, &none, deed),
        ("PUT", "/canary/{}/pin", run, &none, deed),
        ("DELETE", "/canary/{}/pin", run, &none, deed),
        (
            "PUT",
            "/standalone_canary_analysis/{}/pin",
            analysis,
            &none,
            deed,
        ),
        ("POST", "/canary/{}/again", run, &again, deed),
        ("POST", "/canary/{}/accept", run, &accepted, deed),
        ("DELETE", "/canaryResultArchive/{}", run, &none, deed),
        ("DELETE", "/metricSetPairList/{}", pairs, &none, deed),
        ("DELETE", "/canaryConfig/{}", config, &none, deed),
        ("PUT", "/canaryConfig/{}", config, &theirs, deed),
        (
            "POST",
            "/canary/{}?application=shop",
            config,
            &request(),
            None,
        ),
    ];
    // As one looks that is somebody's.
    let unknown = "01HZ8M3V5Q7RBN2KX4TDEW6YCF";
    let (shop, eye, nobody) = (street.of("shop"), street.of("eye"), &street.serin.client);
    for (method, path, id, body, deed) in &cases {
        let (real, made_up) = (path.replace("{}", id), path.replace("{}", unknown));
        let (status, told) = ask(&shop, method, &real, body).await;
        let (expected, other) = ask(&shop, method, &made_up, body).await;
        let told = told.to_string().replace(id.as_str(), unknown);
        assert_eq!(
            (status, told),
            (expected, other.to_string()),
            "{method} {real}"
        );
        assert!([400, 404].contains(&status), "{method} {real}: {status}");
        let (status, told) = ask(nobody, method, &real, body).await;
        assert_eq!(status, 401, "{method} {real}: {told}");
        let (status, told) = ask(&street.of("none"), method, &real, body).await;
        assert_eq!(status, 403, "{method} {real}: {told}");
        if let Some(expected) = deed {
            let (status, told) = ask(&eye, method, &real, body).await;
            assert_eq!(status, *expected, "{method} {real}: {told}");
        }
    }
    // It is all there still, and those whose it is may.
    let pay = street.of("pay");
    for (method, path, id, body, _) in cases.iter().take(13) {
        let (status, told) = ask(&pay, method, &path.replace("{}", id), body).await;
        let is_there = status == 200 || path.ends_with("/x");
        assert!(is_there, "{method} {path}: {status} {told}");
    }
    assert_eq!(
        ask(&pay, "PUT", &format!("/canary/{run}/pin"), &none)
            .await
            .0,
        204
    );
    assert_eq!(
        ask(&pay, "DELETE", &format!("/canaryConfig/{config}"), &none)
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn lists_leave_out_what_one_may_not_see() {
    let street = Street::open().await;
    let (pay, shop, ops) = (street.of("pay"), street.of("shop"), street.of("ops"));
    let scores = "/prometheus/api/v1/query?query=serin_canary_score";
    let cases = [
        ("/canary/executions?application=pay", ""),
        ("/standalone_canary_analysis?application=pay", ""),
        ("/pipelines", ""),
        ("/canaryConfig", ""),
        ("/canaryResultArchive", ""),
        (scores, "/data/result"),
        (
            "/prometheus/api/v1/series?match[]=serin_canary_score",
            "/data",
        ),
    ];
    for (path, at) in cases {
        let listed = async |client: &Client| {
            let (status, told) = client.get(path).await;
            assert_eq!(status, 200, "{path}: {told}");
            told.pointer(at).unwrap().as_array().unwrap().len()
        };
        assert!(0 < listed(&pay).await, "{path}");
        assert!(0 < listed(&ops).await, "{path}");
        assert_eq!(listed(&shop).await, 0, "{path}");
    }
    let replayed = json!({"runs": [street.run]});
    let (status, told) = shop.post("/replay", &replayed).await;
    assert_eq!(
        (status, &told["runs"][0]["notJudged"]["cause"]),
        (200, &json!("unknown")),
        "{told}"
    );
    let (_, told) = pay.post("/replay", &replayed).await;
    assert_eq!(told["runs"][0].get("notJudged"), None, "{told}");
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn what_is_started_is_asked_about_once() {
    let street = Street::open().await;
    let mut acting = adhoc(&["latency"]);
    acting["executionRequest"]["actions"] = json!({"fail": [{"url": "http://127.0.0.1:9/x"}]});
    let plain = adhoc(&["latency"]);
    let verdict = json!({"canaryConfig": config(&["latency"]), "controlScope": "v1", "experimentScope": "v2", "lookback": "10m", "wait": "0s"});
    let hook = json!({"name": "pay", "namespace": "n", "checksum": "1", "metadata": {
        "canaryConfigName": "ours", "controlScope": "v1", "experimentScope": "v2", "lifetime": "10m"}});
    let cases = [
        (
            "shop",
            "/canary?application=pay",
            &plain,
            403,
            "the role 'start' for the application 'pay'",
        ),
        (
            "eye",
            "/canary?application=pay",
            &plain,
            403,
            "the role 'start' for the application 'pay'",
        ),
        (
            "pay",
            "/canary",
            &plain,
            403,
            "for the application 'ad-hoc'",
        ),
        (
            "narrow",
            "/canary?application=pay",
            &plain,
            403,
            "on the account 'prometheus'",
        ),
        (
            "pay",
            "/canary?application=pay",
            &acting,
            403,
            "the role 'actions' for the application 'pay'",
        ),
        (
            "shop",
            "/standalone_canary_analysis?application=pay",
            &analysis(),
            403,
            "the role 'start'",
        ),
        (
            "shop",
            "/canary/verdict?application=pay",
            &verdict,
            403,
            "the role 'start'",
        ),
        (
            "shop",
            "/flagger/rollout",
            &hook,
            403,
            "the role 'start' for the application 'pay'",
        ),
        (
            "pay",
            "/canaryConfig",
            &config_of("x", "shop"),
            403,
            "the role 'config' for the application 'shop'",
        ),
        (
            "pay",
            "/canaryConfig",
            &config(&["latency"]),
            403,
            "the role 'config' for all applications",
        ),
        (
            "pay",
            "/canaryResultArchive",
            &json!({}),
            403,
            "the role 'admin'",
        ),
        (
            "pay",
            "/metricSetPairList",
            &json!([]),
            403,
            "the role 'start' for all applications",
        ),
        (
            "pay",
            "/retention",
            &json!({}),
            403,
            "the role 'delete' for all applications",
        ),
        (
            "eye",
            "/fetch/prometheus/query",
            &json!({}),
            403,
            "the role 'start'",
        ),
        (
            "eye",
            "/calibrations",
            &json!({"canaryConfig": config(&["latency"]), "control": {"scope": "v1"}}),
            403,
            "the role 'start'",
        ),
        (
            "pay",
            "/admin/orca/instance/enabled",
            &json!({"enabled": true}),
            403,
            "the role 'admin'",
        ),
        (
            "ops",
            "/admin/orca/instance/enabled",
            &json!({"enabled": true}),
            200,
            "",
        ),
    ];
    for (name, path, body, expected, part) in cases {
        let (status, told) = street.of(name).post(path, body).await;
        assert_eq!(status, expected, "{name} {path}: {told}");
        assert!(told.to_string().contains(part), "{name} {path}: {told}");
    }
}

#[tokio::test]
async fn a_key_is_that_of_its_caller() {
    let street = Street::open().await;
    let send = async |name: &str, body: &Value| {
        let client = street.of(name);
        let path = format!("{}/canary?application={name}", client.url);
        let sent = client
            .http
            .post(path)
            .header("Idempotency-Key", "one")
            .json(body);
        answer(sent).await
    };
    let body = adhoc(&["latency"]);
    let (pay, shop) = (send("pay", &body).await, send("shop", &body).await);
    assert_eq!((pay.0, shop.0), (200, 200), "{pay:?} {shop:?}");
    assert_ne!(pay.1["canaryExecutionId"], shop.1["canaryExecutionId"]);
    assert_eq!(send("pay", &body).await, pay);
    let (status, told) = send("pay", &adhoc(&["errors"])).await;
    assert_eq!(status, 422);
    let id = pay.1["canaryExecutionId"].as_str().unwrap();
    let told = told.to_string();
    assert!(told.contains("'one'") && !told.contains(id), "{told}");
}

#[tokio::test]
async fn health_and_accounts_tell_less_to_whom_may_less() {
    let street = Street::open().await;
    let (eye, ops, nobody) = (street.of("eye"), street.of("ops"), &street.serin.client);
    assert_eq!(nobody.get("/health").await, (200, json!({"status": "UP"})));
    assert!(eye.get("/health").await.1["components"].is_object());
    assert_eq!(eye.get("/metrics").await.0, 403);
    assert_eq!(ops.get("/metrics").await.0, 200);
    let (_, told) = eye.get("/credentials").await;
    assert_eq!(
        (
            told[0]["name"].is_string(),
            told.to_string().contains("http")
        ),
        (true, false),
        "{told}"
    );
    let (_, told) = ops.get("/credentials").await;
    assert!(told.to_string().contains("http"), "{told}");
    for (client, is_told) in [(&eye, false), (&ops, true)] {
        let (_, page) = client.get("/ui/accounts").await;
        let page = page.as_str().unwrap();
        assert!(page.contains("prometheus"), "{page}");
        assert_eq!(page.contains("http://127.0.0.1"), is_told, "{page}");
    }
    let (_, page) = eye.get(&format!("/ui/configs/{}", street.config)).await;
    assert!(page.as_str().unwrap().contains("by token:pay"), "{page}");
    assert_eq!(
        ask(&eye, "DELETE", "/credentials/local", &Value::Null)
            .await
            .0,
        403
    );
}

/// A door that asks nobody who it is must stand here.
const OPEN: [&str; 7] = [
    "health",
    "liveness",
    "readiness",
    "start_pipeline",
    "tell_build",
    "describe_metrics",
    "list_rules",
];

#[tokio::test]
async fn every_door_asks_who_it_is() {
    let street = Street::open().await;
    let document = serde_json::to_value(serin::api::openapi()).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let parts = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x1" } else { part });
            let path: Vec<&str> = parts.collect();
            let method = method.to_uppercase();
            let (nobody, none) = (&street.serin.client, street.of("none"));
            for (client, expected) in [(nobody, 401), (&none, 403)] {
                let (status, told) = ask(client, &method, &path.join("/"), &Value::Null).await;
                let is_refused = status == expected;
                assert_eq!(
                    is_refused,
                    !OPEN.contains(&id),
                    "{method} {path:?}: {status} {told}"
                );
            }
            asked += 1;
        }
    }
    assert!(60 < asked);
}
