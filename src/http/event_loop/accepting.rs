//! New connections: taken in while there is room, and what makes room where there is none.
//!
//! Nobody may keep the next client out by only being here. A full house, or a host that is out of descriptors, costs the
//! least needed connection its place; work that has begun is never thrown out.

use std::time::Duration;

use rustix::io::Errno;

use super::{EventLoop, LISTENER_KEYS};
use crate::http::connection::Connection;
use crate::http::listener::Accepted;
use crate::http::table::Table;

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
        let mut expendable = Expendable::default();
        for _ in 0..ACCEPTS_A_TURN {
            let is_full = self.table.count() >= self.front.options.connections_max;
            let least_needed = if is_full { expendable.next(&self.table) } else { None };
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
                    let least_needed = least_needed.or_else(|| expendable.next(&self.table));
                    least_needed.into_iter().for_each(|key| self.close(key));
                    // A descriptor of our own is free now, and whoever waits may have it: resting for each would let in
                    // twenty a second.
                    if errno != Errno::MFILE || least_needed.is_none() {
                        return self.rest_accepting();
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

/// The connections that may be closed for new ones in one turn. Looking at ten thousand takes longer than accepting one, so
/// that is done once, and only where there is no room.
#[derive(Default)]
struct Expendable {
    /// Their keys, the least needed last.
    keys: Option<Vec<u64>>,
}

impl Expendable {
    /// The least needed that was not given before; none if every other one is at work.
    fn next(&mut self, table: &Table) -> Option<u64> {
        self.keys.get_or_insert_with(|| least_needed(table)).pop()
    }
}

/// As many as one turn can need, the least needed last.
fn least_needed(table: &Table) -> Vec<u64> {
    let expendable =
        |connection: &Connection| Some((connection.expendable()?, connection.since, connection.key));
    let mut found: Vec<_> = table.iter().filter_map(expendable).collect();
    if found.len() > ACCEPTS_A_TURN {
        found.select_nth_unstable(ACCEPTS_A_TURN);
        found.truncate(ACCEPTS_A_TURN);
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, _, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::base::clock::{Clock, SystemClock};
    use crate::http::connection::Phase;
    use crate::http::request::Peer;
    use crate::http::scan::HeadScan;

    /// The order in which these are given up: so many idle ones, put in from the latest to the longest idle, and one that has
    /// been at a head for longer than all. Their places in the table count from 0, that one's is 0.
    fn order(idle: u32) -> Vec<u64> {
        let (mut table, now) = (Table::default(), SystemClock.now());
        for place in 0..=idle {
            let (key, socket) = (table.reserve(), UnixStream::pair().unwrap().0.into());
            let since = now + Duration::from_millis((idle - place).into());
            let mut connection = Connection::new(key, socket, Peer::Unix { uid: 0, pid: 1 }, since);
            if place == 0 {
                connection.enter(Phase::Head(HeadScan::default()), now);
            }
            table.put(Box::new(connection));
        }
        let mut expendable = Expendable::default();
        std::iter::from_fn(|| expendable.next(&table)).collect()
    }

    #[test]
    fn the_longest_idle_goes_first_and_who_is_at_a_head_last() {
        assert_eq!(order(3), [3, 2, 1, 0]);
    }

    #[test]
    fn of_many_those_of_one_turn_are_found() {
        assert_eq!(order(300), (237..=300).rev().collect::<Vec<u64>>());
    }
}
