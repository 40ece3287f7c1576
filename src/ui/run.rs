//! One run: its page, its series, and its report as a file.

use std::fmt::Write;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::doing::Doing;
use super::page::Page;
use super::shell::Shell;
use super::{assets, compare, find};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    ActionRecord, CanaryExecutionStatusResponse, Execution, MetricSetPair, iso_from_millis,
};
use crate::error::{Error, Result};
use crate::escape;
use crate::report::series::{self, Series};
use crate::report::view::{self, MetricView, RunView};
use crate::run::kept_pairs;
use crate::storage::Large;

/// Where a run is shown: some things are possible in one place only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Page,
    /// Opened from disk, without a serin to ask.
    File,
}

#[derive(Template)]
#[template(path = "run.html", config = "src/ui/askama.toml")]
pub struct RunPage {
    shell: Shell,
    run: RunView,
    doing: Doing,
    actions: Vec<ActionRecord>,
    place: Place,
    /// Where the run is found, whoever looks.
    permanent: Option<String>,
    /// The last run before it that passed.
    passed: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Page<RunPage>> {
    let canary: CanaryExecutionStatusResponse = find::execution(&app, &caller, &id, "run").await?;
    // What runs is looked at again and again.
    let is_judged = canary.told().judged.is_some();
    let passed = if is_judged {
        compare::last_passed(&app, &caller, &canary).await?
    } else {
        None
    };
    let (mut run, _, doing) = view_of(&app, &caller, canary).await?;
    run.by_hand = find::allowed(&app, &caller, &run.application, run.by_hand);
    Ok(Page(RunPage {
        shell: Shell::of(&caller),
        permanent: permanent(&app, &run),
        actions: find::actions::<CanaryExecutionStatusResponse>(&app, &caller, &id).await?,
        run,
        doing,
        place: Place::Page,
        passed,
    }))
}

fn permanent(app: &App, run: &RunView) -> Option<String> {
    let serin = app.config.server.public_url.as_ref()?;
    Some(format!("{serin}/ui/runs/{}", run.id))
}

#[derive(Template)]
#[template(path = "report.html", config = "src/ui/askama.toml")]
struct ReportFile {
    run: RunView,
    /// Nothing, in a file.
    doing: Doing,
    actions: Vec<ActionRecord>,
    place: Place,
    permanent: Option<String>,
    /// None, in a file.
    passed: Option<String>,
    /// What may run in the file carries it.
    nonce: String,
    style: &'static str,
    scripts: [&'static str; 2],
    data: Vec<(usize, String)>,
}

/// The page in one file, with all that it needs: it opens from disk.
pub async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let canary = find::execution(&app, &caller, &id, "run").await?;
    let (run, pairs, _) = view_of(&app, &caller, canary).await?;
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let data = run.metrics.iter().map(|metric| {
        let pair = pairs.as_deref().and_then(|pairs| pair_of(metric, pairs));
        Ok((
            metric.index,
            pair.map(script_json).transpose()?.unwrap_or_default(),
        ))
    });
    let file = ReportFile {
        data: data.collect::<Result<Vec<_>>>()?,
        style: assets::STYLE,
        scripts: [assets::UPLOT, assets::SCRIPT],
        place: Place::File,
        permanent: permanent(&app, &run),
        actions: find::actions::<CanaryExecutionStatusResponse>(&app, &caller, &id).await?,
        run,
        doing: Doing::default(),
        passed: None,
        nonce,
    };
    let policy = file.policy();
    let name = format!("inline; filename=\"serin-{}.html\"", plain(&file.run.id));
    let text = file
        .render()
        .map_err(|cause| Error::Internal(format!("a report cannot be written: {cause}")))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, header_value(&policy)?),
        (header::CONTENT_DISPOSITION, header_value(&name)?),
    ];
    // It is opened in a browser, and also shown on a terminal.
    let text = escape::document(&text).into_owned();
    Ok((headers, Html(text)).into_response())
}

impl ReportFile {
    /// Nothing is loaded at all; what stands in the file runs.
    fn policy(&self) -> String {
        format!(
            "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data:; \
             base-uri 'none'; form-action 'none'",
            self.nonce
        )
    }
}

