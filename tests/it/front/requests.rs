//! How requests come on a connection, and in which order they are answered.

use std::sync::atomic::Ordering;

use crate::echo::Front;
use crate::front::{get, post};

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
