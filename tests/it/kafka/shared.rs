//! Servers that share a topic's partitions, each with a file of its own.

use std::time::Duration;

use super::*;
use crate::length::Rounds;

const SHARE: [&str; 1] = ["--kafka-share"];

/// A session lasts six seconds, and then the others have to agree.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(45);

/// Two servers that share, with further options of each; both have seen something, and so many messages are in each partition.
fn two(broker: &Broker, options: [&[&str]; 2]) -> ([Rig; 2], usize) {
    let mut rigs = options.map(|options| Rig::new(&[&SHARE, options].concat()));
    for rig in &mut rigs {
        let code = "import time\ndef main_handler(event, context):\n    time.sleep(0.002)\n";
        rig.trigger(&source(code), broker, json!({ "offset": "earliest", "maxMsgNum": 5 }));
    }
    // Written until both have seen some: who is in a group does not show otherwise.
    let mut written = 0;
    let both = wait::within(TAKEN_OVER_WITHIN, || {
        let seen = rigs.each_ref().map(|rig| rig.seen().len());
        if seen.iter().sum::<usize>() >= 4 * written {
            written = write(broker, written, 10);
        }
        seen.iter().all(|count| *count > 0).then_some(())
    });
    assert!(both.is_some(), "both take part");
    (rigs, written)
}

/// Writes so many more to each partition; how many there are then.
fn write(broker: &Broker, written: usize, more: usize) -> usize {
    (0..4).for_each(|partition| write_numbers(broker, partition, written..written + more));
    written + more
}

#[track_caller]
fn wait_all_committed(broker: &Broker, count: usize) {
    let over = wait::within(TAKEN_OVER_WITHIN, || {
        let next = |partition| broker.committed("g", "t", partition);
        (0..4).all(|partition| next(partition) == Some(count as i64)).then_some(())
    });
    assert!(over.is_some(), "all is consumed");
}

/// Between them they have seen every message.
#[track_caller]
fn check_seen(rigs: [&Rig; 2], count: usize) {
    let seen = rigs.map(Rig::seen).concat();
    let mut all: Vec<(i64, i64)> = seen.iter().map(|one| (one.partition, one.offset)).collect();
    all.sort_unstable();
    all.dedup();
    let of = |partition| (0..count as i64).map(move |offset| (partition, offset));
    let missing: Vec<_> = (0..4).flat_map(of).filter(|one| all.binary_search(one).is_err()).collect();
    assert_eq!(missing, [], "of {count} in each partition");
}

#[test]
fn one_of_two_is_killed_and_nothing_is_lost() {
    let broker = Broker::new("t", 4);
    let ([killed, left], written) = two(&broker, [&[], &[]]);
    let before = killed.seen().len();
    let written = write(&broker, written, 100);
    wait::until("the one that is killed is in the middle of it", || {
        (killed.seen().len() > before).then_some(())
    });
    let (place, client) = killed.killed();
    let written = write(&broker, written, 10);
    wait_all_committed(&broker, written);
    // What the dead one has seen is in its own file.
    check_seen([&Rig::again(place, client, &[]), &left], written);
}

/// One that has a name comes again within its session, and has its partitions back.
#[test]
fn one_with_a_name_is_killed_and_comes_again() {
    if (Rounds { short: 0, all: 1, soak: 1 }).asked() == 0 {
        eprintln!("SKIPPED: a name in a group is tried by scripts/test --all only");
        return;
    }
    let broker = Broker::new("t", 4);
    let options: [&[&str]; 2] = [&["--kafka-member", "one"], &["--kafka-member", "two"]];
    let ([killed, left], written) = two(&broker, options);
    let (place, client) = killed.killed();
    let written = write(&broker, written, 10);
    let again = Rig::again(place, client, &[&SHARE, options[0]].concat());
    wait_all_committed(&broker, written);
    check_seen([&again, &left], written);
}

/// One that is told to stop leaves the group, so nobody waits until its session is over.
#[test]
fn one_that_stops_hands_its_partitions_over() {
    let broker = Broker::new("t", 4);
    let ([stopped, left], written) = two(&broker, [&[], &[]]);
    let written = write(&broker, written, 50);
    let place = stopped.server.stop_in_order();
    let written = write(&broker, written, 10);
    wait_all_committed(&broker, written);
    check_seen([&Rig::again(place, stopped.client, &[]), &left], written);
}
