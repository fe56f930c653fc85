//! JSON as the bytes that came: checked against RFC 8259, never re-encoded.
//!
//! Big integers, `1.10`, duplicate keys and key order survive because nothing is parsed into a tree. Lone
//! surrogate escapes are grammatical (RFC 8259 section 8.2) and pass.

use serde_json::value::RawValue;

/// Deepest nesting accepted. Python's parser gives up near 1,000; half of that leaves the handler room.
pub const DEPTH_MAX: usize = 512;

/// Checks that `bytes` are one RFC 8259 text in UTF-8 without a byte order mark, nested at most [`DEPTH_MAX`]
/// deep; the error is a phrase that says what is wrong and where.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    if depth(bytes) > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    check_any_depth(bytes)
}

/// The same for texts of our own side, which may nest as deep as they like.
pub fn check_any_depth(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8 from byte {}", e.valid_up_to()))?;
    serde_json::from_str::<&RawValue>(text).map(drop).map_err(|e| e.to_string())
}

/// The deepest nesting of brackets outside strings; an upper bound where the text is no JSON.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        assert!(check("[".repeat(10_000).as_bytes()).unwrap_err().contains("512"));
        let fits = format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(check(fits.as_bytes()), Ok(()));
    }

    #[test]
    fn any_depth_is_checked_without_recursion() {
        let deep = format!("{}1{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(check_any_depth(deep.as_bytes()), Ok(()));
        assert!(check_any_depth(&deep.as_bytes()[1..]).is_err());
        assert!(check_any_depth(b"\"\xff\"").is_err());
        assert!(check_any_depth(b"").is_err());
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let text = format!("\"{}\\\"{}\"", "[".repeat(2000), "{".repeat(2000));
        assert_eq!(check(text.as_bytes()), Ok(()));
    }
}
