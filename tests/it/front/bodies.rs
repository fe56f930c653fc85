//! Request bodies: taken whole, in memory or on disk, or refused before they come.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fnlite::http::limits::Options;

use crate::echo::{Front, pattern};
use crate::front::post;

#[test]
fn bodies_of_all_sizes_come_whole() {
    let front = Front::start();
    let mut client = front.connect();
    for length in [0, 1, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 8 << 20] {
        let body = pattern(length);
        client.send(post("/", &format!("Content-Length: {length}\r\n"), "")).send(&body);
        assert!(client.answer().body == body, "{length} sized");
        client.send(post("/", "Transfer-Encoding: chunked\r\n", ""));
        for piece in body.chunks(100_000) {
            client.send(format!("{:X}\r\n", piece.len())).send(piece).send("\r\n");
        }
        assert!(client.send("0\r\n\r\n").answer().body == body, "{length} chunked");
    }
}

#[test]
fn without_memory_bodies_go_to_disk_and_without_disk_they_are_refused() {
    let front =
        Front::with(Options { budget_memory_bytes: 10, budget_spool_bytes: 1000, ..Options::default() });
    let upload = |length: usize| post("/", &format!("Content-Length: {length}\r\n"), &"a".repeat(length));
    for (length, status) in [(10, 200), (1000, 200), (1001, 503), (1000, 200)] {
        let answer = front.connect().send(upload(length)).answer();
        assert_eq!(answer.status, status, "{length}");
    }
}

#[test]
fn continue_is_said_when_the_body_is_awaited_and_wanted() {
    let front = Front::start();
    let head = post("/", "Expect: 100-continue\r\nContent-Length: 5\r\n", "");
    let mut client = front.connect();
    assert_eq!(client.send(&head).answer().status, 100);
    assert_eq!(client.send("hello").answer().text(), "hello");
    assert_eq!(client.send(head + "hello").answer().status, 200, "no interim answer for a body that is here");
    let too_large = post("/small", "Expect: 100-continue\r\nContent-Length: 50\r\n", "");
    assert_eq!(client.send(too_large).answer().status, 413);
}

#[test]
fn a_refused_upload_still_reads_its_answer() {
    let front = Front::start();
    let mut client = front.connect();
    client.send(post("/small", "Content-Length: 50000000\r\n", "")).send(vec![b'a'; 50_000_000]);
    assert_eq!(client.answer().status, 413);
}

#[test]
fn a_body_that_the_handler_does_not_want_is_refused_before_it_comes() {
    let front = Front::start();
    for headers in [
        "Content-Length: 75000000\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\nContent-Length: 75000000\r\n",
        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let mut client = front.connect();
        let answer = client.send(post("/locked", headers, "")).answer();
        assert_eq!((answer.status, answer.header("x-door")), (401, Some("closed")), "{headers:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{headers:?}");
        client.finish_sending();
        assert!(client.is_closed(), "{headers:?}");
    }
    let head = "HEAD /locked HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(front.connect().send(head).head_answer().status, 401);
    assert_eq!(front.echo.handled.load(Ordering::SeqCst), 0);
}

#[test]
fn who_goes_on_sending_what_was_refused_is_cut_off() {
    let options = Options { linger_timeout: Duration::from_millis(100), ..Options::default() };
    let front = Front::with(options);
    let mut client = front.connect();
    client.send(post("/locked", "Content-Length: 75000000\r\n", ""));
    client.wait_until_refused();
}
