//! What time a query is for.

use crate::canary::{CanaryScope, Instant};
use crate::error::{Error, Result};

/// Both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    pub start: Instant,
    pub end: Instant,
    /// Seconds.
    pub step: Option<i64>,
}

impl Range {
    pub fn of(scope: &CanaryScope) -> Result<Self> {
        let required = |instant: Option<Instant>, which: &str| {
            instant.ok_or_else(|| Error::Invalid(format!("{which} time is required.")))
        };
        Ok(Self {
            start: required(scope.start, "Start")?,
            end: required(scope.end, "End")?,
            step: scope.step,
        })
    }
}
