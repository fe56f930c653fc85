//! `fnlite bench --async`: how fast events are kept, and how fast the server then runs them.
//!
//! The server's own numbers (`/metrics`) tell when nothing waits or runs any more, so the load should be the only one: events
//! of others are waited for as well and counted where they are retried or given up. What is measured ends with the look that
//! finds nothing, so up to [`LOOK_EVERY`] late.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::base::clock::{Clock, SystemClock};
use crate::base::text;
use crate::cli::api::Api;
use crate::cli::bench::{self, Args, Latencies};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::Report;
use crate::cli::output::{Out, Style};

/// Between two looks at the server's numbers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The report as JSON.
#[derive(Debug, Serialize)]
struct Figures {
    connections: u16,
    /// How long events were handed over.
    duration_s: f64,
    rate_asked_per_s: Option<f64>,
    accepted_per_s: f64,
    accepted: u64,
    refused: u64,
    lost: u64,
    #[serde(flatten)]
    latencies: Latencies,
    /// From the first event handed over to the last end.
    executed_in_s: f64,
    executed_per_s: f64,
    executed: u64,
    retried: u64,
    given_up: u64,
    /// Not over when the time to wait was.
    waiting: u64,
}

/// The server's numbers of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    /// That wait or run.
    unfinished: u64,
    retried: u64,
    given_up: u64,
}

pub(super) fn run(args: &Args, api: &mut Api, out: &Out) -> Result<Exit, Failure> {
    let before = numbers(api)?;
    if before.unfinished > 0 {
        out.note(&format!("{} events wait or run already; they are measured as well", before.unfinished));
    }
    let began = SystemClock.now();
    let report = bench::load(args, api, vec![("type", Some("event".to_owned()))], out)?;
    let after = wait(api, SystemClock.now() + args.wait.0)?;
    let figures = figures(args, &report, SystemClock.now() - began, before, after);
    let said = match out.json {
        true => serde_json::to_string(&figures).expect("numbers always become JSON"),
        false => render(&figures, out),
    };
    out.data(said.as_bytes())?;
    match figures.bad() {
        _ if figures.waiting > 0 && !args.wait.0.is_zero() => {
            Err(Failure::new(Exit::Error, format!("not all events were run within {}", args.wait)))
        }
        0 => Ok(Exit::Done),
        _ => Ok(Exit::FunctionFailed),
    }
}

/// The numbers once nothing waits or runs, or as they are at the deadline.
fn wait(api: &mut Api, deadline: Instant) -> Result<Numbers, Failure> {
    loop {
        let is_last = SystemClock.now() >= deadline;
        let numbers = numbers(api)?;
        if is_last || numbers.unfinished == 0 {
            return Ok(numbers);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn numbers(api: &mut Api) -> Result<Numbers, Failure> {
    let answer = api.get("/metrics", Vec::new())?;
    let text = String::from_utf8_lossy(answer.body());
    Numbers::parse(&text).ok_or_else(|| {
        Failure::new(Exit::Error, "the server tells no numbers of events; is it older than this?")
    })
}

impl Numbers {
    fn parse(text: &str) -> Option<Numbers> {
        let number = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
        };
        let (waiting, running) = (number("fnlite_events_waiting")?, number("fnlite_events_running")?);
        Some(Numbers {
            unfinished: waiting + running,
            retried: number("fnlite_events_retried_total")?,
            given_up: number("fnlite_events_given_up_total")?,
        })
    }
}

fn figures(args: &Args, report: &Report, elapsed: Duration, before: Numbers, after: Numbers) -> Figures {
    let executed = report.succeeded.saturating_sub(after.unfinished);
    let elapsed_s = elapsed.as_secs_f64();
    Figures {
        connections: args.connections,
        duration_s: report.elapsed.as_secs_f64(),
        rate_asked_per_s: args.rate,
        accepted_per_s: report.succeeded as f64 / report.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        accepted: report.succeeded,
        refused: report.failed,
        lost: report.lost,
        latencies: Latencies::of(&report.latencies),
        executed_in_s: elapsed_s,
        executed_per_s: executed as f64 / elapsed_s.max(f64::MIN_POSITIVE),
        executed,
        retried: after.retried.saturating_sub(before.retried),
        given_up: after.given_up.saturating_sub(before.given_up),
        waiting: after.unfinished,
    }
}

impl Figures {
    /// Events that did not go as they should.
    fn bad(&self) -> u64 {
        self.refused + self.lost + self.given_up
    }
}

fn render(figures: &Figures, out: &Out) -> String {
    let style = |bad: u64| if bad == 0 { Style::Good } else { Style::Bad };
    let accepted = out.paint(Style::Bold, &format!("{:.0} accepted a second", figures.accepted_per_s));
    let executed = out.paint(Style::Bold, &format!("{:.0} executed a second", figures.executed_per_s));
    let refused = format!("{} refused, {} without an answer", figures.refused, figures.lost);
    let given_up = format!("{} given up, {} not run yet", figures.given_up, figures.waiting);
    format!(
        "{accepted} on {}, {} in {:.2} s, {}\n{}\n{executed}, {} in {:.2} s, {} retried, {}\n",
        text::count(figures.connections.into(), "connection"),
        figures.accepted,
        figures.duration_s,
        out.paint(style(figures.refused + figures.lost), &refused),
        figures.latencies.render(),
        figures.executed,
        figures.executed_in_s,
        figures.retried,
        out.paint(style(figures.given_up + figures.waiting), &given_up),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_numbers_are_found() {
        let text = "\
# HELP fnlite_events_waiting Events that wait for a run.
# TYPE fnlite_events_waiting gauge
fnlite_events_waiting 3
fnlite_events_waiting_longest 99
fnlite_events_running 2
fnlite_events_retried_total 7
fnlite_events_given_up_total 1
";
        assert_eq!(Numbers::parse(text), Some(Numbers { unfinished: 5, retried: 7, given_up: 1 }));
        assert_eq!(Numbers::parse("fnlite_events_waiting 3\n"), None);
    }
}
