//! Fetches messages and puts them on the board.
//!
//! What must stay true: it comes by at least every few hundred milliseconds, whatever the function does, since all waits of the board
//! are its own; and it keeps what it fetches within bounds, by waiting a little for a partition that is full and then laying that
//! one aside.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::error::{Error, Result};
use crate::trigger::kafka::batch::Message;
use crate::trigger::kafka::board::Board;
use crate::trigger::kafka::client::{self, Client};
use crate::trigger::kafka::consumer::Life;
use crate::trigger::kafka::crew::Crew;
use crate::trigger::kafka::event::{self, Fetched};
use crate::trigger::kafka::offsets::Beginnings;

/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(200);

/// And how often while a partition is laid aside, which may have room again.
const LOOK_ASIDE: Duration = Duration::from_millis(50);

/// How long all partitions wait for one that is full before it is laid aside, which throws away what was fetched of it: no function
/// that takes longer for a batch minds that.
const FULL_FOR: Duration = Duration::from_millis(100);

/// Messages taken in one go.
const GO: usize = 200;

/// Fetches messages and puts them on the board.
pub(super) struct Poller<'a> {
    pub(super) life: &'a Life,
    pub(super) board: &'a Board,
    pub(super) client: &'a Client,
    pub(super) beginnings: &'a Beginnings,
}

impl Poller<'_> {
    /// Polls until told to stop. Fails when another client is needed.
    pub(super) fn poll(&self, crew: &mut Crew<'_>) -> Result<()> {
        let mut look = if self.life.options.share { self.join_group()? } else { self.take_all(None)? };
        let mut full_since = None;
        while !self.life.is_stopped() {
            if let Some(error) = self.client.context().failure() {
                return Err(error);
            }
            let now = self.life.parts.clock.now();
            let next = self.wait(self.board.tick(now), now);
            crew.hire(self.board.len())?;
            if self.is_held_up(&mut full_since, now, next)? {
                continue;
            }
            self.fetch(next)?;
            if let Some(last) = look.filter(|look| now >= look.next) {
                look = Some(self.look_again(last));
            }
        }
        Ok(())
    }

    /// How long there is nothing to do, if nothing comes.
    fn wait(&self, due: Option<Instant>, now: Instant) -> Duration {
        let look = if self.board.has_paused() { LOOK_ASIDE } else { LOOK };
        due.map_or(look, |at| at.saturating_duration_since(now)).min(look)
    }

    fn join_group(&self) -> Result<Option<Look>> {
        let subscribed = self.client.subscribe(&[&self.life.plan.topic]);
        subscribed
            .map(|()| None)
            .map_err(|error| Error::internal(format!("the group cannot be joined: {error}")))
    }

    /// Takes all partitions that are not taken yet.
    fn take_all(&self, before: Option<Look>) -> Result<Option<Look>> {
        let count = self.beginnings.partitions(self.client)?;
        let known = before.map_or(0, |look| look.partitions);
        if count > known {
            let ids: Vec<i32> = (known..count).collect();
            let begun = self.beginnings.of(self.client, &ids)?;
            self.board.add(ids.into_iter());
            let taken = self.client.incremental_assign(&begun);
            taken.map_err(|error| Error::internal(format!("partitions cannot be taken: {error}")))?;
        }
        let next = self.life.parts.clock.now() + client::look_every(&self.life.options);
        Ok(Some(Look { partitions: count.max(known), next }))
    }

    /// Looks whether the topic has got more partitions. Where that is not to be had now, those that are there go on.
    fn look_again(&self, last: Look) -> Look {
        match self.take_all(Some(last)) {
            Ok(Some(look)) => look,
            Ok(None) => last,
            Err(error) => {
                self.life.said.say(&error.message);
                Look { next: self.life.parts.clock.now() + client::look_every(&self.life.options), ..last }
            }
        }
    }

    /// Waits where a partition is full, or lays it aside, and takes up again those that are not; whether there was somebody to wait
    /// for.
    fn is_held_up(&self, since: &mut Option<Instant>, now: Instant, most: Duration) -> Result<bool> {
        let resumed = self.board.resumed();
        if !resumed.is_empty() {
            self.client.resume(&self.list(&resumed)).map_err(|error| Error::internal(error.to_string()))?;
        }
        let full = self.board.full();
        if full.is_empty() {
            *since = None;
            return Ok(false);
        }
        if now < *since.get_or_insert(now) + FULL_FOR {
            self.board.wait_room(most);
            return Ok(true);
        }
        *since = None;
        self.client.pause(&self.list(&full)).map_err(|error| Error::internal(error.to_string()))?;
        self.board.pause(&full);
        Ok(false)
    }

    /// Takes in what has come, after a wait of at most `patience` for the first.
    fn fetch(&self, patience: Duration) -> Result<()> {
        let mut patience = patience;
        for _ in 0..GO {
            match self.client.poll(patience) {
                None => return Ok(()),
                Some(Err(error)) => return self.trouble(error),
                Some(Ok(message)) if self.take_in(&message) => return Ok(()),
                Some(Ok(_)) => patience = Duration::ZERO,
            }
        }
        Ok(())
    }

    /// Puts a message on the board; whether its partition is full now.
    fn take_in(&self, message: &BorrowedMessage<'_>) -> bool {
        let (partition, offset) = (message.partition(), message.offset());
        let fetched = Fetched {
            topic: &self.life.plan.topic,
            partition,
            offset,
            key: message.key(),
            body: message.payload(),
        };
        let record = event::record(&fetched, self.life.plan.is_base64);
        self.board.push(partition, Message { offset, record, at: self.life.parts.clock.now() })
    }

    /// What librdkafka is not content with. Mostly it goes on by itself.
    fn trouble(&self, error: KafkaError) -> Result<()> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => Err(Error::internal(error.to_string())),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                self.life.was_refused.store(true, Ordering::Relaxed);
                Err(Error::internal(format!(
                    "topic {}: a partition cannot go on where it was",
                    self.life.plan.topic
                )))
            }
            // The reason was told already, better than this.
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve,
            ) => Ok(()),
            error => {
                self.life.said.say(&format!("topic {}: {error}", self.life.plan.topic));
                Ok(())
            }
        }
    }

    fn list(&self, ids: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for id in ids {
            list.add_partition(&self.life.plan.topic, *id);
        }
        list
    }
}

/// How many partitions are known, and when the topic is looked at again.
#[derive(Clone, Copy)]
struct Look {
    partitions: i32,
    next: Instant,
}
