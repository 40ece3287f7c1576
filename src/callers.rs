//! How it is learned who calls.
