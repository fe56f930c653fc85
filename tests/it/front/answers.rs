//! What goes out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use fnlite::http::limits::Options;

use crate::echo::{Front, pattern};
use crate::front::get;

#[test]
fn answers_are_framed_as_the_request_allows() {
    let front = Front::start();
    let mut client = front.connect();
    let answer = client.send(get("/stream?3")).answer();
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!((answer.text(), answer.header("content-length")), ("piece;piece;piece;", None));
    let answer = client.send(get("/file?300000")).answer();
    assert!(answer.body == pattern(300_000));
    for status in [204, 304] {
        let answer = client.send(get(&format!("/status?{status}"))).answer();
        assert_eq!((answer.status, answer.header("content-length")), (status, None));
    }
    let answer = client.send(get("/text")).answer();
    assert_eq!((answer.header("x-text"), answer.header("content-length")), (Some("é"), Some("3")));
    assert!(answer.header("date").unwrap().ends_with(" GMT"));
    let old = front.connect().send("GET /stream?3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
    assert_eq!((old.text(), old.header("connection")), ("piece;piece;piece;", Some("close")));
}

#[test]
fn head_requests_get_the_head_alone() {
    let front = Front::start();
    let mut client = front.connect();
    for target in ["/text", "/file?3", "/bytes?1000000", "/stream?3", "/status?404"] {
        let head = client.send(get(target).replacen("GET", "HEAD", 1)).head_answer();
        let full = client.send(get(target)).answer();
        assert_eq!(head.status, full.status, "{target}");
        for name in ["content-length", "transfer-encoding"] {
            assert_eq!(head.header(name), full.header(name), "{target}");
        }
    }
}

#[test]
fn a_stream_that_fails_is_seen_to_be_cut() {
    let front = Front::start();
    let mut stream = TcpStream::connect(front.address).unwrap();
    stream.write_all(get("/broken").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("piece;") && !text.ends_with("0\r\n\r\n"), "{text}");
}

#[test]
fn handlers_cannot_break_the_answer() {
    let front = Front::with(Options { workers: 1, ..Options::default() });
    let mut client = front.connect();
    for target in ["/panic", "/forged", "/status?99", "/status?101", "/status?1000"] {
        let answer = client.send(get(target)).answer();
        assert_eq!((answer.status, answer.header("x-second")), (500, None), "{target}");
    }
    assert_eq!(client.send(get("/")).answer().status, 200, "the connection goes on");
}

#[test]
fn work_for_after_the_answer_is_done() {
    let front = Front::start();
    front.connect().send(get("/after")).answer();
    while front.echo.after.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn each_piece_of_a_stream_leaves_at_once() {
    let front = Front::start();
    let mut client = TcpStream::connect(front.address).unwrap();
    client.write_all(get("/gated").as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"piece;\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    // The next one does not exist before this.
    front.echo.gate.open();
    let mut rest = Vec::new();
    let end = b"6\r\npiece;\r\n0\r\n\r\n";
    while rest.len() < end.len() {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        rest.push(byte[0]);
    }
    assert_eq!(rest, end);
}
