//! When a batch is closed, and that partitions do not wait for each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn by_count() {
    let broker = Broker::new("t", 1);
    write_numbers(&broker, 0, 0..45);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "earliest", "maxMsgNum": 10 }));
    rig.wait_seen(45);
    let counts: Vec<usize> = rig.events("succeeded").iter().map(|event| messages(event).len()).collect();
    assert_eq!(counts, [10, 10, 10, 10, 5]);
}

/// While messages never cease to come, a batch is closed by the time since its first one.
#[test]
fn by_time() {
    let broker = Broker::new("t", 1);
    let mut rig = Rig::new(&[]);
    let desc = json!({ "offset": "earliest", "maxMsgNum": 10_000, "timeOut": 1 });
    rig.trigger(&expression("1"), &broker, desc);
    let (over, servers) = (AtomicBool::new(false), broker.servers());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = broker::producer(&servers);
            while !over.load(Ordering::Relaxed) {
                writer
                    .send(BaseRecord::<str, str>::to("t").payload("x"))
                    .map_err(|(error, _)| error)
                    .unwrap();
                writer.poll(Duration::ZERO);
                // Well within the moment after which nothing is thought to come.
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let counts = || rig.events("succeeded").iter().map(|event| messages(event).len()).collect::<Vec<_>>();
        let closed = wait::within(wait::PATIENCE, || counts().into_iter().find(|count| *count >= 10));
        over.store(true, Ordering::Relaxed);
        assert!(closed.is_some_and(|count| count <= 150), "{closed:?} of {:?}", counts());
    });
}

/// A character that takes six times as much in an event.
fn control(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

#[test]
fn by_size_and_what_is_too_large_alone_is_a_dead_letter() {
    let broker = Broker::new("t", 1);
    let (large, too_large) = (control(400_000), control(1_100_000));
    broker.write("t", 0, [large.as_str(), &large, &large]);
    broker.write("t", 0, [too_large.as_str(), "last"]);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("len(event['Records'])"), &broker, json!({ "offset": "earliest" }));
    broker.wait_committed("g", "t", 0, 5);
    let sql = "SELECT result, state, status, request_id FROM invocations ORDER BY id";
    let rows = rig.rows(sql);
    let found: Vec<_> = rows.iter().map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap())).collect();
    assert_eq!(
        (found[0], found[1], found.last()),
        (("2", "succeeded"), ("1", "succeeded"), Some(&("1", "succeeded")))
    );
    let dead = rows.iter().find(|row| row[1] == "dead").unwrap();
    let whole = rig.server.record(dead[3].as_str().unwrap());
    assert_eq!((whole.status, whole.event.get().len() > 6_600_000, whole.log.len()), (406, true, 1));
    let letters = rig.server.get("/v1/dead-letters")["dead_letters"].clone();
    assert_eq!(letters[0]["reason"], "the event is larger than an event may be");
    let id = letters[0]["request_id"].as_str().unwrap();
    let answer = rig.server.call("POST", &format!("/v1/dead-letters/{id}/replay"), b"");
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.refusal().contains("6291456"), "{}", answer.text());
}

#[test]
fn bodies_that_are_no_text_come_in_base64_where_that_is_asked_for() {
    let broker = Broker::new("t", 1);
    broker.write("t", 0, ["text"]);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "earliest", "base64": true }));
    assert_eq!(rig.wait_seen(1)[0].body, "dGV4dA==");
}

/// More waits of the partition than is kept in memory: it is laid aside, the other goes on, and nothing of it is lost after.
#[test]
fn a_partition_that_is_held_up_holds_up_no_other() {
    let broker = Broker::new("t", 2);
    let gate = Gate::new();
    let port: Value = serde_json::from_str(&gate.event()).unwrap();
    let code = "
import socket
def main_handler(event, context):
    for record in event['Records']:
        message = record['Ckafka']
        if message['partition'] == 0 and message['offset'] == 0:
            socket.create_connection(('127.0.0.1', int(message['msgBody']))).recv(1)
";
    let mut rig = Rig::new(&[]);
    let desc = json!({ "offset": "earliest", "maxMsgNum": 10 });
    broker.write("t", 0, [port["port"].to_string().as_str()]);
    rig.trigger(&source(code).with("timeout_s", 60), &broker, desc);
    let held = gate.arrival();
    write_numbers(&broker, 0, 1..1500);
    write_numbers(&broker, 1, 0..1500);
    let seen = rig.wait_seen(1500);
    assert_eq!(offsets(&seen), BTreeMap::from([(1, (0..1500).collect())]));
    drop(held);
    let seen = rig.wait_seen(3000);
    let all: Vec<i64> = (0..1500).collect();
    assert_eq!(offsets(&seen), BTreeMap::from([(0, all.clone()), (1, all)]));
}
