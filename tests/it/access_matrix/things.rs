//! What a tenant has: one of each thing that an address can name.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::calibrating;
use crate::executions::{config, request};
use crate::harness::{self, Client};
use crate::scripted_prometheus::{Asked, Reply};

/// Noise for whatever range is asked for, and nothing for all else.
pub fn answer(asked: &Asked) -> Reply {
    if asked.params.contains_key("query") && asked.params.contains_key("step") {
        return calibrating::answer(asked);
    }
    Reply::text(200, r#"{"status": "success", "data": []}"#)
        .with("content-type", "application/json")
}

/// By the names that stand in the addresses of rows.
pub struct Things(Vec<(&'static str, String)>);

impl Things {
    /// All that an application has, made by somebody who may everything.
    pub async fn make(root: &Client, application: &str) -> Self {
        let mut things = Self(vec![("app", application.to_owned())]);
        for name in [
            "config",
            "run",
            "analysis",
            "calibration",
            "comparison",
            "sets",
        ] {
            things.renew(root, name).await;
        }
        things
    }

    /// Another one of what was deleted.
    pub async fn renew(&mut self, root: &Client, name: &str) {
        let application = self.of("app").to_owned();
        match name {
            "config" => {
                let id = format!("{application}-config");
                let stored = config_of(&application, &id);
                root.post("/canaryConfig", &stored).await;
                self.put("config", id);
            }
            "run" | "pairs" => self.run(root, &application).await,
            "analysis" => {
                let path = format!("/standalone_canary_analysis?application={application}");
                let body = crate::analysis::retrospective(30);
                let (_, started) = root.post(&path, &body).await;
                let id = text(&started["canaryAnalysisExecutionId"]);
                ended(root, &format!("/standalone_canary_analysis/{id}")).await;
                self.put("analysis", id);
            }
            "calibration" | "margins" => {
                let margins = format!("{application}-margins");
                let mut asked = calibration_of(self.of("config"), 20);
                asked["write"] = json!(margins);
                let (_, started) = root.post("/calibrations", &asked).await;
                let id = text(&started["calibrationId"]);
                ended(root, &format!("/calibrations/{id}")).await;
                self.put("calibration", id);
                self.put("margins", margins);
            }
            "comparison" => {
                let path = format!(
                    "/judges/comparison?canaryConfigId={}&metricSetPairListId={}&passThreshold=95&marginalThreshold=75",
                    self.of("config"),
                    self.of("pairs")
                );
                let (_, made) =
                    harness::answer(root.http.post(format!("{}{path}", root.url))).await;
                self.put("comparison", text(&made["canaryExecutionId"]));
            }
            "sets" => {
                let (_, stored) = root.post("/metricSetList", &json!([])).await;
                self.put("sets", text(&stored["metricSetListId"]));
            }
            _ => {}
        }
    }

    async fn run(&mut self, root: &Client, application: &str) {
        let path = format!("/canary/{}?application={application}", self.of("config"));
        let id = root.start_canary(&path, &request()).await;
        let run = root.poll(&id).await;
        let pairs = text(&run["metricSetPairListId"]);
        let (_, list) = root.get(&format!("/metricSetPairList/{pairs}")).await;
        self.put("pair", text(&list[0]["id"]));
        self.put("pairs", pairs);
        self.put("run", id);
    }

    fn of(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map_or("", |(_, value)| value)
    }

    fn put(&mut self, name: &'static str, value: String) {
        assert!(!value.is_empty(), "no {name} of {}", self.of("app"));
        self.0.retain(|(own, _)| *own != name);
        self.0.push((name, value));
    }

    /// A text of a row, with these things in it.
    pub fn fill(&self, text: &str) -> String {
        let named = self.0.iter().map(|(name, value)| (*name, value.as_str()));
        fill(text, named)
    }

    /// A text of a row, with things that are not there.
    pub fn fill_unknown(&self, text: &str) -> String {
        let unknown = |name: &'static str| {
            if name == "app" {
                self.of("app")
            } else {
                UNKNOWN
            }
        };
        fill(text, self.0.iter().map(|(name, _)| (*name, unknown(name))))
    }

    /// An answer, as it would be about things that are not there.
    pub fn forgotten(&self, answer: &str) -> String {
        let things = self.0.iter().filter(|(name, _)| *name != "app");
        things.fold(answer.to_owned(), |text, (_, id)| text.replace(id, UNKNOWN))
    }

    /// What tells that an answer is about this tenant.
    pub fn marks(&self) -> impl Iterator<Item = &str> {
        // Lists of metric sets are nobody's.
        let own = self.0.iter().filter(|(name, _)| *name != "sets");
        own.map(|(_, value)| value.as_str())
    }
}

pub const UNKNOWN: &str = "none-of-that-name";

fn fill<'a>(text: &str, named: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    named.fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("<{name}>"), value)
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn ended(root: &Client, path: &str) {
    let begun = Instant::now();
    loop {
        let (status, document) = root.get(path).await;
        assert_eq!(status, 200, "{path}: {document}");
        if document["complete"] == true {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{document}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn config_of(application: &str, id: &str) -> Value {
    let mut config = config(&["errors"]);
    config["id"] = json!(id);
    config["name"] = json!(id);
    config["applications"] = json!([application]);
    config
}

pub fn calibration_of(config: &str, windows: u32) -> Value {
    json!({
        "canaryConfigId": config, "control": {"scope": "a"}, "against": [{"scope": "b"}],
        "windows": windows, "windowMins": 60, "intervalMins": 30, "end": "2024-06-01T00:00:00Z",
    })
}

/// What Flagger tells of a rollout.
pub fn described() -> Value {
    json!({
        "name": "<app>", "namespace": "test", "phase": "Progressing", "checksum": "<new>",
        "metadata": {
            "canaryConfigName": "<config>", "controlScope": "primary", "experimentScope": "next",
            "startTime": "2024-06-01T01:00:00Z", "endTime": "2024-06-01T02:00:00Z",
        },
    })
}
