//! Stored runs judged once more: alike where nothing is otherwise, and told why where something is.

mod command;
mod pages;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use serin::canary::Instant;

use crate::analysis::retrospective;
use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};
use crate::ui::page;

/// An hour for every metric and scope, each in its own way: equal, worse, constant, with gaps, with
/// values that are none, and of few points.
fn of_all_kinds(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    if query.contains("version=\"broken\"") {
        return Reply::text(
            400,
            r#"{"status": "error", "errorType": "bad_data", "error": "no such thing"}"#,
        );
    }
    let hash = |text: &str| {
        text.bytes().fold(7_u64, |state, byte| {
            state.wrapping_mul(31).wrapping_add(u64::from(byte))
        })
    };
    // Both sides of a metric are of one kind.
    let kind = hash(&query.replace("version=\"e", "version=\"c")) / 64;
    let worse = if query.contains("version=\"e") && kind.is_multiple_of(4) {
        1.6
    } else {
        1.0
    };
    let kind = kind % 13;
    let mut state = hash(query);
    let second = |name: &str| Instant::parse(&asked.params[name]).unwrap().as_millis() / 1000;
    let window = second("start")..=second("end");
    let values = (0..60_u32).filter_map(|minute| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let noise = f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1_u32 << 24);
        let value = match kind {
            0 => "3".to_owned(),
            1 if minute % 9 == 0 => return None,
            2 if minute % 11 == 0 => "NaN".to_owned(),
            3 if minute == 30 => "+Inf".to_owned(),
            4 if 5 < minute => return None,
            5 => (if minute % 4 == 0 { noise } else { 0.0 }).to_string(),
            _ => (worse * (1.0 + noise / 3.0)).to_string(),
        };
        let time = 1_717_203_600 + 60 * i64::from(minute);
        window.contains(&time).then(|| json!([time, value]))
    });
    let values: Vec<Value> = values.collect();
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

/// A canary of three metrics between a control and an experiment of its own.
fn canary(number: usize) -> Value {
    let mut body = adhoc(&["latency", "errors", "cpu"]);
    let config = &mut body["canaryConfig"];
    config["name"] = json!("shop");
    let judge = ["NetflixACAJudge-v1.0", "sequential-v1"][number % 2];
    config["judge"] = json!({"name": judge, "judgeConfigurations": {"margin": 0.1}});
    config["metrics"][1]["analysisConfigurations"] = json!({"canary": {
        "direction": "increase", "critical": number.is_multiple_of(5),
        "effectSize": {"allowedIncrease": 1.1, "criticalIncrease": 1.3},
    }});
    config["metrics"][2]["analysisConfigurations"] =
        json!({"canary": {"nanStrategy": "replace", "outliers": {"strategy": "remove"}}});
    for (side, letter) in [("controlScope", 'c'), ("experimentScope", 'e')] {
        let scope = &mut body["executionRequest"]["scopes"]["default"][side];
        scope["scope"] = json!(format!("{letter}{number}"));
        scope["end"] = json!("2024-06-01T02:00:00Z");
    }
    body
}

async fn run(serin: &Serin, application: &str, body: &Value) -> String {
    let path = format!("/canary?application={application}");
    let id = serin.client.start_canary(&path, body).await;
    serin.client.poll(&id).await;
    id
}

async fn replay(serin: &Serin, body: &Value) -> Value {
    let (status, told) = serin.client.post("/replay", body).await;
    assert_eq!(status, 200, "{told}");
    told
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    result: Result<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Result<'a> {
    #[serde(borrow)]
    judge_result: &'a RawValue,
}

#[derive(Deserialize)]
struct Again<'a> {
    #[serde(borrow)]
    runs: Vec<AgainRun<'a>>,
}

#[derive(Deserialize)]
struct AgainRun<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

