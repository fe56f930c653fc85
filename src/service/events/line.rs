//! Who runs next: the events that wait, in memory, a line for each function. Pure: time comes in, and whether there is room is
//! asked of the caller.
//!
//! Within a function events go in the order they are due. Among functions the one goes that has the fewest running, so that
//! a long line keeps nobody else waiting. A function without room is passed over until somebody says that there is room
//! again. Of an event only numbers are kept: its body stays in the database.
//!
//! What must stay true: an event is in the line or with whoever took it, never both. Times are microseconds of a clock that
//! never jumps, and may be negative: events can be older than it.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// An event in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Row id of its invocation.
    pub(crate) id: i64,
    /// When it was accepted.
    pub(crate) born_us: i64,
    /// When its next attempt is due.
    pub(crate) due_us: i64,
    /// Size of its body.
    pub(crate) bytes: u64,
}

/// An event that was taken, and the room it was given; none where it is to be given up, since it became too old.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken<P> {
    pub(crate) function_id: i64,
    pub(crate) entry: Entry,
    pub(crate) permit: Option<P>,
}

/// The lines of all functions.
#[derive(Debug, Default)]
pub(crate) struct Line {
    functions: HashMap<i64, Lane>,
    /// Not due yet, by when they are.
    later: BTreeMap<(i64, i64), (i64, Entry)>,
}

/// One function's line.
#[derive(Debug)]
struct Lane {
    /// Due, in order.
    ready: VecDeque<Entry>,
    /// Taken and not given back.
    running: usize,
    /// Passed over, because there was no room for it.
    is_blocked: bool,
    /// How old its events may get.
    ttl_us: i64,
}

impl Line {
    /// Adds an event, or puts one back for its next attempt.
    pub(crate) fn push(&mut self, function_id: i64, entry: Entry, now_us: i64) {
        if entry.due_us > now_us {
            self.later.insert((entry.due_us, entry.id), (function_id, entry));
        } else {
            self.lane(function_id).insert(entry);
        }
    }

    /// Notes how old a function's events may get.
    pub(crate) fn set_ttl(&mut self, function_id: i64, ttl_us: i64) {
        self.lane(function_id).ttl_us = ttl_us;
    }

    /// The event that goes next, if one is due and `admit` has room for its function. Somebody must say when it is
    /// [`done`](Line::done).
    pub(crate) fn take<P>(
        &mut self,
        now_us: i64,
        mut admit: impl FnMut(i64) -> Option<P>,
    ) -> Option<Taken<P>> {
        self.call_up(now_us);
        if let Some(taken) = self.take_expired(now_us) {
            return Some(taken);
        }
        while let Some((function_id, lane)) = self.first() {
            match admit(function_id) {
                Some(permit) => {
                    lane.running += 1;
                    let entry = lane.ready.pop_front().expect("a lane that goes first has somebody");
                    return Some(Taken { function_id, entry, permit: Some(permit) });
                }
                None => lane.is_blocked = true,
            }
        }
        None
    }

    /// Whether somebody is due whom nobody has refused yet.
    pub(crate) fn has_more(&self) -> bool {
        self.functions.values().any(Lane::may_go)
    }

