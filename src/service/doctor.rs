//! What a person should know about this host: how far functions are walled in, which runtimes run and why others do not,
//! and whether there is room.

use std::sync::Arc;

use crate::instance::host::{Host, RuntimeFound};
use crate::pool::Pool;
use crate::store::Store;
use crate::store::room::Room;

/// The level at which a function sees nothing of the host that it need not see.
const LEVEL_GOOD: u8 = 3;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, in a word or two.
    pub name: String,
    /// How it was found.
    pub verdict: Verdict,
    /// A sentence, with what to do where something is missing.
    pub detail: String,
}

/// How a thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It does not work.
    Fail,
}

/// Looks at the host.
#[derive(Debug)]
pub struct Doctor {
    host: Arc<Host>,
    store: Store,
    pool: Arc<Pool>,
}

impl Doctor {
    /// A doctor for this server.
    pub fn new(host: Arc<Host>, store: Store, pool: Arc<Pool>) -> Doctor {
        Doctor { host, store, pool }
    }

    /// Everything there is to say, now. Asks interpreters that nobody needed so far, which takes seconds on a busy host.
    pub fn checks(&self) -> Vec<Check> {
        let runtimes = self.host.runtimes().into_iter().map(|found| self.runtime(found));
        [self.walls(), runtimes.collect(), self.stores()].concat()
    }

    /// What there is to say without asking an interpreter: at once.
    pub fn quick_checks(&self) -> Vec<Check> {
        [self.walls(), self.stores()].concat()
    }

    /// What is missing is a fault only where a function needs it, or where nobody can tell.
    fn runtime(&self, found: RuntimeFound) -> Check {
        match (found.program, found.note) {
            (Ok(program), None) => check(found.runtime, Verdict::Ok, program.display().to_string()),
            (Ok(program), Some(note)) => {
                check(found.runtime, Verdict::Warn, format!("{note} ({})", program.display()))
            }
            (Err(missing), _) => {
                let is_needed = self.store.needs_runtime(found.runtime).unwrap_or(true);
                check(found.runtime, if is_needed { Verdict::Fail } else { Verdict::Warn }, missing)
            }
        }
    }

    fn walls(&self) -> Vec<Check> {
        vec![self.isolation(), self.network(), self.user()]
    }

    fn stores(&self) -> Vec<Check> {
        vec![self.disk(), self.database(), self.secrets(), self.concurrency()]
    }

    fn isolation(&self) -> Check {
        let sandbox = &self.host.sandbox;
        let verdict = if sandbox.level >= LEVEL_GOOD { Verdict::Ok } else { Verdict::Warn };
        let held = match sandbox.level {
            4 | 5 => {
                "own namespaces, root view, Landlock, system-call filter and control group for every run"
            }
            3 => "own namespaces, root view, Landlock and system-call filter for every run",
            2 => {
                "Landlock and system-call filter for every run; no namespaces, so $TMPDIR takes the place of /tmp"
            }
            _ => "limits and a clean environment only; run nobody else's code here",
        };
        let groups = sandbox.groups_kind().map_or(String::new(), |kind| format!(" ({kind})"));
        let notes: String = sandbox.notes.iter().map(|note| format!("; {note}")).collect();
        check("isolation", verdict, format!("level {}: {held}{groups}{notes}", sandbox.level))
    }

    fn network(&self) -> Check {
        let policies = self.host.policies();
        let names = policies.names().join(", ");
        let detail = match (&policies.none, &policies.no_local) {
            (Ok(()), Ok(())) => format!("functions may have {names}"),
            (Ok(()), Err(why)) => format!("functions may have {names}; no-local is not to be had: {why}"),
            (Err(why), _) => format!("functions have the host's only: {why}"),
        };
        let verdict = if policies.no_local.is_ok() { Verdict::Ok } else { Verdict::Warn };
        check("network", verdict, detail)
    }

    fn user(&self) -> Check {
        let detail = match (self.host.gives_users(), rustix::process::geteuid().is_root()) {
            (true, _) => "the server is root, so every function has a user id of its own",
            (false, false) => {
                "the server is not root, so functions have its user id outside their namespaces"
            }
            (false, true) => {
                "the server is root of a namespace without other users, so functions have its user id outside theirs"
            }
        };
        check("user", Verdict::Ok, detail.to_owned())
    }

    fn disk(&self) -> Check {
        match self.store.sizes() {
            Ok(sizes) => {
                let room = self.store.room();
                let verdict = match room {
                    Room::Plenty => Verdict::Ok,
                    Room::NoLines => Verdict::Warn,
                    Room::NoEvents | Room::NoRuns => Verdict::Fail,
                };
                let (free_mb, low_mb) = (sizes.disk_free_bytes >> 20, sizes.disk_low_bytes >> 20);
                let detail =
                    format!("{free_mb} MB free beside the database, low at {low_mb} MB: {}", room.told());
                check("disk", verdict, detail)
            }
            Err(error) => check("disk", Verdict::Fail, error.message),
        }
    }

    fn database(&self) -> Check {
        match self.store.sizes() {
            Ok(sizes) => {
                let (db_mb, wal_mb) = (sizes.db_bytes >> 20, sizes.wal_bytes >> 20);
                check("database", Verdict::Ok, format!("{db_mb} MB, and {wal_mb} MB of write-ahead log"))
            }
            Err(error) => check("database", Verdict::Fail, error.message),
        }
    }

    fn secrets(&self) -> Check {
        let detail = if self.store.is_sealed() {
            "environments of functions are sealed; keep a copy of the key away from the database"
        } else {
            "environments of functions are in the database as they are; serve --seal-key FILE seals them"
        };
        check("secrets", Verdict::Ok, detail.to_owned())
    }

    fn concurrency(&self) -> Check {
        let numbers = self.pool.numbers();
        let detail = format!(
            "{} of {} MB running; {} instances parked, {} zygotes",
            numbers.used_mb, numbers.total_mb, numbers.parked, numbers.zygotes
        );
        check("concurrency", Verdict::Ok, detail)
    }
}

fn check(name: &str, verdict: Verdict, detail: String) -> Check {
    Check { name: name.to_owned(), verdict, detail }
}