#[tokio::test]
async fn a_hundred_of_a_hundred_runs_are_judged_to_the_same_bytes_without_a_query() {
    let prometheus = ScriptedPrometheus::start(of_all_kinds).await;
    let serin = Serin::start(&prometheus.url).await;
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(run(&serin, "shop", &canary(number)).await);
    }
    let queries = prometheus.asked().len();
    let url = |path: &str| format!("{}{path}", serin.client.url);
    let http = &serin.client.http;
    let mut outcomes = std::collections::BTreeSet::new();
    for id in &ids {
        let stored = http
            .get(url(&format!("/canary/{id}")))
            .send()
            .await
            .unwrap();
        let stored = stored.text().await.unwrap();
        let again = http.post(url("/replay")).json(&json!({"runs": [id]}));
        let again = again.send().await.unwrap().text().await.unwrap();
        let before: Stored<'_> = serde_json::from_str(&stored).unwrap();
        let after: Again<'_> = serde_json::from_str(&again).unwrap();
        assert_eq!(before.result.judge_result.get(), after.runs[0].result.get());
        let stored: Value = serde_json::from_str(&stored).unwrap();
        outcomes.insert(stored["outcome"].to_string());
    }
    // Else a judge that always says the same would do.
    assert!(3 <= outcomes.len(), "{outcomes:?}");
    let all = replay(&serin, &json!({"application": "shop", "last": 100})).await;
    let tally = &all["tally"];
    assert_eq!(
        (&tally["runs"], &tally["identical"]),
        (&json!(100), &json!(100)),
        "{tally}"
    );
    assert_eq!(tally["changed"], 0);
    let newest: Vec<&str> = all["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["id"].as_str().unwrap())
        .collect();
    assert!(newest.iter().eq(ids.iter().rev()), "{newest:?}");
    // What is five times as much still lies within a margin of 500 %, of which the other judge knows nothing.
    let wide = json!({"application": "shop", "last": 100, "whatIf": {"margin": 5}});
    let wide = replay(&serin, &wide).await;
    let agreement = &wide["tally"]["agreement"];
    let agree = agreement["agree"].as_u64().unwrap();
    assert!(0 < agree && agree < 100, "{agreement}");
    let differ = agreement["differ"].as_array().unwrap().iter();
    let differ: u64 = differ.map(|pair| pair["runs"].as_u64().unwrap()).sum();
    assert_eq!(agree + differ, agreement["runs"].as_u64().unwrap());
    assert_eq!(prometheus.asked().len(), queries, "a replay asks nothing");
}

/// A run that fails by its errors alone: they are twice as many.
async fn failed(serin: &Serin) -> String {
    let mut body = adhoc(&["latency", "errors"]);
    body["canaryConfig"]["name"] = json!("shop");
    run(serin, "shop", &body).await
}

fn twice_the_errors(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    let level = if query.contains("errors") && query.contains("v2") {
        2.0
    } else {
        1.0
    };
    series(level)
}

