//! Telling a channel over HTTP; its URL is a secret, only its host is ever told.

use axum::http::{HeaderMap, Method};
use secrecy::ExposeSecret;

use super::message::shortened;
use crate::config::{Given, check_url};
use crate::http::Secrets;
use crate::outbox::{Failed, Http, reveal};

/// How much of an answer is told.
const TOLD_CHARACTERS: usize = 200;

/// Sends a body; it was taken if this returns.
pub async fn send(
    http: &Http,
    method: Method,
    address: &Given,
    headers: HeaderMap,
    body: String,
) -> Result<(), Failed> {
    let url = check_url(reveal(address).await?.expose_secret())
        .map_err(|why| Failed::later(format!("the URL {why}")))?;
    let answer = http.exchange(method, &url, headers, body).await?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    // It may say the address again.
    let secrets = Secrets::new([url.path(), url.query().unwrap_or_default()]);
    let text = shortened(&secrets.taken_out_of(answer.text), TOLD_CHARACTERS);
    let host = url.host_str().unwrap_or_default();
    let why = format!("'{host}' answered {}: {text}", answer.status);
    Err(match answer.status {
        // The message is wrong, and would be the next time.
        400 | 413 | 415 | 422 => Failed::never(why),
        _ => Failed {
            wait: answer.wait,
            ..Failed::later(why)
        },
    })
}
