//! epoll and its alarm clock.
//!
//! rustix's epoll is used as it is: the `polling` crate arms a timer descriptor with two more system calls before
//! every wait, and its `add` is unsafe.
//!
//! Connections are registered one-shot. That one rule carries the whole hand-over between threads: while a connection
//! is with a worker it cannot fire, and who is done with it arms it again, which costs one system call and does not
//! wake the loop.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use super::connection::Connection;
use crate::error::Result;

/// The key of [`Poller::wake`].
pub(super) const WAKE: u64 = u64::MAX;

/// Events of one wait.
const EVENTS_MAX: usize = 256;

/// Tells which descriptors are ready.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    alarm: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let alarm = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered, so that the count need never be read back.
        epoll::add(&epoll, &alarm, EventData::new_u64(WAKE), EventFlags::IN | EventFlags::ET)?;
        Ok(Poller { epoll, alarm })
    }

    /// Makes the wait that runs, or the next one, return.
    pub(super) fn wake(&self) {
        // It can only fail when the count is at its end, and then the alarm has been raised.
        let _ = rustix::io::write(&self.alarm, &1u64.to_ne_bytes());
    }

    /// Watches a listener until [`Poller::ignore`].
    pub(super) fn watch(&self, listener: impl AsFd, key: u64) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, listener, EventData::new_u64(key), EventFlags::IN)
    }

    /// Watches a listener no longer.
    pub(super) fn ignore(&self, listener: impl AsFd) {
        // It can only fail for a descriptor that is not watched.
        let _ = epoll::delete(&self.epoll, listener);
    }

    /// Makes a new connection known and arms it.
    pub(super) fn add(&self, connection: &Connection) -> rustix::io::Result<()> {
        let (key, flags) = interest(connection);
        epoll::add(&self.epoll, &connection.socket, key, flags)
    }

    /// Lets a known connection fire once more.
    pub(super) fn arm(&self, connection: &Connection) -> rustix::io::Result<()> {
        let (key, flags) = interest(connection);
        epoll::modify(&self.epoll, &connection.socket, key, flags)
    }

    /// Waits for events and puts their keys into `ready`; returns early with none when interrupted.
    pub(super) fn wait(&self, ready: &mut Vec<u64>, timeout: Option<Duration>) {
        let timeout = timeout.map(|length| Timespec {
            tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: length.subsec_nanos().into(),
        });
        let mut events = [const { std::mem::MaybeUninit::uninit() }; EVENTS_MAX];
        ready.clear();
        match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64())),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => log::error!("waiting for connections failed: {errno}"),
        }
    }
}

fn interest(connection: &Connection) -> (EventData, EventFlags) {
    let direction = if connection.is_writing() { EventFlags::OUT } else { EventFlags::IN };
    (EventData::new_u64(connection.key), direction | EventFlags::ONESHOT)
}
