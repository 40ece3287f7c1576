//! Rules: who may what, the first that says something about it.

use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;

use super::{Identity, Of, On, Proof, Role};

/// In their order: the first that says something decides, and what none says is refused.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub Vec<Rule>);

/// What some may, or may not.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    pub who: Who,
    pub may: Vec<Role>,
    pub may_not: Vec<Role>,
    /// Patterns; all applications, if there are none.
    pub applications: Vec<String>,
    /// Patterns; all accounts, if there are none.
    pub accounts: Vec<String>,
}

/// Whom a rule is about: everything that is given must hold, and nothing is everybody.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// A pattern of names of tokens.
    pub token: Option<String>,
    /// An issuer by its name.
    pub issuer: Option<String>,
    /// A pattern of subjects of an issuer.
    pub subject: Option<String>,
    /// Patterns of claims of an issuer; of a list, one must fit.
    pub claims: IndexMap<String, String>,
    /// A pattern of people, who logged in or whom a proxy names.
    pub user: Option<String>,
    /// A pattern of groups of people.
    pub group: Option<String>,
    /// A pattern of certificates: the subject, or a name beside it.
    pub certificate: Option<String>,
    /// Whoever does not show who it is.
    pub anonymous: bool,
    /// Whoever calls from there.
    pub addresses: Vec<IpNet>,
}

/// What the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Which rule said it, from 0; none, where no rule says anything.
    pub rule: Option<usize>,
}

impl Decision {
    pub fn allowed(rule: Option<usize>) -> Self {
        Self {
            allowed: true,
            rule,
        }
    }
}

impl Rules {
    pub fn decide(&self, caller: &Identity, role: Role, on: On<'_>) -> Decision {
        let mut rules = self.0.iter().enumerate();
        let said = rules.find_map(|(at, rule)| {
            let allowed = rule.says(caller, role, on)?;
            Some((at, allowed))
        });
        Decision {
            allowed: said.is_some_and(|(_, allowed)| allowed),
            rule: said.map(|(at, _)| at),
        }
    }
}

impl Rule {
    /// Whether it is about some applications or accounts only.
    pub fn is_narrow(&self) -> bool {
        !is_all(&self.applications) || !is_all(&self.accounts)
    }

    /// Whether it allows that; none, if it says nothing about it.
    fn says(&self, caller: &Identity, role: Role, on: On<'_>) -> Option<bool> {
        let refuses = self.may_not.contains(&role);
        let allows = self.may.contains(&role) || self.may.contains(&Role::Admin);
        if !(refuses || allows) || !self.who.is(caller) {
            return None;
        }
        // What concerns nothing is refused only by who refuses it everywhere, all by who refuses a part of it.
        let concerns = |patterns: &[String], of: Of<'_>| match of {
            Of::One(name) => fits(patterns, name),
            Of::None => !refuses || is_all(patterns),
            Of::All => refuses || is_all(patterns),
        };
        let concerned =
            concerns(&self.applications, on.application) && concerns(&self.accounts, on.account);
        concerned.then_some(!refuses)
    }
}

fn is_all(patterns: &[String]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern == "*")
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, name))
}

impl Who {
    fn is(&self, caller: &Identity) -> bool {
        let person = matches!(caller.proof, Proof::Login | Proof::Proxy);
        let proved = |wanted: &Option<String>, has_proof: bool, names: &[&String]| {
            wanted.as_ref().is_none_or(|pattern| {
                has_proof && names.iter().any(|name| glob(pattern, name.as_str()))
            })
        };
        let certificate: Vec<&String> = caller.also.iter().chain([&caller.name]).collect();
        let groups: Vec<&String> = caller.groups.iter().collect();
        let issued = caller.proof == Proof::Issuer;
        proved(&self.token, caller.proof == Proof::Token, &[&caller.name])
            && proved(&self.subject, issued, &[&caller.name])
            && proved(&self.user, person, &[&caller.name])
            && proved(&self.group, person || issued, &groups)
            && proved(
                &self.certificate,
                caller.proof == Proof::Certificate,
                &certificate,
            )
            && self
                .issuer
                .as_ref()
                .is_none_or(|issuer| issued && caller.issuer.as_ref() == Some(issuer))
            && self.has_claims(caller)
            && (!self.anonymous || caller.proof == Proof::None)
            && self.is_from(caller.address)
    }

    fn has_claims(&self, caller: &Identity) -> bool {
        self.claims.iter().all(|(claim, pattern)| {
            let values = caller.claims.get(claim);
            values.is_some_and(|values| values.iter().any(|value| glob(pattern, value)))
        })
    }

