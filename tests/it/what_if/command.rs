//! `serin replay`, on a server and from a folder.

use serde_json::Value;

use super::{failed, twice_the_errors};
use crate::command;
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test(flavor = "multi_thread")]
async fn the_command_judges_on_a_server_and_from_a_folder_alike() {
    let prometheus = ScriptedPrometheus::start(twice_the_errors).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = failed(&serin).await;
    let typed = async |arguments: Vec<String>| {
        let typed = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            command::serin(&arguments, "")
        });
        typed.await.unwrap()
    };
    let folder = serin.data().join("kayenta");
    let places = [
        vec!["--server".to_owned(), serin.client.url.clone()],
        vec!["--folder".to_owned(), folder.display().to_string()],
    ];
    let mut told = Vec::new();
    for place in places {
        let with = |arguments: &[&str]| {
            let own = arguments.iter().map(|argument| (*argument).to_owned());
            ["replay".to_owned()]
                .into_iter()
                .chain(own)
                .chain(place.clone())
                .collect::<Vec<_>>()
        };
        let same = typed(with(&[&id, "--exit-code"])).await;
        let text = command::text(&same.stdout);
        assert_eq!(
            same.status.code(),
            Some(0),
            "{text}{}",
            command::text(&same.stderr)
        );
        assert!(
            text.contains("the same results, to the last byte"),
            "{text}"
        );

        let other = ["--application", "shop", "--pass", "50", "--marginal", "40"];
        let text = typed(with(&other)).await;
        assert_eq!(text.status.code(), Some(0));
        let text = command::text(&text.stdout);
        assert!(
            text.contains("50 is held against pass 50") && text.contains("another verdict"),
            "{text}"
        );
        let json = typed(with(
            &[&other[..], &["--format", "json", "--exit-code"]].concat(),
        ))
        .await;
        assert_eq!(json.status.code(), Some(1));
        let mut json: Value = serde_json::from_slice(&json.stdout).unwrap();
        json["runs"][0].as_object_mut().unwrap().remove("result");
        told.push(json);

        let absent = typed(with(&["nobody", "--exit-code"])).await;
        assert_ne!(absent.status.code(), Some(0));
        let wrong = typed(with(&["--application", "shop", "--margin", "-1"])).await;
        assert_eq!(
            wrong.status.code(),
            Some(64),
            "{}",
            command::text(&wrong.stderr)
        );
    }
    assert_eq!(told[0], told[1]);

    let alone = folder.join("canary_archive").join(&id);
    let pairs = std::fs::read_dir(folder.join("metric_pairs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    std::fs::copy(
        pairs.path().join("metric_set_pairs.json"),
        alone.join("metric_set_pairs.json"),
    )
    .unwrap();
    let one = typed(vec![
        "replay".to_owned(),
        "--folder".to_owned(),
        alone.display().to_string(),
    ])
    .await;
    assert!(
        command::text(&one.stdout).contains("the same results"),
        "{}",
        command::text(&one.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_folder_come_as_they_are_named_whatever_lies_beside_them() {
    let prometheus = ScriptedPrometheus::start(twice_the_errors).await;
    let serin = Serin::start(&prometheus.url).await;
    let ids = [
        failed(&serin).await,
        failed(&serin).await,
        failed(&serin).await,
    ];
    for id in &ids {
        let archive = format!("/canaryResultArchive/{id}");
        while serin.client.get(&archive).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let folder = serin.data().join("kayenta");
    let beside = folder.join("canary_archive/beside");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("canary_archive.json"), "{").unwrap();
    for order in [[0, 1, 2], [2, 0, 1]] {
        let named = order.map(|at| ids[at].clone());
        let folder = folder.display().to_string();
        let arguments = named.clone();
        let typed = tokio::task::spawn_blocking(move || {
            let [one, two, three] = &arguments;
            let typed: [&str; 7] = ["replay", one, two, three, "--format", "json", "--folder"];
            command::serin(&[&typed[..], &[&folder]].concat(), "")
        });
        let typed = typed.await.unwrap();
        let told: Value = serde_json::from_slice(&typed.stdout).unwrap();
        let runs = told["runs"].as_array().unwrap();
        let judged: Vec<&str> = runs.iter().filter_map(|run| run["id"].as_str()).collect();
        assert_eq!(judged, named);
    }
}
