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
use crate::server::Place;

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

/// What systemd does: a listening socket under descriptor 3, and the process that it is meant for.
const ACTIVATE: &str = "
import os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
if listener.fileno() == 3:
    os.set_inheritable(3, True)
else:
    os.dup2(listener.fileno(), 3)
os.environ |= {'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid())}
open('port', 'w').write(str(listener.getsockname()[1]))
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn sockets_that_systemd_passes_are_taken() {
    let server = Place::new().serve_by(&["python3", "-c", ACTIVATE], &[]);
    let port = std::fs::read_to_string(server.place().file("port")).unwrap();
    assert_eq!(server.address().port().to_string(), port);
    assert_eq!(server.call("GET", "/healthz", b"").status, 200);
}
