//! Is the database sound, and what is in it: what the store finds, in sentences.

use std::path::Path;

use crate::error::Result;
use crate::store::check::{self, Counts, Found, Rule};
use crate::store::{Store, words};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, a sentence each; nothing in a sound database.
    pub problems: Vec<String>,
    /// What is in it; nothing is counted in a file that SQLite finds damaged.
    pub counts: Counts,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the database of this server. Fails with `Busy` when that takes longer than a minute.
pub fn of_store(store: &Store) -> Result<Report> {
    Ok(report(store.check()?))
}

/// Checks a file that no server uses, without changing it; fails with `Conflict` when one does, and with `Invalid` when it
/// is no database of this release.
pub fn of_file(path: &Path) -> Result<Report> {
    Ok(report(check::check_file(path)?))
}

/// Forgets the words of all log lines. A server makes them anew in the background, from the newest line on.
pub fn forget_index(store: &Store) -> Result<()> {
    while store.forget_blocks()? {}
    Ok(())
}

/// The same in a file that no server uses: the next one to use it makes them anew. Fails as [`of_file`].
pub fn forget_index_of_file(path: &Path) -> Result<()> {
    words::forget_in_file(path)
}

fn report(found: Found) -> Report {
    let Found { integrity, foreign_keys, broken, counts } = found;
    let damage = integrity.into_iter().map(|words| format!("the file is damaged: {words}"));
    let broken = broken.into_iter().map(|(rule, rows)| sentence(rule, rows));
    Report { problems: damage.chain(foreign_keys).chain(broken).collect(), counts }
}

fn sentence(rule: Rule, rows: u64) -> String {
    match rule {
        Rule::QueuedWaits => format!("{rows} events are queued of which no invocation waits"),
        Rule::WaitingIsQueued => format!("{rows} invocations wait that are not queued"),
        Rule::DeadLetterIsDead => format!("{rows} dead letters are of no invocation that was given up"),
        Rule::AttemptHasInvocation => format!("{rows} attempts are of no invocation"),
        Rule::ObjectHasFile => format!("{rows} files of objects are not there, or not as long as they were"),
        Rule::WordsFindLines => {
            format!(
                "{rows} blocks of the log are indexed wrongly; `fnlite check --rebuild-index` makes them anew"
            )
        }
    }
}
