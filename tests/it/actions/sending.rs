//! How calls are sent: in which order, again, and by whom.

use super::*;

#[tokio::test]
async fn what_is_not_taken_is_tried_again_and_what_is_refused_is_not() {
    let prometheus = ScriptedPrometheus::start(|_| slowly(1.0)).await;
    let script = |call: &Call, before: usize| match call.path.as_str() {
        "/fails" if before < 3 => Some([500, 429, 503][before]),
        "/fails" => Some(204),
        "/gone" => Some(410),
        "/moved" => Some(302),
        "/down" => Some(503),
        _ => Some(200),
    };
    let gateway = Gateway::failing(script).await;
    let more = format!(", token: {KEY}, secret: the secret");
    let serin = Serin::start_with(
        &prometheus.url,
        &[],
        Some(&in_the_clear(&hosts(&gateway, &more))),
    )
    .await;
    let to = |path: &str| json!({"url": format!("http://{}/{path}", gateway.host), "body": {"weight": 1}, "patienceSeconds": 60});
    let mut down = to("down");
    down["patienceSeconds"] = json!(3);
    let actions = json!({"pass": [to("fails"), to("gone"), to("moved"), down, to("last")]});
    let id = serin
        .client
        .start_canary("/canary", &canary(&actions))
        .await;
    let actions = settled(&serin.client, "canary", &id).await;
    assert_eq!(
        told(&actions),
        [
            "pass done 4",
            "pass failed 1",
            "pass failed 1",
            "pass failed 2",
            "pass done 1"
        ]
    );
    let message = |at: usize| actions[at]["message"].as_str().unwrap();
    assert_eq!(
        message(1),
        "it was answered with 410: {\"error_msg\":\"as the script says\"}"
    );
    assert!(
        message(2).ends_with("a redirect is not followed"),
        "{}",
        message(2)
    );
    assert_eq!(
        (&actions[3]["status"], &actions[4]["message"]),
        (&json!(503), &Value::Null)
    );
    let calls = gateway.calls();
    for call in &calls[..4] {
        assert_eq!(
            call.header("idempotency-key"),
            calls[0].header("idempotency-key")
        );
        assert_eq!(call.header("authorization"), format!("Bearer {KEY}"));
        assert!(crate::notifications::is_signed(
            call.header("x-serin-signature"),
            &call.body,
            "the secret"
        ));
    }
}

#[tokio::test]
async fn a_wrong_token_fails_at_once_and_is_told_to_nobody() {
    let walk = Walk::start(Gateway::start().await, |_| slowly(1.0)).await;
    std::fs::write(walk.key.path(), "a wrong key").unwrap();
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(
        told(&actions),
        ["start failed 1", "interval1 failed 1", "pass failed 1"]
    );
    assert_eq!(actions[0]["status"], 401);
    assert!(
        actions[0]["message"]
            .as_str()
            .unwrap()
            .contains("wrong apikey")
    );
    assert!(!json!(actions).to_string().contains("a wrong key"));
    assert!(walk.weights().is_empty());
}

#[tokio::test]
async fn a_later_event_overtakes_what_is_tried_again() {
    // The gateway takes nothing until the analysis has failed.
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let script = move |_: &Call, _| (!is_open.load(Ordering::SeqCst)).then_some(503);
    let walk = Walk::start(Gateway::failing(script).await, worse_after(2)).await;
    let id = walk.analysis().await;
    let path = format!("/standalone_canary_analysis/{id}?wait=20s");
    assert_eq!(walk.serin.client.get(&path).await.1["complete"], true);
    open.store(true, Ordering::SeqCst);
    let actions = walk.settled(&id).await;
    let outcomes: Vec<&Value> = actions.iter().map(|action| &action["outcome"]).collect();
    assert_eq!(outcomes, ["superseded", "superseded", "done"]);
    assert_eq!(walk.weights(), [json!(0)]);
}

