//! The colours of verdicts and labels; what writes them leaves them out where nobody wants any.

use anstyle::{AnsiColor, Style};

use crate::canary::Outcome;

/// A verdict with its mark, which says the same without colours.
pub fn outcome(outcome: Outcome) -> String {
    let (mark, style) = match outcome {
        Outcome::Pass => ("✓ ", AnsiColor::Green.on_default()),
        Outcome::Marginal => ("~ ", AnsiColor::Yellow.on_default()),
        Outcome::Inconclusive => ("? ", AnsiColor::Magenta.on_default()),
        Outcome::Fail | Outcome::Error => ("✗ ", AnsiColor::Red.on_default()),
        Outcome::Waiting | Outcome::Running | Outcome::Canceled => ("", Style::new()),
    };
    of(style.bold(), &format!("{mark}{}", outcome.word()))
}

/// The label of a metric, by the class that its view has.
pub fn label(class: &str, label: &str) -> String {
    let style = match class {
        "pass" => AnsiColor::Green.on_default(),
        "fail" | "error" => AnsiColor::Red.on_default(),
        _ => AnsiColor::Magenta.on_default(),
    };
    of(style, label)
}

/// What is to be minded.
pub fn warning(text: &str) -> String {
    of(AnsiColor::Yellow.on_default(), text)
}

pub fn removed(text: &str) -> String {
    of(AnsiColor::Red.on_default(), text)
}

pub fn added(text: &str) -> String {
    of(AnsiColor::Green.on_default(), text)
}

fn of(style: Style, text: &str) -> String {
    if style == Style::new() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}
