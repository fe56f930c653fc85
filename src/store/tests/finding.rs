//! Records and lines are found again by id, function, time and state, a page at a time.

use super::{
    Fixture, all_lines, deploy, line, messages, name, namespace, of, of_run, request_ids, run, run_at,
};
use crate::error::Kind;
use crate::model::invocation::State;
use crate::model::query::{InvocationQuery, LogQuery, Order, PageLimit, StatusFilter};

const MINUTE_US: i64 = 60_000_000;

#[test]
fn pages_are_newest_first_and_stay_put_while_runs_come_in() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let runs: Vec<_> = (0..7).map(|_| store.record(run(&store, &function, &[])).unwrap()).collect();
    let mut query = InvocationQuery { limit: PageLimit::new(3).unwrap(), ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.invocations(&query).unwrap();
        seen.extend(page.rows.iter().map(|record| record.id));
        store.record(run(&store, &function, &[])).unwrap();
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let expected: Vec<i64> = runs.iter().rev().map(|record| record.id).collect();
    assert_eq!(seen, expected);
}

#[test]
fn lists_leave_event_and_result_out() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.record(run(&store, &deploy(&store, "hello"), &[])).unwrap();
    let page = store.invocations(&InvocationQuery::default()).unwrap();
    assert!(page.rows[0].event.is_empty() && page.rows[0].result.is_empty());
}

#[test]
fn runs_are_narrowed_by_function_namespace_state_and_code() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (hello, other) = (deploy(&store, "hello"), deploy(&store, "other"));
    let good = store.record(run(&store, &hello, &[])).unwrap().request_id;
    let mut failed = run(&store, &hello, &[]);
    (failed.record.state, failed.record.status) = (State::Failed, 433);
    let failed = store.record(failed).unwrap().request_id;
    let elsewhere = store.record(run(&store, &other, &[])).unwrap().request_id;
    let check = |query: InvocationQuery, expected: &[&crate::base::id::RequestId]| {
        let found = request_ids(&store, &query);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    };
    let status = |word| Some(StatusFilter::parse(word).unwrap());
    let all = InvocationQuery::default;
    check(all(), &[&elsewhere, &failed, &good]);
    check(InvocationQuery { function_id: Some(hello.id), ..all() }, &[&failed, &good]);
    check(InvocationQuery { function_id: Some(hello.id), status: status("succeeded"), ..all() }, &[&good]);
    check(InvocationQuery { function_id: Some(hello.id), status: status("failed"), ..all() }, &[&failed]);
    check(InvocationQuery { status: status("433"), ..all() }, &[&failed]);
    check(InvocationQuery { status: status("200"), ..all() }, &[&elsewhere, &good]);
    check(InvocationQuery { status: status("434"), ..all() }, &[]);
    check(InvocationQuery { status: status("running"), ..all() }, &[]);
    check(InvocationQuery { namespace: Some("default".into()), ..all() }, &[&elsewhere, &failed, &good]);
    check(InvocationQuery { namespace: Some("nowhere".into()), ..all() }, &[]);

    let [expired, dead, aborted] = [State::Expired, State::Dead, State::Aborted].map(|state| {
        let mut order = run(&store, &other, &[]);
        order.record.state = state;
        store.record(order).unwrap().request_id
    });
    check(InvocationQuery { status: status("unsuccessful"), ..all() }, &[&dead, &expired, &failed]);
    check(InvocationQuery { status: status("aborted"), ..all() }, &[&aborted]);
    check(
        InvocationQuery { function_id: Some(other.id), status: status("unsuccessful"), ..all() },
        &[&dead, &expired],
    );
}

