//! `fnlite show`: everything about one run, on one screen.

use serde_json::value::RawValue;

use crate::api::wire::{Attempt, Run};
use crate::base::length::Length;
use crate::base::text;
use crate::cli::exit::{Exit, Failure};
use crate::cli::lines::render_lines;
use crate::cli::output::{Out, Style};
use crate::cli::times::Times;
use crate::cli::{Context, follow, state};

/// Characters of an event or result that are shown before it is cut.
const VALUE_CHARS_MAX: usize = 2000;
/// Characters of the timeline's bar.
const BAR_CHARS: usize = 48;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request ID, as `invoke` and the log print it
    request_id: String,
    /// Wait for its end first, at most that long if told
    #[arg(long, value_name = "TIME", require_equals = true)]
    wait: Option<Option<Length>>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (mut api, mut exit) = (context.api()?, Exit::Done);
    let answer = match args.wait {
        Some(patience) => {
            let (answer, run) =
                follow::until_over(&mut api, &args.request_id, patience.map(|length| length.0))?;
            if !run.is_over() {
                context.out.note("the time of --wait is up, and it is not over");
                exit = Exit::Error;
            }
            answer
        }
        None => api.get(&follow::path(&args.request_id), Vec::new())?,
    };
    if context.out.json {
        return context.out.data(answer.body()).map(|()| exit);
    }
    let run: Run = answer.json()?;
    context.out.data(render(&run, context.times(), &context.out).as_bytes())?;
    Ok(exit)
}

/// The run on one screen.
pub(super) fn render(run: &Run, times: Times, out: &Out) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let indented = value.trim_end().replace('\n', "\n           ");
        text += &format!("{} {indented}\n", out.paint(Style::Dim, &format!("{name:<10}")));
    };
    field("request", &out.paint(Style::Bold, &run.request_id));
    field(
        "function",
        &format!(
            "{} ({}) in namespace {}, called by {}",
            run.function, run.qualifier, run.namespace, run.source
        ),
    );
    field("status", &out.paint(state::style(run), &state::whole(run, times)));
    if run.died_us > 0 {
        field("given up", &format!("{}, {}", times.past(run.died_us), run.reason));
    }
    field("accepted", &times.exact(run.created_us));
    if !run.attempts.is_empty() {
        field("attempts", &attempts(&run.attempts, times));
    }
    if is_told_whole(run) {
        field(
            "took",
            &match text::memory(run.memory_used_kb) {
                Some(used) => format!("{}, {used} of {} MB", text::length(run.duration_us), run.memory_mb),
                None => text::length(run.duration_us),
            },
        );
        field("timeline", &timeline(&run.spans(), out));
    }
    if let Some(event) = &run.event {
        field("event", &value(event, out));
    }
    match (&run.result, run.has_failed()) {
        (Some(result), false) => field("returned", &value(result, out)),
        (Some(_), true) => field("error", &out.foreign(&run.failure())),
        (None, _) => {}
    }
    if !run.log.is_empty() {
        text += &format!("{}\n", out.paint(Style::Dim, "log"));
    }
    text += &render_lines(&run.log, times, out);
    if run.log_next_cursor.is_some() {
        let rest = format!("  ... `fnlite logs --request-id {}` prints the rest", run.request_id);
        text += &format!("{}\n", out.paint(Style::Dim, &rest));
    }
    text
}

/// Whether it ended with the attempt that its record tells of; one that became too old while it waited for another attempt did
/// not.
fn is_told_whole(run: &Run) -> bool {
    run.is_over() && run.attempts.iter().all(|attempt| attempt.retry_num != run.retry_num)
}

