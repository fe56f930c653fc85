//! Under which conditions a request is meant (RFC 9110 section 13), and which bytes (section 14). Pure.

use jiff::fmt::rfc2822;

use crate::api::objects::fault::Fault;
use crate::http::head::Head;
use crate::model::object::Object;

/// What follows of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is done.
    Go,
    /// Whoever asks has it already.
    NotModified,
    /// A condition does not hold.
    Failed,
}

/// Looks at `<prefix>if-match` and its like.
pub(super) fn judge(head: &Head, prefix: &str, object: &Object) -> Verdict {
    let header = |name: &str| head.header_text(&format!("{prefix}{name}"));
    let modified_s = object.modified_us.div_euclid(1_000_000);
    let etag_failed = header("if-match").is_some_and(|list| !matches(list, &object.content.etag));
    // An ETag says more than a time, so where there is one, the time is not looked at.
    let time_failed = header("if-match").is_none()
        && header("if-unmodified-since").and_then(seconds).is_some_and(|since_s| modified_s > since_s);
    if etag_failed || time_failed {
        return Verdict::Failed;
    }
    let has_it = match header("if-none-match") {
        Some(list) => matches(list, &object.content.etag),
        None => header("if-modified-since").and_then(seconds).is_some_and(|since_s| modified_s <= since_s),
    };
    if has_it { Verdict::NotModified } else { Verdict::Go }
}

fn matches(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == etag
    })
}

fn seconds(text: &str) -> Option<i64> {
    Some(rfc2822::parse(text).ok()?.timestamp().as_second())
}

/// A stretch of bytes: where it begins, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) length: u64,
}

/// The stretch of `size` bytes that `Range` asks for; none for all of them, which is also what several stretches get.
pub(super) fn stretch(range: Option<&str>, size: u64) -> Result<Option<Stretch>, Fault> {
    let Some(asked) = range.and_then(|text| text.strip_prefix("bytes=")) else { return Ok(None) };
    let Some((from, to)) = asked.split_once('-') else { return Ok(None) };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, to) = match (from.trim(), to.trim()) {
        ("", to) => match number(to) {
            Some(count) => (size.saturating_sub(count), size.saturating_sub(1)),
            None => return Ok(None),
        },
        (from, "") => match number(from) {
            Some(from) => (from, size.saturating_sub(1)),
            None => return Ok(None),
        },
        (from, to) => match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => (from, to.min(size.saturating_sub(1))),
            _ => return Ok(None),
        },
    };
    // None of the last bytes is as little to be had as some from behind the end.
    if from >= size || asked.trim() == "-0" {
        return Err(Fault::new(416, "InvalidRange", format!("there are {size} bytes")));
    }
    Ok(Some(Stretch { from, length: to - from + 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::{Content, FileId, ObjectKey, Said};

    #[test]
    fn a_range_is_one_stretch_or_all() {
        for (range, expected) in [
            ("bytes=0-0", Ok(Some((0, 1)))),
            ("bytes=2-5", Ok(Some((2, 4)))),
            ("bytes=2-", Ok(Some((2, 8)))),
            ("bytes=2-99", Ok(Some((2, 8)))),
            ("bytes=-3", Ok(Some((7, 3)))),
            ("bytes=-99", Ok(Some((0, 10)))),
            ("bytes=10-", Err("InvalidRange")),
            ("bytes=-0", Err("InvalidRange")),
            ("bytes=5-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=x-", Ok(None)),
            ("lines=0-1", Ok(None)),
        ] {
            let found = stretch(Some(range), 10);
            let found = found.map(|found| found.map(|found| (found.from, found.length)));
            assert_eq!(found.map_err(|fault| fault.code), expected, "{range}");
        }
        assert_eq!(stretch(Some("bytes=0-"), 0).unwrap_err().status, 416);
        assert_eq!(stretch(None, 10).unwrap(), None);
    }

    #[test]
    fn conditions_are_those_of_http() {
        let object = Object {
            key: ObjectKey::parse("a").unwrap(),
            content: Content { file: FileId::of([0; 32]), size: 1, etag: "e".into(), crc64: 0 },
            said: Said::default(),
            modified_us: 1_763_950_000_500_000,
        };
        let (same, before) = ("Mon, 24 Nov 2025 02:06:40 GMT", "Mon, 24 Nov 2025 02:06:39 GMT");
        for (headers, expected) in [
            (vec![], Verdict::Go),
            (vec![("If-Match", "\"e\"")], Verdict::Go),
            (vec![("If-Match", "\"x\", \"e\"")], Verdict::Go),
            (vec![("If-Match", "\"x\"")], Verdict::Failed),
            (vec![("If-None-Match", "\"e\"")], Verdict::NotModified),
            (vec![("If-None-Match", "*")], Verdict::NotModified),
            (vec![("If-None-Match", "\"x\""), ("If-Modified-Since", same)], Verdict::Go),
            (vec![("If-Modified-Since", same)], Verdict::NotModified),
            (vec![("If-Modified-Since", before)], Verdict::Go),
            (vec![("If-Unmodified-Since", same)], Verdict::Go),
            (vec![("If-Unmodified-Since", before)], Verdict::Failed),
            (vec![("If-Match", "\"e\""), ("If-Unmodified-Since", before)], Verdict::Go),
            (vec![("If-Modified-Since", "whenever")], Verdict::Go),
        ] {
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = Head::parse(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()).unwrap();
            assert_eq!(judge(&head, "", &object), expected, "{headers:?}");
        }
    }
}
