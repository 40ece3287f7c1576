//! What an execution calls outside of serin as it goes on, and what became of it.

use std::fmt;

use indexmap::IndexMap;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Event, Fault, Path};

/// How many actions may be taken at one event.
pub const MOST_ACTIONS: usize = 16;

/// The longest that an action may be tried.
const LONGEST_PATIENCE: u32 = 86_400;

/// For how long an action is tried that says nothing of it.
const PATIENCE: u32 = 600;

/// Headers that the sender sets, or that would carry what must not stand in a config.
const RESERVED_HEADERS: [&str; 11] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "idempotency-key",
    "x-serin-signature",
    // A host that honours them would take another method than the one that is told.
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// What is called at which event: one action, or a list of them, which are taken in its order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    #[serde(default, deserialize_with = "one_or_many")]
    pub start: Option<Vec<Action>>,
    /// After every judgement of an analysis that passed.
    #[serde(default, deserialize_with = "one_or_many")]
    pub interval: Option<Vec<Action>>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub pass: Option<Vec<Action>>,
    /// What `fail` says, if not given.
    #[serde(default, deserialize_with = "one_or_many")]
    pub marginal: Option<Vec<Action>>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub fail: Option<Vec<Action>>,
    /// What was measured cannot carry a verdict; what `error` says, if not given, else `fail`.
    #[serde(default, deserialize_with = "one_or_many")]
    pub inconclusive: Option<Vec<Action>>,
    /// It ended without a verdict, or was canceled; what `fail` says, if not given.
    #[serde(default, deserialize_with = "one_or_many")]
    pub error: Option<Vec<Action>>,
}

/// One call over HTTP. Its texts are templates.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// `POST`, and `PATCH` with a merge patch, if not given.
    #[serde(default)]
    pub method: Option<ActionMethod>,
    #[schema(example = "http://apisix-admin:9180/apisix/admin/routes/checkout")]
    pub url: String,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub headers: IndexMap<String, String>,
    /// JSON, or a text.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub body: Option<Value>,
    /// Members to set, and with `null` to remove; sent as `application/merge-patch+json`.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub merge_patch: Option<Value>,
    /// Of the only interval after which it is taken; after all, if not given.
    #[serde(default)]
    pub number: Option<u32>,
    /// For how long it is tried; 600, if not given.
    #[serde(default)]
    pub patience_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionMethod {
    Post,
    Put,
    Patch,
    Delete,
}

impl ActionMethod {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Actions {
    /// # Errors
    /// All that is wrong with them; paths begin in `actions`.
    pub fn read(value: &Value) -> Result<Self, Vec<Fault>> {
        if let Some(fault) = misshapen(value) {
            return Err(vec![fault]);
        }
        let actions: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = Path::from(error.path());
            vec![Fault::new(path, error.into_inner().to_string())]
        })?;
        let faults = actions.faults();
        if faults.is_empty() {
            Ok(actions)
        } else {
            Err(faults)
        }
    }

    /// These, and those of `others` at the events of which these say nothing.
    #[must_use]
    pub fn over(self, others: Self) -> Self {
        Self {
            start: self.start.or(others.start),
            interval: self.interval.or(others.interval),
            pass: self.pass.or(others.pass),
            marginal: self.marginal.or(others.marginal),
            fail: self.fail.or(others.fail),
            inconclusive: self.inconclusive.or(others.inconclusive),
            error: self.error.or(others.error),
        }
    }

    pub fn at(&self, event: Event) -> &[Action] {
        // What did not pass must not keep the traffic that it has, whatever kept it from it.
        let stands_at = self.stands_at(event);
        stands_at
            .and_then(|event| self.named(event))
            .unwrap_or_default()
    }

    /// The event under which the actions of this one stand.
    pub fn stands_at(&self, event: Event) -> Option<Event> {
        let in_turn: &[Event] = match event {
            Event::Inconclusive => &[Event::Inconclusive, Event::Error, Event::Fail],
            Event::Error => &[Event::Error, Event::Fail],
            Event::Marginal => &[Event::Marginal, Event::Fail],
            Event::Start => &[Event::Start],
            Event::Interval => &[Event::Interval],
            Event::Pass => &[Event::Pass],
            Event::Fail => &[Event::Fail],
        };
        let mut in_turn = in_turn.iter().copied();
        in_turn.find(|event| self.named(*event).is_some())
    }

    /// What stands under the event itself.
    pub fn named(&self, event: Event) -> Option<&[Action]> {
        let named = match event {
            Event::Start => &self.start,
            Event::Interval => &self.interval,
            Event::Pass => &self.pass,
            Event::Marginal => &self.marginal,
            Event::Fail => &self.fail,
            Event::Inconclusive => &self.inconclusive,
            Event::Error => &self.error,
        };
        named.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        Event::ALL.iter().all(|event| self.at(*event).is_empty())
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for event in Event::ALL {
            let actions = self.named(event).unwrap_or_default();
            if MOST_ACTIONS < actions.len() {
                let told = format!(
                    "{} actions are too many: {MOST_ACTIONS} may be taken at one event",
                    actions.len()
                );
                faults.push(Fault::new(Path::of(event.as_str()), told));
            }
            for (at, action) in actions.iter().enumerate() {
                let place = || Path::element(event.as_str(), at);
                let found = action.faults(event).into_iter();
                faults.extend(found.map(|fault| fault.within(place())));
            }
        }
        faults
    }
}

