//! Dead letters: events that were given up, kept until somebody replays or drops them.

use std::sync::Arc;

use crate::base::id::RequestId;
use crate::error::{Error, Result};
use crate::model::event::{DeadLetter, Death};
use crate::model::function::{FunctionName, Namespace};
use crate::model::invocation::Record;
use crate::model::query::{DeadLetterQuery, Page, PageLimit};
use crate::service::events::Events;
use crate::service::logs::function_id;
use crate::store::Store;

/// Which dead letters are asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The namespace asked in.
    pub namespace: Namespace,
    /// Of that function only.
    pub function: Option<FunctionName>,
    /// Of events accepted then or later, microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Of events accepted then or earlier, microseconds since the epoch.
    pub until_us: Option<i64>,
    /// The cursor of the page before.
    pub before: Option<i64>,
    /// Page size.
    pub limit: PageLimit,
}

/// The dead letters of all functions.
#[derive(Debug)]
pub struct DeadLetters {
    store: Store,
    events: Arc<Events>,
}

impl DeadLetters {
    /// Those in `store`, replayed into `events`.
    pub fn new(store: Store, events: Arc<Events>) -> DeadLetters {
        DeadLetters { store, events }
    }

    /// A page of them, the newest event first, without event and result. Fails with `NotFound` when the function was never
    /// there.
    pub fn list(&self, asked: &Asked) -> Result<Page<DeadLetter, i64>> {
        self.store.dead_letters(&DeadLetterQuery {
            function_id: function_id(&self.store, &asked.namespace, asked.function.as_ref())?,
            namespace: Some(asked.namespace.to_string()),
            since_us: asked.since_us,
            until_us: asked.until_us,
            before: asked.before,
            limit: asked.limit,
        })
    }

    /// One of them, with event and result; fails with `NotFound`.
    pub fn find(&self, request_id: &RequestId) -> Result<DeadLetter> {
        let found = self.store.dead_letter(request_id)?;
        found.ok_or_else(|| Error::not_found(format!("there is no dead letter {request_id}")))
    }

    /// When and why that invocation's event was given up, if its dead letter is still there.
    pub fn death(&self, record: &Record) -> Result<Option<Death>> {
        self.store.death(record.id)
    }

    /// Runs its event again, as a new invocation that takes its place; the new request id. Fails with `NotFound`, also when
    /// the function is not there any more, and with `Full` when the queue is.
    pub fn replay(&self, request_id: &RequestId) -> Result<RequestId> {
        self.events.replay(&self.find(request_id)?.record)
    }

    /// Lets it go; its record stays. Fails with `NotFound`.
    pub fn drop(&self, request_id: &RequestId) -> Result<()> {
        self.store.drop_dead_letter(request_id)
    }
}
