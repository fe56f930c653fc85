//! New connections: taken in while there is room, and what makes room where there is none.
//!
//! Nobody may keep the next client out by only being here. A full house, or a host that is out of descriptors, costs the
//! least needed connection its place; work that has begun is never thrown out.

use std::time::Duration;

use rustix::io::Errno;

use super::{EventLoop, LISTENER_KEYS};
use crate::http::connection::Connection;
use crate::http::listener::Accepted;

/// Connections accepted in one turn.
const ACCEPTS_A_TURN: usize = 64;
/// How long accepting rests when the host has nothing left to accept with.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// How often the log is told of that.
const EXHAUSTED_TOLD_EVERY: Duration = Duration::from_secs(60);

impl EventLoop {
    /// Takes clients from now on.
    pub(super) fn watch_listeners(&mut self) {
        for (key, listener) in (LISTENER_KEYS..).zip(&self.listeners) {
            if let Err(errno) = self.front.poller.watch(listener, key) {
                log::error!("a listening socket cannot be watched: {errno}");
            }
        }
    }

    /// Takes in those who wait at a listener, some at a turn.
    pub(super) fn accept(&mut self, key: u64) {
        let index = usize::try_from(key - LISTENER_KEYS).unwrap_or(usize::MAX);
        for _ in 0..ACCEPTS_A_TURN {
            let is_full = self.table.count() >= self.front.options.connections_max;
            let least_needed = if is_full { self.least_needed() } else { None };
            if is_full && least_needed.is_none() {
                return self.rest_accepting();
            }
            let Some(listener) = self.listeners.get(index) else { return };
            match listener.accept() {
                Accepted::Connection(socket, peer) => {
                    // Only now: before, nobody may have been waiting.
                    least_needed.into_iter().for_each(|key| self.close(key));
                    let key = self.table.reserve();
                    self.begin(Connection::new(key, socket, peer, self.now));
                }
                Accepted::Lost => {}
                Accepted::Nobody => return,
                Accepted::Exhausted(errno) => {
                    self.tell_exhausted(errno);
                    match self.least_needed() {
                        // That frees a descriptor of our own, and whoever waits may have it now: resting for each would
                        // let in twenty a second.
                        Some(key) if errno == Errno::MFILE => self.close(key),
                        least_needed => {
                            least_needed.into_iter().for_each(|key| self.close(key));
                            return self.rest_accepting();
                        }
                    }
                }
            }
        }
    }

    fn begin(&mut self, connection: Connection) {
        match self.front.poller.add(&connection) {
            Ok(()) => self.table.put(Box::new(connection)),
            Err(errno) => {
                log::warn!("a connection cannot be watched: {errno}");
                self.table.release(connection.key);
            }
        }
    }

    /// The connection to close for a new one; none if every one is at work.
    fn least_needed(&self) -> Option<u64> {
        let expendable =
            |connection: &Connection| Some((connection.expendable()?, connection.since, connection.key));
        self.table.iter().filter_map(expendable).min().map(|(_, _, key)| key)
    }

    /// It may go on for long, at twenty attempts a second.
    fn tell_exhausted(&mut self, errno: Errno) {
        if self.exhausted_told.is_none_or(|at| self.now - at >= EXHAUSTED_TOLD_EVERY) {
            log::warn!("no connection can be accepted for now: {errno}");
            self.exhausted_told = Some(self.now);
        }
    }

    /// Clients wait in the backlog meanwhile; a listener that stays watched would make the loop spin.
    fn rest_accepting(&mut self) {
        self.listeners.iter().for_each(|listener| self.front.poller.ignore(listener));
        self.accept_at = Some(self.now + ACCEPT_REST);
    }
}
