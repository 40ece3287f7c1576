//! Who calls, and what they may do.
//!
//! A `Caller` is made once for each request, by whoever learned who it is, and says itself what it may:
//! no door asks the rules.

mod rules;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::error::{Error, Result};
pub use rules::{Decision, Rule, Rules, Who, glob};

/// What may be done, from seeing to ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To see runs, their series, configs and reports.
    Read,
    /// To start and cancel executions, and to have accounts asked.
    Start,
    /// To change how others are judged.
    Config,
    /// To delete, pin and unpin what was judged, and to run the retention.
    Delete,
    /// To have serin call others, by `actions` of a request or of a config.
    Actions,
    /// Everything, and what concerns the process itself.
    Admin,
}

impl Role {
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::Start,
        Self::Config,
        Self::Delete,
        Self::Actions,
        Self::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Start => "start",
            Self::Config => "config",
            Self::Delete => "delete",
            Self::Actions => "actions",
            Self::Admin => "admin",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What something is done to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct On<'a> {
    pub application: Of<'a>,
    pub account: Of<'a>,
}

/// Which applications, or accounts, something concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of<'a> {
    /// None: whoever may it anywhere may it here.
    #[default]
    None,
    One(&'a str),
    /// All of them, or nobody knows which: only who may it everywhere may it here.
    All,
}

impl<'a> On<'a> {
    /// What belongs to no application and no account.
    pub const NOTHING: Self = Self {
        application: Of::None,
        account: Of::None,
    };
    /// What belongs to all applications, or to one that nobody knows.
    pub const EVERYTHING: Self = Self {
        application: Of::All,
        account: Of::None,
    };

    pub fn application(name: &'a str) -> Self {
        Self {
            application: Of::One(name),
            account: Of::None,
        }
    }

    pub fn account(name: &'a str) -> Self {
        Self {
            application: Of::None,
            account: Of::One(name),
        }
    }

    #[must_use]
    pub fn with_account(self, name: &'a str) -> Self {
        Self {
            account: Of::One(name),
            ..self
        }
    }
}

/// How a caller showed who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    #[default]
    None,
    /// By a token of the configuration.
    Token,
    /// By a token that an issuer signed.
    Issuer,
    /// By a login in the browser.
    Login,
    /// By the word of a proxy that is trusted.
    Proxy,
    /// By a certificate.
    Certificate,
}

/// The other end of a connection; a request has it in its extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// Whom its certificate names, where a client certificate was verified.
    pub certificate: Option<Arc<Identity>>,
}

/// Who calls, as far as it was shown.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub proof: Proof,
    /// Of the token, the subject, the person, the certificate; empty for nobody.
    pub name: String,
    /// Which issuer, by its name in the configuration.
    pub issuer: Option<String>,
    /// Names that the certificate has beside its subject.
    pub also: Vec<String>,
    pub groups: Vec<String>,
    /// Claims of the issuer, as texts; a list has several.
    pub claims: IndexMap<String, Vec<String>>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// Whether it may everything, whatever the rules say: the token that was given at the start.
    pub breaks_glass: bool,
}

/// Who calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Known>);

#[derive(Debug)]
struct Known {
    identity: Identity,
    /// As logs, records and documents tell it.
    name: String,
    /// None where nothing is configured.
    rules: Option<Arc<Rules>>,
}

impl Caller {
    pub fn new(identity: Identity, rules: Option<Arc<Rules>>) -> Self {
        let name = identity.told();
        Self(Arc::new(Known {
            identity,
            name,
            rules,
        }))
    }

    /// Whoever calls where nothing is configured, and serin itself.
    pub fn anyone() -> Self {
        Self::new(Identity::default(), None)
    }

    /// As in `token:ci`, `github:repo:org/checkout:ref:refs/heads/main`, `user:ada`, `anonymous`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub fn is_anonymous(&self) -> bool {
        self.0.identity.proof == Proof::None
    }

    /// Whether anybody is told from anybody else at all.
    pub fn is_ruled(&self) -> bool {
        self.0.rules.is_some()
    }

    /// What the rules say, and which one.
    pub fn decide(&self, role: Role, on: On<'_>) -> Decision {
        match &self.0.rules {
            _ if self.0.identity.breaks_glass => Decision::allowed(None),
            // Nobody is an admin unless somebody says so.
            None => Decision {
                allowed: role != Role::Admin,
                rule: None,
            },
            Some(rules) => rules.decide(&self.0.identity, role, on),
        }
    }

    pub fn can(&self, role: Role, on: On<'_>) -> bool {
        self.decide(role, on).allowed
    }

    /// Whether runs and configs of that application may be seen.
    pub fn sees(&self, application: &str) -> bool {
        self.can(Role::Read, On::application(application))
    }

    /// # Errors
    /// `Unknown` when nobody knows who calls, and `Forbidden` when that is known, and it may not.
    pub fn check(&self, role: Role, on: On<'_>) -> Result<()> {
        if self.can(role, on) {
            return Ok(());
        }
        if self.is_anonymous() && self.is_ruled() {
            return Err(Error::Unknown(format!(
                "this wants the role '{role}'{}, and serin does not know who asks: send a token",
                told(on)
            )));
        }
        Err(Error::Forbidden(format!(
            "{} does not have the role '{role}'{}",
            self.name(),
            told(on)
        )))
    }
}

fn told(on: On<'_>) -> String {
    let application = match on.application {
        Of::None => String::new(),
        Of::One(name) => format!(" for the application '{name}'"),
        Of::All => " for all applications".to_owned(),
    };
    match on.account {
        Of::One(name) => format!("{application} on the account '{name}'"),
        Of::None | Of::All => application,
    }
}

impl Identity {
    fn told(&self) -> String {
        let kind = match self.proof {
            Proof::None => return "anonymous".to_owned(),
            Proof::Token => "token",
            Proof::Issuer => self.issuer.as_deref().unwrap_or("issuer"),
            Proof::Login | Proof::Proxy => "user",
            Proof::Certificate => "certificate",
        };
        format!("{kind}:{}", self.name)
    }
}
