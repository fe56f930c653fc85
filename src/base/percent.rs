//! Percent escapes (RFC 3986 section 2.1), both ways.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is escaped: all but letters, digits and `-_.~`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in paths, where slashes stay.
const ESCAPED_IN_PATHS: &AsciiSet = &ESCAPED.remove(b'/');

/// Escapes all but letters, digits and `-_.~`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The same, but slashes stay: for paths.
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED_IN_PATHS).to_string()
}

/// Resolves escapes; none where one is malformed, which the crate would pass on, or what comes out is not UTF-8 or has a NUL.
pub fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let value = digit(0)? * 16 + digit(1)?;
        bytes.push(u8::try_from(value).expect("two hex digits are a byte"));
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_comes_back() {
        for (plain, encoded, path) in [
            ("in/cat 01.jpg", "in%2Fcat%2001.jpg", "in/cat%2001.jpg"),
            ("-_.~", "-_.~", "-_.~"),
            ("é+&=", "%C3%A9%2B%26%3D", "%C3%A9%2B%26%3D"),
            ("", "", ""),
        ] {
            assert_eq!((encode(plain).as_str(), encode_path(plain).as_str()), (encoded, path));
            assert_eq!(decode(encoded).as_deref(), Some(plain));
        }
        for wrong in ["%", "%4", "%zz", "%ff", "%00", "%+1"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(decode("a+b").as_deref(), Some("a+b"), "a plus is a plus in a path");
    }
}
