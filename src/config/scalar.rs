//! Texts to values: durations, sizes, URLs, statuses; and texts without their secrets.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use reqwest::StatusCode;
use url::Url;

use super::Spare;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// A key in the form in which all its spellings are equal: `max-body-size`, `MAX_BODY_SIZE`, `maxBodySize`.
pub fn relax(key: &str) -> String {
    key.chars()
        .filter(|character| !matches!(character, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The candidate that was probably meant, if one is two typing errors away at most.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = relax(word);
    // No distance is less than that of the lengths, and that of long words takes a lot of room.
    let is_as_long = |candidate: &&&str| word.len().abs_diff(candidate.len()) <= 8;
    candidates
        .iter()
        .filter(is_as_long)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &relax(candidate));
            (distance, *candidate)
        })
        .filter(|(distance, _)| *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `PT30S`, `30s`, `1h 30m`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a duration with its unit, as in '30s', '5m' or 'PT30S'".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration: SignedDuration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| "must not be negative".to_owned())
}

pub fn duration_from(least: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| match duration(text)? {
        duration if duration < least => Err(format!("must be at least {least:?}")),
        duration => Ok(duration),
    }
}

/// Bytes: `4096`, `512KiB`, `10MiB`, `1 GB`.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong = || "must be a number of bytes, as in '1048576' or '10MiB'".to_owned();
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| wrong())?;
    let factor: usize = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

pub fn size_from(least: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| match size(text)? {
        size if size < least => Err(match least {
            1 => "must be at least 1".to_owned(),
            least => format!("must be at least {least} bytes"),
        }),
        size => Ok(size),
    }
}

/// `5%`, or bytes.
pub fn spare(text: &str) -> Result<Spare, String> {
    let Some(percent) = text.strip_suffix('%') else {
        let bytes = size(text).map_err(|_| "must be a share or bytes, as in '5%' or '2GiB'");
        return Ok(Spare::Bytes(bytes? as u64));
    };
    match percent.trim().parse() {
        Ok(percent) if percent < 100 => Ok(Spare::Percent(percent)),
        _ => Err("must be a share from '0%' to '99%'".to_owned()),
    }
}

/// Spring takes all of these for a boolean.
pub fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("must be 'true' or 'false'".to_owned()),
    }
}

/// A URL of a web service: `address` without one trailing slash, and the credentials that stood in it.
#[derive(Debug, PartialEq)]
pub struct WebUrl {
    pub address: String,
    pub user: Option<(String, Option<String>)>,
}

pub fn web_url(text: &str) -> Result<WebUrl, String> {
    let mut url = Url::parse(text)
        .map_err(|cause| format!("must be a URL, as in 'http://host:9090' ({cause})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with 'http://' or 'https://'".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with its path, without '?' and '#'".to_owned());
    }
    if url.username().is_empty() && url.password().is_none() {
        let address = text.strip_suffix('/').unwrap_or(text).to_owned();
        return Ok(WebUrl {
            address,
            user: None,
        });
    }
    let user = (
        percent_decoded(url.username()),
        url.password().map(percent_decoded),
    );
    url.set_username("")
        .and_then(|()| url.set_password(None))
        .map_err(|()| "must name a host".to_owned())?;
    let address = url.as_str();
    Ok(WebUrl {
        address: address.strip_suffix('/').unwrap_or(address).to_owned(),
        user: Some(user),
    })
}

/// A web URL whose scheme may be missing before a host with its port: `localhost:9090`.
pub fn service_url(text: &str) -> Result<WebUrl, String> {
    match scheme_of(text) {
        Some(scheme) => web_url(&format!("{scheme}://{text}")),
        None => web_url(text),
    }
}

/// Of a host with a port that stands there by itself. A host alone says nothing, and whoever gives
/// a password says where to.
fn scheme_of(text: &str) -> Option<&'static str> {
    let (place, _) = text.split_once('/').unwrap_or((text, ""));
    let (host, port) = place.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    if host.is_empty() || host.contains('@') {
        return None;
    }
    Some(if port == 443 { "https" } else { "http" })
}

