//! Following the log: a bell that the recorder rings once lines are committed, and what is new since a line.
//!
//! The ids of lines grow in the order of commits, because one writes at a time, and never begin anew, because retention keeps
//! the newest line. So whoever asks for what follows the last id he has seen misses nothing and sees nothing twice.
//!
//! What must stay true: the recorder never waits for those who listen, and touches no more than an atomic where nobody does.
//! They keep no connection while they wait and read a few lines at a time. One that reads too slowly is not waited for
//! either: it is told how much it has missed and goes on near the end.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::error::Result;
use crate::model::query::{LogQuery, Order as Direction, PageLimit, StoredLine};
use crate::search::Query;
use crate::store::search::{Over, Search};
use crate::store::{Store, Tx, words};

/// Most lines of one look: with lines of the largest size, what a slow client can make us hold.
const LINES_AT_ONCE: usize = 200;
/// Longest look; it goes on where it was, and others read meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// Who is further behind than that many lines misses some.
pub const BEHIND_LINES_MAX: i64 = 10_000;
/// How many lines before the newest one he goes on then: far enough from the bound that he does not miss some at once again.
const KEPT_LINES: i64 = 1000;

/// What is rung when lines were committed.
#[derive(Debug)]
pub(super) struct Bell {
    /// The newest line's id.
    newest: AtomicI64,
    listening: AtomicUsize,
    closed: Mutex<bool>,
    rung: Condvar,
}

/// One who listens, until it is dropped.
#[derive(Debug)]
pub struct Listener(Arc<Bell>);

/// What a listener has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There are newer lines.
    Lines,
    /// There are none yet.
    Nothing,
    /// The bell is not rung any more.
    End,
}

/// Whose lines are followed.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Of that run only.
    pub run_id: Option<i64>,
    /// Of that function only.
    pub function_id: Option<i64>,
    /// Of that namespace only; the two above are narrower.
    pub namespace: Option<String>,
}

/// What is new.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// How many lines were passed over, of whatever function, and the id of the last one; none where all were looked at.
    pub missed: Option<(i64, i64)>,
    /// The lines, oldest first.
    pub lines: Vec<StoredLine>,
    /// The id up to which everything has been looked at or passed over.
    pub seen: i64,
    /// Whether that is not the newest.
    pub has_more: bool,
}

impl Bell {
    pub(super) fn new(newest: i64) -> Bell {
        let (newest, listening) = (AtomicI64::new(newest), AtomicUsize::new(0));
        Bell { newest, listening, closed: Mutex::new(false), rung: Condvar::new() }
    }

    /// Tells that the line of that id is committed. Sequentially consistent, here and in `wait`: either the listener that
    /// comes now sees this line, or it is seen here.
    pub(super) fn ring(&self, newest: i64) {
        let before = self.newest.swap(newest, Ordering::SeqCst);
        if before != newest && self.listening.load(Ordering::SeqCst) > 0 {
            // Who has looked and found nothing holds the lock until he sleeps.
            drop(self.lock());
            self.rung.notify_all();
        }
    }

    pub(super) fn close(&self) {
        *self.lock() = true;
        self.rung.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.closed.lock().expect("no holder of this lock can panic")
    }
}

impl Listener {
    fn new(bell: &Arc<Bell>) -> Listener {
        bell.listening.fetch_add(1, Ordering::SeqCst);
        Listener(Arc::clone(bell))
    }

    /// Waits for a line newer than that one, at most so long.
    pub fn wait(&self, seen: i64, patience: Duration) -> Heard {
        let is_newer = || self.0.newest.load(Ordering::SeqCst) > seen;
        let idle = |closed: &mut bool| !*closed && !is_newer();
        let waited = self.0.rung.wait_timeout_while(self.0.lock(), patience, idle);
        let (closed, _) = waited.expect("no holder of this lock can panic");
        match (*closed, is_newer()) {
            (true, _) => Heard::End,
            (false, true) => Heard::Lines,
            (false, false) => Heard::Nothing,
        }
    }

    /// How many listen, this one among them.
    pub fn crowd(&self) -> u32 {
        u32::try_from(self.0.listening.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.listening.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Store {
    /// Listens for new lines.
    pub fn listen(&self) -> Listener {
        Listener::new(self.bell())
    }

    /// Whoever listens, now or later, is told that nothing comes any more.
    pub fn end_listening(&self) {
        self.bell().close();
    }

    /// The id of the newest line; 0 where there is none.
    pub fn newest_line(&self) -> Result<i64> {
        self.read(newest)
    }

    /// The next lines after that one that match, not all at once.
    pub fn new_lines(&self, of: &Followed, query: Option<&Query>, seen: i64) -> Result<New> {
        let newest = self.newest_line()?;
        let (after, missed) = skip(seen, newest);
        let of = LogQuery {
            run_id: of.run_id,
            function_id: of.function_id,
            namespace: of.namespace.clone(),
            since_us: None,
            until_us: None,
            order: Direction::Ascending,
            after: Some(after),
            limit: PageLimit::default(),
        };
        let deadline = self.now() + LOOK;
        let search = Search { of: &of, query, deadline, looks_at_much: false };
        let mut lines = Vec::new();
        let over = self.search(&search, |found| {
            lines.push(found.stored()?);
            Ok(if lines.len() == LINES_AT_ONCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let last = lines.last().map_or(after, |line| line.id);
        let seen = match over {
            Over::End => newest.max(last),
            Over::Stopped => last,
            Over::Late(at) => at,
        };
        Ok(New { missed, lines, seen, has_more: seen < newest })
    }
}

/// The id of the newest line; 0 where there is none.
pub(super) fn newest(tx: &Tx<'_>) -> Result<i64> {
    Ok(words::ends(tx)?.map_or(0, |(_, newest)| newest))
}

/// Where one goes on who has seen everything up to `seen`, and what he misses.
fn skip(seen: i64, newest: i64) -> (i64, Option<(i64, i64)>) {
    if newest.saturating_sub(seen) <= BEHIND_LINES_MAX {
        return (seen, None);
    }
    let after = newest - KEPT_LINES;
    (after, Some((after - seen, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_far_behind_goes_on_near_the_end() {
        for (seen, newest, expected) in [
            (0, 0, (0, None)),
            (7, 7, (7, None)),
            (0, BEHIND_LINES_MAX, (0, None)),
            (0, BEHIND_LINES_MAX + 1, (9001, Some((9001, 9001)))),
            (5000, 50_000, (49_000, Some((44_000, 49_000)))),
            // A newer file than ours.
            (9, 3, (9, None)),
        ] {
            assert_eq!(skip(seen, newest), expected, "{seen} of {newest}");
        }
    }

    #[test]
    fn a_ring_reaches_those_who_listen_before_and_after_it() {
        let bell = Arc::new(Bell::new(3));
        let listener = Listener::new(&bell);
        assert_eq!(listener.wait(2, Duration::ZERO), Heard::Lines, "before it came");
        assert_eq!(listener.wait(3, Duration::ZERO), Heard::Nothing);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| listener.wait(3, Duration::from_secs(60)));
            bell.ring(4);
            assert_eq!(waiting.join().unwrap(), Heard::Lines);
            let waiting = scope.spawn(|| listener.wait(4, Duration::from_secs(60)));
            bell.close();
            assert_eq!(waiting.join().unwrap(), Heard::End);
        });
        assert_eq!(Listener::new(&bell).wait(0, Duration::from_secs(60)), Heard::End, "also later");
        assert_eq!(listener.crowd(), 1);
    }
}
