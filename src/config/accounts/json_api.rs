//! Any HTTP API that answers in JSON.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::http::{Http, Login, base_url_of};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "http",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "http",
    title: "HTTP API",
    ..Face::NONE
};

/// Nobody encodes a part of a path more often than that by accident.
const MOST_ENCODINGS: usize = 4;

#[derive(Clone, Debug)]
pub struct JsonApiAccount {
    /// Without a trailing slash.
    pub base_url: String,
    pub login: Login,
    /// What queries may ask for, below the address; anything, if there is none.
    pub paths: Vec<String>,
    /// What is asked for to see whether it answers; without one, the address itself.
    pub health_path: Option<String>,
    pub http: Http,
}

/// What holds for all accounts of HTTP APIs.
#[derive(Clone, Debug, Default)]
pub struct JsonApi {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.json_api = JsonApi {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let path = |text: &str| match leads_elsewhere(text) {
        Some(why) => Err(why),
        None => Ok(text.to_owned()),
    };
    let account = JsonApiAccount {
        base_url: base_url_of(section)?,
        login: Login::read(section)?,
        paths: section.each("paths", path)?,
        health_path: section.parsed_if_given("healthPath", path)?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::JsonApi(account), face)
}

impl JsonApiAccount {
    /// Whether queries may ask for a path. Of those in the configuration, `*` stands for any one part, and
    /// `**` at the end for all that lies below.
    pub fn allows(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|allowed| is_one_of(path, allowed))
    }
}

fn is_one_of(path: &str, allowed: &str) -> bool {
    let parts = |path: &str| {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let parts = parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
        parts.collect::<Vec<String>>()
    };
    let (path, mut allowed) = (parts(path), parts(allowed));
    let is_deep = allowed.last().is_some_and(|last| last == "**");
    if is_deep {
        allowed.pop();
    }
    let is_long_enough = if is_deep {
        allowed.len() < path.len()
    } else {
        allowed.len() == path.len()
    };
    let mut pairs = allowed.iter().zip(&path);
    is_long_enough && pairs.all(|(allowed, part)| allowed == "*" || allowed == part)
}

/// What is wrong with a path that is to lie below an address and nowhere else, in words that follow it.
pub fn leads_elsewhere(path: &str) -> Option<String> {
    let Some(below) = path.strip_prefix('/') else {
        return Some("must begin with '/'".to_owned());
    };
    let is_odd = |letter: char| {
        matches!(letter, '\\' | '?' | '#') || letter.is_whitespace() || letter.is_control()
    };
    if let Some(odd) = path.chars().find(|letter| is_odd(*letter)) {
        return Some(format!("holds {odd:?}, which has no place in a path"));
    }
    let mut parts = below.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            return Some("has two slashes with nothing between them".to_owned());
        }
        if climbs(part) {
            return Some(format!("has the part '{part}', which could lead elsewhere"));
        }
    }
    None
}

/// Whether somebody on the way may take it for `..`, or for the end of a line: servers decode parts of a
/// path, some more than once, and some leave out what follows a semicolon.
fn climbs(part: &str) -> bool {
    let mut text = part.to_owned();
    for _ in 0..MOST_ENCODINGS {
        let mut parts = text.split(['/', '\\']);
        let is_dots = |part: &str| matches!(part.split(';').next(), Some("." | ".."));
        if parts.any(is_dots) || text.contains(char::is_control) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_what_it_is_below() {
        let fine = [
            "/",
            "/a",
            "/a/",
            "/a/b.c/..d/e..",
            "/@evil",
            "/a:b@c",
            "/a%20b",
            "/a%2Fb",
            "/100%25",
            "/ä",
            "/%zz",
        ];
        for path in fine {
            assert_eq!(leads_elsewhere(path), None, "{path}");
        }
        let refused = [
            ("", "must begin with '/'"),
            ("a", "must begin with '/'"),
            ("http://evil/", "must begin with '/'"),
            ("@evil", "must begin with '/'"),
            ("//evil", "two slashes"),
            ("/http://evil", "two slashes"),
            ("/\\evil", "holds '\\\\'"),
            ("/a?b", "holds '?'"),
            ("/a#b", "holds '#'"),
            ("/a b", "holds ' '"),
            ("/a\r\nHost: evil", "holds '\\r'"),
            ("/..", "the part '..'"),
            ("/a/../b", "the part '..'"),
            ("/a/./b", "the part '.'"),
            ("/a/%2e%2E/b", "the part '%2e%2E'"),
            ("/a/.%2e", "the part '.%2e'"),
            ("/a/..;x=1/b", "the part '..;x=1'"),
            ("/a/..%2Fb", "the part '..%2Fb'"),
            ("/a/b%5c..", "the part 'b%5c..'"),
            ("/a/%252e%252e", "the part '%252e%252e'"),
            ("/a/%25252525252e", "the part"),
            ("/a%0d%0aHost:%20evil", "the part 'a%0d"),
            ("/a%00", "the part 'a%00'"),
        ];
        for (path, expected) in refused {
            let told = leads_elsewhere(path).unwrap_or_default();
            assert!(told.contains(expected), "{path}: {told}");
        }
    }

    #[test]
    fn paths_that_may_be_asked_for_are_exact() {
        let cases = [
            ("/a/b", "/a/b", true),
            ("/a/b/", "/a/b", true),
            ("/a/%62", "/a/b", true),
            ("/a/b/c", "/a/b", false),
            ("/a", "/a/b", false),
            ("/x/_search", "/*/_search", true),
            ("/x/y/_search", "/*/_search", false),
            ("/x%2Fy/_search", "/*/_search", true),
            ("/x/_delete_by_query", "/*/_search", false),
            ("/a/b", "/a/**", true),
            ("/a/b/c", "/a/**", true),
            ("/a", "/a/**", false),
            ("/b/c", "/a/**", false),
            ("/a", "/**", true),
        ];
        for (path, allowed, expected) in cases {
            assert_eq!(is_one_of(path, allowed), expected, "{path} {allowed}");
        }
    }
}
