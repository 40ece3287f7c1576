//! What people do about what has ended: judge it again, or accept it by hand.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use serin::canary::Instant;

use crate::analysis::retrospective;
use crate::executions::{adhoc, config};
use crate::flagger::{ask, decided};
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};
use crate::ui::page;

/// 2024-06-01T01:30:00Z
const DEPLOYED: i64 = 1_717_205_400;

/// A point a minute; the experiment has none before it was deployed, and never any of `silent`.
fn deployed_late(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    let second = |name: &str| {
        let time = Instant::parse(&asked.params[name]).unwrap();
        time.as_millis() / 1000
    };
    let is_new = query.contains("v2");
    let times = (second("start")..=second("end")).step_by(60);
    let values: Vec<Value> = times
        .filter(|time| !is_new || DEPLOYED <= *time && !query.contains("silent"))
        .map(|time| json!([time, (10 + time / 60 % 3).to_string()]))
        .collect();
    if values.is_empty() {
        return Reply::matrix(&json!([]));
    }
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

async fn start() -> (Serin, ScriptedPrometheus) {
    let prometheus = ScriptedPrometheus::start(deployed_late).await;
    let serin = Serin::start(&prometheus.url).await;
    (serin, prometheus)
}

/// Over an hour, of whose last half the experiment has points.
fn hour(metric: &str) -> Value {
    let mut body = adhoc(&[metric]);
    let (start, end) = window(metric);
    for side in ["controlScope", "experimentScope"] {
        let side = &mut body["executionRequest"]["scopes"]["default"][side];
        side["start"] = json!(start);
        side["end"] = json!(end);
    }
    body
}

/// What is silent is judged until now later, which must not be years.
fn window(metric: &str) -> (&'static str, &'static str) {
    match metric {
        "silent" => ("now-2h", "now-1h"),
        _ => ("2024-06-01T01:00:00Z", "2024-06-01T02:00:00Z"),
    }
}

async fn judged(client: &Client, metric: &str) -> String {
    let id = client
        .start_canary("/canary?application=web", &hour(metric))
        .await;
    client.poll(&id).await;
    id
}

async fn analysed(client: &Client, metric: &str) -> String {
    let mut body = retrospective(60);
    body["canaryConfig"] = config(&[metric]);
    let scope = &mut body["executionRequest"]["scopes"][0];
    let (start, end) = window(metric);
    scope["startTimeIso"] = json!(start);
    scope["endTimeIso"] = json!(end);
    let path = "/standalone_canary_analysis";
    let (status, answer) = client.post(&format!("{path}?application=web"), &body).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let (_, done) = client.get(&format!("{path}/{id}?wait=20s")).await;
    assert_eq!(done["complete"], true, "{done}");
    id.to_owned()
}

fn archive_of(serin: &Serin, id: &str) -> PathBuf {
    let root = serin.data().join("kayenta/canary_archive");
    root.join(id).join("canary_archive.json")
}

fn archived(serin: &Serin, id: &str) -> Value {
    let text = std::fs::read(archive_of(serin, id)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn reason(reason: &str) -> Value {
    json!({"reason": reason, "by": "ana"})
}

#[tokio::test]
async fn a_canary_is_judged_again_once_with_a_later_end_and_calls_nothing() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let id = judged(client, "latency").await;
    let (_, before) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(before["outcome"], "inconclusive", "{before}");

    let again = format!("/canary/{id}/again");
    for (body, told) in [
        (json!({"end": "2024-06-01T02:00:00Z"}), "must be later"),
        (json!({"end": "2099-01-01T00:00:00Z"}), "still to come"),
        (json!({"end": "soon"}), "'end' is no time"),
        (json!({"end": 1_717_214_400}), "'end' is no time"),
        (json!({"endTime": "now"}), "unknown field `endTime`"),
    ] {
        let (status, answer) = client.post(&again, &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
    let end = json!({"end": "2024-06-01T06:00:00Z"});
    let asked = join_all((0..8).map(|_| client.post(&again, &end))).await;
    let next = asked[0].1["canaryExecutionId"].as_str().unwrap().to_owned();
    for answer in &asked {
        assert_eq!(answer.0, 200, "{answer:?}");
        assert_eq!(answer.1["canaryExecutionId"], next.as_str());
    }

    let repeated = client.poll(&next).await;
    assert_eq!(repeated["outcome"], "pass", "{repeated}");
    assert_eq!(repeated["repeats"], id.as_str());
    let mut wanted = before["canaryExecutionRequest"].clone();
    for side in ["controlScope", "experimentScope"] {
        wanted["scopes"]["default"][side]["end"] = json!("2024-06-01T06:00:00Z");
    }
    assert_eq!(repeated["canaryExecutionRequest"], wanted);
    let (_, before) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(before["repeatedBy"], next.as_str());
    assert_eq!(before["outcome"], "inconclusive");
    let list = "/canary/executions?application=web";
    for (filter, expected) in [
        ("", vec![&next, &id]),
        ("&outcome=INCONCLUSIVE", vec![&id]),
        ("&outcome=pass,inconclusive", vec![&next, &id]),
        ("&outcome=pass&outcome=fail", vec![&next]),
        ("&outcome=pass&statuses=terminal", vec![]),
        ("&outcome=running", vec![]),
    ] {
        let (status, all) = client.get(&format!("{list}{filter}")).await;
        assert_eq!(status, 200, "{filter}: {all}");
        let mut ids: Vec<&str> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["pipelineId"].as_str().unwrap())
            .collect();
        let mut expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{filter}");
    }
    for list in [list, "/standalone_canary_analysis?application=web"] {
        let (status, answer) = client.get(&format!("{list}&outcome=passed")).await;
        assert_eq!(status, 400, "{answer}");
        let told = "'passed' is no outcome: there are waiting, running, pass, marginal, fail, inconclusive, error, canceled";
        assert_eq!(answer["message"], told);
    }
    let (status, answer) = client.post("/canary/none/again", &json!({})).await;
    assert_eq!(status, 404, "{answer}");
    serin.service.stop().await;
}

#[tokio::test]
async fn what_moves_traffic_is_left_out_of_a_judgement_that_is_made_again() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let mut body = hour("latency");
    for at in ["/canaryConfig", "/executionRequest"] {
        body.pointer_mut(at).unwrap()["actions"] = json!({"pass": []});
    }
    let id = client.start_canary("/canary", &body).await;
    client.poll(&id).await;
    let (_, answer) = client
        .post(&format!("/canary/{id}/again"), &json!({}))
        .await;
    let next = answer["canaryExecutionId"].as_str().unwrap();
    let (_, repeated) = client.get(&format!("/canary/{next}")).await;
    assert!(!repeated.to_string().contains("actions"), "{repeated}");
    serin.service.stop().await;
}

#[tokio::test]
async fn an_analysis_is_judged_again_up_to_a_later_end() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let path = "/standalone_canary_analysis";
    let id = analysed(client, "latency").await;
    let end = json!({"end": "2024-06-01T06:00:00Z"});
    let (status, answer) = client.post(&format!("{path}/{id}/again"), &end).await;
    assert_eq!(status, 200, "{answer}");
    let next = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let (_, repeated) = client.get(&format!("{path}/{next}?wait=20s")).await;
    assert_eq!(repeated["repeats"], id.as_str());
    let scope = &repeated["canaryAnalysisExecutionRequest"]["scopes"][0];
    assert_eq!(scope["startTimeIso"], "2024-06-01T01:00:00Z", "{scope}");
    assert_eq!(scope["endTimeIso"], "2024-06-01T06:00:00Z", "{scope}");
    assert_eq!(repeated["outcome"], "pass", "{repeated}");
    let list = format!("{path}?application=web&outcome=inconclusive");
    let (_, listed) = client.get(&list).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let (_, before) = client.get(&format!("{path}/{id}")).await;
    assert_eq!(before["repeatedBy"], next);
    assert_eq!(before["outcome"], "inconclusive");
    serin.service.stop().await;
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_is_heard_and_the_outcome_stays() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let id = judged(client, "latency").await;
    let accept = format!("/canary/{id}/accept");
    for (body, told) in [
        (json!({}), "a 'reason' must be given"),
        (json!({"reason": " "}), "a 'reason' must be given"),
        (json!({"reason": "x".repeat(1_001)}), "1001 characters"),
        (
            json!({"reason": "x", "by": "y".repeat(101)}),
            "101 characters",
        ),
        (json!({"reason": "a\u{0}b"}), "control character"),
    ] {
        let (status, answer) = client.post(&accept, &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
    let reasons: Vec<Value> = (0..8).map(|at| reason(&format!("reason {at}"))).collect();
    let answers = reasons.iter().map(|reason| client.post(&accept, reason));
    let answers = join_all(answers).await;
    let taken = answers.iter().filter(|answer| answer.0 == 204);
    assert_eq!(taken.count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [204, 409].contains(&answer.0)));

    let (_, document) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(document["outcome"], "inconclusive");
    let accepted = &document["acceptedByHand"];
    assert_eq!(accepted["by"], "ana");
    let same = reason(accepted["reason"].as_str().unwrap());
    assert_eq!(client.post(&accept, &same).await.0, 204);
    // Object first: it is in the store, whatever becomes of the index.
    assert_eq!(archived(&serin, &id), document);
    serin.service.stop().await;
}

#[tokio::test]
async fn what_passed_runs_or_belongs_to_an_analysis_is_not_accepted() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let reply = deployed_late(asked);
        if asked.params["query"].contains("slow") {
            return reply.after(Duration::from_mins(1));
        }
        reply
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let analysis = analysed(client, "latency").await;
    let path = format!("/standalone_canary_analysis/{analysis}");
    let (_, document) = client.get(&path).await;
    let look = &document["canaryAnalysisExecutionResult"]["canaryExecutionResults"][0];
    let look = look["executionId"].as_str().unwrap();
    let running = client.start_canary("/canary", &hour("slow")).await;
    let passed = judged(client, "latency").await;
    let end = json!({"end": "2024-06-01T06:00:00Z"});
    let (_, next) = client.post(&format!("/canary/{passed}/again"), &end).await;
    let passed = next["canaryExecutionId"].as_str().unwrap();
    client.poll(passed).await;
    for (path, status, told) in [
        (
            format!("/canary/{look}"),
            400,
            "a judgement of the analysis",
        ),
        (format!("/canary/{running}"), 400, "has not ended yet"),
        (
            format!("/canary/{passed}"),
            400,
            "there is nothing to accept",
        ),
        (format!("/canary/{analysis}"), 400, "Only named pipelines"),
        ("/canary/none".to_owned(), 404, "none"),
    ] {
        let answer = client
            .post(&format!("{path}/accept"), &reason("fine"))
            .await;
        assert_eq!(answer.0, status, "{path}: {answer:?}");
        assert!(
            answer.1["message"].as_str().unwrap().contains(told),
            "{answer:?}"
        );
    }
    let (status, answer) = client
        .post(&format!("/canary/{running}/again"), &json!({}))
        .await;
    assert_eq!(status, 400, "{answer}");
    serin.service.stop().await;
}

#[tokio::test]
async fn what_only_its_archive_tells_is_accepted_too_and_keeps_what_is_not_known() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let id = judged(client, "latency").await;
    let (status, answer) = client.delete(&format!("/pipelines/{id}")).await;
    assert_eq!(status, 200, "{answer}");
    // As a newer version may have written it.
    let mut archive = archived(&serin, &id);
    archive["ofTomorrow"] = json!({"a": [1, null]});
    std::fs::write(archive_of(&serin, &id), archive.to_string()).unwrap();

    let accept = format!("/canary/{id}/accept");
    assert_eq!(client.post(&accept, &reason("fine")).await.0, 204);
    let (_, document) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(document["acceptedByHand"]["reason"], "fine");
    archive["acceptedByHand"] = document["acceptedByHand"].clone();
    assert_eq!(archived(&serin, &id), archive);
    assert_eq!(client.post(&accept, &reason("other")).await.0, 409);
    serin.service.stop().await;
}

