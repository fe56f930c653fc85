//! `fnlite logs`: what functions printed, oldest line first, gathered by run.

use crate::base::length::Length;
use crate::cli::api::{Answer, Api, Query};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::wire::{Line, Lines, Runs};
use crate::cli::{Context, state, text};
use crate::model::limits;

/// Lines shown unless asked otherwise, where they are not all of one run.
const LINES_DEFAULT: u32 = 100;
/// Runs looked through for their lines where an ending is asked for.
const RUNS_DEFAULT: u32 = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of that function only
    function: Option<String>,
    /// Of that run only
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Not older than that: 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Length>,
    /// Not newer than that: 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    until: Option<Length>,
    /// Of runs with that ending only: succeeded, failed, expired, dead, or a status code such as 433
    #[arg(long, conflicts_with = "request_id")]
    status: Option<String>,
    /// The newest that many lines, 1 to 1000 [default: 100]; with --status, of the newest that many runs [default: 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let answers = ask(args, &mut context.api()?, context.now_us())?;
    if context.out.json {
        answers.iter().try_for_each(|answer| context.out.data(answer.body()))?;
        return Ok(Exit::Done);
    }
    let mut lines = Vec::new();
    for answer in &answers {
        lines.extend(answer.json::<Lines>()?.lines);
    }
    if args.request_id.is_none() && args.status.is_none() {
        // Asked for newest first, so that the limit leaves out old ones.
        lines.reverse();
    }
    if lines.is_empty() {
        context.out.note("no such lines");
        return Ok(Exit::Done);
    }
    context.out.data(render(&lines, &context.out).as_bytes())?;
    Ok(Exit::Done)
}

/// The pages of lines that were asked for.
fn ask(args: &Args, api: &mut Api, now_us: i64) -> Result<Vec<Answer>, Failure> {
    match (&args.request_id, &args.status) {
        (Some(id), _) => whole_log(api, id),
        (None, None) => Ok(vec![api.get("/v1/logs", newest_lines(args, now_us))?]),
        (None, Some(status)) => {
            let runs: Runs = api.get("/v1/invocations", newest_runs(args, status, now_us))?.json()?;
            // The server lists the newest run first; a log reads the other way.
            let logs = runs.invocations.iter().rev().map(|run| whole_log(api, &run.request_id));
            Ok(logs.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
    }
}

fn newest_lines(args: &Args, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("since", args.since.map(|length| text::before(now_us, length))),
        ("until", args.until.map(|length| text::before(now_us, length))),
        ("order", Some("desc".to_owned())),
        ("limit", Some(args.limit.unwrap_or(LINES_DEFAULT).to_string())),
    ]
}

fn newest_runs(args: &Args, status: &str, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("status", Some(status.to_owned())),
        ("since", args.since.map(|length| text::before(now_us, length))),
        ("until", args.until.map(|length| text::before(now_us, length))),
        ("limit", Some(args.limit.unwrap_or(RUNS_DEFAULT).to_string())),
    ]
}

/// Every line of one run, page by page. The caps on a run's log bound it.
fn whole_log(api: &mut Api, request_id: &str) -> Result<Vec<Answer>, Failure> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let query = vec![
            ("request_id", Some(request_id.to_owned())),
            ("order", Some("asc".to_owned())),
            ("limit", Some(limits::PAGE_MAX.to_string())),
            ("cursor", cursor),
        ];
        let page = api.get("/v1/logs", query)?;
        cursor = page.json::<Lines>()?.next_cursor;
        pages.push(page);
        if cursor.is_none() {
            return Ok(pages);
        }
    }
}

/// The lines, with a heading wherever another run begins.
fn render(lines: &[Line], out: &Out) -> String {
    let is_of_one =
        |one: &Line, other: &Line| (&one.function, &one.request_id) == (&other.function, &other.request_id);
    let runs = lines.chunk_by(is_of_one).map(|run| heading(&run[0], out) + &render_lines(run, out));
    runs.collect()
}

fn heading(first: &Line, out: &Out) -> String {
    let day = text::instant(first.ts_us);
    let day = day.split(' ').next().unwrap_or_default();
    let heading = format!("{}  {}  {day} UTC", first.function, first.request_id);
    format!("{}\n", out.paint(Style::Bold, &heading))
}

/// The lines of one run, with a heading wherever another attempt begins.
pub(super) fn render_lines(lines: &[Line], out: &Out) -> String {
    let attempts = lines.chunk_by(|one, other| one.retry_num == other.retry_num);
    let attempts = attempts.map(|lines| {
        let heading = match lines[0].retry_num {
            0 => String::new(),
            number => format!("  {}\n", out.paint(Style::Dim, &state::attempt(number))),
        };
        heading + &lines.iter().map(|line| render_line(line, out)).collect::<String>()
    });
    attempts.collect()
}

fn render_line(line: &Line, out: &Out) -> String {
    let time = out.paint(Style::Dim, &text::clock(line.ts_us));
    let mut message = out.foreign(line.message.trim_end()).replace('\n', "\n                 ");
    if line.level == "ERROR" {
        message = out.paint(Style::Bad, &message);
    } else if line.stream == "platform" {
        message = out.paint(Style::Dim, &message);
    }
    let mark = if line.stream == "stderr" { '!' } else { ' ' };
    format!("  {time} {mark} {message}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_gathered_by_run() {
        let lines: Lines = serde_json::from_str(
            r#"{"lines":[
                {"ts_us":1767323045678901,"request_id":"a1","function":"hello","stream":"platform","level":"INFO","message":"START RequestId: a1"},
                {"ts_us":1767323045679901,"request_id":"a1","function":"hello","stream":"stderr","level":"INFO","message":"one\ntwo\n"},
                {"ts_us":1767323045690000,"request_id":"b2","function":"hello","stream":"stdout","level":"INFO","message":"x"},
                {"ts_us":1767323045691000,"request_id":"b2","function":"hello","retry_num":1,"stream":"stdout","level":"INFO","message":"y"}
            ]}"#,
        )
        .unwrap();
        let expected = "\
hello  a1  2026-01-02 UTC
  03:04:05.678   START RequestId: a1
  03:04:05.679 ! one
                 two
hello  b2  2026-01-02 UTC
  03:04:05.690   x
  retry 1
  03:04:05.691   y
";
        assert_eq!(render(&lines.lines, &Out::plain()), expected);
    }
}
