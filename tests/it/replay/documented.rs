//! The tables of `docs/kayenta.md`: which recorded exchanges may be answered differently, and in what.

use std::collections::BTreeSet;
use std::path::Path;

pub struct Documented {
    rows: Vec<Row>,
    used: BTreeSet<String>,
}

/// Patterns, where `*` stands for any text: names of exchanges, and differences.
struct Row {
    names: Vec<String>,
    differences: Vec<String>,
    /// What is drawn by lot may fall as it did for Kayenta.
    is_random: bool,
}

impl Documented {
    /// The table below a heading.
    pub fn below(heading: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kayenta.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, section) = text.split_once(heading).unwrap();
        let section = section.split("\n#").next().unwrap();
        let rows = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
                let [names, differences, reason] = cells[..] else {
                    panic!("three cells are wanted: {line}")
                };
                assert!(reason.trim().len() > 10, "a reason is wanted: {line}");
                Row {
                    names: quoted(names),
                    differences: quoted(differences),
                    is_random: reason.contains("random"),
                }
            })
            .collect();
        Self {
            rows,
            used: BTreeSet::new(),
        }
    }

    /// Whether a row allows that difference of that exchange; notes what was of use.
    pub fn explains(&mut self, name: &str, difference: &str) -> bool {
        for row in &self.rows {
            let named = row.names.iter().find(|pattern| matches(pattern, name));
            let allowed = row
                .differences
                .iter()
                .find(|pattern| matches(pattern, difference));
            if let (Some(named), Some(allowed)) = (named, allowed) {
                self.used.insert(named.clone());
                self.used.insert(row.key(allowed));
                return true;
            }
        }
        false
    }

    /// Patterns that no exchange needed.
    pub fn unused(&self) -> Vec<String> {
        let certain = self.rows.iter().filter(|row| !row.is_random);
        let all = certain.flat_map(|row| {
            let differences = row.differences.iter().map(|pattern| row.key(pattern));
            row.names.iter().cloned().chain(differences)
        });
        all.filter(|pattern| !self.used.contains(pattern)).collect()
    }
}

impl Row {
    fn key(&self, difference: &str) -> String {
        format!("{} of {}", difference, self.names.join(", "))
    }
}

/// The texts between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| matches(rest, &text[at..]))
        }),
    }
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "a", true),
        ("a*c", "abbc", true),
        ("a*c*", "abc-d", true),
        ("*-done", "x-done-y", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
