//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use serin::command::{Arguments, failed};
use tikv_jemallocator::Jemalloc;

/// glibc's own keeps growing for an hour under load, though serin holds no more.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// As in `sysexits.h`.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let parsed = Arguments::command()
        .try_get_matches()
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, matches)));
    let (arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(told) => {
            let _ = told.print();
            // clap's own code for a mistake is 2, which is that of a marginal canary.
            return if told.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    arguments.color.write_global();
    match arguments.command.run(&matches) {
        Ok(code) => code,
        Err(error) => {
            failed(&error);
            ExitCode::FAILURE
        }
    }
}
