//! `serin completions` and `serin man`: what shells and `man` know of the commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

use super::tell;

/// Prints completions for a shell; where they go is told by its manual, as
/// `serin completions bash > /etc/bash_completion.d/serin`.
#[derive(clap::Args)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(&self, commands: &mut clap::Command) -> anyhow::Result<ExitCode> {
        let mut written = Vec::new();
        clap_complete::generate(self.shell, commands, "serin", &mut written);
        document(&written)
    }
}

/// Prints the manual page of serin, or writes those of all its commands into a folder.
#[derive(clap::Args)]
pub struct Manual {
    /// Where to write the pages, as `/usr/local/share/man/man1`.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Manual {
    pub fn run(&self, commands: clap::Command) -> anyhow::Result<ExitCode> {
        let Some(folder) = &self.folder else {
            let mut written = Vec::new();
            let rendered = Man::new(commands).render(&mut written);
            rendered.context("cannot write the page")?;
            return document(&written);
        };
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(commands, folder))
            .with_context(|| format!("cannot write into '{}'", folder.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn document(written: &[u8]) -> anyhow::Result<ExitCode> {
    tell::document(&String::from_utf8_lossy(written))?;
    Ok(ExitCode::SUCCESS)
}
