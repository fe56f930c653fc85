//! Clients that take their time, by nature or by design. The time limits are short here, so that no test waits long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fnlite::http::limits::Options;

use crate::echo::{Front, pattern};
use crate::front::{get, post};
use crate::raw::Raw;

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn slow_requests_and_idle_connections_are_ended() {
    let front = Front::with(Options {
        head_timeout: SHORT,
        idle_timeout: SHORT,
        body_grace: SHORT,
        ..Options::default()
    });
    for (expected, request) in [
        (Some(408), "GET / HT".to_owned()),
        (Some(408), post("/", "Content-Length: 5\r\n", "hell")),
        (Some(408), post("/", "Transfer-Encoding: chunked\r\n", "5\r\n")),
        (None, String::new()),
    ] {
        let mut client = front.connect();
        let statuses: Vec<u16> =
            client.send(&request).answers_until_close().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, Vec::from_iter(expected), "{request:?}");
    }
    let mut client = front.connect();
    assert_eq!(client.send(get("/")).answer().status, 200);
    assert!(client.is_closed(), "idle after an answer");
}

#[test]
fn a_slow_reader_holds_no_worker_and_gets_everything() {
    let front = Front::with(Options { workers: 1, ..Options::default() });
    for target in ["/bytes?20000000", "/file?20000000"] {
        let mut slow = front.connect();
        slow.send(get(target));
        for _ in 0..3 {
            assert_eq!(front.connect().send(get("/")).answer().status, 200, "{target}");
        }
        assert!(slow.answer().body == pattern(20_000_000), "{target}");
        assert_eq!(slow.send(get("/")).answer().status, 200, "{target}");
    }
}

#[test]
fn what_slow_readers_leave_goes_to_disk_when_memory_is_used_up() {
    let front = Front::with(Options { budget_memory_bytes: 1000, ..Options::default() });
    let mut slow = front.connect();
    slow.send(get("/bytes?20000000"));
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
    assert!(slow.answer().body == pattern(20_000_000));
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let front = Front::with(Options { write_timeout: Duration::from_millis(100), ..Options::default() });
    for target in ["/bytes?50000000", "/file?50000000", "/endless"] {
        let mut client = front.connect();
        client.send(get(target));
        client.wait_until_refused();
    }
}

#[test]
fn a_client_that_pipelines_and_never_reads_is_left_waiting() {
    let front = Front::start();
    let mut client = front.connect();
    let sent = client.send_until_stuck(get("/bytes?100000").repeat(100).as_bytes(), 256 << 20);
    assert!(sent < 256 << 20, "the server stops reading");
    let handled = front.echo.handled.load(Ordering::SeqCst);
    assert!(handled < 1000, "{handled} answers piled up");
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
}

/// Slowloris: heads that grow and never end, hundreds at once. Each is ended by the time a whole head may take, however
/// busily it trickles, and nobody else notices.
#[test]
fn heads_that_trickle_are_ended_while_others_are_answered() {
    let front = Front::with(Options {
        head_timeout: Duration::from_millis(300),
        linger_timeout: SHORT,
        ..Options::default()
    });
    let mut slow: Vec<_> = (0..300).map(|_| front.connect()).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n");
    }
    let mut answered = 0;
    while !slow.iter_mut().all(|client| client.send("X: y\r\n").is_refused()) {
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
        answered += 1;
    }
    assert!(answered > 0);
    let mut client = front.connect();
    assert_eq!(client.send("GET / HTTP/1.1\r\nX: ").answer().status, 408);
}

/// R-U-Dead-Yet: the same with bodies, whose promised length is never reached.
#[test]
fn bodies_that_trickle_are_ended_while_others_are_answered() {
    // A rate that a byte a round stays below on any machine.
    let (body_rate_min, linger_timeout) = (1 << 20, SHORT);
    let options = Options { body_grace: SHORT, body_rate_min, linger_timeout, ..Options::default() };
    let front = Front::with(options);
    let mut slow: Vec<_> = (0..300).map(|_| front.connect()).collect();
    for client in &mut slow {
        client.send(post("/", "Content-Length: 1000000\r\n", ""));
    }
    while !slow.iter_mut().all(|client| client.send("a").is_refused()) {
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
    }
}

/// Slow read: answers that are taken byte by byte. They may take long, but keep neither a worker nor much memory.
#[test]
fn answers_that_are_taken_by_the_byte_hold_no_worker() {
    let front = Front::with(Options { workers: 1, budget_memory_bytes: 1 << 20, ..Options::default() });
    let mut slow: Vec<_> = (0..50).map(|_| front.connect()).collect();
    for client in &mut slow {
        client.send(get("/bytes?8000000"));
    }
    for _ in 0..20 {
        slow.iter_mut().for_each(Raw::read_a_byte);
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
    }
}
