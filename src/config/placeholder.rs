//! `${NAME}` and `${NAME:default}` in texts.

/// A name without a value and without a default, or a circle of names.
#[derive(Debug, PartialEq, Eq)]
pub struct Unresolved(pub String);

/// Replaces every placeholder of a text; `look_up` gives the value of a name, already expanded.
/// A default may hold placeholders again; a `${` that is never closed stays as it is.
pub fn expand(
    text: &str,
    look_up: &dyn Fn(&str) -> Result<Option<String>, Unresolved>,
) -> Result<String, Unresolved> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inside = &rest[start + 2..];
        let Some(end) = closing_brace(inside) else {
            break;
        };
        expanded.push_str(&rest[..start]);
        let (name, default) = match inside[..end].split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        match (look_up(name.trim())?, default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(&expand(default, look_up)?),
            (None, None) => return Err(Unresolved(name.trim().to_owned())),
        }
        rest = &inside[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_wins_over_its_default() {
        let look_up = |name: &str| {
            Ok(match name {
                "HOST" => Some("prometheus".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            })
        };
        let cases = [
            ("plain", "plain"),
            ("http://${HOST}:9090", "http://prometheus:9090"),
            ("${HOST:other}", "prometheus"),
            ("${PORT:9090}", "9090"),
            ("${URL:http://localhost:9090}/x", "http://localhost:9090/x"),
            ("${PORT:}", ""),
            ("${EMPTY:full}", ""),
            ("${A:${B:${HOST}}}!", "prometheus!"),
            ("${ HOST }", "prometheus"),
            ("a ${ never closed", "a ${ never closed"),
            ("$HOST {x}", "$HOST {x}"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &look_up).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_name_without_value_and_default_is_named() {
        assert_eq!(
            expand("${A:${B}}", &|_| Ok(None)),
            Err(Unresolved("B".to_owned()))
        );
    }
}
