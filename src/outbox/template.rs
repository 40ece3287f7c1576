//! Templates in the language of Jinja.

use minijinja::{Environment, UndefinedBehavior};

/// Steps of a template, beyond which it is thought to be without end.
const FUEL: u64 = 1_000_000;

/// In messages the number of the line follows: `(in line:2)`.
pub const TEMPLATE: &str = "line";

/// A mistyped name must not become an empty text.
pub fn strict<'source>() -> Environment<'source> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_fuel(Some(FUEL));
    templates
}
