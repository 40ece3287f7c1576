//! A report in words.

use super::rates::median;
use super::tally::{OfMetric, Tally};
use super::{Given, MARGINS, SECOND_JUDGE, Twin};
use crate::canary::calibration::{Advice, JudgeRates, MetricRates, Rate, Report, Typical};
use crate::canary::number::number;
use crate::judge::sequential;

/// With fewer windows, shares of one percent cannot be seen.
const ENOUGH_WINDOWS: u32 = 100;
/// Below, a window holds too little to judge by, and above, much of it repeats itself.
const FEW_INDEPENDENT: f64 = 8.0;
const HIGH_CORRELATION: f64 = 0.5;
const PLENTY: f64 = 20.0;
/// So many windows tell the offset of two pods from chance.
const OFFSET_WINDOWS: usize = 5;
const RELEASES_A_YEAR: f64 = 200.0;

pub fn tell(given: &Given<'_>, tally: &Tally, report: &mut Report) {
    report.warnings = warnings(given, report);
    let mut metrics = std::mem::take(&mut report.metrics);
    for metric in &mut metrics {
        if let Some(of) = tally.metrics.get(&metric.metric) {
            metric.advice = OneMetric {
                given,
                report,
                rates: metric,
                of,
            }
            .advice();
        }
    }
    report.metrics = metrics;
    report.sentences = sentences(report);
}

fn warnings(given: &Given<'_>, report: &Report) -> Vec<String> {
    let mut told = Vec::new();
    for rates in &report.judges {
        if let Some(error) = &rates.error {
            told.push(format!("{} could not judge: {error}", rates.judge));
        }
    }
    let all = report.windows + report.without_data;
    if 0 < report.without_data {
        told.push(format!(
            "{} of {all} windows have no data and do not count",
            report.without_data
        ));
    }
    if report.windows < ENOUGH_WINDOWS {
        told.push(format!(
            "{} windows are few: what is suggested from fewer than {ENOUGH_WINDOWS} is a guess",
            report.windows
        ));
    }
    match given.plan.twin {
        Twin::Pods(2) => told.push(format!(
            "'{}' stands against '{}' in every window: how far other hosts lie apart is not in these figures; with several \
             names to stand against, they take turns",
            given.names[0], given.names[1]
        )),
        Twin::Pods(_) => {}
        Twin::Shift(before) => told.push(format!(
            "the control stands against itself {} earlier: what changed from day to day counts as a false alarm too, so \
             these figures are an upper bound",
            span(before / 60_000)
        )),
    }
    told
}

fn sentences(report: &Report) -> Vec<String> {
    let what = match report.window_mins {
        60 => "hours".to_owned(),
        mins => format!("windows of {}", span(mins.into())),
    };
    let first = format!(
        "{} {what} without a release, judged as if each had been a canary",
        report.windows
    );
    let judged: Vec<&JudgeRates> = report
        .judges
        .iter()
        .filter(|rates| 0 < rates.stopped.of)
        .collect();
    let mut told = vec![first];
    let stopped = judged.iter().map(|rates| {
        format!(
            "{} would have stopped {}",
            rates.judge,
            counted(rates.stopped)
        )
    });
    told.push(stopped.collect::<Vec<_>>().join("; "));
    if 1 < report.looks {
        let once = judged
            .iter()
            .map(|rates| format!("{} {}", rates.judge, counted(rates.at_one_look)));
        let once: Vec<String> = once.collect();
        told.push(format!(
            "With one look at the end instead of {}: {}",
            report.looks,
            once.join("; ")
        ));
    }
    if let [second, first] = judged.as_slice() {
        let a_year = |rate: Rate| number((rate.share * RELEASES_A_YEAR).round());
        told.push(format!(
            "At {RELEASES_A_YEAR} releases a year that is {} false stops a year, against {}",
            a_year(second.stopped),
            a_year(first.stopped)
        ));
    }
    if let Some(suggested) = &report.suggested {
        told.push(format!(
            "With the margins that are suggested here, {SECOND_JUDGE} would have stopped {} of the same windows",
            counted(suggested.stopped)
        ));
    }
    let advice = report.metrics.iter().flat_map(|metric| {
        let sentences = metric.advice.iter();
        sentences.map(|advice| format!("{}: {}", metric.metric, advice.sentence))
    });
    told.extend(advice);
    told
}

