//! What was asked is never passed over in silence.

use serde_json::{Value, json};

use crate::executions::{adhoc, config, request, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::ui::page;

async fn start() -> (Serin, ScriptedPrometheus) {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    (Serin::start(&prometheus.url).await, prometheus)
}

fn analysis(members: &Value) -> Value {
    let mut request = json!({
        "scopes": [{"controlScope": "v1", "experimentScope": "v2", "step": 60,
            "startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:00:00Z"}],
        "thresholds": {"pass": 95, "marginal": 75},
    });
    for (name, value) in members.as_object().unwrap() {
        request[name] = value.clone();
    }
    json!({"canaryConfig": config(&["latency"]), "executionRequest": request})
}

/// With a word for doubts for the canary, and one for its metric.
fn doubting(canary: &Value, metric: &Value) -> Value {
    let mut body = adhoc(&["latency"]);
    let config = &mut body["canaryConfig"];
    config["judge"] =
        json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"doubt": canary}});
    config["metrics"][0]["analysisConfigurations"] = json!({"canary": {"doubt": metric}});
    body
}

#[tokio::test]
async fn a_word_for_doubts_that_means_nothing_is_refused_by_serins_own_doors() {
    let (serin, _prometheus) = start().await;
    for (canary, metric, status) in [
        (json!("fail"), json!("ignore"), 200),
        (json!("tell"), json!("tell"), 200),
        (json!("Fail"), json!("tell"), 400),
        (json!("tell"), json!("fails"), 400),
        (json!(["fail"]), json!("tell"), 400),
        (json!("ignore"), json!("tell"), 400),
    ] {
        let body = doubting(&canary, &metric);
        let answer = serin.client.post("/canary/verdict", &body).await;
        assert_eq!(answer.0, status, "{canary} {metric}: {answer:?}");
        let body = json!({"canaryConfig": body["canaryConfig"],
            "executionRequest": analysis(&json!({}))["executionRequest"]});
        let (_, answer) = serin
            .client
            .post("/standalone_canary_analysis", &body)
            .await;
        assert_eq!(
            answer["warning"].is_string(),
            status == 400,
            "{canary} {metric}: {answer}"
        );
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn kayentas_doors_take_it_and_tell_it() {
    let (serin, _prometheus) = start().await;
    let mut above = adhoc(&["latency"]);
    above["executionRequest"]["thresholds"] = json!({"pass": 75, "marginal": 95});
    let mut renamed = adhoc(&["latency"]);
    renamed["executionRequest"]["scopes"]["default"]["controlScope"]["region"] = json!("eu");
    let location = &mut renamed["executionRequest"]["scopes"]["default"]["controlScope"];
    location.as_object_mut().unwrap().remove("location");
    let mut seconds = adhoc(&["latency"]);
    let side = &mut seconds["executionRequest"]["scopes"]["default"]["experimentScope"];
    (side["start"], side["end"]) = (json!(1_717_203_600), json!(1_717_203_900));
    let mut ahead = adhoc(&["latency"]);
    ahead["executionRequest"]["scopes"]["default"]["controlScope"]["end"] =
        json!("2099-01-01T00:00:00Z");
    let cases = [
        (above, "the marginal score 95 lies above the pass score 75"),
        (
            renamed,
            "'scopes.default.controlScope.region' is not read: 'location' is meant",
        ),
        (seconds, "seconds were sent"),
        (
            doubting(&json!("fial"), &json!("tell")),
            "'judge.judgeConfigurations.doubt': doubt \"fial\" means nothing, and is passed over: write one of tell, fail",
        ),
        (
            doubting(&json!("ignore"), &json!("tell")),
            "doubt \"ignore\" means nothing",
        ),
        (
            doubting(&json!("fail"), &json!(true)),
            "'metrics[0].analysisConfigurations.canary.doubt': doubt true means nothing, and is passed over: write one of tell, fail, ignore",
        ),
        (ahead, "still to come"),
    ];
    for (body, told) in cases {
        let (status, answer) = serin.client.post("/canary", &body).await;
        assert_eq!(status, 200, "{answer}");
        let all = answer.as_object().unwrap().values();
        assert!(
            all.into_iter().all(Value::is_string),
            "Orca reads texts: {answer}"
        );
        let warning = answer["warning"].as_str().unwrap();
        assert!(warning.contains(told), "{warning}");
        let id = answer["canaryExecutionId"].as_str().unwrap();
        let done = serin.client.poll(id).await;
        assert_eq!(done["warning"], warning);
        let shown = page(&serin, &format!("/ui/runs/{id}")).await.1;
        assert!(shown.contains("<dt>Warning</dt>"), "{told}");
    }
    let (_, answer) = serin.client.post("/canary", &adhoc(&["latency"])).await;
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    serin.service.stop().await;
}

#[tokio::test]
async fn what_an_interval_leaves_over_is_told_or_judged() {
    let (serin, _prometheus) = start().await;
    let path = "/standalone_canary_analysis";
    let uneven = json!({"analysisIntervalMins": 25});
    let cases = [
        (
            analysis(&uneven),
            2,
            Some("the remaining 10 of 60 minutes are not judged"),
        ),
        (
            analysis(&json!({"analysisIntervalMins": 25, "judgeRemainder": true})),
            3,
            None,
        ),
        (analysis(&json!({"analysisIntervalMins": 20})), 3, None),
        (
            analysis(&json!({"canaryAnalysisIntervalMins": 20})),
            1,
            Some("'canaryAnalysisIntervalMins' is not read: 'analysisIntervalMins' is meant"),
        ),
    ];
    for (body, judgements, told) in cases {
        let (status, answer) = serin.client.post(path, &body).await;
        assert_eq!(status, 200, "{answer}");
        let warning = answer["warning"].as_str();
        assert_eq!(warning.is_some(), told.is_some(), "{answer}");
        assert!(
            warning
                .unwrap_or_default()
                .starts_with(told.unwrap_or_default())
        );
        let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
        let done = loop {
            let (_, document) = serin.client.get(&format!("{path}/{id}?wait=20s")).await;
            if document["complete"] == true {
                break document;
            }
        };
        assert_eq!(done["warning"].as_str(), warning);
        let result = &done["canaryAnalysisExecutionResult"];
        assert_eq!(result["canaryScores"].as_array().unwrap().len(), judgements);
        let last = &result["canaryExecutionResults"][judgements - 1];
        let message = result["canaryScoreMessage"].as_str().unwrap();
        if told.is_some_and(|told| told.contains("remaining")) {
            assert!(message.ends_with("(the remaining 10 of 60 minutes are not judged: an interval of 25 does not divide them)"));
            assert_eq!(last["judgementEndTimeIso"], "2024-06-01T01:50:00Z");
        } else {
            assert!(message.ends_with("pass score threshold."), "{message}");
            assert_eq!(last["judgementEndTimeIso"], "2024-06-01T02:00:00Z");
        }
        let shown = page(&serin, &format!("/ui/analyses/{id}")).await.1;
        assert_eq!(shown.contains("<dt>Warning</dt>"), told.is_some());
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn a_refusal_names_the_member_that_was_meant() {
    let (serin, _prometheus) = start().await;
    let without = |name: &str, members: &Value| {
        let mut body = analysis(members);
        body["executionRequest"]
            .as_object_mut()
            .unwrap()
            .remove(name);
        body
    };
    let mut lifetime = without("thresholds", &json!({"lifetimeDuration": "PT1H"}));
    lifetime["executionRequest"]["thresholds"] = json!({"pass": 95, "marginal": 75});
    let scope = lifetime["executionRequest"]["scopes"][0]
        .as_object_mut()
        .unwrap();
    scope.retain(|name, _| !name.ends_with("TimeIso"));
    let mut zone = analysis(&json!({}));
    zone["executionRequest"]["scopes"][0]["startTimeIso"] = json!("2024-06-01T01:00:00");
    let cases = [
        (
            without(
                "thresholds",
                &json!({"scoreThresholds": {"pass": 95, "marginal": 75}}),
            ),
            "'scoreThresholds' is not read: 'thresholds' is meant: ",
        ),
        (
            lifetime,
            "'lifetimeDuration' is not read: 'lifetimeDurationMins' is meant: ",
        ),
        (
            json!({"canaryConfig": config(&["latency"]), "request": request()}),
            "'request' is not read: 'executionRequest' is meant: ",
        ),
        (
            zone,
            "'startTimeIso' has no zone: write '2024-06-01T01:00:00Z'",
        ),
        (
            without("thresholds", &json!({})),
            "scoreThresholds is marked non-null but is null",
        ),
    ];
    for (body, told) in cases {
        let (status, answer) = serin
            .client
            .post("/standalone_canary_analysis", &body)
            .await;
        assert_eq!(status, 400, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with(told), "{message}");
    }
    let mut body = adhoc(&["latency"]);
    body["executionRequest"]["scopes"]["default"]["controlScope"]["start"] =
        json!("2024-06-01T01:00:00");
    let (status, answer) = serin.client.post("/canary", &body).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .starts_with("'start' has no zone")
    );
    serin.service.stop().await;
}

fn asked(members: &Value) -> Value {
    let mut body = json!({"canaryConfig": config(&["latency"]), "controlScope": "v1",
        "experimentScope": "v2", "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z",
        "thresholds": {"pass": 95, "marginal": 75}});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn serins_own_door_refuses_it() {
    let (serin, _prometheus) = start().await;
    let refused = [
        (
            json!({"thresholds": {"pass": 75, "marginal": 95}}),
            "lies above the pass score",
        ),
        (
            json!({"end": "2024-06-01T00:59:00Z"}),
            "which is not after its start",
        ),
        (json!({"end": "2099-01-01T00:00:00Z"}), "still to come"),
        (
            json!({"start": 1_717_203_600, "end": 1_717_203_900}),
            "seconds were sent",
        ),
        (
            json!({"start": "2024-06-01T01:00:00"}),
            "'start' has no zone",
        ),
        (
            json!({"thresholds": null, "scoreThresholds": {"pass": 95, "marginal": 75}}),
            "'scoreThresholds' is not read: 'thresholds' is meant",
        ),
        (
            json!({"start": null, "startTime": "2024-06-01T01:00:00Z"}),
            "'startTime' is not read: 'start' is meant",
        ),
    ];
    for (members, told) in refused {
        let (status, answer) = serin.client.post("/canary/verdict", &asked(&members)).await;
        assert_eq!(status, 400, "{members}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(told), "{members}: {message}");
    }
    let taken = [
        json!({"start": "now-1h", "end": "now"}),
        json!({"start": null, "end": "", "lookback": "10m", "siteLocal": {"colour": "green"}}),
    ];
    for members in taken {
        let (status, answer) = serin.client.post("/canary/verdict", &asked(&members)).await;
        assert_eq!(status, 200, "{members}: {answer}");
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn serins_own_door_passes_over_nothing() {
    let (serin, _prometheus) = start().await;
    let refused = [
        (
            json!({"passThreshold": 99}),
            "'passThreshold' is not read: 'thresholds' is meant",
        ),
        (
            json!({"thresholds": {"pass": 95, "marginal": 75, "passThreshold": 99}}),
            "'thresholds.passThreshold' is not read: 'pass' is meant",
        ),
        (
            json!({"colour": "green"}),
            "'colour' is not read; there are canaryConfig, executionRequest, scopes",
        ),
        (
            json!({"metricsAccountName": "other"}),
            "'metricsAccountName' is not read: it is a parameter of the address",
        ),
        (
            json!({"controlScope": {"scope": "v1", "region": "eu"}}),
            "'controlScope.region' is not read: 'location' is meant",
        ),
        (
            json!({"scopes": {"default": {"canary": {"scope": "v1"}}}}),
            "'scopes.default.canary' is not read: 'experimentScope' is meant",
        ),
        (
            json!({"executionRequest": {"lookback": "10m"}}),
            "'executionRequest.lookback' is not read",
        ),
        (
            json!({"executionRequest": {"thresholds": {"pass": 95, "marginal": 75}}}),
            "'thresholds' is not read beside 'executionRequest.thresholds'",
        ),
        (
            json!({"lookback": "10m"}),
            "'start' is not read beside 'lookback'",
        ),
        (
            json!({"canaryConfigId": "a", "canaryConfigName": "b", "canaryConfig": null}),
            "'canaryConfigName' is not read beside 'canaryConfigId'",
        ),
        (
            json!({"scopes": {"default": {}}}),
            "'controlScope' is not read beside 'scopes'",
        ),
    ];
    for (members, told) in refused {
        let (status, answer) = serin.client.post("/canary/verdict", &asked(&members)).await;
        assert_eq!(status, 400, "{members}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(told), "{members}: {message}");
    }
    for (parameter, told) in [
        ("metricAccountName=a", "'metricsAccountName' is meant"),
        ("passThreshold=99", "there are application,"),
    ] {
        let path = format!("/canary/verdict?{parameter}");
        let (status, answer) = serin.client.post(&path, &asked(&json!({}))).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn now_is_a_time_wherever_one_is() {
    let (serin, prometheus) = start().await;
    let mut canary = adhoc(&["latency"]);
    for side in ["controlScope", "experimentScope"] {
        let side = &mut canary["executionRequest"]["scopes"]["default"][side];
        (side["start"], side["end"]) = (json!("now-1h"), json!("now"));
    }
    let (status, answer) = serin.client.post("/canary", &canary).await;
    assert_eq!((status, answer.get("warning")), (200, None), "{answer}");
    let done = serin
        .client
        .poll(answer["canaryExecutionId"].as_str().unwrap())
        .await;
    assert_eq!(done["result"]["canaryDuration"], "PT1H");

    let mut past = analysis(&json!({}));
    let scope = &mut past["executionRequest"]["scopes"][0];
    (scope["startTimeIso"], scope["endTimeIso"]) = (json!("now - 2h"), json!("now-1h"));
    let (status, answer) = serin
        .client
        .post("/standalone_canary_analysis", &past)
        .await;
    assert_eq!((status, answer.get("warning")), (200, None), "{answer}");

    let path = "/fetch/prometheus/query?metricSetName=m&metricName=up&customFilter=a%3D%22b%22&start=now-1h&end=now&step=60&scope=a";
    let before = prometheus.asked().len();
    let (status, _) = serin.client.post(path, &Value::Null).await;
    assert_eq!(status, 200);
    assert!(before < prometheus.asked().len());
    serin.service.stop().await;
}
