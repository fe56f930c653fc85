//! What is a request and what is none.

use std::sync::atomic::Ordering;

use fnlite::http::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};

use crate::echo::Front;
use crate::front::{get, post};

#[test]
fn broken_framing_is_refused_and_nothing_behind_it_is_answered() {
    let front = Front::start();
    let smuggled = get("/smuggled");
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n".to_owned()),
        (400, "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET relative HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET /\r\n\r\n".to_owned()),
        (400, "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
        (400, "{\"json\":1}\r\n\r\n".to_owned()),
        (501, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (417, post("/", "Expect: cake\r\nContent-Length: 1\r\n", "a")),
        (400, post("/", "Content-Length: 1\r\nContent-Length: 1\r\n", "a")),
        (400, post("/", "Content-Length: 1, 1\r\n", "a")),
        (400, post("/", "Content-Length: +1\r\n", "a")),
        (400, post("/", "Content-Length: -1\r\n", "a")),
        (400, post("/", "Content-Length: 1x\r\n", "a")),
        (400, post("/", "Content-Length: 99999999999999999999\r\n", "a")),
        (400, post("/", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: gzip\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\n", "x\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n")),
        (400, post("/", "Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n")),
        (413, post("/", "Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\na")),
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
    ] {
        let mut client = front.connect();
        client.send(request.clone() + &smuggled).finish_sending();
        let answers = client.answers_until_close();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status], "{request:?}");
        assert_eq!(answers[0].header("connection"), Some("close"), "{request:?}");
    }
    assert_eq!(front.echo.handled.load(Ordering::SeqCst), 0, "no handler saw any of it");
}

#[test]
fn odd_but_sound_requests_are_answered() {
    let front = Front::start();
    for (request, line) in [
        ("\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a"),
        ("GET /a HTTP/1.1\r\nhOsT: http://127.0.0.1:9980\r\n\r\n", "GET /a"),
        ("GET /a HTTP/1.1\r\nHost:\r\n\r\n", "GET /a"),
        ("GET http://other/a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://other/a?b=c"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS *"),
        ("BREW /%00%zz?a=\"b\" HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /%00%zz?a=\"b\""),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nX: \u{fc}\ttab\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET /a",
        ),
    ] {
        let answer = front.connect().send(request).answer();
        assert_eq!((answer.status, answer.header("x-line")), (200, Some(line)), "{request:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_by_its_own_status() {
    let front = Front::start();
    let header = |count: usize| "A: b\r\n".repeat(count);
    let long = |length: usize| "a".repeat(length);
    for (status, request) in [
        (200, format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", header(HEADERS_MAX - 1))),
        (431, format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", header(HEADERS_MAX))),
        (431, format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", long(HEAD_BYTES_MAX))),
        (431, format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}", long(HEAD_BYTES_MAX))),
        (200, get(&format!("/{}", long(TARGET_BYTES_MAX - 1)))),
        (414, get(&format!("/{}", long(TARGET_BYTES_MAX)))),
        (414, format!("GET /{}", long(TARGET_BYTES_MAX + 100))),
        (200, post("/small", "Content-Length: 10\r\n", &long(10))),
        (413, post("/small", "Content-Length: 11\r\n", "")),
        (413, post("/small", "Content-Length: 999999999999\r\n", "")),
        (200, post("/small", "Transfer-Encoding: chunked\r\n", "a\r\naaaaaaaaaa\r\n0\r\n\r\n")),
        (413, post("/small", "Transfer-Encoding: chunked\r\n", "5\r\naaaaa\r\n6\r\naaaaaa\r\n")),
    ] {
        let mut client = front.connect();
        let shown = &request[..request.len().min(60)];
        assert_eq!(client.send(&request).answer().status, status, "{shown:?}");
        client.finish_sending();
        assert!(client.is_closed(), "{shown:?}");
    }
}

/// A body whose connection wants to become something else is read like any other, and has an end.
#[test]
fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let front = Front::start();
    let mut client = front.connect();
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n";
    assert_eq!(client.send(post("/", upgrade, "hello")).answer().text(), "hello");
    let chunked = "Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(client.send(post("/", chunked, "2\r\nhi\r\n0\r\n\r\n")).answer().text(), "hi");
}

/// The first bytes of a TLS handshake hold no line end: waiting for one would leave the client in the dark.
#[test]
fn a_tls_handshake_is_refused_at_once_and_holds_nobody_up() {
    let front = Front::start();
    let mut client = front.connect();
    client.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03");
    assert_eq!(client.answer().status, 400);
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
}
