//! Comma-separated values (RFC 4180).

use std::borrow::Cow;

/// A text as a field: in quotes where it has to be. An empty text is `""`, so that it can be told from nothing.
pub fn field(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for a spreadsheet, which would take a text for a formula that begins like one: an apostrophe before it says that it
/// is none.
pub fn spreadsheet_field(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(field(&format!("'{text}")).into_owned())
    } else {
        field(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_has_them() {
        for (text, expected) in [
            ("a", "a"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn no_text_is_a_formula() {
        for (text, expected) in [("=1+1", "'=1+1"), ("@x", "'@x"), ("-a,b", "\"'-a,b\""), ("a=1", "a=1")] {
            assert_eq!(spreadsheet_field(text), expected);
        }
    }
}
