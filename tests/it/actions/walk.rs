//! The walk of a weight, as the documents tell it.

use super::*;

#[tokio::test]
async fn a_good_run_walks_to_100_and_the_report_says_how() {
    let walk = Walk::start(Gateway::start().await, |_| slowly(1.0)).await;
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(walk.weights(), [json!(10), json!(30), json!(100)]);
    assert_eq!(
        told(&actions),
        ["start done 1", "interval1 done 1", "pass done 1"]
    );
    let rest = walk.gateway.document(ROUTE);
    assert_eq!(
        (&rest["uri"], &rest["upstream_id"]),
        (&json!("/checkout/*"), &json!("checkout-stable"))
    );

    let calls = walk.gateway.calls();
    let url = format!("http://{}{ROUTE}", walk.gateway.host);
    for (action, call) in actions.iter().zip(&calls) {
        let sent = &action["call"];
        assert_eq!(
            (&sent["method"], &sent["url"]),
            (&json!("PATCH"), &json!(url))
        );
        assert_eq!(sent["body"].to_string(), call.body, "byte for byte");
        assert_eq!(
            sent["headers"],
            json!({"Content-Type": "application/merge-patch+json"})
        );
        assert_eq!(call.header("content-type"), "application/merge-patch+json");
        assert_eq!(action["idempotencyKey"], call.header("idempotency-key"));
        assert_eq!(action["status"], 200);
        let times = ["createdTimeIso", "startTimeIso", "endTimeIso"];
        let times = times.map(|time| action[time].as_str().unwrap());
        // As texts, a time of a whole second would come after its milliseconds.
        let times = times.map(|time| time.parse::<jiff::Timestamp>().unwrap());
        assert!(times.is_sorted(), "{times:?}");
    }
    let everything = json!(actions).to_string();
    assert!(!everything.contains(KEY), "{everything}");
    for page in [format!("/ui/analyses/{id}")] {
        let (status, text) = walk.serin.client.get(&page).await;
        let text = text.as_str().unwrap();
        assert_eq!(status, 200);
        for part in ["interval 1", &url, "&#34;weight&#34;:30"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let (_, metrics) = walk.serin.client.get("/metrics").await;
    let line = "serin_actions_total{event=\"pass\",outcome=\"done\"}";
    assert!(metrics.as_str().unwrap().contains(line));
    assert!(!walk.prometheus.asked().is_empty());
}

#[tokio::test]
async fn a_bad_run_ends_with_no_traffic() {
    // At once, and after a judgement that had passed.
    for (queries, expected) in [(0, vec![10, 0]), (2, vec![10, 30, 0])] {
        let walk = Walk::start(Gateway::start().await, worse_after(queries)).await;
        let id = walk.analysis().await;
        let actions = walk.settled(&id).await;
        assert_eq!(walk.weights(), expected);
        assert_eq!(told(&actions).last().unwrap(), "fail done 1");
    }
}

#[tokio::test]
async fn what_cannot_be_judged_and_what_is_canceled_keeps_no_traffic() {
    let broken = |_: &Asked| {
        Reply::text(400, r#"{"status":"error","error":"no"}"#).after(Duration::from_millis(700))
    };
    let walk = Walk::start(Gateway::start().await, broken).await;
    let id = walk.analysis().await;
    assert_eq!(
        told(&walk.settled(&id).await),
        ["start done 1", "error done 1"]
    );
    assert_eq!(walk.weights(), [json!(10), json!(0)]);

    let endless = |_: &Asked| series(1.0).after(Duration::from_mins(1));
    let walk = Walk::start(Gateway::start().await, endless).await;
    let id = walk.analysis().await;
    walk.gateway
        .until(|gateway| !gateway.calls().is_empty())
        .await;
    let (status, _) = walk
        .serin
        .client
        .delete(&format!("/standalone_canary_analysis/{id}"))
        .await;
    assert_eq!(status, 202);
    assert_eq!(
        told(&walk.settled(&id).await),
        ["start done 1", "error done 1"]
    );
    assert_eq!(walk.weights(), [json!(10), json!(0)]);
}

#[tokio::test]
async fn an_annotation_of_kubernetes_is_set_and_removed_as_documented() {
    let service = "/api/v1/namespaces/shop/services/checkout";
    let weight = "/metadata/annotations/canary.example.com~1weight";
    let gateway = Gateway::start().await;
    gateway.put(
        service,
        json!({"kind": "Service", "metadata": {"name": "checkout", "annotations": {"other": "1"}}}),
    );
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), KEY).unwrap();
    let file = operator(
        &documented("yaml")[1],
        "kubernetes.default.svc",
        &gateway,
        token.path(),
    );
    let actions = documented("json")[2].replace(
        "https://kubernetes.default.svc",
        &format!("http://{}", gateway.host),
    );
    let actions: Value = serde_json::from_str(&actions).unwrap();
    let is_worse = Arc::new(AtomicBool::new(false));
    let worse = Arc::clone(&is_worse);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let is_bad = worse.load(Ordering::SeqCst) && asked.params["query"].contains("v2");
        slowly(if is_bad { 9.0 } else { 1.0 })
    })
    .await;
    let serin = Serin::start_with(&prometheus.url, &FORGETFUL, Some(&file)).await;
    let mut body = retrospective(20);
    body["executionRequest"]["actions"] = actions;
    body["executionRequest"]["scopes"][0]["experimentLocation"] = json!("shop");
    let path = "/standalone_canary_analysis?application=checkout";
    let expected = [
        (
            false,
            vec![
                json!("10"),
                json!("30"),
                json!("60"),
                json!("90"),
                json!("100"),
            ],
        ),
        (true, vec![json!("10"), Value::Null]),
    ];
    let mut before = 0;
    for (worse, expected) in expected {
        is_worse.store(worse, Ordering::SeqCst);
        let id = start(&serin.client, path, &body).await;
        settled(&serin.client, "standalone_canary_analysis", &id).await;
        assert_eq!(gateway.set(service, weight)[before..], expected);
        before += expected.len();
    }
    assert_eq!(
        gateway.document(service)["metadata"]["annotations"],
        json!({"other": "1"})
    );
}

#[test]
fn the_examples_of_the_reference_are_what_serin_takes() {
    let document = include_str!("../../../docs/actions.md");
    let blocks = examples(document, "json");
    let first: Value = serde_json::from_str(&blocks[0]).unwrap();
    serin::canary::Actions::read(&first["actions"]).unwrap();
    let records: Vec<serin::canary::ActionRecord> = serde_json::from_str(&blocks[1]).unwrap();
    let again = serde_json::to_value(&records).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&blocks[1]).unwrap());
}
