//! What all sections share: where placeholders find their values, and where warnings go.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use ::config::{Map as Table, Value, ValueKind};
use tempfile::TempPath;

use super::layers::COMPILED_IN;
use super::placeholder::{Unresolved, expand};
use super::scalar::{self, relax};
use super::secret::{Reference, Refused, SecretEngines};

const KUBERNETES: &str = "k8s";
const KUBERNETES_ENABLED: &str = "spinnaker.secrets.kubernetes.enabled";

/// How deep names in placeholders may lead to each other.
const DEEPEST: usize = 16;

/// What all sections share.
pub struct Context<'a> {
    pub environment: &'a BTreeMap<String, String>,
    pub root: &'a Table<String, Value>,
    /// The origin whose texts hold placeholders.
    pub file: Option<&'a str>,
    pub warnings: RefCell<Vec<String>>,
    pub secrets: &'a dyn SecretEngines,
    /// Secrets that keys want as files; they go with the last that holds them.
    pub files: RefCell<Vec<TempPath>>,
}

/// What a reference stands for.
pub struct Revealed {
    pub value: String,
    pub reference: Reference,
}

/// What to do without a section.
const WAYS_OUT: [(&str, &str); 3] = [
    (
        "kayenta.configbin",
        "it is a store within Netflix. Another account keeps configs, and 'serin canary-config put' brings them there",
    ),
    (
        "ok-http-client",
        "certificates of services stand in their accounts, as caFile",
    ),
    ("sql", "what runs is kept where database.url says"),
];

/// Of a file beside the configuration, which has values and nothing else.
static NOTHING: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Context<'a> {
    pub fn of_file(root: &'a Table<String, Value>) -> Self {
        Self {
            environment: &NOTHING,
            root,
            file: None,
            warnings: RefCell::default(),
            secrets: &Refused,
            files: RefCell::default(),
        }
    }
}

impl Context<'_> {
    pub fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// What a text stands for; none for what is a value itself.
    ///
    /// # Errors
    /// Why the secret cannot be had.
    pub fn reveal(&self, key: &str, text: &str) -> Result<Option<Revealed>, String> {
        let Some(parsed) = Reference::parse(text) else {
            return Ok(None);
        };
        // What is no reference after all may be a secret itself, and is not shown.
        let unread = |why| format!("a reference to a secret cannot be read: {why}");
        let reference = parsed.map_err(unread)?;
        match self.value(key, &reference) {
            Ok(value) => Ok(Some(Revealed { value, reference })),
            Err(why) => Err(format!("the secret '{reference}' cannot be read: {why}")),
        }
    }

    fn value(&self, key: &str, reference: &Reference) -> Result<String, String> {
        let secret = self.secret(reference)?;
        if reference.is_file(key) {
            let written = self.write(&secret);
            return written.map_err(|cause| format!("its file cannot be written: {cause}"));
        }
        let text = String::from_utf8(secret).map_err(|_| "it is no text".to_owned())?;
        // The last line of a file ends with it, and no password goes on there.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    fn secret(&self, reference: &Reference) -> Result<Vec<u8>, String> {
        if reference.engine == KUBERNETES {
            let enabled = self.find(KUBERNETES_ENABLED);
            let enabled = enabled.and_then(|text| self.resolve(&text).ok());
            if enabled.is_none_or(|text| scalar::flag(&text) != Ok(true)) {
                return Err(format!(
                    "the engine '{KUBERNETES}' is off; {KUBERNETES_ENABLED}: true switches it on"
                ));
            }
        }
        self.secrets.read(reference)
    }

    fn write(&self, secret: &[u8]) -> std::io::Result<String> {
        // Nobody else may read it.
        let mut file = tempfile::Builder::new()
            .prefix("serin-secret-")
            .tempfile()?;
        file.write_all(secret)?;
        let path = file.into_temp_path();
        let shown = path.display().to_string();
        self.files.borrow_mut().push(path);
        Ok(shown)
    }

    /// A text of the file with its placeholders replaced.
    pub fn resolve(&self, text: &str) -> Result<String, Unresolved> {
        self.resolve_at(text, 0)
    }

    fn resolve_at(&self, text: &str, depth: usize) -> Result<String, Unresolved> {
        expand(text, &|name| {
            if depth == DEEPEST {
                return Err(Unresolved(name.to_owned()));
            }
            let variable = name.replace('.', "_").replace('-', "").to_uppercase();
            let from_environment = self
                .environment
                .get(name)
                .or_else(|| self.environment.get(&variable));
            match (from_environment, self.find(name)) {
                (Some(value), _) => Ok(Some(value.clone())),
                (None, Some(text)) => self.resolve_at(&text, depth + 1).map(Some),
                (None, None) => Ok(None),
            }
        })
    }

    /// The value of a dotted key.
    fn find(&self, path: &str) -> Option<String> {
        let mut keys = path.split('.').peekable();
        let mut table = self.root;
        while let Some(key) = keys.next() {
            let key = relax(key);
            let (_, value) = table.iter().find(|(other, _)| relax(other) == key)?;
            match &value.kind {
                ValueKind::Table(below) => table = below,
                _ if keys.peek().is_none() => return plain(value),
                _ => return None,
            }
        }
        None
    }
}

/// The text of a single value, before its placeholders.
pub fn plain(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Boolean(flag) => Some(flag.to_string()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::U64(number) => Some(number.to_string()),
        // `1.0` must not become `1`.
        ValueKind::Float(number) => Some(format!("{number:?}")),
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// One warning for a section or key that serin does not serve, unless it is switched off.
pub fn warn_unserved(context: &Context<'_>, path: &str, value: &Value) {
    let accounts = match &value.kind {
        ValueKind::Nil => return,
        ValueKind::Table(table) if table.is_empty() || is_off(context, table) => return,
        ValueKind::Table(table) => account_names(table),
        _ => Vec::new(),
    };
    let mut warning = format!("{path} is not served by serin and is ignored");
    let relaxed = relax(path);
    if let Some((_, way)) = WAYS_OUT.iter().find(|(known, _)| relax(known) == relaxed) {
        warning.push_str(": ");
        warning.push_str(way);
    }
    if !accounts.is_empty() {
        warning.push_str("; its accounts are not available: ");
        warning.push_str(&accounts.join(", "));
    }
    context.warn(warning);
}

fn is_off(context: &Context<'_>, table: &Table<String, Value>) -> bool {
    let enabled = table.get("enabled").and_then(plain);
    let enabled = enabled.and_then(|text| context.resolve(&text).ok());
    enabled.is_some_and(|text| scalar::flag(&text) == Ok(false))
}

fn account_names(table: &Table<String, Value>) -> Vec<String> {
    let Some(ValueKind::Array(accounts)) = table.get("accounts").map(|value| &value.kind) else {
        return Vec::new();
    };
    let names = accounts.iter().filter_map(|account| match &account.kind {
        ValueKind::Table(account) => plain(account.get("name")?),
        _ => None,
    });
    names.collect()
}

/// A mapping comes from where its first value comes from: the merged ones have no origin of their own.
pub fn origin(value: &Value) -> &str {
    match &value.kind {
        ValueKind::Table(table) if value.origin().is_none() => {
            table.values().next().map_or("the configuration", origin)
        }
        _ => value.origin().unwrap_or(COMPILED_IN),
    }
}
