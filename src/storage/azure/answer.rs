//! What Azure answers: pages of a listing, and why it refuses.

use std::fmt;
use std::time::Duration;

use jiff::fmt::rfc2822;
use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap};
use roxmltree::{Document, Node, ParsingOptions};

use crate::http::{self, Secrets};

/// Of a thousand blobs with all that Azure tells of each.
const MOST_NODES: u32 = 200_000;

/// What a service says is wrong.
const TOLD_BYTES: usize = 1 << 10;

/// Azure takes requests of the last quarter of an hour; what is further off than this may be why one
/// is refused.
const SKEW: Duration = Duration::from_mins(10);

pub struct Page {
    pub blobs: Vec<Blob>,
    /// Where the next one begins.
    pub next: Option<String>,
}

pub struct Blob {
    pub name: String,
    pub updated_millis: i64,
    pub version: String,
    pub bytes: u64,
}

impl Page {
    /// # Errors
    /// What is no page of a listing: half of one is none.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|cause| cause.to_string())?;
        let document = parse(text)?;
        let root = document.root_element();
        if !root.has_tag_name("EnumerationResults") {
            return Err(format!("it begins with '{}'", root.tag_name().name()));
        }
        let blobs = child(root, "Blobs").ok_or("it has no Blobs")?;
        let next = child(root, "NextMarker").ok_or("it has no NextMarker")?;
        let blobs = blobs
            .children()
            .filter(|node| node.has_tag_name("Blob"))
            .filter(|blob| !is_folder(*blob));
        Ok(Self {
            blobs: blobs.map(blob).collect::<Result<_, _>>()?,
            next: Some(text_of(next)).filter(|marker| !marker.is_empty()),
        })
    }
}

/// With a hierarchical namespace, folders stand among the blobs.
fn is_folder(blob: Node<'_, '_>) -> bool {
    let kind = child(blob, "Properties").and_then(|properties| child(properties, "ResourceType"));
    kind.is_some_and(|kind| text_of(kind) == "directory")
}

fn blob(node: Node<'_, '_>) -> Result<Blob, String> {
    let name = child(node, "Name").ok_or("a Blob has no Name")?;
    let properties = child(node, "Properties").ok_or("a Blob has no Properties")?;
    let property = |tag| child(properties, tag).map(text_of).unwrap_or_default();
    // What XML cannot say is told in the way of addresses.
    let is_encoded = name.attribute("Encoded") == Some("true");
    let name = match text_of(name) {
        name if is_encoded => percent_decode_str(&name)
            .decode_utf8()
            .map_err(|_| "a Name is no text")?
            .into_owned(),
        name => name,
    };
    Ok(Blob {
        name,
        updated_millis: millis(&property("Last-Modified")).unwrap_or(0),
        version: version(&property("Etag")),
        bytes: property("Content-Length").parse().unwrap_or(0),
    })
}

/// A listing has no quotes around it, a header has.
pub fn version(tag: &str) -> String {
    tag.trim_matches('"').to_owned()
}

fn millis(date: &str) -> Option<i64> {
    let date = rfc2822::parse(date).ok()?;
    Some(date.timestamp().as_millisecond())
}

/// How far the server's clock is ahead of this machine's, in milliseconds, where that is too far.
pub fn skew(headers: &HeaderMap, now_millis: i64) -> Option<i64> {
    let theirs = millis(headers.get(DATE)?.to_str().ok()?)?;
    let ahead = theirs - now_millis;
    (SKEW.as_millis() < u128::from(ahead.unsigned_abs())).then_some(ahead)
}

/// Why a request was refused, as Azure tells it.
pub struct Refusal {
    status: StatusCode,
    pub code: String,
    words: String,
    /// By which support finds it.
    request: String,
    /// How far the server's clock is ahead, where that is likely why.
    pub skew: Option<i64>,
}

impl Refusal {
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let text = String::from_utf8_lossy(body);
        let document = parse(&text).ok();
        let told = |tag| {
            let root = document.as_ref().map(Document::root_element);
            root.and_then(|root| child(root, tag)).map(text_of)
        };
        let code = header("x-ms-error-code").map(str::to_owned);
        // What was signed is no secret, and long; what follows the first line is told in the log.
        let detail = told("AuthenticationErrorDetail").unwrap_or_default();
        let detail = detail.split("Server used").next().unwrap_or_default();
        let message = told("Message").unwrap_or_default();
        let words = [message.lines().next().unwrap_or_default(), detail]
            .map(str::trim)
            .join(" ");
        let clean = |text: &str| {
            let mut text = secrets.taken_out_of(text.trim().to_owned());
            http::cut(&mut text, TOLD_BYTES);
            text
        };
        Self {
            status,
            code: clean(&code.or_else(|| told("Code")).unwrap_or_default()),
            words: clean(&words),
            request: clean(header("x-ms-request-id").unwrap_or_default()),
            skew: None,
        }
    }

    /// For the log.
    pub fn cause(&self) -> String {
        match self.request.as_str() {
            "" => self.to_string(),
            request => format!("{self} (request {request})"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        if self.code.is_empty() {
            return write!(f, "an answer with status {status} that Azure does not give");
        }
        write!(f, "{status}: {}", self.code)?;
        if let Some(ahead) = self.skew {
            let minutes = ahead.unsigned_abs() / 60_000;
            let side = if 0 < ahead { "behind" } else { "ahead of" };
            return write!(
                f,
                ": the clock of this machine is {minutes} minutes {side} that of the server, and a \
                 signature is good for 15"
            );
        }
        match self.words.as_str() {
            "" => Ok(()),
            words => write!(f, ": {words}"),
        }
    }
}

fn parse(text: &str) -> Result<Document<'_>, String> {
    let options = ParsingOptions {
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|cause| cause.to_string())
}