/// A line each: which, its status, when it ended, how long it took, the error.
fn attempts(attempts: &[Attempt], times: Times) -> String {
    let lines = attempts.iter().map(|attempt| {
        format!(
            "{:<8}  {}  {:<10}  {:<8}  {}",
            state::attempt(attempt.retry_num),
            attempt.status,
            times.past(attempt.ended_us),
            text::length(attempt.duration_us),
            text::first_line(&attempt.error)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn value(json: &RawValue, out: &Out) -> String {
    let text = json.get();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => {
            format!("{}... ({}; see --json)", out.foreign(&text[..end]), text::size(text.len() as u64))
        }
        None => out.foreign(text),
    }
}

/// `queue 0.10 ms, init 12.00 ms, run 1.20 ms` over a bar in proportion.
fn timeline(spans: &[(&'static str, i64)], out: &Out) -> String {
    const FILLS: [&str; 4] = ["·", "▒", "█", "░"];
    let total_us: i64 = spans.iter().map(|(_, us)| us).sum();
    let parts: Vec<String> = spans
        .iter()
        .zip(FILLS)
        .filter(|((_, us), _)| *us > 0)
        .map(|((name, us), fill)| format!("{fill} {name} {}", text::length(*us)))
        .collect();
    let bar: String =
        spans.iter().zip(FILLS).map(|((_, us), fill)| fill.repeat(share(*us, total_us))).collect();
    if out.is_watched { format!("{}\n{bar}", parts.join("  ")) } else { parts.join("  ") }
}

/// Characters of the bar for `us` of `total_us`; what took any time at all is seen.
fn share(us: i64, total_us: i64) -> usize {
    match (us, total_us) {
        (1.., 1..) => usize::try_from(us * BAR_CHARS as i64 / total_us).unwrap_or(BAR_CHARS).max(1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rest: &str) -> Run {
        let text = format!(
            r#"{{"request_id":"4ca7089c-3bb0-48cf-bcdb-26d130fed2ae","namespace":"default","function":"hello","qualifier":"$LATEST",
            "source":"rest","created_us":1767323045000000,"started_us":1767323045012500,"ended_us":1767323045014000,"duration_us":1240,
            "init_us":12000,"memory_mb":128,"memory_used_kb":9216,"event":{{"n":1.10}},{rest}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Seen that many seconds after the run was accepted.
    fn ago(seconds: i64) -> Times {
        Times { now_us: 1_767_323_045_000_000 + seconds * 1_000_000, are_utc: false }
    }

    #[test]
    fn a_run_that_returned() {
        let run = sample(
            r#""state":"succeeded","status":200,"result":[1, 2],
            "log":[{"ts_us":1767323045013000,"stream":"stdout","level":"INFO","message":"hi"}]"#,
        );
        let expected = "\
request    4ca7089c-3bb0-48cf-bcdb-26d130fed2ae
function   hello ($LATEST) in namespace default, called by rest
status     succeeded (200)
accepted   1 min ago, 2026-01-02 03:04:05.000 UTC
took       1.24 ms, 9.0 MB of 128 MB
timeline   · queue 500 µs  ▒ init 12.00 ms  █ run 1.24 ms  ░ finish 260 µs
event      {\"n\":1.10}
returned   [1, 2]
log
  03:04:05.013   hi
";
        assert_eq!(render(&run, ago(60), &Out::plain()), expected);
    }

    #[test]
    fn a_run_that_failed_shows_its_traceback() {
        let run = sample(
            r#""state":"failed","status":430,"error":"user code exception caught",
            "result":{"errorCode":-1,"errorMessage":"user code exception caught","requestId":"x","stackTrace":"Traceback\n  line","statusCode":430}"#,
        );
        let text = render(&run, ago(60), &Out::plain());
        assert!(text.contains("status     failed (430)\n"), "{text}");
        assert!(text.contains("error      Traceback\n             line\n"), "{text}");
    }

    #[test]
    fn an_event_that_is_tried_again_shows_its_attempts() {
        let run = sample(
            r#""state":"running","status":202,"retry_num":2,"attempts":[
            {"retry_num":0,"status":430,"started_us":1767323045012000,"ended_us":1767323045013000,"duration_us":1000,"error":"no\nmore"},
            {"retry_num":1,"status":500,"started_us":1767323105013000,"ended_us":1767323105014000,"duration_us":0,"error":"died"}],
            "log":[{"ts_us":1767323045013000,"stream":"stdout","level":"INFO","message":"hi"},
            {"ts_us":1767323105013000,"retry_num":1,"stream":"stdout","level":"INFO","message":"again"}]"#,
        );
        let expected = "\
request    4ca7089c-3bb0-48cf-bcdb-26d130fed2ae
function   hello ($LATEST) in namespace default, called by rest
status     running, retry 2
accepted   2 min ago, 2026-01-02 03:04:05.000 UTC
attempts   first     430  2 min ago   1.00 ms   no
           retry 1   500  1 min ago   0 µs      died
event      {\"n\":1.10}
log
  03:04:05.013   hi
  retry 1
  03:05:05.013   again
";
        assert_eq!(render(&run, ago(121), &Out::plain()), expected);
    }

    #[test]
    fn what_became_too_old_took_no_more_time_than_its_attempts() {
        let run = sample(
            r#""state":"expired","status":430,"attempts":[{"retry_num":0,"status":430,"started_us":1767323045012500,
            "ended_us":1767323045014000,"duration_us":1240,"error":"no"}],"log":[],"log_next_cursor":"7""#,
        );
        let text = render(&run, ago(60), &Out::plain());
        assert!(text.contains("attempts   first     430") && !text.contains("timeline"), "{text}");
        assert!(
            text.ends_with(
                "... `fnlite logs --request-id 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae` prints the rest\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_bar_shows_every_part() {
        assert_eq!(
            [share(0, 100), share(1, 1_000_000), share(50, 100), share(100, 100), share(1, 0)],
            [0, 1, 24, 48, 0]
        );
    }
}
