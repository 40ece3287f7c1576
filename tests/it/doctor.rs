//! `serin doctor`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command::text;
use crate::prometheus_tls::serve;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

async fn doctor(data: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .arg("doctor")
        .args(arguments)
        .env_remove("SERIN_CONFIG")
        .env("SERIN__STORAGE__DIRECTORY", data);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(!told.contains("panicked"), "{told}");
    (output.status.code().unwrap(), told)
}

fn of_another_day(_: &Asked) -> Reply {
    Reply::matrix(&json!([])).with("date", "Sun, 06 Nov 1994 08:49:37 GMT")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_is_well_or_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let late = ScriptedPrometheus::start(of_another_day).await;
    let broken = folder.path().join("broken.yml");
    std::fs::write(&broken, "server: {prot: 1}").unwrap();
    let data = folder.path().join("data");
    let cases: [(&[&str], i32, &[&str]); 4] = [
        (
            &[],
            0,
            &[
                "✓ configuration: can be used",
                "! accounts: no account gives series",
                "✓ account local: may list",
                "✓ database: is made at",
                "✓ disk: ",
                "open files: ",
                "memory: ",
            ],
        ),
        (
            &["--prometheus", "http://127.0.0.1:1"],
            1,
            &["✗ account prometheus: cannot", "\n    "],
        ),
        (
            &["--prometheus", &late.url],
            1,
            &[
                "✗ clock beside that of prometheus: -",
                "let both follow NTP",
            ],
        ),
        (
            &["--config", broken.to_str().unwrap()],
            1,
            &["✗ configuration: ", "did you mean 'port'?"],
        ),
    ];
    for (arguments, code, parts) in cases {
        let (exit, told) = doctor(&data, arguments).await;
        assert_eq!(exit, code, "{arguments:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    // Nothing is made by a look.
    assert!(!data.join("serin.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_side_by_side_each_with_its_own_authority() {
    let slow = ScriptedPrometheus::start(|asked| {
        let late = if asked.method == "HEAD" { 3 } else { 0 };
        of_another_day(asked).after(Duration::from_secs(late))
    })
    .await;
    let port = serve();
    let authority = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/prometheus_tls/ca.pem"
    );
    let mut accounts = vec![json!({
        "name": "safe", "endpoint": {"baseUrl": format!("https://localhost:{port}")}, "caFile": authority,
    })];
    accounts.extend(
        (0..5).map(|at| json!({"name": format!("slow-{at}"), "endpoint": {"baseUrl": slow.url}})),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let config = json!({"kayenta": {"prometheus": {"enabled": true, "accounts": accounts}}});
    std::fs::write(&file, config.to_string()).unwrap();
    let begun = Instant::now();
    let (code, told) = doctor(
        &folder.path().join("data"),
        &["--config", file.to_str().unwrap()],
    )
    .await;
    assert_eq!(code, 1, "{told}");
    for name in ["safe", "slow-0", "slow-4"] {
        let clock = format!("✗ clock beside that of {name}: -");
        assert!(told.contains(&clock), "{told}");
    }
    // One after the other they would take fifteen seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
}
