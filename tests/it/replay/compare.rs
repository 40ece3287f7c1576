//! One answer against the recorded one: what must be equal, and what cannot be.

mod masks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use masks::{WALL_CLOCK_MILLIS, ids_in, mask};

/// Members that tell of Java or of the machine: only their JSON type is compared.
const MASKED: &[&str] = &[
    "stackTrace",
    "exceptionType",
    "exception",
    "kind",
    "implementingClass",
    "origin",
    "partition",
    "durationMs",
    "elapsedMs",
];

/// Lists whose order Kayenta takes from a hash table.
const UNORDERED: &[&str] = &[
    "$",
    "groupScores",
    "results",
    "supportedTypes",
    "applications",
    "stages",
    "tasks",
];

/// Random in Kayenta too: the judge, or the noise on sides that are constant.
const RANDOM: &[(&str, &str)] = &[
    ("dredd-done", "$.result.judgeResult.results[]"),
    ("dredd-done", "$.result.judgeResult.groupScores[]"),
    ("dredd-done", "$.result.judgeResult.score"),
    (
        "mix-instant-scalar-done",
        "$.result.judgeResult.results[].resultMetadata.ratio",
    ),
    (
        "mix-const-diff-done",
        "$.result.judgeResult.results[].resultMetadata.ratio",
    ),
];

/// Ids of the recording that a later request needs, and what they are here.
pub struct Ids {
    needed: BTreeSet<String>,
    here: BTreeMap<String, String>,
}

impl Ids {
    pub fn needed_by<'a>(requests: impl Iterator<Item = &'a Value>) -> Self {
        Self {
            needed: requests
                .flat_map(|request| ids_in(&request.to_string()))
                .collect(),
            here: BTreeMap::new(),
        }
    }

    /// An id in path or query that no answer gave.
    pub fn missing(&self, request: &Value) -> Option<String> {
        let places = format!("{} {}", request["path"], request["query"]);
        ids_in(&places)
            .into_iter()
            .find(|id| !self.here.contains_key(id))
    }

    /// The text with the ids of this run.
    pub fn live(&self, text: &str) -> String {
        ids_in(text)
            .into_iter()
            .filter_map(|id| Some((self.here.get(&id)?, id)))
            .fold(text.to_owned(), |text, (here, id)| text.replace(&id, here))
    }
}

pub struct Answer {
    status: u16,
    /// `json`, `html`, another media type, or nothing.
    family: String,
    pub body: Value,
}

impl Answer {
    pub fn recorded(exchange: &Value) -> Self {
        let response = &exchange["response"];
        Self {
            status: response["status"].as_u64().unwrap().try_into().unwrap(),
            family: family(response["contentType"].as_str().unwrap_or("")),
            body: response["body"].clone(),
        }
    }

    pub async fn read(response: reqwest::Response) -> Self {
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Self {
            status,
            family: family(kind.as_ref().map_or("", |kind| kind.to_str().unwrap())),
            body: match text.as_str() {
                "" => Value::Null,
                text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            },
        }
    }

    /// Whether the recorded answer was asked for later than this one.
    pub fn is_behind(&self, recorded: &Self, waited: Duration) -> bool {
        let runs = |answer: &Self| {
            let status = answer.body["status"].as_str().unwrap_or("").to_lowercase();
            match answer.body.get("complete") {
                Some(complete) => *complete == false,
                None => ["not_started", "running"].contains(&status.as_str()),
            }
        };
        let empty = |answer: &Self| answer.body.as_object().is_some_and(Map::is_empty);
        match (recorded.status, self.status) {
            (200, 200) => !runs(recorded) && runs(self) || !empty(recorded) && empty(self),
            // The archive is written just after the end is told.
            (200, 404) => waited < Duration::from_secs(3),
            _ => false,
        }
    }

    /// A 4xx without a body, as Kayenta's framework answers.
    fn is_bare_refusal(&self) -> bool {
        (400..500).contains(&self.status) && self.body.is_null()
    }
}

fn family(kind: &str) -> String {
    let kind = kind.split(';').next().unwrap_or("").trim();
    match kind {
        _ if kind.ends_with("json") => "json",
        "text/html" => "html",
        kind => kind,
    }
    .to_owned()
}

/// One place where the answers differ.
#[derive(Debug)]
pub struct Difference {
    /// `status 200 404`, `content-type`, `no $.member`, `more $[]`, or the path of another value.
    pub what: String,
    recorded: Value,
    here: Value,
}

impl Difference {
    fn new(what: impl Into<String>, recorded: &Value, here: &Value) -> Self {
        Self {
            what: what.into(),
            recorded: recorded.clone(),
            here: here.clone(),
        }
    }

