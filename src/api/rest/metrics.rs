//! `/metrics`: Prometheus text, version 0.0.4. Runs under the names of OpenTelemetry's FaaS conventions, the rest under
//! our own.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::api::rest::Rest;
use crate::api::rest::call::Call;
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
    let (sizes, pool) = (rest.parts.store.sizes()?, rest.parts.pool.numbers());
    let (running, events) = (rest.parts.invoker.running().len(), rest.parts.events.numbers());
    let room = rest.parts.store.room() as u8;
    let indexed = rest.parts.store.indexed()?;
    let gauges: [(&str, &str, String); 17] = [
        ("fnlite_runs_running", "Runs that have not ended.", running.to_string()),
        (
            "fnlite_events_waiting",
            "Events that wait for a run.",
            events.events.saturating_sub(events.running).to_string(),
        ),
        ("fnlite_events_running", "Events that run.", events.running.to_string()),
        ("fnlite_events_bytes", "Size of the events that wait or run.", events.bytes.to_string()),
        (
            "fnlite_dead_letters",
            "Events given up that nobody replayed or dropped.",
            rest.parts.store.dead_letters_count()?.to_string(),
        ),
        ("fnlite_store_queue_orders", "Writes waiting for the recorder.", sizes.queued.to_string()),
        ("fnlite_store_queue_orders_max", "Most writes that can wait.", sizes.queued_max.to_string()),
        ("fnlite_store_db_bytes", "Size of the database file.", sizes.db_bytes.to_string()),
        ("fnlite_store_wal_bytes", "Size of its write-ahead log.", sizes.wal_bytes.to_string()),
        ("fnlite_store_disk_free_bytes", "Free space on its disk.", sizes.disk_free_bytes.to_string()),
        (
            "fnlite_store_disk_low_bytes",
            "Free space below which things are given up.",
            sizes.disk_low_bytes.to_string(),
        ),
        (
            "fnlite_store_disk_level",
            "0: plenty of space; 1: log lines of users are not stored; 2: nor are events and deploys; 3: nor runs.",
            room.to_string(),
        ),
        (
            "fnlite_log_lines_unindexed",
            "Log lines whose words could be indexed and are not.",
            indexed.missing_lines().to_string(),
        ),
        ("fnlite_pool_zygotes", "Loaded versions that fork.", pool.zygotes.to_string()),
        ("fnlite_pool_instances_parked", "Instances waiting for an event.", pool.parked.to_string()),
        ("fnlite_pool_memory_used_mb", "Memory of what runs, as configured.", pool.used_mb.to_string()),
        ("fnlite_pool_memory_total_mb", "Memory of what may run at once.", pool.total_mb.to_string()),
    ];
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        line(text, name, "", value);
    }
    let counters: [(&str, &str, u64); 7] = [
        ("fnlite_events_accepted_total", "Events accepted.", events.accepted),
        ("fnlite_events_retried_total", "Attempts that were followed by another one.", events.retried),
        ("fnlite_events_given_up_total", "Events given up.", events.given_up),
        (
            "fnlite_log_lines_dropped_total",
            "Log lines dropped because the disk was too slow.",
            sizes.lines_dropped,
        ),
        (
            "fnlite_log_lines_shed_total",
            "Log lines dropped because the disk was nearly full.",
            sizes.lines_shed,
        ),
        ("fnlite_retention_runs_total", "Runs deleted because they were old.", sizes.runs_deleted),
        ("fnlite_retention_log_lines_total", "Log lines deleted with them.", sizes.lines_deleted),
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
