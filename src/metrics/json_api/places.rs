//! The places that a query names.

use serde_json::Value;

use super::place::{Descent, Place};
use super::time::Unit;
use crate::canary::CanaryMetricSetQueryConfig;

/// Names with a place each; none needs as many.
const MOST_NAMED: usize = 20;
/// Bytes of all places together: each is looked for in the whole answer.
const LONGEST: usize = 2_000;
/// Places of what a service says beside its points.
const MOST_TOLD: usize = 10;

/// Where in an answer everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Places {
    /// Each part that is found there is a series, and the others are looked for in it.
    pub series: Place,
    /// Where it is given, times and values are looked for in each part that is found there.
    pub points: Option<Place>,
    pub times: Place,
    pub values: Place,
    pub unit: Unit,
    pub labels: Labels,
    /// Within a point: points that have the same there are a series.
    pub groups: Vec<(String, Place)>,
    /// What says that there is more than was answered.
    pub partial: Vec<Place>,
    /// What else is told.
    pub warnings: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Labels {
    Named(Vec<(String, Place)>),
    /// The members of one object.
    Of(Place),
}

/// A member, and what is wrong with it, in words that follow its name.
pub type Fault = (&'static str, String);

impl Places {
    /// # Errors
    /// The first fault.
    pub fn of(query: &CanaryMetricSetQueryConfig) -> Result<Self, Fault> {
        let points = texts(query, "points")?;
        let points = points.map(|text| place("points", &text, Descent::Never));
        let points = points.transpose()?;
        let groups = named(query, "groupBy")?;
        if !groups.is_empty() && points.is_none() {
            let why = "needs 'points': what tells one series from another stands in each of them";
            return Err(("groupBy", why.to_owned()));
        }
        let series = texts(query, "series")?;
        let series = place("series", series.as_deref().unwrap_or("$"), Descent::Never)?;
        let places = Self {
            series,
            points,
            times: wanted(query, "times")?,
            values: wanted(query, "values")?,
            unit: unit(query)?,
            labels: match query.value("labels") {
                Some(Value::String(text)) => Labels::Of(place("labels", text, Descent::Once)?),
                _ => Labels::Named(named(query, "labels")?),
            },
            groups,
            partial: several(query, "partial")?,
            warnings: several(query, "warnings")?,
        };
        if LONGEST < places.all().map(Place::length).sum() {
            let why = format!("and all other paths together are longer than {LONGEST} bytes");
            return Err(("values", why));
        }
        Ok(places)
    }

    fn all(&self) -> impl Iterator<Item = &Place> {
        let (named, of) = match &self.labels {
            Labels::Named(named) => (named.as_slice(), None),
            Labels::Of(place) => (&[][..], Some(place)),
        };
        let named = named.iter().chain(&self.groups).map(|(_, place)| place);
        let told = self.partial.iter().chain(&self.warnings);
        let own = [&self.series, &self.times, &self.values].into_iter();
        own.chain(&self.points).chain(of).chain(named).chain(told)
    }
}

fn place(member: &'static str, text: &str, descent: Descent) -> Result<Place, Fault> {
    let shown = &text[..text.floor_char_boundary(100)];
    let place = Place::parse(text, descent);
    place.map_err(|why| (member, format!("is '{shown}', which {why}")))
}

/// One that is missing, `null` or empty is none.
fn texts(
    query: &CanaryMetricSetQueryConfig,
    member: &'static str,
) -> Result<Option<String>, Fault> {
    match query.value(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err((member, "must be a JSONPath, which is a text".to_owned())),
    }
}

fn given(query: &CanaryMetricSetQueryConfig, member: &'static str) -> Result<Option<Place>, Fault> {
    let text = texts(query, member)?;
    text.map(|text| place(member, &text, Descent::Once))
        .transpose()
}

fn wanted(query: &CanaryMetricSetQueryConfig, member: &'static str) -> Result<Place, Fault> {
    let place = given(query, member)?;
    place.ok_or_else(|| {
        let why = "is missing: the JSONPath to them in the answer";
        (member, why.to_owned())
    })
}

fn named(
    query: &CanaryMetricSetQueryConfig,
    member: &'static str,
) -> Result<Vec<(String, Place)>, Fault> {
    let members = match query.value(member) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) if members.len() <= MOST_NAMED => members,
        Some(Value::Object(_)) => {
            return Err((member, format!("has more than {MOST_NAMED} names")));
        }
        Some(_) => {
            let why = "must be an object of JSONPaths by the name of their label";
            return Err((member, why.to_owned()));
        }
    };
    let places = members.iter().map(|(name, text)| {
        let text = text.as_str().ok_or_else(|| {
            let why = format!("has '{name}', which must be a JSONPath");
            (member, why)
        })?;
        Ok((name.clone(), place(member, text, Descent::Once)?))
    });
    places.collect()
}

/// A text, or a list of them.
fn several(query: &CanaryMetricSetQueryConfig, member: &'static str) -> Result<Vec<Place>, Fault> {
    let Some(Value::Array(list)) = query.value(member) else {
        return Ok(given(query, member)?.into_iter().collect());
    };
    if MOST_TOLD < list.len() {
        return Err((member, format!("has more than {MOST_TOLD} places")));
    }
    let places = list.iter().map(|text| {
        let text = text.as_str().ok_or_else(|| {
            let why = "must be a list of JSONPaths";
            (member, why.to_owned())
        })?;
        place(member, text, Descent::Once)
    });
    places.collect()
}

fn unit(query: &CanaryMetricSetQueryConfig) -> Result<Unit, Fault> {
    let Some(name) = texts(query, "timeUnit")? else {
        return Ok(Unit::Guessed);
    };
    let found = Unit::NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, unit)| *unit).ok_or_else(|| {
        let names = Unit::NAMES.map(|(name, _)| name).join("', '");
        (
            "timeUnit",
            format!("is '{name}', and must be one of '{names}'"),
        )
    })
}
