//! What went wrong between serin and a bucket, in few words.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::storage::guarded::no_answer;

/// S3's code of an error that the server answered.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or("")
}

/// Whether other credentials might help.
pub fn is_refused<E>(error: &SdkError<E>) -> bool
where
    E: Error + ProvideErrorMetadata + 'static,
{
    // Not every server that does not know a key says so with Amazon's code, but all say 403.
    let forbidden = error
        .raw_response()
        .is_some_and(|response| [401, 403].contains(&response.status().as_u16()));
    let expired = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"].contains(&code(error));
    forbidden || expired || causes(error).any(<dyn Error>::is::<CredentialsError>)
}

/// Whether the server may well do later what it did not do now.
pub fn may_pass<E>(error: &SdkError<E>) -> bool
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if is_refused(error) {
        return false;
    }
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => true,
        other => other
            .raw_response()
            .is_some_and(|response| response.status().is_server_error()),
    }
}

/// Why a request failed, once all its attempts within `timeout` have.
pub fn why<E>(error: &SdkError<E>, timeout: Duration) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let status = error
        .raw_response()
        .map_or(0, |response| response.status().as_u16());
    match (error, code(error)) {
        (SdkError::TimeoutError(_), _) => no_answer(timeout),
        (SdkError::ServiceError(_) | SdkError::ResponseError(_), "") => {
            format!("an answer with status {status} that S3 does not give")
        }
        (SdkError::ServiceError(_), code) => code.to_owned(),
        _ => causes(error).last().map_or_else(
            || "the request could not be sent".to_owned(),
            ToString::to_string,
        ),
    }
}

/// The causes below an error, down to the first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| {
        (*cause).source()
    })
}