#[tokio::test]
async fn what_is_under_way_ends_before_what_overtakes_it() {
    // The first call is never answered.
    let gateway = Gateway::failing(|_, before| (before == 0).then_some(0)).await;
    let walk = Walk::start(gateway, worse_after(0)).await;
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(told(&actions), ["start superseded 1", "fail done 1"]);
    assert_eq!(walk.weights(), [json!(0)]);
    let time = |at: usize, member: &str| actions[at][member].as_str().unwrap().to_owned();
    assert!(time(0, "endTimeIso") <= time(1, "startTimeIso"));
}

#[tokio::test]
async fn a_kill_between_a_verdict_and_its_call_loses_nothing() {
    let prometheus = ScriptedPrometheus::start(|_| slowly(1.0)).await;
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let script = move |_: &Call, _| (!is_open.load(Ordering::SeqCst)).then_some(503);
    let gateway = Gateway::failing(script).await;
    with_route(&gateway);
    let list = format!(
        "[{{host: 'http://{}', header: X-API-KEY, token: {KEY}}}]",
        gateway.host
    );
    let variables = [("SERIN__ACTIONS__HOSTS", list.as_str())];
    let folder = tempfile::tempdir().unwrap();
    let run =
        async || Process::start_with(folder.path(), &prometheus.url, free_port(), &variables).await;
    let mut serin = run().await;
    let weight = json!({"plugins": {"traffic-split": {"rules": [{"weighted_upstreams": [{"weight": 100}]}]}}});
    let actions =
        json!({"pass": {"url": format!("http://{}{ROUTE}", gateway.host), "mergePatch": weight}});
    let id = serin
        .client
        .start_canary("/canary", &canary(&actions))
        .await;
    gateway.until(|gateway| !gateway.calls().is_empty()).await;
    serin.kill();
    open.store(true, Ordering::SeqCst);
    let serin = run().await;
    let actions = settled(&serin.client, "canary", &id).await;
    assert_eq!(actions[0]["outcome"], "done");
    assert_eq!(gateway.set(ROUTE, WEIGHT), [json!(100)]);
    let calls = gateway.calls();
    let key = calls[0].header("idempotency-key");
    assert!(
        !key.is_empty()
            && calls
                .iter()
                .all(|call| call.header("idempotency-key") == key)
    );
}

#[tokio::test]
async fn of_two_replicas_one_calls_and_in_order() {
    let Some(database) = new_database().await else {
        return;
    };
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let gateway = Gateway::start().await;
    let file = with_key(&gateway);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("database.url", database.as_str()),
        ("storage.directory", directory.as_str()),
    ];
    let (one, two) = tokio::join!(
        Serin::start_with(&prometheus.url, &keys, Some(&file)),
        Serin::start_with(&prometheus.url, &keys, Some(&file))
    );
    let put = |step: usize| json!({"url": format!("http://{}/apisix/admin/{{{{ application }}}}", gateway.host), "method": "PUT", "body": {"step": step}});
    let actions = json!({"pass": [put(0), put(1), put(2), put(3)]});
    let mut ids = Vec::new();
    for number in 0..10 {
        let serin = if number % 2 == 0 { &one } else { &two };
        let path = format!("/canary?application=a{number}");
        ids.push(serin.client.start_canary(&path, &canary(&actions)).await);
    }
    for (number, id) in ids.iter().enumerate() {
        let actions = settled(&two.client, "canary", id).await;
        assert_eq!(told(&actions), ["pass done 1"; 4]);
        let steps = gateway.set(&format!("/apisix/admin/a{number}"), "/step");
        assert_eq!(steps, [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn a_ca_file_vouches_for_a_host() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let port = crate::prometheus_tls::serve();
    let ca = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/prometheus_tls/ca.pem"
    );
    let actions = json!({"pass": {"url": format!("https://localhost:{port}/x"), "method": "DELETE", "patienceSeconds": 1}});
    for (more, outcome) in [
        (String::new(), "failed"),
        (format!(", caFile: '{ca}'"), "done"),
    ] {
        let file = format!("actions: {{hosts: [{{host: 'localhost:{port}'{more}}}]}}");
        let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
        let id = serin
            .client
            .start_canary("/canary", &canary(&actions))
            .await;
        let actions = settled(&serin.client, "canary", &id).await;
        assert_eq!(actions[0]["outcome"], outcome, "{actions:?}");
    }
}
