//! The tab Triggers: what makes the function run by itself, what has come of each, and a form for each kind.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::console::client::{Answer, JSON, Target};
use crate::api::console::functions::versions::small_form;
use crate::api::console::functions::{function, here, refused, tab};
use crate::api::console::page::{Shown, ago, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Trigger, Triggers};
use crate::base::text;

/// What a field of a form becomes in the body.
#[derive(Clone, Copy)]
enum As {
    /// A text of the trigger itself.
    Own,
    /// A text of what it waits for.
    Text,
    /// Whether or not.
    Truth,
    /// Texts with commas between them.
    List,
    /// The one text of the list of origins.
    Origins,
}

/// A field of a form: name, what it is called, what may stand there, what it becomes.
type Field = (&'static str, &'static str, &'static str, As);

/// A kind of trigger as its form asks for it.
struct Form {
    kind: &'static str,
    title: &'static str,
    fields: &'static [Field],
}

const FORMS: [Form; 5] = [
    Form {
        kind: "timer",
        title: "Timer: at moments",
        fields: &[
            ("name", "Name", "nightly", As::Own),
            (
                "cron",
                "When: second minute hour day month week year, or minute hour day month week",
                "0 30 2 * * * *",
                As::Text,
            ),
            ("zone", "Time zone", "Asia/Shanghai", As::Text),
            ("argument", "What the function gets as the event's Message", "", As::Own),
        ],
    },
    Form {
        kind: "http",
        title: "Function URL: at requests to a URL of its own",
        fields: &[
            ("is_signed", "Requests must be signed", "", As::Truth),
            (
                "origins",
                "Let pages of these origins ask, with commas between them; * for all",
                "https://shop.example",
                As::Origins,
            ),
        ],
    },
    Form {
        kind: "apigw",
        title: "API gateway: at requests to a path",
        fields: &[
            ("name", "Name", "api", As::Own),
            (
                "path",
                "Path: /user and all that begins so, =/user exactly, /user/{id} with a part that varies",
                "/orders/{id}",
                As::Text,
            ),
            ("method", "Method", "ANY", As::Text),
            ("environment", "Environment: release, test or prepub", "release", As::Text),
            ("auth_required", "Requests must be signed with a key pair", "", As::Truth),
            ("enables_cors", "Let pages of every origin ask", "", As::Truth),
        ],
    },
    Form {
        kind: "cos",
        title: "Object storage: at objects of a bucket",
        fields: &[
            ("name", "Bucket", "photos-1250000000", As::Own),
            ("event", "What has to happen", "cos:ObjectCreated:*", As::Text),
            ("prefix", "How the key begins", "in/", As::Text),
            ("suffix", "How the key ends", ".jpg", As::Text),
        ],
    },
    Form {
        kind: "ckafka",
        title: "Kafka: at messages of a topic",
        fields: &[
            ("name", "Name", "readings", As::Own),
            ("topic", "Topic", "readings", As::Text),
            (
                "brokers",
                "Brokers, with commas between them; none for the server's",
                "127.0.0.1:9092",
                As::List,
            ),
            ("consumer_group", "Consumer group; none for one of its own", "", As::Text),
            ("offset", "Begin with: latest, earliest, or milliseconds since 1970", "latest", As::Text),
        ],
    },
];

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (function, place) = (function(visit)?, visit.api(&["functions", visit.part(0), "triggers"]));
    let triggers: Triggers = visit.v1.get(&place)?;
    let body = html! {
        @if triggers.triggers.is_empty() { p.quiet { "Nothing makes this function run by itself yet." } }
        @else { (listed(visit, &triggers.triggers)) }
        @if visit.may_change() {
            h2 { "New trigger" }
            @for form in &FORMS { (new_form(visit, form)) }
        }
    };
    tab(visit, &function, "triggers", &body)
}

fn listed(visit: &Visit<'_>, triggers: &[Trigger]) -> Markup {
    let rows = html! {
        @for trigger in triggers {
            tr {
                td { (trigger.name) }
                td { (trigger.kind) }
                td { span class={ "state " (if trigger.enabled { "good" } else { "busy" }) } { (if trigger.enabled { "on" } else { "off" }) } }
                td.message { (address(trigger)) @if !trigger.warning.is_empty() { " " span.busy { (trigger.warning) } } }
                td { (trigger.qualifier) }
                td.number { (counts(trigger)) }
                td { (ago(visit, trigger.fired_us)) @if let Some(next_us) = trigger.next_us { " next " (text::until(visit.now_us, next_us)) } }
                td.message { @if !trigger.error.is_empty() { (ago(visit, trigger.error_us)) ": " (text::first_line(&trigger.error)) } }
                td { @if visit.may_change() { (buttons(visit, trigger)) } }
            }
        }
    };
    let heads = ["Name", "Type", "State", "Address", "Runs", "Fired#", "Last", "Last error", ""];
    table("Triggers", &heads, &rows)
}

