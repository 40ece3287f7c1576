//! The judges that there are, in this process and over HTTP, and asking one of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::remote_judge;
use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, Fault, Learned, Look,
    MetricSetPair, Pair, Path, SentQuery, Shadow,
};
use crate::config::{Config, RemoteJudge};
use crate::error::{Error, Result};
use crate::judge::{self, DEFAULT_NOISE_SEED, Doubting, Judge, Judgement};

/// As many are judged in less time than another thread takes to begin.
const POINTS_AT_ONCE: usize = 5_000;

/// Of both sides, with their links: beyond, they are told with the first series of their metric only.
const LONG_QUERIES: usize = 4 << 10;

/// A judge, wherever it is.
#[derive(Clone, Copy)]
pub enum AnyJudge<'a> {
    Here(&'static dyn Judge),
    Remote(&'a RemoteJudge),
}

/// Every judge; the first is the one that judges when none is named.
pub fn all(own: &Config) -> impl Iterator<Item = AnyJudge<'_>> {
    let here = judge::all().iter().copied().map(AnyJudge::Here);
    here.chain(own.remote_judge.iter().map(AnyJudge::Remote))
}

/// # Errors
/// `Invalid` when there is no judge of that name.
fn of<'a>(own: &'a Config, config: &CanaryConfig) -> Result<AnyJudge<'a>> {
    let name = config
        .judge
        .as_ref()
        .and_then(|judge| judge.name.as_deref());
    let remote = own.remote_judge.as_ref();
    match remote.filter(|_| name == Some(remote_judge::NAME)) {
        Some(remote) => Ok(AnyJudge::Remote(remote)),
        None => judge::resolve(name).map(AnyJudge::Here),
    }
}

/// Refuses a config that its judge could never judge.
///
/// # Errors
/// `Invalid` with the first of [`refusals`].
pub fn check(own: &Config, config: &CanaryConfig) -> Result<()> {
    match refusals(own, config).into_iter().next() {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// What the judge of a config refuses when it is stored; of one that is not there, nothing is known.
pub fn refusals(own: &Config, config: &CanaryConfig) -> Vec<Fault> {
    let mut faults = of(own, config).map_or_else(|_| Vec::new(), |judge| judge.refusals(config));
    let of_shadow = shadow_refusals(config);
    faults.extend(
        of_shadow
            .into_iter()
            .filter(|fault| !faults.contains(fault))
            .collect::<Vec<_>>(),
    );
    faults
}

/// Why a config that may be stored is never judged.
pub fn unusable(own: &Config, config: &CanaryConfig) -> Vec<Fault> {
    match of(own, config) {
        Ok(judge) => judge.faults(config),
        Err(error) => vec![Fault::new(Path::of("judge.name"), error.to_string())],
    }
}

impl AnyJudge<'_> {
    pub fn name(self) -> &'static str {
        match self {
            Self::Here(judge) => judge.name(),
            Self::Remote(_) => remote_judge::NAME,
        }
    }

    /// Whether the judge is offered to users.
    pub fn is_visible(self) -> bool {
        match self {
            Self::Here(judge) => judge.is_visible(),
            Self::Remote(_) => true,
        }
    }

    fn refusals(self, config: &CanaryConfig) -> Vec<Fault> {
        match self {
            Self::Here(judge) => judge.refusals(config),
            // It alone knows what it can judge.
            Self::Remote(_) => Vec::new(),
        }
    }

    fn faults(self, config: &CanaryConfig) -> Vec<Fault> {
        match self {
            Self::Here(judge) => judge.faults(config),
            Self::Remote(_) => Vec::new(),
        }
    }
}

/// What is to be judged.
#[derive(Clone)]
pub struct Question {
    pub config: Arc<CanaryConfig>,
    pub thresholds: CanaryClassifierThresholdsConfig,
    pub pairs: Arc<Vec<MetricSetPair>>,
    /// Which judgement of an analysis it is.
    pub look: Option<Look>,
    /// The margins that were learned for the config.
    pub learned: Option<Arc<Learned>>,
}

/// Judges with the judge that the config names: off the async threads, or over HTTP.
///
/// # Errors
/// `Invalid` when there is no such judge, or what it was given cannot be judged; `Fetch` when a
/// judge over HTTP does not answer with a verdict.
pub async fn judge(app: &App, question: Question) -> Result<CanaryJudgeResult> {
    let doubting = doubting(app);
    let judge = match of(&app.config, &question.config)? {
        AnyJudge::Here(judge) => judge,
        AnyJudge::Remote(remote) => {
            let judgement = question.judgement(doubting);
            let mut judged = remote_judge::judge(app, remote, &judgement).await?;
            judge::hear(&judgement, &mut judged)?;
            tell_long_queries_once(&mut judged);
            return Ok(judged);
        }
    };
    judge_here(judge, question, doubting).await
}

