//! Texts of two runs: what they cannot have in common.

/// Times after this are of the wall clock, those before are data.
const WALL_CLOCK_DATE: &str = "2025-07-01";
pub const WALL_CLOCK_MILLIS: f64 = 1_751_328_000_000.0;

/// The text without what no two runs have in common.
pub fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text.replace("$\\{", "${");
    for host in ["http://127.0.0.1:", "http://localhost:"] {
        let mut parts = rest.split(host);
        let first = parts.next().unwrap_or("").to_owned();
        rest = parts.fold(first, |text, part| {
            text + "http://<host>" + part.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    let mut rest = rest.as_str();
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let boundary = !before.is_ascii_alphanumeric();
        let (length, text) = if let Some(length) = id_length(rest).filter(|_| boundary) {
            (length, "<id>")
        } else if let Some(length) = time_length(rest).filter(|_| boundary) {
            (length, "<time>")
        } else {
            let length = next.len_utf8();
            (length, &rest[..length])
        };
        masked += text;
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    masked
}

/// UUIDs and ULIDs, in their order.
pub fn ids_in(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut at = 0;
    let mut before = ' ';
    while let Some(next) = text[at..].chars().next() {
        if let Some(length) = id_length(&text[at..])
            && !before.is_ascii_alphanumeric()
        {
            ids.push(text[at..at + length].to_owned());
            at += length;
            before = '0';
        } else {
            at += next.len_utf8();
            before = next;
        }
    }
    ids
}

/// The length of the id that the text begins with.
fn id_length(text: &str) -> Option<usize> {
    let hexes = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let long = text.get(..36).filter(|id| {
        let parts: Vec<_> = id.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && parts.iter().all(|part| hexes(part))
    });
    let short = || {
        text.get(..26).filter(|id| {
            id.starts_with('0')
                && id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() && !b"ILOU".contains(&b))
        })
    };
    let id = long.or_else(short)?;
    let ends = text[id.len()..]
        .chars()
        .next()
        .is_none_or(|next| !next.is_ascii_alphanumeric());
    ends.then_some(id.len())
}

/// The length of the time of the wall clock that the text begins with, without its offset: the
/// form of that is compared.
fn time_length(text: &str) -> Option<usize> {
    let date = text.get(..10)?;
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_date = date.split('-').map(str::len).eq([4, 2, 2]) && date.split('-').all(digits);
    if !is_date || date <= WALL_CLOCK_DATE || !text[10..].starts_with('T') {
        return None;
    }
    let rest = text[11..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '.');
    Some(text.len() - rest.len())
}

#[test]
fn what_no_two_runs_have_in_common_is_masked() {
    for (text, expected) in [
        ("at 2026-11-21T07:17:26.647Z", "at <time>Z"),
        ("2026-11-21T07:17:26.647+00:00", "<time>+00:00"),
        ("2024-06-01T01:00:00Z", "2024-06-01T01:00:00Z"),
        ("x 01M7YFKPB2SSZ2GZPP69PXNF54.", "x <id>."),
        ("49863ffe-cb1d-466c-9fd4-16d504f3c99b", "<id>"),
        ("http://127.0.0.1:9090/api", "http://<host>/api"),
        ("v=\"$\\{scope}\"", "v=\"${scope}\""),
    ] {
        assert_eq!(mask(text), expected);
    }
}
