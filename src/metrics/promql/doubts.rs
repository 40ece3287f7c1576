//! What is wrong with PromQL, and what is doubtful, told without asking a Prometheus.

pub mod buckets;
pub mod filters;
pub mod syntax;
pub mod tree;