#[tokio::test]
async fn pages_lists_and_reports_tell_what_was_done_and_offer_what_can_be() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let run = judged(client, "silent").await;
    let analysis = analysed(client, "silent").await;
    for (list, address) in [
        ("/ui/", format!("/ui/runs/{run}")),
        ("/ui/analyses", format!("/ui/analyses/{analysis}")),
    ] {
        let (_, text) = page(&serin, &address).await;
        for offered in [
            "Judge again</button>",
            "name=\"end\" value=\"now\"",
            "name=\"reason\"",
            "Accept</button>",
        ] {
            assert!(text.contains(offered), "{address}: {offered}");
        }
        let send = async |path: &str, site: &str, fields: &str| {
            let url = format!("{}{address}/{path}", client.url);
            let sent = client.http.post(url).body(fields.to_owned());
            let sent = sent
                .header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", site)
                .header("accept", "text/html");
            sent.send().await.unwrap()
        };
        let post = async |path: &str, site: &str, fields: &str| {
            let answer = send(path, site, fields).await;
            (answer.status().as_u16(), answer.url().path().to_owned())
        };
        let fields = "reason=%3Cb%3Efine%3C%2Fb%3E&by=";
        assert_eq!(post("accept", "cross-site", fields).await.0, 403);
        assert_eq!(post("again", "cross-site", "").await.0, 403);
        assert_eq!(post("accept", "same-origin", "reason=").await.0, 400);
        let accepted = post("accept", "same-origin", fields).await;
        assert_eq!(accepted, (200, address.clone()));
        for (end, told) in [
            ("soon", "&#39;end&#39; is no time"),
            ("now-3h", "must be later"),
            ("2099-01-01T00%3A00%3A00Z", "still to come"),
        ] {
            let answer = send("again", "same-origin", &format!("end={end}")).await;
            assert_eq!(answer.status(), 400, "{end}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("<html") && text.contains(told), "{text}");
        }
        let (status, next) = post("again", "same-origin", "end=now-5m").await;
        assert_eq!(status, 200);
        assert_ne!(next, address);

        let (_, text) = page(&serin, &address).await;
        for told in [
            "Accepted by hand",
            "&#60;b&#62;fine",
            &next,
            "badge inconclusive",
        ] {
            assert!(text.contains(told), "{address} lacks {told}: {text}");
        }
        assert!(!text.contains("<button>"), "{text}");
        let (_, text) = page(&serin, &next).await;
        assert!(
            text.contains(&format!("It judges <a href=\"{address}\">")),
            "{text}"
        );
        let (_, text) = page(&serin, list).await;
        for mark in ["accepted by hand", "judged again", "again"] {
            let mark = format!("<span class=\"flag\">{mark}</span>");
            assert!(text.contains(&mark), "{list} lacks {mark}: {text}");
        }
    }
    let (_, text) = page(&serin, &format!("/ui/runs/{run}/report.html")).await;
    assert!(text.contains("Accepted by hand") && !text.contains("<form"));
    serin.service.stop().await;
}

