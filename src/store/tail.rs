//! Following the log: a bell that the recorder rings once lines are committed, and what is new since a line.
//!
//! The ids of lines grow in the order of commits, because one writes at a time, and never begin anew, because retention keeps
//! the newest line. So whoever asks for what follows the last id he has seen misses nothing and sees nothing twice.
//!
//! What must stay true: the recorder never waits for those who listen, and touches no more than an atomic where nobody does.
//! They keep no connection while they wait and read a few lines at a time. One that reads too slowly is not waited for
//! either: it is told how much it has missed and goes on near the end.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::Row;

use crate::base::id::RequestId;
use crate::error::Result;
use crate::model::log::Stream;
use crate::model::query::StoredLine;
use crate::search::Subject;
use crate::search::field::{Field, Value};
use crate::store::logs;
use crate::store::select::Select;
use crate::store::{Store, Tx};

/// Most lines of one look: with lines of the largest size, what a slow client can make us hold.
const LINES_AT_ONCE: usize = 200;
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
    pub lines: Vec<FoundLine>,
    /// The id up to which everything has been looked at or passed over.
    pub seen: i64,
    /// Whether that is not the newest.
    pub has_more: bool,
}

/// A line with what is known of the run that printed it.
#[derive(Clone, Debug)]
pub struct FoundLine {
    /// The line.
    pub line: StoredLine,
    /// The run; none where it has no row yet.
    pub run: Option<RunFacts>,
}

/// What can be asked of the attempt that printed a line; zeros while it goes on.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The version.
    pub qualifier: String,
    /// When it began, microseconds since the epoch.
    pub started_us: i64,
    /// How long the handler took, microseconds.
    pub duration_us: i64,
    /// Most memory it used, KB.
    pub memory_used_kb: i64,
    /// The contract's status code; 202 while it goes on.
    pub status: u16,
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

    /// The next lines after that one, not all at once.
    pub fn new_lines(&self, of: &Followed, seen: i64) -> Result<New> {
        self.read(|tx| {
            let newest = newest(tx)?;
            let (after, missed) = skip(seen, newest);
            let lines = select(of, after.saturating_add(1), newest).rows(tx, row)?;
            let seen = match lines.last() {
                Some(last) if lines.len() == LINES_AT_ONCE => last.line.id,
                _ => newest.max(after),
            };
            Ok(New { missed, lines, seen, has_more: seen < newest })
        })
    }
}

/// The id of the newest line; 0 where there is none.
pub(super) fn newest(tx: &Tx<'_>) -> Result<i64> {
    let sql = "SELECT coalesce(max(id), 0) FROM log";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Where one goes on who has seen everything up to `seen`, and what he misses.
fn skip(seen: i64, newest: i64) -> (i64, Option<(i64, i64)>) {
    if newest.saturating_sub(seen) <= BEHIND_LINES_MAX {
        return (seen, None);
    }
    let after = newest - KEPT_LINES;
    (after, Some((after - seen, after)))
}

/// The record tells of one attempt; the ones before it have rows of their own, and one that is neither goes on.
fn select(of: &Followed, first: i64, last: i64) -> Select {
    let mut select = Select::between(
        "SELECT l.id, l.invocation_id, i.request_id, f.namespace, f.name, l.ts_us, l.stream, l.level, l.message,
             l.retry_num, i.qualifier,
             coalesce(a.started_us, iif(i.retry_num = l.retry_num, i.started_us, 0)),
             coalesce(a.duration_us, iif(i.retry_num = l.retry_num, i.duration_us, 0)),
             coalesce(a.memory_used_kb, iif(i.retry_num = l.retry_num, i.memory_used_kb, 0)),
             coalesce(a.status, iif(i.retry_num = l.retry_num, i.status, 202))
         FROM log l CROSS JOIN function f ON f.id = l.function_id LEFT JOIN invocation i ON i.id = l.invocation_id
         LEFT JOIN attempt a ON a.invocation_id = l.invocation_id AND a.retry_num = l.retry_num
         WHERE l.id BETWEEN ? AND ?",
        first,
        last,
    );
    select.bind_some(" AND l.invocation_id = ?", of.run_id);
    match (of.run_id, of.function_id) {
        (None, Some(function_id)) => select.bind(" AND l.function_id = ?", function_id),
        (Some(_), function_id) => select.bind_some(" AND +l.function_id = ?", function_id),
        (None, None) => select.bind_some(" AND f.namespace = ?", of.namespace.clone()),
    }
    select.bind(" ORDER BY l.id LIMIT ?", i64::try_from(LINES_AT_ONCE).unwrap_or(i64::MAX));
    select
}

fn row(row: &Row<'_>) -> rusqlite::Result<FoundLine> {
    let qualifier: Option<String> = row.get(10)?;
    let run = qualifier.map(|qualifier| facts(row, qualifier)).transpose()?;
    Ok(FoundLine { line: logs::row(row)?, run })
}

fn facts(row: &Row<'_>, qualifier: String) -> rusqlite::Result<RunFacts> {
    let (started_us, duration_us, memory_used_kb) = (row.get(11)?, row.get(12)?, row.get(13)?);
    Ok(RunFacts { qualifier, started_us, duration_us, memory_used_kb, status: row.get(14)? })
}

impl Subject for FoundLine {
    fn message(&self) -> &str {
        &self.line.line.message
    }

    fn field(&self, field: Field) -> Value<'_> {
        let StoredLine { namespace, function, retry_num, line, .. } = &self.line;
        match field {
            Field::FunctionName => Value::Text(function),
            Field::Namespace => Value::Text(namespace),
            Field::RequestId => Value::Text(self.line.request_id.as_ref().map_or("", RequestId::as_str)),
            // Nothing is called by an alias yet.
            Field::Alias => Value::Text(""),
            Field::LogTime => Value::Number(whole(line.ts_us / 1000)),
            Field::Level => Value::Text(line.level.as_str()),
            Field::Message => Value::Text(&line.message),
            Field::Type if line.stream == Stream::Platform => Value::Text("Platform"),
            Field::Type => Value::Text("Custom"),
            Field::RetryNum => Value::Number((*retry_num).into()),
            Field::Qualifier => Value::Text(self.run.as_ref().map_or("", |run| run.qualifier.as_str())),
            Field::StartTime => self.number(|run| whole(run.started_us / 1000), 0.0),
            Field::Duration => self.number(|run| whole(run.duration_us) / 1000.0, 0.0),
            Field::MemUsage => self.number(|run| whole(run.memory_used_kb) / 1024.0, 0.0),
            Field::StatusCode => self.number(|run| run.status.into(), 202.0),
        }
    }
}

impl FoundLine {
    fn number(&self, of: impl FnOnce(&RunFacts) -> f64, unknown: f64) -> Value<'_> {
        Value::Number(self.run.as_ref().map_or(unknown, of))
    }
}

/// Times and sizes are far below what a double holds exactly.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn whole(number: i64) -> f64 {
    number as f64
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
