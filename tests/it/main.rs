//! The one integration binary.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod judge;
mod prometheus;
mod prometheus_faults;
mod prometheus_queries;
mod prometheus_source;
mod prometheus_tls;
mod scripted_prometheus;
