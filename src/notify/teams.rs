//! Microsoft Teams: an Adaptive Card for the webhook of a workflow.

use serde_json::{Value, json};

use super::message::{Message, shortened};
use crate::canary::Event;

/// Teams takes 28 KB.
const METRICS: usize = 10;

pub fn body(message: &Message) -> Value {
    let mut card = vec![
        json!({"type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true,
            "color": color(message.event), "text": escaped(&message.title, 200)}),
        json!({"type": "TextBlock", "wrap": true, "text": escaped(&message.sentence, 2_000)}),
        json!({"type": "FactSet", "facts": facts(message)}),
    ];
    for metric in message.failed.iter().take(METRICS) {
        let critical = if metric.critical { ", critical" } else { "" };
        let text = format!(
            "**{}** ({}{critical}): {}",
            escaped(&metric.name, 200),
            metric.word,
            escaped(&metric.sentence, 600)
        );
        card.push(json!({"type": "TextBlock", "wrap": true, "spacing": "Medium", "text": text}));
    }
    let more = message.failed.len().saturating_sub(METRICS);
    if 0 < more {
        let text = format!("and {more} more");
        card.push(json!({"type": "TextBlock", "isSubtle": true, "text": text}));
    }
    if let Some(chart) = &message.chart {
        card.push(json!({"type": "Image", "url": chart.url, "size": "Stretch",
            "altText": chart.description()}));
    }
    let links = message
        .link
        .iter()
        .map(|link| json!({"type": "Action.OpenUrl", "title": "Open the report", "url": link}));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": card,
                "actions": links.collect::<Vec<_>>(),
            },
        }],
    })
}

fn facts(message: &Message) -> Vec<Value> {
    let facts = message.facts().into_iter();
    facts
        .map(|(title, value)| json!({"title": title, "value": escaped(&value, 200)}))
        .collect()
}

/// Cards read these as Markdown.
fn escaped(text: &str, most: usize) -> String {
    let mut escaped = String::new();
    for character in shortened(text, most).chars() {
        if matches!(character, '\\' | '*' | '_' | '[' | ']' | '#' | '`') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

const fn color(event: Event) -> &'static str {
    match event {
        Event::Start | Event::Interval => "Accent",
        Event::Pass => "Good",
        Event::Marginal => "Warning",
        // Neither red nor green.
        Event::Inconclusive => "Default",
        Event::Fail | Event::Error => "Attention",
    }
}
