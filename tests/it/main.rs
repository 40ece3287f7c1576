//! The one integration binary.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod accounts;
mod admission;
mod analysis;
mod architecture;
mod buckets;
mod canary_configs;
mod command;
mod crash;
mod economy;
mod end_to_end;
mod events;
mod executions;
mod explained;
mod first_users_path;
mod fleet;
mod harness;
mod judge;
mod lenient;
mod live;
mod migrating;
mod notifications;
mod openapi;
mod orca;
mod others;
mod prometheus;
mod prometheus_faults;
mod prometheus_queries;
mod prometheus_source;
mod prometheus_tls;
mod receivers;
mod remote_judge;
mod replay;
mod retention;
mod reuse;
mod s3;
mod s3_faults;
mod scripted_prometheus;
mod scripted_s3;
mod service;
mod stored;
mod stores;
mod surface;
mod ui;
mod ui_configs;
