//! `fnlite trigger`: what makes functions run by themselves.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::wire::{EventTemplate, EventTemplates, Trigger, Triggers};
use crate::base::text;
use crate::cli::Context;
use crate::cli::api::{Query, encoded, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::invoke;
use crate::cli::output::Style;
use crate::cli::table::Table;

mod add;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have something run a function
    Add(add::Args),
    /// List the triggers of a function, or of all, and what has come of each
    List {
        /// The function's name
        function: Option<String>,
    },
    /// Switch a trigger on; a timer then fires from now on
    Enable(Meant),
    /// Switch a trigger off
    Disable(Meant),
    /// Delete a trigger; what it has queued still runs
    Remove(Meant),
    /// Run a function with an event like those of a trigger
    Test {
        /// The function's name
        function: String,
        /// Which event: hello_world, cos_put, cos_post, cos_delete, ckafka, apigw or timer
        #[arg(long, value_name = "NAME", default_value = "hello_world")]
        template: String,
        /// Print the event instead of running the function
        #[arg(long)]
        print: bool,
    },
}

/// One trigger of a function.
#[derive(Debug, clap::Args)]
struct Meant {
    /// The function's name
    function: String,
    /// The trigger's name
    trigger: String,
    /// Its type, where several are called so
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The version or alias that it runs, where several are called so
    #[arg(long, short, value_name = "QUALIFIER")]
    qualifier: Option<String>,
    /// Its event of object storage, where several are called so
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::Add(args) => add::run(args, context),
        Action::List { function } => list(function.as_deref(), context),
        Action::Enable(meant) => change(meant, context, "PUT", Some(json!({ "enabled": true })), "on"),
        Action::Disable(meant) => change(meant, context, "PUT", Some(json!({ "enabled": false })), "off"),
        Action::Remove(meant) => change(meant, context, "DELETE", None, "deleted"),
        Action::Test { function, template, print } => test(function, template, *print, context),
    }
}

fn change(
    meant: &Meant,
    context: &Context,
    method: &str,
    body: Option<Value>,
    done: &str,
) -> Result<Exit, Failure> {
    let Meant { function, trigger, kind, qualifier, event } = meant;
    let path = function_path(function, &format!("/triggers/{}", encoded(trigger)));
    let query: Query =
        vec![("type", kind.clone()), ("qualifier", qualifier.clone()), ("event", event.clone())];
    let body = body.as_ref().map(Value::to_string).unwrap_or_default();
    let answer = context.api()?.send(method, &path, query, body.as_bytes())?.accepted()?;
    context.done(&answer, &format!("trigger {trigger} of {function} is {done}"))
}

fn list(function: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let path = function.map_or("/v1/triggers".to_owned(), |name| function_path(name, "/triggers"));
    let answer = context.api()?.get(&path, Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    let mut table = Table::new(&[
        "FUNCTION", "RUNS", "TRIGGER", "TYPE", "STATE", "FIRED", "LAST", "NEXT", "ADDRESS", "ERROR",
    ]);
    for trigger in answer.json::<Triggers>()?.triggers {
        table.row(row(&trigger, context));
    }
    context.out.data(table.render(&context.out).as_bytes())?;
    Ok(Exit::Done)
}

fn row(trigger: &Trigger, context: &Context) -> [String; 10] {
    let times = context.times();
    let error = match trigger.error.is_empty() {
        true => text::first_line(&trigger.warning),
        false => format!("{}: {}", times.past(trigger.error_us), text::first_line(&trigger.error)),
    };
    let mut counts = trigger.fired.to_string();
    for (count, what) in [(trigger.failed, "failed"), (trigger.skipped, "left out")] {
        if count > 0 {
            counts.push_str(&format!(", {count} {what}"));
        }
    }
    [
        text::first_line(&trigger.function),
        text::first_line(&trigger.qualifier),
        text::first_line(&trigger.name),
        trigger.kind.clone(),
        state(trigger, context),
        counts,
        if trigger.fired_us > 0 { times.past(trigger.fired_us) } else { "never".to_owned() },
        trigger.next_us.map(|next_us| times.future(next_us)).unwrap_or_default(),
        text::first_line(&narrowed(trigger)),
        error,
    ]
}

/// The address, and what of it is meant.
fn narrowed(trigger: &Trigger) -> String {
    let (address, spec) = (&trigger.address, &trigger.spec);
    match trigger.kind.as_str() {
        "apigw" => format!("{} {address}", spec.method),
        "cos" => format!("{address}/{}*{} {}", spec.prefix, spec.suffix, spec.event),
        _ => address.clone(),
    }
}

fn state(trigger: &Trigger, context: &Context) -> String {
    if trigger.enabled { context.out.paint(Style::Good, "on") } else { "off".to_owned() }
}

fn test(function: &str, template: &str, print: bool, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    let answer = api.get("/v1/event-templates", Vec::new())?;
    let templates = answer.json::<EventTemplates>()?.templates;
    let found = templates.iter().find(|one| one.name == template).ok_or_else(|| {
        let names: Vec<&str> = templates.iter().map(|one: &EventTemplate| one.name.as_str()).collect();
        Failure::usage(format!("there is no template {template}; there are {}", names.join(", ")))
    })?;
    if print {
        return context.out.data(found.event.get().as_bytes()).map(|()| Exit::Done);
    }
    invoke::once(function, found.event.get().as_bytes(), &mut api, &context.out)
}
