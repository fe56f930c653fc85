//! `fnlite logs`: what functions printed, oldest line first, gathered by run; with `-f`, what they print from now on.

use std::io::{self, Write};

use crate::api::wire::{Lines, Runs};
use crate::cli::Context;
use crate::cli::api::{Answer, Api, Query};
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow_logs::{self, Followed};
use crate::cli::lines::Printer;
use crate::cli::moment::Moment;
use crate::cli::output::Out;
use crate::model::limits;

mod counts;

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
    /// Not older than that: 15m, 2h, 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Not newer than that, written the same way
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Of runs with that ending only: succeeded, failed, expired, dead, or a status code such as 433
    #[arg(long, conflicts_with = "request_id")]
    status: Option<String>,
    /// The newest that many lines, 1 to 1000 [default: 100]; with --status, of the newest that many runs [default: 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// That match only: 'error AND NOT timeout', 'SCF_StatusCode>=430', 'user:42', '/took [0-9]{4}ms/'
    #[arg(long, short, value_name = "QUERY", allow_hyphen_values = true)]
    query: Option<String>,
    /// Tell upper and lower case apart in the query
    #[arg(long, requires = "query")]
    case: bool,
    /// Show so many lines of the same run before and behind each, 0 to 20
    #[arg(long, short = 'C', value_name = "N", conflicts_with_all = ["follow", "request_id", "status"])]
    context: Option<u32>,
    /// Print all lines, or as many as --limit says, for programs, as they come from the server
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["follow", "status"])]
    export: Option<Export>,
    /// Count them instead, by time or by function, level, status and version
    #[arg(long, value_name = "BY", conflicts_with_all = ["follow", "status", "context", "export", "limit"])]
    count: Option<Count>,
    /// Go on with what is printed from now on; --since, --limit and --request-id show older lines first
    #[arg(long, short, conflicts_with_all = ["until", "status"])]
    follow: bool,
}

/// How all lines are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Export {
    /// A JSON object for each line
    Ndjson,
    /// Comma-separated values under a head
    Csv,
}

