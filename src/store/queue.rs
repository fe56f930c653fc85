//! Orders for the recorder, and who carries them out.
//!
//! Whoever waits for a commit and finds nobody writing writes himself, together with all that is queued: handing a lone
//! order to another thread and its reply back costs two wake-ups, which is half of what a commit takes. Who finds somebody
//! writing waits for his reply. The recorder's own thread takes what is left over.
//!
//! Nothing is left behind: an order is queued before the lock is tried, and who gives the lock back looks at the queue
//! once more and calls the thread if it is not empty.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use crate::store::recorder::{self, Order, Recorder};

/// Most orders waiting.
pub(super) const ORDERS_MAX: usize = 1024;

/// The orders, and the recorder that carries them out.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Rung for the thread: there is something to do that nobody else does.
    work: Condvar,
    /// Rung for those who found the queue full.
    room: Condvar,
    /// Held by whoever writes. None once it is closed.
    recorder: Mutex<Option<Recorder>>,
}

#[derive(Debug, Default)]
struct Waiting {
    orders: VecDeque<Order>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(recorder: Recorder) -> Queue {
        let recorder = Mutex::new(Some(recorder));
        Queue { waiting: Mutex::default(), work: Condvar::new(), room: Condvar::new(), recorder }
    }

    /// Queues an order whose reply will be waited for, and carries it out here if nobody is writing. Gives it back when
    /// there is no room within `patience`, or none any more.
    pub(super) fn order_and_lead(&self, order: Order, patience: Duration) -> Result<(), Order> {
        self.put(order, patience)?;
        self.lead();
        Ok(())
    }

    /// Queues an order nobody waits for. Fails as [`order_and_lead`](Queue::order_and_lead).
    pub(super) fn order(&self, order: Order, patience: Duration) -> Result<(), Order> {
        self.put(order, patience)?;
        self.work.notify_one();
        Ok(())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().orders.len()
    }

    /// The recorder's own thread: carries out what is left over, until the queue is closed and empty.
    pub(super) fn work(&self) {
        while self.wait() {
            let mut recorder = self.recorder.lock().unwrap_or_else(|_| lost());
            while recorder
                .as_mut()
                .is_some_and(|recorder| recorder.turn(|batch, most| self.take(batch, most)))
            {}
        }
        // Its connection goes, and with it the checkpointer that watches it.
        self.recorder.lock().unwrap_or_else(|_| lost()).take();
    }

    /// No order comes any more; what is queued is still carried out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder of this lock can panic")
    }

    fn put(&self, order: Order, patience: Duration) -> Result<(), Order> {
        let full = |waiting: &mut Waiting| waiting.orders.len() >= ORDERS_MAX && !waiting.closed;
        let waited = self.room.wait_timeout_while(self.lock(), patience, full);
        let (mut waiting, timeout) = waited.expect("no holder of this lock can panic");
        if timeout.timed_out() || waiting.closed {
            return Err(order);
        }
        waiting.orders.push_back(order);
        Ok(())
    }

    /// One batch, if nobody else is writing.
    fn lead(&self) {
        let mut recorder = match self.recorder.try_lock() {
            Ok(recorder) => recorder,
            Err(TryLockError::WouldBlock) => return,
            Err(TryLockError::Poisoned(_)) => lost(),
        };
        if let Some(recorder) = recorder.as_mut() {
            recorder.turn(|batch, most| self.take(batch, most));
        }
        drop(recorder);
        if !self.lock().orders.is_empty() {
            self.work.notify_one();
        }
    }

    fn take(&self, batch: &mut Vec<Order>, most: usize) {
        let mut waiting = self.lock();
        let was_full = waiting.orders.len() >= ORDERS_MAX;
        let count = waiting.orders.len().min(most);
        batch.extend(waiting.orders.drain(..count));
        drop(waiting);
        if was_full {
            self.room.notify_all();
        }
    }

    /// Waits for work; false when there will be none.
    fn wait(&self) -> bool {
        let idle = |waiting: &mut Waiting| waiting.orders.is_empty() && !waiting.closed;
        let waiting = self.work.wait_while(self.lock(), idle).expect("no holder of this lock can panic");
        !(waiting.orders.is_empty() && waiting.closed)
    }
}

/// A recorder catches the panics of what it writes; one of its own leaves it in no known state.
fn lost() -> ! {
    recorder::give_up(&"the recorder has panicked")
}
