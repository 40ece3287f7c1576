//! Files of the pages, as they are in the binary.

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

const ASSETS: [Asset; 7] = [
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("serin.js", "text/javascript; charset=utf-8"),
    asset!("configs.css", "text/css; charset=utf-8"),
    asset!("configs.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("vendor/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
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
const VERSION: u64 = version();

/// Where a page finds a file.
pub fn address(name: &str) -> String {
    format!("/ui/assets/{VERSION:016x}/{name}")
}

pub async fn find(
    Path((version, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let asset = ASSETS.iter().find(|asset| asset.name == file);
    let asset = asset.ok_or_else(|| Error::NotFound(format!("no file '{file}' of the pages")))?;
    let current = format!("{VERSION:016x}");
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
const fn version() -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < ASSETS.len() {
        let bytes = ASSETS[at].bytes;
        let mut next = 0;
        while next < bytes.len() {
            hash = (hash ^ bytes[next] as u64).wrapping_mul(0x0100_0000_01b3);
            next += 1;
        }
        at += 1;
    }
    hash
}
