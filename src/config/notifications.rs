//! The channels: who is told what, outside of serin.

use std::path::PathBuf;

use indexmap::IndexMap;
use minijinja::Environment;
use secrecy::SecretString;
use url::Url;

use super::section::Section;
use super::{Error, Result};
use crate::canary::Event;

#[derive(Clone, Debug)]
pub struct Channel {
    pub name: String,
    pub on: Vec<Event>,
    /// Empty: all.
    pub applications: Vec<String>,
    pub kind: ChannelKind,
}

#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// An incoming webhook.
    Slack(Given),
    /// The webhook of a workflow.
    Teams(Given),
    Webhook(Webhook),
    Email(Email),
}

/// A secret: itself, or the file that holds it.
#[derive(Clone, Debug)]
pub enum Given {
    Here(SecretString),
    File(PathBuf),
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: Given,
    pub method: String,
    pub headers: IndexMap<String, SecretString>,
    pub template: Option<String>,
    /// Signs every body.
    pub secret: Option<Given>,
}

#[derive(Clone, Debug)]
pub struct Email {
    pub server: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub username: Option<String>,
    pub password: Option<Given>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Encrypted after the greeting; a server that cannot is refused.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
    None,
}

pub fn read(section: &mut Section<'_>) -> Result<Vec<Channel>> {
    let mut names = Vec::<String>::new();
    section.list("channels", |section| {
        let channel = channel(section)?;
        if names.contains(&channel.name) {
            let path = section.path_of("name");
            return Err(Error(format!("{path} '{}' stands twice", channel.name)));
        }
        names.push(channel.name.clone());
        Ok(Some(channel))
    })
}

