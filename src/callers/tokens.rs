//! Tokens that are known by their hashes: those of the configuration, and those of a file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::Refused;
use crate::access::{Identity, Proof};
use crate::config::{self, Access, BREAK_GLASS, NamedToken, TokenHash, read_tokens};
use crate::error::{Error, Result};

/// How often to look whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct Tokens {
    fixed: Vec<NamedToken>,
    break_glass: Option<TokenHash>,
    file: Option<TokensFile>,
}

struct TokensFile {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    tokens: Arc<Vec<NamedToken>>,
    looked_at: Instant,
    /// What was wrong the last time; told once.
    wrong: Option<String>,
}

impl Tokens {
    pub fn open(access: &Access) -> Result<Self> {
        let file = access.tokens_file.clone().map(TokensFile::open);
        Ok(Self {
            fixed: access.tokens.clone(),
            break_glass: access.break_glass,
            file: file.transpose()?,
        })
    }

    /// Whose token it is, in epoch milliseconds `now`.
    ///
    /// # Errors
    /// `Refused` when it was somebody's.
    pub async fn find(&self, token: &str, now: i64) -> Result<Option<Identity>, Refused> {
        let hash = TokenHash::of(token);
        if self.break_glass.is_some_and(|own| is_same(own, hash)) {
            return Ok(Some(Identity {
                breaks_glass: true,
                ..identity(BREAK_GLASS)
            }));
        }
        let of_file = match &self.file {
            Some(file) => file.tokens().await,
            None => Arc::default(),
        };
        // All of them are looked at, so that the time tells nothing.
        let found = self.fixed.iter().chain(of_file.iter());
        let found = found.fold(None, |found, token| {
            let is_it = is_same(token.hash, hash);
            if is_it { Some(token) } else { found }
        });
        let Some(found) = found else {
            return Ok(None);
        };
        if found.expires.is_some_and(|expires| expires <= now) {
            let told = format!("the token '{}' has expired", found.name);
            return Err(Refused::new("expired", told));
        }
        Ok(Some(identity(&found.name)))
    }
}

fn identity(name: &str) -> Identity {
    Identity {
        proof: Proof::Token,
        name: name.to_owned(),
        ..Identity::default()
    }
}

fn is_same(own: TokenHash, shown: TokenHash) -> bool {
    own.0.ct_eq(&shown.0).into()
}

impl TokensFile {
    fn open(path: PathBuf) -> Result<Self> {
        let wrong = |config::Error(why)| Error::Invalid(format!("access.tokensFile: {why}"));
        let tokens = read_tokens(&path).map_err(wrong)?;
        let known = Known {
            tokens: Arc::new(tokens),
            looked_at: Instant::now(),
            wrong: None,
        };
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    /// As the file has them, or had them when it could be read.
    async fn tokens(&self) -> Arc<Vec<NamedToken>> {
        if self.take_turn() {
            let path = self.path.clone();
            // The file may lie where a read takes its time.
            let read = tokio::task::spawn_blocking(move || read_tokens(&path));
            if let Ok(read) = read.await {
                self.keep(read);
            }
        }
        Arc::clone(&self.known().tokens)
    }

    /// One of those who ask looks; others go on with what is known.
    fn take_turn(&self) -> bool {
        let mut known = self.known();
        let is_due = LOOK_EVERY <= known.looked_at.elapsed();
        if is_due {
            known.looked_at = Instant::now();
        }
        is_due
    }

    fn keep(&self, read: Result<Vec<NamedToken>, config::Error>) {
        let mut known = self.known();
        match read {
            Ok(tokens) => {
                if known.wrong.take().is_some() || *known.tokens != tokens {
                    tracing::info!(tokens = tokens.len(), "access.tokensFile was read again");
                    known.tokens = Arc::new(tokens);
                }
            }
            Err(config::Error(why)) => {
                if known.wrong.as_ref() != Some(&why) {
                    tracing::error!(
                        "access.tokensFile: {why}; the tokens that were known before hold on"
                    );
                    known.wrong = Some(why);
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
