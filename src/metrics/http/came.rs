//! What came instead of an answer of the source: what it is, from where, and how it begins.

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use reqwest::{Response, StatusCode};
use url::Url;

use super::connect::place;
use super::{Wanted, error_text};
use crate::http::cut;

/// How much is shown of it.
const SHOWN: usize = 80;

/// And of what its service says in words.
const WORDS_BYTES: usize = 1 << 10;

/// An answer without its body.
pub struct Came {
    status: StatusCode,
    url: Url,
    kind: Option<String>,
    encoding: Option<String>,
}

impl Came {
    pub fn of(response: &Response) -> Self {
        let text = |name: HeaderName| {
            let text = response.headers().get(name)?.to_str().ok()?.trim();
            Some(text).filter(|text| !text.is_empty())
        };
        // Of what was asked for, nothing is left to tell.
        let encoding = text(CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
        Self {
            status: response.status(),
            url: response.url().clone(),
            kind: text(CONTENT_TYPE).map(str::to_owned),
            encoding: encoding.map(str::to_owned),
        }
    }

    /// Whether a body may be an answer, so that its reader tells more.
    pub fn is_wanted(&self, wanted: Wanted, body: &[u8]) -> bool {
        let is_plain = self.encoding.is_none();
        match wanted {
            Wanted::Anything => true,
            Wanted::Json | Wanted::JsonOrWords => is_plain && is_json(body),
            Wanted::Events => {
                let kind = self.kind.as_ref();
                is_plain && kind.is_some_and(|kind| kind.contains("event-stream"))
            }
        }
    }

    pub fn no_answer(&self, body: &[u8]) -> String {
        format!("{} instead of an answer", self.told(body))
    }

    /// Prometheus's own words, else those of HTTP with what the server wrote.
    pub fn error(&self, wanted: Wanted, body: &[u8]) -> String {
        if let Some(text) = error_text(body) {
            return text;
        }
        let status = self.status.as_u16();
        let reason = self.status.canonical_reason();
        let reason = reason.map_or_else(|| format!("status {status}"), str::to_owned);
        if body.trim_ascii().is_empty() && self.encoding.is_none() {
            return format!("{reason}, from '{}'", place(&self.url));
        }
        match self.words(body).filter(|_| wanted == Wanted::JsonOrWords) {
            Some(words) => format!("{reason}: {words}"),
            None => format!("{reason}: {}", self.told(body)),
        }
    }

    /// A plain text, in one line.
    fn words(&self, body: &[u8]) -> Option<String> {
        let kind = self.kind.as_deref()?;
        if self.encoding.is_some() || !kind.starts_with("text/plain") || is_json(body) {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let is_odd = |letter: char| letter.is_control() && !letter.is_whitespace();
        if text.contains(is_odd) {
            return None;
        }
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        cut(&mut words, WORDS_BYTES);
        Some(words)
    }

    fn told(&self, body: &[u8]) -> String {
        let from = place(&self.url);
        let what = match (&self.encoding, &self.kind) {
            (Some(encoding), _) => {
                return format!(
                    "what is encoded as '{encoding}', which nobody asked for, came from '{from}'"
                );
            }
            _ if body.trim_ascii().is_empty() => {
                return format!(
                    "nothing (status {}) came from '{from}'",
                    self.status.as_u16()
                );
            }
            (None, Some(kind)) if is_json(body) => format!("JSON ({kind})"),
            (None, None) if is_json(body) => "JSON".to_owned(),
            (None, Some(kind)) if kind.contains("html") => format!("a web page ({kind})"),
            (None, _) if body.trim_ascii_start().starts_with(b"<") => "a web page".to_owned(),
            (None, Some(kind)) => format!("a text ({kind})"),
            (None, None) => "a text".to_owned(),
        };
        let Some(begin) = beginning(body) else {
            return format!("what is no text came from '{from}'");
        };
        format!("{what} that begins '{begin}' came from '{from}'")
    }
}

fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// In one line; none of what is no text.
fn beginning(body: &[u8]) -> Option<String> {
    let begin = &body[..body.len().min(SHOWN * 8)];
    let text = String::from_utf8_lossy(begin);
    let is_odd =
        |letter: char| letter == '\u{fffd}' || (letter.is_control() && !letter.is_whitespace());
    let odd = text.chars().filter(|letter| is_odd(*letter)).count();
    if text.chars().count() < odd * 10 {
        return None;
    }
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let shown: String = line.chars().take(SHOWN).collect();
    Some(if shown.len() < line.len() || begin.len() < body.len() {
        format!("{shown}…")
    } else {
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_with_its_beginning() {
        let url = Url::parse("http://u:p@p/q?query=up").unwrap();
        let came = |kind: Option<&str>, encoding: Option<&str>| Came {
            status: StatusCode::FORBIDDEN,
            url: url.clone(),
            kind: kind.map(str::to_owned),
            encoding: encoding.map(str::to_owned),
        };
        let page = "<html>\n  <title>Some Exporter</title>";
        let long = "x".repeat(100);
        let cases = [
            (
                came(Some("text/html; charset=utf-8"), None),
                page.as_bytes(),
                "a web page (text/html; charset=utf-8) that begins '<html> <title>Some \
                 Exporter</title>' came from 'http://p/q'",
            ),
            (
                came(None, None),
                page.as_bytes(),
                "a web page that begins '<html>",
            ),
            (
                came(None, None),
                b"404 page not found\n",
                "a text that begins '404 page not found' came",
            ),
            (
                came(Some("text/plain"), None),
                long.as_bytes(),
                "a text (text/plain) that begins 'xxxx",
            ),
            (
                came(None, None),
                b"\x1b\x02\xff\xfe\x00",
                "what is no text came from 'http://p/q'",
            ),
            (
                came(None, Some("br")),
                b"\x1b\x02",
                "what is encoded as 'br', which nobody asked for, came from 'http://p/q'",
            ),
        ];
        for (came, body, expected) in cases {
            assert!(!came.is_wanted(Wanted::Json, body), "{expected}");
            let told = came.no_answer(body);
            assert!(told.starts_with(expected), "{told}");
            let told = came.error(Wanted::Json, body);
            assert!(
                told.starts_with(&format!("Forbidden: {expected}")),
                "{told}"
            );
        }
        let cases = [
            (" [1]", "JSON that begins '[1]' came from 'http://p/q'"),
            ("\n", "nothing (status 403) came from 'http://p/q'"),
        ];
        for (body, expected) in cases {
            let told = came(None, None).no_answer(body.as_bytes());
            assert_eq!(told, format!("{expected} instead of an answer"));
        }
        assert!(came(None, None).is_wanted(Wanted::Json, b"{\"status\":"));
        assert!(!came(None, Some("br")).is_wanted(Wanted::Json, b"{\"status\":"));
        let error = b"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no\"}";
        assert_eq!(came(None, None).error(Wanted::Json, error), "bad_data: no");
        assert_eq!(
            came(None, None).error(Wanted::Json, b" "),
            "Forbidden, from 'http://p/q'"
        );
    }

    #[test]
    fn a_service_may_tell_its_errors_in_words() {
        let came = |kind: &str| Came {
            status: StatusCode::BAD_REQUEST,
            url: Url::parse("http://l/loki/api/v1/query_range").unwrap(),
            kind: Some(kind.to_owned()),
            encoding: None,
        };
        let words = "parse error at line 1, col 9:\n syntax error: unexpected IDENTIFIER, expecting STRING; more than eighty letters";
        let told = came("text/plain; charset=utf-8").error(Wanted::JsonOrWords, words.as_bytes());
        assert_eq!(told, format!("Bad Request: {}", words.replace('\n', "")));
        let others = [
            ("text/html", words, "a web page (text/html) that begins"),
            (
                "text/plain",
                "\u{1b}[31mno such tenant",
                "a text (text/plain) that begins",
            ),
        ];
        for (kind, body, expected) in others {
            let told = came(kind).error(Wanted::JsonOrWords, body.as_bytes());
            assert!(
                told.starts_with(&format!("Bad Request: {expected}")),
                "{told}"
            );
        }
        let told = came("text/plain").error(Wanted::Json, words.as_bytes());
        assert!(
            told.starts_with("Bad Request: a text (text/plain) that begins 'parse"),
            "{told}"
        );
    }
}
