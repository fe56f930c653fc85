//! From a request to an action and its parameters. There are three forms: a JSON body or a query, both with the common
//! parameters in headers (signature TC3), and the older one with all of it in the query or a form (contract 7.1).

use serde_json::{Map, Value};
use tiny_http::Method;

use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::http::head::Head;

/// The largest form (contract 7.1).
pub(super) const FORM_BYTES_MAX: u64 = 1024 * 1024;
/// Most parameters of a form or query.
const PAIRS_MAX: usize = 1000;
/// How deep names with dots may lead.
const DEPTH_MAX: usize = 8;
/// The largest index in a name.
const INDEX_MAX: usize = 1000;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) action: String,
    pub(super) version: String,
    pub(super) params: Params,
}

/// Whether a request is of this API: its path is `/`, and it names an action in a header or the query, or sends a form.
pub(super) fn is_meant(head: &Head) -> bool {
    let names_action = || {
        head.header("x-tc-action").is_some()
            || head.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("Action=")))
    };
    head.path() == "/" && (names_action() || (*head.method() == Method::Post && is_form(head)))
}

/// Whether the signature is the older one, which is among the parameters.
pub(super) fn has_common_parameters_within(head: &Head) -> bool {
    head.header("x-tc-action").is_none()
}

/// The parameters of a form or query, in order, decoded.
pub(super) fn pairs(head: &Head, body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let text = match *head.method() {
        Method::Get => head.query().unwrap_or_default(),
        _ => std::str::from_utf8(body).map_err(|_| malformed("the form must be ASCII"))?,
    };
    let pairs: Vec<&str> = text.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > PAIRS_MAX {
        return Err(malformed("there are too many parameters"));
    }
    let decoded = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    };
    pairs.into_iter().map(decoded).collect()
}

impl Asked {
    /// Reads a request.
    pub(super) fn read(head: &Head, body: &[u8]) -> Result<Asked, Fault> {
        if has_common_parameters_within(head) {
            Asked::within(head, body)
        } else {
            Asked::by_headers(head, body)
        }
    }

    fn by_headers(head: &Head, body: &[u8]) -> Result<Asked, Fault> {
        let header = |name: &str| head.header_text(name).unwrap_or_default().to_owned();
        let params = match *head.method() {
            Method::Get => tree(pairs(head, body)?)?,
            _ if is_json(head) => object(body)?,
            _ if is_form(head) => tree(pairs(head, body)?)?,
            _ => {
                let sentence = "Content-Type must be application/json or application/x-www-form-urlencoded";
                return Err(Fault::new("UnsupportedProtocol", sentence));
            }
        };
        Ok(Asked {
            action: action(&header("x-tc-action"))?,
            version: header("x-tc-version"),
            params: Params(params),
        })
    }

    fn within(head: &Head, body: &[u8]) -> Result<Asked, Fault> {
        let mut fields = tree(pairs(head, body)?)?;
        let mut take = |name: &str| match fields.shift_remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (named, version) = (take("Action"), take("Version"));
        for common in [
            "Timestamp",
            "Nonce",
            "SecretId",
            "Signature",
            "SignatureMethod",
            "Region",
            "Token",
            "Language",
            "RequestClient",
        ] {
            take(common);
        }
        Ok(Asked { action: action(&named)?, version, params: Params(fields) })
    }
}

/// The SDKs force the first letter to upper case.
fn action(name: &str) -> Result<String, Fault> {
    let mut letters = name.chars();
    match letters.next() {
        None => Err(Fault::missing("MissingParameter", "Action")),
        Some(first) => Ok(first.to_ascii_uppercase().to_string() + letters.as_str()),
    }
}

fn content_type(head: &Head) -> &str {
    head.header_text("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

fn is_json(head: &Head) -> bool {
    content_type(head).eq_ignore_ascii_case("application/json")
}

fn is_form(head: &Head) -> bool {
    content_type(head).eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body)
        .map_err(|cause| malformed(&format!("the body must be a JSON object: {cause}")))
}

fn malformed(sentence: &str) -> Fault {
    Fault::new("InvalidParameter", sentence)
}

/// Percent escapes and plus signs; what is left must be UTF-8.
fn decode(text: &str) -> Result<String, Fault> {
    let wrong = || malformed("a parameter has a malformed percent escape");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next().ok_or_else(wrong)?, rest.next().ok_or_else(wrong)?);
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(wrong);
                u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed("parameters must be UTF-8"))
}

