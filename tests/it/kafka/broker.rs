//! librdkafka's mock cluster, which is real brokers on real ports as far as the server can see, and who writes to it.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::wait;

/// How long the brokers may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster, and a producer.
pub(super) struct Broker {
    pub(super) cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Broker {
    /// One broker with that topic.
    pub(super) fn new(topic: &str, partitions: i32) -> Broker {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        let producer = producer(&cluster.bootstrap_servers());
        Broker { cluster, producer }
    }

    pub(super) fn servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Writes messages to a partition, and waits until they are there.
    pub(super) fn write<'a>(&self, topic: &str, partition: i32, bodies: impl IntoIterator<Item = &'a str>) {
        for body in bodies {
            self.send(BaseRecord::to(topic).partition(partition).key("k").payload(body));
        }
        self.flush();
    }

    /// Sends one that [`flush`](Broker::flush) waits for.
    pub(super) fn send(&self, record: BaseRecord<'_, str, str>) {
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    pub(super) fn flush(&self) {
        // Its own flush looks every 100 ms.
        wait::until("all is written", || {
            self.producer.poll(Duration::ZERO);
            (self.producer.in_flight_count() == 0).then_some(())
        });
    }

    /// What is committed of a partition, if anything is.
    pub(super) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        committed(&self.servers(), group, topic, partition)
    }

    /// Commits, as a server of ours has done.
    pub(super) fn commit(&self, group: &str, topic: &str, partition: i32, next: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut one = list.add_partition(topic, partition);
        one.set_metadata(metadata);
        one.set_offset(Offset::Offset(next)).unwrap();
        consumer(&self.servers(), group).commit(&list, CommitMode::Sync).unwrap();
    }

    /// Waits until that is committed.
    #[track_caller]
    pub(super) fn wait_committed(&self, group: &str, topic: &str, partition: i32, next: i64) {
        wait::until("the offset is committed", || {
            (self.committed(group, topic, partition) == Some(next)).then_some(())
        });
    }
}

pub(super) fn producer(servers: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "0").set("message.max.bytes", "10000000");
    config.create().unwrap()
}

fn consumer(servers: &str, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", group);
    config.create().unwrap()
}

pub(super) fn committed(servers: &str, group: &str, topic: &str, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let found = consumer(servers, group).committed_offsets(list, PATIENCE).ok()?;
    match found.elements().first()?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}
