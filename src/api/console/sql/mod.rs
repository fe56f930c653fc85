//! Statements of SQL: one is written, run, and shown as a table, as bars, or as a file.

use maud::{Markup, html};
use serde_json::json;

use crate::api::console::guard;
use crate::api::console::page::{Shown, table_of};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::Rows;
use crate::base::csv;
use crate::base::text;
use crate::http::response::Response;
use crate::model::limits;
use crate::model::views::{FUNCTIONS, VIEWS};

mod bars;
mod cell;

use cell::Cell;

/// Statements to begin with: what they tell, and how they are written.
const STATEMENTS: [(&str, &str); 7] = [
    (
        "Slowest runs of today",
        "SELECT created, function, duration_ms, request_id\nFROM invocations\nWHERE created >= date('now')\nORDER BY duration_ms DESC LIMIT 20",
    ),
    (
        "Failures by function, this week",
        "SELECT function || ' ' || status AS failure, count(*) AS runs, max(created) AS last\nFROM invocations\nWHERE state IN ('failed', 'expired', 'dead') AND created >= date('now', '-7 days')\nGROUP BY failure ORDER BY runs DESC",
    ),
    (
        "Busiest minutes",
        "SELECT substr(created, 1, 16) AS minute, count(*) AS runs\nFROM invocations\nGROUP BY minute ORDER BY runs DESC LIMIT 20",
    ),
    (
        "Memory by function",
        "SELECT function, max(memory_used_mb) AS used_mb, max(memory_mb) AS limit_mb\nFROM invocations\nGROUP BY function ORDER BY used_mb DESC",
    ),
    (
        "Lines by function",
        "SELECT SCF_FunctionName AS function, count(*) AS lines, sum(SCF_Level = 'ERROR') AS errors\nFROM logs\nGROUP BY function ORDER BY lines DESC",
    ),
    (
        "How long runs take",
        "SELECT function, count(*) AS runs, p50(duration_ms) AS p50_ms, p99(duration_ms) AS p99_ms\nFROM invocations\nWHERE state = 'succeeded'\nGROUP BY function ORDER BY p99_ms DESC",
    ),
    (
        "Dead letters",
        "SELECT died, function, reason, error, request_id\nFROM dead_letters ORDER BY died DESC LIMIT 50",
    ),
];

pub(super) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    shown(visit, &html! {})
}

fn shown(visit: &Visit<'_>, result: &Markup) -> Result<Shown, Problem> {
    let statement = visit.value("statement", visit.query.text("statement"));
    Shown::page(
        "SQL",
        html! {
            h1 { "SQL" }
            form.stack.wide-form method="post" action=(visit.link(&["sql"]).text()) data-sql {
                label.code { "Statement"
                    textarea name="statement" rows="7" spellcheck="false" autocapitalize="off" required { "\n" (statement) }
                }
                div.row {
                    button name="as" value="table" { "Run" }
                    button.plain name="as" value="bars" { "As bars" }
                    button.plain name="as" value="csv" data-download { "As CSV" }
                }
            }
            (result)
            h2 { "Statements to begin with" }
            ul.plain data-statements {
                @for (says, statement) in STATEMENTS {
                    li { a href=(visit.link(&["sql"]).with("statement", statement).text()) { (says) } }
                }
            }
            h2 { "What there is to read" }
            (schema())
        },
    )
}

fn schema() -> Markup {
    html! {
        @for view in VIEWS {
            details {
                summary { code { (view.name) } ": " (view.row) }
                dl.facts { @for column in view.columns { dt { code { (column.name) } } dd { (column.says) span.quiet { " (" (column.kind.as_str()) ")" } } } }
            }
        }
        details {
            summary { "Functions beside SQLite's own" }
            dl.facts { @for function in FUNCTIONS { dt { code { (function.call) } } dd { (function.says) } } }
        }
        p.quiet { "All namespaces are read; nothing can be changed." }
    }
}

pub(super) fn run(visit: &Visit<'_>) -> Result<Shown, Problem> {
    // Line ends within texts of the statement are those that were typed.
    let is_file = visit.form.text("as") == "csv";
    let limit = if is_file { limits::SQL_ROWS_MAX } else { limits::SQL_ROWS_DEFAULT };
    let body = json!({ "sql": visit.form.lines("statement"), "limit": limit });
    let answered =
        visit.v1.put_json("POST", &visit.api(&["sql"]), &body).and_then(|answer| answer.json::<Rows>());
    match answered {
        Err(problem) => Ok(show(visit)?.refused(&problem)),
        Ok(rows) if is_file => Ok(Shown::Whole(Box::new(as_csv(&rows)))),
        Ok(rows) if visit.form.text("as") == "bars" => match bars::of(&rows) {
            Ok(bars) => shown(visit, &html! { (told(&rows)) (bars) }),
            Err(problem) => Ok(shown(visit, &as_table(&rows))?.refused(&problem)),
        },
        Ok(rows) => shown(visit, &as_table(&rows)),
    }
}

/// How many there are and how long it took.
fn told(rows: &Rows) -> Markup {
    let count = text::count(u32::try_from(rows.rows.len()).unwrap_or(u32::MAX), "row");
    html! {
        p role="status" {
            (count) " in " (text::length(rows.took_us))
            @if rows.truncated { "; there are more, which are not shown: say LIMIT and OFFSET" }
        }
    }
}

fn as_table(rows: &Rows) -> Markup {
    let body = html! {
        @for row in &rows.rows {
            tr { @for value in row { (Cell::of(value)) } }
        }
    };
    let is_number = |index: usize| {
        rows.rows
            .iter()
            .any(|row| matches!(row.get(index).map(|value| Cell::of(value)), Some(Cell::Number(_))))
    };
    let heads = rows.columns.iter().enumerate().map(|(index, name)| (name.as_str(), is_number(index)));
    html! {
        (told(rows))
        @if !rows.rows.is_empty() { (table_of("Rows", heads, &body)) }
    }
}

/// A file has no place to say that there are more rows than it holds but its name.
fn as_csv(rows: &Rows) -> Response {
    let line = |fields: Vec<String>| fields.join(",") + "\r\n";
    let head = line(rows.columns.iter().map(|name| csv::spreadsheet_field(name).into_owned()).collect());
    let body = rows.rows.iter().map(|row| line(row.iter().map(|value| Cell::of(value).csv()).collect()));
    let text: String = std::iter::once(head).chain(body).collect();
    let name =
        if rows.truncated { format!("first-{}-rows.csv", rows.rows.len()) } else { "rows.csv".to_owned() };
    guard::sealed(
        Response::new(200)
            .with_header("Content-Type", "text/csv; charset=utf-8; header=present")
            .with_header("Content-Disposition", format!("attachment; filename=\"{name}\""))
            .with_bytes(text.into_bytes()),
    )
}
