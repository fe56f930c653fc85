//! The cookie that carries a session's token.
//!
//! Browsers give a cookie to every port of a host, so its name has the port: two servers on one host do not sign each other's
//! people out.

use crate::api::signing::Host;
use crate::http::head::Head;

/// The token that came, if any.
pub(super) fn token(head: &Head) -> Option<String> {
    let name = name(head);
    let cookies = head.headers().filter(|(header, _)| header.eq_ignore_ascii_case("cookie"));
    let mut pairs =
        cookies.filter_map(|(_, value)| std::str::from_utf8(value).ok()).flat_map(|v| v.split(';'));
    pairs.find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then(|| value.to_owned())
    })
}

/// The header that hands over a token. `SameSite=Strict`: no other site's pages have it sent along. It is not `Secure`, since the
/// server itself speaks plain HTTP and is reached so on its own host.
pub(super) fn set(head: &Head, token: &str) -> String {
    format!("{}={token}; Path=/console; HttpOnly; SameSite=Strict", name(head))
}

/// The header that takes it back.
pub(super) fn clear(head: &Head) -> String {
    format!("{}=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0", name(head))
}

fn name(head: &Head) -> String {
    let host = Host::of(head);
    let port = host.bare.strip_prefix(host.portless).and_then(|rest| rest.strip_prefix(':'));
    port.map_or_else(|| "fnlite".to_owned(), |port| format!("fnlite_{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, cookies: &str, expected: Option<&str>) {
        let head = format!("GET /console/ HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n");
        assert_eq!(token(&Head::parse(head.as_bytes()).unwrap()).as_deref(), expected, "{host} {cookies}");
    }

    #[test]
    fn each_server_of_a_host_has_a_cookie_of_its_own() {
        check("127.0.0.1:9980", "a=b; fnlite_9980=x; fnlite_9981=y", Some("x"));
        check("[::1]:9981", "fnlite_9980=x; fnlite_9981=y", Some("y"));
        check("box.example", "fnlite=z; fnlite_9980=x", Some("z"));
        check("127.0.0.1:9980", "fnlite=z; xfnlite_9980=x", None);
        check("127.0.0.1:9980", "", None);
    }
}
