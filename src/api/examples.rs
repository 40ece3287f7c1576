//! Examples of the document of the API: one small canary, from config to report.

use serde_json::{Value, json};

pub fn canary_config() -> Value {
    json!({
        "name": "checkout",
        "applications": ["checkout"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "templates": {"version": "version=\"${scope}\""},
        "metrics": [{
            "name": "error rate",
            "query": {"type": "prometheus", "metricName": "http_errors_per_second", "customFilterTemplate": "version"},
            "groups": ["Errors"],
            "analysisConfigurations": {"canary": {
                "direction": "increase", "critical": true,
                "effectSize": {"allowedIncrease": 1.1, "criticalIncrease": 1.5},
            }},
            "scopeName": "default",
        }],
        "classifier": {"groupWeights": {"Errors": 100}},
    })
}

pub fn canary_config_list() -> Value {
    json!([{
        "id": "checkout", "name": "checkout", "applications": ["checkout"],
        "updatedTimestamp": 1_714_561_260_000_i64, "updatedTimestampIso": "2024-05-01T11:01:00Z",
    }])
}

pub fn execution_request() -> Value {
    let scope = |version: &str| {
        json!({
            "scope": version, "location": "eu", "step": 60,
            "start": "2024-05-01T10:00:00Z", "end": "2024-05-01T11:00:00Z", "extendedScopeParams": {},
        })
    };
    json!({
        "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
        "thresholds": {"pass": 95, "marginal": 75},
    })
}

pub fn verdict_request() -> Value {
    json!({
        "canaryConfigId": "checkout", "controlScope": "checkout-primary", "experimentScope": "checkout-canary",
        "lookback": "10m", "thresholds": {"pass": 95, "marginal": 75}, "wait": "50s",
    })
}

pub fn flagger_payload() -> Value {
    json!({
        "name": "podinfo", "namespace": "test", "checksum": "85d557f47b",
        "metadata": {"canaryConfigName": "podinfo", "lifetime": "10m", "interval": "5m"},
    })
}

pub fn adhoc_execution_request() -> Value {
    json!({"canaryConfig": canary_config(), "executionRequest": execution_request()})
}

pub fn analysis_request() -> Value {
    json!({
        "scopes": [{
            "scopeName": "default", "step": 60,
            "controlScope": "v1", "controlLocation": "eu",
            "experimentScope": "v2", "experimentLocation": "eu",
        }],
        "thresholds": {"pass": 95, "marginal": 75},
        "lifetimeDurationMins": 60, "analysisIntervalMins": 20, "beginAfterMins": 5,
    })
}

pub fn adhoc_analysis_request() -> Value {
    json!({"canaryConfig": canary_config(), "executionRequest": analysis_request()})
}

pub fn judge_result() -> Value {
    let stats = |mean: f64| json!({"stats": {"count": 61, "mean": mean, "min": 0.1, "std": 0.08, "max": 0.9}});
    json!({
        "judgeName": "NetflixACAJudge-v1.0",
        "results": [{
            "name": "error rate", "tags": {}, "id": "5b0ec7a4-6b0e-4b52-9d1c-0c7f0a4a3d11",
            "classification": "Pass", "groups": ["Errors"],
            "experimentMetadata": stats(0.41), "controlMetadata": stats(0.4),
            "resultMetadata": {"ratio": 1.025}, "critical": false, "muted": false,
        }],
        "groupScores": [{"name": "Errors", "score": 100.0, "classification": "", "classificationReason": ""}],
        "score": {"score": 100.0, "classification": "Pass", "classificationReason": ""},
    })
}

pub fn replay_request() -> Value {
    json!({
        "application": "checkout", "last": 50,
        "whatIf": {"judge": "NetflixACAJudge-v1.0", "thresholds": {"pass": 90, "marginal": 70}},
    })
}

pub fn execution() -> Value {
    json!({
        "application": "checkout",
        "pipelineId": "01HWT0GQ5V9T1S8T3YB7D1E2AA",
        "stageStatus": {
            "setupContext": "succeeded", "fetchControl0": "succeeded", "fetchExperiment0": "succeeded",
            "mixMetrics": "succeeded", "judge": "succeeded",
        },
        "complete": true,
        "status": "succeeded",
        "result": {"judgeResult": judge_result(), "canaryDuration": "PT1H"},
        "config": canary_config(),
        "canaryConfigId": "checkout",
        "canaryExecutionRequest": execution_request(),
        "metricSetPairListId": "77b1a7a0-5e0c-5c7b-8f5d-2f1a4c0e9b10",
        "buildTimeMillis": 1_714_561_260_000_i64, "buildTimeIso": "2024-05-01T11:01:00Z",
        "startTimeMillis": 1_714_561_260_020_i64, "startTimeIso": "2024-05-01T11:01:00.020Z",
        "endTimeMillis": 1_714_561_260_080_i64, "endTimeIso": "2024-05-01T11:01:00.080Z",
        "storageAccountName": "local", "metricsAccountName": "prometheus", "configurationAccountName": "local",
    })
}

pub fn executions() -> Value {
    json!([execution()])
}

pub fn metric_sets() -> Value {
    json!([{
        "name": "error rate", "tags": {}, "stepMillis": 60_000,
        "startTimeMillis": 1_714_557_600_000_i64, "startTimeIso": "2024-05-01T10:00:00Z",
        "endTimeMillis": 1_714_557_780_000_i64, "endTimeIso": "2024-05-01T10:03:00Z",
        "values": [0.4, "NaN", 0.42],
    }])
}

pub fn metric_set_pairs() -> Value {
    let scope = json!({"startTimeIso": "2024-05-01T10:00:00Z", "startTimeMillis": 1_714_557_600_000_i64, "stepMillis": 60_000});
    json!([{
        "name": "error rate", "id": "5b0ec7a4-6b0e-4b52-9d1c-0c7f0a4a3d11", "tags": {},
        "values": {"control": [0.4, "NaN", 0.42], "experiment": [0.41, 0.4, 0.39]},
        "scopes": {"control": scope, "experiment": scope},
        "attributes": {"control": {"query": "avg(http_errors_per_second{version=\"v1\"})"}, "experiment": {}},
    }])
}

pub fn calibration_request() -> Value {
    json!({
        "canaryConfigId": "checkout", "control": {"scope": "checkout-1", "location": "eu"},
        "against": [{"scope": "checkout-2", "location": "eu"}, {"scope": "checkout-3", "location": "eu"}],
        "windowMins": 60, "intervalMins": 10, "windows": 200, "step": 60, "write": "checkout",
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::canary::{
        CanaryAdhocExecutionRequest, CanaryAnalysisAdhocExecutionRequest,
        CanaryExecutionStatusResponse, MetricSet, MetricSetPair, ReplayRequest,
    };

    fn reads<T: DeserializeOwned>(example: Value) -> T {
        serde_json::from_value(example).unwrap()
    }

    #[test]
    fn every_example_is_understood() {
        reads::<CanaryAdhocExecutionRequest>(adhoc_execution_request());
        reads::<CanaryAnalysisAdhocExecutionRequest>(adhoc_analysis_request());
        reads::<Vec<CanaryExecutionStatusResponse>>(executions());
        reads::<Vec<MetricSet>>(metric_sets());
        reads::<ReplayRequest>(replay_request());
        reads::<Vec<MetricSetPair>>(metric_set_pairs());
    }
}
