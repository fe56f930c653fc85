//! Where the server listens, and how it stops.

use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use fnlite::http::limits::Options;
use fnlite::http::listener::Listener;
use fnlite::http::request::Peer;
use fnlite::http::server::Server;

use crate::echo::{Echo, Front};
use crate::front::get;
use crate::raw::Raw;

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
