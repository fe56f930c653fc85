//! `fnlite dead`: the events that were given up, to look at, to run again, or to let go.
//!
//! What concerns all of them (`--all`) is gathered first and then done one by one, the oldest first: an event that is given up
//! again meanwhile is a new dead letter and not taken a second time. One that cannot be replayed or dropped does not keep the
//! others from it, unless the server refuses for a reason that would hold for them as well.

use clap::Subcommand;

use crate::api::wire::{Accepted, DeadLetters, Run};
use crate::base::text;
use crate::cli::api::{Answer, Api, Query, encoded};
use crate::cli::exit::{Exit, Failure};
use crate::cli::moment::Moment;
use crate::cli::output::Style;
use crate::cli::table::Table;
use crate::cli::times::Times;
use crate::cli::{Context, show, state};
use crate::model::limits;

/// Where they are.
const PATH: &str = "/v1/dead-letters";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, the newest event first
    List(ListArgs),
    /// Show one: its event, how its last attempt went, why it was given up
    Show {
        /// Its request ID
        id: String,
    },
    /// Run them again, each as a new run that takes its place
    Replay(Chosen),
    /// Let them go; their runs and logs stay
    Drop(Chosen),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of that function only
    function: Option<String>,
    /// Of events not older than that: 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Of events not newer than that: 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// At most that many, 1 to 1000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "all")]
    limit: u32,
    /// Every one of them
    #[arg(long)]
    all: bool,
    /// Go on where a page of --json ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Which dead letters something is done to.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// Their request IDs
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Every one, or every one of that function, without a question
    #[arg(long, value_name = "FUNCTION", conflicts_with = "ids")]
    all: Option<Option<String>>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::List(args) => list(args, context),
        Action::Show { id } => show(id, context),
        Action::Replay(chosen) => replay(chosen, context),
        Action::Drop(chosen) => drop_them(chosen, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<Exit, Failure> {
    let (mut api, times) = (context.api()?, context.times());
    let (filters, cursor) = (filters(args, times.now_us), args.cursor.clone());
    let pages = match args.all {
        true => whole_list(&mut api, &filters, cursor)?,
        false => vec![page(&mut api, &filters, args.limit, cursor)?],
    };
    if context.out.json {
        pages.iter().try_for_each(|page| context.out.data(page.body()))?;
        return Ok(Exit::Done);
    }
    let (letters, has_more) = letters(&pages)?;
    if letters.is_empty() {
        context.out.note("no such dead letters");
        return Ok(Exit::Done);
    }
    context.out.data(table(&letters, times).render(&context.out).as_bytes())?;
    if has_more {
        context.out.note(&format!("there are more than {}; see --limit, --all and --since", args.limit));
    }
    Ok(Exit::Done)
}

fn show(id: &str, context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get(&path(id), Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let letter: Run = answer.json()?;
    context.out.data(show::render(&letter, context.times(), &context.out).as_bytes())?;
    context.out.note(&format!("`fnlite show {id}` tells of every attempt, with its log"));
    Ok(Exit::Done)
}

fn replay(chosen: &Chosen, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    let ids = chosen.ids(&mut api)?;
    let did = for_each(&ids, context, |id| {
        let answer = api.send("POST", &format!("{}/replay", path(id)), Vec::new(), b"")?.accepted()?;
        let Accepted { request_id } = answer.json()?;
        let said = match context.out.json {
            true => serde_json::json!({ "dead_letter": id, "request_id": request_id }).to_string(),
            false => format!("{id} -> {request_id}"),
        };
        context.out.data(said.as_bytes())
    });
    did.told("replayed", context)
}

fn drop_them(chosen: &Chosen, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    let ids = chosen.ids(&mut api)?;
    let did =
        for_each(&ids, context, |id| api.send("DELETE", &path(id), Vec::new(), b"")?.accepted().map(|_| ()));
    did.told("dropped", context)
}

fn path(id: &str) -> String {
    format!("{PATH}/{}", encoded(id))
}

impl Chosen {
    fn ids(&self, api: &mut Api) -> Result<Vec<String>, Failure> {
        let Some(function) = &self.all else { return Ok(self.ids.clone()) };
        let pages = whole_list(api, &vec![("function", function.clone())], None)?;
        let (letters, _) = letters(&pages)?;
        Ok(letters.into_iter().rev().map(|letter| letter.request_id).collect())
    }
}

/// What was done.
#[derive(Debug)]
struct Did {
    count: u32,
    /// The first one that could not be done.
    failure: Option<Failure>,
}

impl Did {
    fn told(self, word: &str, context: &Context) -> Result<Exit, Failure> {
        if !context.out.json && (self.count > 0 || self.failure.is_none()) {
            context.out.note(&format!("{word} {}", text::count(self.count, "dead letter")));
        }
        // It has been told where it happened.
        self.failure.map_or(Ok(Exit::Done), |failure| Err(Failure::new(failure.exit, "")))
    }
}

/// Does it to each. One that is gone is told and passed over; any other failure ends it.
fn for_each(ids: &[String], context: &Context, mut act: impl FnMut(&str) -> Result<(), Failure>) -> Did {
    let mut did = Did { count: 0, failure: None };
    for id in ids {
        let Err(failure) = act(id) else {
            did.count += 1;
            continue;
        };
        if !failure.message.is_empty() {
            let name = context.out.paint(Style::Bad, "fnlite:");
            context.out.note(&format!("{name} {id}: {}", failure.message));
        }
        let is_last = failure.exit != Exit::NotFound;
        did.failure.get_or_insert(failure);
        if is_last {
            break;
        }
    }
    did
}

fn filters(args: &ListArgs, now_us: i64) -> Query {
    vec![
        ("function", args.function.clone()),
        ("since", args.since.as_ref().map(|moment| moment.asked(now_us))),
        ("until", args.until.as_ref().map(|moment| moment.asked(now_us))),
    ]
}

/// A page of those that pass the filters.
fn page(api: &mut Api, filters: &Query, limit: u32, cursor: Option<String>) -> Result<Answer, Failure> {
    let mut query = filters.clone();
    query.extend([("limit", Some(limit.to_string())), ("cursor", cursor)]);
    api.get(PATH, query)
}

/// Every page of them, from the cursor on.
fn whole_list(api: &mut Api, filters: &Query, mut cursor: Option<String>) -> Result<Vec<Answer>, Failure> {
    let mut pages = Vec::new();
    loop {
        let page = page(api, filters, limits::PAGE_MAX, cursor)?;
        cursor = page.json::<DeadLetters>()?.next_cursor;
        pages.push(page);
        if cursor.is_none() {
            return Ok(pages);
        }
    }
}

/// Those of all pages, and whether there are more.
fn letters(pages: &[Answer]) -> Result<(Vec<Run>, bool), Failure> {
    let mut letters = Vec::new();
    let mut has_more = false;
    for page in pages {
        let page: DeadLetters = page.json()?;
        has_more = page.next_cursor.is_some();
        letters.extend(page.dead_letters);
    }
    Ok((letters, has_more))
}

fn table(letters: &[Run], times: Times) -> Table {
    let mut table =
        Table::new(&["REQUEST", "FUNCTION", "STATUS", "RETRY", "ACCEPTED", "GIVEN UP", "WHY", "ERROR"]);
    for letter in letters {
        table.row([
            letter.request_id.clone(),
            letter.function.clone(),
            state::brief(letter),
            state::retry_cell(letter),
            times.past(letter.created_us),
            times.past(letter.died_us),
            text::first_line(&letter.reason),
            text::first_line(&letter.error),
        ]);
        table.style(2, state::style(letter));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Out;

    #[test]
    fn the_table_tells_when_and_why() {
        let page: DeadLetters = serde_json::from_str(
            r#"{"dead_letters":[{"request_id":"a1","namespace":"default","function":"hello","qualifier":"$LATEST","source":"rest",
            "state":"dead","status":430,"retry_num":2,"created_us":1000000,"started_us":2000000,"ended_us":122000000,"duration_us":5,
            "init_us":0,"memory_mb":128,"memory_used_kb":9,"error":"user code exception caught","died_us":122000000,
            "reason":"the function failed and its retries are used up"}],"next_cursor":null}"#,
        )
        .unwrap();
        let times = Times { now_us: 130_000_000, are_utc: false };
        let expected = "\
REQUEST  FUNCTION  STATUS      RETRY  ACCEPTED   GIVEN UP  WHY                                              ERROR
a1       hello     dead (430)  2      2 min ago  8 s ago   the function failed and its retries are used up  user code exception caught
";
        assert_eq!(table(&page.dead_letters, times).render(&Out::plain()), expected);
    }
}
