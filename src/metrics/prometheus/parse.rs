//! An answer as it is parsed: what it holds is counted meanwhile, so that no more is kept than may be.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::config::Limits;
use crate::metrics::series::{Labels, Sample, too_many_samples, too_many_series};

/// What a server says beside its series: as many texts are kept, and cut once no secrets are in them.
const MOST_REMARKS: usize = 20;

#[derive(Default)]
pub struct Answer<'a> {
    pub status: Option<Cow<'a, str>>,
    pub result_type: Option<Cow<'a, str>>,
    /// None without `data` that have a result; of `null`, none at all.
    pub series: Option<Vec<AnswerSeries>>,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    pub is_partial: bool,
    /// It says how many series were looked at, as `VictoriaMetrics` does.
    pub is_of_victoria: bool,
}

#[derive(Default)]
pub struct AnswerSeries {
    pub metric: Labels,
    pub values: Option<Vec<Sample>>,
    /// How many, if there are any.
    pub histograms: Option<usize>,
}

pub enum Unreadable {
    /// It holds more than may be; what, and what to do about it.
    Beyond(String),
    Json(serde_json::Error),
}

pub fn parse<'a>(body: &'a [u8], limits: &Limits, before: usize) -> Result<Answer<'a>, Unreadable> {
    let count = Count {
        limits,
        series: Cell::new(0),
        samples: Cell::new(before),
        beyond: RefCell::new(None),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(AnswerVisitor(&count));
    let read = read.and_then(|answer| json.end().map(|()| answer));
    read.map_err(|error| match count.beyond.take() {
        Some(beyond) => Unreadable::Beyond(beyond),
        None => Unreadable::Json(error),
    })
}

struct Count<'l> {
    limits: &'l Limits,
    series: Cell<usize>,
    /// With those of the answers before.
    samples: Cell<usize>,
    beyond: RefCell<Option<String>>,
}

impl Count<'_> {
    fn beyond<E: serde::de::Error>(&self, beyond: String) -> E {
        let error = E::custom(&beyond);
        self.beyond.replace(Some(beyond));
        error
    }

    fn one_series<E: serde::de::Error>(&self) -> Result<(), E> {
        self.series.set(self.series.get() + 1);
        if self.limits.series < self.series.get() {
            return Err(self.beyond(too_many_series(self.limits)));
        }
        Ok(())
    }

    fn one_sample<E: serde::de::Error>(&self) -> Result<(), E> {
        self.samples.set(self.samples.get() + 1);
        if self.limits.samples < self.samples.get() {
            return Err(self.beyond(too_many_samples(self.limits)));
        }
        Ok(())
    }
}

struct AnswerVisitor<'c, 'l>(&'c Count<'l>);