/// What lies at a name or index while names with dots are put together.
enum Node {
    Leaf(String),
    Branch(Vec<(String, Node)>),
}

/// Objects and lists out of names such as `Filters.0.Values.1`.
fn tree(pairs: Vec<(String, String)>) -> Result<Map<String, Value>, Fault> {
    let mut root: Vec<(String, Node)> = Vec::new();
    for (name, value) in pairs {
        let steps: Vec<&str> = name.split('.').collect();
        if steps.len() > DEPTH_MAX || steps.iter().any(|step| step.is_empty()) {
            return Err(malformed(&format!("the parameter {name} cannot be read")));
        }
        place(&mut root, &steps, value)
            .ok_or_else(|| malformed(&format!("the parameter {name} is given twice")))?;
    }
    root.into_iter().map(|(name, node)| Ok((name, grown(node)?))).collect()
}

/// Puts a value at its place; nothing where something is there already.
fn place(branch: &mut Vec<(String, Node)>, steps: &[&str], value: String) -> Option<()> {
    let (step, rest) = steps.split_first()?;
    let at = branch.iter().position(|(name, _)| name == step);
    if rest.is_empty() {
        return at.is_none().then(|| branch.push(((*step).to_owned(), Node::Leaf(value))));
    }
    let at = at.unwrap_or_else(|| {
        branch.push(((*step).to_owned(), Node::Branch(Vec::new())));
        branch.len() - 1
    });
    match &mut branch[at].1 {
        Node::Branch(inner) => place(inner, rest, value),
        Node::Leaf(_) => None,
    }
}

