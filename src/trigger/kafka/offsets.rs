//! Where partitions begin, and what is committed.
//!
//! A partition that has a committed offset goes on there. One that has none and was there when the group began begins where the
//! trigger says; one that the topic has got since then, with its first message, since all of its messages are new. Which is which
//! every commit says itself: its metadata tells how many partitions there were when the group began. So it does not matter who of
//! the group asks when, and a beginning at the latest message is a beginning once.
//!
//! Where the broker has not kept what comes next, the trigger says so, and the partition goes on with what there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::{Error, Kind, Result};
use crate::trigger::kafka::client::Client;
use crate::trigger::kafka::plan::{Plan, Start};
use crate::trigger::kafka::worker::Offsets;

/// How long a broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// For a topic, which is asked for while everybody waits: shorter.
const TOPIC_PATIENCE: Duration = Duration::from_secs(3);

/// What stands before the number in a commit's metadata.
const MARK: &str = "fnlite:";

/// Where a topic's partitions begin.
pub(super) struct Beginnings {
    topic: String,
    start: Start,
    /// How many partitions there were when the group began; 0 while that is not known.
    first: AtomicI32,
    /// Whether a broker has refused to go on where a partition was. Its end alone, as it is told, may lag behind.
    was_refused: bool,
}

impl Beginnings {
    pub(super) fn new(plan: &Plan, was_refused: bool) -> Beginnings {
        Beginnings { topic: plan.topic.clone(), start: plan.start, first: AtomicI32::new(0), was_refused }
    }

    /// How many partitions the topic has.
    pub(super) fn partitions(&self, client: &Client) -> Result<i32> {
        let asked = client.fetch_metadata(Some(&self.topic), TOPIC_PATIENCE);
        let metadata = asked.map_err(|error| {
            log::debug!("topic {}: {error}", self.topic);
            Error::new(Kind::Busy, format!("topic {}: no broker answers", self.topic))
        })?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let topic = topic.ok_or_else(|| self.wrong("the brokers do not know it"))?;
        if let Some(error) = topic.error() {
            return Err(self.wrong(RDKafkaErrorCode::from(error)));
        }
        let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
        if count == 0 { Err(self.wrong("it has no partitions")) } else { Ok(count) }
    }

    /// Those partitions with where they begin, which is committed.
    pub(super) fn of(&self, client: &Client, ids: &[i32]) -> Result<TopicPartitionList> {
        let count = self.partitions(client)?.max(ids.iter().copied().max().map_or(0, |most| most + 1));
        let committed = self.committed(client, count)?;
        let first = match self.first.load(Ordering::Relaxed) {
            0 => began_with(&committed).unwrap_or(count),
            known => known,
        };
        self.first.store(first, Ordering::Relaxed);
        let (mut begun, mut new) = (TopicPartitionList::new(), TopicPartitionList::new());
        for id in ids {
            let found = committed.iter().find(|one| one.partition == *id).and_then(|one| one.offset);
            let watermarks = client.fetch_watermarks(&self.topic, *id, PATIENCE);
            let watermarks = watermarks.map_err(|error| self.wrong(&error))?;
            let offset = match found {
                Some(offset) => self.go_on(client, *id, offset, watermarks),
                None => self.resolve(client, *id, *id >= first, watermarks)?,
            };
            self.put(&mut begun, *id, offset)?;
            if found.is_none() {
                self.put(&mut new, *id, offset)?;
            }
        }
        if new.count() > 0 {
            client.commit(&new, CommitMode::Sync).map_err(|error| self.wrong(&error))?;
        }
        Ok(begun)
    }

