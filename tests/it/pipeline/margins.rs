//! Margins from a file that a calibration wrote.

use serde_json::{Value, json};

use super::*;
use crate::economy;

/// `v2` is a tenth higher than `v1`: beyond the margin of 5 %, and within one of 20 %.
fn higher(asked: &Asked) -> Reply {
    let level = if asked.params["query"].contains("v2") {
        110.0
    } else {
        100.0
    };
    economy::answer(asked, &["a"], |_, time| {
        Some(level + f64::from(u8::try_from(time / 60_000 * 7 % 5).unwrap()) / 10.0)
    })
}

fn judged_by(judge: &Value) -> Value {
    json!({
        "name": "checkout", "judge": judge,
        "metrics": [{"name": "errors", "scopeName": "default", "groups": ["g"],
            "query": {"type": "prometheus", "customInlineTemplate": "PromQL:errors{version=\"${scope}\"}"}}],
        "classifier": {"groupWeights": {"g": 100}},
    })
}

fn named(calibration: &str) -> Value {
    judged_by(
        &json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": calibration}}),
    )
}

/// What `serin calibrate --output` writes; of it, the margins are read.
fn calibration(id: &str, metric: &str) -> Value {
    json!({"id": "01K", "status": "succeeded", "learned": {
        "calibration": id, "madeMillis": 1_717_200_000_000_i64, "fromMillis": 1_716_000_000_000_i64,
        "toMillis": 1_717_200_000_000_i64,
        "metrics": [{"metric": metric, "margin": 0.2, "windows": 200, "query": "0"}]}})
}

async fn judge(
    folder: &Path,
    prometheus: &str,
    config: &Value,
    file: Option<&Value>,
) -> (i32, String) {
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut plan = json!({
        "canaryConfigFile": "config.json", "control": "v1", "experiment": "v2",
        "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z",
        "report": {"json": folder.join("report.json")},
    });
    if let Some(file) = file {
        std::fs::write(folder.join("calibration.json"), file.to_string()).unwrap();
        // As every file that is named there, it lies beside it.
        plan["calibration"] = json!("calibration.json");
    }
    let at = folder.join("canary.yml");
    std::fs::write(&at, plan.to_string()).unwrap();
    run(
        &["-f", &at.display().to_string(), "--prometheus", prometheus],
        &[],
        "",
    )
    .await
}

#[tokio::test]
async fn a_run_is_judged_with_the_margins_of_a_file() {
    let prometheus = ScriptedPrometheus::start(higher).await;
    let folder = tempfile::tempdir().unwrap();
    let sequential = judged_by(&json!({"name": "sequential-v1"}));
    let (exit, told) = judge(folder.path(), &prometheus.url, &sequential, None).await;
    assert_eq!(exit, 1, "{told}");
    let beside = judged_by(
        &json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"shadow": "sequential-v1"}}),
    );
    let cases = [
        (&sequential, "", 0),
        (&sequential, "checkout", 0),
        (&named("checkout"), "", 0),
        (&named("checkout"), "checkout", 0),
        // Margins are the second judge's; here the first one decides.
        (&beside, "", 1),
    ];
    for (config, id, code) in cases {
        let file = calibration(id, "errors");
        let (exit, told) = judge(folder.path(), &prometheus.url, config, Some(&file)).await;
        assert_eq!(exit, code, "{config} '{id}': {told}");
        // It is told, and judged all the same, as on a server.
        assert!(told.contains("changed-query"), "{told}");
        assert!(!told.contains("names no calibration"), "{told}");
    }
    // The answer of a server, which has nothing around the margins.
    let bare = &calibration("checkout", "errors")["learned"];
    let (exit, told) = judge(folder.path(), &prometheus.url, &sequential, Some(bare)).await;
    assert_eq!(exit, 0, "{told}");
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    assert!(report.contains("learned from 200 windows"), "{report}");
}

#[tokio::test]
async fn a_calibration_that_does_not_fit_is_refused_before_anything_is_asked() {
    let prometheus = ScriptedPrometheus::start(higher).await;
    let folder = tempfile::tempdir().unwrap();
    let sequential = judged_by(&json!({"name": "sequential-v1"}));
    let mut negative = calibration("", "errors");
    negative["learned"]["metrics"][0]["margin"] = json!("much");
    let cases = [
        (
            sequential.clone(),
            calibration("", "latency"),
            "is of another config: it knows 'latency', and the canary config has 'errors'",
        ),
        (
            named("checkout"),
            calibration("shop", "errors"),
            "names the calibration 'checkout', and the file holds 'shop'",
        ),
        (
            judged_by(&json!({"name": "NetflixACAJudge-v1.0"})),
            calibration("", "errors"),
            "is not judged by sequential-v1",
        ),
        (
            sequential.clone(),
            json!({"id": "01K", "status": "canceled"}),
            "has learned nothing (its status is 'canceled')",
        ),
        (sequential.clone(), json!([1]), "has learned nothing"),
        (sequential.clone(), negative, "metrics[0].margin"),
        (sequential, json!("{"), "calibration.json"),
    ];
    for (config, file, part) in cases {
        let (exit, told) = judge(folder.path(), &prometheus.url, &config, Some(&file)).await;
        assert_eq!(exit, 64, "{file}: {told}");
        assert!(told.contains(part), "{file}: {told}");
    }
    assert!(prometheus.asked().is_empty());
    let at = folder.path().join("calibration.json").display().to_string();
    let arguments = [
        &WINDOW[..],
        &[
            "--metric",
            "m=x",
            "--server",
            "http://127.0.0.1:1",
            "--calibration",
            &at,
        ],
    ]
    .concat();
    let (exit, told) = run(&arguments, &[], "").await;
    assert_eq!(exit, 64, "{told}");
    assert!(
        told.contains("a server judges with margins that it keeps"),
        "{told}"
    );
}