fn address(trigger: &Trigger) -> Markup {
    let is_link = trigger.address.starts_with("http://") || trigger.address.starts_with("https://");
    html! {
        @if is_link { a href=(trigger.address) rel="noreferrer" { (trigger.address) } } @else { code { (trigger.address) } }
    }
}

fn counts(trigger: &Trigger) -> String {
    let mut text = trigger.fired.to_string();
    for (count, what) in [(trigger.failed, "failed"), (trigger.skipped, "left out")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

fn buttons(visit: &Visit<'_>, trigger: &Trigger) -> Markup {
    // What tells triggers of one bucket apart.
    let event = trigger.spec.event.as_str();
    let says = |what| {
        [
            ("do", what),
            ("name", trigger.name.as_str()),
            ("type", &trigger.kind),
            ("qualifier", &trigger.qualifier),
            ("event", event),
        ]
    };
    let (switch, called) = if trigger.enabled { ("off", "Switch off") } else { ("on", "Switch on") };
    html! {
        (small_form(visit, &says(switch), called, ""))
        " " (small_form(visit, &says("delete"), "Delete", &format!("Delete the trigger {}?", trigger.name)))
    }
}

fn new_form(visit: &Visit<'_>, form: &Form) -> Markup {
    let is_open = visit.form.text("type") == form.kind && visit.form.text("do") == "add";
    let typed = |name: &str| if is_open { visit.form.text(name) } else { "" };
    html! {
        details open[is_open] {
            summary { (form.title) }
            form.stack method="post" action=(here(visit, "triggers").text()) {
                input type="hidden" name="do" value="add";
                input type="hidden" name="type" value=(form.kind);
                @for (name, called, hint, kind) in form.fields {
                    @match kind {
                        As::Truth => label.tick { input type="checkbox" name=(name) value="1" checked[!typed(name).is_empty()]; (called) },
                        _ => label { (called) input name=(name) value=(typed(name)) placeholder=(hint) size="36" required[*name == "name" || *name == "cron"] autocapitalize="off" spellcheck="false"; },
                    }
                }
                label { "Version or alias" input name="run" value=(typed("run")) placeholder="$LATEST" autocapitalize="off" spellcheck="false"; }
                button { "Add" }
            }
        }
    }
}

pub(in crate::api::console) fn change(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (is_new, changed) = match visit.form.text("do") {
        "add" => (true, add(visit)),
        "on" => (false, switch(visit, true)),
        "off" => (false, switch(visit, false)),
        "delete" => (false, visit.v1.send("DELETE", &place(visit), JSON, Vec::new())),
        _ => (false, Err(Problem::new(400, "It is not said what to do."))),
    };
    match changed {
        Ok(_) => Shown::on(here(visit, "triggers"), if is_new { "added" } else { "changed" }),
        Err(problem) => refused(visit, &problem, show),
    }
}

fn switch(visit: &Visit<'_>, is_on: bool) -> Result<Answer, Problem> {
    visit.v1.put_json("PUT", &place(visit), &json!({ "enabled": is_on }))
}

/// The trigger that a form is about.
fn place(visit: &Visit<'_>) -> Target {
    let form = &visit.form;
    let target = visit.api(&["functions", visit.part(0), "triggers", form.text("name")]);
    ["type", "qualifier", "event"].iter().fold(target, |target, name| target.with(name, form.text(name)))
}

fn add(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let kind = visit.form.text("type");
    let form = FORMS.iter().find(|form| form.kind == kind);
    let form = form.ok_or_else(|| Problem::new(400, "There is no such kind of trigger."))?;
    let (mut body, mut spec) = (json!({ "type": kind }), Map::new());
    for (name, _, _, kind) in form.fields {
        let said = visit.form.word(name);
        if said.is_empty() {
            continue;
        }
        let list = || Value::from(said.split(',').map(str::trim).collect::<Vec<_>>());
        match kind {
            As::Own => body[*name] = said.into(),
            As::Text => drop(spec.insert((*name).to_owned(), said.into())),
            As::Truth => drop(spec.insert((*name).to_owned(), true.into())),
            As::List => drop(spec.insert((*name).to_owned(), list())),
            As::Origins => drop(spec.insert("cors".to_owned(), json!({ "origins": list() }))),
        }
    }
    if visit.form.has("run") {
        body["qualifier"] = visit.form.word("run").into();
    }
    body["spec"] = Value::Object(spec);
    visit.v1.put_json("POST", &visit.api(&["functions", visit.part(0), "triggers"]), &body)
}
