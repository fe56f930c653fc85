//! Who runs next: the events that wait, in memory, a line for each function. Pure: time comes in, and whether there is room is
//! asked of the caller.
//!
//! Within a function events go in the order they are due. Among functions the one goes that has the fewest running, so that
//! a long line keeps nobody else waiting. A function without room is passed over until somebody says that there is room
//! again. Events during which the server died go before all others and one at a time: if one of them is the cause, it takes
//! none of the others along. Of an event only numbers are kept: its body stays in the database.
//!
//! What must stay true: an event is in the line or with whoever took it, never both. Times are microseconds of a clock that
//! never jumps, and may be negative: events can be older than it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Whether the server died while it ran.
    pub(crate) is_suspect: bool,
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
    functions: HashMap<i64, Waiting>,
    /// Not due yet, by when they are.
    later: BTreeMap<(i64, i64), (i64, Entry)>,
    suspects: Suspects,
}

/// Events during which the server died.
#[derive(Debug, Default)]
struct Suspects {
    /// Those that wait, by when they are due.
    waiting: BTreeMap<(i64, i64), (i64, Entry)>,
    /// The one that was taken and not given back.
    running: Option<i64>,
    /// None of them had room.
    is_blocked: bool,
}

/// One function's line.
#[derive(Debug)]
struct Waiting {
    /// Due, by when they became so.
    ready: BTreeMap<(i64, i64), Entry>,
    /// Those of them that were tried before, by age: they may be older than whoever is due first.
    elders: BTreeSet<(i64, i64, i64)>,
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
            self.let_in(function_id, entry);
        }
    }

    /// Lets in an event that is due.
    fn let_in(&mut self, function_id: i64, entry: Entry) {
        if entry.is_suspect {
            self.suspects.waiting.insert((entry.due_us, entry.id), (function_id, entry));
            self.suspects.is_blocked = false;
        } else {
            self.waiting(function_id).insert(entry);
        }
    }

    /// Notes how old a function's events may get.
    pub(crate) fn set_ttl(&mut self, function_id: i64, ttl_us: i64) {
        self.waiting(function_id).ttl_us = ttl_us;
    }

    /// The event that goes next, if one is due and `admit` has room for its function; where nobody lets a function run, one
    /// that became too old. Somebody must say when it is [`done`](Line::done).
    pub(crate) fn take<P>(
        &mut self,
        now_us: i64,
        mut admit: impl FnMut(i64) -> Option<P>,
    ) -> Option<Taken<P>> {
        self.call_up(now_us);
        if let Some(taken) = self.take_suspect(now_us, &mut admit) {
            return Some(taken);
        }
        for function_id in self.order(now_us) {
            let waiting = self.waiting(function_id);
            if let Some(entry) = waiting.take_too_old(now_us) {
                return Some(Taken { function_id, entry, permit: None });
            }
            match admit(function_id) {
                Some(permit) => {
                    let entry = waiting.take_first()?;
                    return Some(Taken { function_id, entry, permit: Some(permit) });
                }
                None => waiting.is_blocked = true,
            }
        }
        None
    }

    fn take_suspect<P>(&mut self, now_us: i64, admit: &mut impl FnMut(i64) -> Option<P>) -> Option<Taken<P>> {
        if self.suspects.running.is_some() {
            return None;
        }
        let mut taken = None;
        for (key, (function_id, entry)) in &self.suspects.waiting {
            let is_too_old = self.suspect_too_old_us(*function_id, entry) <= now_us;
            let may_ask = !is_too_old && !self.suspects.is_blocked;
            let permit = if may_ask { admit(*function_id) } else { None };
            if is_too_old || permit.is_some() {
                taken = Some((*key, Taken { function_id: *function_id, entry: *entry, permit }));
                break;
            }
        }
        let Some((key, taken)) = taken else {
            self.suspects.is_blocked = !self.suspects.waiting.is_empty();
            return None;
        };
        self.suspects.waiting.remove(&key);
        self.suspects.running = Some(taken.entry.id);
        self.waiting(taken.function_id).running += 1;
        Some(taken)
    }

    /// Whether somebody is due whom nobody has refused yet.
    pub(crate) fn has_more(&self) -> bool {
        self.suspects.may_go() || self.functions.values().any(Waiting::may_go)
    }

    /// Whether somebody was passed over.
    pub(crate) fn has_blocked(&self) -> bool {
        self.suspects.is_blocked || self.functions.values().any(|waiting| waiting.is_blocked)
    }

    /// An event that was taken has ended or was put back.
    pub(crate) fn done(&mut self, function_id: i64, id: i64) {
        self.suspects.running.take_if(|running| *running == id);
        if let Some(waiting) = self.functions.get_mut(&function_id) {
            waiting.running = waiting.running.saturating_sub(1);
        }
    }

    /// There may be room again for those that were passed over.
    pub(crate) fn unblock(&mut self) {
        self.suspects.is_blocked = false;
        self.functions.values_mut().for_each(|waiting| waiting.is_blocked = false);
    }

    /// Makes all events of a function due now.
    pub(crate) fn hurry(&mut self, function_id: i64) {
        let mut mine = Vec::new();
        self.later.retain(|_, (id, entry)| {
            let is_mine = *id == function_id;
            mine.extend(is_mine.then_some(*entry));
            !is_mine
        });
        self.waiting(function_id).is_blocked = false;
        self.suspects.is_blocked = false;
        mine.into_iter().for_each(|entry| self.let_in(function_id, entry));
    }

    /// When to look again although nothing was said: the next event is due, or one that waits becomes too old.
    pub(crate) fn next_us(&self) -> Option<i64> {
        let due = self.later.keys().next().map(|(due_us, _)| *due_us);
        let too_old = self.functions.values().filter_map(Waiting::too_old_us).min();
        let suspects = self.suspects.waiting.values();
        let suspect = suspects.map(|(function_id, entry)| self.suspect_too_old_us(*function_id, entry)).min();
        due.into_iter().chain(too_old).chain(suspect.filter(|_| self.suspects.running.is_none())).min()
    }

    fn suspect_too_old_us(&self, function_id: i64, entry: &Entry) -> i64 {
        let ttl_us = self.functions.get(&function_id).map_or(i64::MAX, |waiting| waiting.ttl_us);
        entry.born_us.saturating_add(ttl_us)
    }

    /// Functions whose events wait.
    pub(crate) fn function_ids(&self) -> Vec<i64> {
        let ready = self.functions.iter().filter(|(_, waiting)| !waiting.ready.is_empty());
        let mut ids: Vec<i64> =
            ready.map(|(id, _)| *id).chain(self.later.values().map(|(id, _)| *id)).collect();
        ids.extend(self.suspects.waiting.values().map(|(id, _)| *id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn waiting(&mut self, function_id: i64) -> &mut Waiting {
        self.functions.entry(function_id).or_default()
    }

    /// Moves what has become due into the lines.
    fn call_up(&mut self, now_us: i64) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now_us) {
            let (function_id, entry) = first.remove();
            self.let_in(function_id, entry);
        }
    }

    /// The functions that may go, in the order they do.
    fn order(&self, now_us: i64) -> Vec<i64> {
        let goes = |waiting: &Waiting| waiting.may_go() || waiting.is_too_old(now_us);
        let functions = self.functions.iter().filter(|(_, waiting)| goes(waiting));
        let mut order: Vec<_> =
            functions.map(|(id, waiting)| (waiting.running, waiting.ready.keys().next(), *id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, id)| id).collect()
    }
}

