//! Which role each operation and page needs, and on what.

use serde_json::{Value, json};

use super::On::{self, Everything, Nothing, Open, Tenant};
use super::things::{calibration_of, config_of, described};
use crate::executions::{config, request};

pub const READ: &str = "read";
pub const START: &str = "start";
pub const CONFIG: &str = "config";
pub const DELETE: &str = "delete";
pub const ADMIN: &str = "admin";

pub struct Row {
    /// The operation, as the document and the routes have it.
    pub of: &'static str,
    pub role: &'static str,
    pub on: On,
    /// The address that is asked, in which `<run>` is the run of a tenant, and so on.
    pub asked: &'static str,
    pub body: Option<Body>,
    /// Whether it shows something on the way, so that one must be able to read, too: as all pages do.
    pub reads: bool,
}

pub enum Body {
    Json(Value),
    Form(&'static str),
}

impl Row {
    fn json(mut self, body: Value) -> Self {
        self.body = Some(Body::Json(body));
        self
    }

    fn form(mut self, fields: &'static str) -> Self {
        self.body = Some(Body::Form(fields));
        self
    }

    fn reading(mut self) -> Self {
        self.reads = true;
        self
    }

    pub fn method(&self) -> &'static str {
        self.of.split(' ').next().unwrap()
    }
}

fn row(of: &'static str, role: &'static str, on: On, asked: &'static str) -> Row {
    Row {
        of,
        role,
        on,
        asked,
        body: None,
        reads: asked.starts_with("/ui") && on != Open,
    }
}

pub fn all() -> Vec<Row> {
    let mut all = operations();
    all.extend(documents());
    all.extend(deliveries());
    all.extend(pages());
    all
}

fn adhoc() -> Value {
    json!({"canaryConfig": config(&["errors"]), "executionRequest": request()})
}

fn analysis() -> Value {
    crate::analysis::retrospective(30)["executionRequest"].clone()
}

