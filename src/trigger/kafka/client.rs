//! librdkafka as it is used here: its settings, and what it calls back with.
//!
//! What must stay true: it commits nothing by itself; what it keeps in memory has a bound; its own log goes to ours, at debug,
//! since what a user has to know of it is told by the trigger. Callbacks come on the thread that polls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::error::{Error, Result};
use crate::trigger::kafka::Options;
use crate::trigger::kafka::board::Board;
use crate::trigger::kafka::consumer::Said;
use crate::trigger::kafka::offsets::Beginnings;
use crate::trigger::kafka::plan::Plan;

/// How long batches that run may take to end when their partition goes to another server.
const HAND_OVER: Duration = Duration::from_secs(3);

/// How often the group hears of us, at the most, and how often it is asked whether the topic has new partitions.
const SESSION_S: u32 = 10;
const LOOK_S: u32 = 60;

/// How long a broker may keep a request for messages that has nothing to answer. Those of tests answer no earlier.
const FETCH_WAIT: Duration = Duration::from_millis(500);
const FETCH_WAIT_MIN: Duration = Duration::from_millis(10);

/// The least that brokers take for a session.
const SESSION_MIN: Duration = Duration::from_secs(6);
const LOOK_MIN: Duration = Duration::from_millis(500);

/// A consumer of librdkafka.
pub(super) type Client = BaseConsumer<Hooks>;

/// What librdkafka calls back.
pub(super) struct Hooks {
    pub(super) board: Arc<Board>,
    pub(super) said: Arc<Said>,
    pub(super) beginnings: Arc<Beginnings>,
    /// Why this client is of no use any more.
    failed: Mutex<Option<Error>>,
}

/// Makes one.
pub(super) fn make(plan: &Plan, options: &Options, hooks: Hooks) -> Result<Client> {
    let made = settings(plan, options).create_with_context(hooks);
    made.map_err(|error| Error::internal(format!("no Kafka consumer can be made: {error}")))
}

/// Between two looks for new partitions.
pub(super) fn look_every(options: &Options) -> Duration {
    options.pace.seconds(LOOK_S).max(LOOK_MIN)
}

fn settings(plan: &Plan, options: &Options) -> ClientConfig {
    let ms = |length: Duration| length.as_millis().to_string();
    let session = options.pace.seconds(SESSION_S).max(SESSION_MIN);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &plan.brokers)
        .set("client.id", "fnlite")
        .set("group.id", &plan.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where that is to be done, it is done here, and told.
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("session.timeout.ms", ms(session))
        .set("heartbeat.interval.ms", ms(session / 3))
        .set("topic.metadata.refresh.interval.ms", ms(look_every(options)))
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.timeout.ms", "10000")
        .set("fetch.wait.max.ms", ms(FETCH_WAIT.mul_f64(options.pace.0).max(FETCH_WAIT_MIN)))
        // What is fetched ahead of us, all partitions together; soon asked for again when that is used up.
        .set("queued.max.messages.kbytes", "4096")
        .set("queued.min.messages", "10000")
        .set("fetch.max.bytes", "8388608")
        .set("fetch.queue.backoff.ms", "10");
    if options.share {
        // Partitions that stay where they are go on while others move.
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    if options.share && !plan.member.is_empty() {
        config.set("group.instance.id", &plan.member);
    }
    config
}

impl Hooks {
    pub(super) fn new(board: Arc<Board>, said: Arc<Said>, beginnings: Arc<Beginnings>) -> Hooks {
        Hooks { board, said, beginnings, failed: Mutex::default() }
    }

    /// Why the client is of no use any more, if so.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failed.lock().expect("no holder of this lock can panic").take()
    }

    fn fail(&self, error: Error) {
        *self.failed.lock().expect("no holder of this lock can panic") = Some(error);
    }

    /// Takes on what the group gives us, from where it begins.
    fn assigned(&self, client: &Client, given: &TopicPartitionList) -> Result<TopicPartitionList> {
        let ids = ids(given);
        if ids.is_empty() {
            return Ok(TopicPartitionList::new());
        }
        let begun = self.beginnings.of(client, &ids)?;
        self.board.add(ids.into_iter());
        Ok(begun)
    }

    fn revoked(&self, client: &Client, taken: &TopicPartitionList) {
        let patience = if client.assignment_lost() { Duration::ZERO } else { HAND_OVER };
        self.board.remove(&ids(taken), patience);
    }
}

impl ClientContext for Hooks {
    fn log(&self, _: RDKafkaLogLevel, fac: &str, message: &str) {
        log::debug!("librdkafka: {fac} {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::debug!("librdkafka: {error}: {reason}");
        // That all are down says less than what each of them is about.
        if !matches!(error, KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)) {
            // How often and since when would make each of them a new one.
            self.said.say(reason.split(" (after ").next().unwrap_or(reason));
        }
    }
}

impl ConsumerContext for Hooks {
    fn rebalance(&self, client: &Client, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_cooperative = matches!(client.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done: KafkaResult<()> = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let begun = self.assigned(client, list).unwrap_or_else(|error| {
                    self.fail(error);
                    TopicPartitionList::new()
                });
                if is_cooperative { client.incremental_assign(&begun) } else { client.assign(&begun) }
            }
            _ => {
                self.revoked(client, list);
                if is_cooperative { client.incremental_unassign(list) } else { client.unassign() }
            }
        };
        if let Err(error) = done {
            self.fail(Error::internal(format!("the group's partitions could not be taken on: {error}")));
        }
    }
}

/// The partitions of a list.
fn ids(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|one| one.partition()).collect()
}
