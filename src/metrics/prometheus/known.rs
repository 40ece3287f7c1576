//! What earlier answers told of a time that is settled, so that it is not asked for again.
//!
//! The windows of an analysis grow or slide over the grid of the first one. Of every answer the
//! points are kept that lie further back than late samples come; the next window needs the rest.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::pieces::Grid;
use crate::config::Reuse;
use crate::metrics::range::Range;
use crate::metrics::series::{Labels, Sample, Series};

/// An analysis whose windows lie further apart asks for them whole.
const TIME_TO_IDLE: Duration = Duration::from_hours(6);
/// For windows of one query that begin at different times on one grid, such as a control that is
/// the experiment of yesterday.
const MAX_SPANS: usize = 4;
/// An answer that takes a larger part of the room is not kept: it would drive out all others.
const LARGEST_PART: u64 = 8;
/// Most queries are asked once: this part of the room is for those of which nothing was used yet.
const UNUSED_PART: u64 = 4;
/// Beside texts and points, about.
const ENTRY_BYTES: usize = 300;
const STRAND_BYTES: usize = 100;
const LABEL_BYTES: usize = 50;
const POINT_BYTES: usize = 12;

/// For all accounts together.
pub struct Known {
    used: Cache<Key, Spans>,
    unused: Cache<Key, Spans>,
    overlap_millis: i64,
    largest_bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    account: Arc<str>,
    query: String,
    /// Seconds.
    step: i64,
    /// The nanoseconds by which the grid is shifted.
    phase: i128,
}

/// The latest is the last.
type Spans = Arc<[Arc<Span>]>;

/// All that there is for consecutive points of a grid.
struct Span {
    /// Milliseconds.
    start: i64,
    points: usize,
    strands: Vec<Strand>,
}

/// One series, packed.
struct Strand {
    labels: Box<[(String, String)]>,
    /// Points of the grid, counted from the start of the span.
    at: Vec<u32>,
    values: Vec<f64>,
}

/// Where the answers to a query over a grid are kept.
pub struct Place<'a> {
    known: &'a Known,
    key: Key,
    grid: Grid,
}

/// What is known of the begin of a range.
pub struct Head {
    pub series: Vec<Series>,
    /// How many points of the range it covers.
    pub points: usize,
    /// The start of the span it was taken from.
    span: i64,
}

impl Known {
    /// `None` when it is switched off.
    pub fn open(config: &Reuse) -> Option<Arc<Self>> {
        if !config.enabled {
            return None;
        }
        let bytes = u64::try_from(config.max_bytes).unwrap_or(u64::MAX);
        let unused = bytes / UNUSED_PART;
        Some(Arc::new(Self {
            used: room(bytes - unused),
            unused: room(unused),
            overlap_millis: i64::try_from(config.overlap.as_millis()).unwrap_or(i64::MAX),
            largest_bytes: bytes / LARGEST_PART,
        }))
    }

    /// `None` for a range without a grid.
    pub fn place(&self, account: &Arc<str>, query: &str, range: &Range) -> Option<Place<'_>> {
        let grid = range.grid()?;
        let step = range.step?;
        let phase = range.start.0.as_nanosecond();
        Some(Place {
            known: self,
            key: Key {
                account: Arc::clone(account),
                query: query.to_owned(),
                step,
                phase: phase.rem_euclid(i128::from(step) * 1_000_000_000),
            },
            grid,
        })
    }
}

fn room(bytes: u64) -> Cache<Key, Spans> {
    Cache::builder()
        .max_capacity(bytes)
        .weigher(weight)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(TIME_TO_IDLE)
        .build()
}

impl Place<'_> {
    /// The longest there is.
    pub async fn head(&self) -> Option<Head> {
        let spans = match self.known.used.get(&self.key).await {
            Some(spans) => spans,
            None => self.known.unused.get(&self.key).await?,
        };
        let covered = |span: &Span| {
            let skipped = span.skipped(&self.grid)?;
            let points = span.points.checked_sub(skipped).filter(|left| 0 < *left)?;
            Some((skipped, points.min(self.grid.points)))
        };
        let (span, (skipped, points)) = spans
            .iter()
            .filter_map(|span| Some((span, covered(span)?)))
            // A window that grows finds its own span before those that began earlier.
            .max_by_key(|(span, (_, points))| (*points, span.start))?;
        Some(Head {
            series: span.series(&self.grid, skipped, points),
            points,
            span: span.start,
        })
    }

    /// Keeps what was settled of an answer to the whole range that was asked for at `asked_at`.
    pub async fn keep(&self, whole: &[Series], head: Option<&Head>, asked_at: i64) {
        let Some(span) = self.settled(whole, head, asked_at) else {
            return;
        };
        let span = Arc::new(span);
        // A window that slides leaves behind what its next one does not need.
        let outdated = [Some(span.start), head.map(|head| head.span)];
        let put = |spans: Option<&Spans>| {
            let others = spans.into_iter().flat_map(|spans| spans.iter());
            let others: Vec<_> = others
                .filter(|other| !outdated.contains(&Some(other.start)))
                .cloned()
                .collect();
            let surplus = (others.len() + 1).saturating_sub(MAX_SPANS);
            let kept = others.into_iter().skip(surplus);
            kept.chain([span]).collect::<Spans>()
        };
        let moved = match head {
            Some(_) => self.known.unused.remove(&self.key).await,
            None => None,
        };
        let is_used = head.is_some() || self.known.used.contains_key(&self.key);
        let room = if is_used {
            &self.known.used
        } else {
            &self.known.unused
        };
        let entry = room.entry_by_ref(&self.key).and_upsert_with(|spans| {
            let spans = spans.as_ref().map(moka::Entry::value).or(moved.as_ref());
            std::future::ready(put(spans))
        });
        entry.await;
    }

    pub async fn forget(&self) {
        self.known.used.invalidate(&self.key).await;
        self.known.unused.invalidate(&self.key).await;
    }

    fn settled(&self, whole: &[Series], head: Option<&Head>, asked_at: i64) -> Option<Span> {
        let grid = &self.grid;
        let last = grid.start + grid.step * i64::try_from(grid.points - 1).ok()?;
        let until = last.min(asked_at).checked_sub(self.known.overlap_millis)?;
        let settled = match until - grid.start {
            before if before < 0 => 0,
            span => usize::try_from(span / grid.step + 1).ok()?,
        };
        let points = settled.max(head.map_or(0, |head| head.points));
        if points == 0 || !is_in_order(whole) {
            return None;
        }
        let span = Span {
            start: grid.start,
            points,
            strands: whole
                .iter()
                .map(|series| pack(series, grid, points))
                .filter(|strand| strand.as_ref().is_none_or(|strand| !strand.at.is_empty()))
                .collect::<Option<_>>()?,
        };
        (span.bytes() as u64 <= self.known.largest_bytes).then_some(span)
    }
}

