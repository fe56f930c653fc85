//! A run that a test holds in its hands: the function of `tests/functions/python/gate` connects to the gate and goes on
//! when the test lets it. So a test knows that a handler is at work, and decides how long.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use crate::wait::{self, PATIENCE};

/// Where runs arrive.
#[derive(Debug)]
pub(crate) struct Gate(TcpListener);

/// A handler that waits. It goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct Held(TcpStream);

impl Gate {
    pub(crate) fn new() -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Gate(listener)
    }

    /// The event that sends a run here.
    pub(crate) fn event(&self) -> String {
        format!(r#"{{"port": {}}}"#, self.0.local_addr().unwrap().port())
    }

    /// Waits for the next run to arrive.
    pub(crate) fn arrival(&self) -> Held {
        let (stream, _) = wait::until("a run arrives", || self.0.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Held(stream)
    }
}

impl Held {
    /// Waits for a byte from the handler.
    pub(crate) fn hear(&self) {
        (&self.0).read_exact(&mut [0]).unwrap();
    }
}
