//! Triggers on Kafka topics: what comes, in which order and batches, and what is not lost however a server ends.

use std::collections::BTreeMap;
use std::fs;

use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

use crate::function::{Function, expression, source};
use crate::gate::Gate;
use crate::server::{Place, Server};
use crate::tencent::Client;
use crate::wait;

mod batches;
mod broker;
mod failing;
mod killed;
mod noida;
mod shared;

use broker::Broker;

/// Pauses pass in no time.
const QUICK: [&str; 2] = ["--event-pace", "0.001"];

/// A server whose functions are triggered by a topic.
struct Rig {
    server: Server,
    client: Client,
}

/// A message as a function was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    partition: i64,
    offset: i64,
    body: String,
}

impl Rig {
    fn new(options: &[&str]) -> Rig {
        Rig::of(Place::new().serve(&[&QUICK, options].concat()))
    }

    fn of(server: Server) -> Rig {
        let client = Client::new(&server, "admin");
        Rig { server, client }
    }

    /// The same on the server that comes after.
    fn again(place: Place, client: Client, options: &[&str]) -> Rig {
        let server = place.serve(&[&QUICK, options].concat());
        let client = client.on(&server);
        Rig { server, client }
    }

    fn killed(self) -> (Place, Client) {
        (self.server.kill9(), self.client)
    }

    /// Deploys a function and has a topic trigger it; its descriptor beyond brokers and group, which is `g`.
    fn trigger(&mut self, function: &Function, broker: &Broker, desc: Value) {
        self.server.deploy("consumer", function);
        self.trigger_named("ckafka-8tfxzia3-t", &broker.servers(), desc);
    }

    fn trigger_named(&mut self, name: &str, servers: &str, desc: Value) {
        let mut all = json!({ "bootstrapServers": servers, "consumerGroupName": "g" });
        for (field, value) in desc.as_object().unwrap() {
            all[field] = value.clone();
        }
        self.client.done(
            "CreateTrigger",
            json!({ "FunctionName": "consumer", "TriggerName": name, "Type": "ckafka", "TriggerDesc": all.to_string() }),
        );
    }

    fn switch(&mut self, on: bool) {
        let enable = if on { "OPEN" } else { "CLOSE" };
        self.client.done(
            "UpdateTriggerStatus",
            json!({ "FunctionName": "consumer", "TriggerName": "ckafka-8tfxzia3-t", "Type": "ckafka", "Enable": enable }),
        );
    }

    /// What the sql door gives.
    #[track_caller]
    fn rows(&self, sql: &str) -> Vec<Value> {
        let body = json!({ "sql": sql, "limit": 10_000 }).to_string();
        let answer = self.server.call("POST", "/v1/sql", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["truncated"], false);
        answer["rows"].as_array().unwrap().clone()
    }

    /// The events whose run ended in that state, in order.
    fn events(&self, state: &str) -> Vec<Value> {
        let sql = format!(
            "SELECT event FROM invocations WHERE state = '{state}' AND source = 'ckafka' ORDER BY id"
        );
        let rows = self.rows(&sql);
        rows.iter().map(|row| serde_json::from_str(row[0].as_str().unwrap()).unwrap()).collect()
    }

    /// The messages of runs that ended well, in order.
    fn seen(&self) -> Vec<Seen> {
        self.events("succeeded").iter().flat_map(messages).collect()
    }

    /// Waits until so many have been seen; all that were.
    #[track_caller]
    fn wait_seen(&self, count: usize) -> Vec<Seen> {
        let seen = || Some(self.seen()).filter(|seen| seen.len() >= count);
        wait::until(&format!("{count} messages were seen"), seen)
    }

    /// Waits until the trigger says that something is wrong.
    #[track_caller]
    fn wait_wrong(&self, name: &str, sentence: &str) {
        let sql = format!("SELECT last_error FROM triggers WHERE trigger = '{name}'");
        wait::until(&format!("{name} says {sentence}"), || {
            self.rows(&sql)[0][0].as_str().unwrap().contains(sentence).then_some(())
        });
    }

