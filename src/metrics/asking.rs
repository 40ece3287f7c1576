//! What all sources do: a query that several want is sent once, executions take turns at an account, and
//! memory is paid for before it is taken.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use tracing::Instrument;

use super::flight::Flights;
use super::http::Unanswered;
use super::series::{self, Answered};
use super::turns::Turns;
use super::{Descriptor, Language, MetricRequest, MetricSource, cost, template};
use crate::budget::{BY_HAND, Refused, Share};
use crate::canary::{Attributes, MetricSet};
use crate::error::{Error, FetchError, Result};

/// What a kind of source adds to that.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// All that an answer depends on.
    type Asked: Clone + Eq + Hash + Send + Sync + 'static;

    fn language(&self) -> &'static dyn Language;

    /// The text that is sent for one side of a metric.
    fn query(&self, request: &MetricRequest<'_>) -> Result<String>;

    /// What is sent, and for what time.
    fn asked(&self, request: &MetricRequest<'_>) -> Result<Self::Asked>;

    fn text(asked: &Self::Asked) -> &str;

    /// Bytes of all texts that it keeps, where that is more than one.
    fn length(asked: &Self::Asked) -> usize {
        Self::text(asked).len()
    }

    async fn answer(&self, asked: &Self::Asked, share: &Arc<Share>)
    -> Result<Answered, Unanswered>;

    /// What is told of its series beside their points.
    fn attributes(&self, asked: &Self::Asked, answer: &Answered) -> Attributes;

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError>;

    /// What it finds by a text itself; none where it lists all.
    async fn found_names(&self, _filter: &str) -> Result<Option<Vec<Descriptor>>, FetchError> {
        Ok(None)
    }

    /// What the series of a metric have for labels, or for values of one of them; none where that is not cheap.
    async fn labels(&self, _metric: &str, _label: Option<&str>) -> Result<Vec<String>, FetchError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<(), FetchError>;

    /// One cheap read, where health is none.
    async fn probe(&self) -> Result<(), FetchError> {
        self.health().await
    }
}

/// One account.
pub struct Asking<S: Service> {
    service: Arc<S>,
    turns: Arc<Turns>,
    flights: Flights<Flight<S>, Result<Arc<Answered>, Unanswered>>,
    /// Bytes of the text of a query.
    longest: usize,
    names: Cache<(), Arc<Vec<Descriptor>>>,
}

/// What is asked; whether who asks waits for no memory. Who does must not be waited for by who does not:
/// both would wait for ever.
type Flight<S> = (<S as Service>::Asked, bool);

/// What a query takes while it is asked: its texts, as they are sent, and in the answers.
const QUERY_COPIES: usize = 4;

impl<S: Service> Asking<S> {
    /// At most so many queries at once; names of metrics are asked for again after that time.
    pub fn new(service: S, at_once: usize, longest: usize, names: Duration) -> Self {
        Self {
            service: Arc::new(service),
            turns: Arc::new(Turns::new(at_once)),
            flights: Flights::new(),
            longest,
            names: Cache::builder().max_capacity(1).time_to_live(names).build(),
        }
    }
}

impl<S: Service> Asking<S> {
    fn check_length(&self, text: &str) -> Result<()> {
        if self.longest < text.len() {
            return Err(Error::Invalid(template::too_long(self.longest)));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Service> MetricSource for Asking<S> {
    fn language(&self) -> &'static dyn Language {
        self.service.language()
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        let query = self.service.query(request)?;
        self.check_length(&query)?;
        Ok(query)
    }

    async fn fetch(
        &self,
        request: &MetricRequest<'_>,
        share: &Arc<Share>,
    ) -> Result<Vec<MetricSet>> {
        let name = request.metric.name.as_deref().unwrap_or_default();
        loop {
            // How long its text will be is not known before it is there.
            let mut held = match share.hold(self.longest) {
                Ok(held) => held,
                Err(refused) => {
                    or_never(refused, share).await?;
                    continue;
                }
            };
            let asked = self.service.asked(request)?;
            self.check_length(S::text(&asked))?;
            if let Err(refused) = held.resize(S::length(&asked) * QUERY_COPIES) {
                drop((asked, held));
                or_never(refused, share).await?;
                continue;
            }
            let mut is_own = false;
            let flight = self.flights.join((asked.clone(), share.has_turn()), || {
                is_own = true;
                let (service, turns) = (Arc::clone(&self.service), Arc::clone(&self.turns));
                let (asked, share) = (asked.clone(), Arc::clone(share));
                let answer = async move {
                    let _turn = turns.take(share.number).await;
                    service.answer(&asked, &share).await.map(Arc::new)
                };
                // Whoever goes on with it: it was asked by this one.
                answer.in_current_span()
            });
            let answer = match flight.await {
                Ok(answer) => answer,
                // What was too much beside what another one has is not so beside this one's.
                Err(Unanswered::Later { .. } | Unanswered::TooLarge(_)) if !is_own => continue,
                Err(Unanswered::Later { wanted }) => {
                    share.wait(wanted).await;
                    continue;
                }
                Err(Unanswered::Failed(error) | Unanswered::TooLarge(error)) => {
                    return Err(Error::Fetch(error));
                }
            };
            let attributes = self.service.attributes(&asked, &answer);
            let series = &answer.series;
            if let Err(refused) = share.take(cost::kept(name, &attributes, series)) {
                drop(answer);
                or_never(refused, share).await?;
                continue;
            }
            return Ok(series::metric_sets(
                name,
                &attributes,
                request.scope,
                series,
            ));
        }
    }

    async fn metric_names(&self, filter: &str) -> Result<Vec<Descriptor>> {
        let found = self.service.found_names(filter).await;
        if let Some(found) = found.map_err(|error| Error::Fetch(Box::new(error)))? {
            return Ok(found);
        }
        let names = self.names.try_get_with((), async {
            let names = self.service.metric_names().await?;
            Ok::<_, FetchError>(Arc::new(names))
        });
        let names = names.await;
        let names = names.map_err(|error| Error::Fetch(Box::new(FetchError::clone(&error))))?;
        let filter = filter.to_lowercase();
        let found = names.iter();
        let found = found.filter(|metric| metric.name.to_lowercase().contains(&filter));
        Ok(found.cloned().collect())
    }

    async fn labels(&self, metric: &str, label: Option<&str>) -> Result<Vec<String>> {
        // Somebody types: however many letters, no more queries at once than the account may be asked.
        let _turn = self.turns.take(BY_HAND).await;
        let labels = self.service.labels(metric, label).await;
        labels.map_err(|error| Error::Fetch(Box::new(error)))
    }

    async fn health(&self) -> Result<()> {
        let health = self.service.health().await;
        health.map_err(|error| Error::Fetch(Box::new(error)))
    }

    async fn probe(&self) -> Result<()> {
        let probe = self.service.probe().await;
        probe.map_err(|error| Error::Fetch(Box::new(error)))
    }
}

/// Waits until there is memory.
async fn or_never(refused: Refused, share: &Share) -> Result<()> {
    match refused {
        Refused::Later { wanted } => {
            share.wait(wanted).await;
            Ok(())
        }
        Refused::TooMany { most } => Err(too_large(most)),
    }
}

/// What an execution fetched is more than it may have.
pub fn too_large(most: usize) -> Error {
    Error::Invalid(format!(
        "the series of the execution take more memory than the {} MiB that it may have (limits.execution): \
         a larger step, a shorter range, fewer series or shorter queries are wanted",
        most >> 20
    ))
}
