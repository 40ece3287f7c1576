//! Every account is asked what it is for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{Account, Config, RemoteJudge, Store};
use crate::error::{Error, Result};
use crate::http;
use crate::metrics::{self, MetricSource};
use crate::storage::objects::{self, ObjectStore};

/// As many are asked at once.
const AT_ONCE: usize = 8;
/// No object of a check is larger.
const MOST: u64 = 1 << 20;
/// Where stores are asked to keep something: no group of documents is there.
const FOLDER: &str = "health/check/";
const PROBE: &[u8] = b"{\"writtenBy\":\"serin accounts check\"}";

#[derive(Clone, Copy)]
pub struct Wishes {
    /// How long an account may take.
    pub limit: Duration,
    pub writes: bool,
}

/// What became of an account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    pub name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip)]
    pub title: &'static str,
    pub supported_types: Vec<&'static str>,
    #[serde(rename = "where")]
    pub place: String,
    /// What it did when it was asked to.
    pub may: Vec<&'static str>,
    /// Why it did no more.
    pub wrong: Option<Wrong>,
    took_millis: u64,
}

#[derive(Debug, Serialize)]
pub struct Wrong {
    /// What it was asked to do.
    pub at: &'static str,
    pub message: String,
    /// What would be right.
    pub advice: String,
}

/// In the order of the configuration.
pub async fn all(config: &Config, wishes: Wishes) -> Vec<Asked> {
    let accounts = config.accounts.iter();
    let accounts = accounts.map(|account| Box::pin(of_account(config, account, wishes)));
    let mut asked: Vec<Asked> = stream::iter(accounts).buffered(AT_ONCE).collect().await;
    if let Some(judge) = &config.remote_judge {
        asked.push(of_judge(judge, wishes).await);
    }
    asked
}

async fn of_account(config: &Config, account: &Account, wishes: Wishes) -> Asked {
    let mut steps = Steps::until(wishes.limit);
    if account.source.is_some() {
        match source(config, account) {
            Ok(source) => {
                steps.take("answer", source.health()).await;
                steps.take("query", source.probe()).await;
            }
            Err(error) => steps.fail("be opened", &error),
        }
    }
    if account.store.is_some() {
        match objects::open(account, MOST) {
            Ok(Some(store)) => store_steps(&*store, wishes, &mut steps).await,
            Ok(None) => {}
            Err(error) => steps.fail("be opened", &error),
        }
    }
    let types = account.supported_types.iter();
    Asked {
        name: account.name.clone(),
        kind: account.face.word,
        title: account.face.title,
        supported_types: types.map(|supported| supported.as_str()).collect(),
        place: place(account),
        took_millis: steps.took(),
        may: steps.may,
        wrong: steps.wrong,
    }
}

/// Alone: what is wrong with another one is told there.
fn source(config: &Config, account: &Account) -> Result<Arc<dyn MetricSource>> {
    let alone = Config {
        accounts: vec![account.clone()],
        ..config.clone()
    };
    let mut opened = metrics::open(&alone, &Clock::System)?;
    opened
        .shift_remove(&account.name)
        .ok_or_else(|| Error::Internal("the account is no metric source".to_owned()))
}

async fn store_steps(store: &dyn ObjectStore, wishes: Wishes, steps: &mut Steps) {
    steps
        .take("list", async { store.list(FOLDER).await.map(drop) })
        .await;
    if !wishes.writes || steps.wrong.is_some() {
        return;
    }
    // Two checks at once are not in each other's way.
    let key = format!("{FOLDER}{}.json", Uuid::new_v4());
    let put = async { store.put(&key, Bytes::from_static(PROBE)).await.map(drop) };
    if !steps.take("write", put).await {
        return;
    }
    let get = async {
        match store.get(&key).await? {
            Some(body) if &*body == PROBE => Ok(()),
            Some(_) => Err(Error::storage(
                "what was read is not what was written",
                key.as_str(),
            )),
            None => Err(Error::storage(
                "what was written is not there",
                key.as_str(),
            )),
        }
    };
    steps.take("read", get).await;
    // Whatever came of that, nothing is to be left.
    steps.take("delete", store.delete(&key)).await;
}

