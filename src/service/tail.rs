//! The log as it grows: what was committed since a line, matched against a query.
//!
//! A tail looks whenever the store's bell rings and reads on from the line it has seen last. It takes its rests, the longer
//! the more tails there are, so that all of them together cost the same whatever is written; what comes in a rest is read
//! together after it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::id::RequestId;
use crate::error::{Kind, Result};
use crate::model::function::{FunctionName, Namespace};
use crate::model::query::StoredLine;
use crate::search::Query;
use crate::service::logs::{Logs, function_id};
use crate::store::tail::{Followed, Heard, Listener, New};

/// Between two looks of a tail, for each tail there is: 500 looks a second at most in all. With 64 tails, as many as the front
/// serves, that is an eighth of a second.
const REST: Duration = Duration::from_millis(2);

/// Which lines a caller wants to hear of, by names.
#[derive(Clone, Debug)]
pub struct TailAsked {
    /// The namespace; does not matter where a run is named.
    pub namespace: Namespace,
    /// Of that run only.
    pub request_id: Option<RequestId>,
    /// Of that function only.
    pub function: Option<FunctionName>,
    /// Lines that match only; nothing means all.
    pub query: Option<Arc<Query>>,
    /// The id of the last line the caller has; none means what comes from now on.
    pub after: Option<i64>,
}

/// A log that is followed.
#[derive(Debug)]
pub struct Tail {
    logs: Logs,
    listener: Listener,
    of: Followed,
    query: Option<Arc<Query>>,
    seen: i64,
    /// Whether the last look found everything there was.
    is_even: bool,
}

/// What one look has found; often nothing.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// How many lines, of whatever function, were passed over because they came too fast for this reader, and the id of
    /// the last one. They come before those found.
    pub missed: Option<(i64, i64)>,
    /// The lines that match, oldest first.
    pub lines: Vec<StoredLine>,
}

impl Logs {
    /// Follows the log. Fails with `NotFound` when the run or the function was never there.
    pub fn tail(&self, asked: TailAsked) -> Result<Tail> {
        let of = Followed {
            run_id: asked.request_id.as_ref().map(|id| self.known_run_id(id)).transpose()?,
            function_id: function_id(&self.store, &asked.namespace, asked.function.as_ref())?,
            namespace: Some(asked.namespace.to_string()),
        };
        let newest = self.store.newest_line()?;
        // An id that is not there yet is one of another database.
        let seen = asked.after.filter(|after| *after <= newest).unwrap_or(newest);
        let listener = self.store.listen();
        Ok(Tail { logs: self.clone(), listener, of, query: asked.query, seen, is_even: false })
    }
}

impl Tail {
    /// The id of the line up to which everything has been looked at.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// Waits for lines, at most about so long, and looks at a few. None once the server stops.
    pub fn next(&mut self, patience: Duration) -> Result<Option<News>> {
        if self.is_even {
            std::thread::sleep((REST * self.listener.crowd()).min(patience));
        }
        match self.listener.wait(self.seen, patience) {
            Heard::End => Ok(None),
            Heard::Nothing => Ok(Some(News::default())),
            Heard::Lines => self.look().map(Some),
        }
    }

    fn look(&mut self) -> Result<News> {
        let mut new = match self.logs.store.new_lines(&self.of, self.query.as_deref(), self.seen) {
            Ok(new) => new,
            // Others read just now: the lines stay where they are until the next look.
            Err(error) if error.kind == Kind::Busy => New { seen: self.seen, ..New::default() },
            Err(error) => return Err(error),
        };
        (self.seen, self.is_even) = (new.seen, !new.has_more);
        self.logs.name_runs(new.lines.iter_mut());
        Ok(News { missed: new.missed, lines: new.lines })
    }
}
