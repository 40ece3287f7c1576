//! References to secrets that lie elsewhere, as Spinnaker writes them into its files.

use std::fmt;

use indexmap::IndexMap;

const VALUE: &str = "encrypted:";
const FILE: &str = "encryptedFile:";
const AT_START: &str = "boot-secret://";

/// A key that ends so wants a file, whatever the reference says.
const FILE_KEYS: [&str; 3] = ["file", "path", "truststore"];

/// `encrypted:<engine>!<name>:<value>…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub engine: String,
    pub parameters: IndexMap<String, String>,
    /// Whether what it stands for is a file with the secret in it.
    is_file: bool,
    text: String,
}

/// Reads what references stand for.
pub trait SecretEngines {
    /// # Errors
    /// Why it cannot be had.
    fn read(&self, reference: &Reference) -> Result<Vec<u8>, String>;
}

/// For who only wants settings that are no secrets: those are left out.
pub struct Unread;

impl SecretEngines for Unread {
    fn read(&self, _: &Reference) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

/// For who has none to read.
pub(super) struct Refused;

impl SecretEngines for Refused {
    fn read(&self, reference: &Reference) -> Result<Vec<u8>, String> {
        Err(format!("the engine '{}' is not served", reference.engine))
    }
}

impl Reference {
    /// None for what is a value itself.
    ///
    /// # Errors
    /// What is wrong with a reference.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        if text.starts_with(AT_START) {
            let told = "'boot-secret:' is a hook for resolvers of one's own, and serin has none";
            return Some(Err(told.to_owned()));
        }
        let references = [(VALUE, false), (FILE, true)];
        let begun = references.iter().find_map(|(prefix, is_file)| {
            let rest = text.strip_prefix(prefix)?;
            Some((rest, *is_file))
        });
        match begun {
            Some((rest, is_file)) => Some(Self::of(text, rest, is_file)),
            // Within a text it would be taken for a part of the value.
            None if text.contains(AT_START) || stands_within(text) => {
                Some(Err("a reference must be the whole value".to_owned()))
            }
            None => None,
        }
    }

    fn of(text: &str, rest: &str, is_file: bool) -> Result<Self, String> {
        let mut parts = parts(rest).into_iter();
        let engine = parts.next().unwrap_or_default().to_owned();
        let mut parameters = IndexMap::new();
        for part in parts {
            let (name, value) = part.split_once(':').unwrap_or((part, ""));
            if parameters
                .insert(name.to_owned(), value.to_owned())
                .is_some()
            {
                return Err(format!("the parameter '{name}' stands twice"));
            }
        }
        if engine.is_empty() || parameters.is_empty() {
            return Err(
                "an engine and its parameters are wanted, as in 'encrypted:k8s!n:secret!k:key'"
                    .to_owned(),
            );
        }
        Ok(Self {
            engine,
            parameters,
            is_file,
            text: text.to_owned(),
        })
    }

    /// Whether the value of that key is the path of a file with the secret.
    pub fn is_file(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        self.is_file || FILE_KEYS.iter().any(|end| key.ends_with(end))
    }

    /// # Errors
    /// That it is missing.
    pub fn parameter(&self, name: &str) -> Result<&str, String> {
        let value = self.given(name);
        value.ok_or_else(|| format!("the parameter '{name}' is missing"))
    }

    pub fn given(&self, name: &str) -> Option<&str> {
        let value = self.parameters.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

/// As it was written: it tells where a secret lies, and nothing of it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parted at each `!` that begins another parameter.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('!') {
        if begins_parameter(&text[at + 1..]) {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

fn begins_parameter(text: &str) -> bool {
    let name = text.split(':').next().unwrap_or_default();
    name.len() < text.len()
        && !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn stands_within(text: &str) -> bool {
    [VALUE, FILE].iter().any(|prefix| {
        let mut places = text.match_indices(prefix);
        places.any(|(at, _)| 1 < parts(&text[at + prefix.len()..]).len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine and its parameters, or what is wrong.
    type Parsed = Result<(&'static str, &'static [(&'static str, &'static str)]), &'static str>;

    #[test]
    fn a_reference_is_an_engine_with_parameters() {
        let cases: [(&str, Option<Parsed>); 18] = [
            ("hunter2", None),
            ("", None),
            ("Encrypted:k8s!n:a", None),
            ("is encrypted: yes!", None),
            (
                "encrypted:k8s!n:spin-secrets!k:password",
                Some(Ok(("k8s", &[("n", "spin-secrets"), ("k", "password")]))),
            ),
            (
                "encryptedFile:s3!r:eu-central-1!b:my-bucket!f:a/b.yml!k:a.b",
                Some(Ok((
                    "s3",
                    &[
                        ("r", "eu-central-1"),
                        ("b", "my-bucket"),
                        ("f", "a/b.yml"),
                        ("k", "a.b"),
                    ],
                ))),
            ),
            // Only a name and a colon begin a parameter.
            (
                "encrypted:secrets-manager!r:eu!s:odd!name!k:a:b!",
                Some(Ok((
                    "secrets-manager",
                    &[("r", "eu"), ("s", "odd!name"), ("k", "a:b!")],
                ))),
            ),
            ("encrypted:new-one!x:", Some(Ok(("new-one", &[("x", "")])))),
            ("encrypted:k8s", Some(Err("an engine and its parameters"))),
            ("encrypted:", Some(Err("an engine and its parameters"))),
            ("encrypted:!n:a", Some(Err("an engine and its parameters"))),
            (
                "encryptedFile:k8s!n",
                Some(Err("an engine and its parameters")),
            ),
            ("encrypted:k8s!n:a!n:b", Some(Err("'n' stands twice"))),
            (
                "boot-secret://vault?s=a&k=b",
                Some(Err("'boot-secret:' is a hook")),
            ),
            (
                "Bearer encrypted:k8s!n:a!k:b",
                Some(Err("must be the whole value")),
            ),
            (
                "Bearer boot-secret://vault?s=a",
                Some(Err("must be the whole value")),
            ),
            (
                " encryptedFile:k8s!n:a!k:b",
                Some(Err("must be the whole value")),
            ),
            (
                "encrypted: x encrypted:s3!f:a",
                Some(Ok((" x encrypted:s3", &[("f", "a")]))),
            ),
        ];
        for (text, expected) in cases {
            match (Reference::parse(text), expected) {
                (None, None) => {}
                (Some(Ok(found)), Some(Ok((engine, parameters)))) => {
                    assert_eq!(found.engine, engine, "{text}");
                    let found = found.parameters.iter();
                    let found = found.map(|(name, value)| (name.as_str(), value.as_str()));
                    assert_eq!(found.collect::<Vec<_>>(), parameters, "{text}");
                }
                (Some(Err(told)), Some(Err(part))) => assert!(told.contains(part), "{told}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn some_keys_want_files() {
        let cases = [
            ("encrypted:k8s!n:a!k:b", "password", false),
            ("encrypted:k8s!n:a!k:b", "usernamePasswordFile", true),
            ("encrypted:k8s!n:a!k:b", "jsonPath", true),
            ("encrypted:k8s!n:a!k:b", "trust-store", false),
            ("encrypted:k8s!n:a!k:b", "trustStore", true),
            ("encryptedFile:k8s!n:a!k:b", "password", true),
        ];
        for (text, key, expected) in cases {
            let reference = Reference::parse(text).unwrap().unwrap();
            assert_eq!(reference.is_file(key), expected, "{text} {key}");
        }
    }
}