    pub fn blocked(id: &str) -> Self {
        Self::new("blocked", &id.into(), &Value::Null)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
        let (recorded, here) = (short(&self.recorded), short(&self.here));
        write!(f, "{}: {recorded} | {here}", self.what)
    }
}

/// What a comparison found; ids are learnt only from pairs that belong together.
#[derive(Default)]
struct Found {
    differences: Vec<Difference>,
    learnt: Vec<(String, String)>,
}

pub struct Comparison<'a> {
    name: &'a str,
    ids: &'a mut Ids,
}

impl<'a> Comparison<'a> {
    pub const fn new(name: &'a str, ids: &'a mut Ids) -> Self {
        Self { name, ids }
    }

    pub fn compare(self, recorded: &Answer, here: &Answer) -> Vec<Difference> {
        let mut found = Found::default();
        if recorded.status != here.status {
            let what = format!("status {} {}", recorded.status, here.status);
            let at = Difference::new(what, &recorded.status.into(), &here.body);
            found.differences.push(at);
        } else if self.name.contains("-running") {
            compare_snapshot(&recorded.body, &here.body, &mut found);
        } else if recorded.is_bare_refusal() {
            if !here.body.is_null() && !here.body["message"].is_string() {
                let at = Difference::new("no $.message", &Value::Null, &here.body);
                found.differences.push(at);
            }
        } else if recorded.family != here.family {
            let (recorded, here) = (&recorded.family, &here.family);
            let at = Difference::new(
                "content-type",
                &recorded.as_str().into(),
                &here.as_str().into(),
            );
            found.differences.push(at);
        } else {
            self.diff(&recorded.body, &here.body, "$", &mut found);
        }
        for (id, here) in found.learnt {
            if self.ids.needed.contains(&id) {
                self.ids.here.entry(id).or_insert(here);
            }
        }
        found.differences
    }

    fn diff(&self, recorded: &Value, here: &Value, path: &str, found: &mut Found) {
        if RANDOM.contains(&(self.name, path)) {
            return;
        }
        let member = path
            .rsplit('.')
            .next()
            .unwrap_or(path)
            .trim_end_matches("[]");
        let same = match (recorded, here) {
            (Value::Object(recorded), Value::Object(here)) => {
                for (key, value) in recorded {
                    let key = self.ids.live(key);
                    let path = format!("{path}.{key}");
                    match here.get(&key) {
                        Some(here) => self.diff(value, here, &path, found),
                        None => found.differences.push(Difference::new(
                            format!("no {path}"),
                            value,
                            &Value::Null,
                        )),
                    }
                }
                return;
            }
            (Value::Array(recorded), Value::Array(here)) => {
                if UNORDERED.contains(&member) && !path.ends_with("[]") {
                    self.diff_sets(recorded, here, path, found);
                } else {
                    self.diff_lists(recorded, here, path, found);
                }
                return;
            }
            (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_))
                if MASKED.contains(&member) =>
            {
                true
            }
            (Value::String(recorded), Value::String(here)) => self.is_same(recorded, here, found),
            (Value::Number(recorded), Value::Number(here)) => {
                let (recorded, here) = (recorded.as_f64().unwrap(), here.as_f64().unwrap());
                recorded.to_bits() == here.to_bits()
                    || is_time(member) && WALL_CLOCK_MILLIS < recorded && WALL_CLOCK_MILLIS < here
            }
            (recorded, here) => recorded == here,
        };
        if !same {
            found
                .differences
                .push(Difference::new(path, recorded, here));
        }
    }

    fn diff_lists(&self, recorded: &[Value], here: &[Value], path: &str, found: &mut Found) {
        let path = format!("{path}[]");
        for (recorded, here) in recorded.iter().zip(here) {
            self.diff(recorded, here, &path, found);
        }
        for missing in recorded.iter().skip(here.len()) {
            let at = Difference::new(format!("no {path}"), missing, &Value::Null);
            found.differences.push(at);
        }
        for more in here.iter().skip(recorded.len()) {
            let at = Difference::new(format!("more {path}"), &Value::Null, more);
            found.differences.push(at);
        }
    }

    /// Pairs the elements that fit, then the rest in its order.
    fn diff_sets(&self, recorded: &[Value], here: &[Value], path: &str, found: &mut Found) {
        let mut rest: Vec<Value> = here.to_vec();
        let mut unpaired = Vec::new();
        for element in recorded {
            let fitting = rest.iter().position(|here| {
                let mut tried = Found::default();
                self.diff(element, here, "", &mut tried);
                tried.differences.is_empty()
            });
            match fitting {
                Some(at) => self.diff(element, &rest.remove(at), &format!("{path}[]"), found),
                None => unpaired.push(element.clone()),
            }
        }
        // Those that bear one name belong together, though they differ.
        let mut missing = Vec::new();
        for element in unpaired {
            let named = |here: &Value| {
                let names = ["pipelineId", "id", "name"].iter();
                let mut names =
                    names.filter_map(|name| Some((element.get(name)?, here.get(name)?)));
                names.next().is_some_and(|(recorded, here)| {
                    let recorded = recorded.as_str().unwrap_or("");
                    self.ids.live(recorded) == here.as_str().unwrap_or("")
                })
            };
            match rest.iter().position(named) {
                Some(at) => self.diff(&element, &rest.remove(at), &format!("{path}[]"), found),
                None => missing.push(element),
            }
        }
        self.diff_lists(&missing, &rest, path, found);
    }

    /// Equal but for ids, times of the wall clock, and hosts.
    fn is_same(&self, recorded: &str, here: &str, found: &mut Found) -> bool {
        if recorded == here {
            return true;
        }
        let (recorded_ids, here_ids) = (ids_in(recorded), ids_in(here));
        let known = recorded_ids
            .iter()
            .zip(&here_ids)
            .all(|(id, here)| self.ids.here.get(id).is_none_or(|known| known == here));
        if !known || mask(recorded) != mask(here) {
            return false;
        }
        found.learnt.extend(recorded_ids.into_iter().zip(here_ids));
        true
    }
}

