//! Timers as they fire: each moment once, whatever came in between.

use super::{Fixture, deploy, name, run};
use crate::base::clock::{Clock, SystemClock};
use crate::model::cron::Cron;
use crate::model::function::{Function, LATEST, Namespace};
use crate::model::invocation::{Record, State};
use crate::model::trigger::{Kind, Spec, Timer, Trigger};
use crate::store::Store;
use crate::store::timers::{Due, Fired};
use crate::store::triggers::TriggerRef;

const MINUTE_US: i64 = 60_000_000;

fn timer(store: &Store, function: &Function) -> (i64, Trigger) {
    let timer = Timer { cron: Cron::parse("0 * * * * * *").unwrap(), zone: None };
    let trigger = Trigger {
        name: "tick".into(),
        spec: Spec::Timer(timer),
        qualifier: LATEST.into(),
        enabled: true,
        custom_argument: String::new(),
        description: String::new(),
        created_us: 0,
        modified_us: 0,
    };
    store.create_trigger(function.id, &trigger).unwrap()
}

fn queued(store: &Store, function: &Function) -> Record {
    let record = run(store, function, &[]).record;
    Record { state: State::Queued, is_event: true, status: 202, ended_us: 0, result: Vec::new(), ..record }
}

fn fire(store: &Store, trigger_id: i64, moment_us: i64, record: Option<Record>) -> Fired {
    store.fire_timers(vec![Due { trigger_id, moment_us, record }]).unwrap()[0]
}

fn waiting(store: &Store) -> usize {
    let mut count = 0;
    store.waiting(|_| count += 1).unwrap();
    count
}

#[test]
fn a_moment_fires_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let (id, trigger) = timer(&store, &hello);
    let moment = trigger.created_us + MINUTE_US;
    let first = queued(&store, &hello);
    let first_id = first.id;
    assert_eq!(fire(&store, id, moment, Some(first)), Fired::Queued);
    assert_eq!(fire(&store, id, moment, Some(queued(&store, &hello))), Fired::Gone);
    assert_eq!(fire(&store, id, moment - 1, Some(queued(&store, &hello))), Fired::Gone);
    assert_eq!(waiting(&store), 1);
    // After a crash as well, as far as anybody can tell.
    drop(store);
    let store = fixture.open();
    assert_eq!(store.timer_moments().unwrap(), [(id, moment)]);
    assert_eq!(fire(&store, id, moment, Some(queued(&store, &hello))), Fired::Gone);
    // The first one has not begun, so the next moment is left out, and the one after it too.
    assert_eq!(fire(&store, id, moment + MINUTE_US, Some(queued(&store, &hello))), Fired::Skipped);
    assert_eq!(fire(&store, id, moment + 2 * MINUTE_US, Some(queued(&store, &hello))), Fired::Skipped);
    // While it runs, one may wait.
    store.claim(first_id).unwrap().unwrap();
    assert_eq!(fire(&store, id, moment + 3 * MINUTE_US, Some(queued(&store, &hello))), Fired::Queued);
    assert_eq!(waiting(&store), 2);
}

#[test]
fn what_cannot_run_has_had_its_moment() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let (id, trigger) = timer(&store, &hello);
    let moment = trigger.created_us + MINUTE_US;
    assert_eq!(fire(&store, id, moment, None), Fired::Nothing);
    assert_eq!(fire(&store, id, moment, Some(queued(&store, &hello))), Fired::Gone);
}

#[test]
fn a_timer_that_is_set_anew_forgets_what_it_missed() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let (id, trigger) = timer(&store, &hello);
    let of = TriggerRef {
        function_id: hello.id,
        kind: Kind::Timer,
        name: "tick".into(),
        qualifier: None,
        event: None,
    };
    let change = |change: fn(&mut Trigger)| {
        let change = move |trigger: &mut Trigger| {
            change(trigger);
            Ok(())
        };
        store.update_trigger(&of, change).unwrap()
    };
    change(|trigger| trigger.enabled = false);
    assert_eq!(fire(&store, id, trigger.created_us + MINUTE_US, Some(queued(&store, &hello))), Fired::Gone);
    let before_us = SystemClock.wall_us();
    change(|trigger| trigger.enabled = true);
    let seen_us = store.timer_moments().unwrap()[0].1;
    assert!(seen_us >= before_us);
    // What changes nothing about its moments loses none.
    change(|trigger| trigger.description = "x".into());
    assert_eq!(store.timer_moments().unwrap(), [(id, seen_us)]);
}

#[test]
fn triggers_and_what_came_of_them_go_with_their_function() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hello = deploy(&store, "hello");
    let (id, trigger) = timer(&store, &hello);
    fire(&store, id, trigger.created_us + MINUTE_US, None);
    store.delete_function(&Namespace::default(), &name("hello")).unwrap();
    assert_eq!(fire(&store, id, trigger.created_us + 2 * MINUTE_US, None), Fired::Gone);
    let left: i64 = fixture
        .other_program()
        .query_row("SELECT count(*) FROM trigger_state", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}
