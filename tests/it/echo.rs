//! A server of the real front with an echo behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use fnlite::base::clock::{Clock, SystemClock};
use fnlite::http::Handler;
use fnlite::http::head::Head;
use fnlite::http::limits::Options;
use fnlite::http::listener::Listener;
use fnlite::http::request::{Peer, Request};
use fnlite::http::response::Response;
use fnlite::http::server::Server;

use crate::raw::Raw;

const BODY_MAX: u64 = 8 * 1024 * 1024;

/// Answers by path; see [`Handler::handle`] below.
#[derive(Default)]
pub(crate) struct Echo {
    pub gate: Arc<Gate>,
    pub running: AtomicUsize,
    pub running_most: AtomicUsize,
    pub handled: AtomicUsize,
    pub after: Arc<AtomicUsize>,
}

impl Handler for Echo {
    fn before_body(&self, head: &Head, _peer: Peer) -> Result<u64, Response> {
        match head.path() {
            "/locked" => Err(Response::text(401, "not you").with_header("X-Door", "closed")),
            "/small" => Ok(10),
            _ => Ok(BODY_MAX),
        }
    }

    fn is_patient(&self, head: &Head) -> bool {
        head.path() == "/poll"
    }

    fn handle(&self, mut request: Request) -> Response {
        self.handled.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_most.fetch_max(running, Ordering::SeqCst);
        let response = self.answer(&mut request);
        self.running.fetch_sub(1, Ordering::SeqCst);
        response
    }
}

impl Echo {
    fn answer(&self, request: &mut Request) -> Response {
        let query = request.head.query().unwrap_or_default().to_owned();
        match request.head.path() {
            "/gate" | "/poll" => {
                self.gate.pass();
                Response::text(200, "passed")
            }
            "/panic" => panic!("a handler's own fault"),
            "/status" => Response::new(query.parse().unwrap()).with_bytes(&b"body"[..]),
            "/forged" => Response::new(200).with_header("X-Forged", "a\r\nX-Second: b"),
            "/text" => Response::new(200).with_header("X-Text", "é").with_bytes(&b"abc"[..]),
            "/bytes" => Response::new(200).with_bytes(pattern(query.parse().unwrap())),
            "/file" => file(query.parse().unwrap()),
            "/stream" => {
                Response::new(200).with_stream(Pieces { left: query.parse().unwrap(), fails: false })
            }
            "/gated" => Response::new(200).with_stream(Gated(Arc::clone(&self.gate), 0)),
            "/broken" => Response::new(200).with_stream(Pieces { left: 2, fails: true }),
            "/endless" => Response::new(200).with_stream(std::io::repeat(b'x')),
            "/after" => {
                let after = Arc::clone(&self.after);
                Response::new(200).with_after(move || {
                    after.fetch_add(1, Ordering::SeqCst);
                })
            }
            "/peer" => Response::text(200, format!("{:?}", request.peer)),
            _ => {
                let mut bytes = Vec::new();
                request.body.reader().unwrap().read_to_end(&mut bytes).unwrap();
                let line = format!("{} {}", request.head.method(), request.head.target());
                Response::new(200).with_header("X-Line", line).with_bytes(bytes)
            }
        }
    }
}

/// Bytes that tell where they are.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

fn file(length: usize) -> Response {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(length)).unwrap();
    Response::new(200).with_file(file, length as u64)
}

/// Gives `piece;` as often as `left` says and then ends or fails.
struct Pieces {
    left: usize,
    fails: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.left.checked_sub(1) {
            None if self.fails => Err(std::io::Error::other("it fails")),
            None => Ok(0),
            Some(left) => {
                self.left = left;
                buffer[..6].copy_from_slice(b"piece;");
                Ok(6)
            }
        }
    }
}

/// Gives `piece;` twice, the second time when the gate is open.
struct Gated(Arc<Gate>, usize);

impl Read for Gated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 += 1;
        match self.1 {
            1 => {}
            2 => self.0.pass(),
            _ => return Ok(0),
        }
        buffer[..6].copy_from_slice(b"piece;");
        Ok(6)
    }
}

/// Holds handlers until a test opens it.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        drop(self.changed.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }

    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A server with an echo behind it.
pub(crate) struct Front {
    pub server: Option<Server>,
    pub echo: Arc<Echo>,
    pub address: SocketAddr,
}

impl Front {
    pub(crate) fn start() -> Front {
        Front::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Front {
        let echo = Arc::new(Echo::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let handler = Arc::clone(&echo) as Arc<dyn Handler>;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let server = Server::start(vec![Listener::Tcp(listener)], options, handler, clock).unwrap();
        Front { address: server.addresses()[0], server: Some(server), echo }
    }

    pub(crate) fn connect(&self) -> Raw<TcpStream> {
        Raw::connect(self.address)
    }

    /// Waits until so many handlers run at once.
    pub(crate) fn wait_for_running(&self, count: usize) {
        while self.echo.running.load(Ordering::SeqCst) != count {
            std::thread::yield_now();
        }
    }

    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.echo.gate.open();
    }
}