async fn judge_here(
    judge: &'static dyn Judge,
    question: Question,
    doubting: Doubting,
) -> Result<CanaryJudgeResult> {
    let points: usize = question.pairs.iter().map(MetricSetPair::points).sum();
    let is_small = points <= POINTS_AT_ONCE;
    let judge = move || judge_now(judge, &question, doubting);
    let judged = if is_small {
        catch_unwind(AssertUnwindSafe(judge)).map_err(|_| "it panicked".to_owned())
    } else {
        let judged = tokio::task::spawn_blocking(judge).await;
        judged.map_err(|error| error.to_string())
    };
    judged.map_err(|why| Error::Internal(format!("the judge did not answer: {why}")))?
}

/// On this thread, to the bytes that are stored.
///
/// # Errors
/// `Invalid` when what it was given cannot be judged.
pub fn judge_now(
    judge: &dyn Judge,
    question: &Question,
    doubting: Doubting,
) -> Result<CanaryJudgeResult> {
    let mut judged = judge.judge(&question.judgement(doubting))?;
    tell_long_queries_once(&mut judged);
    Ok(judged)
}

/// A query may have many series, and each has its result.
fn tell_long_queries_once(judged: &mut CanaryJudgeResult) {
    let length =
        |query: &SentQuery| query.text.len() + query.link.as_ref().map_or(0, |it| it.len());
    let mut told: Option<(String, Pair<SentQuery>)> = None;
    for result in &mut judged.results {
        let Some(explanation) = &mut result.explanation else {
            continue;
        };
        let Some(queries) = &explanation.queries else {
            continue;
        };
        if length(&queries.control) + length(&queries.experiment) <= LONG_QUERIES {
            continue;
        }
        let is_told = told
            .as_ref()
            .is_some_and(|(name, told)| *name == result.name && told == queries);
        if is_told {
            explanation.queries = None;
        } else {
            told = Some((result.name.clone(), queries.clone()));
        }
    }
}

/// What the judge that is to stand beside the config's own says of the same; none where none is to, or it is that one.
/// Whatever becomes of it decides nothing.
pub async fn shadow(app: &App, question: &Question) -> Option<Shadow> {
    let name = shadow_named(&question.config)?.as_str()?.to_owned();
    let own = of(&app.config, &question.config).ok()?.name();
    if name == own {
        return None;
    }
    let judged = match judge::resolve(Some(&name)) {
        Ok(judge) => judge_here(judge, question.clone(), doubting(app)).await,
        Err(error) => Err(error),
    };
    let (judge_result, error) = match judged {
        Ok(judged) => (Some(judged), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Some(Shadow {
        judge_name: name,
        judge_result,
        error,
    })
}

fn shadow_named(config: &CanaryConfig) -> Option<&Value> {
    let configurations = config.judge.as_ref()?.judge_configurations.as_ref()?;
    let named = configurations.get("shadow")?;
    (!named.is_null()).then_some(named)
}

/// The judges of this process may stand beside another, and what such a one refuses is refused.
fn shadow_refusals(config: &CanaryConfig) -> Vec<Fault> {
    let Some(named) = shadow_named(config) else {
        return Vec::new();
    };
    let known = judge::all();
    if let Some(judge) = known.iter().find(|judge| named == judge.name()) {
        return judge.refusals(config);
    }
    let all: Vec<&str> = known.iter().map(|judge| judge.name()).collect();
    let message = format!("shadow is {named}, one of {} is wanted", all.join(", "));
    let path = Path::of("judge.judgeConfigurations.shadow");
    vec![Fault::new(path, message)]
}

fn doubting(app: &App) -> Doubting {
    if app.config.fail_doubtful {
        Doubting::Fail
    } else {
        Doubting::Tell
    }
}

impl Question {
    fn judgement(&self, doubting: Doubting) -> Judgement<'_> {
        Judgement {
            config: &self.config,
            thresholds: self.thresholds,
            pairs: &self.pairs,
            noise_seed: DEFAULT_NOISE_SEED,
            doubting,
            look: self.look,
            learned: self.learned.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_query_is_told_with_the_first_of_its_series() {
        let stats = json!({"stats": {"count": 1, "mean": 1, "min": 1, "std": 0, "max": 1}});
        let points = json!({"total": 1, "nan": 0, "outliers": 0, "judged": 1});
        let result = |(name, length): (&str, usize)| {
            let query = json!({"text": "x".repeat(length)});
            json!({"name": name, "classification": "Pass", "controlMetadata": stats, "experimentMetadata": stats,
                "explanation": {"rule": "identical", "sentence": "", "queries": {"control": query, "experiment": query},
                    "points": {"control": points, "experiment": points}}})
        };
        let (short, long) = (LONG_QUERIES / 2, LONG_QUERIES);
        let all = [
            ("a", short),
            ("a", short),
            ("b", long),
            ("b", long),
            ("c", long),
            ("c", long + 1),
        ];
        let results = Vec::from(all.map(result));
        let score = json!({"score": 100, "classification": "Pass", "classificationReason": ""});
        let judged = json!({"judgeName": "x", "results": results, "score": score});
        let mut judged: CanaryJudgeResult = serde_json::from_value(judged).unwrap();
        tell_long_queries_once(&mut judged);
        let told = judged.results.iter();
        let told: Vec<bool> = told
            .map(|result| result.explanation.as_ref().unwrap().queries.is_some())
            .collect();
        assert_eq!(told, [true, true, true, false, true, true]);
    }
}