/// What lines are counted by.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Count {
    /// When they were printed
    Time,
    /// What they have in common
    Kind,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.follow {
        return follow_logs::run(followed(args, context.times().now_us), context).map(|never| match never {});
    }
    let now_us = context.times().now_us;
    match (args.count, args.export) {
        (Some(Count::Time), _) => return counts::by_time(filters(args, now_us), context),
        (Some(Count::Kind), _) => return counts::by_kind(filters(args, now_us), context),
        (None, Some(format)) => return export(args, format, context),
        (None, None) => {}
    }
    let answers = ask(args, &mut context.api()?, now_us)?;
    if context.out.json {
        answers.iter().try_for_each(|answer| context.out.data(answer.body()))?;
        return Ok(Exit::Done);
    }
    let mut lines = Vec::new();
    for answer in &answers {
        let page: Lines = answer.json()?;
        if page.partial {
            context.out.note(
                "looking took too long, so older lines may be missing; --since says how far back to look",
            );
        }
        lines.extend(page.lines);
    }
    tell_of_more(args, lines.len(), context);
    if args.request_id.is_none() && args.status.is_none() {
        // Asked for newest first, so that the limit leaves out old ones.
        lines.reverse();
    }
    if lines.is_empty() {
        context.out.note("no such lines");
        return Ok(Exit::Done);
    }
    let text = Printer::new(context.out, context.times()).lines(&lines);
    context.out.data(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Says that a limit left something out, where it may have.
fn tell_of_more(args: &Args, lines: usize, context: &Context) {
    let limit = |default: u32| args.limit.unwrap_or(default);
    if args.status.is_some() {
        context.out.note(&format!("of the newest {} such runs at most; see --limit", limit(RUNS_DEFAULT)));
    } else if args.request_id.is_none()
        && lines == usize::try_from(limit(LINES_DEFAULT)).unwrap_or(usize::MAX)
    {
        context.out.note(&format!("these are the newest {lines} lines; see --limit, --since and --count"));
    }
}

/// What is followed. Older lines are shown where something says which.
fn followed(args: &Args, now_us: i64) -> Followed {
    let filters = vec![
        ("function", args.function.clone()),
        ("request_id", args.request_id.clone()),
        ("q", args.query.clone()),
        ("case", case(args)),
    ];
    let has_backlog = args.since.is_some() || args.limit.is_some() || args.request_id.is_some();
    let limit_default = if args.request_id.is_some() { limits::PAGE_MAX } else { LINES_DEFAULT };
    let backlog = has_backlog.then(|| {
        let limit = args.limit.unwrap_or(limit_default).to_string();
        let since = args.since.as_ref().map(|moment| moment.asked(now_us));
        [filters.clone(), vec![("since", since), ("limit", Some(limit))]].concat()
    });
    Followed { filters, backlog }
}

/// The pages of lines that were asked for.
fn ask(args: &Args, api: &mut Api, now_us: i64) -> Result<Vec<Answer>, Failure> {
    match (&args.request_id, &args.status) {
        (Some(id), _) => whole_log(args, api, id),
        (None, None) => Ok(vec![api.get("/v1/logs", newest_lines(args, now_us))?]),
        (None, Some(status)) => {
            let runs: Runs = api.get("/v1/invocations", newest_runs(args, status, now_us))?.json()?;
            // The server lists the newest run first; a log reads the other way.
            let logs = runs.invocations.iter().rev().map(|run| whole_log(args, api, &run.request_id));
            Ok(logs.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
    }
}

fn newest_lines(args: &Args, now_us: i64) -> Query {
    let page = vec![
        ("context", args.context.map(|lines| lines.to_string())),
        ("order", Some("desc".to_owned())),
        ("limit", Some(args.limit.unwrap_or(LINES_DEFAULT).to_string())),
    ];
    [filters(args, now_us), page].concat()
}

/// Which lines are meant.
fn filters(args: &Args, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("request_id", args.request_id.clone()),
        ("q", args.query.clone()),
        ("case", case(args)),
        ("since", args.since.as_ref().map(|moment| moment.asked(now_us))),
        ("until", args.until.as_ref().map(|moment| moment.asked(now_us))),
    ]
}

fn case(args: &Args) -> Option<String> {
    args.case.then(|| "match".to_owned())
}

/// Passes on what the server writes.
fn export(args: &Args, format: Export, context: &Context) -> Result<Exit, Failure> {
    let format = match format {
        Export::Ndjson => "ndjson",
        Export::Csv => "csv",
    };
    let rest = vec![
        ("format", Some(format.to_owned())),
        ("context", args.context.map(|lines| lines.to_string())),
        ("order", Some("asc".to_owned()).filter(|_| args.limit.is_none())),
        ("limit", args.limit.map(|limit| limit.to_string())),
    ];
    let query = [filters(args, context.times().now_us), rest].concat();
    let mut out = Passed { out: context.out, is_closed: false };
    match context.api()?.download("GET", "/v1/logs", query, &mut out) {
        Err(failure) if !out.is_closed => Err(failure),
        _ => Ok(Exit::Done),
    }
}

/// Standard output. That nobody reads it any more (`| head`) is an end like any other.
#[derive(Debug)]
struct Passed {
    out: Out,
    is_closed: bool,
}

impl Write for Passed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A terminal is not commanded by what functions print; for programs every byte is passed on as it is.
        let shown = self
            .out
            .is_watched
            .then(|| self.out.foreign(&String::from_utf8_lossy(bytes).replace("\r\n", "\n")));
        let written = io::stdout().write_all(shown.as_ref().map_or(bytes, |text| text.as_bytes()));
        self.is_closed = written.as_ref().is_err_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn newest_runs(args: &Args, status: &str, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("status", Some(status.to_owned())),
        ("since", args.since.as_ref().map(|moment| moment.asked(now_us))),
        ("until", args.until.as_ref().map(|moment| moment.asked(now_us))),
        ("limit", Some(args.limit.unwrap_or(RUNS_DEFAULT).to_string())),
    ]
}

/// Every line of one run that matches, page by page. The caps on a run's log bound it.
fn whole_log(args: &Args, api: &mut Api, request_id: &str) -> Result<Vec<Answer>, Failure> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let query = vec![
            ("request_id", Some(request_id.to_owned())),
            ("q", args.query.clone()),
            ("case", case(args)),
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
