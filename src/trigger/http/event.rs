//! The event that a request becomes, field by field as the cloud's gateway and function URLs send it (triggers 1.2, 1.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::trigger::http::routes::Api;

/// A request, as far as a function is told of it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it came, without what led here.
    pub path: &'a str,
    /// What followed the `?`.
    pub query: Option<&'a str>,
    /// The headers in order, as they came.
    pub headers: Vec<(String, String)>,
    /// The body; none where the request had none.
    pub body: Option<&'a [u8]>,
    /// The client's address, as far as the server knows it.
    pub source_ip: &'a str,
    /// The run's id.
    pub request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    request_context: Value,
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
    path: &'a str,
    http_method: &'a str,
    path_parameters: Map<String, Value>,
    query_string: Map<String, Value>,
    query_string_parameters: Map<String, Value>,
    header_parameters: Map<String, Value>,
}

/// The event of a request to the gateway. `parts` are those of the path that vary, `secret_id` is whose key signed it.
pub fn apigw(asked: &Asked<'_>, api: &Api, parts: Vec<(String, String)>, secret_id: Option<&str>) -> Vec<u8> {
    let trigger = &api.placed.trigger;
    let identity = secret_id.map_or_else(|| json!({}), |id| json!({ "secretId": id }));
    let mut headers = lowered(&asked.headers);
    for (name, value) in [
        ("requestsource", "APIGW"),
        ("x-api-requestid", asked.request_id),
        ("x-api-scheme", "http"),
        ("x-b3-traceid", asked.request_id),
        ("x-qualifier", &trigger.qualifier),
    ] {
        headers.insert(name.to_owned(), value.into());
    }
    let (body, is_base64_encoded) = body(asked.body, api.apigw.is_base64);
    bytes(&Event {
        request_context: json!({
            "serviceId": api.apigw.service,
            "path": api.path,
            "httpMethod": api.apigw.method,
            "identity": identity,
            "sourceIp": asked.source_ip,
            "stage": api.apigw.environment,
        }),
        headers,
        body,
        is_base64_encoded,
        path: asked.path,
        http_method: asked.method,
        path_parameters: parts.into_iter().map(|(name, value)| (name, value.into())).collect(),
        query_string: query(asked.query),
        query_string_parameters: Map::new(),
        header_parameters: Map::new(),
    })
}

/// The event of a request to a function's own URL.
pub fn url(asked: &Asked<'_>) -> Vec<u8> {
    let mut headers = lowered(&asked.headers);
    // What the server says of the client is not up to the client.
    headers.retain(|name, _| !name.starts_with("x-scf-"));
    if let Some(host) = headers.shift_remove("host") {
        headers.insert("x-scf-request-domain".to_owned(), host);
    }
    headers.insert("x-scf-remote-addr".to_owned(), asked.source_ip.into());
    headers.insert("x-scf-request-id".to_owned(), asked.request_id.into());
    let (body, is_base64_encoded) = body(asked.body, false);
    bytes(&Event {
        request_context: json!({ "sourceIp": asked.source_ip }),
        headers,
        body: Some(body.unwrap_or_default()),
        is_base64_encoded,
        path: asked.path,
        http_method: asked.method,
        path_parameters: Map::new(),
        query_string: query(asked.query),
        query_string_parameters: Map::new(),
        header_parameters: Map::new(),
    })
}

fn bytes(event: &Event<'_>) -> Vec<u8> {
    serde_json::to_vec(event).expect("texts can be written as JSON")
}

/// Names in lower case; the values of one that is repeated are one list (RFC 9110 section 5.3).
fn lowered(headers: &[(String, String)]) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for (name, value) in headers {
        match all.get_mut(&name.to_ascii_lowercase()) {
            Some(Value::String(known)) => {
                // RFC 6265 section 5.4: cookies are a list of their own.
                known.push_str(if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " });
                known.push_str(value);
            }
            _ => {
                all.insert(name.to_ascii_lowercase(), value.as_str().into());
            }
        }
    }
    all
}

/// A body that is no text would be lost as one, so it comes in base64; with `always` every one does.
fn body(bytes: Option<&[u8]>, always: bool) -> (Option<String>, bool) {
    let Some(bytes) = bytes else { return (None, false) };
    match std::str::from_utf8(bytes) {
        Ok(text) if !always => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(bytes)), true),
    }
}

/// A key that is repeated has all its values, one without `=` is true.
fn query(text: Option<&str>) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Value::from(decoded(value))),
            None => (pair, Value::Bool(true)),
        };
        match all.get_mut(&decoded(name)) {
            Some(Value::Array(values)) => values.push(value),
            Some(known) => *known = json!([known.take(), value]),
            None => drop(all.insert(decoded(name), value)),
        }
    }
    all
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(query: Option<&'a str>, body: Option<&'a [u8]>) -> Asked<'a> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Asked {
            method: "POST",
            path: "/tango",
            query,
            headers: vec![
                header("Accept", "*/*"),
                header("Host", "box"),
                header("X-Scf-Remote-Addr", "6.6.6.6"),
                header("Cookie", "a=1"),
                header("cookie", "b=2"),
            ],
            body,
            source_ip: "192.0.2.10",
            request_id: "id",
        }
    }

    fn of(asked: &Asked<'_>) -> Value {
        serde_json::from_slice(&url(asked)).unwrap()
    }

    #[test]
    fn a_url_tells_what_is_documented_and_believes_no_client() {
        let expected = json!({
            "requestContext": { "sourceIp": "192.0.2.10" },
            "headers": {
                "accept": "*/*",
                "cookie": "a=1; b=2",
                "x-scf-request-domain": "box",
                "x-scf-remote-addr": "192.0.2.10",
                "x-scf-request-id": "id",
            },
            "body": "{}",
            "isBase64Encoded": false,
            "path": "/tango",
            "httpMethod": "POST",
            "pathParameters": {},
            "queryString": { "a": "1" },
            "queryStringParameters": {},
            "headerParameters": {},
        });
        assert_eq!(of(&asked(Some("a=1"), Some(b"{}"))), expected);
    }

    #[test]
    fn queries_keep_what_they_say() {
        for (text, expected) in [
            ("unit=c", json!({ "unit": "c" })),
            ("tag=a&tag=b&tag=c", json!({ "tag": ["a", "b", "c"] })),
            ("verbose", json!({ "verbose": true })),
            ("empty=", json!({ "empty": "" })),
            ("a+b=%E4%B8%AD+%2B", json!({ "a b": "中 +" })),
            ("&&x=1&", json!({ "x": "1" })),
            ("bad=%FF%2", json!({ "bad": "\u{fffd}%2" })),
            ("verbose&verbose=1", json!({ "verbose": [true, "1"] })),
        ] {
            assert_eq!(of(&asked(Some(text), None))["queryString"], expected, "{text}");
        }
    }

    #[test]
    fn bodies_that_are_no_text_come_in_base64() {
        let event = of(&asked(None, Some(b"\x89PNG\x00\x01\x02\x03")));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("iVBORwABAgM="), &json!(true)));
        assert_eq!(of(&asked(None, None))["body"], "");
    }
}
