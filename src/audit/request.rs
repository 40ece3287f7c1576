//! Which request is answered: the id by which its log and its record are found, and whence it came.

use std::net::IpAddr;

/// A request that is answered.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub id: String,
    pub address: Option<IpAddr>,
}

tokio::task_local! {
    static ASKED: Asked;
}

/// Whatever `work` records belongs to that request.
pub async fn within<T>(asked: Asked, work: impl Future<Output = T>) -> T {
    ASKED.scope(asked, work).await
}

/// None where no request is answered.
pub(super) fn asked() -> Option<Asked> {
    ASKED.try_with(Clone::clone).ok()
}
