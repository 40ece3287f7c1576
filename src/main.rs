//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use serin::command::Command;

/// serin judges canaries: Kayenta's API and verdicts in one small service.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("serin: {error:#}");
            ExitCode::FAILURE
        }
    }
}
