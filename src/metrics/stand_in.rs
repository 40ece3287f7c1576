//! Scopes that fill in a template where those of a request are not known, or would hide its variables.

use indexmap::IndexMap;

use super::template::variables;
use crate::canary::{CanaryScope, Pair};

/// The first of the letters that stand for variables; no text has them.
const FIRST_MARK: u32 = 0xF_0000;

/// Values that differ between the sides, for everything that a query asks for.
pub fn made_up(written: &[(&str, String)]) -> Pair<CanaryScope> {
    let sides = Pair {
        control: "control",
        experiment: "experiment",
    };
    sides.map(|side| {
        let wanted = written.iter().flat_map(|(_, text)| wanted(text));
        filled(wanted, |name| match name {
            "scope" => side.to_owned(),
            name => format!("{side}-{name}"),
        })
    })
}

/// A letter for every variable that is filled in from outside: those of the scope and the location
/// come first.
pub fn marked(template: &str) -> (CanaryScope, Marks) {
    marked_by(wanted(template))
}

/// The same for variables of those names.
pub fn marked_by<'a>(names: impl Iterator<Item = &'a str>) -> (CanaryScope, Marks) {
    let mut marks = Vec::new();
    let scope = filled(names, |name| {
        let mark = mark(marks.len());
        marks.extend(mark.map(|mark| (mark, name.to_owned())));
        mark.map(String::from).unwrap_or_default()
    });
    (scope, Marks(marks))
}

/// What nothing but a scope gives a value to.
fn wanted(template: &str) -> impl Iterator<Item = &str> {
    let wanted = variables(template).filter(|variable| variable.default.is_none());
    wanted.map(|variable| variable.name)
}

/// The scope, the location and those names, each with its value.
fn filled<'a>(
    names: impl Iterator<Item = &'a str>,
    mut value: impl FnMut(&str) -> String,
) -> CanaryScope {
    let own = ["scope", "location"];
    let [scope, location] = own.map(|name| Some(value(name)));
    let mut params = IndexMap::new();
    for name in names.filter(|name| !own.contains(name)) {
        if !params.contains_key(name) {
            params.insert(name.to_owned(), value(name));
        }
    }
    CanaryScope {
        scope,
        location,
        extended_scope_params: Some(params),
        ..CanaryScope::default()
    }
}

/// The letters of variables, and their names.
pub struct Marks(Vec<(char, String)>);

impl Marks {
    /// A text in which variables have their names again.
    pub fn named(&self, text: &str) -> String {
        let mut told = String::new();
        for letter in text.chars() {
            match number_of(letter).and_then(|number| self.0.get(number)) {
                Some((_, name)) => told.extend(["${", name, "}"]),
                None => told.push(letter),
            }
        }
        told
    }

    /// The letters of the variables that are meant.
    pub fn of(&self, is_meant: impl Fn(&str) -> bool) -> Vec<char> {
        let meant = self.0.iter().filter(|(_, name)| is_meant(name));
        meant.map(|(mark, _)| *mark).collect()
    }
}

/// The letter that stands for the variable of that number.
pub fn mark(number: usize) -> Option<char> {
    let number = u32::try_from(number).ok()?;
    char::from_u32(FIRST_MARK.checked_add(number)?)
}

/// The number of the variable that a letter stands for.
pub fn number_of(mark: char) -> Option<usize> {
    let number = u32::from(mark).checked_sub(FIRST_MARK)?;
    usize::try_from(number).ok()
}
