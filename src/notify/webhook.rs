//! Any other service: a body of the operator's own making, signed.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use minijinja::Environment;
use minijinja::value::Serde;
use secrecy::ExposeSecret;

use super::message::Message;
use super::post;
use crate::config::{Channel, Webhook};
use crate::error::{Error, Result};
use crate::outbox::{Failed, Http, SIGNATURE, TEMPLATE, idempotency, signature, strict};

pub struct Hook {
    webhook: Webhook,
    method: Method,
    headers: HeaderMap,
    templates: Option<Environment<'static>>,
}

impl Hook {
    /// # Errors
    /// `Invalid` when the template cannot write what it will have to, or a header cannot be sent.
    pub fn new(channel: &Channel, webhook: &Webhook) -> Result<Self> {
        let name = &channel.name;
        let wrong = |what: &str| Error::Invalid(format!("the channel '{name}': {what}"));
        let mut headers = HeaderMap::new();
        for (header, value) in &webhook.headers {
            let parsed = HeaderName::try_from(header.as_str());
            let mut value = HeaderValue::try_from(value.expose_secret()).map_err(|_| {
                wrong(&format!(
                    "the header '{header}' has a value that cannot be sent"
                ))
            })?;
            value.set_sensitive(true);
            let header = parsed.map_err(|_| wrong(&format!("'{header}' is no header")))?;
            headers.insert(header, value);
        }
        headers
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        let hook = Self {
            webhook: webhook.clone(),
            method: webhook
                .method
                .parse()
                .map_err(|_| wrong("it has no method"))?,
            headers,
            templates: webhook
                .template
                .as_deref()
                .map(templates)
                .transpose()
                .map_err(|e| wrong(&e))?,
        };
        for event in &channel.on {
            let example = Message::example(name, *event);
            hook.body(&example).map_err(|why| {
                wrong(&format!(
                    "{why} (tried with an example of '{}')",
                    event.as_str()
                ))
            })?;
        }
        Ok(hook)
    }

    pub async fn send(&self, http: &Http, message: &Message, seconds: i64) -> Result<(), Failed> {
        let body = self.body(message).map_err(Failed::never)?;
        let mut headers = self.headers.clone();
        headers.extend(idempotency(&message.id));
        if let Some(secret) = &self.webhook.secret {
            headers.insert(SIGNATURE, signature(secret, seconds, &body).await?);
        }
        let url = &self.webhook.url;
        post::send(http, self.method.clone(), url, headers, body).await
    }

    fn body(&self, message: &Message) -> Result<String, String> {
        let Some(templates) = &self.templates else {
            return serde_json::to_string(message).map_err(|cause| cause.to_string());
        };
        let template = templates.get_template(TEMPLATE);
        let body = template
            .and_then(|template| template.render(Serde(message)))
            .map_err(|cause| told(&cause))?;
        if self.is_json()
            && let Err(cause) = serde_json::from_str::<serde::de::IgnoredAny>(&body)
        {
            return Err(format!(
                "its template does not write JSON: {cause}; \
                 '{{{{ title | tojson }}}}' writes a value with its quotes, and another \
                 Content-Type in 'headers' allows any text"
            ));
        }
        Ok(body)
    }

    fn is_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.to_ascii_lowercase().contains("json")
    }
}

fn templates(template: &str) -> Result<Environment<'static>, String> {
    let mut templates = strict();
    templates
        .add_template_owned(TEMPLATE, template.to_owned())
        .map_err(|cause| told(&cause))?;
    Ok(templates)
}

fn told(cause: &minijinja::Error) -> String {
    format!("its template: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Event;
    use crate::config::{ChannelKind, Given};

    fn hook(template: &str, headers: &[(&str, &str)]) -> Result<Hook> {
        let webhook = Webhook {
            url: Given::Here("http://receiver/".into()),
            method: "POST".to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
            template: Some(template.to_owned()),
            secret: None,
        };
        let channel = Channel {
            name: "c".to_owned(),
            on: Event::ALL.to_vec(),
            applications: Vec::new(),
            kind: ChannelKind::Webhook(webhook.clone()),
        };
        Hook::new(&channel, &webhook)
    }

    #[test]
    fn a_template_that_cannot_write_what_it_must_is_refused_at_once() {
        let text = [("Content-Type", "text/plain")];
        let cases = [
            (r#"{"t": {{ title | tojson }}}"#, &[][..], None),
            (r#"{"t": "{{ title }}"}"#, &[], Some("does not write JSON")),
            (r#"{"t": "{{ title }}"}"#, &text, None),
            ("{{ score | tojson }}", &[], None),
            ("{% for m in failed %}{{ m.name }}{% endfor %}", &text, None),
            ("one\n{{ titel }}", &text, Some("(in line:2)")),
            (
                "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}",
                &text,
                Some("fuel"),
            ),
        ];
        for (template, headers, expected) in cases {
            let told = hook(template, headers).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(told, None, "{template}"),
                Some(part) => assert!(
                    told.as_ref().is_some_and(|told| told.contains(part)),
                    "{template}: {told:?}"
                ),
            }
        }
    }
}
