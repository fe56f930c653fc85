//! Starts the front and stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Handler;
use super::event_loop::EventLoop;
use super::front::Front;
use super::limits::Options;
use super::listener::Listener;
use super::poller::Poller;
use super::queue::Queue;
use super::worker::{self, Duty};
use crate::base::clock::Clock;
use crate::error::Result;

/// How long threads have to end once the drain timeout is over.
const GRACE: Duration = Duration::from_secs(1);
/// How often a thread that should end is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// A running front. Dropping it stops it like [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    front: Arc<Front>,
    workers: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Listens on all of `listeners` and answers with `handler`. Raises the process's limit of open files to the
    /// most it may have; connections get half of that at most.
    pub fn start(
        listeners: Vec<Listener>,
        mut options: Options,
        handler: Arc<dyn Handler>,
        clock: Arc<dyn Clock>,
    ) -> Result<Server> {
        afford(&mut options);
        listeners.iter().try_for_each(Listener::prepare)?;
        let addresses = listeners.iter().filter_map(Listener::tcp_address).collect();
        let front = Arc::new(Front::new(options, handler, clock, Poller::new()?));
        let duties = Arc::new(Queue::new(front.options.queue.max(1)));
        let workers =
            worker::start(&front, front.options.workers, &duties).inspect_err(|_| duties.close())?;
        let event_loop = EventLoop::new(Arc::clone(&front), listeners, Arc::clone(&duties));
        // There is no duty before it, and room for one in any queue.
        let _ = duties.push(Duty::Lead(Box::new(event_loop)));
        Ok(Server { front, workers, addresses })
    }

    /// The TCP addresses listened on, in the order given; tells the port chosen for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes the listeners and idle connections, answers the requests that have begun, and returns when all threads
    /// have ended, at the latest a second after the drain timeout. A handler that does not return by then keeps its
    /// thread, and the log says so.
    pub fn stop(mut self) {
        self.wind_down();
    }

    fn wind_down(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        self.front.draining.store(true, Ordering::SeqCst);
        self.front.poller.wake();
        let until = self.front.clock.now() + self.front.options.drain_timeout + GRACE;
        let workers = std::mem::take(&mut self.workers);
        self.join_in_time(workers, until);
        // Only now: until the last worker is gone, there may come more.
        self.join_in_time(self.front.streams.take_threads(), until);
    }

    fn join_in_time(&self, threads: Vec<JoinHandle<()>>, until: Instant) {
        for thread in threads {
            while !thread.is_finished() && self.front.clock.now() < until {
                sleep(GLANCE);
            }
            if thread.is_finished() {
                // Panics were caught and logged where they happened.
                let _ = thread.join();
            } else {
                let name = thread.thread().name().unwrap_or("?").to_owned();
                log::warn!("thread {name} still runs its handler after the drain timeout");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.wind_down();
    }
}

/// Raises the limit of open files, and gives connections half of it: clients who only connect must not use up what
/// handlers need.
fn afford(options: &mut Options) {
    let files = raise_open_files().map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let most = (files / 2).max(1);
    if options.connections_max > most {
        log::warn!("of {files} files that this process may open, connections get {most}");
        options.connections_max = most;
    }
}

/// Many hosts start processes with 1,024 open files although they may have far more. The limit then; none for endless.
fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(errno) = setrlimit(Resource::Nofile, most) {
        log::warn!("the limit of open files stays at {:?}: {errno}", limit.current);
        return limit.current;
    }
    limit.maximum
}