    /// An event that was taken has ended or was put back.
    pub(crate) fn done(&mut self, function_id: i64) {
        if let Some(lane) = self.functions.get_mut(&function_id) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// There may be room again; whether anybody had been passed over.
    pub(crate) fn unblock(&mut self) -> bool {
        let mut any = false;
        for lane in self.functions.values_mut().filter(|lane| lane.is_blocked) {
            lane.is_blocked = false;
            any |= !lane.ready.is_empty();
        }
        any
    }

    /// Makes all events of a function due now.
    pub(crate) fn hurry(&mut self, function_id: i64) {
        let mut mine = Vec::new();
        self.later.retain(|_, (id, entry)| {
            let is_mine = *id == function_id;
            mine.extend(is_mine.then_some(*entry));
            !is_mine
        });
        let lane = self.lane(function_id);
        lane.is_blocked = false;
        mine.into_iter().for_each(|entry| lane.insert(entry));
    }

    /// When to look again although nothing was said: the next event is due, or one that waits becomes too old.
    pub(crate) fn next_us(&self) -> Option<i64> {
        let due = self.later.keys().next().map(|(due_us, _)| *due_us);
        let too_old = self.functions.values().filter_map(Lane::too_old_us).min();
        due.into_iter().chain(too_old).min()
    }

    /// Functions whose events wait.
    pub(crate) fn function_ids(&self) -> Vec<i64> {
        let waiting = self.functions.iter().filter(|(_, lane)| !lane.ready.is_empty()).map(|(id, _)| *id);
        let mut ids: Vec<i64> = waiting.chain(self.later.values().map(|(id, _)| *id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn lane(&mut self, function_id: i64) -> &mut Lane {
        self.functions.entry(function_id).or_default()
    }

    /// Moves what has become due into the lines.
    fn call_up(&mut self, now_us: i64) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now_us) {
            let (function_id, entry) = first.remove();
            self.lane(function_id).insert(entry);
        }
    }

    /// Where nobody lets a function run, its events still become too old.
    fn take_expired<P>(&mut self, now_us: i64) -> Option<Taken<P>> {
        let expired = |lane: &Lane| lane.too_old_us().is_some_and(|at_us| at_us <= now_us);
        let (function_id, lane) = self.functions.iter_mut().find(|(_, lane)| expired(lane))?;
        lane.running += 1;
        let entry = lane.ready.pop_front()?;
        Some(Taken { function_id: *function_id, entry, permit: None })
    }

    /// The function that goes first.
    fn first(&mut self) -> Option<(i64, &mut Lane)> {
        let may_go = self.functions.iter_mut().filter(|(_, lane)| lane.may_go());
        let first = may_go.min_by_key(|(_, lane)| {
            let head = lane.ready.front().map(|entry| (entry.due_us, entry.id));
            (lane.running, head)
        });
        first.map(|(id, lane)| (*id, lane))
    }
}

impl Default for Lane {
    fn default() -> Lane {
        Lane { ready: VecDeque::new(), running: 0, is_blocked: false, ttl_us: i64::MAX }
    }
}

impl Lane {
    fn may_go(&self) -> bool {
        !self.is_blocked && !self.ready.is_empty()
    }

    /// Nearly always at the end: those accepted at the same time come in nearly the right order.
    fn insert(&mut self, entry: Entry) {
        let before = |other: &&Entry| (other.due_us, other.id) > (entry.due_us, entry.id);
        let behind = self.ready.iter().rev().take_while(before).count();
        self.ready.insert(self.ready.len() - behind, entry);
    }

    fn too_old_us(&self) -> Option<i64> {
        self.ready.front().map(|entry| entry.born_us.saturating_add(self.ttl_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, due_us: i64) -> Entry {
        Entry { id, born_us: due_us, due_us, bytes: 2 }
    }

    fn line(events: &[(i64, i64, i64)]) -> Line {
        let mut line = Line::default();
        for (function_id, id, due_us) in events {
            line.push(*function_id, entry(*id, *due_us), 0);
        }
        line
    }

    /// Takes until nothing goes any more; functions in `full` have no room.
    fn order(line: &mut Line, now_us: i64, full: &[i64]) -> Vec<i64> {
        let mut ids = Vec::new();
        while let Some(taken) = line.take(now_us, |id| (!full.contains(&id)).then_some(())) {
            ids.push(taken.entry.id);
        }
        ids
    }

    #[test]
    fn a_functions_events_go_in_the_order_they_are_due() {
        let mut line = line(&[(1, 12, -5), (1, 10, -7), (1, 11, -7), (1, 13, 8), (1, 14, 4)]);
        assert_eq!(order(&mut line, 0, &[]), [10, 11, 12]);
        assert_eq!(line.next_us(), Some(4));
        assert_eq!(order(&mut line, 10, &[]), [14, 13]);
        assert_eq!(line.next_us(), None);
    }

    #[test]
    fn a_long_line_keeps_nobody_else_waiting() {
        let mut long = line(&[(1, 1, -9), (1, 2, -8), (1, 3, -7), (2, 4, -1)]);
        assert_eq!(order(&mut long, 0, &[]), [1, 4, 2, 3]);
        let mut line = line(&[(1, 1, -9), (1, 2, -8), (2, 4, -1)]);
        line.take(0, Some).unwrap();
        line.done(1);
        assert_eq!(
            line.take(0, Some).unwrap().entry.id,
            2,
            "both have none running: the one that is due longer"
        );
    }

    #[test]
    fn who_has_no_room_is_passed_over_until_there_is_some() {
        let mut line = line(&[(1, 1, -9), (2, 2, -8)]);
        assert_eq!(order(&mut line, 0, &[1]), [2]);
        assert_eq!(order(&mut line, 0, &[]), [0i64; 0], "nobody has said that there is room");
        assert!(line.unblock());
        assert!(line.has_more());
        assert_eq!(order(&mut line, 0, &[]), [1]);
        assert!(!line.unblock());
    }

    #[test]
    fn who_gets_too_old_is_taken_without_room() {
        let mut line = line(&[(1, 1, -9), (1, 2, -8)]);
        line.set_ttl(1, 20);
        assert_eq!(line.take(0, |_| None::<()>), None);
        assert_eq!(line.next_us(), Some(11));
        let taken = line.take(11, |_| None::<()>).unwrap();
        assert_eq!((taken.entry.id, taken.permit), (1, None));
        assert_eq!(line.take(11, |_| None::<()>), None);
    }

    #[test]
    fn events_of_a_function_that_is_gone_are_due_at_once() {
        let mut line = line(&[(1, 1, 50), (2, 2, 60)]);
        line.hurry(1);
        assert_eq!(order(&mut line, 0, &[]), [1]);
        assert_eq!(line.function_ids(), [2]);
    }
}
