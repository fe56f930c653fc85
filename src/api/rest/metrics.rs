//! `/metrics`: Prometheus text, version 0.0.4. Runs under the names of OpenTelemetry's FaaS conventions, the rest under
//! our own.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::api::rest::Rest;
use crate::api::rest::call::Call;
use crate::api::rest::gauges::Gauges;
use crate::error::Result;
use crate::http::response::Response;
use crate::service::metrics::{Counters, DURATION_BOUNDS_S};

pub(super) fn get(rest: &Rest, _: Call) -> Result<Response> {
    let mut text = String::new();
    let functions = rest.parts.invoker.metrics().all();
    counters(&mut text, &functions);
    durations(&mut text, &functions);
    gauges(&mut text, rest)?;
    Ok(Response::new(200)
        .with_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        .with_bytes(text.into_bytes()))
}

/// What of a function's counters a series shows.
type Pick = fn(&Counters) -> &AtomicU64;

fn counters(text: &mut String, functions: &[std::sync::Arc<Counters>]) {
    let series: [(&str, &str, &str, Pick); 5] = [
        ("faas_invocations_total", "counter", "Runs that ended.", |c| &c.invocations),
        ("faas_errors_total", "counter", "Runs that did not return.", |c| &c.errors),
        ("faas_timeouts_total", "counter", "Runs that timed out.", |c| &c.timeouts),
        ("faas_coldstarts_total", "counter", "Runs that had to load the code first.", |c| &c.coldstarts),
        ("faas_mem_usage_max_kibibytes", "gauge", "Most memory a run used.", |c| &c.memory_max_kb),
    ];
    for (name, kind, help, pick) in series {
        describe(text, name, kind, help);
        for counters in functions {
            line(text, name, &labels(counters), pick(counters).load(Ordering::Relaxed));
        }
    }
}

fn durations(text: &mut String, functions: &[std::sync::Arc<Counters>]) {
    const NAME: &str = "faas_invoke_duration_seconds";
    describe(text, NAME, "histogram", "How long handlers ran.");
    for counters in functions {
        let labels = labels(counters);
        let mut so_far = 0;
        for (bound, count) in DURATION_BOUNDS_S.iter().zip(&counters.durations) {
            so_far += count.load(Ordering::Relaxed);
            line(text, &format!("{NAME}_bucket"), &format!("{labels},le=\"{bound}\""), so_far);
        }
        let all = counters.invocations.load(Ordering::Relaxed).max(so_far);
        line(text, &format!("{NAME}_bucket"), &format!("{labels},le=\"+Inf\""), all);
        let sum =
            std::time::Duration::from_micros(counters.duration_us.load(Ordering::Relaxed)).as_secs_f64();
        line(text, &format!("{NAME}_sum"), &labels, sum);
        line(text, &format!("{NAME}_count"), &labels, all);
    }
}

fn gauges(text: &mut String, rest: &Rest) -> Result<()> {
    let now = Gauges::read(rest)?;
    let gauges: [(&str, &str, u64); 20] = [
        ("fnlite_functions", "Functions that are deployed.", now.functions),
        ("fnlite_runs_running", "Runs that have not ended.", now.runs_running),
        ("fnlite_events_waiting", "Events that wait for a run.", now.events_waiting),
        ("fnlite_events_running", "Events that run.", now.events_running),
        ("fnlite_events_max", "Most events that wait or run.", now.events_max),
        ("fnlite_events_bytes", "Size of the events that wait or run.", now.events_bytes),
        ("fnlite_events_bytes_max", "Most of that.", now.events_bytes_max),
        ("fnlite_dead_letters", "Events given up that nobody replayed or dropped.", now.dead_letters),
        ("fnlite_store_queue_orders", "Writes waiting for the recorder.", now.writes_waiting),
        ("fnlite_store_queue_orders_max", "Most writes that can wait.", now.writes_waiting_max),
        ("fnlite_store_db_bytes", "Size of the database file.", now.db_bytes),
        ("fnlite_store_wal_bytes", "Size of its write-ahead log.", now.wal_bytes),
        ("fnlite_store_disk_free_bytes", "Free space on its disk.", now.disk_free_bytes),
        ("fnlite_store_disk_low_bytes", "Free space below which things are given up.", now.disk_low_bytes),
        (
            "fnlite_store_disk_level",
            "0: plenty of space; 1: log lines of users are not stored; 2: nor are events and deploys; 3: nor runs.",
            now.disk_level.into(),
        ),
        (
            "fnlite_log_lines_unindexed",
            "Log lines whose words could be indexed and are not.",
            now.log_lines_unindexed,
        ),
        ("fnlite_pool_zygotes", "Loaded versions that fork.", now.zygotes),
        ("fnlite_pool_instances_parked", "Instances waiting for an event.", now.instances_parked),
        ("fnlite_pool_memory_used_mb", "Memory of what runs, as configured.", now.memory_used_mb.into()),
        ("fnlite_pool_memory_total_mb", "Memory of what may run at once.", now.memory_total_mb.into()),
    ];
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        line(text, name, "", value);
    }
    let counters: [(&str, &str, u64); 7] = [
        ("fnlite_events_accepted_total", "Events accepted.", now.events_accepted),
        ("fnlite_events_retried_total", "Attempts that were followed by another one.", now.events_retried),
        ("fnlite_events_given_up_total", "Events given up.", now.events_given_up),
        (
            "fnlite_log_lines_dropped_total",
            "Log lines dropped because the disk was too slow.",
            now.log_lines_dropped,
        ),
        (
            "fnlite_log_lines_shed_total",
            "Log lines dropped because the disk was nearly full.",
            now.log_lines_shed,
        ),
        ("fnlite_retention_runs_total", "Runs deleted because they were old.", now.runs_deleted),
        ("fnlite_retention_log_lines_total", "Log lines deleted with them.", now.log_lines_deleted),
    ];
    for (name, help, value) in counters {
        describe(text, name, "counter", help);
        line(text, name, "", value);
    }
    Ok(())
}

fn labels(counters: &Counters) -> String {
    // Names hold letters, digits, '-' and '_' only, so there is nothing to escape.
    format!("faas_name=\"{}\",namespace=\"{}\"", counters.function, counters.namespace)
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes everything");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(text, "{name}{labels} {value}").expect("a String takes everything");
}
