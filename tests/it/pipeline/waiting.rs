//! What happens while a run is waited for.

use super::*;

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again_and_one_that_refuses_is_left_without_a_run() {
    for (failure, code) in [(500, 69), (401, 69)] {
        let door = ScriptedPrometheus::start(move |asked| {
            let body = match asked.method.as_str() {
                "POST" => json!({"canaryExecutionId": "one"}),
                "PUT" => json!({}),
                _ => return Reply::text(failure, r#"{"message": "not now"}"#),
            };
            Reply::text(200, body.to_string())
        })
        .await;
        let arguments = [
            &WINDOW[..],
            &["--server", &door.url, "--metric", "m=x", "--patience", "2s"],
        ]
        .concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains("canceled 'one'"), "{told}");
        let gets = door
            .asked()
            .iter()
            .filter(|asked| asked.method == "GET")
            .count();
        assert_eq!(1 < gets, failure == 500, "{failure}: {gets} times");
    }
}

#[tokio::test]
async fn an_analysis_is_waited_for_and_its_judgements_are_told() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let of_two = [
        "--start=2024-06-01T01:00:00Z",
        "--end=2024-06-01T01:10:00Z",
        "--interval=5m",
        "--control=v1",
        "--experiment=v2",
        "--prometheus",
        &prometheus.url,
        "--metric",
    ];
    for (metric, code, part) in [
        (r#"m=good{version="${scope}"}"#, 0, "2. ✓ Pass, score 100"),
        (r#"m=bad{version="${scope}"}"#, 1, "1. ✗ Fail, score 0"),
        (
            r#"m=silent{version="${scope}"}"#,
            3,
            "1. ? Inconclusive, score –",
        ),
        ("m=broken", 69, "no such function"),
    ] {
        let arguments = [&of_two[..], &[metric]].concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_canceled_on_the_server() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let serin = Serin::start(&prometheus.url).await;
    let slow = [
        &WINDOW[..],
        &[
            "--server",
            &serin.service.url,
            "--metric",
            r#"m=slow{version="${scope}"}"#,
        ],
    ]
    .concat();

    let (exit, told) = run(&[&slow[..], &["--timeout", "1s"]].concat(), &[], "").await;
    assert_eq!(exit, 69, "{told}");
    assert!(told.contains("no verdict within 1s"), "{told}");

    for signal in ["INT", "TERM"] {
        let child = command(&slow, &[]).spawn().unwrap();
        let listed = "/canary/executions?statuses=running";
        while serin
            .client
            .get(listed)
            .await
            .1
            .as_array()
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let (exit, told) = end(&output.await.unwrap());
        assert_eq!(exit, 130, "{told}");
        assert!(told.contains("canceled"), "{told}");
    }
    let (_, all) = serin.client.get("/canary/executions").await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 3);
    for canary in all {
        assert_eq!(canary["status"], "canceled", "{canary}");
    }
}

#[tokio::test]
async fn a_token_goes_with_every_request_and_into_no_log() {
    let door = ScriptedPrometheus::start(|asked| {
        let is_open = asked.header("authorization") == Some("Bearer hush");
        let body = json!({"message": "who are you?"}).to_string();
        match (is_open, asked.method.as_str()) {
            (false, _) => Reply::text(401, body),
            (true, "POST") => Reply::text(200, json!({"canaryExecutionId": "one"}).to_string()),
            (true, _) => Reply::text(
                200,
                json!({"complete": true, "status": "canceled"}).to_string(),
            ),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hush\n").unwrap();
    let arguments = [&WINDOW[..], &["--server", &door.url, "--metric", "m=x"]].concat();
    for (environment, code, part) in [
        (vec![("SERIN_TOKEN", "hush")], 69, "Canceled before its end"),
        (
            vec![("SERIN_TOKEN_FILE", file.to_str().unwrap())],
            69,
            "Canceled before its end",
        ),
        (vec![("SERIN_TOKEN", "shout")], 64, "who are you?"),
    ] {
        let (exit, told) = run(&arguments, &environment, "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains(part), "{told}");
        assert!(!told.contains("hush") && !told.contains("shout"), "{told}");
    }
    // A Kayenta knows no key, and takes none amiss; to serin it makes two starts one.
    let posted = door
        .asked()
        .into_iter()
        .find(|asked| asked.method == "POST")
        .unwrap();
    assert!(posted.header("idempotency-key").is_some());
}
