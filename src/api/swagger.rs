//! Swagger UI: the page that shows the document of the API, packed by `build.rs`.

use std::fmt::Write;
use std::io::Read;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use flate2::read::GzDecoder;

use crate::app::App;
use crate::error::{Error, Result};

struct File {
    name: &'static str,
    kind: &'static str,
    packed: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            packed: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
        }
    };
}

const INDEX: &str = "index.html";

static FILES: [File; 10] = [
    file!("index.html", "text/html; charset=utf-8"),
    file!("index.css", "text/css; charset=utf-8"),
    file!("swagger-ui.css", "text/css; charset=utf-8"),
    file!("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    file!(
        "swagger-ui-standalone-preset.js",
        "text/javascript; charset=utf-8"
    ),
    file!("swagger-initializer.js", "text/javascript; charset=utf-8"),
    file!("oauth2-redirect.html", "text/html; charset=utf-8"),
    file!("oauth2-redirect.js", "text/javascript; charset=utf-8"),
    file!("favicon-16x16.png", "image/png"),
    file!("favicon-32x32.png", "image/png"),
];

pub fn routes() -> Router<App> {
    Router::new()
        .route("/swagger-ui", get(async || Redirect::to("/swagger-ui/")))
        .route("/swagger-ui/", get(index))
        .route("/swagger-ui/{file}", get(show))
}

async fn index(headers: HeaderMap) -> Result<Response> {
    find(INDEX, &headers)
}

async fn show(Path(file): Path<String>, headers: HeaderMap) -> Result<Response> {
    find(&file, &headers)
}

fn find(name: &str, headers: &HeaderMap) -> Result<Response> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Error::NotFound(format!("no file '{name}' of the page")))?;
    let given = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = file.tag();
    let told = [
        (header::CONTENT_TYPE, file.kind.to_owned()),
        (header::ETAG, tag.clone()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if given(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, told).into_response());
    }
    let takes_packed = given(header::ACCEPT_ENCODING).is_some_and(|it| it.contains("gzip"));
    if takes_packed {
        let packing = [(header::CONTENT_ENCODING, "gzip")];
        return Ok((told, packing, file.packed).into_response());
    }
    Ok((told, file.content()?).into_response())
}

impl File {
    fn content(&self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = GzDecoder::new(self.packed).read_to_end(&mut content);
        read.map_err(|error| Error::Internal(format!("cannot unpack {}: {error}", self.name)))?;
        Ok(content)
    }

    /// The check of what is packed and its length, as gzip ends (RFC 1952).
    fn tag(&self) -> String {
        let mut tag = "\"".to_owned();
        for byte in &self.packed[self.packed.len().saturating_sub(8)..] {
            let _ = write!(tag, "{byte:02x}");
        }
        tag + "\""
    }
}
