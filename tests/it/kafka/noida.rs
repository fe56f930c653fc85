//! The same against a broker that is a process of its own: noida-db, a program from the Python registry that speaks Kafka's
//! protocol and knows what librdkafka's mock does not: times of messages, and topics that grow.
//!
//! `scripts/test --all` installs it in `target/noida-db`, where that can be done.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fnlite::base::clock::{Clock, SystemClock};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::*;
use crate::server::{program, spawn};

struct Noida {
    child: Child,
    servers: String,
    admin: AdminClient<DefaultClientContext>,
    writer: BaseProducer,
    _folder: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn installed() -> Option<PathBuf> {
    // The program itself: what stands in `bin` starts it, and would leave it alone when it is killed.
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/noida-db/lib");
    let versions = fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().path());
    let path =
        versions.map(|version| version.join("site-packages/noida_db/noida-db")).find(|path| path.exists());
    if std::env::var_os("FNLITE_TEST_ALL").is_none() {
        eprintln!("SKIPPED: another broker is asked by scripts/test --all only");
        return None;
    }
    if path.is_none() {
        eprintln!(
            "SKIPPED: noida-db is not installed in target/noida-db, so no broker but librdkafka's own was asked"
        );
    }
    path
}

fn now_ms() -> i64 {
    SystemClock.wall_us() / 1000
}

/// What a future gives that is only waited for.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    wait::until("it is done", || match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

impl Noida {
    /// A broker with that topic, where it is installed.
    fn new(topic: &str, partitions: i32) -> Option<Noida> {
        let path = installed()?;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(path).args(["start", "--only", "kafka"]);
        command.args(["--kafka-port", &free.to_string(), "--data-dir"]).arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command);
        let servers = format!("127.0.0.1:{free}");
        wait::until("the broker listens", || std::net::TcpStream::connect(&servers).ok());
        let admin = ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
        let noida = Noida { child, writer: broker::producer(&servers), servers, admin, _folder: folder };
        let made = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        finish(noida.admin.create_topics([&made], &options)).unwrap()[0].as_ref().unwrap();
        Some(noida)
    }

    fn write(&self, partition: i32, range: std::ops::Range<usize>, at_ms: i64) {
        for body in numbers(range) {
            let record = BaseRecord::<str, str>::to("t").partition(partition).timestamp(at_ms).payload(&body);
            self.writer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.writer.flush(Duration::from_secs(10)).unwrap();
    }

    #[track_caller]
    fn wait_committed(&self, partition: i32, next: i64) {
        wait::until("the offset is committed", || {
            (broker::committed(&self.servers, "g", "t", partition) == Some(next)).then_some(())
        });
    }

    fn trigger(&self, rig: &mut Rig, function: &Function, desc: Value) {
        rig.server.deploy("consumer", function);
        rig.trigger_named("ckafka-8tfxzia3-t", &self.servers, desc);
    }
}

impl Drop for Noida {
    fn drop(&mut self) {
        // Both fail only for one that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn messages_from_a_moment_on() {
    let Some(noida) = Noida::new("t", 2) else { return };
    let now_ms = now_ms();
    noida.write(0, 0..5, now_ms - 100_000);
    noida.write(0, 5..9, now_ms);
    noida.write(1, 0..3, now_ms - 100_000);
    let mut rig = Rig::new(&[]);
    noida.trigger(&mut rig, &expression("1"), json!({ "offset": (now_ms - 50_000).to_string() }));
    assert_eq!(offsets(&rig.wait_seen(4)), BTreeMap::from([(0, vec![5, 6, 7, 8])]));
    // Nothing came since, so it begins with what comes next.
    noida.wait_committed(1, 3);
    noida.write(1, 3..5, now_ms - 100_000);
    assert_eq!(offsets(&rig.wait_seen(6))[&1], [3, 4]);
}

/// What the broker did not keep until somebody came is told of; the rest comes.
#[test]
fn messages_that_the_broker_has_dropped_are_told_of() {
    let Some(noida) = Noida::new("t", 1) else { return };
    let mut rig = Rig::new(&[]);
    noida.trigger(&mut rig, &expression("1"), json!({ "offset": "earliest" }));
    noida.wait_committed(0, 0);
    rig.switch(false);
    rig.wait_consumers(0);
    // Older than brokers keep anything.
    noida.write(0, 0..5, now_ms() - 30 * 24 * 3_600_000);
    noida.write(0, 5..8, now_ms());
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(5)).unwrap();
    finish(noida.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    rig.switch(true);
    assert_eq!(offsets(&rig.wait_seen(3))[&0], [5, 6, 7]);
    rig.wait_wrong("ckafka-8tfxzia3-t", "messages 0 to 4 of partition 0 are not there any more");
}

#[test]
fn a_topic_that_grows_is_consumed_whole() {
    let Some(noida) = Noida::new("t", 1) else { return };
    let mut rig = Rig::new(&[]);
    noida.trigger(&mut rig, &expression("1"), json!({ "offset": "latest" }));
    noida.wait_committed(0, 0);
    let grown = finish(noida.admin.create_partitions([&NewPartitions::new("t", 3)], &AdminOptions::new()));
    grown.unwrap()[0].as_ref().unwrap();
    (0..3).for_each(|partition| noida.write(partition, 0..4, now_ms()));
    let all: Vec<i64> = (0..4).collect();
    let seen = offsets(&rig.wait_seen(12));
    assert_eq!(seen, BTreeMap::from([(0, all.clone()), (1, all.clone()), (2, all)]));
}

#[test]
fn nothing_is_lost_when_the_server_is_killed() {
    let Some(noida) = Noida::new("t", 3) else { return };
    let mut rig = Rig::new(&[]);
    let code = "import time\ndef main_handler(event, context):\n    time.sleep(0.005)\n";
    noida.trigger(&mut rig, &source(code), json!({ "offset": "earliest", "maxMsgNum": 5 }));
    for round in 0..5 {
        (0..3).for_each(|partition| noida.write(partition, round * 60..(round + 1) * 60, now_ms()));
        rig.wait_seen(3 * round * 60 + 40);
        let (place, client) = rig.killed();
        rig = Rig::again(place, client, &[]);
    }
    (0..3).for_each(|partition| noida.wait_committed(partition, 300));
    killed::check_whole(&rig.seen(), 3, 300);
}