/// What runs may be further here than it was: a known state, and the same members.
fn compare_snapshot(recorded: &Value, here: &Value, found: &mut Found) {
    for (member, value) in recorded.as_object().into_iter().flatten() {
        match (member.as_str(), &here[member]) {
            // They appear with the start.
            ("startTimeMillis" | "startTimeIso", Value::Null) => {}
            ("status" | "executionStatus", here) => {
                let states = ["not_started", "running", "succeeded", "terminal"];
                let state = here.as_str().unwrap_or("").to_lowercase();
                if !states.contains(&state.as_str()) {
                    let at = Difference::new(format!("$.{member}"), value, here);
                    found.differences.push(at);
                }
            }
            (_, Value::Null) => {
                let at = Difference::new(format!("no $.{member}"), value, &Value::Null);
                found.differences.push(at);
            }
            _ => {}
        }
    }
    if let (Some(recorded), Some(here)) = (
        recorded["stageStatus"].as_object(),
        here["stageStatus"].as_object(),
    ) {
        for stage in recorded.keys().filter(|stage| !here.contains_key(*stage)) {
            let what = format!("no $.stageStatus.{stage}");
            found
                .differences
                .push(Difference::new(what, &Value::Null, &Value::Null));
        }
    }
}

fn is_time(member: &str) -> bool {
    let member = member.to_lowercase();
    ["time", "start", "end", "expiry"]
        .iter()
        .any(|part| member.contains(part))
}

#[test]
fn a_difference_is_told_by_its_place() {
    use serde_json::json;
    let id = "01M7YFKPB2SSZ2GZPP69PXNF54";
    let other = "01M7YFKWS2BXJBKSQA77NNYZ4E";
    for (recorded, here, expected) in [
        (json!({"a": 1}), json!({"a": 1.0, "more": 2}), &[][..]),
        (
            json!({"a": 0.1}),
            json!({"a": 0.100_000_000_000_000_02}),
            &["$.a"],
        ),
        (json!({"a": "NaN"}), json!({"a": null}), &["$.a"]),
        (json!({"a": {"b": 1}}), json!({"a": {}}), &["no $.a.b"]),
        (
            json!({"a": [1, 2]}),
            json!({"a": [2, 1]}),
            &["$.a[]", "$.a[]"],
        ),
        (json!([1, 2]), json!([2, 1]), &[]),
        (json!([1, 2]), json!([2]), &["no $[]"]),
        (json!([2]), json!([1, 2]), &["more $[]"]),
        (
            json!({"a": id, "b": id}),
            json!({"a": other, "b": other}),
            &[],
        ),
        (json!({"id": id}), json!({"id": "none"}), &["$.id"]),
        (json!({"stackTrace": "x"}), json!({"stackTrace": ""}), &[]),
        (
            json!({"endTime": 1_795_245_447_023_i64}),
            json!({"endTime": 1_795_245_447_024_i64}),
            &[],
        ),
        (
            json!({"endTime": 1_717_203_600_000_i64}),
            json!({"endTime": 1_717_203_600_001_i64}),
            &["$.endTime"],
        ),
    ] {
        let answer = |body: &Value| Answer {
            status: 200,
            family: "json".to_owned(),
            body: body.clone(),
        };
        let mut ids = Ids::needed_by([json!(id)].iter());
        let found = Comparison::new("any", &mut ids).compare(&answer(&recorded), &answer(&here));
        let found: Vec<_> = found
            .iter()
            .map(|difference| difference.what.as_str())
            .collect();
        assert_eq!(found, expected, "{recorded} {here}");
    }
}