/// The series of one metric, for a chart and a table.
pub async fn metric_data(
    State(app): State<App>,
    caller: Caller,
    Path((id, file)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Response> {
    let (index, kind) = Download::parse(&file)?;
    let canary: CanaryExecutionStatusResponse = find::execution(&app, &caller, &id, "run").await?;
    let pairs = kept_pairs(&app, &canary, None).await?;
    let all = pairs.as_deref().map_or(&[][..], Vec::as_slice);
    let pair = pair_at(&canary, all, index).ok_or_else(|| {
        Error::NotFound(format!("the run '{id}' has no series of a metric {index}"))
    })?;
    let (body, media) = match kind {
        Download::Json => (json(pair, wanted.points)?, "application/json"),
        Download::Csv => (csv(pair), "text/csv; charset=utf-8"),
    };
    let name = format!("{}-{}.{}", plain(&id), plain(&pair.name), kind.ending());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media)),
        (
            header::CONTENT_DISPOSITION,
            header_value(&format!("inline; filename=\"{name}\""))?,
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=3600"),
        ),
    ];
    Ok((headers, body).into_response())
}

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    points: Points,
}

/// How many points of a long series there are.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Points {
    #[default]
    Shown,
    All,
}

#[derive(Clone, Copy)]
enum Download {
    Json,
    Csv,
}

impl Download {
    /// `3.json`: the metric, and as what.
    fn parse(file: &str) -> Result<(usize, Self)> {
        let none = || {
            Error::NotFound(format!(
                "no file '{file}' of a metric: '0.json' or '0.csv' is wanted"
            ))
        };
        let (index, ending) = file.split_once('.').ok_or_else(none)?;
        let kind = match ending {
            "json" => Self::Json,
            "csv" => Self::Csv,
            _ => return Err(none()),
        };
        Ok((index.parse().map_err(|_| none())?, kind))
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

async fn view_of(
    app: &App,
    caller: &Caller,
    canary: CanaryExecutionStatusResponse,
) -> Result<(RunView, Option<Large<Vec<MetricSetPair>>>, Doing)> {
    let doing = Doing::of(app, caller, &canary).await?;
    let pairs = find::pairs(app, &canary).await;
    let made = tokio::task::spawn_blocking(move || {
        let all = pairs.as_deref().map(Vec::as_slice);
        (view::run(&canary, all), pairs, doing)
    });
    made.await
        .map_err(|cause| Error::Internal(format!("a run cannot be shown: {cause}")))
}

fn pair_of<'a>(metric: &MetricView, pairs: &'a [MetricSetPair]) -> Option<&'a MetricSetPair> {
    let by_id = pairs
        .iter()
        .find(|pair| !metric.pair_id.is_empty() && pair.id == metric.pair_id);
    by_id.or_else(|| {
        pairs
            .get(metric.index)
            .filter(|pair| pair.name == metric.name)
    })
}

fn pair_at<'a>(
    canary: &CanaryExecutionStatusResponse,
    pairs: &'a [MetricSetPair],
    index: usize,
) -> Option<&'a MetricSetPair> {
    let judged = canary.result.as_ref()?.judge_result.as_ref()?;
    view::pair_of(index, judged.results.get(index)?, Some(pairs))
}

/// Both sides of a pair as a chart wants them.
#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    control: Line,
    experiment: Line,
}

/// Times in epoch milliseconds; `null` where the line breaks.
#[derive(Serialize)]
struct Line {
    times: Vec<i64>,
    values: Vec<Option<f64>>,
}

fn json(pair: &MetricSetPair, points: Points) -> Result<String> {
    let line = |side: Series| {
        let shown = match points {
            Points::Shown => side.with_gaps().thinned(),
            Points::All => side.with_gaps(),
        };
        let finite = |value: &f64| value.is_finite().then_some(*value);
        Line {
            values: shown.values.iter().map(finite).collect(),
            times: shown.times,
        }
    };
    let sides = series::of(pair);
    let data = Data {
        name: &pair.name,
        control: line(sides.control),
        experiment: line(sides.experiment),
    };
    serde_json::to_string(&data)
        .map_err(|cause| Error::Internal(format!("series cannot be written: {cause}")))
}

/// JSON that can stand in a script element: nothing in it ends one, or is obeyed by a CI job that
/// shows it.
fn script_json(pair: &MetricSetPair) -> Result<String> {
    let text = json(pair, Points::Shown)?;
    Ok(text.replace('<', "\\u003c").replace("##", "#\\u0023"))
}

fn csv(pair: &MetricSetPair) -> String {
    let sides = series::of(pair);
    let mut text = String::from("side,time,epoch_millis,value\r\n");
    for (name, side) in [
        ("control", &sides.control),
        ("experiment", &sides.experiment),
    ] {
        for (time, value) in side.times.iter().zip(&side.values) {
            let _ = write!(text, "{name},{},{time},{value}\r\n", iso_from_millis(*time));
        }
    }
    text
}

/// Only what stands in a file name and a header without quoting.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .take(80)
        .collect()
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|cause| Error::Internal(format!("a header cannot be written: {cause}")))
}
