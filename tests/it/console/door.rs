//! Who comes in, from where, and what browsers are told.

use serde_json::json;

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::raw::Raw;
use crate::server::{Place, Server};

const WRONG_HOST: &str = "Host: evil.example\r\n";

#[test]
fn nobody_sees_anything_before_signing_in() {
    let server = Server::shared();
    let stranger = Visitor::stranger(server);
    for (path, next) in [
        ("/console/", "/console/sign-in"),
        ("/console/functions?namespace=a", "/console/sign-in?next=%2Fconsole%2Ffunctions%3Fnamespace%3Da"),
    ] {
        let answer = stranger.get(path);
        assert_eq!((answer.status, answer.header("Location")), (303, Some(next)));
    }
    assert_eq!(stranger.get("/").header("Location"), Some("/console/"));
    assert_eq!(stranger.get("/console").header("Location"), Some("/console/"));
    assert_eq!(stranger.post("/console/functions", &[("name", "strange")]).status, 401);
    assert_eq!(stranger.get("/console/v1/functions").status, 401);
    assert_eq!(stranger.get("/console/nothing").status, 404);
    assert_eq!(stranger.send("DELETE", "/console/", "", b"").status, 405);
}

#[test]
fn a_key_signs_in_and_leads_back() {
    let server = Server::shared();
    let stranger = Visitor::stranger(server);
    let wrong = stranger.post("/console/sign-in", &[("key", "fnl_wrong"), ("next", "/console/functions")]);
    assert_eq!(wrong.status, 401);
    assert!(
        words(wrong.text()).contains("This key is not known") && wrong.text().contains("/console/functions")
    );
    let key = server.place().key().to_owned();
    for (next, expected) in [
        ("/console/functions", "/console/functions"),
        ("", "/console/"),
        ("https://evil.example/", "/console/"),
        ("//evil.example/", "/console/"),
        ("/console/../url/x/", "/console/"),
        ("/console/%2e%2e/url/x/", "/console/"),
        ("/console/\r\nSet-Cookie: a=b", "/console/"),
    ] {
        let answer = stranger.post("/console/sign-in", &[("key", &key), ("next", next)]);
        assert_eq!((answer.status, answer.header("Location")), (303, Some(expected)), "{next}");
        let cookie = answer.header("Set-Cookie").unwrap();
        assert!(
            cookie.contains("HttpOnly")
                && cookie.contains("SameSite=Strict")
                && cookie.contains("Path=/console")
        );
    }
}

#[test]
fn a_link_signs_in_once_and_leaving_ends_it() {
    let server = Server::shared();
    let link = server.call("POST", "/v1/sign-in-links", b"").json();
    let path = link["path"].as_str().unwrap();
    assert_eq!(link["url"], json!(format!("{}{path}", server.url())));
    let mut visitor = Visitor::stranger(server);
    assert_eq!(visitor.send("HEAD", path, "Connection: close\r\n", b"").status, 200);
    let answer = visitor.get(path);
    visitor.keep_cookie(&answer);
    assert!(visitor.page("/console/").contains("Sign out"));
    assert_eq!(Visitor::stranger(server).get(path).status, 403);
    let left = visitor.post("/console/sign-out", &[]);
    assert_eq!((left.status, left.header("Location")), (303, Some("/console/sign-in")));
    assert_eq!(visitor.get("/console/").status, 303);
}

#[test]
fn a_starting_server_shows_a_link_and_so_does_the_command() {
    let server = Place::new().serve(&[]);
    let printed = String::from_utf8(server.fnlite(&["console"]).stdout).unwrap();
    for link in [server.console_url(), printed.trim()] {
        let path = link.strip_prefix(&server.url()).unwrap();
        assert_eq!(Visitor::stranger(&server).get(path).status, 200, "{link}");
        assert_eq!(Visitor::stranger(&server).get(path).status, 403, "{link}");
    }
}

#[test]
fn names_that_anybody_can_give_are_not_answered_to() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    for path in ["/console/", "/console/v1/functions", "/console/assets/console.css", "/console/sign-in"] {
        let answer = admin.send("GET", path, WRONG_HOST, b"");
        assert_eq!(answer.status, 403, "{path}");
    }
    let key = server.place().key();
    let more = format!("{WRONG_HOST}Authorization: Bearer {key}\r\n");
    assert_eq!(
        admin.send("GET", "/v1/functions", &more, b"").status,
        200,
        "only the console is for browsers"
    );
    let named = Place::new().serve(&["--console-host", "box.example"]);
    let admin = Visitor::admin(&named);
    // The cookie of another port's name is another cookie, so only the way in is looked at.
    assert_eq!(admin.send("GET", "/console/sign-in", "Host: box.example\r\n", b"").status, 200);
    assert_eq!(admin.send("GET", "/console/sign-in", WRONG_HOST, b"").status, 403);
}

