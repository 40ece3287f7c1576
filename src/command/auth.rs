//! `serin auth`: what the rules say.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use saphyr::{LoadableYamlNode, MarkedYamlOwned};

use super::Configured;
use super::exit::{Exit, Usage, told};
use super::tell;
use crate::access::{Caller, Identity, On, Proof, Role, Rule, Rules, Who};
use crate::config::{self, Access, BREAK_GLASS, nearest};

#[derive(Subcommand)]
pub enum Auth {
    /// Tell which rule decides whether somebody may do something: exit code 0 if it may, 1 if not.
    Explain(Explain),
}

#[derive(clap::Args)]
pub struct Explain {
    #[command(flatten)]
    configured: Configured,
    /// Who, as logs call it: token:ci, user:ada@example.com, certificate:CN=orca, anonymous, or the name of an
    /// issuer with a subject, github:repo:org/checkout:ref:refs/heads/main.
    #[arg(long = "as", value_name = "CALLER")]
    caller: String,
    /// What: read, start, config, delete, actions or admin.
    #[arg(long = "do", value_name = "ROLE")]
    role: String,
    /// To which application; '*' is all of them, and without it what belongs to none is meant.
    #[arg(long = "on", value_name = "APPLICATION")]
    application: Option<String>,
    /// With which metrics account.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// A group of the person or subject; may be given again.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A claim of its token; may be given again.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// From where it calls.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
}

impl Auth {
    pub fn run(&self) -> ExitCode {
        let Self::Explain(explain) = self;
        told(explain.run())
    }
}

impl Explain {
    fn run(&self) -> anyhow::Result<Exit> {
        let loaded = self.configured.load_settings()?;
        let access = &loaded.config.access;
        let role = Role::parse(&self.role).ok_or_else(|| {
            let names = Role::ALL.map(Role::as_str);
            Usage(match nearest(&self.role, &names) {
                Some(near) => format!("--do '{}' is no role; did you mean '{near}'?", self.role),
                None => format!("--do must be one of {}", names.join(", ")),
            })
        })?;
        let caller = Caller::new(self.identity(access)?, access.rules.clone());
        let decision = caller.decide(role, self.on());
        let may = if decision.allowed { "may" } else { "may not" };
        tell::result(&format!("{} {may} '{role}'{}", caller.name(), self.place()))?;
        tell::result(&match (access.rules.as_deref(), decision.rule) {
            (_, _) if caller.identity().breaks_glass => {
                "it is access.breakGlassToken, which may everything, whatever the rules say"
                    .to_owned()
            }
            (None, _) => {
                "there are no access.rules: everybody may everything but 'admin'".to_owned()
            }
            (Some(rules), Some(at)) => of_rule(rules, at, access),
            (Some(rules), None) => format!(
                "none of the {} access.rules says anything about that, and what none says is refused",
                rules.0.len()
            ),
        })?;
        Ok(if decision.allowed {
            Exit::Pass
        } else {
            Exit::Fail
        })
    }

    fn on(&self) -> On<'_> {
        let on = match self.application.as_deref() {
            None => On::NOTHING,
            Some("*") => On::EVERYTHING,
            Some(name) => On::application(name),
        };
        self.account
            .as_deref()
            .map_or(on, |account| on.with_account(account))
    }

    fn place(&self) -> String {
        let application = match self.application.as_deref() {
            None => String::new(),
            Some("*") => " on all applications".to_owned(),
            Some(name) => format!(" on the application '{name}'"),
        };
        let account = self.account.iter();
        let account = account.map(|name| format!(" with the account '{name}'"));
        application + &account.collect::<String>()
    }

    fn identity(&self, access: &Access) -> Result<Identity, Usage> {
        let (kind, name) = self.caller.split_once(':').unwrap_or((&self.caller, ""));
        let mut identity = Identity {
            name: name.to_owned(),
            groups: self.groups.clone(),
            address: self.address,
            ..Identity::default()
        };
        for claim in &self.claims {
            let (name, value) = claim
                .split_once('=')
                .ok_or_else(|| Usage(format!("--claim '{claim}' must be NAME=VALUE")))?;
            let values = identity.claims.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
        identity.proof = match (kind, name) {
            ("anonymous", "") => Proof::None,
            ("token", _) if is_known(access, name)? => Proof::Token,
            ("user", _) if !name.is_empty() => Proof::Login,
            ("certificate", _) if !name.is_empty() => Proof::Certificate,
            _ if access.issuers.iter().any(|issuer| issuer.name == kind) => {
                identity.issuer = Some(kind.to_owned());
                Proof::Issuer
            }
            _ => return Err(self.nobody(access)),
        };
        identity.breaks_glass = identity.proof == Proof::Token && name == BREAK_GLASS;
        Ok(identity)
    }

    fn nobody(&self, access: &Access) -> Usage {
        let issuers = access
            .issuers
            .iter()
            .map(|issuer| format!("{}:SUBJECT", issuer.name));
        let known = [
            "token:NAME",
            "user:NAME",
            "certificate:SUBJECT",
            "anonymous",
        ];
        let known: Vec<_> = known
            .map(str::to_owned)
            .into_iter()
            .chain(issuers)
            .collect();
        Usage(format!(
            "--as '{}' is nobody that this configuration knows; it must be one of {}",
            self.caller,
            known.join(", ")
        ))
    }
}