#[rustfmt::skip]
fn operations() -> Vec<Row> {
    vec![
        row("POST /canary", START, Tenant, "/canary?application=<app>").json(adhoc()),
        row("GET /canary/executions", READ, Nothing, "/canary/executions?application=<app>"),
        row("GET /canary/{id}", READ, Tenant, "/canary/<run>"),
        row("POST /canary/{id}", START, Tenant, "/canary/<config>?application=<app>").json(request()),
        row("DELETE /canary/{id}", START, Tenant, "/canary/<run>"),
        row("POST /canary/{id}/accept", START, Tenant, "/canary/<run>/accept").json(json!({"reason": "because"})),
        row("GET /canary/{id}/actions", READ, Tenant, "/canary/<run>/actions"),
        row("POST /canary/{id}/again", START, Tenant, "/canary/<run>/again").json(json!({})),
        row("GET /canary/{id}/events", READ, Tenant, "/canary/<run>/events"),
        row("PUT /canary/{id}/pin", DELETE, Tenant, "/canary/<run>/pin"),
        row("DELETE /canary/{id}/pin", DELETE, Tenant, "/canary/<run>/pin"),
        row("GET /standalone_canary_analysis", READ, Nothing, "/standalone_canary_analysis?application=<app>"),
        row("POST /standalone_canary_analysis", START, Tenant, "/standalone_canary_analysis?application=<app>").json(crate::analysis::retrospective(30)),
        row("GET /standalone_canary_analysis/{id}", READ, Tenant, "/standalone_canary_analysis/<analysis>"),
        row("POST /standalone_canary_analysis/{id}", START, Tenant, "/standalone_canary_analysis/<config>?application=<app>").json(analysis()),
        row("DELETE /standalone_canary_analysis/{id}", START, Tenant, "/standalone_canary_analysis/<analysis>"),
        row("POST /standalone_canary_analysis/{id}/accept", START, Tenant, "/standalone_canary_analysis/<analysis>/accept").json(json!({"reason": "because"})),
        row("GET /standalone_canary_analysis/{id}/actions", READ, Tenant, "/standalone_canary_analysis/<analysis>/actions"),
        row("POST /standalone_canary_analysis/{id}/again", START, Tenant, "/standalone_canary_analysis/<analysis>/again").json(json!({})),
        row("GET /standalone_canary_analysis/{id}/events", READ, Tenant, "/standalone_canary_analysis/<analysis>/events"),
        row("PUT /standalone_canary_analysis/{id}/pin", DELETE, Tenant, "/standalone_canary_analysis/<analysis>/pin"),
        row("DELETE /standalone_canary_analysis/{id}/pin", DELETE, Tenant, "/standalone_canary_analysis/<analysis>/pin"),
        row("GET /pipelines", READ, Nothing, "/pipelines"),
        row("POST /pipelines/start", READ, Open, "/pipelines/start"),
        row("GET /pipelines/{executionId}", READ, Tenant, "/pipelines/<run>"),
        row("DELETE /pipelines/{executionId}", DELETE, Tenant, "/pipelines/<run>"),
        row("PUT /pipelines/{executionId}/cancel", START, Tenant, "/pipelines/<run>/cancel"),
        row("GET /canaryConfig", READ, Nothing, "/canaryConfig?application=<app>"),
        row("POST /canaryConfig", CONFIG, Tenant, "/canaryConfig").json(config_of("<app>", "<new>")),
        row("POST /canaryConfig/lint", READ, Nothing, "/canaryConfig/lint").json(config_of("<app>", "<new>")),
        row("GET /canaryConfig/{canaryConfigId}", READ, Tenant, "/canaryConfig/<config>"),
        row("PUT /canaryConfig/{canaryConfigId}", CONFIG, Tenant, "/canaryConfig/<config>").json(config_of("<app>", "<config>")),
        row("DELETE /canaryConfig/{canaryConfigId}", CONFIG, Tenant, "/canaryConfig/<config>"),
        row("POST /replay", READ, Nothing, "/replay").json(json!({"runs": ["<run>"], "whatIf": {}})),
        row("GET /calibrations", READ, Nothing, "/calibrations"),
        row("POST /calibrations", START, Tenant, "/calibrations").json(calibration_of("<config>", 2)),
        row("GET /calibrations/{id}", READ, Tenant, "/calibrations/<calibration>"),
        row("DELETE /calibrations/{id}", DELETE, Tenant, "/calibrations/<calibration>"),
        row("PUT /calibrations/{id}/cancel", START, Tenant, "/calibrations/<calibration>/cancel"),
        row("GET /learnedMargins", READ, Nothing, "/learnedMargins"),
        row("GET /learnedMargins/{id}", READ, Tenant, "/learnedMargins/<margins>"),
        row("PUT /learnedMargins/{id}", CONFIG, Tenant, "/learnedMargins/<margins>").json(json!({"calibrationId": "<calibration>"})).reading(),
        row("DELETE /learnedMargins/{id}", CONFIG, Tenant, "/learnedMargins/<margins>").reading(),
    ]
}