impl<'de> Visitor<'de> for AnswerVisitor<'_, '_> {
    type Value = Answer<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of Prometheus")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Answer<'de>, A::Error> {
        let mut answer = Answer::default();
        while let Some(Name(name)) = members.next_key()? {
            match &*name {
                "status" => {
                    answer.status = members
                        .next_value::<Option<Text<'de>>>()?
                        .map(|text| text.0);
                }
                "data" => {
                    let data = members.next_value_seed(Maybe(Data(self.0)))?;
                    let data: OfData<'de> = data.unwrap_or_default();
                    (answer.result_type, answer.series) = (data.kind, data.series);
                }
                "warnings" => answer.warnings = members.next_value::<Remarks>()?.0,
                "infos" => answer.infos = members.next_value::<Remarks>()?.0,
                // Whatever these are: a server may write anything there.
                "stats" => {
                    let stats = members.next_value::<&RawValue>()?.get();
                    answer.is_of_victoria = stats.contains("\"seriesFetched\"");
                }
                "isPartial" => {
                    answer.is_partial = members.next_value::<&RawValue>()?.get() == "true";
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(answer)
    }
}

/// A text of the body, without a copy where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What may be `null`.
struct Maybe<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

struct Data<'c, 'l>(&'c Count<'l>);

#[derive(Default)]
struct OfData<'a> {
    kind: Option<Cow<'a, str>>,
    series: Option<Vec<AnswerSeries>>,
}

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = OfData<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = OfData<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data with a result")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut data = OfData::default();
        while let Some(Name(name)) = members.next_key()? {
            match &*name {
                "result" => {
                    let series = members.next_value_seed(Maybe(SeriesList(self.0)))?;
                    data.series = Some(series.unwrap_or_default());
                }
                "resultType" => {
                    let kind = members.next_value::<Option<Text<'de>>>()?;
                    data.kind = kind.map(|text| text.0);
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(data)
    }
}

struct SeriesList<'c, 'l>(&'c Count<'l>);

impl<'de> DeserializeSeed<'de> for SeriesList<'_, '_> {
    type Value = Vec<AnswerSeries>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SeriesList<'_, '_> {
    type Value = Vec<AnswerSeries>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(series) = list.next_element_seed(OneSeries(self.0))? {
            all.push(series);
        }
        Ok(all)
    }
}

struct OneSeries<'c, 'l>(&'c Count<'l>);

impl<'de> DeserializeSeed<'de> for OneSeries<'_, '_> {
    type Value = AnswerSeries;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.one_series()?;
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneSeries<'_, '_> {
    type Value = AnswerSeries;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<AnswerSeries, A::Error> {
        let mut series = AnswerSeries::default();
        while let Some(Name(name)) = members.next_key()? {
            match &*name {
                "metric" => series.metric = members.next_value_seed(LabelMap(self.0))?,
                "values" => series.values = members.next_value_seed(Maybe(Samples(self.0)))?,
                "histograms" => {
                    let histograms: Option<Vec<IgnoredAny>> = members.next_value()?;
                    series.histograms = histograms.map(|histograms| histograms.len());
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(series)
    }
}

struct LabelMap<'c, 'l>(&'c Count<'l>);

impl<'de> DeserializeSeed<'de> for LabelMap<'_, '_> {
    type Value = Labels;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Labels, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LabelMap<'_, '_> {
    type Value = Labels;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Labels, A::Error> {
        let mut labels = Labels::new();
        while let Some((name, value)) = members.next_entry()? {
            labels.insert(name, value);
            if self.0.limits.labels < labels.len() {
                return Err(self.0.beyond(format!(
                    "the answer holds a series of more than {} labels (limits.labels)",
                    self.0.limits.labels
                )));
            }
        }
        Ok(labels)
    }
}

struct Samples<'c, 'l>(&'c Count<'l>);

impl<'de> DeserializeSeed<'de> for Samples<'_, '_> {
    type Value = Vec<Sample>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Samples<'_, '_> {
    type Value = Vec<Sample>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of samples")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut samples = Vec::new();
        while let Some(sample) = list.next_element()? {
            self.0.one_sample()?;
            samples.push(sample);
        }
        Ok(samples)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tuple;
        impl<'de> Visitor<'de> for Tuple {
            type Value = Sample;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[seconds, \"value\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut tuple: A) -> Result<Sample, A::Error> {
                let missing = || A::Error::custom("a sample is [seconds, \"value\"]");
                let seconds = tuple.next_element()?.ok_or_else(missing)?;
                let value: Option<Number> = tuple.next_element()?.ok_or_else(missing)?;
                while tuple.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Sample {
                    seconds,
                    value: value.map(|value| value.0),
                })
            }
        }
        deserializer.deserialize_seq(Tuple)
    }
}

/// A number in a text, read without a copy of the text.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in a text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                // Rust reads `+Inf`, `-Inf` and `NaN` as Prometheus writes them.
                text.parse()
                    .map(Number)
                    .map_err(|_| E::custom(format!("'{text}' is not a number")))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The first of a list of texts; none of `null`.
struct Remarks(Vec<String>);

impl<'de> Deserialize<'de> for Remarks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Remarks;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }
            fn visit_unit<E>(self) -> Result<Remarks, E> {
                Ok(Remarks(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Remarks, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    if texts.len() < MOST_REMARKS {
                        texts.push(text.into_owned());
                    }
                }
                Ok(Remarks(texts))
            }
        }
        deserializer.deserialize_any(List)
    }
}
