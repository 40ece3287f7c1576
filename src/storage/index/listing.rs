//! Lists over all applications: one SQL for every filter.

use futures::TryStreamExt;
use sqlx::Row;

use super::Index;
use crate::canary::{Kind, Outcome, names};
use crate::error::Result;
use crate::storage::brief;

/// What a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub accounts: Vec<String>,
    pub application: Option<String>,
    /// Of these applications only; of any, if nobody says so.
    pub among: Option<Vec<String>>,
    /// Name or id.
    pub config: Option<String>,
    /// A part of an id, a name or a scope, in lower case.
    pub part: Option<String>,
    pub outcome: Option<Outcome>,
    /// Started at this time or later, in epoch milliseconds.
    pub since: Option<i64>,
    /// Started before.
    pub until: Option<i64>,
    /// What comes after this execution in the list.
    pub after: Option<Place>,
    pub limit: i64,
}

/// Where an execution stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub build_time: i64,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    pub id: String,
    pub account: String,
    pub application: String,
    pub build_time: i64,
    pub brief: Option<String>,
    /// Of an execution that is not archived, when there is no brief.
    pub document: Option<String>,
}

impl ListedRow {
    pub fn place(&self) -> Place {
        Place {
            build_time: self.build_time,
            id: self.id.clone(),
        }
    }
}

/// What a row tells to lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub canary_config_id: String,
    pub config_name: String,
    pub outcome: String,
    pub brief: String,
    /// See `Brief::sought`.
    pub sought: String,
}

/// A value of a statement.
enum Value<'a> {
    Text(&'a str),
    Owned(String),
    Number(i64),
}

impl Index {
    /// Rows, then what only the archive has. With `archives`, what has ended has an archive.
    pub async fn search(
        &self,
        kind: Kind,
        search: &Search,
        archives: bool,
    ) -> Result<Vec<ListedRow>> {
        let mut values = vec![Value::Text(kind.as_str()), Value::Number(search.limit)];
        let (live, ended) = conditions(search, &mut values);
        let unarchived = if archives { "AND archived = 0" } else { "" };
        // Each part is found in an index, and no further than the page reaches.
        let sql = format!(
            "SELECT id, account, application, build_time, brief, document FROM (\
             SELECT * FROM (SELECT id, storage_account AS account, application, build_time, brief, \
             CASE WHEN brief IS NULL THEN document END AS document FROM execution e \
             LEFT JOIN execution_listing ON execution_id = id \
             WHERE kind = $1 {unarchived} {live} AND NOT EXISTS (SELECT 1 FROM archive a \
             WHERE a.account = e.storage_account AND a.kind = e.kind AND a.id = e.id) \
             ORDER BY build_time DESC, id DESC LIMIT $2) AS live \
             UNION ALL \
             SELECT * FROM (SELECT id, account, application, build_time, brief, \
             CAST(NULL AS text) AS document FROM archive \
             WHERE kind = $1 {ended} ORDER BY build_time DESC, id DESC LIMIT $2) AS ended\
             ) AS page ORDER BY build_time DESC, id DESC LIMIT $2"
        );
        let mut asked = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in values {
            asked = match value {
                Value::Text(text) => asked.bind(text),
                Value::Owned(text) => asked.bind(text),
                Value::Number(number) => asked.bind(number),
            };
        }
        let row = |row: sqlx::any::AnyRow| ListedRow {
            id: row.get(0),
            account: row.get(1),
            application: names::cut(row.get(2)),
            build_time: row.get(3),
            brief: row.get::<Option<String>, _>(4).map(brief::cut),
            document: row.get(5),
        };
        // One after the other, so that no more than one is there as long as it was written.
        let rows = asked.fetch(&self.read).map_ok(row).try_collect();
        self.ask("list executions", rows).await
    }

    /// The time of the archive that lies so many rows behind the first of the list: a part of a text is in
    /// no index, so that rows are looked through, and no more than these.
    pub async fn reach(&self, kind: Kind, search: &Search, rows: i64) -> Result<Option<i64>> {
        let newest = search.after.as_ref().map(|place| place.build_time);
        let newest = newest.into_iter().chain(search.until).min();
        let asked = sqlx::query(
            "SELECT build_time FROM archive WHERE kind = $1 AND build_time <= $2 \
             ORDER BY build_time DESC LIMIT 1 OFFSET $3",
        )
        .bind(kind.as_str())
        .bind(newest.unwrap_or(i64::MAX))
        .bind(rows);
        let row = self.ask("list executions", asked.fetch_optional(&self.read));
        Ok(row.await?.map(|row| row.get(0)))
    }

