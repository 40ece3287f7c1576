use serde_json::{Value, json};

use super::*;

/// 2024-06-01T01:00:00Z
const NOW: i64 = 1_717_203_600_000;

fn plan(members: &Value) -> Result<Plan> {
    let mut request = json!({"scopes": [{"controlScope": "a", "experimentScope": "b"}], "thresholds": {"pass": 95, "marginal": 75}});
    for (name, value) in members.as_object().unwrap() {
        request[name] = value.clone();
    }
    Plan::of(&serde_json::from_value(request).unwrap(), NOW)
}

fn windows(plan: &Plan) -> Vec<[String; 4]> {
    let text = |time: Option<Instant>| time.unwrap().to_string()[11..16].to_owned();
    (1..=plan.runs)
        .map(|run| {
            let pair = plan.request(run).scopes.unwrap()["default"].clone();
            let (control, experiment) =
                (pair.control_scope.unwrap(), pair.experiment_scope.unwrap());
            [control.start, control.end, experiment.start, experiment.end].map(text)
        })
        .collect()
}

#[test]
fn windows_grow_or_slide_as_kayentas_do() {
    let retro = json!([{"startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:10:00Z", "controlOffsetInMinutes": 30}]);
    let cases = [
        (
            json!({"lifetimeDurationMins": 6, "analysisIntervalMins": 3}),
            vec!["01:00 01:03", "01:00 01:06"],
        ),
        (json!({"lifetimeDurationMins": 6}), vec!["01:00 01:06"]),
        (
            json!({"lifetimeDurationMins": "6", "analysisIntervalMins": ""}),
            vec!["01:00 01:06"],
        ),
        (
            json!({"lifetimeDurationMins": 7, "analysisIntervalMins": 3}),
            vec!["01:00 01:03", "01:00 01:06"],
        ),
        (
            json!({"lifetimeDurationMins": 7, "analysisIntervalMins": 3, "judgeRemainder": true}),
            vec!["01:00 01:03", "01:00 01:06", "01:00 01:07"],
        ),
        (
            json!({"lifetimeDurationMins": 10, "analysisIntervalMins": 4, "lookbackMins": 4, "judgeRemainder": "true"}),
            vec!["01:00 01:04", "01:04 01:08", "01:06 01:10"],
        ),
        (
            json!({"lifetimeDurationMins": 6, "analysisIntervalMins": 3, "judgeRemainder": true}),
            vec!["01:00 01:03", "01:00 01:06"],
        ),
        (
            json!({"lifetimeDurationMins": 3, "beginAfterMins": 4}),
            vec!["01:04 01:07"],
        ),
        (
            json!({"lifetimeDurationMins": 10, "analysisIntervalMins": 5, "lookbackMins": 5}),
            vec!["01:00 01:05", "01:05 01:10"],
        ),
        (
            json!({"scopes": retro, "analysisIntervalMins": 30, "beginAfterMins": 9}),
            vec!["01:00 01:30", "01:00 02:00"],
        ),
    ];
    for (members, expected) in cases {
        let plan = plan(&members).unwrap();
        let got: Vec<String> = windows(&plan)
            .iter()
            .map(|w| format!("{} {}", w[2], w[3]))
            .collect();
        assert_eq!(got, expected, "{members}");
    }
    let plan = plan(&json!({"scopes": retro})).unwrap();
    assert_eq!(
        windows(&plan),
        [["00:30", "01:40", "01:00", "02:10"].map(str::to_owned)]
    );
}

#[test]
fn what_is_left_over_is_told_or_judged() {
    let cases = [
        (
            json!({"lifetimeDurationMins": 60, "analysisIntervalMins": 20}),
            3,
            None,
        ),
        (
            json!({"lifetimeDurationMins": 120, "analysisIntervalMins": 45}),
            2,
            Some("the remaining 30 of 120 minutes are not judged"),
        ),
        (
            json!({"lifetimeDurationMins": 120, "analysisIntervalMins": 45, "judgeRemainder": true}),
            3,
            None,
        ),
        (json!({"lifetimeDurationMins": 5}), 1, None),
    ];
    for (members, runs, told) in cases {
        let plan = plan(&members).unwrap();
        assert_eq!(plan.runs(), runs, "{members}");
        let left_over = plan.left_over();
        assert_eq!(left_over.is_some(), told.is_some(), "{members}");
        let begins = left_over
            .unwrap_or_default()
            .starts_with(told.unwrap_or_default());
        assert!(begins, "{members}");
    }
    let rest = plan(
        &json!({"lifetimeDurationMins": 5, "analysisIntervalMins": 3, "judgeRemainder": true}),
    )
    .unwrap();
    let last = rest.due_millis(&rest.stages(), 2);
    assert_eq!((last - NOW) / 60_000, 5);
}

#[test]
fn each_scope_has_its_own_times_and_step() {
    let scopes = json!([
        {"startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:00:00Z", "step": 0},
        {"scopeName": "other", "startTimeIso": "2024-06-01T00:00:00Z", "endTimeIso": "2024-06-01T01:00:00Z", "step": "30"},
        {"scopeName": "third"},
    ]);
    let request = plan(&json!({"scopes": scopes})).unwrap().request(1);
    let told: Vec<String> = request
        .scopes
        .unwrap()
        .into_iter()
        .map(|(name, pair)| {
            let scope = pair.experiment_scope.unwrap();
            format!("{name} {} {}", scope.start.unwrap(), scope.step.unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            "default 2024-06-01T01:00:00Z 60",
            "other 2024-06-01T00:00:00Z 30",
            "third 2024-06-01T01:00:00Z 60"
        ]
    );
}

#[test]
fn waits_end_with_the_windows() {
    let plan =
        plan(&json!({"lifetimeDurationMins": 2, "analysisIntervalMins": 1, "beginAfterMins": 5}))
            .unwrap();
    let stages = plan.stages();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Warmup Wait",
            "Interval Wait #1",
            "Run Canary #1",
            "Interval Wait #2",
            "Run Canary #2"
        ]
    );
    let minutes = |at| (plan.due_millis(&stages, at) - NOW) / 60_000;
    assert_eq!([minutes(0), minutes(1), minutes(3)], [5, 6, 7]);
    assert_eq!(run_number(&stages, 4), 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let times =
        |start: &str, end: &str| json!({"scopes": [{"startTimeIso": start, "endTimeIso": end}]});
    let cases = [
        (json!({"scopes": []}), "at least one scope"),
        (json!({"scopes": null}), "at least one scope"),
        (json!({"thresholds": null}), "scoreThresholds"),
        (
            json!({"thresholds": {"pass": 95}, "lifetimeDurationMins": 5}),
            "marginal",
        ),
        (json!({}), "either `endTime` or `lifetimeDuration`"),
        (
            times("yesterday", "2024-06-01T01:00:00Z"),
            "Text 'yesterday' could not be parsed at index 0",
        ),
        (
            times("2024-06-01T01:00:00Z", "2024-06-01T01:00:30Z"),
            "0 minutes",
        ),
        (
            times("2024-06-01T02:00:00Z", "2024-06-01T01:00:00Z"),
            "-60 minutes",
        ),
        (
            json!({"lifetimeDurationMins": 100_000, "analysisIntervalMins": 1}),
            "too many",
        ),
        (
            json!({"lifetimeDurationMins": 5, "beginAfterMins": -1}),
            "beginAfterMins",
        ),
    ];
    for (members, part) in cases {
        let error = plan(&members).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{members}: {error}");
    }
}
