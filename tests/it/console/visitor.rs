//! Somebody with a browser, as far as the server sees: a cookie, an origin, forms.

use std::net::SocketAddr;

use fnlite::base::percent;

use crate::raw::{Answer, Raw};
use crate::server::Server;

/// Somebody who visits the console.
#[derive(Debug)]
pub(crate) struct Visitor {
    address: SocketAddr,
    /// As it is sent; empty before signing in.
    pub(crate) cookie: String,
}

impl Visitor {
    /// Somebody who is not signed in.
    pub(crate) fn stranger(server: &Server) -> Visitor {
        Visitor { address: server.address(), cookie: String::new() }
    }

    /// The administrator, by a link.
    pub(crate) fn admin(server: &Server) -> Visitor {
        let link = server.call("POST", "/v1/sign-in-links", b"").json();
        let mut visitor = Visitor::stranger(server);
        let answer = visitor.get(link["path"].as_str().unwrap());
        assert_eq!(answer.status, 200, "{answer:?}");
        visitor.keep_cookie(&answer);
        visitor
    }

    /// Somebody with a new key of that scope.
    pub(crate) fn with_key(server: &Server, name: &str, scope: &str) -> Visitor {
        let body = format!(r#"{{"name":"{name}","scope":"{scope}"}}"#);
        let key = server.call("POST", "/v1/keys", body.as_bytes()).json();
        let mut visitor = Visitor::stranger(server);
        let answer = visitor.post("/console/sign-in", &[("key", key["key"].as_str().unwrap())]);
        assert_eq!(answer.status, 303, "{answer:?}");
        visitor.keep_cookie(&answer);
        visitor
    }

    /// Takes the cookie that came with an answer.
    pub(crate) fn keep_cookie(&mut self, answer: &Answer) {
        let set = answer.header("Set-Cookie").unwrap();
        self.cookie = set.split(';').next().unwrap().to_owned();
    }

    /// What is at a path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    /// A page that is there, as text.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text().to_owned()
    }

    /// Sends a form as a browser does.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", percent::encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let more =
            format!("Origin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\n", self.address);
        self.send("POST", path, &more, body.as_bytes())
    }

    /// Sends a form and follows to where the answer sends on; that page.
    #[track_caller]
    pub(crate) fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields);
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
        self.page(answer.header("Location").unwrap())
    }

    /// Sends a request with further headers, each with its line end.
    pub(crate) fn send(&self, method: &str, path: &str, more: &str, body: &[u8]) -> Answer {
        let host =
            if more.starts_with("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let cookie =
            if self.cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", self.cookie) };
        let head =
            format!("{method} {path} HTTP/1.1\r\n{host}{cookie}{more}Content-Length: {}\r\n\r\n", body.len());
        let mut raw = Raw::connect(self.address);
        raw.send([head.as_bytes(), body].concat());
        raw.answer()
    }
}

/// A page's text without its tags, with its entities resolved.
pub(crate) fn words(page: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for letter in page.chars() {
        match letter {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            letter if !is_tag => text.push(letter),
            _ => {}
        }
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