    /// From one name to the next, so that many executions of few applications cost little.
    /// With `archives`, what has ended has an archive.
    pub async fn applications(
        &self,
        kind: Kind,
        accounts: &[String],
        archives: bool,
    ) -> Result<Vec<String>> {
        let mut names = std::collections::BTreeSet::new();
        for account in accounts {
            let next = "SELECT min(application) FROM archive WHERE account = $1 AND kind = $2";
            let sql = format!(
                "WITH RECURSIVE known(name) AS (SELECT ({next}) UNION ALL \
                 SELECT ({next} AND application > known.name) FROM known \
                 WHERE known.name IS NOT NULL) \
                 SELECT name FROM known WHERE name IS NOT NULL"
            );
            let asked = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(account)
                .bind(kind.as_str());
            let rows = self
                .ask("list applications", asked.fetch_all(&self.read))
                .await?;
            names.extend(rows.iter().map(|row| names::cut(row.get(0))));
        }
        let unarchived = if archives { "AND archived = 0" } else { "" };
        let sql =
            format!("SELECT DISTINCT application FROM execution WHERE kind = $1 {unarchived}");
        let live = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(kind.as_str());
        let rows = self
            .ask("list applications", live.fetch_all(&self.read))
            .await?;
        names.extend(rows.iter().map(|row| names::cut(row.get(0))));
        Ok(names.into_iter().collect())
    }

    /// Notes what lists show of an execution that has ended and has no archive.
    pub async fn describe(&self, id: &str, listing: &Listing) -> Result<()> {
        let described = sqlx::query(
            "INSERT INTO execution_listing (execution_id, config_name, outcome, brief, sought) \
             SELECT id, $2, $3, $4, $5 FROM execution WHERE id = $1 \
             ON CONFLICT (execution_id) DO UPDATE SET config_name = excluded.config_name, \
             outcome = excluded.outcome, brief = excluded.brief, sought = excluded.sought",
        )
        .bind(id)
        .bind(&listing.config_name)
        .bind(&listing.outcome)
        .bind(&listing.brief)
        .bind(&listing.sought)
        .execute(&self.write);
        self.tell("describe an execution", described)
            .await
            .map(|_| ())
    }
}

/// The conditions on rows of `execution` and of `archive`, whose values follow in `values`.
fn conditions<'a>(search: &'a Search, values: &mut Vec<Value<'a>>) -> (String, String) {
    let mut add = |value: Value<'a>| {
        values.push(value);
        values.len()
    };
    let mut both = Vec::new();
    if let Some(application) = &search.application {
        both.push(format!("application = ${}", add(Value::Text(application))));
    }
    if let Some(among) = &search.among {
        let names = among.iter();
        let names: Vec<String> = names
            .map(|name| format!("${}", add(Value::Text(name))))
            .collect();
        both.push(match &names[..] {
            [] => "1 = 0".to_owned(),
            names => format!("application IN ({})", names.join(", ")),
        });
    }
    if let Some(since) = search.since {
        both.push(format!("${} <= build_time", add(Value::Number(since))));
    }
    if let Some(until) = search.until {
        both.push(format!("build_time < ${}", add(Value::Number(until))));
    }
    if let Some(place) = &search.after {
        let time = add(Value::Number(place.build_time));
        let id = add(Value::Text(&place.id));
        both.push(format!(
            "build_time <= ${time} AND (build_time < ${time} OR id < ${id})"
        ));
    }
    let (mut live, mut ended) = (both.clone(), both);
    if let Some(config) = &search.config {
        let at = add(Value::Text(config));
        let named = format!("canary_config_id = ${at} OR config_name = ${at}");
        // What runs has no name of its config in its row.
        let known = format!("SELECT c.id FROM canary_config c WHERE c.name = ${at}");
        live.push(format!("({named} OR canary_config_id IN ({known}))"));
        ended.push(format!("({named})"));
    }
    if let Some(part) = &search.part {
        let matches = format!("LIKE ${} ESCAPE '!'", add(Value::Owned(containing(part))));
        // What runs has no line yet: its document holds all of it, and more.
        live.push(format!("lower(COALESCE(sought, document)) {matches}"));
        // Nor has a row of the version before, until it is read again.
        let known = "id || ' ' || application || ' ' || COALESCE(canary_config_id, '') || ' ' || \
                     COALESCE(config_name, '')";
        ended.push(format!("COALESCE(sought, lower({known})) {matches}"));
    }
    match search.outcome {
        None => {}
        Some(Outcome::Waiting | Outcome::Running) => {
            live.push("complete = 0".to_owned());
            ended.push("1 = 0".to_owned());
        }
        Some(outcome) => {
            let at = add(Value::Text(outcome.as_str()));
            let told = match outcome {
                // As versions before this one wrote it.
                Outcome::Inconclusive => format!("outcome IN (${at}, 'nodata')"),
                _ => format!("outcome = ${at}"),
            };
            live.push(told.clone());
            ended.push(told);
        }
    }
    let accounts = search.accounts.iter();
    let accounts: Vec<String> = accounts
        .map(|account| format!("${}", add(Value::Text(account))))
        .collect();
    // Not by the account: an index that begins with it would have to be sorted.
    ended.push(match &accounts[..] {
        [] => "1 = 0".to_owned(),
        accounts => format!("account || '' IN ({})", accounts.join(", ")),
    });
    let text = |conditions: Vec<String>| {
        let parts = conditions
            .into_iter()
            .map(|condition| format!(" AND {condition}"));
        parts.collect::<Vec<_>>().concat()
    };
    (text(live), text(ended))
}