impl Action {
    pub fn method(&self) -> ActionMethod {
        let usual = if self.merge_patch.is_some() {
            ActionMethod::Patch
        } else {
            ActionMethod::Post
        };
        self.method.unwrap_or(usual)
    }

    pub fn patience_seconds(&self) -> u32 {
        self.patience_seconds.unwrap_or(PATIENCE)
    }

    /// Whether it is taken after the interval of that number.
    pub fn is_for(&self, number: Option<u32>) -> bool {
        self.number.is_none() || self.number == number
    }

    fn faults(&self, event: Event) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refuse = |member, told: String| faults.push(Fault::new(Path::of(member), told));
        if self.merge_patch.is_some() && self.method() != ActionMethod::Patch {
            let told = "a merge patch goes with PATCH: leave the method out, or name a body";
            refuse("method", told.to_owned());
        }
        if self.merge_patch.is_some() && self.body.is_some() {
            let told = "a body and a merge patch cannot both be sent: name one of them";
            refuse("mergePatch", told.to_owned());
        }
        match self.number {
            Some(0) => refuse("number", "intervals count from 1".to_owned()),
            Some(_) if event != Event::Interval => {
                let told = format!(
                    "only an 'interval' has a number, and this is '{}'",
                    event.as_str()
                );
                refuse("number", told);
            }
            _ => {}
        }
        if !(1..=LONGEST_PATIENCE).contains(&self.patience_seconds()) {
            let told = format!("it must be from 1 to {LONGEST_PATIENCE}");
            refuse("patienceSeconds", told);
        }
        for name in self.headers.keys() {
            let path = Path::of("headers").member(name);
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                let told = format!("'{name}' is not the name of a header");
                faults.push(Fault::new(path, told));
            } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                let told = format!(
                    "'{name}' is set by serin: what a host wants to be shown stands in actions.hosts of its configuration"
                );
                faults.push(Fault::new(path, told));
            }
        }
        faults
    }
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionOutcome {
    /// It has not been taken yet, or will be tried again.
    Waiting,
    /// It was answered with a 2xx.
    Done,
    /// It was refused, or nobody took it for too long.
    Failed,
    /// A later event came before it could be taken.
    Superseded,
}

impl ActionOutcome {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Done, Self::Failed, Self::Superseded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// A call as it is sent, without what serin's own configuration adds to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionCall {
    pub method: ActionMethod,
    pub url: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub headers: IndexMap<String, String>,
    /// JSON; a text is sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub body: Option<Value>,
}

/// One action of an execution, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionRecord {
    pub event: Event,
    /// Of the interval that had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    pub outcome: ActionOutcome,
    /// What was sent; missing when a template could not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<ActionCall>,
    /// How often it was sent.
    pub attempts: i64,
    /// Of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// What kept it from being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// By which its receiver knows it again.
    pub idempotency_key: String,
    /// When its event came.
    pub created_time_iso: String,
    /// When it was first sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time_iso: Option<String>,
    /// When it was known what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_iso: Option<String>,
}

