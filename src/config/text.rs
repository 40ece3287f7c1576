//! The text of a file, however an editor on Windows wrote it.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// # Errors
/// When the file cannot be read, or is no text.
pub fn read(file: &Path) -> Result<String> {
    of(std::fs::read(file)?)
}

/// What Windows' editors begin a file in UTF-8 with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Of a file that need not be text all over.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// UTF-8 without its byte order mark; UTF-16 has one, or it is none.
///
/// # Errors
/// When the bytes are neither.
pub fn of(bytes: impl AsRef<[u8]>) -> Result<String> {
    let utf16 = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units = bytes.chunks(2).map(|pair| match pair {
            [first, second] => unit([*first, *second]),
            // Half a letter is none.
            _ => 0xD800,
        });
        String::from_utf16(&units.collect::<Vec<u16>>()).ok()
    };
    let text = match bytes.as_ref() {
        [0xFF, 0xFE, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => utf16(u16::from_be_bytes, rest),
        bytes => String::from_utf8(without_mark(bytes).to_vec()).ok(),
    };
    let wrong = |told: &str| Error::new(ErrorKind::InvalidData, told);
    let text = text.ok_or_else(|| wrong("it is no text in UTF-8"))?;
    if text.contains('\0') {
        return Err(wrong(
            "it holds zeros, as UTF-16 without a byte order mark and UTF-32 do: save it as UTF-8",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_byte_order_are_no_part_of_a_text() {
        let cases = [
            (&b"a: \xc3\xa4"[..], Some("a: ä")),
            (b"\xef\xbb\xbfa: \xc3\xa4", Some("a: ä")),
            (b"\xff\xfea\0:\0 \0\xe4\0", Some("a: ä")),
            (b"\xfe\xff\0a\0:\0 \0\xe4", Some("a: ä")),
            (b"\xef\xbb\xbf", Some("")),
            (b"", Some("")),
            (b"a\xff", None),
            (b"\xff\xfea", None),
            (b"{\0\"\0", None),
            (b"\0{\0\"", None),
            (b"\xff\xfe\0\0{\0\0\0", None),
        ];
        for (bytes, text) in cases {
            assert_eq!(of(bytes).ok().as_deref(), text, "{bytes:?}");
        }
    }
}