    fn committed(&self, client: &Client, count: i32) -> Result<Vec<Committed>> {
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&self.topic, 0, count - 1);
        let all = client.committed_offsets(all, PATIENCE).map_err(|error| self.wrong(&error))?;
        let read = |one: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            one.error().map_err(|error| self.wrong(&error))?;
            let offset = match one.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            Ok(Committed { partition: one.partition(), offset, metadata: one.metadata().to_owned() })
        };
        all.elements().iter().map(read).collect()
    }

    /// Where a partition goes on that was consumed before `offset`.
    fn go_on(&self, client: &Client, id: i32, offset: i64, (low, high): (i64, i64)) -> i64 {
        let why = if offset < low {
            format!("messages {offset} to {} of partition {id} are not there any more", low - 1)
        } else if offset > high && self.was_refused {
            format!("partition {id} has fewer messages than were consumed of it, so it begins anew")
        } else {
            return offset;
        };
        client.context().said.say(&format!("topic {}: {why}", self.topic));
        low
    }

    /// Where a partition begins that has nothing committed.
    fn resolve(&self, client: &Client, id: i32, is_new: bool, (low, high): (i64, i64)) -> Result<i64> {
        match self.start {
            _ if is_new => Ok(low),
            Start::Earliest => Ok(low),
            Start::Latest => Ok(high),
            // Where nothing came since, what comes next.
            Start::At(ms) => Ok(self.at(client, id, ms)?.unwrap_or(high)),
        }
    }

    fn at(&self, client: &Client, id: i32, ms: i64) -> Result<Option<i64>> {
        let mut times = TopicPartitionList::new();
        self.put(&mut times, id, ms)?;
        let found = client.offsets_for_times(times, PATIENCE).map_err(|error| self.wrong(&error))?;
        let found = found.elements().first().map(|one| (one.error(), one.offset()));
        match found {
            Some((Ok(()), Offset::Offset(offset))) => Ok(Some(offset)),
            Some((Err(error), _)) => Err(self.wrong(&error)),
            _ => Ok(None),
        }
    }

    /// Adds a partition, and what every commit says.
    fn put(&self, list: &mut TopicPartitionList, id: i32, offset: i64) -> Result<()> {
        let mut one = list.add_partition(&self.topic, id);
        one.set_metadata(format!("{MARK}{}", self.first.load(Ordering::Relaxed)));
        one.set_offset(Offset::Offset(offset)).map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        Error::internal(format!("topic {}: {why}", self.topic))
    }
}

/// What is committed of a partition.
#[derive(Debug)]
struct Committed {
    partition: i32,
    offset: Option<i64>,
    metadata: String,
}

/// How many partitions there were when the group began; none where nothing of ours is committed.
fn began_with(committed: &[Committed]) -> Option<i32> {
    let ours = committed.iter().filter(|one| one.offset.is_some());
    ours.filter_map(|one| one.metadata.strip_prefix(MARK)?.parse().ok()).min()
}

/// Commits by way of a client.
pub(super) struct Committer {
    pub(super) client: Arc<Client>,
    pub(super) beginnings: Arc<Beginnings>,
    /// Whether we are in the group, or commit beside it.
    pub(super) is_member: bool,
}

impl Offsets for Committer {
    fn commit(&self, partition: i32, next: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        self.beginnings.put(&mut list, partition, next)?;
        match self.client.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId)) if !self.is_member => {
                Err(self.beginnings.wrong("others are in the consumer group, which takes --kafka-share"))
            }
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId,
            )) => Err(Error::new(Kind::Busy, "the group deals its partitions out")),
            Err(error) => Err(self.beginnings.wrong(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_tell_what_the_group_began_with() {
        let one =
            |partition, offset, metadata: &str| Committed { partition, offset, metadata: metadata.into() };
        assert_eq!(began_with(&[one(0, None, ""), one(1, None, "fnlite:9")]), None);
        assert_eq!(began_with(&[one(0, Some(3), "somebody else's"), one(1, Some(4), "")]), None);
        assert_eq!(
            began_with(&[one(0, None, ""), one(1, Some(4), "fnlite:2"), one(2, Some(0), "x")]),
            Some(2)
        );
    }
}
