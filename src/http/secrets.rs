//! What a peer was sent and tells nobody again.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use reqwest::header::HeaderMap;

/// A text this short is no secret, and would be found in many a word.
const SHORTEST_SECRET: usize = 4;

/// What a peer was sent and may say again: it is taken out of what is told of its answer.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// As they are, and as JSON, addresses and Basic authentication write them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let long = secrets.into_iter().map(str::trim);
        let long = long.filter(|secret| SHORTEST_SECRET <= secret.len());
        let mut forms: Vec<String> = long.flat_map(forms).collect();
        // The longest first: what is left of it would be told where a part of it goes before.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms)
    }

    /// Those in headers that are marked as sensitive: their values, what follows a scheme such as
    /// `Bearer`, and the password of Basic authentication.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.values().filter(|value| value.is_sensitive());
        let values = values.filter_map(|value| value.to_str().ok());
        let mut secrets = Vec::new();
        for value in values {
            secrets.push(value.to_owned());
            let Some((scheme, given)) = value.split_once(' ') else {
                continue;
            };
            // Padding is left out by some.
            secrets.push(given.trim_end_matches('=').to_owned());
            let decoded = BASE64_STANDARD.decode(given.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            if scheme.eq_ignore_ascii_case("basic")
                && let Some((_, password)) = decoded.as_deref().and_then(|it| it.split_once(':'))
            {
                secrets.push(password.to_owned());
            }
        }
        Self::new(secrets.iter().map(String::as_str))
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self
    }

    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|form| text.contains(form.as_str()))
    }

    pub fn taken_out_of(&self, text: String) -> String {
        if !self.are_in(&text) {
            return text;
        }
        let forms = self.0.iter();
        forms.fold(text, |text, form| text.replace(form.as_str(), "…"))
    }
}

fn forms(secret: &str) -> [String; 4] {
    let json = serde_json::Value::from(secret).to_string();
    [
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        super::escaped(secret).to_string(),
        BASE64_STANDARD_NO_PAD.encode(secret),
    ]
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut value = HeaderValue::from_static(value);
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-open", HeaderValue::from_static("open"));
        headers.insert(name, value);
        headers
    }

    #[test]
    fn what_a_peer_says_again_is_taken_out() {
        let basic = headers("authorization", "Basic dXNlcjpwYXNzL3dvcmQ=");
        let cases = [
            (&basic, "you sent Basic dXNlcjpwYXNzL3dvcmQ=", "you sent …"),
            (&basic, "dXNlcjpwYXNzL3dvcmQ or with =", "… or with ="),
            (
                &basic,
                "pass/word, pass%2Fword, user, open",
                "…, …, user, open",
            ),
            (
                &headers("x-api-key", "my-pass/w.rd"),
                "key=my-pass%2Fw.rd",
                "key=…",
            ),
            (
                &headers("authorization", "Bearer t0ken"),
                "no t0ken here",
                "no … here",
            ),
            (
                &headers("x-api-key", "a\"key"),
                r#"{"was": "a\"key"}"#,
                r#"{"was": "…"}"#,
            ),
            (
                &headers("x-api-key", "abc"),
                "abc is no secret",
                "abc is no secret",
            ),
        ];
        for (headers, text, expected) in cases {
            let told = Secrets::of(headers).taken_out_of(text.to_owned());
            assert_eq!(told, expected, "{text}");
        }
    }
}
