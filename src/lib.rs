//! serin judges canaries.
//!
//! `canary` holds the words, `judge` the thought, `metrics` and `storage` the two outside worlds,
//! `run` the deed, `api` and `command` the doors; `app` opens them all once.
//! Read them in that order; `docs/architecture.md` walks one canary through them.

// They panic where nobody reads; `command/tell.rs` writes.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod access;
pub mod actions;
pub mod api;
pub mod app;
pub mod audit;
pub mod aws;
pub mod budget;
pub mod calibration;
pub mod callers;
pub mod canary;
pub mod clock;
pub mod command;
pub mod config;
pub mod error;
pub mod escape;
pub mod google;
pub mod http;
pub mod judge;
pub mod lint;
pub mod metrics;
pub mod notify;
pub mod outbox;
pub mod report;
pub mod run;
pub mod secrets;
pub mod storage;
pub mod telemetry;
pub mod ui;
