//! The front as a client sees it: raw bytes over real sockets, an echo behind it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use fnlite::http::limits::{HEAD_BYTES_MAX, HEADERS_MAX, Options, TARGET_BYTES_MAX};
use fnlite::http::listener::Listener;
use fnlite::http::request::Peer;
use fnlite::http::server::Server;
use rusty_fork::rusty_fork_test;

use crate::echo::{Echo, Front, pattern};
use crate::raw::Raw;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}")
}

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

#[test]
fn a_refused_upload_still_reads_its_answer() {
    let front = Front::start();
    let mut client = front.connect();
    client.send(post("/small", "Content-Length: 50000000\r\n", "")).send(vec![b'a'; 50_000_000]);
    assert_eq!(client.answer().status, 413);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let front = Front::start();
    let requests: Vec<String> = (0..200)
        .map(|number| post(&format!("/{number}"), "Content-Length: 3\r\n", &format!("{number:03}")))
        .collect();
    let mut client = front.connect();
    client.send(requests.concat());
    for number in 0..200 {
        assert_eq!(client.answer().text(), format!("{number:03}"));
    }
    assert_eq!(front.echo.running_most.load(Ordering::SeqCst), 1);
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

#[test]
fn requests_may_come_byte_by_byte() {
    let front = Front::start();
    let mut client = front.connect();
    for request in [
        post("/a", "Content-Length: 5\r\n", "hello"),
        post("/b", "Transfer-Encoding: chunked\r\n", "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n"),
    ] {
        for byte in request.as_bytes().chunks(1) {
            client.send(byte);
        }
        assert_eq!(client.answer().text(), "hello");
    }
}

#[test]
fn slow_requests_and_idle_connections_are_ended() {
    let short = Duration::from_millis(100);
    let front = Front::with(Options {
        head_timeout: short,
        idle_timeout: short,
        body_grace: short,
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
fn connections_stay_open_as_the_client_wishes() {
    let front = Front::start();
    for (request, connection, stays) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None, true),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", Some("close"), false),
        ("GET / HTTP/1.0\r\n\r\n", Some("close"), false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Some("keep-alive"), true),
    ] {
        let mut client = front.connect();
        let answer = client.send(request).answer();
        assert_eq!((answer.status, answer.header("connection")), (200, connection), "{request:?}");
        if stays {
            assert_eq!(client.send(request).answer().status, 200, "{request:?}");
        } else {
            assert!(client.is_closed(), "{request:?}");
        }
    }
}

#[test]
fn a_client_that_has_finished_sending_is_answered() {
    let front = Front::start();
    let mut client = front.connect();
    client.send(get("/a") + &get("/b")).finish_sending();
    assert_eq!(client.answers_until_close().len(), 2);
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
    let front = Front::start();
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
fn clients_that_open_at_once_are_all_answered() {
    let front = Front::start();
    let mut clients: Vec<_> = (0..256).map(|_| front.connect()).collect();
    for _ in 0..4 {
        for client in &mut clients {
            client.send(get("/"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
    }
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
fn long_requests_are_few_and_leave_the_workers_alone() {
    let front = Front::with(Options { workers: 1, long_polls: 2, ..Options::default() });
    let mut polls = [front.connect(), front.connect()];
    for poll in &mut polls {
        poll.send(get("/poll"));
    }
    front.wait_for_running(2);
    for target in ["/poll", "/stream?1"] {
        let answer = front.connect().send(get(target)).answer();
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{target}");
    }
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
    front.echo.gate.open();
    for poll in &mut polls {
        assert_eq!(poll.answer().text(), "passed\n");
        assert_eq!(poll.send(get("/")).answer().status, 200, "the connection goes on");
    }
}

#[test]
fn requests_beyond_the_queue_are_told_to_come_back() {
    let front = Front::with(Options { workers: 1, queue: 1, ..Options::default() });
    let mut running = front.connect();
    running.send(get("/gate"));
    front.wait_for_running(1);
    let (status_to, statuses) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for mut client in (0..10).map(|_| front.connect()) {
            let status_to = status_to.clone();
            scope.spawn(move || {
                let status = client.send(get("/gate")).answer().status;
                status_to.send(status).unwrap();
                client.send(get("/")).answer();
            });
        }
        let refused: Vec<u16> = statuses.iter().take(9).collect();
        assert_eq!(refused, [503; 9], "one waits, the others are turned away");
        front.echo.gate.open();
        assert_eq!(statuses.recv(), Ok(200));
    });
    assert_eq!(running.answer().status, 200);
}

#[test]
fn a_full_house_closes_the_longest_idle() {
    let front = Front::with(Options { connections_max: 3, ..Options::default() });
    let mut clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = front.connect();
            assert_eq!(client.send(get("/")).answer().status, 200);
            client
        })
        .collect();
    assert_eq!(front.connect().send(get("/")).answer().status, 200);
    assert!(clients[0].is_closed());
    assert_eq!(clients[2].send(get("/")).answer().status, 200);
}

#[test]
fn socket_files_tell_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let echo = Arc::new(Echo::default());
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let server = Server::start(vec![listener], Options::default(), echo, Arc::new(SystemClock)).unwrap();
    let answer = Raw::new(UnixStream::connect(&path).unwrap()).send(get("/peer")).answer();
    let uid = rustix::process::geteuid().as_raw();
    let pid = i32::try_from(std::process::id()).unwrap();
    assert_eq!(answer.text().trim(), format!("{:?}", Peer::Unix { uid, pid }));
    server.stop();
}

#[test]
fn stopping_answers_what_has_begun_and_closes_the_rest() {
    let mut front = Front::start();
    let (mut idle, mut running, mut halfway) = (front.connect(), front.connect(), front.connect());
    assert_eq!(idle.send(get("/")).answer().status, 200);
    halfway.send("GET / HTTP/1.1\r\n");
    running.send(get("/gate") + &get("/"));
    front.wait_for_running(1);
    let server = front.server.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| server.stop());
        assert!(idle.is_closed());
        assert!(TcpStream::connect(front.address).is_err(), "the listener is closed");
        let answer = halfway.send("Host: h\r\n\r\n").answer();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        drop(halfway);
        front.echo.gate.open();
        let answers = running.answers_until_close();
        assert_eq!(answers.len(), 1, "the one pipelined behind it had not begun");
        assert_eq!(answers[0].header("connection"), Some("close"));
        drop(running);
    });
}

#[test]
fn stopping_is_over_in_time_whatever_clients_and_handlers_do() {
    let mut front = Front::with(Options { drain_timeout: Duration::from_millis(100), ..Options::default() });
    let (mut stuck, mut endless, mut halfway) = (front.connect(), front.connect(), front.connect());
    stuck.send(get("/gate"));
    endless.send(get("/endless"));
    halfway.send("GET / HT");
    front.wait_for_running(1);
    let clock = SystemClock;
    let began = clock.now();
    front.stop();
    assert!(clock.now() - began < Duration::from_secs(3));
    assert!(halfway.is_closed());
}

rusty_fork_test! {
    /// In a process of its own, because the limit is the process's.
    #[test]
    fn running_out_of_descriptors_passes() {
        let most = rustix::process::Rlimit { current: Some(40), maximum: Some(40) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, most).unwrap();
        let front = Front::start();
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect(front.address) {
            held.push(stream);
        }
        assert!(held.len() > 5, "the process ran out while clients still came");
        drop(held);
        assert_eq!(front.connect().send(get("/")).answer().status, 200);
    }
}
