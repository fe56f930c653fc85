//! The consumer of one trigger: a thread that polls (`poller`), and the workers that it has hired (`crew`).
//!
//! What must stay true: a client that is of no use any more is made anew, after its workers have gone; when we stop, what runs may
//! end and is committed, and the rest is fetched again by whoever comes next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use crate::base::thread;
use crate::error::{Error, Kind, Result};
use crate::trigger::kafka::batch::Rules;
use crate::trigger::kafka::board::Board;
use crate::trigger::kafka::client::{self, Hooks};
use crate::trigger::kafka::crew::Crew;
use crate::trigger::kafka::offsets::Beginnings;
use crate::trigger::kafka::plan::Plan;
use crate::trigger::kafka::poller::Poller;
use crate::trigger::kafka::worker::pause;
use crate::trigger::kafka::{Options, Parts};

/// The same complaint again only after that.
const SAME_AGAIN: Duration = Duration::from_secs(10);

/// Pauses between two clients grow for so many: brokers that come back are not to be waited for long.
const TRIES_MAX: u32 = 4;

/// A client that lasted so long did not fail at once.
const LASTED: Duration = Duration::from_secs(60);

/// A running consumer.
pub(super) struct Consumer {
    /// Nothing is ever sent: closing it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    pub(super) fn start(parts: &Parts, plan: &Plan, options: &Options) -> Result<Consumer> {
        let (stop, stopped) = bounded(0);
        let said = Said::new(parts, plan);
        let (parts, plan, options) = (parts.clone(), plan.clone(), options.clone());
        let was_refused = AtomicBool::new(false);
        let life = Life { parts, plan, options, stopped, said: Arc::new(said), was_refused };
        let thread = thread::spawn(&format!("kafka-{}", life.plan.trigger_id), move || life.live())?;
        Ok(Consumer { stop: Some(stop), thread: Some(thread) })
    }

    /// No batch is begun any more.
    pub(super) fn tell_to_stop(&mut self) {
        self.stop.take();
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.tell_to_stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("a thread that consumed had panicked");
        }
    }
}

/// What a trigger says is wrong with it, not more often than anybody wants to hear.
pub(super) struct Said {
    parts: Parts,
    trigger_id: i64,
    /// Texts, and when they were said.
    lately: Mutex<Vec<(String, Instant)>>,
}

impl Said {
    fn new(parts: &Parts, plan: &Plan) -> Said {
        Said { parts: parts.clone(), trigger_id: plan.trigger_id, lately: Mutex::default() }
    }

    pub(super) fn say(&self, text: &str) {
        let now = self.parts.clock.now();
        let mut lately = self.lately.lock().expect("no holder of this lock can panic");
        lately.retain(|(_, at)| now < *at + SAME_AGAIN);
        if lately.iter().any(|(said, _)| said == text) {
            return;
        }
        lately.push((text.to_owned(), now));
        drop(lately);
        log::info!("trigger {}: {text}", self.trigger_id);
        self.parts.triggers.wrong(self.trigger_id, text);
    }

    /// Whether anything was said lately.
    fn has_said(&self) -> bool {
        let now = self.parts.clock.now();
        let lately = self.lately.lock().expect("no holder of this lock can panic");
        lately.iter().any(|(_, at)| now < *at + SAME_AGAIN)
    }
}

/// A consumer's thread.
pub(super) struct Life {
    pub(super) parts: Parts,
    pub(super) plan: Plan,
    pub(super) options: Options,
    pub(super) said: Arc<Said>,
    /// Whether a broker has refused to go on where a partition was.
    pub(super) was_refused: AtomicBool,
    stopped: Receiver<()>,
}

impl Life {
    /// Consumes until told to stop, with a new client whenever one has failed.
    fn live(&self) {
        let mut tries = 0;
        while !self.is_stopped() {
            let begun = self.parts.clock.now();
            match self.consume() {
                Ok(()) => return,
                // The brokers' own reason was told already.
                Err(error) if error.kind == Kind::Busy && self.said.has_said() => {}
                Err(error) => self.said.say(&error.message),
            }
            let has_lasted = self.parts.clock.now() > begun + LASTED;
            tries = if has_lasted { 1 } else { tries + 1 };
            let waited = self.stopped.recv_timeout(pause(tries.min(TRIES_MAX), self.options.pace));
            if waited == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// The life of one client. Fails when another one is needed.
    fn consume(&self) -> Result<()> {
        let Plan { messages_max, wait, .. } = self.plan;
        let board = Arc::new(Board::new(Rules { messages_max, wait }));
        let beginnings =
            Arc::new(Beginnings::new(&self.plan, self.was_refused.swap(false, Ordering::Relaxed)));
        let hooks = Hooks::new(Arc::clone(&board), Arc::clone(&self.said), Arc::clone(&beginnings));
        let client = Arc::new(client::make(&self.plan, &self.options, hooks)?);
        let mut crew =
            Crew { life: self, board: &board, client: &client, beginnings: &beginnings, hired: Vec::new() };
        let poller = Poller { life: self, board: &board, client: &client, beginnings: &beginnings };
        let polled = catch_unwind(AssertUnwindSafe(|| poller.poll(&mut crew)));
        board.stop();
        crew.dismiss();
        polled.unwrap_or_else(|_| Err(Error::internal("a fault of fnlite itself")))
    }
}
