//! What people do about an execution that has ended. Kayenta has nothing of this.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Outcome, iso_from_millis, lenient};

/// Characters.
const LONGEST_REASON: usize = 1_000;
const LONGEST_NAME: usize = 100;

/// Somebody goes on with it all the same. Its outcome stays what was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AcceptedByHand {
    #[schema(example = "the dashboards are fine, the scraper was restarted")]
    pub reason: String,
    /// As they call themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Epoch milliseconds.
    pub time_millis: i64,
    pub time_iso: String,
}

/// Why somebody goes on with an execution that did not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// 1 to 1,000 characters.
    #[serde(default, deserialize_with = "lenient::text::or_empty")]
    #[schema(example = "the dashboards are fine, the scraper was restarted")]
    pub reason: String,
    /// 100 characters at most. There is no login: who can reach serin may give any name.
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub by: Option<String>,
}

impl Acceptance {
    /// At that time.
    ///
    /// # Errors
    /// What is wrong with its texts.
    pub fn at(self, now_millis: i64) -> Result<AcceptedByHand, String> {
        let reason = checked("reason", &self.reason, LONGEST_REASON)?;
        if reason.is_empty() {
            return Err("a 'reason' must be given: why is it accepted?".to_owned());
        }
        let by = checked("by", self.by.as_deref().unwrap_or_default(), LONGEST_NAME)?;
        Ok(AcceptedByHand {
            reason,
            by: Some(by).filter(|by| !by.is_empty()),
            time_millis: now_millis,
            time_iso: iso_from_millis(now_millis),
        })
    }
}

impl AcceptedByHand {
    /// In a line: `Accepted by hand by ana: the scraper was restarted`.
    pub fn sentence(&self) -> String {
        let by = self.by.as_ref().map(|by| format!(" by {by}"));
        format!(
            "Accepted by hand{}: {}",
            by.unwrap_or_default(),
            self.reason
        )
    }

    /// Whether it is the same, whenever.
    pub fn says(&self, other: &Self) -> bool {
        (&self.reason, &self.by) == (&other.reason, &other.by)
    }
}

impl Outcome {
    /// Whether there is something that a person could go on with all the same: what passed needs
    /// nobody, and what was canceled was given up.
    pub const fn can_be_accepted(self) -> bool {
        matches!(
            self,
            Self::Marginal | Self::Fail | Self::Inconclusive | Self::Error
        )
    }
}

/// What is noted in a document that has ended.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amendment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by_hand: Option<AcceptedByHand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated_by: Option<String>,
}

impl Amendment {
    /// The document with it; members that only a newer version knows stay.
    ///
    /// # Errors
    /// When the text is no document.
    pub fn noted_in(&self, document: &str) -> Result<String, serde_json::Error> {
        let mut members: Map<String, Value> = serde_json::from_str(document)?;
        if let Value::Object(noted) = serde_json::to_value(self)? {
            members.extend(noted);
        }
        serde_json::to_string(&members)
    }
}

fn checked(name: &str, text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim().replace("\r\n", "\n");
    let count = text.chars().count();
    if longest < count {
        return Err(format!(
            "'{name}' has {count} characters; {longest} at most are kept"
        ));
    }
    match text
        .chars()
        .find(|c| c.is_control() && !"\n\t".contains(*c))
    {
        Some(control) => Err(format!(
            "'{name}' holds the control character {}",
            control.escape_default()
        )),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_must_be_given_and_texts_are_bounded() {
        type Expected<'a> = Result<(&'a str, Option<&'a str>), &'a str>;

        let long = "ä".repeat(1_000);
        let cases: [(&str, Option<&str>, Expected<'_>); 9] = [
            ("fine", Some("ana"), Ok(("fine", Some("ana")))),
            ("  fine\r\nindeed ", Some("  "), Ok(("fine\nindeed", None))),
            (&long, None, Ok((&long, None))),
            ("", None, Err("must be given")),
            (" \n\t", Some("ana"), Err("must be given")),
            (&format!("{long}a"), None, Err("1001 characters; 1000")),
            ("fine", Some(&long), Err("'by' has 1000 characters; 100")),
            ("a\0b", None, Err("control character \\u{0}")),
            ("fine", Some("a\u{1b}b"), Err("control character")),
        ];
        for (reason, by, expected) in cases {
            let acceptance = Acceptance {
                reason: reason.to_owned(),
                by: by.map(str::to_owned),
            };
            match (acceptance.at(0), expected) {
                (Ok(accepted), Ok((reason, by))) => {
                    assert_eq!(accepted.reason, reason);
                    assert_eq!(accepted.by.as_deref(), by);
                    assert_eq!(accepted.time_iso, "1970-01-01T00:00:00Z");
                }
                (Err(told), Err(part)) => assert!(told.contains(part), "{told}"),
                (got, expected) => panic!("{got:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn what_is_noted_leaves_the_rest_of_a_document_as_it_is() {
        let before =
            r#"{"outcome":"inconclusive","score":0.1,"ofTomorrow":{"b":[1e3,null],"a":2}}"#;
        let amendment = Amendment {
            repeated_by: Some("next".to_owned()),
            ..Amendment::default()
        };
        let after = amendment.noted_in(before).unwrap();
        let expected = r#"{"outcome":"inconclusive","score":0.1,"ofTomorrow":{"b":[1000.0,null],"a":2},"repeatedBy":"next"}"#;
        assert_eq!(after, expected);
        assert_eq!(amendment.noted_in(&after).unwrap(), expected);
        assert!(amendment.noted_in("[]").is_err());
    }
}
