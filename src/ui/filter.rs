//! What a list is asked to hold, as it stands in the address.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded::{Serializer, parse};

use crate::canary::{Instant, Outcome};
use crate::storage::{Line, Place, Search};
use crate::ui::times;

/// Characters of a text that is looked for.
const MOST_SOUGHT: usize = 255;

/// Query parameters. What cannot be understood filters nothing, and stands in the form to be seen.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    find: String,
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
    pub find: String,
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
                "find" => &mut filter.find,
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
    pub fn search(&self, accounts: Vec<String>, limit: usize, now: i64) -> Search {
        let millis = |text: &str| times::instant(text, now).map(Instant::as_millis);
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Search {
            among: None,
            accounts,
            application: filled(&self.application),
            config: filled(&self.config),
            part: filled(&self.part()),
            outcome: Outcome::parse(&self.verdict),
            since: millis(&self.since),
            until: millis(&self.until),
            after: place(&self.after),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        }
    }

    /// What is looked for: as it is kept, and no more of it than a name has.
    fn part(&self) -> String {
        let part: String = self.find.chars().take(MOST_SOUGHT).collect();
        part.to_lowercase()
    }

    pub fn form(self, applications: Vec<String>, now: i64) -> Form {
        let is_wrong = |text: &str, is_right: bool| !text.is_empty() && !is_right;
        let mut mistakes = Vec::new();
        if is_wrong(&self.verdict, Outcome::parse(&self.verdict).is_some()) {
            mistakes.push(format!(
                "'{}' is no verdict; it filters nothing.",
                self.verdict
            ));
        }
        let sides = [&self.since, &self.until].map(|text| (text, times::instant(text, now)));
        for (text, time) in sides {
            if is_wrong(text, time.is_some()) {
                mistakes.push(format!(
                    "'{text}' is no time: one like 2026-11-21T16:00 in UTC, with another zone, or \
                     now-1h is wanted; it filters nothing."
                ));
            }
        }
        if let [(since, Some(from)), (until, Some(to))] = sides
            && to <= from
        {
            mistakes.push(format!(
                "'{until}' is not after '{since}', so nothing can be found."
            ));
        }
        let filters = [
            &self.find,
            &self.application,
            &self.config,
            &self.verdict,
            &self.since,
            &self.until,
        ];
        Form {
            is_filtered: filters.iter().any(|text| !text.is_empty()),
            applications,
            find: self.find,
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
        self.address(path, &format!("{}.{}", last.build_time, last.id))
    }

    /// Where it goes on before that time, in epoch milliseconds.
    pub fn address_before(&self, path: &str, time: i64) -> String {
        self.address(path, &format!("{time}."))
    }

    fn address(&self, path: &str, after: &str) -> String {
        let pairs = [
            ("find", self.find.as_str()),
            ("application", &self.application),
            ("config", &self.config),
            ("verdict", &self.verdict),
            ("since", &self.since),
            ("until", &self.until),
            ("after", after),
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