#[tokio::test]
async fn what_changes_a_verdict_is_told_with_the_reason() {
    let prometheus = ScriptedPrometheus::start(twice_the_errors).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = failed(&serin).await;
    let one = async |what_if: Value| {
        let told = replay(&serin, &json!({"runs": [id], "whatIf": what_if})).await;
        told["runs"][0].clone()
    };
    let same = one(json!({})).await;
    assert_eq!(same["identical"], true, "{same}");
    assert_eq!(same["before"]["outcome"], "fail");

    let lower = one(json!({"thresholds": {"pass": 50, "marginal": 40}})).await;
    assert_eq!(lower["after"]["outcome"], "pass", "{lower}");
    assert_eq!(lower["changed"], true);
    assert_eq!(
        lower["why"],
        "50 is held against pass 50 and marginal 40 instead of pass 95 and marginal 75"
    );
    assert_eq!(lower.get("metrics"), None);

    // Twice as many errors lie beyond a margin of 5 %, and within one of 300 %.
    let strict = one(json!({"judge": "sequential-v1"})).await;
    assert_eq!(strict["after"]["outcome"], "fail", "{strict}");
    assert_eq!(strict["after"]["judge"], "sequential-v1");
    let wide = one(json!({"judge": "sequential-v1", "margin": 3})).await;
    assert_eq!(wide["after"]["outcome"], "pass", "{wide}");
    let why = wide["why"].as_str().unwrap();
    assert!(why.contains("which lies within the margin"), "{why}");

    let mut config = adhoc(&["latency", "errors"])["canaryConfig"].clone();
    config["metrics"][1]["analysisConfigurations"] =
        json!({"canary": {"effectSize": {"allowedIncrease": 3.0}}});
    let allowed = one(json!({"canaryConfig": config})).await;
    assert_eq!(allowed["after"]["outcome"], "pass");
    let why = allowed["why"].as_str().unwrap();
    assert!(why.starts_with("errors is Pass instead of High ("), "{why}");
    assert_eq!(allowed["metrics"].as_array().unwrap().len(), 1);
    assert_eq!(allowed["metrics"][0]["before"]["label"], "High");

    let config = adhoc(&["latency", "memory"])["canaryConfig"].clone();
    let fewer = one(json!({"canaryConfig": config})).await;
    assert_eq!(fewer["after"]["outcome"], "pass");
    assert_eq!(fewer["why"], "errors, which was High, does not count");
    assert_eq!(
        fewer["notes"],
        json!([
            "left out, as the config has no such metric: errors",
            "never fetched in this run, and so not judged: memory",
        ])
    );
    // A stored one does as well as its text.
    let mut stored = config.clone();
    stored["id"] = json!("other");
    stored["name"] = json!("other");
    stored["applications"] = json!(["shop"]);
    let (status, answer) = serin.client.post("/canaryConfig", &stored).await;
    assert_eq!(status, 200, "{answer}");
    let by_id = one(json!({"canaryConfigId": "other"})).await;
    assert_eq!(by_id["why"], fewer["why"]);
}