impl Suspects {
    fn may_go(&self) -> bool {
        self.running.is_none() && !self.is_blocked && !self.waiting.is_empty()
    }
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting {
            ready: BTreeMap::new(),
            elders: BTreeSet::new(),
            running: 0,
            is_blocked: false,
            ttl_us: i64::MAX,
        }
    }
}

impl Waiting {
    fn may_go(&self) -> bool {
        !self.is_blocked && !self.ready.is_empty()
    }

    fn insert(&mut self, entry: Entry) {
        self.ready.insert((entry.due_us, entry.id), entry);
        if entry.due_us != entry.born_us {
            self.elders.insert((entry.born_us, entry.due_us, entry.id));
        }
    }

    fn take_first(&mut self) -> Option<Entry> {
        let key = *self.ready.keys().next()?;
        self.remove(key)
    }

    fn take_too_old(&mut self, now_us: i64) -> Option<Entry> {
        let (born_us, key) = self.oldest()?;
        if born_us.saturating_add(self.ttl_us) <= now_us { self.remove(key) } else { None }
    }

    fn remove(&mut self, key: (i64, i64)) -> Option<Entry> {
        let entry = self.ready.remove(&key)?;
        self.elders.remove(&(entry.born_us, entry.due_us, entry.id));
        self.running += 1;
        Some(entry)
    }