    /// How many consumers there are.
    fn consumers(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.server.pid())).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names
            .filter(|name| name.trim().strip_prefix("kafka-").is_some_and(|id| id.parse::<u32>().is_ok()))
            .count()
    }

    #[track_caller]
    fn wait_consumers(&self, count: usize) {
        wait::until(&format!("there are {count} consumers"), || (self.consumers() == count).then_some(()));
    }
}

/// The messages of an event.
fn messages(event: &Value) -> Vec<Seen> {
    let records = event["Records"].as_array().unwrap().iter().map(|record| &record["Ckafka"]);
    let seen = |record: &Value| Seen {
        partition: record["partition"].as_i64().unwrap(),
        offset: record["offset"].as_i64().unwrap(),
        body: record["msgBody"].as_str().unwrap().to_owned(),
    };
    records.map(seen).collect()
}

/// By partition, the offsets as they came.
fn offsets(seen: &[Seen]) -> BTreeMap<i64, Vec<i64>> {
    let mut all = BTreeMap::<i64, Vec<i64>>::new();
    seen.iter().for_each(|one| all.entry(one.partition).or_default().push(one.offset));
    all
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Writes the numbers of that range to a partition.
fn write_numbers(broker: &Broker, partition: i32, range: std::ops::Range<usize>) {
    broker.write("t", partition, numbers(range).iter().map(String::as_str));
}

#[test]
fn messages_come_once_and_in_order() {
    let broker = Broker::new("t", 3);
    for partition in 0..3 {
        write_numbers(&broker, partition, 0..100);
    }
    broker.send(BaseRecord::to("t").partition(0).payload("no \"key\"\nä"));
    broker.flush();
    let mut rig = Rig::new(&[]);
    rig.trigger(
        &expression("len(event['Records'])"),
        &broker,
        json!({ "offset": "earliest", "maxMsgNum": 20 }),
    );
    let seen = rig.wait_seen(301);
    let all: Vec<i64> = (0..100).collect();
    let first: Vec<i64> = (0..101).collect();
    assert_eq!(offsets(&seen), BTreeMap::from([(0, first), (1, all.clone()), (2, all)]));
    assert!(seen.iter().all(|one| one.body == one.offset.to_string() || one.offset == 100));
    broker.wait_committed("g", "t", 0, 101);
    // An event is the cloud's, to the last byte.
    let sql = "SELECT event FROM invocations WHERE event LIKE '%None%'";
    let event = rig.rows(sql)[0][0].as_str().unwrap().to_owned();
    let end = r#","msgKey":"k","msgBody":"99"}},{"Ckafka":{"topic":"t","partition":0,"offset":100,"msgKey":"None","msgBody":"no \"key\"\nä"}}]}"#;
    let alone = r#"{"Records":[{"Ckafka":{"topic":"t","partition":0,"offset":100,"msgKey":"None","msgBody":"no \"key\"\nä"}}]}"#;
    assert!(event.ends_with(end) || event == alone, "{event}");
    wait::until("the trigger counts", || {
        let row = &rig.rows("SELECT fired, failed, last_error FROM triggers")[0];
        (row[0].as_i64() == Some(rig.events("succeeded").len() as i64) && row[1] == 0 && row[2] == "")
            .then_some(())
    });
    let place = rig.server.stop_in_order();
    assert!(!place.said().contains("panicked"), "{}", place.said());
}

#[test]
fn a_first_start_begins_where_the_trigger_says_and_a_second_where_the_first_was() {
    let broker = Broker::new("t", 2);
    write_numbers(&broker, 0, 0..5);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "latest" }));
    // The beginning is kept before anything comes, so what comes while nobody is there is not lost.
    broker.wait_committed("g", "t", 0, 5);
    broker.wait_committed("g", "t", 1, 0);
    let (place, client) = rig.killed();
    write_numbers(&broker, 0, 5..8);
    write_numbers(&broker, 1, 0..2);
    let rig = Rig::again(place, client, &[]);
    let seen = rig.wait_seen(5);
    assert_eq!(offsets(&seen), BTreeMap::from([(0, vec![5, 6, 7]), (1, vec![0, 1])]));
}

