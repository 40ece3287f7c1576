//! `/ui/audit`: who did what, for admins.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::page::Page;
use super::shell::Shell;
use super::times;
use crate::access::Caller;
use crate::app::App;
use crate::audit::{self, Change, Row};
use crate::error::{Error, Result};
use crate::report::view::Moment;
use crate::storage::{DeedPlace, DeedSearch};

/// Deeds of a page.
const LINES: usize = 50;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/ui/audit", get(list))
        .route("/ui/audit/{chain}/{number}", get(show))
}

#[derive(Template)]
#[template(path = "audit.html", config = "src/ui/askama.toml")]
pub struct View {
    shell: Shell,
    form: Form,
    mistakes: Vec<String>,
    lines: Vec<Deed>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "deed.html", config = "src/ui/askama.toml")]
pub struct One {
    shell: Shell,
    deed: Deed,
    row: Row,
}

/// What is looked for, as it is typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Form {
    who: String,
    deed: String,
    application: String,
    id: String,
    since: String,
    until: String,
    after: String,
}

struct Deed {
    at: Option<Moment>,
    who: String,
    address: String,
    what: String,
    kind: String,
    id: String,
    application: String,
    changes: Vec<Change>,
    /// What else there is to say.
    note: String,
    page: String,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(form): Query<Form>,
) -> Result<Page<View>> {
    let now = app.clock.now_millis();
    let mut mistakes = Vec::new();
    let mut time = |name: &str, text: &str| {
        let given = Some(text).filter(|text| !text.trim().is_empty())?;
        let time = times::instant(given, now);
        if time.is_none() {
            mistakes.push(format!(
                "'{text}' is no time for '{name}': write it as in '2026-11-29T16:00' or 'now-1d'"
            ));
        }
        time.map(crate::canary::Instant::as_millis)
    };
    let (since, until) = (time("From", &form.since), time("Until", &form.until));
    let given = |text: &'_ String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let (who, deed) = (given(&form.who), given(&form.deed));
    let (application, id) = (given(&form.application), given(&form.id));
    let search = DeedSearch {
        since,
        until,
        who: who.as_deref(),
        deed: deed.as_deref(),
        application: application.as_deref(),
        id: id.as_deref(),
    };
    // One that cannot be read is the beginning.
    let after = DeedPlace::parse(&form.after);
    let seen = app.seen_by(&caller);
    let limit = i64::try_from(LINES + 1).unwrap_or(i64::MAX);
    let mut rows = seen.deeds(&search, after.as_ref(), limit).await?;
    let has_more = LINES < rows.len();
    rows.truncate(LINES);
    let last = rows.last().filter(|_| has_more);
    Ok(Page(View {
        shell: Shell::of(&caller),
        older: last.map(|last| form.address_after(last)),
        lines: rows.iter().map(Deed::of).collect(),
        mistakes,
        form,
    }))
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((chain, number)): Path<(String, String)>,
) -> Result<Page<One>> {
    let none = || Error::NotFound("the record has no such row".to_owned());
    let number = number.parse().map_err(|_| none())?;
    let row = app.seen_by(&caller).deed(&chain, number).await?;
    Ok(Page(One {
        shell: Shell::of(&caller),
        deed: Deed::of(&row),
        row,
    }))
}

impl Form {
    fn is_filtered(&self) -> bool {
        let texts = [
            &self.who,
            &self.deed,
            &self.application,
            &self.id,
            &self.since,
            &self.until,
        ];
        texts.iter().any(|text| !text.trim().is_empty())
    }

    fn address_after(&self, last: &Row) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let texts = [
            ("who", &self.who),
            ("deed", &self.deed),
            ("application", &self.application),
            ("id", &self.id),
            ("since", &self.since),
            ("until", &self.until),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            query.append_pair(name, text);
        }
        let place = DeedPlace::of(last).to_string();
        format!("?{}", query.append_pair("after", &place).finish())
    }
}

impl Deed {
    fn of(row: &Row) -> Self {
        let changes = audit::changes(&row.details);
        let note = match row.details.as_str() {
            "{}" => String::new(),
            _ if !changes.is_empty() => String::new(),
            details => details.to_owned(),
        };
        Self {
            at: Moment::of_millis(row.at),
            who: row.who.clone(),
            address: row.address.clone(),
            what: row.deed.clone(),
            kind: row.kind.clone(),
            id: row.id.clone(),
            application: row.application.clone(),
            changes,
            note,
            page: format!("/ui/audit/{}/{}", row.chain, row.number),
        }
    }
}
