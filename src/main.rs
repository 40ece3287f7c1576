//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use serin::command::Command;
use tikv_jemallocator::Jemalloc;

/// glibc's own keeps growing for an hour under load, though serin holds no more.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

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