/// Whether there is a token of that name.
fn is_known(access: &Access, name: &str) -> Result<bool, Usage> {
    let mut tokens = access.tokens.clone();
    if let Some(file) = &access.tokens_file {
        let more = config::read_tokens(file);
        tokens.extend(more.map_err(|wrong| Usage(format!("access.tokensFile: {wrong}")))?);
    }
    let is_glass = name == BREAK_GLASS && access.break_glass.is_some();
    Ok(is_glass || tokens.iter().any(|token| token.name == name))
}

fn of_rule(rules: &Rules, at: usize, access: &Access) -> String {
    let place = match (&access.rules_from, line(&access.rules_from, at)) {
        (from, Some(line)) => format!("{from}, line {line}"),
        (from, None) => from.clone(),
    };
    format!(
        "access.rules[{at}] ({place}) says so: {}",
        in_words(&rules.0[at])
    )
}

/// Where a rule stands in the file.
fn line(file: &str, at: usize) -> Option<usize> {
    let text = config::text::read(Path::new(file)).ok()?;
    let documents = MarkedYamlOwned::load_from_str(&text).ok()?;
    let access = documents.first()?.data.as_mapping_get("access")?;
    let rules = access.data.as_mapping_get("rules")?;
    let rule = rules.data.as_sequence()?.get(at)?;
    Some(rule.span.start.line())
}

fn in_words(rule: &Rule) -> String {
    let roles = |word: &str, roles: &[Role]| match roles {
        [] => String::new(),
        roles => format!(
            " {word} {}",
            roles
                .iter()
                .map(|role| role.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let only = |what: &str, patterns: &[String]| match patterns {
        [] => String::new(),
        patterns => format!(", {what} {}", patterns.join(", ")),
    };
    format!(
        "{}{}{}{}{}",
        who(&rule.who),
        roles("may", &rule.may),
        roles("may not", &rule.may_not),
        only("on the applications", &rule.applications),
        only("with the accounts", &rule.accounts)
    )
}

fn who(who: &Who) -> String {
    let named = |what: &str, pattern: &Option<String>| {
        pattern
            .as_ref()
            .map(|pattern| format!("{what} '{pattern}'"))
    };
    let claims = who.claims.iter();
    let claims = claims.map(|(claim, pattern)| format!("the claim {claim} '{pattern}'"));
    let anonymous = who.anonymous.then(|| "nothing to show".to_owned());
    let addresses = match &who.addresses[..] {
        [] => None,
        nets => {
            let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
            Some(format!("an address in {}", nets.join(" or ")))
        }
    };
    let parts: Vec<String> = [
        named("the token", &who.token),
        named("the issuer", &who.issuer),
        named("the subject", &who.subject),
        named("the name", &who.user),
        named("the group", &who.group),
        named("the certificate", &who.certificate),
        anonymous,
        addresses,
    ]
    .into_iter()
    .flatten()
    .chain(claims)
    .collect();
    match parts[..] {
        [] => "everybody".to_owned(),
        _ => format!("who has {}", parts.join(" and ")),
    }
}
