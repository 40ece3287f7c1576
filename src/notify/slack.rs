//! Slack: blocks for an incoming webhook.

use serde_json::{Value, json};

use super::message::{Message, shortened};
use crate::canary::Event;
use crate::canary::number::score;

/// Slack takes 50 blocks; nobody reads as many.
const METRICS: usize = 10;

pub fn body(message: &Message) -> Value {
    let title = format!("{} {}", sign(message.event), message.title);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": shortened(&title, 150)}}),
        section(&escaped(&message.sentence, 1_500)),
        json!({"type": "context", "elements": [
            {"type": "mrkdwn", "text": shortened(&about(message), 2_000)}
        ]}),
    ];
    for metric in message.failed.iter().take(METRICS) {
        let critical = if metric.critical { ", critical" } else { "" };
        blocks.push(section(&format!(
            "*{}* ({}{critical})\n{}",
            escaped(&metric.name, 200),
            metric.word,
            escaped(&metric.sentence, 600)
        )));
    }
    let more = message.failed.len().saturating_sub(METRICS);
    if 0 < more {
        blocks.push(section(&format!("and {more} more")));
    }
    if let Some(chart) = &message.chart {
        blocks.push(json!({
            "type": "image", "image_url": chart.url,
            "alt_text": shortened(&chart.description(), 1_000),
        }));
    }
    if let Some(link) = &message.link {
        blocks.push(section(&format!("<{link}|Open the report>")));
    }
    json!({"text": escaped(&title, 300), "blocks": blocks})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

/// What was compared by which config.
fn about(message: &Message) -> String {
    let side = |name: &Option<String>| escaped(name.as_deref().unwrap_or("?"), 100);
    let config = message.canary_config_name.as_deref();
    let mut parts = vec![
        format!("`{}`", message.execution_id),
        format!(
            "config {}",
            escaped(config.unwrap_or(&message.canary_config_id), 100)
        ),
        format!(
            "{} against {}",
            side(&message.experiment),
            side(&message.control)
        ),
    ];
    if let Some(points) = message.score {
        parts.push(format!("score {}", score(points)));
    }
    parts.join("  ·  ")
}

/// These three mean something to Slack.
fn escaped(text: &str, most: usize) -> String {
    shortened(text, most)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const fn sign(event: Event) -> &'static str {
    match event {
        Event::Start | Event::Interval => "▶️",
        Event::Pass => "✅",
        Event::Marginal => "⚠️",
        Event::Fail => "❌",
        Event::Inconclusive => "❔",
        Event::Error => "⛔",
    }
}
