//! The response that a function's return value becomes (triggers 1.3, 1.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A response, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Names and values, checked.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

const JSON: &str = "application/json";

/// Most headers of a response, and how long they may be together: what the server takes of others.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// What a function may return that means a whole response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Returned<'a> {
    #[serde(default)]
    is_base64_encoded: Option<bool>,
    status_code: Option<u32>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The value as it is, as JSON.
pub fn passed_through(value: Vec<u8>) -> Reply {
    Reply { status: 200, headers: vec![("Content-Type".to_owned(), JSON.to_owned())], body: value }
}

/// The response that an integrated API's function returned; none where it returned something else.
pub fn integrated(value: &[u8]) -> Option<Reply> {
    let returned = returned(value)?;
    let status = returned.status_code?;
    let body = match returned.body {
        None => String::new(),
        Some(body) => serde_json::from_str(body.get()).ok()?,
    };
    response(status, &returned, body)
}

/// The response that a URL's function returned: a whole one where the value has a `statusCode`, else the value; none where it
/// has one and is no response all the same.
pub fn inferred(value: Vec<u8>) -> Option<Reply> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Hint {
        status_code: Option<Value>,
    }
    let is_response = is_object(&value)
        && serde_json::from_slice::<Hint>(&value).is_ok_and(|hint| hint.status_code.is_some());
    if !is_response {
        return Some(passed_through(value));
    }
    let returned = returned(&value)?;
    // A body that is no text is meant as JSON.
    let body = returned.body.map_or_else(String::new, |body| {
        serde_json::from_str(body.get()).unwrap_or_else(|_| body.get().to_owned())
    });
    response(returned.status_code?, &returned, body)
}

fn returned(value: &[u8]) -> Option<Returned<'_>> {
    is_object(value).then(|| serde_json::from_slice(value).ok()).flatten()
}

/// A list would be read as the fields of an object in their order.
fn is_object(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"{")
}

fn response(status: u32, returned: &Returned<'_>, body: String) -> Option<Reply> {
    let status = u16::try_from(status).ok().filter(|status| (200..=599).contains(status))?;
    let mut headers = Vec::new();
    for (name, value) in returned.headers.iter().flatten() {
        add(&mut headers, name, value)?;
    }
    let size: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || size > HEADER_BYTES_MAX {
        return None;
    }
    match headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).count() {
        0 => headers.push(("Content-Type".to_owned(), JSON.to_owned())),
        1 => {}
        _ => return None,
    }
    let body = match returned.is_base64_encoded {
        // Encoders break lines.
        Some(true) => STANDARD.decode(body.replace(|char: char| char.is_ascii_whitespace(), "")).ok()?,
        _ => body.into_bytes(),
    };
    Some(Reply { status, headers, body })
}

/// A header of one value, or of several; nothing where it is none.
fn add(headers: &mut Vec<(String, String)>, name: &str, value: &Value) -> Option<()> {
    let is_type = name.eq_ignore_ascii_case("content-type");
    let values = match value {
        Value::Array(values) if !is_type => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    for value in values {
        headers.push((name.to_owned(), text(value)?));
    }
    is_token(name).then_some(())
}

/// Numbers and truths as people write them who mean a text.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    (!text.chars().any(|char| char.is_control() && char != '\t')).then_some(text)
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(reply: Option<Reply>) -> String {
        let Some(Reply { status, headers, body }) = reply else { return "malformed".to_owned() };
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{status} [{}] {}", headers.join("; "), String::from_utf8_lossy(&body))
    }

    #[test]
    fn integrated_responses_are_what_is_documented() {
        for (value, expected) in [
            (
                r#"{"isBase64Encoded":false,"statusCode":200,"headers":{"Content-Type":"text/html"},"body":"<p>"}"#,
                "200 [Content-Type: text/html] <p>",
            ),
            (
                r#"{"isBase64Encoded":true,"statusCode":200,"headers":{"Content-Type":"a/b"},"body":"aGk="}"#,
                "200 [Content-Type: a/b] hi",
            ),
            (
                r#"{"statusCode":201,"headers":{"Content-Type":"text/plain","Set-Cookie":["a=1","b=2"]},"body":"created"}"#,
                "201 [Content-Type: text/plain; Set-Cookie: a=1; Set-Cookie: b=2] created",
            ),
            (
                r#"{"isBase64Encoded":true,"statusCode":200,"headers":{"Content-Type":"a/b"},"body":"aG\nk=\n"}"#,
                "200 [Content-Type: a/b] hi",
            ),
            (r#"{"statusCode":204}"#, "204 [Content-Type: application/json] "),
            (
                r#"{"statusCode":302,"headers":{"Location":"/there","X-Count":3}}"#,
                "302 [Location: /there; X-Count: 3; Content-Type: application/json] ",
            ),
        ] {
            assert_eq!(print(integrated(value.as_bytes())), expected, "{value}");
        }
    }

    #[test]
    fn whatever_else_is_returned_is_malformed() {
        for value in [
            "null",
            "\"hello\"",
            "[200]",
            "{}",
            r#"{"body":"x"}"#,
            r#"{"statusCode":"200"}"#,
            r#"{"statusCode":-1}"#,
            r#"{"statusCode":0}"#,
            r#"{"statusCode":99}"#,
            r#"{"statusCode":1000}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"headers":{"Content-Type":["a","b"]}}"#,
            r#"{"statusCode":200,"headers":{"X":{}}}"#,
            r#"{"statusCode":200,"headers":{"Content-Type":"a/b","content-type":"c/d"}}"#,
            &format!(r#"{{"statusCode":200,"headers":{{"X":"{}"}}}}"#, "x".repeat(70_000)),
            r#"{"statusCode":200,"headers":{"X":"a\r\nSet-Cookie: b"}}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":200,"isBase64Encoded":true,"body":"?"}"#,
            r#"{"statusCode":200,"isBase64Encoded":"true","body":""}"#,
        ] {
            assert_eq!(print(integrated(value.as_bytes())), "malformed", "{value}");
        }
    }

    #[test]
    fn a_url_takes_values_for_bodies() {
        for (value, expected) in [
            ("\"Hello\"", "200 [Content-Type: application/json] \"Hello\""),
            (r#"{"a":1.10}"#, r#"200 [Content-Type: application/json] {"a":1.10}"#),
            ("null", "200 [Content-Type: application/json] null"),
            ("[1]", "200 [Content-Type: application/json] [1]"),
            (
                r#"{"statusCode":404,"headers":{"Content-Type":"text/plain"},"body":"no"}"#,
                "404 [Content-Type: text/plain] no",
            ),
            (r#"{"statusCode":200,"body":{"a":1}}"#, r#"200 [Content-Type: application/json] {"a":1}"#),
            (r#"{"statusCode":"x"}"#, "malformed"),
        ] {
            assert_eq!(print(inferred(value.as_bytes().to_vec())), expected, "{value}");
        }
    }
}