/// A branch whose names are all numbers is a list, in the order of the numbers.
fn grown(node: Node) -> Result<Value, Fault> {
    let branch = match node {
        Node::Leaf(text) => return Ok(Value::String(text)),
        Node::Branch(branch) => branch,
    };
    let indexes: Option<Vec<usize>> = branch.iter().map(|(name, _)| name.parse().ok()).collect();
    let Some(indexes) = indexes else {
        return branch
            .into_iter()
            .map(|(name, node)| Ok((name, grown(node)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object);
    };
    if indexes.iter().any(|index| *index > INDEX_MAX) {
        return Err(malformed("the index of a parameter is too large"));
    }
    let mut items: Vec<(usize, Node)> =
        indexes.into_iter().zip(branch.into_iter().map(|(_, node)| node)).collect();
    items.sort_by_key(|(index, _)| *index);
    if items.iter().enumerate().any(|(place, (index, _))| place != *index) {
        return Err(malformed("the indexes of a parameter must count from 0 without gaps"));
    }
    items.into_iter().map(|(_, node)| grown(node)).collect::<Result<_, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(line: &str, headers: &str) -> Head {
        Head::parse(format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()).unwrap()
    }

    fn query(text: &str) -> Result<String, String> {
        let head = head(&format!("GET /?{text}"), "X-TC-Action: Invoke\r\n");
        let asked = Asked::read(&head, b"").map_err(|fault| format!("{}: {}", fault.code, fault.message))?;
        Ok(Value::Object(asked.params.0).to_string())
    }

    #[test]
    fn three_forms_say_the_same() {
        let json = head(
            "POST /",
            "Content-Type: application/json; charset=utf-8\r\nX-TC-Action: listFunctions\r\nX-TC-Version: 2018-04-16\r\n",
        );
        let by_json = Asked::read(&json, br#"{"Limit":"10","Filters":[{"Name":"Status"}]}"#).unwrap();
        let form =
            "Action=ListFunctions&Version=2018-04-16&Limit=10&Filters.0.Name=Status&SecretId=x&Nonce=1";
        let old = head("POST /", "Content-Type: application/x-www-form-urlencoded\r\n");
        let by_form = Asked::read(&old, form.as_bytes()).unwrap();
        let by_query = Asked::read(&head(&format!("GET /?{form}"), ""), b"").unwrap();
        for asked in [&by_json, &by_form, &by_query] {
            assert_eq!((asked.action.as_str(), asked.version.as_str()), ("ListFunctions", "2018-04-16"));
            let params = Value::Object(asked.params.0.clone()).to_string();
            assert_eq!(params, r#"{"Limit":"10","Filters":[{"Name":"Status"}]}"#);
        }
    }

    #[test]
    fn names_with_dots_become_objects_and_lists() {
        for (text, expected) in [
            ("", "{}"),
            ("A=1&B=%E4%BD%A0+x", r#"{"A":"1","B":"你 x"}"#),
            ("A.B.C=1&A.D=2", r#"{"A":{"B":{"C":"1"},"D":"2"}}"#),
            ("L.1=b&L.0=a", r#"{"L":["a","b"]}"#),
            ("F.0.Values.0=x&F.0.Name=n&F.1.Name=m", r#"{"F":[{"Values":["x"],"Name":"n"},{"Name":"m"}]}"#),
        ] {
            assert_eq!(query(text).unwrap(), expected, "{text}");
        }
        for wrong in [
            "A=1&A=2",
            "A=1&A.B=2",
            "A.B=1&A=2",
            "L.1=a",
            "L.0=a&L.2=b",
            "L.5000=a",
            "A..B=1",
            ".=1",
            "a.b.c.d.e.f.g.h.i=1",
            "A=%zz",
            "A=%F",
            "A=%FF",
        ] {
            assert!(query(wrong).unwrap_err().starts_with("InvalidParameter: "), "{wrong}");
        }
    }

    #[test]
    fn parameters_are_counted() {
        let many = |count: usize| (0..count).map(|n| format!("A{n}=1")).collect::<Vec<_>>().join("&");
        assert!(query(&many(PAIRS_MAX)).is_ok());
        assert_eq!(
            query(&many(PAIRS_MAX + 1)).unwrap_err(),
            "InvalidParameter: there are too many parameters"
        );
    }

    #[test]
    fn texts_come_through_byte_for_byte() {
        let json = head("POST /", "Content-Type: application/json\r\nX-TC-Action: Invoke\r\n");
        let body = br#"{"ClientContext":"{\"n\": 12345678901234567890123, \"f\": 1.10, \"k\":1,\"k\":2}"}"#;
        let params = Asked::read(&json, body).unwrap().params;
        let context = r#"{"n": 12345678901234567890123, "f": 1.10, "k":1,"k":2}"#;
        assert_eq!(params.text("ClientContext").unwrap(), Some(context));
    }

    #[test]
    fn a_body_is_an_object_and_an_action_is_named() {
        let code = |headers: &str, body: &[u8]| Asked::read(&head("POST /", headers), body).unwrap_err().code;
        let json = "Content-Type: application/json\r\nX-TC-Action: Invoke\r\n";
        for body in ["[]", "1", "{", "{}x", "\u{0}"] {
            assert_eq!(code(json, body.as_bytes()), "InvalidParameter", "{body}");
        }
        assert_eq!(code("Content-Type: application/json\r\nX-TC-Action: \r\n", b"{}"), "MissingParameter");
        assert_eq!(
            code("Content-Type: multipart/form-data\r\nX-TC-Action: Invoke\r\n", b"{}"),
            "UnsupportedProtocol"
        );
    }

    #[test]
    fn who_is_meant() {
        assert!(is_meant(&head("POST /", "X-TC-Action: x\r\n")));
        assert!(is_meant(&head("GET /?Limit=1&Action=Invoke", "")));
        assert!(is_meant(&head("POST /", "Content-Type: application/x-www-form-urlencoded\r\n")));
        assert!(!is_meant(&head("GET /", "")));
        assert!(!is_meant(&head("POST /v1/x", "X-TC-Action: x\r\n")));
        assert!(!is_meant(&head("GET /?xAction=1", "")));
    }
}