#[test]
fn changes_come_from_pages_of_this_origin() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for origin in ["", "Origin: http://evil.example\r\n", "Origin: null\r\n"] {
        let more = format!("{origin}{form}");
        let answer = admin.send("POST", "/console/functions", &more, b"name=forged&template=python");
        assert_eq!(answer.status, 403, "{origin}");
        assert_eq!(admin.send("PUT", "/console/v1/namespaces/forged", origin, b"").status, 403, "{origin}");
        let key = format!("key={}", server.place().key());
        assert_eq!(admin.send("POST", "/console/sign-in", &more, key.as_bytes()).status, 403, "{origin}");
    }
    assert_eq!(server.call("GET", "/v1/functions/forged", b"").status, 404);
    assert!(!server.get("/v1/namespaces").to_string().contains("forged"));
}

#[test]
fn everything_else_goes_through_v1_with_the_keys_right() {
    let server = Server::shared();
    server.deploy("console_reader", &source("def main_handler(event, context):\n    return 1\n"));
    let reader = Visitor::with_key(server, "console reader", "read");
    assert!(reader.page("/console/v1/functions/console_reader").contains("\"runtime\""));
    let origin = format!("Origin: {}\r\n", server.url());
    let run = reader.send("POST", "/console/v1/functions/console_reader/invoke", &origin, b"{}");
    assert_eq!(run.status, 403);
    let sealed = reader.get("/console/v1/functions");
    assert!(sealed.header("Content-Security-Policy").unwrap().contains("sandbox"));
    let page = reader.page("/console/functions/console_reader/test");
    assert!(words(&page).contains("needs a key of scope invoke"));
    let forced = reader.post("/console/functions/console_reader/test", &[("event", "{}"), ("how", "sync")]);
    assert_eq!(forced.status, 403);
    assert!(words(forced.text()).contains("scope invoke"), "{forced:?}");
    let keys = server.get("/v1/keys");
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == "console reader").unwrap().clone();
    assert_eq!(server.call("DELETE", &format!("/v1/keys/{}", key["id"]), b"").status, 204);
    assert_eq!(reader.get("/console/functions").status, 303, "revoked");
}

#[test]
fn browsers_are_told_to_run_nothing_but_ours() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    for path in ["/console/", "/console/functions", "/console/nothing", "/console/sign-in"] {
        let answer = admin.get(path);
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let text = answer.text();
        assert!(
            !text.contains(" style=") && !text.contains(" onclick=") && !text.contains("<script>"),
            "{path}"
        );
    }
}

#[test]
fn what_somebody_may_not_do_is_refused_before_it_is_sent() {
    let server = Server::shared();
    server.deploy("console_small", &source("def main_handler(event, context):\n    return 1\n"));
    let reader = Visitor::with_key(server, "sends much", "read");
    for (path, kind, needed) in [
        ("upload", "application/zip", "admin"),
        ("test", "application/x-www-form-urlencoded", "invoke"),
        ("", "application/x-www-form-urlencoded", "admin"),
    ] {
        let mut raw = Raw::connect(server.address());
        let path = format!("/console/functions/console_small/{path}");
        raw.send(format!(
            "POST {} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {}\r\nContent-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n",
            path.trim_end_matches('/'),
            reader.cookie,
            host = server.address(),
        ));
        let answer = raw.answer();
        assert_eq!(answer.status, 403, "{path}");
        assert!(words(answer.text()).contains(&format!("needs a key of scope {needed}")), "{answer:?}");
    }
}

#[test]
fn what_is_sent_is_bounded_and_asked_for() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let origin = format!("Origin: {}\r\n", server.url());
    let large = vec![b'a'; 100 * 1024];
    let more = format!("{origin}Content-Type: application/x-www-form-urlencoded\r\n");
    assert_eq!(admin.send("POST", "/console/functions", &more, &large).status, 413);
    assert_eq!(admin.send("POST", "/console/functions", &origin, b"{}").status, 415);
    assert_eq!(admin.send("POST", "/console/functions", &more, b"name=%zz").status, 400);
    assert_eq!(admin.get("/console/functions/%ff").status, 400);
}