    fn is_from(&self, address: Option<IpAddr>) -> bool {
        let within = |address: IpAddr| self.addresses.iter().any(|net| net.contains(&address));
        self.addresses.is_empty() || address.is_some_and(|address| within(address.to_canonical()))
    }
}

/// Whether a text fits a pattern, in which `*` is any text and `?` any one character.
pub fn glob(pattern: &str, text: &str) -> bool {
    wildmatch::WildMatch::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str) -> Identity {
        Identity {
            proof: Proof::Token,
            name: name.to_owned(),
            ..Identity::default()
        }
    }

    fn rule(token: Option<&str>, may: &[Role], may_not: &[Role], applications: &[&str]) -> Rule {
        Rule {
            who: Who {
                token: token.map(str::to_owned),
                ..Who::default()
            },
            may: may.to_vec(),
            may_not: may_not.to_vec(),
            applications: applications.iter().map(|&name| name.to_owned()).collect(),
            accounts: Vec::new(),
        }
    }

    #[test]
    fn the_first_rule_that_says_something_decides() {
        use Role::{Admin, Config, Read, Start};
        let rules = Rules(vec![
            rule(Some("ops"), &[Admin], &[], &[]),
            rule(None, &[], &[Start], &["pay*"]),
            rule(Some("ci-*"), &[Read, Start], &[], &["pay", "shop"]),
            rule(None, &[Read], &[], &["shop"]),
        ]);
        let cases = [
            ("ops", Start, On::application("pay"), true, Some(0)),
            ("ops", Config, On::EVERYTHING, true, Some(0)),
            ("ci-1", Start, On::application("pay"), false, Some(1)),
            ("ci-1", Start, On::application("shop"), true, Some(2)),
            ("ci-1", Start, On::NOTHING, true, Some(2)),
            ("ci-1", Read, On::application("pay"), true, Some(2)),
            ("ci-1", Read, On::application("other"), false, None),
            ("ci-1", Start, On::EVERYTHING, false, Some(1)),
            ("other", Read, On::application("shop"), true, Some(3)),
            ("other", Read, On::application("pay"), false, None),
            ("other", Start, On::NOTHING, false, None),
            ("ci-1", Admin, On::NOTHING, false, None),
        ];
        for (name, role, on, allowed, rule) in cases {
            let decision = rules.decide(&token(name), role, on);
            assert_eq!(decision, Decision { allowed, rule }, "{name} {role} {on:?}");
        }
    }

    #[test]
    fn a_rule_is_about_whom_everything_given_holds_of() {
        let person = Identity {
            proof: Proof::Proxy,
            name: "ada@example.com".to_owned(),
            groups: vec!["sre".to_owned()],
            address: Some("10.1.2.3".parse().unwrap()),
            ..Identity::default()
        };
        let job = Identity {
            proof: Proof::Issuer,
            name: "repo:org/shop:ref:refs/heads/main".to_owned(),
            issuer: Some("github".to_owned()),
            claims: [("repository".to_owned(), vec!["org/shop".to_owned()])].into(),
            ..Identity::default()
        };
        let some = |text: &str| Some(text.to_owned());
        let claims = [("repository".to_owned(), "org/*".to_owned())];
        let claims = IndexMap::from(claims);
        let cases = [
            (Who::default(), true, true),
            (
                Who {
                    user: some("*@example.com"),
                    ..Who::default()
                },
                true,
                false,
            ),
            (
                Who {
                    user: some("*@example.org"),
                    ..Who::default()
                },
                false,
                false,
            ),
            (
                Who {
                    group: some("sre"),
                    user: some("ada*"),
                    ..Who::default()
                },
                true,
                false,
            ),
            (
                Who {
                    token: some("*"),
                    ..Who::default()
                },
                false,
                false,
            ),
            (
                Who {
                    anonymous: true,
                    ..Who::default()
                },
                false,
                false,
            ),
            (
                Who {
                    issuer: some("github"),
                    claims: claims.clone(),
                    ..Who::default()
                },
                false,
                true,
            ),
            (
                Who {
                    issuer: some("gitlab"),
                    claims,
                    ..Who::default()
                },
                false,
                false,
            ),
            (
                Who {
                    subject: some("repo:org/shop:*"),
                    ..Who::default()
                },
                false,
                true,
            ),
            (
                Who {
                    addresses: vec!["10.0.0.0/8".parse().unwrap()],
                    ..Who::default()
                },
                true,
                false,
            ),
            (
                Who {
                    addresses: vec!["10.0.0.0/16".parse().unwrap()],
                    ..Who::default()
                },
                false,
                false,
            ),
        ];
        for (who, is_person, is_job) in cases {
            assert_eq!(
                (who.is(&person), who.is(&job)),
                (is_person, is_job),
                "{who:?}"
            );
        }
    }
}
