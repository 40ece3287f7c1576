//! Bodies of answers, read as far as there is room: a server may tell no length, or another one.

use std::convert::Infallible;

use reqwest::Response;

/// What is reserved for an answer because it says how long it is.
const LARGEST_RESERVED: usize = 64 << 10;
/// What is read of an answer that is an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Why a body is not there.
#[derive(Debug)]
pub enum Unread<R = Infallible> {
    Broken(reqwest::Error),
    /// It has so many bytes, or more, and fewer are read.
    TooLong(u64),
    /// There is no room for it.
    Refused(R),
}

/// A body of at most so many bytes.
///
/// # Errors
/// Why it cannot be had whole.
pub async fn read(response: &mut Response, most: usize) -> Result<Vec<u8>, Unread> {
    read_paid(response, most, |_| Ok(())).await
}

/// The same, where bytes are paid for before they are kept.
///
/// # Errors
/// Why it cannot be had whole.
pub async fn read_paid<R>(
    response: &mut Response,
    most: usize,
    mut pay: impl FnMut(usize) -> Result<(), R>,
) -> Result<Vec<u8>, Unread<R>> {
    let told = response.content_length().unwrap_or(0);
    let reserved = usize::try_from(told).ok().filter(|told| *told <= most);
    let reserved = reserved.ok_or(Unread::TooLong(told))?.min(LARGEST_RESERVED);
    pay(reserved).map_err(Unread::Refused)?;
    let mut paid = reserved;
    let mut bytes = Vec::with_capacity(reserved);
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        let needed = bytes.len() + chunk.len();
        if most < needed {
            return Err(Unread::TooLong(needed as u64));
        }
        if paid < needed {
            pay(needed - paid).map_err(Unread::Refused)?;
            paid = needed;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// As much as there is of an answer that is an error.
pub async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let left = MAX_ERROR_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(left)]);
        if left <= chunk.len() {
            break;
        }
    }
    bytes
}