fn child<'a, 'input>(node: Node<'a, 'input>, tag: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(tag))
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.children().filter_map(|child| child.text());
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "<NextMarker/></EnumerationResults>";

    fn listing(blobs: &str, end: &str) -> String {
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"c\">\
             <Prefix>kayenta/</Prefix><Blobs>{blobs}</Blobs>{end}"
        )
    }

    fn properties(more: &str) -> String {
        format!(
            "<Properties><Last-Modified>Sat, 28 Nov 2026 13:10:34 GMT</Last-Modified>\
             <Etag>0x26F5</Etag><Content-Length>479</Content-Length>{more}</Properties>"
        )
    }

    #[test]
    fn a_page_is_read_as_azure_writes_it() {
        let cases = [
            (
                "<Name>kayenta/a&amp;b &lt;ä&gt;.json</Name>",
                "kayenta/a&b <ä>.json",
            ),
            ("<Name><![CDATA[a&b]]></Name>", "a&b"),
            (
                "<Name Encoded=\"true\">a%EF%BF%BE%25.json</Name>",
                "a\u{fffe}%.json",
            ),
            ("<Name>a%25.json</Name>", "a%25.json"),
        ];
        for (name, expected) in cases {
            let blob = format!("<Blob>{name}{}</Blob>", properties(""));
            let next = "<NextMarker>2!76!&gt;&amp;</NextMarker></EnumerationResults>";
            let page = Page::read(listing(&blob, next).as_bytes()).unwrap();
            assert_eq!(page.next.as_deref(), Some("2!76!>&"));
            let [blob] = &page.blobs[..] else {
                panic!("{name}")
            };
            assert_eq!(blob.name, expected);
            assert_eq!((blob.version.as_str(), blob.bytes), ("0x26F5", 479));
            assert_eq!(blob.updated_millis, 1_795_871_434_000);
        }
    }

    #[test]
    fn folders_of_a_hierarchical_namespace_are_no_blobs() {
        let blob = |name, kind| {
            let kind = format!("<ResourceType>{kind}</ResourceType>");
            format!("<Blob><Name>{name}</Name>{}</Blob>", properties(&kind))
        };
        let both = blob("g", "directory") + &blob("g/a.json", "file");
        let page = Page::read(listing(&both, END).as_bytes()).unwrap();
        let names: Vec<&str> = page.blobs.iter().map(|blob| blob.name.as_str()).collect();
        assert_eq!(names, ["g/a.json"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn what_is_no_whole_page_is_none() {
        let blob = format!("<Blob><Name>a</Name>{}</Blob>", properties(""));
        let whole = listing(&blob, END);
        let nodes = "<a/>".repeat(MOST_NODES as usize);
        let entity = format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", &whole[41..]);
        let cases = [
            whole[..whole.len() - 20].to_owned(),
            listing(&blob, "</EnumerationResults>"),
            listing("<Blob><Properties/></Blob>", END),
            listing("<Blob><Name>a</Name></Blob>", END),
            listing(
                "<Blob><Name Encoded=\"true\">%FF</Name><Properties/></Blob>",
                END,
            ),
            listing(&nodes, END),
            entity,
            "<html/>".to_owned(),
            String::new(),
        ];
        for case in cases {
            assert!(Page::read(case.as_bytes()).is_err(), "{case:.200}");
        }
        assert!(Page::read(b"\xff<EnumerationResults/>").is_err());
        assert_eq!(Page::read(whole.as_bytes()).unwrap().blobs.len(), 1);
    }

    #[test]
    fn a_refusal_is_told_in_azures_words_and_without_secrets() {
        let body = "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>It failed.\n\
                    RequestId:1\nTime:2</Message><AuthenticationErrorDetail>The MAC signature 's1gnature=' is \
                    not the same. Server used following string to sign: 'PUT…'.</AuthenticationErrorDetail></Error>";
        let secrets = Secrets::new(["s1gnature"]);
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sat, 28 Nov 2026 13:10:34 GMT".parse().unwrap());
        let mut refusal = Refusal::read(StatusCode::FORBIDDEN, &headers, body.as_bytes(), &secrets);
        assert_eq!(
            refusal.to_string(),
            "403 Forbidden: AuthenticationFailed: It failed. The MAC signature '…=' is not the same."
        );
        let now = 1_795_871_434_000;
        let minute = 60_000;
        for (mine, expected) in [
            (now - 9 * minute, None),
            (now - 17 * minute, Some("17 minutes behind")),
            (now + 180 * minute, Some("180 minutes ahead of")),
        ] {
            refusal.skew = skew(&headers, mine);
            let told = refusal.to_string();
            assert_eq!(refusal.skew.is_some(), expected.is_some(), "{told}");
            assert!(told.contains(expected.unwrap_or("It failed.")), "{told}");
        }

        let unknown = Refusal::read(StatusCode::NOT_FOUND, &headers, b"<html>", &secrets);
        assert_eq!(
            unknown.to_string(),
            "an answer with status 404 Not Found that Azure does not give"
        );
    }
}
