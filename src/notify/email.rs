//! E-mail, as text and as HTML.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::message::Message;
use crate::config::{Email, SmtpTls};
use crate::escape;
use crate::http::{Secrets, in_words};
use crate::outbox::{Failed, reveal};

const TIMEOUT: Duration = Duration::from_secs(15);

/// `at` is when it happened, in epoch milliseconds.
pub async fn send(email: &Email, message: &Message, at: i64) -> Result<(), Failed> {
    let letter = letter(email, message, at).map_err(|cause| Failed::never(in_words(&*cause)))?;
    let server = &email.server;
    let tls = || {
        TlsParameters::new_rustls(server.clone())
            .map_err(|cause| Failed::later(format!("no TLS with '{server}': {}", in_words(&cause))))
    };
    let tls = match email.tls {
        SmtpTls::StartTls => Tls::Required(tls()?),
        SmtpTls::Tls => Tls::Wrapper(tls()?),
        SmtpTls::None => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
        .port(email.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    let mut secrets = Secrets::default();
    if let (Some(user), Some(password)) = (&email.username, &email.password) {
        let password = reveal(password).await?.expose_secret().to_owned();
        // Together they are sent like this.
        secrets = Secrets::new([&*password, &*format!("\0{user}\0{password}")]);
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    let sent = transport.build().send(letter).await;
    sent.map(|_| ()).map_err(|cause| {
        let why = secrets.taken_out_of(format!("'{server}': {}", in_words(&cause)));
        let code = cause.status().map(|code| code.to_string());
        match code.as_deref() {
            // Who may send is a matter of the configuration, which can be put right.
            Some(code) if cause.is_permanent() && !code.starts_with("53") => Failed::never(why),
            _ => Failed::later(why),
        }
    })
}

fn letter(
    email: &Email,
    message: &Message,
    at: i64,
) -> Result<lettre::Message, Box<dyn std::error::Error + Send + Sync>> {
    let from: Mailbox = email.from.parse()?;
    let domain = from.email.domain().to_owned();
    let at = Duration::from_millis(u64::try_from(at).unwrap_or(0));
    let mut letter = lettre::Message::builder()
        .from(from)
        .subject(escape::line(&message.title))
        .date(UNIX_EPOCH + at)
        .message_id(Some(format!("<{}@{domain}>", message.id)));
    for to in &email.to {
        letter = letter.to(to.parse()?);
    }
    let (text, html) = (text(message), html(message));
    let both = MultiPart::alternative_plain_html(
        escape::document(&text).into_owned(),
        escape::document(&html).into_owned(),
    );
    Ok(letter.multipart(both)?)
}

fn text(message: &Message) -> String {
    let mut text = format!("{}\n\n{}\n", message.title, message.sentence);
    for metric in &message.failed {
        let critical = if metric.critical { ", critical" } else { "" };
        let _ = write!(
            text,
            "\n- {} ({}{critical}): {}",
            metric.name, metric.word, metric.sentence
        );
    }
    text.push('\n');
    for (name, value) in message.facts() {
        let _ = write!(text, "\n{name}: {value}");
    }
    if let Some(link) = &message.link {
        let _ = write!(text, "\n\n{link}");
    }
    text.push('\n');
    text
}

fn html(message: &Message) -> String {
    let mut html = format!(
        "<!DOCTYPE html><html><body style=\"font-family:sans-serif;color:#1f2933\">\
         <h2>{}</h2><p>{}</p>",
        escaped(&message.title),
        escaped(&message.sentence)
    );
    if !message.failed.is_empty() {
        html.push_str("<ul>");
        for metric in &message.failed {
            let critical = if metric.critical { ", critical" } else { "" };
            let _ = write!(
                html,
                "<li><b>{}</b> ({}{critical}): {}</li>",
                escaped(&metric.name),
                metric.word,
                escaped(&metric.sentence)
            );
        }
        html.push_str("</ul>");
    }
    if let Some(chart) = &message.chart {
        let _ = write!(
            html,
            "<p><img src=\"{}\" width=\"720\" alt=\"{}\"></p>",
            escaped(&chart.url),
            escaped(&chart.description())
        );
    }
    html.push_str("<table style=\"color:#66727f\">");
    for (name, value) in message.facts() {
        let _ = write!(html, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&value));
    }
    html.push_str("</table>");
    if let Some(link) = &message.link {
        let _ = write!(
            html,
            "<p><a href=\"{}\">Open the report</a></p>",
            escaped(link)
        );
    }
    html.push_str("</body></html>");
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
