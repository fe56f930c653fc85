//! Servers that end in the middle of it.

use std::net::TcpStream;

use super::*;
use crate::length::Rounds;

/// Every message of both partitions has been seen, and for the first time in order.
#[track_caller]
pub(super) fn check_whole(seen: &[Seen], partitions: i64, count: i64) {
    for partition in 0..partitions {
        let mut first: Vec<i64> = Vec::new();
        let of_this = seen.iter().filter(|one| one.partition == partition).map(|one| one.offset);
        of_this.for_each(|offset| {
            if !first.contains(&offset) {
                first.push(offset)
            }
        });
        assert_eq!(first, (0..count).collect::<Vec<i64>>(), "partition {partition}");
    }
}

#[test]
fn nothing_is_lost_when_the_server_is_killed() {
    let rounds = Rounds { short: 3, all: 30, soak: 200 }.asked();
    let broker = Broker::new("t", 2);
    let mut rig = Rig::new(&[]);
    let code = "import time\ndef main_handler(event, context):\n    time.sleep(0.005)\n";
    rig.trigger(&source(code), &broker, json!({ "offset": "earliest", "maxMsgNum": 5 }));
    let each = 60;
    for round in 0..rounds {
        (0..2).for_each(|partition| write_numbers(&broker, partition, round * each..(round + 1) * each));
        // Somewhere in the middle of the round's.
        rig.wait_seen(2 * round * each + 30 + 17 * round % 50);
        let (place, client) = rig.killed();
        rig = Rig::again(place, client, &[]);
    }
    let count = (rounds * each) as i64;
    broker.wait_committed("g", "t", 0, count);
    broker.wait_committed("g", "t", 1, count);
    let seen = rig.seen();
    check_whole(&seen, 2, count);
    // A batch of each partition at the most comes again.
    assert!(seen.len() <= 2 * rounds * (each + 5), "{} messages", seen.len());
}

/// A run that is under way when the server is killed has no end, so its batch comes again.
#[test]
fn a_batch_that_was_cut_off_comes_again() {
    let broker = Broker::new("t", 1);
    let gate = Gate::new();
    let port: Value = serde_json::from_str(&gate.event()).unwrap();
    let code = "
import json, sys
sys.path.insert(0, '/var/user')
import socket
def main_handler(event, context):
    socket.create_connection(('127.0.0.1', int(event['Records'][0]['Ckafka']['msgBody']))).recv(1)
";
    broker.write("t", 0, [port["port"].to_string().as_str()]);
    let mut rig = Rig::new(&[]);
    rig.trigger(&source(code).with("timeout_s", 60), &broker, json!({ "offset": "earliest" }));
    let held = gate.arrival();
    let (place, client) = rig.killed();
    drop(held);
    assert_eq!(broker.committed("g", "t", 0), Some(0));
    let rig = Rig::again(place, client, &[]);
    // It comes by the same way again, and may end now.
    drop(gate.arrival());
    assert_eq!(offsets(&rig.wait_seen(1))[&0], [0]);
    broker.wait_committed("g", "t", 0, 1);
}

/// A server that is told to stop lets the batch end that runs, commits it, and begins no other.
#[test]
fn a_server_that_stops_ends_what_runs() {
    let broker = Broker::new("t", 1);
    let gate = Gate::new();
    let port: Value = serde_json::from_str(&gate.event()).unwrap();
    let code = "
import socket
def main_handler(event, context):
    socket.create_connection(('127.0.0.1', int(event['Records'][0]['Ckafka']['msgBody']))).recv(1)
";
    let body = port["port"].to_string();
    broker.write("t", 0, [body.as_str(), &body]);
    let mut rig = Rig::new(&[]);
    let desc = json!({ "offset": "earliest", "maxMsgNum": 1 });
    rig.trigger(&source(code).with("timeout_s", 60), &broker, desc);
    let held = gate.arrival();
    rig.server.terminate();
    // Which is the last of what it does before it waits for what runs.
    wait::until("it hears nobody any more", || {
        TcpStream::connect(rig.server.address()).is_err().then_some(())
    });
    drop(held);
    rig.server.stop_in_order();
    assert_eq!(broker.committed("g", "t", 0), Some(1));
}

/// At the end of the drain what still runs is ended, which is no reason to commit it.
#[test]
fn what_the_drain_cuts_off_is_not_committed() {
    let broker = Broker::new("t", 1);
    let gate = Gate::new();
    broker.write("t", 0, [gate.event().as_str()]);
    let mut rig = Rig::new(&["--drain-timeout", "100ms"]);
    let code = "
import json, socket
def main_handler(event, context):
    socket.create_connection(('127.0.0.1', json.loads(event['Records'][0]['Ckafka']['msgBody'])['port'])).recv(1)
";
    rig.trigger(&source(code).with("timeout_s", 60), &broker, json!({ "offset": "earliest" }));
    let held = gate.arrival();
    rig.server.stop_in_order();
    drop(held);
    assert_eq!(broker.committed("g", "t", 0), Some(0));
}
