//! What comes in: bodies, query parameters and ids, read as leniently as Kayenta's clients need.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::canary::{Id, fault};
use crate::config::nearest;
use crate::error::{Error, Result};

/// A JSON body. A missing content type is JSON; another one is refused.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let bytes = read(request, state).await?;
        parse(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

/// A body that does not say that it is anything else than JSON.
pub async fn read<S: Send + Sync>(
    request: Request,
    state: &S,
) -> std::result::Result<Bytes, Response> {
    if !is_json(request.headers()) {
        let told = "the body must be JSON: send 'Content-Type: application/json'";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, told).into_response());
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            Problem::new(rejection.status(), rejection.body_text()).into_response()
        })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or("").split(';').next().unwrap_or("");
    let kind = kind.trim().to_ascii_lowercase();
    kind.is_empty() || kind == "application/json" || kind == "application/*+json"
}

/// JSON with the path of what is wrong in the error.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // serde takes a list for a struct, too: one of its members in their order.
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins == Some(&b'[') && !is_list::<T>() {
        let told = "the body cannot be read: it is a list, where an object is wanted";
        return Err(Error::Invalid(told.to_owned()));
    }
    fault::read(bytes).map_err(|wrong| {
        // JSON has none.
        if bytes.contains(&0) {
            let told = "the body cannot be read: it holds zeros, as UTF-16 does; send UTF-8";
            return Error::Invalid(told.to_owned());
        }
        wrong.into()
    })
}

fn is_list<T: DeserializeOwned>() -> bool {
    let of_object = serde_json::from_str::<T>("{}");
    of_object.is_err_and(|error| error.to_string().starts_with("invalid type: map"))
}

/// An id in the path.
pub struct PathId(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> std::result::Result<Self, Response> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| {
                Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()).into_response()
            })?;
        Id::parse(&text)
            .map(Self)
            .map_err(IntoResponse::into_response)
    }
}

/// The query parameters. An empty value is as good as none.
pub struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> std::result::Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or("");
        Ok(Self::read(query.as_bytes()))
    }
}

impl Query {
    /// Of an address, or of a form.
    pub fn read(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// With what is given there, unless it is given here.
    #[must_use]
    pub fn or(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }

    /// # Errors
    /// `Invalid` when another parameter is there, for whoever lets none pass.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        let Some(unknown) = names.find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let meant = match nearest(unknown, known) {
            Some(meant) => format!("'{meant}' is meant"),
            None => format!("there are {}", known.join(", ")),
        };
        Err(Error::Invalid(format!(
            "the parameter '{unknown}' is not read: {meant}"
        )))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may stand several times, each as it is.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let given = self.0.iter().filter(move |(key, _)| key == name);
        given.map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// `Invalid` when the parameter is not there.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name)
            .ok_or_else(|| Error::Invalid(format!("the query parameter '{name}' must be given")))
    }

    /// All values: the parameter may stand several times, or hold a list with commas, which may stand
    /// in brackets, as Spinnaker's MCP server sends it.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut given: Vec<&str> = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect();
        // A single value is split at its commas; repeated ones stand for themselves.
        if let [single] = given[..] {
            let inner = single.trim().strip_prefix('[');
            let inner = inner.and_then(|inner| inner.strip_suffix(']'));
            given = inner.unwrap_or(single).split(',').collect();
        }
        given
            .into_iter()
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// # Errors
    /// `Invalid` when the text is not of the type.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.text(name)
            .map(|text| {
                let text = text.trim();
                let number = text.parse().or_else(|_| whole(text).parse());
                number.map_err(|_| {
                    Error::Invalid(format!(
                        "'{text}' is no value for '{name}', which wants a number"
                    ))
                })
            })
            .transpose()
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| {
            ["true", "1", "yes", "on"].contains(&text.to_ascii_lowercase().as_str())
        })
    }
}

/// A whole number without the zeros after its point: a language model writes 60 as `60.0`.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_careless_clients_write_them() {
        let numbers = [
            ("n=60", Some(60)),
            ("n=60.0", Some(60)),
            ("n=%2060.00", Some(60)),
            ("n=60.5", None),
            ("n=x", None),
            ("n=.0", None),
        ];
        for (text, expected) in numbers {
            let number = Query::read(text.as_bytes()).number::<i64>("n");
            assert_eq!(number.ok().flatten(), expected, "{text}");
        }
        let lists: [(&str, &[&str]); 6] = [
            ("l=a,b", &["a", "b"]),
            ("l=a&l=b,c", &["a", "b,c"]),
            ("l=[a=b,%20c=d]", &["a=b", "c=d"]),
            ("l=[a]", &["a"]),
            ("l=[]", &[]),
            ("l=[a", &["[a"]),
        ];
        for (text, expected) in lists {
            assert_eq!(Query::read(text.as_bytes()).list("l"), expected, "{text}");
        }
    }
}