#[tokio::test]
async fn flagger_goes_on_with_what_was_accepted_and_is_told_why() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let mut gate = config(&["silent"]);
    gate["name"] = json!("gate");
    gate["applications"] = json!(["podinfo"]);
    assert_eq!(client.post("/canaryConfig", &gate).await.0, 200);
    let metadata = json!({
        "canaryConfigName": "gate", "controlScope": "v1", "experimentScope": "v2",
        "startTime": "2024-06-01T01:00:00Z", "endTime": "2024-06-01T02:00:00Z",
    });
    assert_eq!(ask(client, "rollout", "one", &metadata).await.0, 200);
    let (status, told) = decided(client, "confirm-promotion", "one", &metadata).await;
    assert_eq!(status, 403, "{told}");
    let list = "/standalone_canary_analysis?application=podinfo";
    let (_, analyses) = client.get(list).await;
    let id = analyses[0]["pipelineId"].as_str().unwrap();
    let accept = format!("/standalone_canary_analysis/{id}/accept");
    let (status, answer) = client
        .post(&accept, &reason("the dashboards are fine"))
        .await;
    assert_eq!(status, 204, "{answer}");
    for (hook, expected) in [
        ("rollout", 200),
        ("confirm-promotion", 200),
        ("rollback", 403),
    ] {
        let (status, told) = ask(client, hook, "one", &metadata).await;
        assert_eq!(status, expected, "{hook}: {told}");
        let why = "Accepted by hand by ana: the dashboards are fine (The verdict hangs on silent";
        assert!(told.starts_with(why), "{told}");
    }
    let (_, analyses) = client.get(list).await;
    assert_eq!(analyses[0]["outcome"], "inconclusive");
    serin.service.stop().await;
}
