//! Canary configs as code: what is stored, and what is not.

use super::*;

#[tokio::test]
async fn put_stores_what_is_allowed_and_can_be_read() {
    let server = Serin::start("").await;
    let cases = [
        // file              allowed             code  told
        (
            "prefix-missing",
            "broken-query",
            1,
            "error[no-promql-prefix]",
        ),
        ("prefix-missing", "no-promql-prefix", 0, ""),
        ("comma-too-many", "unreadable", 1, "error[unreadable]"),
    ];
    for (name, allowed, code, expected) in cases {
        let url = server.client.url.clone();
        let file = folder().join(format!("broken/{name}.json"));
        let put = move || {
            let file = file.display().to_string();
            let put = ["canary-config", "put", &file, "--allow", allowed];
            serin(&[&put[..], &["--server", &url]].concat(), "")
        };
        let ended = tokio::task::spawn_blocking(put).await.unwrap();
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{name}: {told}");
        assert!(told.contains(expected), "{name}: {told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{name}: {told}");
    }
    server.service.stop().await;
}

/// Exit code, standard output and standard error of a command.
async fn ended(arguments: Vec<String>) -> (Option<i32>, String, String) {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        serin(&arguments, "")
    };
    let ended = tokio::task::spawn_blocking(run).await.unwrap();
    (
        ended.status.code(),
        text(&ended.stdout),
        text(&ended.stderr),
    )
}

#[tokio::test]
async fn what_differs_is_shown_before_it_is_stored() {
    let server = Serin::start("").await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let server = ["--server", server.client.url.as_str()];
        let all = [&["canary-config"], arguments, &server].concat();
        ended(all.into_iter().map(str::to_owned).collect())
    };
    let file = folder.path().join("checkout.json");
    std::fs::write(&file, whole()).unwrap();
    let (_, told, _) = run(&["put", &file.display().to_string()]).await;
    let id = told.strip_prefix("created ").unwrap();
    let id = id.strip_suffix(" (checkout)\n").unwrap().to_owned();
    // How it is written makes no difference.
    let (_, yaml, _) = run(&["get", &id, "--format", "yaml"]).await;
    let file = folder.path().join("checkout.yml");
    std::fs::write(&file, &yaml).unwrap();
    assert_eq!(run(&["diff", &file.display().to_string()]).await.0, Some(0));
    let changed = folder.path().join("changed.yml");
    std::fs::write(
        &changed,
        yaml.replace("histogram_quantile(0.99,", "histogram_quantile(0.95,"),
    )
    .unwrap();
    let changed = changed.display().to_string();
    let (code, difference, _) = run(&["diff", &changed]).await;
    assert_eq!(code, Some(1));
    let (_, dry, _) = run(&["put", "--dry-run", &changed]).await;
    assert!(dry.starts_with(&format!("would be updated: {id}")), "{dry}");
    for told in [&difference, &dry] {
        let lines: Vec<&str> = told.lines().collect();
        let of = |sign| {
            let mut lines = lines.iter().filter(|line| line.starts_with(sign));
            lines.rfind(|line| line.contains("histogram_quantile(0.9"))
        };
        assert!(
            of("-").is_some_and(|line| line.contains("(0.99,")),
            "{told}"
        );
        assert!(
            of("+").is_some_and(|line| line.contains("(0.95,")),
            "{told}"
        );
    }
    let (code, two, _) = run(&["diff", &file.display().to_string(), &changed]).await;
    assert_eq!(code, Some(1));
    assert!(
        two.contains("--- ") && two.contains("checkout.yml"),
        "{two}"
    );
    let (code, _, told) = run(&["diff", &changed, "--id", "nosuch"]).await;
    assert_eq!(code, Some(64));
    assert!(
        told.contains("there is no canary config 'nosuch'"),
        "{told}"
    );
    server.service.stop().await;
}