/// A web URL, for places where credentials have no business.
pub fn without_credentials(text: &str) -> Result<String, String> {
    match web_url(text)? {
        url if url.user.is_some() => Err("must not hold credentials".to_owned()),
        url => Ok(url.address),
    }
}

pub fn percent_decoded(text: &str) -> String {
    // One nameless value of a form is decoded by the same rules, once what means more there is escaped.
    let value = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    url::form_urlencoded::parse(value.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

/// `404`, or Spring's name for it: `NOT_FOUND`.
pub fn status(text: &str) -> Option<u16> {
    let code = match text.parse() {
        Ok(code) => StatusCode::from_u16(code).ok()?,
        Err(_) => (100..600)
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .find(|code| {
                let reason = code.canonical_reason().unwrap_or_default();
                relax(&reason.replace(' ', "_")) == relax(text)
            })?,
    };
    Some(code.as_u16())
}

/// `5`, or Spring's name for it: `SERVER_ERROR`.
pub fn status_series(text: &str) -> Option<u16> {
    match relax(text).as_str() {
        "1" | "informational" => Some(1),
        "2" | "successful" => Some(2),
        "3" | "redirection" => Some(3),
        "4" | "clienterror" => Some(4),
        "5" | "servererror" => Some(5),
        _ => None,
    }
}

/// A text without the credentials of the URL that it may be.
pub fn mask(text: &str) -> String {
    let Some(start) = text.find("://").map(|at| at + 3) else {
        return mask_query(text);
    };
    // A JDBC URL is one behind its first scheme.
    let url = Url::parse(text.strip_prefix("jdbc:").unwrap_or(text));
    let plain = url.is_ok_and(|url| url.username().is_empty() && url.password().is_none());
    // A password may hold an `@`, a `/` or a `?`: everything up to the last `@` goes.
    match text[start..].rfind('@') {
        Some(at) if !plain => {
            mask_query(&format!("{}{MASK}{}", &text[..start], &text[start + at..]))
        }
        _ => mask_query(text),
    }
}

/// `mask` for a text that was refused: it may lack the beginning of its URL, and have a password all the same.
pub fn mask_refused(text: &str) -> String {
    match text.rfind('@') {
        Some(at) if !text.contains("://") => mask_query(&format!("{MASK}{}", &text[at..])),
        _ => mask(text),
    }
}

fn mask_query(text: &str) -> String {
    match text.split_once('?') {
        None => text.to_owned(),
        Some((address, query)) => {
            let query: Vec<String> = query.split('&').map(mask_parameter).collect();
            format!("{address}?{}", query.join("&"))
        }
    }
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = relax(name);
    ["password", "secret", "token", "key"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_iso_or_friendly_and_have_a_unit() {
        let cases = [
            ("PT30S", Some(Duration::from_secs(30))),
            ("30s", Some(Duration::from_secs(30))),
            ("1h 30m", Some(Duration::from_mins(90))),
            ("7d", Some(Duration::from_hours(168))),
            ("P7D", Some(Duration::from_hours(168))),
            ("250ms", Some(Duration::from_millis(250))),
            ("0s", Some(Duration::ZERO)),
            ("30", None),
            ("-5s", None),
            ("1 month", None),
            ("soon", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let cases = [
            ("4096", Some(4_096)),
            ("10MiB", Some(10_485_760)),
            ("1 kB", Some(1_000)),
            ("2gib", Some(2_147_483_648)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("-1", None),
            ("99999999999GiB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_with_its_port_is_a_service_without_a_scheme() {
        let cases = [
            ("localhost:9090", Some("http://localhost:9090")),
            ("prometheus:9090/", Some("http://prometheus:9090")),
            ("10.0.0.1:80/p", Some("http://10.0.0.1:80/p")),
            ("[::1]:9090", Some("http://[::1]:9090")),
            (
                "prometheus.example.com:443",
                Some("https://prometheus.example.com:443"),
            ),
            ("https://p:9090", Some("https://p:9090")),
            ("localhost", None),
            ("prometheus.example.com/p", None),
            (":9090", None),
            ("localhost:99999", None),
            ("user:1@localhost:9090", None),
            ("ftp://p:9090", None),
        ];
        for (text, expected) in cases {
            let address = service_url(text).ok().map(|url| url.address);
            assert_eq!(address.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_stays_free_is_a_share_of_the_disk_or_a_size() {
        const GIB: u64 = 1 << 30;
        let cases = [
            ("5%", 10 * GIB, Some(536_870_910)),
            ("5 %", 4_000 * GIB, Some(GIB)),
            ("2GiB", 1 << 20, Some(2 * GIB)),
            ("0", GIB, Some(0)),
            ("0%", GIB, Some(0)),
            ("100%", GIB, None),
            ("-1%", GIB, None),
            ("5.5%", GIB, None),
            ("much", GIB, None),
        ];
        for (text, disk, expected) in cases {
            let spare = spare(text).ok().map(|spare| spare.of(disk));
            assert_eq!(spare, expected, "{text}");
        }
    }

    #[test]
    fn a_web_url_loses_one_slash_and_its_credentials() {
        let user = |name: &str, password: Option<&str>| {
            Some((name.to_owned(), password.map(str::to_owned)))
        };
        let cases = [
            ("http://a:9090", "http://a:9090", None),
            ("http://a:9090/", "http://a:9090", None),
            ("https://a/prom//", "https://a/prom/", None),
            (
                "http://u:p%40ss%2Bw@a:9090/",
                "http://a:9090",
                user("u", Some("p@ss+w")),
            ),
            ("http://u:a=b&c@a/x", "http://a/x", user("u", Some("a=b&c"))),
            ("http://token@a", "http://a", user("token", None)),
        ];
        for (text, address, user) in cases {
            let expected = WebUrl {
                address: address.to_owned(),
                user,
            };
            assert_eq!(web_url(text), Ok(expected), "{text}");
        }
        for text in [
            "prometheus:9090",
            "ftp://a",
            "/a",
            "http://",
            "http://a?b=c",
        ] {
            assert!(web_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn statuses_have_springs_names() {
        let cases = [
            ("429", Some(429)),
            ("TOO_MANY_REQUESTS", Some(429)),
            ("request-timeout", Some(408)),
            ("SERVICE_UNAVAILABLE", Some(503)),
            ("NOPE", None),
            ("9999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(status(text), expected, "{text}");
        }
        assert_eq!(status_series("SERVER_ERROR"), Some(5));
        assert_eq!(status_series("6"), None);
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        let cases = [
            ("sqlite:serin.db", "sqlite:serin.db"),
            ("http://a/b@c", "http://a/b@c"),
            ("postgres://u:p@a/serin", "postgres://***@a/serin"),
            ("postgres://u:p@s/x@a/serin", "postgres://***@a/serin"),
            ("jdbc:mysql://u:p@a/kayenta", "jdbc:mysql://***@a/kayenta"),
            ("jdbc:mysql://a/b@c", "jdbc:mysql://a/b@c"),
            (
                "postgres://a/serin?user=u&password=p&sslmode=require",
                "postgres://a/serin?user=u&password=***&sslmode=require",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    #[test]
    fn the_nearest_key_is_two_errors_away_at_most() {
        let keys = ["address", "port", "publicUrl"];
        assert_eq!(nearest("prot", &keys), Some("port"));
        assert_eq!(nearest("public-ulr", &keys), Some("publicUrl"));
        assert_eq!(nearest("threads", &keys), None);
    }
}