async fn of_judge(judge: &RemoteJudge, wishes: Wishes) -> Asked {
    let mut steps = Steps::until(wishes.limit);
    let there = async {
        let client = http::client().build();
        let asked = async { client?.get(&judge.base_url).send().await };
        let answer = asked
            .await
            .map_err(|error| Error::Unavailable(http::in_words(&error.without_url())))?;
        // What it says to a GET is its own affair.
        if answer.status().is_server_error() {
            return Err(Error::Unavailable(format!(
                "it answers {}",
                answer.status()
            )));
        }
        Ok(())
    };
    steps.take("answer", there).await;
    Asked {
        name: "RemoteJudge-v1.0".to_owned(),
        kind: "remote-judge",
        title: "judge",
        supported_types: vec!["REMOTE_JUDGE"],
        place: judge.base_url.clone(),
        took_millis: steps.took(),
        may: steps.may,
        wrong: steps.wrong,
    }
}

/// What an account is asked to do, one after the other.
struct Steps {
    began: Instant,
    limit: Duration,
    may: Vec<&'static str>,
    wrong: Option<Wrong>,
}

impl Steps {
    fn until(limit: Duration) -> Self {
        Self {
            began: Instant::now(),
            limit,
            may: Vec::new(),
            wrong: None,
        }
    }

    /// Whether it did it in time. The first failure is told.
    async fn take(&mut self, what: &'static str, step: impl Future<Output = Result<()>>) -> bool {
        let done = timeout_at(self.began + self.limit, step).await;
        let done = done.unwrap_or_else(|_| {
            let seconds = self.limit.as_secs();
            Err(Error::Unavailable(format!("no answer within {seconds} s")))
        });
        match done {
            Ok(()) => self.may.push(what),
            Err(error) => {
                self.fail(what, &error);
                return false;
            }
        }
        true
    }

    fn fail(&mut self, at: &'static str, error: &Error) {
        self.wrong.get_or_insert_with(|| Wrong {
            at,
            message: in_full(error),
            advice: advice(error).to_owned(),
        });
    }

    fn took(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// With what the system said; what else lies beneath is for the log, and may hold what was sent.
fn in_full(error: &Error) -> String {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match cause.map(ToString::to_string) {
        Some(cause) if !error.to_string().contains(&cause) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

fn advice(error: &Error) -> &'static str {
    const CREDENTIALS: &str = "the credentials are refused: are they those of this server, still in force, \
                               and allowed to do that?";
    const ADDRESS: &str = "is the address right, and can it be reached from here (names, ports, proxies, \
                           firewalls, certificates)?";
    const OTHER: &str = "something else answers there: is the address right, with its path?";
    const PLACE: &str =
        "are bucket or folder, region and rootFolder right, and may the account do that?";
    if let Error::Fetch(fetch) = error {
        return match fetch.status {
            Some(401 | 403) => CREDENTIALS,
            Some(429) => {
                "the limit of requests is met: try again later, or ask the service for more"
            }
            Some(500..) => "the service has a fault of its own: try again later",
            Some(400 | 422) => {
                "the service takes no such query: is it what its section says it is?"
            }
            Some(_) => OTHER,
            None => ADDRESS,
        };
    }
    let text = in_full(error);
    let refusals = [
        "AccessDenied",
        "Forbidden",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "Unauthorized",
    ];
    match error {
        _ if refusals.iter().any(|word| text.contains(word)) => CREDENTIALS,
        Error::Unavailable(_) => ADDRESS,
        Error::Storage { .. } => PLACE,
        _ => "the account cannot be used as it is configured",
    }
}

fn place(account: &Account) -> String {
    let face = &account.face;
    if let Some(folder) = account.store.as_ref().and_then(Store::folder) {
        return folder.display().to_string();
    }
    if let Some(url) = &face.base_url {
        return url.clone();
    }
    let parts = [
        &face.server,
        &face.project,
        &face.bucket,
        &face.region,
        &face.root_folder,
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(" · ")
}
