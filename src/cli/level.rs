//! How grave a line is, for its colour: what the server says, or what the line says of itself.
//!
//! A guess for people, and no more: lines are stored with the contract's levels (`INFO`, and `ERROR` for the platform's own).
//! A line says its level by its first word in capitals, as Python's logging and many others write it (`[WARNING] …`,
//! `DEBUG: …`), or, if it is a JSON object, by its field `level`.

use serde::Deserialize;
use serde_json::Value;

use crate::api::wire::Line;
use crate::cli::output::Style;

#[derive(Deserialize)]
struct Levelled {
    level: Value,
}

/// The colour of a line.
pub(super) fn style(line: &Line) -> Option<Style> {
    if line.level == "ERROR" {
        return Some(Style::Bad);
    }
    if line.stream == "platform" {
        return Some(Style::Dim);
    }
    match said(&line.message)?.as_str() {
        "ERROR" | "CRITICAL" | "FATAL" => Some(Style::Bad),
        "WARN" | "WARNING" => Some(Style::Warn),
        "DEBUG" | "TRACE" => Some(Style::Dim),
        _ => None,
    }
}

/// The word that may be a level, in capitals.
fn said(message: &str) -> Option<String> {
    if message.starts_with('{') {
        let Levelled { level } = serde_json::from_str(message).ok()?;
        return level.as_str().map(str::to_uppercase);
    }
    let rest = message.strip_prefix('[').unwrap_or(message);
    let end = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
    let is_word = rest[end..].chars().next().is_none_or(|c| c.is_whitespace() || "]:|".contains(c));
    is_word.then(|| rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_how_grave_they_are() {
        let style = |stream: &str, level: &str, message: &str| {
            let (stream, level, message) = (stream.to_owned(), level.to_owned(), message.to_owned());
            let (request_id, function) = (String::new(), String::new());
            style(&Line {
                id: 0,
                ts_us: 0,
                request_id,
                function,
                retry_num: 0,
                stream,
                level,
                message,
                before: Vec::new(),
                after: Vec::new(),
            })
        };
        assert_eq!(style("platform", "ERROR", "ERROR RequestId: x"), Some(Style::Bad));
        assert_eq!(style("platform", "INFO", "START RequestId: x"), Some(Style::Dim));
        for (message, expected) in [
            ("[WARNING]\t2026-01-02T03:04:05Z\tx", Some(Style::Warn)),
            ("WARN: x", Some(Style::Warn)),
            ("DEBUG", Some(Style::Dim)),
            ("[ERROR] x", Some(Style::Bad)),
            (r#"{"msg":"x","level":"warn"}"#, Some(Style::Warn)),
            (r#"{"level":40}"#, None),
            (r#"{"level":"warn""#, None),
            ("WARNINGS are fine", None),
            ("Warning signs", None),
            ("INFO x", None),
            ("", None),
        ] {
            assert_eq!(style("stdout", "INFO", message), expected, "{message}");
        }
    }
}
