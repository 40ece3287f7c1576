//! Files of the pages, as they are in the binary.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Result};

pub struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("assets/", $name)),
        }
    };
}

static ASSETS: [Asset; 16] = [
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("serin.js", "text/javascript; charset=utf-8"),
    asset!("configs.css", "text/css; charset=utf-8"),
    asset!("configs.js", "text/javascript; charset=utf-8"),
    asset!("editor.js", "text/javascript; charset=utf-8"),
    asset!("fields.js", "text/javascript; charset=utf-8"),
    asset!("form.js", "text/javascript; charset=utf-8"),
    asset!("metric.js", "text/javascript; charset=utf-8"),
    asset!("offers.js", "text/javascript; charset=utf-8"),
    asset!("picked.js", "text/javascript; charset=utf-8"),
    asset!("series.js", "text/javascript; charset=utf-8"),
    asset!("trial.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("vendor/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    asset!("vendor/codemirror.js", "text/javascript; charset=utf-8"),
    asset!("vendor/uPlot.min.css", "text/css; charset=utf-8"),
];

/// For the file that holds all it needs.
pub const STYLE: &str = concat!(
    include_str!("assets/vendor/uPlot.min.css"),
    include_str!("assets/style.css")
);
pub const SCRIPT: &str = include_str!("assets/serin.js");
pub const UPLOT: &str = include_str!("assets/vendor/uPlot.iife.min.js");

/// Differs when any file differs: what stands under it can be kept for ever.
static VERSION: LazyLock<u64> = LazyLock::new(version);

/// Where a page finds a file.
pub fn address(name: &str) -> String {
    format!("/ui/assets/{:016x}/{name}", *VERSION)
}

pub async fn find(
    Path((version, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let asset = ASSETS.iter().find(|asset| asset.name == file);
    let asset = asset.ok_or_else(|| Error::NotFound(format!("no file '{file}' of the pages")))?;
    let current = format!("{:016x}", *VERSION);
    let caching = if version == current {
        "public, max-age=31536000, immutable"
    } else {
        // A page of another version asks, while replicas are being replaced.
        "no-cache"
    };
    let tag = format!("\"{current}\"");
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str());
    let headers = [
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, tag),
    ];
    if is_known {
        return Ok((axum::http::StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, [(header::CONTENT_TYPE, asset.kind)], asset.bytes).into_response())
}

/// FNV-1a over all files.
fn version() -> u64 {
    let bytes = ASSETS.iter().flat_map(|asset| asset.bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
