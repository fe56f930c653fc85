//! `fnlite sql --schema`: what there is to read, in words.

use serde_json::json;

use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::model::views::{BUILT_IN, FUNCTIONS, VIEWS, View};

/// Longest line of a list of names.
const LINE_CHARS: usize = 100;

/// Prints all of it, or one view.
pub(super) fn run(view: &str, context: &Context) -> Result<Exit, Failure> {
    let views: Vec<&View> = VIEWS.iter().filter(|known| view.is_empty() || known.name == view).collect();
    if views.is_empty() {
        let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        let said = format!("there is no view {view}; there are: {}", names.join(", "));
        return Err(Failure::new(Exit::NotFound, said));
    }
    if context.out.json {
        context.out.data(as_json(&views).to_string().as_bytes())?;
        return Ok(Exit::Done);
    }
    let mut said: String = views.iter().map(|view| as_text(view, &context.out) + "\n").collect();
    if view.is_empty() {
        said += &functions(&context.out);
    }
    context.out.data(said.trim_end().as_bytes())?;
    Ok(Exit::Done)
}

fn as_text(view: &View, out: &Out) -> String {
    let wide = view.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let columns = view.columns.iter().map(|column| {
        let kind = out.paint(Style::Dim, &format!("{:<7}", column.kind.as_str()));
        format!("  {:<wide$}  {kind}  {}\n", column.name, column.says)
    });
    let columns: String = columns.collect();
    format!("{}: {}\n{columns}", out.paint(Style::Bold, view.name), view.row)
}

fn functions(out: &Out) -> String {
    let wide = FUNCTIONS.iter().map(|function| function.call.len()).max().unwrap_or(0);
    let own = FUNCTIONS.iter().map(|function| format!("  {:<wide$}  {}\n", function.call, function.says));
    let own: String = own.collect();
    let own = format!("{} of fnlite\n{own}", out.paint(Style::Bold, "functions"));
    let mut lines = vec![String::new()];
    for name in BUILT_IN {
        let line = lines.last_mut().expect("there is always one");
        if line.len() + name.len() > LINE_CHARS {
            lines.push((*name).to_owned());
        } else {
            *line += if line.is_empty() { "" } else { " " };
            *line += name;
        }
    }
    let sqlite: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{own}\n{} of SQLite\n{sqlite}", out.paint(Style::Bold, "functions"))
}

fn as_json(views: &[&View]) -> serde_json::Value {
    let column = |view: &View| -> Vec<_> {
        let columns = view.columns.iter();
        columns
            .map(|column| json!({ "name": column.name, "type": column.kind.as_str(), "says": column.says }))
            .collect()
    };
    let views: Vec<_> = views
        .iter()
        .map(|view| json!({ "name": view.name, "row": view.row, "columns": column(view) }))
        .collect();
    let functions: Vec<_> =
        FUNCTIONS.iter().map(|function| json!({ "call": function.call, "says": function.says })).collect();
    json!({ "views": views, "functions": functions, "sqlite_functions": BUILT_IN })
}