/// A list would be read as members in their order.
fn misshapen(value: &Value) -> Option<Fault> {
    let Some(events) = value.as_object() else {
        let told = "actions by their event are wanted, as in {\"fail\": {\"url\": …}}";
        return Some(Fault::new(Path::default(), told));
    };
    let listed = events.iter().flat_map(|(event, named)| {
        let elements = named.as_array().into_iter().flatten().enumerate();
        elements.map(move |(at, element)| (event, at, element))
    });
    let mut wrong = listed.filter(|(_, _, element)| !element.is_object());
    let (event, at, _) = wrong.next()?;
    let path = Path::default().member(event).nth(at);
    Some(Fault::new(path, "an action is wanted, as in {\"url\": …}"))
}

fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Action>>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Option<Vec<Action>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an action, or a list of them")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let action = Action::deserialize(MapAccessDeserializer::new(map))?;
            Ok(Some(vec![action]))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Some)
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(actions: &Value) -> Vec<String> {
        let faults = Actions::read(actions).err().unwrap_or_default();
        let told = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message));
        told.collect()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let call = |more: Value| {
            let mut call = json!({"url": "http://a"});
            call.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            call
        };
        let cases = [
            (json!({"fial": {}}), "fial: unknown field `fial`"),
            (
                json!({"fail": "http://a"}),
                "fail: invalid type: string \"http://a\", expected an action, or a list of them",
            ),
            (json!([]), ": actions by their event are wanted"),
            (json!({"fail": [["POST"]]}), "fail[0]: an action is wanted"),
            (json!({"fail": [{}]}), "fail[0]: missing field `url`"),
            (
                json!({"fail": [call(json!({})), call(json!({"mergepatch": {}}))]}),
                "fail[1].mergepatch: unknown field `mergepatch`",
            ),
            (
                json!({"pass": call(json!({"method": "GET"}))}),
                "pass.method: unknown variant `GET`",
            ),
            (
                json!({"pass": call(json!({"method": "PUT", "mergePatch": {}}))}),
                "pass[0].method: a merge patch goes with PATCH",
            ),
            (
                json!({"pass": call(json!({"body": {}, "mergePatch": {}}))}),
                "pass[0].mergePatch: a body and a merge patch",
            ),
            (
                json!({"pass": call(json!({"number": 1}))}),
                "pass[0].number: only an 'interval' has a number",
            ),
            (
                json!({"interval": call(json!({"number": 0}))}),
                "interval[0].number: intervals count from 1",
            ),
            (
                json!({"start": call(json!({"patienceSeconds": 0}))}),
                "start[0].patienceSeconds: it must be from 1 to 86400",
            ),
            (
                json!({"start": call(json!({"headers": {"Authorization": "x"}}))}),
                "start[0].headers.Authorization: 'Authorization' is set by serin",
            ),
            (
                json!({"start": call(json!({"headers": {"a b": "x"}}))}),
                "start[0].headers.a b: 'a b' is not the name",
            ),
            (
                json!({"error": vec![call(json!({})); 17]}),
                "error: 17 actions are too many",
            ),
        ];
        for (actions, expected) in cases {
            let told = told(&actions);
            assert!(
                told.len() == 1 && told[0].starts_with(expected),
                "{actions}: {told:?}"
            );
        }
        assert!(told(&json!({"start": null, "interval": [call(json!({"number": 2}))]})).is_empty());
    }

    #[test]
    fn what_did_not_pass_has_failed_unless_it_is_named() {
        let read = |value: Value| Actions::read(&value).unwrap();
        let urls = |actions: &Actions, event| -> Vec<String> {
            let urls = actions.at(event).iter().map(|action| action.url.clone());
            urls.collect()
        };
        let config = read(json!({"start": {"url": "a"}, "fail": {"url": "b"}}));
        assert_eq!(urls(&config, Event::Error), ["b"]);
        assert_eq!(urls(&config, Event::Marginal), ["b"]);
        let request = read(json!({"fail": [], "pass": [{"url": "c"}, {"url": "d"}]}));
        let both = request.over(config.clone());
        assert_eq!(urls(&both, Event::Start), ["a"]);
        assert_eq!(urls(&both, Event::Pass), ["c", "d"]);
        assert!(urls(&both, Event::Error).is_empty());
        let named = read(json!({"error": []})).over(config);
        assert!(urls(&named, Event::Error).is_empty());
        assert_eq!(urls(&named, Event::Fail), ["b"]);
    }
}