struct OneMetric<'a> {
    given: &'a Given<'a>,
    report: &'a Report,
    rates: &'a MetricRates,
    of: &'a OfMetric,
}

impl OneMetric<'_> {
    fn advice(&self) -> Vec<Advice> {
        let typical = self.rates.typical.unwrap_or_default();
        let told = [
            ("unmeasured", self.unmeasured()),
            ("found", self.found(typical)),
            ("margin", self.margin(typical)),
            ("unfit", self.unfit()),
            ("zero", self.zero()),
            ("pods", self.pods()),
            ("days", self.days(typical)),
            ("range", self.range(typical)),
            ("window", self.window(typical)),
        ];
        let told = told.into_iter();
        told.filter_map(|(code, sentence)| {
            Some(Advice {
                code: code.to_owned(),
                sentence: sentence?,
            })
        })
        .collect()
    }

    fn unmeasured(&self) -> Option<String> {
        let all = self
            .rates
            .alarms
            .iter()
            .map(|alarms| alarms.at_any_look.of)
            .max()?;
        let count = self.rates.unmeasured;
        (0 < count).then(|| format!("could not be measured in {count} of {all} windows"))
    }

    fn found(&self, typical: Typical) -> Option<String> {
        let percent = typical.minimum_detectable_percent?;
        let what = if percent < 0.0 { "fall" } else { "rise" };
        let longer = span(i64::from(self.report.window_mins) * 4);
        Some(format!(
            "a {what} of {} % would be found, about {} % in {longer}",
            short(percent.abs()),
            short(percent.abs() / 2.0)
        ))
    }

    fn margin(&self, typical: Typical) -> Option<String> {
        let margin = self.rates.margin?;
        let (lower, upper) = (typical.lower_percent?, typical.upper_percent?);
        let what = match self.given.plan.twin {
            Twin::Pods(_) => "equals",
            Twin::Shift(_) => "times",
        };
        let differ = short(lower.abs().max(upper.abs()));
        let now = self.margin_now();
        let now = if now.is_some_and(|now| (now - margin).abs() < f64::EPSILON) {
            format!("so keep the margin at {} %", short(margin * 100.0))
        } else {
            let now = now.map_or_else(String::new, |now| {
                format!(", where it is {} %", short(now * 100.0))
            });
            format!(
                "and a margin of {} % holds its share of the false alarms{now}",
                short(margin * 100.0)
            )
        };
        Some(format!("{what} differ by up to {differ} %, {now}"))
    }

    fn unfit(&self) -> Option<String> {
        let last = MARGINS[MARGINS.len() - 1] * 100.0;
        self.rates.unfit.then(|| {
            format!(
                "unfit for this comparison, as no margin up to {last} % holds its share of the false alarms; several pods a \
                 side, a longer window, a quotient with the traffic, or muting it would help"
            )
        })
    }

    fn zero(&self) -> Option<String> {
        let is_zero = self.margin_now()? <= 0.0;
        is_zero.then(|| {
            "its margin is 0, at which smooth metrics differ by their trend within a step; a margin is wanted".to_owned()
        })
    }

    /// The two that lie furthest apart.
    fn pods(&self) -> Option<String> {
        let Twin::Pods(_) = self.given.plan.twin else {
            return None;
        };
        let offsets = self
            .of
            .changes
            .iter()
            .filter(|(_, changes)| OFFSET_WINDOWS <= changes.len());
        let offsets = offsets.filter_map(|(pods, changes)| Some((*pods, median(changes)?)));
        let ((control, experiment), percent) =
            offsets.max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()))?;
        let margin = self.margin_now()? * 100.0;
        let names = self.given.names;
        (margin < percent.abs()).then(|| {
            format!(
                "'{}' lies {} % {} '{}' all the time, more than the margin of {} %: one pod a side cannot tell a version \
                 from a machine",
                names[experiment],
                short(percent.abs()),
                if percent < 0.0 { "below" } else { "above" },
                names[control],
                short(margin)
            )
        })
    }

    fn days(&self, typical: Typical) -> Option<String> {
        let Twin::Shift(before) = self.given.plan.twin else {
            return None;
        };
        let (lower, upper) = (typical.lower_percent?, typical.upper_percent?);
        let margin = self.margin_now()? * 100.0;
        (margin < lower.abs().max(upper.abs())).then(|| {
            format!(
                "its level differs by {} to {} % from that of {} earlier, more than the margin of {} %: that baseline cannot \
                 tell a version from a day",
                short(lower),
                short(upper),
                span(before / 60_000),
                short(margin)
            )
        })
    }

    fn range(&self, typical: Typical) -> Option<String> {
        let (spacing, independent) = (typical.spacing?, typical.independent?);
        (1.0 < spacing).then(|| {
            format!(
                "{} hold {} independent samples, because the query looks back over {} steps at each; with a range of one \
                 step it would be about {}",
                span(self.report.window_mins.into()),
                short(independent.floor()),
                short(spacing),
                short((independent * spacing).floor())
            )
        })
    }

    fn window(&self, typical: Typical) -> Option<String> {
        let independent = typical.independent?;
        let repeats = typical
            .autocorrelation
            .is_some_and(|found| HIGH_CORRELATION < found);
        let mins = self.report.window_mins;
        (repeats || independent < FEW_INDEPENDENT).then(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a week, times twenty")]
            let plenty = (f64::from(mins) * PLENTY / independent.max(1.0)).ceil() as i64;
            format!(
                "{} are worth {} independent samples; {} would hold {PLENTY}, and {} would find half the change",
                span(mins.into()),
                short(independent.floor()),
                span(plenty),
                span(i64::from(mins) * 4)
            )
        })
    }

    /// What the second judge takes by now; none where the metric is unfit.
    fn margin_now(&self) -> Option<f64> {
        let metrics = self.given.config.metrics.iter().flatten();
        let mut named = metrics.filter(|metric| metric.name.as_deref() == Some(&self.rates.metric));
        sequential::margin(self.given.config, named.next()?, self.given.learned)
    }
}