#[rustfmt::skip]
fn documents() -> Vec<Row> {
    let pairs = json!([{"name": "m", "id": "i", "tags": {}, "values": {"control": [1], "experiment": [1]}}]);
    vec![
        row("GET /canaryResultArchive", READ, Nothing, "/canaryResultArchive"),
        row("POST /canaryResultArchive", ADMIN, Everything, "/canaryResultArchive").json(json!({})),
        row("GET /canaryResultArchive/{pipelineId}", READ, Tenant, "/canaryResultArchive/<run>"),
        row("PUT /canaryResultArchive/{pipelineId}", ADMIN, Everything, "/canaryResultArchive/<run>").json(json!({})),
        row("DELETE /canaryResultArchive/{pipelineId}", DELETE, Tenant, "/canaryResultArchive/<run>"),
        row("GET /metricSetList", READ, Nothing, "/metricSetList"),
        row("POST /metricSetList", START, Everything, "/metricSetList").json(json!([])),
        row("GET /metricSetList/{metricSetListId}", READ, Everything, "/metricSetList/<sets>"),
        row("DELETE /metricSetList/{metricSetListId}", DELETE, Everything, "/metricSetList/<sets>"),
        row("GET /metricSetPairList", READ, Nothing, "/metricSetPairList"),
        row("POST /metricSetPairList", START, Everything, "/metricSetPairList").json(pairs),
        row("GET /metricSetPairList/{metricSetPairListId}", READ, Tenant, "/metricSetPairList/<pairs>"),
        row("DELETE /metricSetPairList/{metricSetPairListId}", DELETE, Tenant, "/metricSetPairList/<pairs>"),
        row("GET /metricSetPairList/{metricSetPairListId}/{metricSetPairId}", READ, Tenant, "/metricSetPairList/<pairs>/<pair>"),
        row("GET /judges", READ, Nothing, "/judges"),
        row("POST /judges/judge", START, Tenant, "/judges/judge?canaryConfigId=<config>&metricSetPairListId=<pairs>&passThreshold=95&marginalThreshold=75"),
        row("POST /judges/comparison", START, Tenant, "/judges/comparison?canaryConfigId=<config>&metricSetPairListId=<pairs>&passThreshold=95&marginalThreshold=75"),
        row("GET /judges/comparison/{executionId}", READ, Tenant, "/judges/comparison/<comparison>"),
        row("GET /credentials", READ, Nothing, "/credentials"),
        row("DELETE /credentials/{accountName}", ADMIN, Everything, "/credentials/none-of-that-name"),
        row("GET /metricsServices", READ, Nothing, "/metricsServices"),
        row("GET /metadata/metricsService", START, Nothing, "/metadata/metricsService"),
        row("POST /fetch/prometheus/query", START, Nothing, "/fetch/prometheus/query?metricSetName=m&metricName=m&step=60&start=2024-06-01T01:00:00Z&end=2024-06-01T01:05:00Z&scope=v1"),
        row("POST /fetch/{service}/query", START, Nothing, "/fetch/datadog/query?metricSetName=m&metricName=m&step=60&start=2024-06-01T01:00:00Z&end=2024-06-01T01:05:00Z&scope=v1"),
    ]
}

