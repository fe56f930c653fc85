//! What keeps other sites out: which names the console answers to, where changes must come from, and what browsers are told.
//!
//! A name that anybody's DNS can make point here (DNS rebinding) would give pages under that name this server's origin. So the
//! console answers to addresses, to `localhost`, and to names it was told (D18); nothing else of the server needs this, since
//! nothing else knows cookies.

use std::net::IpAddr;

use tiny_http::Method;

use crate::api::console::problem::Problem;
use crate::api::signing::Host;
use crate::http::head::Head;
use crate::http::response::Response;

/// Scripts, styles and pictures of ours, requests to ourselves, and nothing else: no inline script either, so that text that got
/// into a page as markup could still do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// For what is no page: whatever it is, it is not run.
const SEAL: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Which names the console answers to.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(hosts: Vec<String>) -> Guard {
        Guard { hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Refuses names that somebody may have made point here.
    pub(super) fn check_host(&self, head: &Head) -> Result<(), Problem> {
        let name = Host::of(head).portless.to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() || is_this_host(&name) || self.hosts.contains(&name) {
            return Ok(());
        }
        Err(Problem::new(
            403,
            format!(
                "The console does not answer to the name {name:?}. If it is this server's, start it with --console-host {name}."
            ),
        ))
    }

    /// Refuses changes that a page of another origin asks for. Browsers say with every POST where it comes from.
    pub(super) fn check_origin(&self, head: &Head) -> Result<(), Problem> {
        if matches!(head.method(), Method::Get | Method::Head) {
            return Ok(());
        }
        let origin = head.header_text("origin").unwrap_or_default();
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        if !authority.is_empty() && authority.eq_ignore_ascii_case(Host::of(head).bare) {
            return Ok(());
        }
        Err(Problem::new(
            403,
            "This did not come from a page of this server, so nothing was changed. Behind a proxy, it must pass on the Host that it was sent.",
        ))
    }
}

fn is_this_host(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// A page, with what browsers are told about pages.
pub(super) fn guarded(response: Response) -> Response {
    told(response, POLICY).with_header("Cache-Control", "no-store")
}

/// Something else.
pub(super) fn sealed(response: Response) -> Response {
    let says = response.headers.iter().any(|header| header.name.eq_ignore_ascii_case("cache-control"));
    let response = if says { response } else { response.with_header("Cache-Control", "no-store") };
    told(response, SEAL)
}

fn told(response: Response, policy: &'static str) -> Response {
    response
        .with_header("Content-Security-Policy", policy)
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("Referrer-Policy", "same-origin")
        .with_header("Cross-Origin-Opener-Policy", "same-origin")
        .with_header("Cross-Origin-Resource-Policy", "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, host: &str, more: &str) -> Head {
        Head::parse(format!("{method} /console/ HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn only_names_nobody_else_can_give_are_answered_to() {
        let guard = Guard::new(vec!["Box.example".to_owned()]);
        for (host, is_answered) in [
            ("127.0.0.1:9980", true),
            ("[::1]:9980", true),
            ("192.168.1.7", true),
            ("localhost:1", true),
            ("a.localhost", true),
            ("box.EXAMPLE:443", true),
            ("box.example.evil.example", false),
            ("evil.example", false),
            ("127.0.0.1.nip.example", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            assert_eq!(guard.check_host(&head("GET", host, "")).is_ok(), is_answered, "{host}");
        }
    }

    #[test]
    fn changes_come_from_pages_of_ours() {
        let guard = Guard::new(Vec::new());
        let check = |method: &str, origin: &str, is_taken: bool| {
            let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
            let head = head(method, "127.0.0.1:9980", &origin);
            assert_eq!(guard.check_origin(&head).is_ok(), is_taken, "{method} {origin}");
        };
        check("GET", "", true);
        check("GET", "http://evil.example", true);
        check("POST", "http://127.0.0.1:9980", true);
        check("POST", "https://127.0.0.1:9980", true);
        for origin in ["", "null", "http://127.0.0.1", "http://127.0.0.1:9981", "http://evil.example", "://"]
        {
            check("POST", origin, false);
            check("PUT", origin, false);
            check("DELETE", origin, false);
        }
    }
}