    /// When the oldest was born, and where it stands. Those that were never tried stand in the order of their age.
    fn oldest(&self) -> Option<(i64, (i64, i64))> {
        let first = self.ready.values().next().map(|entry| (entry.born_us, (entry.due_us, entry.id)));
        let elder = self.elders.first().map(|(born_us, due_us, id)| (*born_us, (*due_us, *id)));
        first.into_iter().chain(elder).min()
    }

    fn too_old_us(&self) -> Option<i64> {
        self.oldest().map(|(born_us, _)| born_us.saturating_add(self.ttl_us))
    }

    fn is_too_old(&self, now_us: i64) -> bool {
        self.too_old_us().is_some_and(|at_us| at_us <= now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, due_us: i64) -> Entry {
        Entry { id, born_us: due_us, due_us, bytes: 2, is_suspect: false }
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
        line.done(1, 1);
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
        assert!(line.has_blocked());
        line.unblock();
        assert!(line.has_more() && !line.has_blocked());
        assert_eq!(order(&mut line, 0, &[]), [1]);
        assert!(!line.has_more());
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
    fn who_was_tried_before_gets_too_old_behind_younger_ones() {
        let mut line = line(&[(1, 1, -9), (1, 2, -8)]);
        line.push(1, Entry { id: 3, born_us: -15, due_us: -1, bytes: 2, is_suspect: false }, 0);
        line.set_ttl(1, 20);
        assert_eq!(line.next_us(), Some(5));
        assert_eq!(line.take(4, |_| None::<()>), None);
        assert_eq!(line.take(5, |_| None::<()>).unwrap().entry.id, 3);
        assert_eq!(line.next_us(), Some(11));
    }

    #[test]
    fn who_gets_too_old_keeps_no_other_function_waiting() {
        let mut line = line(&[(1, 1, -9), (1, 2, -9), (2, 3, -1)]);
        line.set_ttl(1, 5);
        assert_eq!(order(&mut line, 0, &[]), [1, 3, 2]);
    }

    #[test]
    fn suspects_go_first_and_one_at_a_time() {
        let mut line = line(&[(1, 1, -9), (2, 4, -1)]);
        for id in [2, 3] {
            line.push(1, Entry { is_suspect: true, ..entry(id, -1) }, 0);
        }
        assert_eq!(order(&mut line, 0, &[]), [2, 4, 1], "and the others beside it");
        assert!(!line.has_more());
        line.done(1, 2);
        assert!(line.has_more());
        assert_eq!(order(&mut line, 0, &[1]), [0i64; 0]);
        assert!(line.has_blocked());
        line.unblock();
        assert_eq!(order(&mut line, 0, &[]), [3]);
    }

    #[test]
    fn events_of_a_function_that_is_gone_are_due_at_once() {
        let mut line = line(&[(1, 1, 50), (2, 2, 60)]);
        line.hurry(1);
        assert_eq!(order(&mut line, 0, &[]), [1]);
        assert_eq!(line.function_ids(), [2]);
    }
}