fn channel(section: &mut Section<'_>) -> Result<Channel> {
    let name = section.parsed("name", |text| Ok(text.to_owned()))?;
    let read = section.parsed("type", |text| match text {
        "slack" => Ok(slack as fn(&mut Section<'_>) -> Result<ChannelKind>),
        "teams" => Ok(teams as _),
        "webhook" => Ok(webhook as _),
        "email" => Ok(email as _),
        _ => Err("must be 'slack', 'teams', 'webhook' or 'email'".to_owned()),
    })?;
    let on = heard(&section.each("on", wish)?);
    if on.is_empty() {
        let path = section.path_of("on");
        return Err(Error(format!("{path} leaves nothing to be told")));
    }
    let shown: Vec<&str> = on.iter().map(|event| event.as_str()).collect();
    section.effective.insert("on".to_owned(), shown.into());
    Ok(Channel {
        name,
        on,
        applications: section.texts("applications")?,
        kind: read(section)?,
    })
}

/// What a list asks for: an event, or with `-` before it, not that one.
fn wish(text: &str) -> Result<(bool, Event), String> {
    let (is_wanted, name) = match text.strip_prefix('-') {
        Some(name) => (false, name),
        None => (true, text),
    };
    let event = Event::parse(name).filter(|event| *event != Event::Interval);
    event.map(|event| (is_wanted, event)).ok_or_else(|| {
        "must be 'start', 'pass', 'marginal', 'fail', 'inconclusive' or 'error', or one of them \
         behind a '-', to leave it out"
            .to_owned()
    })
}

/// A list that names no event begins with what did not pass. Who hears of a failure or an error
/// hears of what could not be told, too, as before it had a name of its own.
fn heard(wishes: &[(bool, Event)]) -> Vec<Event> {
    let named = |wanted: bool, event| wishes.contains(&(wanted, event));
    let names_none = wishes.iter().all(|(is_wanted, _)| !is_wanted);
    let usual = [
        Event::Marginal,
        Event::Fail,
        Event::Inconclusive,
        Event::Error,
    ];
    let is_heard = |event: &Event| {
        let follows = *event == Event::Inconclusive
            && (named(true, Event::Fail) || named(true, Event::Error));
        let is_usual = names_none && usual.contains(event);
        !named(false, *event) && (named(true, *event) || follows || is_usual)
    };
    Event::ALL.into_iter().filter(is_heard).collect()
}

fn slack(section: &mut Section<'_>) -> Result<ChannelKind> {
    address(section).map(ChannelKind::Slack)
}

fn teams(section: &mut Section<'_>) -> Result<ChannelKind> {
    address(section).map(ChannelKind::Teams)
}

fn webhook(section: &mut Section<'_>) -> Result<ChannelKind> {
    Ok(ChannelKind::Webhook(Webhook {
        url: address(section)?,
        method: section.parsed_or("method", Some("POST"), |text| match text {
            "POST" | "PUT" | "PATCH" => Ok(text.to_owned()),
            _ => Err("must be 'POST', 'PUT' or 'PATCH'".to_owned()),
        })?,
        headers: headers(section)?,
        template: template(section)?,
        secret: given(section, "secret", "secretFile")?,
    }))
}

fn headers(section: &mut Section<'_>) -> Result<IndexMap<String, SecretString>> {
    let headers = section.secrets_by_name("headers")?;
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        !name.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match headers.keys().find(|name| !is_name(name)) {
        Some(name) => Err(Error(format!(
            "{}: '{name}' is not the name of a header",
            section.path_of("headers")
        ))),
        None => Ok(headers),
    }
}

fn template(section: &mut Section<'_>) -> Result<Option<String>> {
    let template = section.text("template")?;
    if let Some(template) = &template {
        let shown = template.clone().into();
        section.effective.insert("template".to_owned(), shown);
        let templates = Environment::new();
        let compiled = templates.template_from_named_str("line", template);
        compiled.map_err(|cause| Error(format!("{}: {cause}", section.path_of("template"))))?;
    }
    Ok(template)
}

fn email(section: &mut Section<'_>) -> Result<ChannelKind> {
    let server = section.parsed("server", |text| Ok(text.to_owned()))?;
    let port = section.parsed_if_given("port", |text| {
        let port = text.parse::<u16>().ok().filter(|port| 0 < *port);
        port.ok_or_else(|| "must be a whole number from 1 to 65535".to_owned())
    })?;
    let tls = section.parsed_or("tls", Some("starttls"), |text| match text {
        "starttls" => Ok(SmtpTls::StartTls),
        "tls" => Ok(SmtpTls::Tls),
        "none" => Ok(SmtpTls::None),
        _ => Err("must be 'starttls', 'tls' or 'none'".to_owned()),
    })?;
    let port = port.unwrap_or(match tls {
        SmtpTls::StartTls => 587,
        SmtpTls::Tls => 465,
        SmtpTls::None => 25,
    });
    section.effective.insert("port".to_owned(), port.into());
    let username = section.text("username")?;
    let password = given(section, "password", "passwordFile")?;
    if username.is_some() != password.is_some() {
        let path = section.path_of("username");
        return Err(Error(format!(
            "{path} and a password (password or passwordFile) go together: give both or none"
        )));
    }
    let from = section.parsed("from", mailbox)?;
    let to = section.each("to", mailbox)?;
    if to.is_empty() {
        return Err(Error(format!("{} must be given", section.path_of("to"))));
    }
    Ok(ChannelKind::Email(Email {
        server,
        port,
        tls,
        username,
        password,
        from,
        to,
    }))
}

fn mailbox(text: &str) -> Result<String, String> {
    match text.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be an address, as in 'serin <serin@example.com>'".to_owned()),
    }
}

/// A URL whose path is a secret.
fn address(section: &mut Section<'_>) -> Result<Given> {
    let path = section.path_of("url");
    let Some(address) = given(section, "url", "urlFile")? else {
        return Err(Error(format!("{path} or urlFile must be given")));
    };
    if let Given::Here(url) = &address {
        check_url(secrecy::ExposeSecret::expose_secret(url))
            .map_err(|why| Error(format!("{path} {why}")))?;
    }
    Ok(address)
}

/// The message does not hold the URL.
pub fn check_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|cause| format!("must be a URL ({cause})"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("must begin with 'http://' or 'https://'".to_owned()),
    }
}

/// A secret that may stand in a file.
pub(super) fn given(
    section: &mut Section<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Result<Option<Given>> {
    let here = section.secret(key)?;
    let file = section.text(file_key)?;
    match (here, file) {
        (None, None) => Ok(None),
        (Some(secret), None) => Ok(Some(Given::Here(secret))),
        (None, Some(file)) => Ok(Some(Given::File(PathBuf::from(file)))),
        (Some(_), Some(_)) => Err(Error(format!(
            "{} and {file_key} are both given; one is enough",
            section.path_of(key)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_hears_what_it_names_and_what_could_not_be_told_with_failures() {
        let cases = [
            (&[][..], "marginal fail inconclusive error"),
            (&["fail"], "fail inconclusive"),
            (&["error", "pass"], "pass inconclusive error"),
            (&["pass", "marginal"], "pass marginal"),
            (&["inconclusive"], "inconclusive"),
            (&["fail", "-inconclusive"], "fail"),
            (&["-inconclusive"], "marginal fail error"),
            (&["-inconclusive", "inconclusive"], ""),
        ];
        for (list, expected) in cases {
            let wishes: Vec<_> = list.iter().map(|text| wish(text).unwrap()).collect();
            let heard = heard(&wishes);
            let names: Vec<&str> = heard.iter().map(|event| event.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{list:?}");
        }
        for text in ["interval", "-", "--fail", "Fail", "nodata"] {
            assert!(wish(text).is_err(), "{text}");
        }
    }
}