#[test]
fn a_trigger_that_is_off_consumes_nothing_and_goes_on_where_it_was() {
    let broker = Broker::new("t", 1);
    write_numbers(&broker, 0, 0..5);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "earliest" }));
    rig.wait_seen(5);
    rig.switch(false);
    rig.wait_consumers(0);
    write_numbers(&broker, 0, 5..9);
    assert_eq!(broker.committed("g", "t", 0), Some(5));
    rig.switch(true);
    assert_eq!(offsets(&rig.wait_seen(9))[&0], (0..9).collect::<Vec<i64>>());
    // A change to what it waits for is a new consumer, which goes on as well.
    rig.client.done(
        "UpdateTrigger",
        json!({ "FunctionName": "consumer", "TriggerName": "ckafka-8tfxzia3-t", "Type": "ckafka", "TriggerDesc": r#"{"maxMsgNum":1}"# }),
    );
    write_numbers(&broker, 0, 9..12);
    assert_eq!(offsets(&rig.wait_seen(12))[&0], (0..12).collect::<Vec<i64>>());
    assert_eq!(rig.events("succeeded").last().map(|event| messages(event).len()), Some(1));
    assert_eq!(rig.server.call("DELETE", "/v1/functions/consumer", b"").status, 204);
    rig.wait_consumers(0);
}

#[test]
fn brokers_that_are_not_there_are_told_of_and_waited_for() {
    let broker = Broker::new("t", 1);
    broker.cluster.broker_down(1).unwrap();
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "earliest" }));
    rig.trigger_named("nowhere", "", json!({}));
    rig.trigger_named("lost", &broker.servers(), json!({ "topic": "not-there" }));
    rig.wait_wrong("nowhere", "bootstrapServers, or for all triggers by --kafka-brokers");
    rig.wait_wrong("ckafka-8tfxzia3-t", "refused");
    broker.cluster.broker_up(1).unwrap();
    write_numbers(&broker, 0, 0..3);
    rig.wait_seen(3);
    rig.wait_wrong("lost", "not-there");
    let (place, client) = rig.killed();
    // The server's brokers are those of a trigger that names none.
    let mut rig = Rig::again(place, client, &["--kafka-brokers", &broker.servers()]);
    rig.client.done(
        "DeleteTrigger",
        json!({ "FunctionName": "consumer", "TriggerName": "ckafka-8tfxzia3-t", "Type": "ckafka" }),
    );
    rig.trigger_named("t", "", json!({ "consumerGroupName": "h", "offset": "earliest" }));
    rig.wait_seen(6);
}

/// The commits of a group tell how many partitions there were when it began.
#[test]
fn of_a_partition_that_came_later_nothing_is_left_out() {
    let broker = Broker::new("t", 3);
    broker.commit("g", "t", 0, 0, "fnlite:2");
    (0..3).for_each(|partition| write_numbers(&broker, partition, 0..4));
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "latest" }));
    let seen = rig.wait_seen(8);
    let all: Vec<i64> = (0..4).collect();
    assert_eq!(offsets(&seen), BTreeMap::from([(0, all.clone()), (2, all)]));
    assert_eq!(broker.committed("g", "t", 1), Some(4), "which was there, so it begins at the latest");
}

/// librdkafka opens pipes that children would inherit.
#[test]
fn functions_inherit_nothing_of_the_consumers() {
    let broker = Broker::new("t", 1);
    for level in ["1", "5"] {
        let mut rig = Rig::new(&["--isolation-max", level]);
        let open = source(
            "import os\ndef main_handler(event, context):\n    return len(os.listdir('/proc/self/fd'))\n",
        );
        let before = rig.server.value_of("before", &open, "{}");
        rig.trigger(&expression("1"), &broker, json!({ "consumerGroupName": level }));
        wait::until("it consumes", || broker.committed(level, "t", 0));
        assert_eq!(rig.server.value_of("after", &open, "{}"), before, "level {level}");
    }
}