#[test]
fn time_ranges_are_exact_whatever_the_clock_does() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let base = 1_700_000_000_000_000;
    // Forward, back by an hour, and forward again; two runs in the same minute; one that is stored late.
    let times = [0, 30, 90, -3600, -3590, 100, 59, 7200].map(|s| base + s * 1_000_000);
    for at_us in times {
        let text = at_us.to_string();
        store.record(run_at(&store, &function, at_us, &[&text])).unwrap();
    }
    for reopened in [false, true] {
        for (since_us, until_us) in [
            (None, None),
            (Some(base), None),
            (None, Some(base)),
            (Some(base + 1), Some(base + 90_000_000)),
            (Some(base - 3_595_000_000), Some(base - 1)),
            (Some(base + 8_000_000_000), None),
            (Some(i64::MIN), Some(i64::MAX)),
        ] {
            let inside = |at_us: &i64| {
                since_us.is_none_or(|since| *at_us >= since) && until_us.is_none_or(|until| *at_us <= until)
            };
            let expected: Vec<String> = times.iter().filter(|at| inside(at)).map(i64::to_string).collect();
            let query = LogQuery { since_us, until_us, ..all_lines() };
            assert_eq!(messages(&store, &query), expected, "{since_us:?} {until_us:?} {reopened}");
            let query = InvocationQuery { since_us, until_us, ..Default::default() };
            assert_eq!(request_ids(&store, &query).len(), expected.len());
        }
        if !reopened {
            // What a crash leaves: the minute in memory was never closed in the file.
            fixture
                .other_program()
                .execute_batch("UPDATE log_minute SET last_id = NULL WHERE last_id > 5")
                .unwrap();
        }
    }
    let minutes: i64 =
        fixture.other_program().query_row("SELECT count(*) FROM log_minute", [], |row| row.get(0)).unwrap();
    let distinct: std::collections::BTreeSet<i64> = times.iter().map(|at| at / MINUTE_US).collect();
    assert_eq!(usize::try_from(minutes).unwrap(), distinct.len());
}

#[test]
fn lines_are_paged_in_both_orders() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let texts: Vec<String> = (0..10).map(|n| format!("line {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let run_id = store.record(run(&store, &function, &texts)).unwrap().id;
    store.record(run(&store, &deploy(&store, "other"), &["another's"])).unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let limit = PageLimit::new(4).unwrap();
        let mut query = LogQuery { order, limit, ..of_run(run_id) };
        let mut seen = Vec::new();
        loop {
            let page = store.logs(&query).unwrap();
            seen.extend(page.rows.into_iter().map(|found| found.line.message));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        if order == Order::Descending {
            seen.reverse();
        }
        assert_eq!(seen, texts);
    }
    let query = LogQuery { function_id: Some(function.id), ..all_lines() };
    assert_eq!(messages(&store, &query).len(), 10);
    let query = LogQuery { run_id: Some(run_id), function_id: Some(function.id + 1), ..all_lines() };
    assert_eq!(messages(&store, &query).len(), 0);
}

#[test]
fn records_and_lines_outlive_their_function() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    let record = store.record(run(&store, &function, &["kept"])).unwrap();
    store.delete_function(&namespace(), &name("hello")).unwrap();
    assert_eq!(store.invocation(&record.request_id).unwrap(), Some(record));
    let id = store.function_id(&namespace(), &name("hello")).unwrap();
    assert_eq!(messages(&store, &LogQuery { function_id: id, ..all_lines() }), ["kept"]);
    assert_eq!(deploy(&store, "hello").id, function.id);
}

#[test]
fn a_query_that_computes_too_long_is_cut_short() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let cut = store.read(|tx| Ok(tx.query_row(endless, [], |row| row.get::<_, i64>(0))?));
    assert_eq!(cut.unwrap_err().kind, Kind::Invalid);
    assert_eq!(store.read(|_| Ok(1)).unwrap(), 1);
}

#[test]
fn readers_cannot_write() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert!(store.read(|tx| Ok(tx.execute("DELETE FROM log", [])?)).is_err());
    assert_eq!(store.read(|_| Ok(1)).unwrap(), 1);
}

#[test]
fn the_lookups_people_do_use_indexes() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    store.append_lines(of(1, &function), vec![line(1, "x")]).unwrap();
    let plan = |sql: &str| {
        let other = fixture.other_program();
        let mut statement = other.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        rows.map(|row| row.unwrap()).collect::<Vec<_>>().join("; ")
    };
    let by_request = plan("SELECT SCF_Message FROM logs WHERE SCF_RequestId = 'x' ORDER BY id");
    assert!(by_request.contains("log_invocation"), "{by_request}");
    let one = plan("SELECT result FROM invocations WHERE request_id = 'x'");
    assert!(!one.contains("SCAN i"), "{one}");
}