/// `3 (1.5 %, between 0.5 and 4.3 %)`
fn counted(rate: Rate) -> String {
    let [share, lower, upper] =
        [rate.share, rate.lower, rate.upper].map(|share| short(share * 100.0));
    format!("{} ({share} %, between {lower} and {upper} %)", rate.count)
}

/// With two digits, as shares are seldom known better.
fn short(value: f64) -> String {
    let decimals = usize::from(value.abs() < 9.95);
    let text = format!("{value:.decimals$}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.replace("-0", "0"),
        None => text,
    }
}

/// `4 hours`, `90 minutes`, `7 days`
fn span(mins: i64) -> String {
    let told = |count: i64, unit: &str| match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    };
    match mins {
        _ if 1440 <= mins && mins % 1440 == 0 => told(mins / 1440, "day"),
        _ if 60 < mins && mins % 60 == 0 => told(mins / 60, "hour"),
        _ => told(mins, "minute"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_spans_are_short() {
        let told = [0.0, 0.52, 1.5, 9.96, 60.4, -12.3, -0.01].map(short);
        assert_eq!(told, ["0", "0.5", "1.5", "10", "60", "-12", "0"]);
        let told = [1, 45, 60, 90, 240, 1440, 10_080].map(span);
        assert_eq!(
            told,
            [
                "1 minute",
                "45 minutes",
                "60 minutes",
                "90 minutes",
                "4 hours",
                "1 day",
                "7 days"
            ]
        );
    }
}
