//! `serin import`: from one account into another.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Configured, start_log, tell};
use crate::config::{BUILT_IN, LogFormat, built_in};
use crate::escape;
use crate::storage::import::{self, Event, Mode, Outcome, Tally};

/// How many documents lie between two lines, where there is no terminal.
const LINE_EVERY: u64 = 500;

/// Copies canary configs, archived results and the metric set pairs of their graphs, byte for byte
/// and under the same keys; reads again what it wrote. Can be repeated: what is equal is skipped,
/// what differs is replaced if the source is newer.
///
/// Exits with 1 when something could not be copied.
#[derive(clap::Args)]
pub struct Import {
    /// Account to copy from; `local` is the built-in store, though other stores stand in its place now, and `sql` what
    /// a Kayenta keeps in PostgreSQL (kayenta.sql).
    #[arg(long, value_name = "ACCOUNT")]
    from: String,
    /// Account to copy into.
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    #[arg(
        long,
        value_name = "FILE",
        help = "Configuration file with both accounts [env: SERIN_CONFIG]"
    )]
    config: Option<PathBuf>,
    /// Read and compare only, and tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let configured = Configured {
            config: self.config.clone(),
            ..Configured::default()
        };
        let loaded = configured.load()?;
        start_log("serin=warn", LogFormat::Text)?;
        for warning in &loaded.warnings {
            tell::note(&format!("warning: {warning}"));
        }
        let (from, to) = (&self.from, &self.to);
        let mut config = loaded.config;
        let is_there = config.accounts.iter().any(|it| it.name == BUILT_IN);
        if from == BUILT_IN && !is_there {
            config.accounts.push(built_in(&config.storage));
        }
        let (mode, done) = if self.dry_run {
            (Mode::DryRun, "an import would go")
        } else {
            (Mode::Copy, "imported")
        };
        let work = import::Import::open(&config, from, to, mode)?;
        let progress = Progress::new();
        let tally = work.run(|event| progress.tell(&event)).await?;
        progress.bar.finish_and_clear();
        if tally == Tally::default() {
            bail!(
                "'{from}' holds no documents: are its bucket or directory and its rootFolder right?"
            );
        }
        let sentence = sentence(&tally);
        tell::say(&format!("{done} from '{from}' to '{to}': {sentence}"));
        Ok(match tally.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

fn sentence(tally: &Tally) -> String {
    let Tally {
        copied,
        replaced,
        equal,
        kept,
        missing,
        failed,
    } = tally;
    format!(
        "{copied} copied, {replaced} replaced, {equal} equal already, \
         {kept} kept that differ and are newer, {missing} missing in the source, {failed} failed"
    )
}

/// A bar on a terminal; else lines. All on standard error, so that standard output is the summary.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{msg:26} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self { bar, is_terminal }
    }

    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Group { name, documents } => {
                self.bar.reset();
                self.bar.set_length(u64::try_from(*documents).unwrap_or(0));
                self.bar.set_message((*name).to_owned());
                if !self.is_terminal {
                    tell::note(&format!("{name}: {documents} documents"));
                }
            }
            Event::Document { key, outcome } => self.document(key, outcome),
        }
    }

    fn document(&self, key: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Copied | Outcome::Replaced | Outcome::Equal => {}
            Outcome::Kept => self.line(&format!(
                "kept: {key} differs and is not older in the target"
            )),
            Outcome::Missing => self.line(&format!("missing: {key} is not in the source")),
            Outcome::Failed(why) => self.line(&format!("failed: {key}: {why}")),
        }
        self.bar.inc(1);
        let at = self.bar.position();
        if !self.is_terminal && at > 0 && at.is_multiple_of(LINE_EVERY) {
            let all = self.bar.length().unwrap_or(0);
            tell::note(&format!("{at} of {all}"));
        }
    }

    fn line(&self, text: &str) {
        let text = escape::line(text);
        if self.is_terminal {
            self.bar.println(text);
        } else {
            tell::note(&text);
        }
    }
}
