//! Has one consumer for each trigger that is on.
//!
//! What must stay true: a trigger's consumer has ended before its next one begins, or two would consume for it. Nobody waits for
//! one that ends: what it runs may take long.

use std::collections::HashMap;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use crate::error::Result;
use crate::model::trigger::Kind;
use crate::trigger::kafka::consumer::Consumer;
use crate::trigger::kafka::plan::Plan;
use crate::trigger::kafka::{Options, Parts};

/// How often it is looked whether a consumer has ended that was told to.
const LOOK: Duration = Duration::from_millis(100);

/// How often triggers are read that could not be read.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) struct Keeper {
    parts: Parts,
    options: Options,
    /// What is wanted, by the triggers' row ids.
    wanted: HashMap<i64, Plan>,
    running: HashMap<i64, (Plan, Consumer)>,
    /// Those that were told to stop.
    ending: Vec<(i64, Consumer)>,
}

impl Keeper {
    pub(super) fn new(parts: Parts, options: Options) -> Keeper {
        Keeper { parts, options, wanted: HashMap::new(), running: HashMap::new(), ending: Vec::new() }
    }

    /// Keeps consumers until told to stop, and waits until they have ended.
    pub(super) fn keep(mut self, stopped: &Receiver<()>) {
        let changes = self.parts.triggers.changes().listen();
        let mut is_current = false;
        loop {
            is_current = is_current || self.read();
            self.follow();
            select! {
                recv(stopped) -> _ => break,
                recv(changes) -> _ => is_current = false,
                default(if self.ending.is_empty() { AGAIN } else { LOOK }) => {}
            }
        }
        self.wanted.clear();
        self.follow();
        // All were told before anybody is waited for.
        drop(self.ending);
    }

    /// Reads what is wanted; whether that was to be had.
    fn read(&mut self) -> bool {
        let triggers = match self.parts.triggers.to_fire(Kind::Ckafka) {
            Ok(triggers) => triggers,
            Err(error) => {
                log::error!("triggers of Kafka cannot be read: {error:#}");
                return false;
            }
        };
        self.wanted.clear();
        for placed in triggers {
            match Plan::of(&placed, &self.options) {
                Ok(plan) => drop(self.wanted.insert(placed.id, plan)),
                Err(error) => self.parts.triggers.wrong(placed.id, &error.message),
            }
        }
        true
    }

    /// Ends consumers that are not wanted as they are, and starts those that are missing.
    fn follow(&mut self) {
        let wanted = &self.wanted;
        let unwanted = self.running.extract_if(|id, (plan, _)| wanted.get(id) != Some(plan));
        self.ending.extend(unwanted.map(|(id, (_, mut consumer))| {
            consumer.tell_to_stop();
            (id, consumer)
        }));
        self.ending.retain(|(_, consumer)| !consumer.is_over());
        for (id, plan) in &self.wanted {
            let is_there =
                self.running.contains_key(id) || self.ending.iter().any(|(ending, _)| ending == id);
            if !is_there && let Some(consumer) = self.begin(plan) {
                self.running.insert(*id, (plan.clone(), consumer));
            }
        }
    }

    fn begin(&self, plan: &Plan) -> Option<Consumer> {
        let started: Result<Consumer> = Consumer::start(&self.parts, plan, &self.options);
        started.inspect_err(|error| log::error!("a trigger of Kafka is not consumed yet: {error:#}")).ok()
    }
}