#[tokio::test]
async fn two_judges_are_compared_over_the_newest_runs() {
    let prometheus = ScriptedPrometheus::start(of_all_kinds).await;
    let serin = Serin::start(&prometheus.url).await;
    for number in 0..12 {
        run(&serin, "shop", &canary(2 * number)).await;
    }
    run(&serin, "other", &canary(0)).await;
    let both = replay(&serin, &json!({"application": "shop"})).await;
    let agreement = &both["tally"]["agreement"];
    assert_eq!(
        agreement["judges"],
        json!(["NetflixACAJudge-v1.0", "sequential-v1"])
    );
    assert_eq!(agreement["runs"], 12);

    let asked = json!({"application": "shop", "config": "shop", "last": 10, "whatIf": {"judge": "dredd-v1.0"}});
    let told = replay(&serin, &asked).await;
    let runs = told["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 10);
    let agreement = &told["tally"]["agreement"];
    assert_eq!(
        agreement["judges"],
        json!(["dredd-v1.0", "NetflixACAJudge-v1.0"])
    );
    let both = |run: &&Value| run["judges"][0]["outcome"] == run["judges"][1]["outcome"];
    assert_eq!(agreement["runs"], 10);
    assert_eq!(agreement["agree"], json!(runs.iter().filter(both).count()));
    for run in runs {
        // The other judge is the one that judged at the time, with the same config.
        assert_eq!(
            run["judges"][1]["outcome"], run["before"]["outcome"],
            "{run}"
        );
        assert_eq!(run["judges"][0]["outcome"], run["after"]["outcome"]);
        assert_eq!(
            run["changed"],
            json!(run["before"]["outcome"] != run["after"]["outcome"])
        );
        assert_eq!(run.get("why").is_some(), run["changed"] == true);
        assert_eq!(run.get("result"), None, "whole results of one run only");
    }
}

#[tokio::test]
async fn canaries_of_an_analysis_are_judged_as_the_looks_that_they_were() {
    let prometheus = ScriptedPrometheus::start(of_all_kinds).await;
    let serin = Serin::start(&prometheus.url).await;
    let mut body = retrospective(60);
    body["canaryConfig"] = canary(1)["canaryConfig"].clone();
    let request = &mut body["executionRequest"];
    request["analysisIntervalMins"] = json!(20);
    request["beginAfterMins"] = json!(0);
    // Whatever the first look finds, there is a second one.
    request["thresholds"] = json!({"pass": 1, "marginal": 0});
    request["scopes"][0]["controlScope"] = json!("c1");
    request["scopes"][0]["experimentScope"] = json!("e1");
    let path = "/standalone_canary_analysis";
    let (_, answer) = serin
        .client
        .post(&format!("{path}?application=looks"), &body)
        .await;
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let (_, done) = serin.client.get(&format!("{path}/{id}?wait=20s")).await;
    assert_eq!(done["complete"], true, "{done}");
    let told = replay(&serin, &json!({"application": "looks"})).await;
    let runs = told["runs"].as_array().unwrap();
    let looks: Vec<&Value> = runs.iter().map(|run| &run["look"]["number"]).collect();
    assert!(1 < looks.len(), "{told}");
    assert!(looks.iter().all(|look| look.is_u64()), "{looks:?}");
    assert_eq!(told["tally"]["identical"], json!(runs.len()), "{told}");

    let (status, page) = page(&serin, &format!("/ui/analyses/{id}")).await;
    assert!(
        status == 200 && page.contains("How the intervals close"),
        "{page}"
    );
    let marks = page.matches("<path class=\"at\"").count();
    assert!(
        2 * 2 <= marks,
        "{marks} of three metrics at two looks at least: {page}"
    );
    let (_, run) = crate::ui::page(
        &serin,
        &format!("/ui/runs/{}", runs[0]["id"].as_str().unwrap()),
    )
    .await;
    assert!(
        run.contains("Against the margins") && run.contains("class=\"range\""),
        "{run}"
    );
}

#[tokio::test]
async fn a_run_that_cannot_be_judged_once_more_is_told_and_not_passed_over() {
    let prometheus = ScriptedPrometheus::start(of_all_kinds).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let kept = run(&serin, "shop", &canary(6)).await;
    let mut broken = adhoc(&["latency"]);
    broken["executionRequest"]["scopes"]["default"]["experimentScope"]["scope"] = json!("broken");
    let broken = run(&serin, "shop", &broken).await;
    let gone = run(&serin, "shop", &canary(2)).await;
    let (_, document) = client.get(&format!("/canary/{gone}")).await;
    let list = document["metricSetPairListId"].as_str().unwrap();
    let (status, _) = client.delete(&format!("/metricSetPairList/{list}")).await;
    assert_eq!(status, 204);

    let told = replay(&serin, &json!({"application": "shop"})).await;
    let ids: Vec<&Value> = told["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["id"])
        .collect();
    assert_eq!(ids, [&json!(gone), &json!(broken), &json!(kept)]);
    let why = |index: usize| told["runs"][index]["notJudged"].clone();
    assert_eq!(
        why(0),
        json!({"cause": "gone", "sentence": "its series are not kept any more"})
    );
    assert_eq!(why(1)["cause"], "noSeries");
    assert!(
        why(1)["sentence"]
            .as_str()
            .unwrap()
            .contains("no such thing"),
        "{told}"
    );
    assert_eq!(told["runs"][1]["before"]["outcome"], "error");
    assert_eq!(why(2), Value::Null);
    assert_eq!(told["tally"]["notJudged"], 2);

    let told = replay(&serin, &json!({"runs": ["nobody", kept, "a/b"]})).await;
    let causes = [0, 1, 2].map(|index| told["runs"][index]["notJudged"]["cause"].clone());
    assert_eq!(causes, [json!("unknown"), Value::Null, json!("unknown")]);

    // What the judge refuses of a config: of one for all runs, and of one that a run had for another judge.
    let mut odd = canary(3);
    odd["canaryConfig"]["judge"] = json!({"name": "dredd-v1.0", "judgeConfigurations": {}});
    odd["canaryConfig"]["metrics"][0]["analysisConfigurations"] =
        json!({"canary": {"critical": "true"}});
    let by_lot = run(&serin, "lots", &odd).await;
    let judge = json!({"judge": "NetflixACAJudge-v1.0"});
    let told = replay(&serin, &json!({"runs": [by_lot, kept], "whatIf": judge})).await;
    assert_eq!(told["runs"][0]["notJudged"]["cause"], "refused", "{told}");
    assert_eq!(
        told["runs"][1]["identical"], true,
        "it is the judge that judged"
    );
    odd["canaryConfig"]["judge"] = json!({"name": "NetflixACAJudge-v1.0"});
    let asked = json!({"runs": [kept], "whatIf": {"canaryConfig": odd["canaryConfig"]}});
    let (status, refused) = client.post("/replay", &asked).await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(status == 400 && message.contains("critical"), "{refused}");
}

#[tokio::test]
async fn a_replay_that_cannot_be_meant_is_refused() {
    let serin = Serin::start("").await;
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let metrics = vec![json!({"name": "m"}); 1_001];
    let cases = [
        (json!({}), "which runs?"),
        (json!({"runs": ["a"], "application": "b"}), "not both"),
        (json!({"runs": many}), "101 runs are asked for: 1 to 100"),
        (
            json!({"application": "a", "last": 0}),
            "0 runs are asked for",
        ),
        (
            json!({"application": "a", "last": 101}),
            "101 runs are asked for",
        ),
        (
            json!({"runs": ["a"], "whatIf": {"judge": "nobody"}}),
            "there is no judge 'nobody' here; there are NetflixACAJudge-v1.0",
        ),
        (
            json!({"runs": ["a"], "whatIf": {"margin": -1}}),
            "whatIf.margin is -1",
        ),
        (
            json!({"runs": ["a"], "whatIf": {"thresholds": {"pass": 101}}}),
            "whatIf.thresholds.pass is 101",
        ),
        (json!({"runs": ["a"], "whatIf": {"marjin": 1}}), "marjin"),
        (
            json!({"runs": ["a"], "whatIf": {"canaryConfigId": "a", "canaryConfig": {}}}),
            "one of both is wanted",
        ),
        (
            json!({"runs": ["a"], "whatIf": {"canaryConfig": {"metrics": metrics}}}),
            "has 1001 metrics; 1000 are the most",
        ),
    ];
    for (body, expected) in cases {
        let (status, problem) = serin.client.post("/replay", &body).await;
        let message = problem["message"].as_str().unwrap_or_default();
        assert!(
            status == 400 && message.contains(expected),
            "{status} {problem}"
        );
    }
    let absent = json!({"runs": ["a"], "whatIf": {"canaryConfigId": "nobody"}});
    let (status, problem) = serin.client.post("/replay", &absent).await;
    assert_eq!(status, 404, "{problem}");
}

#[tokio::test]
async fn who_waits_for_others_is_answered_in_the_time_of_a_request() {
    // Takes connections, and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let prometheus = ScriptedPrometheus::start(twice_the_errors).await;
    let keys = [
        ("server.requestTimeout", "2s"),
        ("kayenta.remote-judge.enabled", "true"),
        ("kayenta.remote-judge.endpoint.baseUrl", &url),
    ];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = failed(&serin).await;
    let body = json!({"runs": [id], "whatIf": {"judge": "RemoteJudge-v1.0"}});
    let asked = (0..3).map(|_| serin.client.post("/replay", &body));
    // Two are answered at once, so one waits.
    for (status, told) in futures::future::join_all(asked).await {
        let is_told = match status {
            200 => told["notReached"] == json!([id]),
            status => status == 503,
        };
        assert!(is_told, "{status} {told}");
    }
}