/// A pattern for what has that text in it; `!` takes their meaning from signs.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for sign in part.chars().filter(|sign| *sign != '\0') {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::index::tests::{on_each, waiting};
    use crate::storage::index::{ArchiveRow, ExecutionRow};

    fn archived(id: &str, application: &str, build_time: i64, outcome: &str) -> ArchiveRow {
        ArchiveRow {
            kind: Kind::Canary,
            id: id.to_owned(),
            application: application.to_owned(),
            status: "succeeded".to_owned(),
            build_time,
            version: String::new(),
            noted_at: 0,
            pair_list_id: String::new(),
            listing: Listing {
                canary_config_id: format!("{application}-id"),
                config_name: format!("{application}-name"),
                outcome: outcome.to_owned(),
                brief: "{}".to_owned(),
                sought: format!("{id}\n{application}-name\n100%_ä"),
            },
        }
    }

    fn running(id: &str, application: &str, build_time: i64) -> ExecutionRow {
        ExecutionRow {
            application: application.to_owned(),
            canary_config_id: format!("{application}-id"),
            storage_account: "one".to_owned(),
            document: "document".to_owned(),
            ..waiting(Kind::Canary, id, build_time)
        }
    }

    async fn found(index: &Index, search: Search) -> Vec<String> {
        let rows = index.search(Kind::Canary, &search, true).await.unwrap();
        rows.into_iter().map(|row| row.id).collect()
    }

    #[tokio::test]
    async fn every_filter_holds_for_what_runs_and_for_what_has_ended() {
        on_each(async |index| {
            for (account, row) in [
                ("one", archived("a", "web", 10, "pass")),
                ("one", archived("b", "web", 20, "fail")),
                ("two", archived("c", "shop", 20, "pass")),
                ("hidden", archived("d", "web", 30, "pass")),
                ("two", archived("n", "old", 2, "nodata")),
                ("two", archived("i", "old", 1, "inconclusive")),
            ] {
                index.put_archive(account, &row).await.unwrap();
            }
            for row in [running("e", "web", 40), running("b", "web", 20)] {
                index.insert_execution(&row, None).await.unwrap();
            }
            let all = || Search {
                accounts: vec!["one".to_owned(), "two".to_owned()],
                limit: 10,
                ..Search::default()
            };
            let text = |text: &str| Some(text.to_owned());
            let place = |build_time, id: &str| {
                let id = id.to_owned();
                Some(Place { build_time, id })
            };
            #[rustfmt::skip]
            let cases: [(&str, Search, &[&str]); 19] = [
                ("all", all(), &["e", "c", "b", "a", "n", "i"]),
                ("two", Search { limit: 2, ..all() }, &["e", "c"]),
                ("the next", Search { after: place(20, "c"), limit: 2, ..all() }, &["b", "a"]),
                ("after the last", Search { after: place(1, "i"), ..all() }, &[]),
                ("application", Search { application: text("shop"), ..all() }, &["c"]),
                ("config by id", Search { config: text("web-id"), ..all() }, &["e", "b", "a"]),
                ("config by name", Search { config: text("web-name"), ..all() }, &["b", "a"]),
                ("part of a name", Search { part: text("eb-na"), ..all() }, &["b", "a"]),
                ("part of what runs", Search { part: text("cumen"), ..all() }, &["e"]),
                ("not by a letter for any", Search { part: text("w_b"), ..all() }, &[]),
                ("signs as they are", Search { part: text("0%_ä"), ..all() }, &["c", "b", "a", "n", "i"]),
                ("part and more", Search { part: text("name"), outcome: Some(Outcome::Fail), ..all() }, &["b"]),
                ("nothing has it", Search { part: text("nobody"), ..all() }, &[]),
                ("passed", Search { outcome: Some(Outcome::Pass), ..all() }, &["c", "a"]),
                ("inconclusive", Search { outcome: Some(Outcome::Inconclusive), ..all() }, &["n", "i"]),
                ("running", Search { outcome: Some(Outcome::Running), ..all() }, &["e"]),
                ("since", Search { since: Some(20), ..all() }, &["e", "c", "b"]),
                ("until", Search { until: Some(20), since: Some(5), ..all() }, &["a"]),
                ("no account", Search { accounts: Vec::new(), ..all() }, &["e"]),
            ];
            for (name, search, expected) in cases {
                assert_eq!(found(&index, search).await, expected, "{name}");
            }
            for (rows, after, expected) in [
                (0, None, Some(30)),
                (2, None, Some(20)),
                (1, place(20, "c"), Some(20)),
                (9, None, None),
            ] {
                let search = Search { after, ..all() };
                let reach = index.reach(Kind::Canary, &search, rows).await.unwrap();
                assert_eq!(reach, expected, "{rows}");
            }
            let accounts = all().accounts;
            let applications = index.applications(Kind::Canary, &accounts, true).await.unwrap();
            assert_eq!(applications, ["old", "shop", "web"]);
        })
        .await;
    }

    #[tokio::test]
    async fn all_applications_are_told_however_many_there_are() {
        on_each(async |index| {
            let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
                        INSERT INTO archive (account, kind, id, application, status, build_time, version, \
                        noted_at) SELECT 'one', 'canary', CAST(i AS text), 'a' || CAST(i AS text), '', 1, '', 0 \
                        FROM n";
            sqlx::query(many).execute(&index.write).await.unwrap();
            let accounts = ["one".to_owned()];
            let told = index.applications(Kind::Canary, &accounts, true).await.unwrap();
            assert_eq!(told.len(), 1500);
            let search = Search {
                accounts: accounts.to_vec(),
                among: Some(told),
                limit: 2000,
                ..Search::default()
            };
            assert_eq!(found(&index, search).await.len(), 1500);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_told_of_an_execution_goes_with_its_row() {
        on_each(async |index| {
            let ended = ExecutionRow {
                complete: true,
                archived: true,
                ..running("a", "web", 10)
            };
            index.insert_finished(&ended, 0).await.unwrap();
            let listing = archived("a", "web", 10, "pass").listing;
            for id in ["a", "nobody"] {
                index.describe(id, &listing).await.unwrap();
                index.describe(id, &listing).await.unwrap();
            }
            let passed = Search {
                outcome: Some(Outcome::Pass),
                limit: 10,
                ..Search::default()
            };
            let found = index.search(Kind::Canary, &passed, false).await.unwrap();
            let briefs: Vec<_> = found.into_iter().map(|row| (row.id, row.brief)).collect();
            assert_eq!(briefs, [("a".to_owned(), Some("{}".to_owned()))]);
            index.remove_execution("a").await.unwrap();
            let left = "SELECT count(*) FROM execution_listing";
            let left = sqlx::query(left).fetch_one(&index.read).await.unwrap();
            assert_eq!(left.get::<i64, _>(0), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_of_an_older_version_has_no_version_so_that_it_is_read_again() {
        on_each(async |index| {
            let row = archived("a", "web", 10, "pass");
            index.put_archive("one", &row).await.unwrap();
            let older = "INSERT INTO archive (account, kind, id, application, status, build_time, \
                         version, noted_at) VALUES ('one', 'canary', 'b', 'web', 'succeeded', 5, 'v', 0)";
            sqlx::query(older).execute(&index.write).await.unwrap();
            let mut versions = Vec::new();
            let note = |id: &str, version: &str| versions.push((id.to_owned(), version.to_owned()));
            let told = index.each_archive_version("one", Kind::Canary, note);
            told.await.unwrap();
            assert!(versions.contains(&("b".to_owned(), String::new())));
            let search = Search {
                accounts: vec!["one".to_owned()],
                limit: 10,
                ..Search::default()
            };
            let rows = index.search(Kind::Canary, &search, true).await.unwrap();
            let briefs: Vec<Option<String>> = rows.into_iter().map(|row| row.brief).collect();
            assert_eq!(briefs, [Some("{}".to_owned()), None]);
        })
        .await;
    }
}
