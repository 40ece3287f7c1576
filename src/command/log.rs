//! The log, which may be a pipe that nobody reads or lie on a full disk: work goes on without it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context;
use serde_json::json;
use tracing::{Level, Metadata};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt as lines, registry};

use crate::canary::date_from_millis;
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::escape;
use crate::telemetry::traces::{Traces, is_of_trace};

/// Logs to standard error, so that standard output stays for results.
///
/// # Errors
/// When the level is no filter.
pub fn start_log(level: &str, format: LogFormat) -> anyhow::Result<()> {
    start_log_and(level, format, None)
}

/// The same, and traces to a collector.
///
/// # Errors
/// When the level is no filter.
pub fn start_log_and(
    level: &str,
    format: LogFormat,
    traces: Option<&Traces>,
) -> anyhow::Result<()> {
    // A picture tells each letter that it finds in another font, and each call of an agent takes three lines.
    let quiet = format!("usvg=error,rmcp=warn,{level}");
    let filter = EnvFilter::try_new(quiet).with_context(|| {
        format!("log.level '{level}' is no filter; 'info' or 'serin=debug,info' are")
    })?;
    // It would tell by `eprintln`, which panics where the log cannot be written.
    let lines = lines::layer()
        .log_internal_errors(false)
        .with_ansi(is_coloured())
        .with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.fmt_fields(Fields).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let of_log = filter_fn(|event| !names_a_key(event) && !is_of_trace(event));
    registry()
        .with(traces.map(Traces::layer))
        .with(lines.with_filter(filter.and(of_log)))
        .init();
    panic::set_hook(Box::new(move |panic| tell(panic, format)));
    Ok(())
}

/// As `--color`, `NO_COLOR` and `CLICOLOR_FORCE` say, else on a terminal.
fn is_coloured() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// In its finer levels the AWS SDK writes the id of the key by which it signs.
fn names_a_key(event: &Metadata<'_>) -> bool {
    Level::INFO < *event.level() && event.target().starts_with("aws")
}

/// As they are by default, on one line: they hold texts of others.
struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&escape::line(&text))
    }
}

/// Tells of a panic, if that can be told; a panic in here would end the process.
fn tell(panic: &PanicHookInfo<'_>, format: LogFormat) {
    let time = date_from_millis(Clock::System.now_millis());
    let text = panic.to_string();
    let line = match format {
        LogFormat::Text => format!("{time} ERROR panic: {}", escape::line(&text)),
        LogFormat::Json => {
            let fields = json!({"message": text});
            json!({"timestamp": time, "level": "ERROR", "fields": fields, "target": "panic"})
                .to_string()
        }
    };
    let _ = writeln!(io::stderr(), "{line}");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        let _ = writeln!(io::stderr(), "{backtrace}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn texts_of_others_forge_no_line() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&written);
        let lines = lines::layer()
            .with_ansi(false)
            .fmt_fields(Fields)
            .with_writer(move || Shared(Arc::clone(&writer)));
        let evil = "\u{1b}[2J\n2026-11-28T00:00:00Z  INFO serin: login of root\u{202e}";
        tracing::subscriber::with_default(registry().with(lines), || {
            let span = tracing::info_span!("request", path = %evil);
            let _entered = span.enter();
            span.record("path", evil);
            tracing::info!(plain = evil, shown = %evil, debug = ?evil, "said: {evil}");
            tracing::error!(
                error = &io::Error::other(evil) as &dyn std::error::Error,
                "{evil}"
            );
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("login of root"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
