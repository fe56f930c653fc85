//! What browsers are told about requests of pages from other origins (Fetch standard, "CORS protocol"; triggers 1.4, 1.6).
//!
//! What the trigger says stands over what the function says. Who may not ask is not told so, and browsers keep the answer from him.

use crate::http::head::Head;
use crate::http::response::{Header, Response};
use crate::model::trigger::Cors;

/// A request, as far as sharing its answer goes.
pub(super) struct Shared<'a> {
    head: &'a Head,
    /// None where the function itself may say what it likes.
    cors: Option<&'a Cors>,
    /// The origin, if it may ask.
    origin: Option<&'a str>,
}

/// What an API has whose requests may come from everywhere.
pub(super) fn everybody() -> Cors {
    let all = || vec!["*".to_owned()];
    Cors { origins: all(), headers: all(), methods: all(), ..Cors::default() }
}

/// The method of the request that a request asks leave for; none where it asks for none.
pub(super) fn asked_method(head: &Head) -> Option<&str> {
    head.header_text(ASKED_METHOD).filter(|_| head.method().as_str() == "OPTIONS")
}

const ASKED_METHOD: &str = "access-control-request-method";
const ASKED_HEADERS: &str = "access-control-request-headers";

impl<'a> Shared<'a> {
    /// What `cors` says of that request.
    pub(super) fn of(head: &'a Head, cors: Option<&'a Cors>) -> Shared<'a> {
        let origin = head.header_text("origin").filter(|origin| {
            cors.is_some_and(|cors| cors.origins.iter().any(|known| known == "*" || is_same(known, origin)))
        });
        Shared { head, cors, origin }
    }

    /// The answer to a request that asks leave for another one; none where it is not that, or not ours to say.
    pub(super) fn preflight(&self) -> Option<Response> {
        let (cors, head) = (self.cors?, self.head);
        let method = asked_method(head)?;
        let mut answer = Response::new(204).with_header("Vary", "Origin, Access-Control-Request-Headers");
        if self.origin.is_some() {
            let asked = head.header_text(ASKED_HEADERS).unwrap_or_default();
            answer = answer
                .with_header("Access-Control-Allow-Methods", list(&cors.methods, method))
                .with_header("Access-Control-Allow-Headers", list(&cors.headers, asked));
            if cors.max_age_s > 0 {
                answer = answer.with_header("Access-Control-Max-Age", cors.max_age_s.to_string());
            }
        }
        Some(self.over(answer))
    }

    /// The same answer with what the trigger says.
    pub(super) fn over(&self, mut answer: Response) -> Response {
        let Some(cors) = self.cors else { return answer };
        answer.headers.retain(|header| !is_own(header));
        // Also where nobody may ask: what is kept of that answer is not for those who may.
        if !answer.headers.iter().any(names_origin) {
            answer = answer.with_header("Vary", "Origin");
        }
        let Some(origin) = self.origin else { return answer };
        // Everybody's pages may ask, and then without anybody's cookies: the standard has it so.
        let is_open = cors.origins.iter().any(|known| known == "*");
        let allowed = if is_open { "*".to_owned() } else { origin.to_owned() };
        answer = answer.with_header("Access-Control-Allow-Origin", allowed);
        if cors.credentials && !is_open {
            answer = answer.with_header("Access-Control-Allow-Credentials", "true");
        }
        if !cors.expose_headers.is_empty() {
            answer = answer.with_header("Access-Control-Expose-Headers", cors.expose_headers.join(", "));
        }
        answer
    }
}

fn names_origin(header: &Header) -> bool {
    let parts = header.value.split(',').map(str::trim);
    header.name.eq_ignore_ascii_case("vary")
        && parts.into_iter().any(|part| part == "*" || part.eq_ignore_ascii_case("origin"))
}

/// Whether the trigger says that itself.
fn is_own(header: &Header) -> bool {
    let name = header.name.to_ascii_lowercase();
    ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"]
        .contains(&name.as_str())
}

/// Origins have no case, and no path, though people write one.
fn is_same(known: &str, origin: &str) -> bool {
    known.trim_end_matches('/').eq_ignore_ascii_case(origin)
}

/// A list; one of all is what was asked for, which also holds with credentials.
fn list(known: &[String], asked: &str) -> String {
    if known.iter().any(|one| one == "*") { asked.to_owned() } else { known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origin: &str, credentials: bool) -> Cors {
        Cors {
            origins: vec![origin.into()],
            methods: vec!["POST".into()],
            headers: vec!["*".into()],
            expose_headers: vec!["x-a".into(), "x-b".into()],
            max_age_s: 10,
            credentials,
        }
    }

    fn head(method: &str, more: &str) -> Head {
        let text = format!("{method} / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n{more}\r\n");
        Head::parse(text.as_bytes()).unwrap()
    }

    fn print(answer: &Response) -> String {
        let of_interest = |header: &&Header| header.name.starts_with("Access-Control");
        let line = |header: &Header| {
            format!("{}: {}", header.name.trim_start_matches("Access-Control-"), header.value)
        };
        answer.headers.iter().filter(of_interest).map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn leave_is_given_to_those_who_may() {
        let asks =
            head("OPTIONS", "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-c\r\n");
        for (cors, expected) in [
            (
                cors("*", false),
                "Allow-Methods: POST; Allow-Headers: x-c; Max-Age: 10; Allow-Origin: *; Expose-Headers: x-a, x-b",
            ),
            (
                cors("https://a.example", true),
                "Allow-Methods: POST; Allow-Headers: x-c; Max-Age: 10; Allow-Origin: https://a.example; Allow-Credentials: true; Expose-Headers: x-a, x-b",
            ),
            (cors("https://b.example", false), ""),
        ] {
            let answer = Shared::of(&asks, Some(&cors)).preflight().unwrap();
            assert_eq!((answer.status.0, print(&answer).as_str()), (204, expected));
        }
        assert!(Shared::of(&asks, None).preflight().is_none(), "the function is asked");
        assert!(Shared::of(&head("OPTIONS", ""), Some(&cors("*", false))).preflight().is_none());
    }

    #[test]
    fn the_trigger_has_the_last_word() {
        let asks = head("GET", "");
        let answer = || Response::new(200).with_header("access-control-allow-origin", "https://evil.example");
        let told = Shared::of(&asks, Some(&cors("https://b.example", false))).over(answer());
        assert_eq!(told.headers, [Header { name: "Vary".into(), value: "Origin".into() }]);
        let told = Shared::of(&asks, Some(&cors("*", true))).over(answer());
        assert_eq!(print(&told), "Allow-Origin: *; Expose-Headers: x-a, x-b", "everybody has no cookies");
        let told = Shared::of(&asks, Some(&cors("https://A.example/", true))).over(answer());
        assert!(print(&told).starts_with("Allow-Origin: https://a.example; Allow-Credentials: true"));
        let varied = answer().with_header("Vary", "Accept");
        let told = Shared::of(&asks, Some(&cors("*", false))).over(varied);
        assert_eq!(told.headers.iter().filter(|header| header.name == "Vary").count(), 2);
        assert_eq!(Shared::of(&asks, None).over(answer()).headers.len(), 1);
    }
}
