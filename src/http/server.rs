//! Starts the front and stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Handler;
use super::event_loop::EventLoop;
use super::front::Front;
use super::limits::Options;
use super::listener::Listener;
use super::poller::Poller;
use super::queue::Queue;
use super::worker;
use crate::base::clock::Clock;
use crate::base::thread::spawn;
use crate::error::Result;

/// How long threads have to end once the drain timeout is over.
const GRACE: Duration = Duration::from_secs(1);
/// How often a thread that should end is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// A running front. Dropping it stops it like [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    front: Arc<Front>,
    event_loop: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Listens on all of `listeners` and answers with `handler`. Raises the process's limit of open files to the
    /// most it may have.
    pub fn start(
        listeners: Vec<Listener>,
        options: Options,
        handler: Arc<dyn Handler>,
        clock: Arc<dyn Clock>,
    ) -> Result<Server> {
        raise_open_files();
        listeners.iter().try_for_each(Listener::prepare)?;
        let addresses = listeners.iter().filter_map(Listener::tcp_address).collect();
        let front = Arc::new(Front::new(options, handler, clock, Poller::new()?));
        let jobs = Arc::new(Queue::new(front.options.queue));
        let event_loop = EventLoop::new(Arc::clone(&front), listeners, Arc::clone(&jobs));
        let workers = worker::start(&front, front.options.workers, &jobs).inspect_err(|_| jobs.close())?;
        let event_loop = spawn("http-loop", move || event_loop.run()).inspect_err(|_| jobs.close())?;
        Ok(Server { front, event_loop: Some(event_loop), workers, addresses })
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
        let Some(event_loop) = self.event_loop.take() else { return };
        self.front.draining.store(true, Ordering::SeqCst);
        self.front.poller.wake();
        if event_loop.join().is_err() {
            log::error!("the event loop panicked");
        }
        let mut threads = std::mem::take(&mut self.workers);
        threads.extend(self.front.streams.take_threads());
        self.join_in_time(threads);
    }

    fn join_in_time(&self, threads: Vec<JoinHandle<()>>) {
        let until = self.front.clock.now() + GRACE;
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

/// Many hosts start processes with 1,024 open files although they may have far more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(errno) = setrlimit(Resource::Nofile, most) {
        log::warn!("the limit of open files stays at {:?}: {errno}", limit.current);
    }
}
