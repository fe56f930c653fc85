//! What may take long, on threads of its own: long polls and answers of unknown length.
//!
//! Each has a thread that lives as long as it does, and there are few of them, so that ordinary requests always find
//! their workers. A client that reads slowly holds its thread until it has taken nothing for the write timeout.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::Connection;
use super::deliver::Pen;
use super::encode::{Ending, Length, Manner, may_have_body};
use super::front::Front;
use super::outgoing::send;
use super::response::{Content, Response};
use crate::base::thread::spawn;

/// Longest wait for a slow client before the server's state is looked at again.
const GLANCE: Duration = Duration::from_millis(100);
/// Bytes asked of a reader at once.
const READ_BYTES: usize = 64 * 1024;
/// Room before a chunk's data for its size line.
const SIZE_LINE_BYTES: usize = 10;

/// The threads of long requests.
#[derive(Debug)]
pub(super) struct Streams {
    running: Arc<AtomicUsize>,
    running_max: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The right to one of those threads.
#[derive(Debug)]
pub(super) struct Admission(Arc<AtomicUsize>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    pub(super) fn new(running_max: usize) -> Streams {
        Streams { running: Arc::default(), running_max, threads: Mutex::default() }
    }

    /// The right to a thread, if there is one left.
    pub(super) fn admit(&self) -> Option<Admission> {
        let below = |running: usize| (running < self.running_max).then_some(running + 1);
        let admitted = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        admitted.ok().map(|_| Admission(Arc::clone(&self.running)))
    }

    /// Runs `task` on a thread; the task comes back if none can be started.
    pub(super) fn start<T: Send + 'static>(
        &self,
        admission: Admission,
        task: T,
        run: impl FnOnce(T) + Send + 'static,
    ) -> Result<(), T> {
        // A closure that could not be started is dropped by the standard library, so the task is kept apart.
        let kept = Arc::new(Mutex::new(Some(task)));
        let given = Arc::clone(&kept);
        let started = spawn("http-stream", move || {
            if let Some(task) = take(&given) {
                run(task);
            }
            drop(admission);
        });
        match started {
            Ok(handle) => {
                let mut threads = self.threads.lock().expect("no holder of this lock can panic");
                threads.retain(|thread| !thread.is_finished());
                threads.push(handle);
                Ok(())
            }
            Err(error) => {
                log::error!("{error:#}");
                take(&kept).map_or(Ok(()), Err)
            }
        }
    }

    /// All threads, for the owner to join.
    pub(super) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.threads.lock().expect("no holder of this lock can panic"))
    }
}

fn take<T>(kept: &Mutex<Option<T>>) -> Option<T> {
    kept.lock().expect("no holder of this lock can panic").take()
}

/// Sends a checked answer whose body is a stream. The connection comes back unless it broke.
pub(super) fn stream(
    front: &Front,
    connection: Box<Connection>,
    manner: Manner,
    mut response: Response,
    pen: &mut Pen,
) -> Option<Box<Connection>> {
    let chunks = manner.knows_chunks;
    let manner = if chunks { manner } else { manner.closing() };
    let length = if chunks { Length::Chunked } else { Length::UntilClose };
    let empty = Content::Bytes((&[]).into());
    let content = std::mem::replace(&mut response.content, empty);
    let has_body = !manner.head_only && may_have_body(response.status);
    let writer = Writer { front, connection: &connection };
    let mut sent = writer.send(pen.head(front, &response, length, manner));
    if let (Ok(()), Content::Stream(reader), true) = (&sent, content, has_body) {
        sent = writer.send_all(reader, chunks);
    }
    match sent {
        Ok(()) => connection.answered(ending_of(manner, chunks), front.clock.now()),
        Err(cause) => {
            log::debug!("a streamed answer broke off: {cause}");
            None
        }
    }
}

/// Where the connection's end is the body's end, that end must come at once even if the client would rather stay.
fn ending_of(manner: Manner, chunks: bool) -> Ending {
    if chunks { manner.ending } else { Ending::Linger }
}

struct Writer<'a> {
    front: &'a Front,
    connection: &'a Connection,
}

impl Writer<'_> {
    /// Sends every read at once, so that events reach the client as they happen.
    fn send_all(&self, mut reader: Box<dyn Read + Send>, chunks: bool) -> io::Result<()> {
        let mut buffer = vec![0; SIZE_LINE_BYTES + READ_BYTES + 2];
        loop {
            self.check_cut()?;
            let length = match reader.read(&mut buffer[SIZE_LINE_BYTES..SIZE_LINE_BYTES + READ_BYTES]) {
                Ok(0) => break,
                Ok(length) => length,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(cause),
            };
            let data = SIZE_LINE_BYTES..SIZE_LINE_BYTES + length;
            self.send(if chunks { as_chunk(&mut buffer, length) } else { &buffer[data] })?;
        }
        self.send(if chunks { b"0\r\n\r\n" } else { b"" })
    }

    /// Sends all of it, waiting for the client as long as it takes something from time to time.
    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut waited_since = self.front.clock.now();
        while !bytes.is_empty() {
            let sent = send(self.connection.socket.as_fd(), bytes, false)?;
            bytes = &bytes[sent..];
            let now = self.front.clock.now();
            if sent > 0 {
                waited_since = now;
            } else if now.saturating_duration_since(waited_since) >= self.front.options.write_timeout {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if !bytes.is_empty() {
                self.check_cut()?;
                self.wait_for_room()?;
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> io::Result<()> {
        let mut sockets = [PollFd::new(&self.connection.socket, PollFlags::OUT)];
        let glance = Timespec { tv_sec: 0, tv_nsec: GLANCE.subsec_nanos().into() };
        match poll(&mut sockets, Some(&glance)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn check_cut(&self) -> io::Result<()> {
        if self.front.is_cut() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// The chunk whose data lies in `buffer` behind the room for its size line.
fn as_chunk(buffer: &mut [u8], length: usize) -> &[u8] {
    let size_line = format!("{length:x}\r\n");
    let start = SIZE_LINE_BYTES - size_line.len();
    let end = SIZE_LINE_BYTES + length;
    buffer[start..SIZE_LINE_BYTES].copy_from_slice(size_line.as_bytes());
    buffer[end..end + 2].copy_from_slice(b"\r\n");
    &buffer[start..end + 2]
}
