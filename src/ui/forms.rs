//! What people send: fields of a form or of an address, from a page of serin's own.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use url::Url;

use crate::config::Server;

/// The fields in their order; what stands twice counts as it stands last.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn of<const N: usize>(fields: [(&str, &str); N]) -> Self {
        let owned = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(owned.into())
    }

    /// Without the blanks around it; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// None where it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether it was sent at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Lines end as browsers show them, not as they send them.
    pub fn lines(&self, name: &str) -> String {
        self.raw(name).replace("\r\n", "\n")
    }

    fn raw(&self, name: &str) -> &str {
        let mut fields = self.0.iter().rev();
        let found = fields.find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// One field of a form that comes back when something is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Field {
    pub name: String,
    pub value: String,
    pub problem: Option<String>,
}

impl Field {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            problem: None,
        }
    }

    pub fn fill(&mut self, fields: &Fields) {
        fields.lines(&self.name).trim().clone_into(&mut self.value);
    }

    /// None where it is empty.
    pub fn given(&self) -> Option<&str> {
        Some(self.value.as_str()).filter(|value| !value.is_empty())
    }

    /// What `parse` makes of the value, or `None` and the problem that it has with it.
    pub fn parsed<T>(&mut self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(&self.value)
            .map_err(|problem| self.problem = Some(problem))
            .ok()
    }
}

/// A page of another site can borrow what a browser knows: a login, a password, or only the way to
/// serin, where nobody is asked who calls. So of what browsers send, only what comes from serin's own
/// pages is taken; other clients do not say where they come from.
pub fn own_pages_only(
    server: &Server,
) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + use<>> {
    let layer = CsrfLayer::new();
    let public = server.public_url.as_deref();
    let origin = public.and_then(|url| Some(Url::parse(url).ok()?.origin().ascii_serialization()));
    // A proxy may have changed the host; what users see is known then.
    let trusted = origin.and_then(|origin| layer.clone().add_trusted_origin(origin).ok());
    trusted.unwrap_or(layer).with_rejection_response(refused)
}

fn refused(_: ProtectionError) -> Response {
    let told = "this request came from a page of another site, or through a proxy that hides the host: \
                server.publicUrl tells serin under which address it is reached";
    (StatusCode::FORBIDDEN, Json(json!({"message": told}))).into_response()
}
