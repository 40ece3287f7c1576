//! The rules, held against what there is to be known by.

use super::network;
use crate::access::{Role, Rule, Rules, Who, glob};
use crate::config::scalar::nearest;
use crate::config::section::Section;
use crate::config::{Error, Result};

/// By what callers can show who they are.
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own")]
pub struct Shown<'a> {
    pub tokens: Vec<&'a str>,
    /// There may be others, as time goes.
    pub more_tokens: bool,
    pub issuers: Vec<&'a str>,
    pub people: bool,
    pub certificates: bool,
    pub break_glass: bool,
}

impl Shown<'_> {
    /// Certificates may be there to let nobody else in.
    fn is_anything(&self) -> bool {
        !self.tokens.is_empty() || self.more_tokens || !self.issuers.is_empty() || self.people
    }
}

pub fn read(section: &mut Section<'_>, shown: &Shown<'_>) -> Result<Option<Rules>> {
    let path = section.path_of("rules");
    let rules = section.list("rules", |section| rule(section, shown).map(Some))?;
    if !rules.is_empty() {
        let is_ruled = rules.iter().any(|rule| rule.may.contains(&Role::Admin));
        if !is_ruled && !shown.break_glass {
            section.context().warn(format!(
                "{path}: no rule gives 'admin' to anybody, so nobody has it"
            ));
        }
        return Ok(Some(Rules(rules)));
    }
    if shown.is_anything() {
        return Err(Error(format!(
            "{path} must be given: it is known who calls, and nothing says what they may"
        )));
    }
    Ok(None)
}

fn rule(section: &mut Section<'_>, shown: &Shown<'_>) -> Result<Rule> {
    let path = section.path_of("who");
    let who = section.section("who", |section| who(section, shown))?;
    check_kinds(&who)
        .and_then(|()| check_issuer(&who, shown))
        .map_err(|why| Error(format!("{path} {why}")))?;
    let rule = Rule {
        who,
        may: section.each("may", role)?,
        may_not: section.each("mayNot", role)?,
        applications: section.texts("applications")?,
        accounts: section.texts("accounts")?,
    };
    check(&rule).map_err(|(key, why)| Error(format!("{} {why}", section.path_of(key))))?;
    Ok(rule)
}

fn check(rule: &Rule) -> Result<(), (&'static str, String)> {
    if rule.may.is_empty() && rule.may_not.is_empty() {
        return Err((
            "may",
            "or mayNot must be given: the rule says nothing".to_owned(),
        ));
    }
    let both = rule.may.iter().find(|role| rule.may_not.contains(role));
    if let Some(role) = both {
        return Err(("mayNot", format!("says '{role}', and may says it too")));
    }
    if rule.is_narrow() && rule.may.contains(&Role::Admin) {
        return Err((
            "may",
            "says 'admin', which is about the process, and not about some applications or accounts: \
             name read, start, config, delete, actions"
                .to_owned(),
        ));
    }
    Ok(())
}

fn role(text: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::as_str);
    Role::parse(text).ok_or_else(|| match nearest(text, &names) {
        Some(near) => format!("is no role; did you mean '{near}'?"),
        None => format!("must be one of {}", names.join(", ")),
    })
}

fn who(section: &mut Section<'_>, shown: &Shown<'_>) -> Result<Who> {
    Ok(Who {
        token: section.parsed_if_given("token", |text| shown.token(text))?,
        issuer: section.parsed_if_given("issuer", |text| shown.issuer(text))?,
        subject: section.parsed_if_given("subject", |text| shown.of_issuer(text))?,
        claims: {
            let claims = section.texts_by_path("claims")?;
            if !claims.is_empty() {
                let path = section.path_of("claims");
                let is_shown = shown.of_issuer("");
                is_shown.map_err(|why| Error(format!("{path}: {why}")))?;
            }
            claims
        },
        user: section.parsed_if_given("user", |text| shown.person(text))?,
        group: section.parsed_if_given("group", |text| shown.of_group(text))?,
        certificate: section.parsed_if_given("certificate", |text| shown.certificate(text))?,
        anonymous: section.flag_or("anonymous", false)?,
        addresses: section.each("addresses", network)?,
    })
}

/// Nobody is of two kinds.
fn check_kinds(who: &Who) -> Result<(), String> {
    let is_issued = who.issuer.is_some() || who.subject.is_some() || !who.claims.is_empty();
    let kinds = [
        ("token", who.token.is_some()),
        ("issuer, subject or claims", is_issued),
        ("user", who.user.is_some()),
        ("certificate", who.certificate.is_some()),
        ("anonymous", who.anonymous),
    ];
    let named: Vec<&str> = kinds
        .iter()
        .filter(|(_, is)| *is)
        .map(|(kind, _)| *kind)
        .collect();
    match named[..] {
        [_, _, ..] => Err(format!(
            "is about nobody: no caller is known by {}; two rules can say it",
            named.join(" and by ")
        )),
        [kind @ ("token" | "certificate" | "anonymous")] if who.group.is_some() => {
            Err(format!("is about nobody: {kind} has no group"))
        }
        _ => Ok(()),
    }
}

/// One issuer could say of somebody what another says of others.
fn check_issuer(who: &Who, shown: &Shown<'_>) -> Result<(), String> {
    let is_issued = who.subject.is_some() || !who.claims.is_empty();
    if is_issued && who.issuer.is_none() && 1 < shown.issuers.len() {
        return Err(format!(
            "must name an issuer for its subject or claims: there are {}",
            shown.issuers.join(", ")
        ));
    }
    Ok(())
}

impl Shown<'_> {
    fn token(&self, pattern: &str) -> Result<String, String> {
        let is_there = self.tokens.iter().any(|name| glob(pattern, name));
        if is_there || self.more_tokens {
            return Ok(pattern.to_owned());
        }
        Err(absent(pattern, "access.tokens", &self.tokens))
    }

    fn issuer(&self, name: &str) -> Result<String, String> {
        if self.issuers.contains(&name) {
            return Ok(name.to_owned());
        }
        Err(absent(name, "access.issuers", &self.issuers))
    }

    fn of_issuer(&self, pattern: &str) -> Result<String, String> {
        if self.issuers.is_empty() {
            return Err("wants an issuer, and access.issuers has none".to_owned());
        }
        Ok(pattern.to_owned())
    }

    fn person(&self, pattern: &str) -> Result<String, String> {
        if self.people {
            return Ok(pattern.to_owned());
        }
        Err(
            "wants people, and nothing tells them: access.login does, or access.proxies with a userHeader"
                .to_owned(),
        )
    }

    fn of_group(&self, pattern: &str) -> Result<String, String> {
        if self.issuers.is_empty() {
            return self.person(pattern);
        }
        Ok(pattern.to_owned())
    }

    fn certificate(&self, pattern: &str) -> Result<String, String> {
        if self.certificates {
            return Ok(pattern.to_owned());
        }
        Err("wants certificates of clients, and nobody asks them for any: server.tls.clientCaFile does".to_owned())
    }
}

fn absent(pattern: &str, list: &str, names: &[&str]) -> String {
    match nearest(pattern, names) {
        _ if names.is_empty() => format!("fits nothing: {list} is empty"),
        Some(near) => format!("fits nothing in {list}; did you mean '{near}'?"),
        None => format!("fits nothing in {list}, which has {}", names.join(", ")),
    }
}