#[rustfmt::skip]
fn deliveries() -> Vec<Row> {
    vec![
        row("POST /canary/verdict", START, Tenant, "/canary/verdict?application=<app>&wait=0s").json(adhoc()),
        row("POST /flagger/{hook}", START, Tenant, "/flagger/rollout").json(described()),
        row("POST /mcp", READ, Nothing, "/mcp").json(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_configs", "arguments": {}}})),
        row("GET /prometheus/api/v1/label/{label}/values", READ, Nothing, "/prometheus/api/v1/label/application/values"),
        row("GET /prometheus/api/v1/labels", READ, Nothing, "/prometheus/api/v1/labels"),
        row("POST /prometheus/api/v1/labels", READ, Nothing, "/prometheus/api/v1/labels").form(""),
        row("GET /prometheus/api/v1/metadata", READ, Open, "/prometheus/api/v1/metadata"),
        row("GET /prometheus/api/v1/query", READ, Nothing, "/prometheus/api/v1/query?query=serin_canary_score"),
        row("POST /prometheus/api/v1/query", READ, Nothing, "/prometheus/api/v1/query").form("query=serin_canary_score"),
        row("GET /prometheus/api/v1/query_range", READ, Nothing, "/prometheus/api/v1/query_range?query=serin_canary_score&start=now-1h&end=now&step=60"),
        row("POST /prometheus/api/v1/query_range", READ, Nothing, "/prometheus/api/v1/query_range").form("query=serin_canary_score&start=0&end=60&step=60"),
        row("GET /prometheus/api/v1/rules", READ, Open, "/prometheus/api/v1/rules"),
        row("GET /prometheus/api/v1/series", READ, Nothing, "/prometheus/api/v1/series?match[]=serin_canary_score"),
        row("POST /prometheus/api/v1/series", READ, Nothing, "/prometheus/api/v1/series").form("match[]=serin_canary_score"),
        row("GET /prometheus/api/v1/status/buildinfo", READ, Open, "/prometheus/api/v1/status/buildinfo"),
        row("GET /health", READ, Open, "/health"),
        row("GET /health/liveness", READ, Open, "/health/liveness"),
        row("GET /health/readiness", READ, Open, "/health/readiness"),
        row("GET /metrics", READ, Everything, "/metrics"),
        row("GET /audit", ADMIN, Everything, "/audit"),
        row("GET /audit/{chain}/{number}", ADMIN, Everything, "/audit/none-of-that-name/1"),
        row("GET /retention", DELETE, Everything, "/retention"),
        row("POST /retention", DELETE, Everything, "/retention?dryRun=true"),
        row("POST /admin/orca/instance/enabled", ADMIN, Everything, "/admin/orca/instance/enabled").json(json!({"enabled": true})),
    ]
}

#[rustfmt::skip]
fn pages() -> Vec<Row> {
    vec![
        row("GET /ui", READ, Nothing, "/ui"),
        row("GET /ui/runs/{id}", READ, Tenant, "/ui/runs/<run>"),
        row("GET /ui/runs/{id}/compare", READ, Tenant, "/ui/runs/<run>/compare?with=<run>"),
        row("GET /ui/runs/{id}/report.html", READ, Tenant, "/ui/runs/<run>/report.html"),
        row("GET /ui/runs/{id}/metrics/{file}", READ, Tenant, "/ui/runs/<run>/metrics/0.json"),
        row("GET /ui/runs/{id}/like", START, Tenant, "/ui/runs/<run>/like"),
        row("POST /ui/runs/{id}/cancel", START, Tenant, "/ui/runs/<run>/cancel").form(""),
        row("POST /ui/runs/{id}/pin", DELETE, Tenant, "/ui/runs/<run>/pin").form(""),
        row("POST /ui/runs/{id}/unpin", DELETE, Tenant, "/ui/runs/<run>/unpin").form(""),
        row("GET /ui/runs/{id}/delete", DELETE, Tenant, "/ui/runs/<run>/delete"),
        row("POST /ui/runs/{id}/delete", DELETE, Tenant, "/ui/runs/<run>/delete").form(""),
        row("POST /ui/runs/{id}/again", START, Tenant, "/ui/runs/<run>/again").form("end=now"),
        row("POST /ui/runs/{id}/accept", START, Tenant, "/ui/runs/<run>/accept").form("reason=because"),
        row("GET /ui/analyses", READ, Nothing, "/ui/analyses?application=<app>"),
        row("GET /ui/analyses/{id}", READ, Tenant, "/ui/analyses/<analysis>"),
        row("POST /ui/analyses/{id}/cancel", START, Tenant, "/ui/analyses/<analysis>/cancel").form(""),
        row("POST /ui/analyses/{id}/pin", DELETE, Tenant, "/ui/analyses/<analysis>/pin").form(""),
        row("POST /ui/analyses/{id}/unpin", DELETE, Tenant, "/ui/analyses/<analysis>/unpin").form(""),
        row("GET /ui/analyses/{id}/delete", DELETE, Tenant, "/ui/analyses/<analysis>/delete"),
        row("POST /ui/analyses/{id}/delete", DELETE, Tenant, "/ui/analyses/<analysis>/delete").form(""),
        row("POST /ui/analyses/{id}/again", START, Tenant, "/ui/analyses/<analysis>/again").form("end=now"),
        row("POST /ui/analyses/{id}/accept", START, Tenant, "/ui/analyses/<analysis>/accept").form("reason=because"),
        row("GET /ui/login", READ, Open, "/ui/login"),
        row("GET /ui/login/callback", READ, Open, "/ui/login/callback"),
        row("POST /ui/logout", READ, Open, "/ui/logout").form(""),
        row("GET /ui/accounts", READ, Nothing, "/ui/accounts"),
        row("GET /ui/calibrations", READ, Nothing, "/ui/calibrations"),
        row("GET /ui/calibrations/{id}", READ, Tenant, "/ui/calibrations/<calibration>"),
        row("POST /ui/calibrations/{id}/cancel", START, Tenant, "/ui/calibrations/<calibration>/cancel").form(""),
        row("POST /ui/calibrations/{id}/keep", CONFIG, Tenant, "/ui/calibrations/<calibration>/keep").form("id=<margins>"),
        row("GET /ui/configs", READ, Nothing, "/ui/configs"),
        row("GET /ui/configs/new", CONFIG, Nothing, "/ui/configs/new"),
        row("POST /ui/configs/new", CONFIG, Tenant, "/ui/configs/new").form("config={\"name\": \"<new>\", \"applications\": [\"<app>\"]}"),
        row("POST /ui/configs/new/calibrate", START, Nothing, "/ui/configs/new/calibrate").form("config={}"),
        row("POST /ui/configs/new/try", START, Nothing, "/ui/configs/new/try").form("config={}"),
        row("POST /ui/configs/series", START, Nothing, "/ui/configs/series").form("config={}"),
        row("GET /ui/configs/labels", START, Nothing, "/ui/configs/labels?metric=m"),
        row("GET /ui/configs/templates", READ, Nothing, "/ui/configs/templates?type=prometheus"),
        row("POST /ui/configs/check", READ, Nothing, "/ui/configs/check").form("config={}"),
        row("GET /ui/configs/{id}", READ, Tenant, "/ui/configs/<config>"),
        row("GET /ui/configs/{id}/metrics", READ, Tenant, "/ui/configs/<config>/metrics"),
        row("GET /ui/configs/{id}/edit", CONFIG, Tenant, "/ui/configs/<config>/edit"),
        row("POST /ui/configs/{id}/edit", CONFIG, Tenant, "/ui/configs/<config>/edit").form("config={\"name\": \"<new>\", \"applications\": [\"<app>\"], \"metrics\": [], \"classifier\": {\"groupWeights\": {}}}"),
        row("GET /ui/configs/{id}/copy", CONFIG, Tenant, "/ui/configs/<config>/copy"),
        row("POST /ui/configs/{id}/propose", CONFIG, Tenant, "/ui/configs/<config>/propose").form("config={}"),
        row("GET /ui/configs/{id}/delete", CONFIG, Tenant, "/ui/configs/<config>/delete"),
        row("POST /ui/configs/{id}/delete", CONFIG, Tenant, "/ui/configs/<config>/delete").form(""),
        row("GET /ui/configs/{id}/calibrate", START, Tenant, "/ui/configs/<config>/calibrate"),
        row("POST /ui/configs/{id}/calibrate", START, Tenant, "/ui/configs/<config>/calibrate").form("control=v1&against=v2&window=60&windows=2&step=60&marginal=75&pass=95"),
        row("GET /ui/configs/{id}/try", START, Tenant, "/ui/configs/<config>/try"),
        row("POST /ui/configs/{id}/try", START, Tenant, "/ui/configs/<config>/try").form("application=<app>&marginal=75&pass=95"),
        row("GET /ui/replay", READ, Nothing, "/ui/replay?runs=<run>"),
        row("POST /ui/replay", READ, Nothing, "/ui/replay").form("runs=<run>"),
        row("GET /ui/audit", ADMIN, Everything, "/ui/audit"),
        row("GET /ui/audit/{chain}/{number}", ADMIN, Everything, "/ui/audit/none-of-that-name/1"),
        row("GET /ui/assets/{version}/{*file}", READ, Open, "/ui/assets/0/style.css"),
    ]
}
