//! What a list is asked to hold, as it stands in the address.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded::{Serializer, parse};

use crate::canary::{Instant, Outcome};
use crate::storage::{Line, Place, Search};

/// Query parameters. What cannot be understood filters nothing, and stands in the form to be seen.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    application: String,
    config: String,
    verdict: String,
    since: String,
    until: String,
    after: String,
}

/// The form that filters a list.
#[derive(Clone, Debug)]
pub struct Form {
    pub applications: Vec<String>,
    pub application: String,
    pub config: String,
    pub outcome: Option<Outcome>,
    pub since: String,
    pub until: String,
    /// Anything is filtered.
    pub is_filtered: bool,
    /// What could not be understood.
    pub mistakes: Vec<String>,
}

impl Form {
    /// The verdicts that can be chosen, with their words.
    pub const VERDICTS: [Outcome; 7] = [
        Outcome::Pass,
        Outcome::Marginal,
        Outcome::Fail,
        Outcome::Inconclusive,
        Outcome::Error,
        Outcome::Canceled,
        Outcome::Running,
    ];
}

impl<S: Send + Sync> FromRequestParts<S> for Filter {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut filter = Self::default();
        for (name, value) in parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let member = match &*name {
                "application" => &mut filter.application,
                "config" => &mut filter.config,
                "verdict" => &mut filter.verdict,
                "since" => &mut filter.since,
                "until" => &mut filter.until,
                "after" => &mut filter.after,
                _ => continue,
            };
            value.trim().clone_into(member);
        }
        Ok(filter)
    }
}

impl Filter {
    pub fn search(&self, accounts: Vec<String>, limit: usize) -> Search {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Search {
            accounts,
            application: filled(&self.application),
            config: filled(&self.config),
            outcome: Outcome::parse(&self.verdict),
            since: millis(&self.since),
            until: millis(&self.until),
            after: place(&self.after),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        }
    }

    pub fn form(self, applications: Vec<String>) -> Form {
        let is_wrong = |text: &str, is_right: bool| !text.is_empty() && !is_right;
        let mut mistakes = Vec::new();
        if is_wrong(&self.verdict, Outcome::parse(&self.verdict).is_some()) {
            mistakes.push(format!("'{}' is no verdict", self.verdict));
        }
        for text in [&self.since, &self.until] {
            if is_wrong(text, millis(text).is_some()) {
                mistakes.push(format!("'{text}' is no time: '2026-11-21T16:00' is wanted"));
            }
        }
        let filters = [
            &self.application,
            &self.config,
            &self.verdict,
            &self.since,
            &self.until,
        ];
        Form {
            is_filtered: filters.iter().any(|text| !text.is_empty()),
            applications,
            application: self.application,
            config: self.config,
            outcome: Outcome::parse(&self.verdict),
            since: self.since,
            until: self.until,
            mistakes,
        }
    }

    /// Not the first page.
    pub fn is_later(&self) -> bool {
        !self.after.is_empty()
    }

    /// Where the list goes on after that line.
    pub fn address_after<R>(&self, path: &str, last: &Line<R>) -> String {
        let after = format!("{}.{}", last.build_time, last.id);
        let pairs = [
            ("application", &self.application),
            ("config", &self.config),
            ("verdict", &self.verdict),
            ("since", &self.since),
            ("until", &self.until),
            ("after", &after),
        ];
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query = Serializer::new(String::new()).extend_pairs(filled).finish();
        format!("{path}?{query}")
    }
}

fn place(text: &str) -> Option<Place> {
    let (time, id) = text.split_once('.')?;
    Some(Place {
        build_time: time.parse().ok()?,
        id: id.to_owned(),
    })
}

/// What a field for a date and a time gives, in UTC; seconds and an offset may stand in it too.
fn millis(text: &str) -> Option<i64> {
    let whole = match text
        .split_once('T')
        .map(|(_, clock)| clock.split(':').count())
    {
        None => format!("{text}T00:00:00Z"),
        Some(2) if !text.ends_with('Z') => format!("{text}:00Z"),
        Some(_) => text.to_owned(),
    };
    let utc = || Instant::parse(&format!("{whole}Z"));
    Instant::parse(&whole).or_else(utc).map(Instant::as_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_unless_they_say_otherwise() {
        let cases = [
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:01", Some(60_000)),
            ("1970-01-01T00:00:01", Some(1_000)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T01:00:01+01:00", Some(1_000)),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
