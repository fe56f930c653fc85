//! What is tried again, and what is given up.

use rdkafka::types::RDKafkaApiKey;
use rdkafka::types::RDKafkaRespErr;

use super::*;

/// Fails for a batch that has a message which begins so.
const PICKY: &str = "
def main_handler(event, context):
    assert not any(record['Ckafka']['msgBody'].startswith('bad') for record in event['Records'])
";

#[test]
fn a_batch_that_always_fails_becomes_a_dead_letter_and_the_next_goes_on() {
    let broker = Broker::new("t", 1);
    // Larger than an event that is accepted may be.
    let bad = format!("bad{}", "x".repeat(300_000));
    broker.write("t", 0, ["0", &bad, "2"]);
    let mut rig = Rig::new(&[]);
    rig.trigger(&source(PICKY), &broker, json!({ "offset": "earliest", "maxMsgNum": 1, "retry": 2 }));
    broker.wait_committed("g", "t", 0, 3);
    assert_eq!(offsets(&rig.seen())[&0], [0, 2]);
    let tries: Vec<Value> = ["failed", "dead"].iter().flat_map(|state| rig.events(state)).collect();
    assert!(tries.len() == 3 && tries.iter().all(|event| event == &tries[0]), "twice more, and as it was");
    let letters = rig.server.get("/v1/dead-letters")["dead_letters"].clone();
    assert_eq!(letters[0]["reason"], "the function failed and its retries are used up");
    assert_eq!((&letters[0]["source"], letters.as_array().unwrap().len()), (&json!("ckafka"), 1));
    let id = letters[0]["request_id"].as_str().unwrap().to_owned();
    let shown = rig.server.fnlite(&["dead", "show", &id]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("badxxx"));
    rig.server.deploy("consumer", &expression("event['Records'][0]['Ckafka']['offset']"));
    let replayed = rig.server.fnlite(&["dead", "replay", &id, "--json"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    wait::until("it was replayed", || {
        let rows = rig.rows("SELECT result FROM invocations WHERE source = 'replay' AND state = 'succeeded'");
        rows.first().filter(|row| row[0] == "1").map(|_| ())
    });
    assert_eq!(rig.server.get("/v1/dead-letters")["dead_letters"], json!([]));
    wait::until("the trigger counts", || {
        let row = &rig.rows("SELECT fired, failed, last_error FROM triggers")[0];
        (row[0] == 5 && row[1] == 3 && row[2] == "user code exception caught").then_some(())
    });
}

#[test]
fn a_function_is_told_of_batches_that_were_given_up() {
    let broker = Broker::new("t", 1);
    broker.write("t", 0, ["bad"]);
    let mut rig = Rig::new(&[]);
    rig.server.deploy("told", &expression("event"));
    let picky = source(PICKY).with("dead_letter", "told");
    rig.trigger(&picky, &broker, json!({ "offset": "earliest", "retry": 0 }));
    let told = wait::until("it was told", || {
        rig.rows("SELECT event FROM invocations WHERE function = 'told' AND state = 'succeeded'").pop()
    });
    let message: Value = serde_json::from_str(told[0].as_str().unwrap()).unwrap();
    assert_eq!(message["Body"]["RequestSource"], "TRIGGER_CKAFKA");
    let batch: Value = serde_json::from_str(message["Body"]["ClientContext"].as_str().unwrap()).unwrap();
    assert_eq!(batch["Records"][0]["Ckafka"]["msgBody"], "bad");
}

#[test]
fn what_fails_now_and_then_is_tried_until_it_does_not() {
    let broker = Broker::new("t", 1);
    write_numbers(&broker, 0, 0..30);
    let mut rig = Rig::new(&[]);
    let code = "import random\ndef main_handler(event, context):\n    assert random.random() > 0.5\n";
    rig.trigger(&source(code), &broker, json!({ "offset": "earliest", "maxMsgNum": 3 }));
    assert_eq!(offsets(&rig.wait_seen(30))[&0], (0..30).collect::<Vec<i64>>());
}

#[test]
fn the_platforms_failures_are_waited_out() {
    let broker = Broker::new("t", 1);
    write_numbers(&broker, 0, 0..30);
    let mut rig = Rig::new(&[]);
    let off = expression("1").with("reserved_mb", 0);
    rig.trigger(&off, &broker, json!({ "offset": "earliest", "maxMsgNum": 10, "retry": 0 }));
    wait::until("it was refused a few times", || (rig.events("failed").len() >= 10).then_some(()));
    assert_eq!(rig.rows("SELECT DISTINCT status FROM invocations")[0][0], 432);
    let on = rig.server.call("PUT", "/v1/functions/consumer/concurrency", br#"{"reserved_mb":null}"#);
    assert_eq!(on.status, 204, "{}", on.text());
    assert_eq!(offsets(&rig.wait_seen(30))[&0], (0..30).collect::<Vec<i64>>());
    assert_eq!(rig.server.get("/v1/dead-letters")["dead_letters"], json!([]));
}

/// What has run and could not be committed is committed later, and does not run again meanwhile.
#[test]
fn a_commit_that_fails_is_made_again() {
    let broker = Broker::new("t", 1);
    let mut rig = Rig::new(&[]);
    rig.trigger(&expression("1"), &broker, json!({ "offset": "earliest", "maxMsgNum": 3 }));
    broker.wait_committed("g", "t", 0, 0);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 5];
    broker.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    write_numbers(&broker, 0, 0..9);
    broker.wait_committed("g", "t", 0, 9);
    assert_eq!(offsets(&rig.seen())[&0], (0..9).collect::<Vec<i64>>());
    rig.wait_wrong("ckafka-8tfxzia3-t", "GroupAuthorizationFailed");
}
