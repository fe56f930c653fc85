//! The pool's own thread: ends what has run, parks the next, and lets go what is not wanted any more. Nothing a caller waits
//! for happens here.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::base::thread;
use crate::error::Result;
use crate::instance::Instance;
use crate::pool::Shared;
use crate::pool::slot::{Leftovers, Slot};

/// Orders that may wait; beyond it the one who orders does the work itself. Each holds some five descriptors, and with many
/// functions the keeper falls behind: with thousands of orders there were none left for the API.
pub(crate) const ORDERS_MAX: usize = 64;

/// How long the dead may wait to be reaped after the last kill.
const REAP_EVERY: Duration = Duration::from_millis(50);

/// How long after it was parked an Instance is met, if nothing else is to be done; most have announced themselves by then.
const MEET_AFTER: Duration = Duration::from_millis(2);

/// How often what is parked is looked over.
const COOL_EVERY: Duration = Duration::from_secs(1);

/// Most zygotes at once; the least recently used go first. At 6 to 10 MB each this is about half a gigabyte at most.
const ZYGOTES_MAX: usize = 64;

/// A run is over and its caller has its answer.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) slot: Arc<Slot>,
    pub(crate) instance: Instance,
}

/// Starts the thread; it ends when all senders are gone.
pub(crate) fn start(shared: Arc<Shared>, orders: Receiver<Done>) -> Result<JoinHandle<()>> {
    thread::spawn("pool-keeper", move || {
        Keeper { shared, reviver: None, killed: false, unmet: None }.keep(&orders)
    })
}

/// Hands an order over, or carries it out here if the keeper is far behind.
pub(crate) fn order(orders: &Sender<Done>, shared: &Shared, done: Done) {
    if let Err(refused) = orders.try_send(done) {
        carry_out(shared, refused.into_inner());
    }
}

fn carry_out(shared: &Shared, done: Done) {
    done.instance.teach();
    let zygote = done.instance.retire();
    done.slot.top_up(shared.means());
    // Most have been told by the order for another.
    zygote.inspect(|zygote| zygote.tell_answered());
}

/// How long after a failure what should stay parked is loaded again.
const REVIVE_AGAIN: Duration = Duration::from_secs(30);

struct Keeper {
    shared: Arc<Shared>,
    /// Loads what has died and should stay parked. Loading takes as long as the function's code likes, so it is not done here.
    reviver: Option<JoinHandle<()>>,
    /// Something was killed since the last reaping.
    killed: bool,
    /// Where the last order parked some, until they are met.
    unmet: Option<Arc<Slot>>,
}

impl Keeper {
    fn keep(mut self, orders: &Receiver<Done>) {
        let mut cooled = self.shared.clock.now();
        loop {
            let patience = match self.unmet {
                Some(_) => MEET_AFTER,
                None if self.killed => REAP_EVERY,
                None => COOL_EVERY,
            };
            match orders.recv_timeout(patience) {
                Ok(done) => {
                    self.killed = true;
                    self.unmet = Some(Arc::clone(&done.slot));
                    carry_out(&self.shared, done);
                    // Under load orders come faster than the time-out; the chores below must still be done.
                }
                Err(RecvTimeoutError::Timeout) => match self.unmet.take() {
                    Some(slot) => slot.meet(),
                    None => self.reap(),
                },
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.shared.clock.now();
            if now - cooled >= COOL_EVERY {
                cooled = now;
                // Before it kills some more: those of the last time are dead by now.
                self.reap();
                self.cool();
            }
        }
        // Whoever ends the pool has stopped what loads.
        if self.reviver.is_some_and(|reviver| reviver.join().is_err()) {
            log::error!("the pool's reviver had panicked");
        }
    }

    fn reap(&mut self) {
        self.killed = false;
        self.shared.slots().iter().for_each(|slot| slot.reap());
    }

    fn cool(&mut self) {
        let mut leftovers = Leftovers::default();
        for slot in self.shared.slots() {
            if slot.cool(&*self.shared.clock, &mut leftovers) {
                self.shared.forget_slot(&slot);
            }
        }
        self.make_room(&mut leftovers);
        drop(leftovers);
        for slot in self.shared.slots() {
            if slot.stays() {
                slot.top_up(self.shared.means());
            }
        }
        self.revive();
    }

    fn revive(&mut self) {
        if self.reviver.as_ref().is_some_and(|reviver| !reviver.is_finished()) {
            return;
        }
        let now = self.shared.clock.now();
        let Some(slot) = self.shared.slots().into_iter().find(|slot| slot.is_lost(now)) else { return };
        let shared = Arc::clone(&self.shared);
        let revive = move || slot.revive(shared.means(), shared.clock.now() + REVIVE_AGAIN);
        match thread::spawn("pool-reviver", revive) {
            Ok(reviver) => self.reviver = Some(reviver),
            Err(error) => log::warn!("{error:#}"),
        }
    }

    fn make_room(&self, leftovers: &mut Leftovers) {
        let mut loaded: Vec<_> = self.shared.slots().into_iter().map(|slot| (slot.look(), slot)).collect();
        // What stays is not counted: it would be loaded again at once.
        loaded.retain(|(look, slot)| look.zygotes > 0 && !slot.stays());
        if loaded.len() > ZYGOTES_MAX {
            loaded.sort_by_key(|(look, _)| look.last_used);
            let over = loaded.len() - ZYGOTES_MAX;
            loaded[..over].iter().for_each(|(_, slot)| slot.unload(leftovers));
        }
    }
}
