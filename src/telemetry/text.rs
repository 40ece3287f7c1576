//! The text format, for what the recorder cannot keep: it never forgets a label.

use std::fmt::Write;

use metrics_exporter_prometheus::formatting::{
    sanitize_label_value, write_help_line, write_type_line,
};

use super::Metric;

/// Metrics, one after the other.
#[derive(Default)]
pub struct Families {
    text: String,
    name: &'static str,
}

impl Families {
    /// Begins a metric of the list; what is told from here on are its samples.
    ///
    /// # Panics
    /// When it is not in the list.
    pub fn begin(&mut self, name: &'static str) {
        let metric = Metric::of(name);
        write_help_line(&mut self.text, name, None, None, metric.help);
        write_type_line(&mut self.text, name, None, None, metric.is.as_str());
        self.name = name;
    }

    pub fn tell(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", sanitize_label_value(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "{}{braces} {value}", self.name);
    }

    pub fn text(self) -> String {
        self.text
    }
}