impl Span {
    /// How many of its points lie before the grid, which has the same step and phase.
    fn skipped(&self, grid: &Grid) -> Option<usize> {
        usize::try_from((grid.start - self.start) / grid.step)
            .ok()
            .filter(|_| self.start <= grid.start)
    }

    /// As an answer to that many points of the grid would have them.
    fn series(&self, grid: &Grid, skipped: usize, points: usize) -> Vec<Series> {
        let strands = self.strands.iter();
        let series = strands.map(|strand| {
            let place = |point| strand.at.partition_point(|at| (*at as usize) < point);
            let wanted = place(skipped)..place(skipped + points);
            let samples = wanted.map(|index| {
                let millis = self.start + grid.step * i64::from(strand.at[index]);
                Sample {
                    seconds: seconds(millis),
                    value: Some(strand.values[index]),
                }
            });
            Series {
                labels: strand.labels.iter().cloned().collect(),
                samples: samples.collect(),
                histograms: 0,
                window: None,
            }
        });
        series.filter(|series| !series.samples.is_empty()).collect()
    }

    fn bytes(&self) -> usize {
        let strands = self.strands.iter().map(|strand| {
            let labels = strand.labels.iter();
            let labels = labels.map(|(name, value)| LABEL_BYTES + name.len() + value.len());
            STRAND_BYTES + labels.sum::<usize>() + POINT_BYTES * strand.at.len()
        });
        strands.sum()
    }
}

fn weight(key: &Key, spans: &Spans) -> u32 {
    let spans: usize = spans.iter().map(|span| STRAND_BYTES + span.bytes()).sum();
    u32::try_from(ENTRY_BYTES + key.query.len() + spans).unwrap_or(u32::MAX)
}

/// Whether the series stand as `answer::join` would put them, each once. Servers that order them
/// in another way get every range whole.
pub fn is_in_order(series: &[Series]) -> bool {
    series.is_sorted_by(|one, next| one.labels < next.labels)
}

/// Whether all samples are for points of a grid.
pub fn is_on_grid(series: &[Series], grid: Option<&Grid>) -> bool {
    let Some(grid) = grid else { return false };
    let mut samples = series.iter().flat_map(|series| &series.samples);
    samples.all(|sample| point_of(sample, grid).is_some())
}

/// The first points of a series; `None` if it holds what the grid does not have.
fn pack(series: &Series, grid: &Grid, points: usize) -> Option<Strand> {
    let (mut at, mut values) = (Vec::new(), Vec::new());
    let mut next = 0;
    for sample in &series.samples {
        let point = point_of(sample, grid).filter(|point| next <= *point)?;
        next = point + 1;
        if point < points {
            at.push(u32::try_from(point).ok()?);
            values.push(sample.value?);
        }
    }
    at.shrink_to_fit();
    values.shrink_to_fit();
    Some(Strand {
        labels: labels(&series.labels),
        at,
        values,
    })
}

fn labels(labels: &Labels) -> Box<[(String, String)]> {
    let labels = labels.iter();
    labels.map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is no time of the grid does not come back as it was"
)]
fn point_of(sample: &Sample, grid: &Grid) -> Option<usize> {
    let millis = (sample.seconds * 1000.0).round() as i64;
    let since = millis.checked_sub(grid.start)?;
    let is_on_grid =
        since % grid.step == 0 && seconds(millis).to_bits() == sample.seconds.to_bits();
    let point = usize::try_from(since / grid.step).ok()?;
    (is_on_grid && point < grid.points).then_some(point)
}

/// The same digits as those of Prometheus's text, which has milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of the calendar fit into a double"
)]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