#[tokio::test]
async fn configs_are_kept_as_code() {
    let server = Serin::start("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkout.json");
    let path = file.display().to_string();
    let run = |arguments: &[&str]| {
        let server = ["--server", server.client.url.as_str()];
        let all = [&["canary-config"], arguments, &server].concat();
        ended(all.into_iter().map(str::to_owned).collect())
    };

    std::fs::write(&file, whole()).unwrap();
    let dry = run(&["put", &path, "--dry-run"]).await;
    assert_eq!(dry.1, "would be created: a new id (checkout)\n");
    let (code, told, stderr) = run(&["put", &path]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let id = told.strip_prefix("created ").unwrap();
    let id = id.strip_suffix(" (checkout)\n").unwrap().to_owned();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("unchanged {id} (checkout)\n")
    );

    std::fs::write(&file, whole().replace("\"Errors\": 60", "\"Errors\": 60.0")).unwrap();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("unchanged {id} (checkout)\n")
    );
    std::fs::write(&file, whole().replace("0.99", "0.9")).unwrap();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("updated {id} (checkout)\n")
    );

    // As YAML, by its id, what was got is what is stored.
    let (code, yaml, _) = run(&["get", &id, "--format", "yaml"]).await;
    assert_eq!(code, Some(0));
    assert!(yaml.contains("histogram_quantile(0.9,"), "{yaml}");
    let file = folder.path().join("checkout.yml");
    std::fs::write(&file, &yaml).unwrap();
    let put = run(&["put", &file.display().to_string()]).await;
    assert_eq!(put.1, format!("unchanged {id} (checkout)\n"), "{}", put.2);

    let (_, list, _) = run(&["list"]).await;
    assert!(
        list.contains(&format!("│ {id} ┆ checkout ┆ checkout     ┆ ")),
        "{list}"
    );
    assert_eq!(run(&["list", "--application", "other"]).await.1, "");

    let (code, _, told) = run(&["get", "nosuch"]).await;
    assert_eq!(
        (code, told.as_str()),
        (Some(64), "serin: there is no canary config 'nosuch'\n")
    );
    let (code, _, told) = run(&["delete", "nosuch"]).await;
    assert_eq!(
        (code, told.as_str()),
        (Some(64), "serin: there is no canary config 'nosuch'\n")
    );

    // Errors keep it from being stored, unless that is wanted, and the server takes it.
    let broken = self::folder()
        .join("broken/prefix-missing.json")
        .display()
        .to_string();
    let (code, _, stderr) = run(&["put", &broken]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("error[no-promql-prefix]"), "{stderr}");
    let other = ["put", &broken, "--allow", "broken-query"];
    assert_eq!(run(&other).await.0, Some(1));
    let allowed = ["put", &broken, "--allow", "no-promql-prefix"];
    let (code, told, stderr) = run(&allowed).await;
    assert_eq!(told, format!("updated {id} (checkout)\n"), "{stderr}");
    assert_eq!(
        (code, stderr.contains("no-promql-prefix")),
        (Some(0), false)
    );
    assert_eq!(
        run(&["put", &broken, "--no-lint"]).await.1,
        format!("unchanged {id} (checkout)\n")
    );
    let unreadable = self::folder()
        .join("broken/comma-too-many.json")
        .display()
        .to_string();
    let (code, _, stderr) = run(&["put", &unreadable, "--allow", "unreadable"]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("error[unreadable]"), "{stderr}");

    assert_eq!(run(&["delete", &id]).await.1, format!("deleted {id}\n"));
    let (code, _, stderr) = run(&["get", &id]).await;
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("there is no canary config"), "{stderr}");
    server.service.stop().await;

    let away = serin(
        &[
            "canary-config",
            "delete",
            "a",
            "--server",
            "http://127.0.0.1:9",
        ],
        "",
    );
    assert_eq!(away.status.code(), Some(69));
    let nowhere = serin(&["canary-config", "list"], "");
    assert_eq!(nowhere.status.code(), Some(64), "{}", text(&nowhere.stderr));
}
