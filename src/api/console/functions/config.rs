//! The tab Configuration: everything a deploy says but the code.

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::api::console::functions::deploy::{Settings, archive};
use crate::api::console::functions::{function, here, refused, tab};
use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::model::runtime::RUNTIMES;

/// Fields that are numbers or nothing: name, what it is called, unit or what nothing means.
const NUMBERS: [(&str, &str, &str); 7] = [
    ("timeout_s", "Time-out", "seconds, 1 to 900"),
    ("init_timeout_s", "Time-out while loading", "seconds, 1 to 300"),
    ("memory_mb", "Memory", "MB: 64, or 128 to 3072 in steps of 128"),
    ("reserved_mb", "Reserved memory", "MB; empty for none, 0 switches the function off"),
    ("retry_num", "Retries of events", "0 to 2"),
    ("msg_ttl_s", "Longest wait of events", "seconds, 60 to 21600"),
    ("keep_s", "Runs and logs are kept", "seconds; empty for as long as the server keeps everybody's"),
];
/// What of the network it may reach.
const NETWORKS: [(&str, &str); 3] =
    [("host", "all that the host reaches"), ("no-local", "all but this host"), ("none", "nothing")];

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (function, settings) = (function(visit)?, Settings::of(visit)?);
    let body = if visit.may_change() { form(visit, &settings) } else { facts(&settings) };
    tab(visit, &function, "configuration", &body)
}

/// For whoever may only look.
fn facts(settings: &Settings) -> Markup {
    html! {
        dl.facts {
            dt { "Runtime" } dd { (settings.text("runtime")) }
            dt { "Handler" } dd { code { (settings.text("handler")) } }
            @for (name, called, unit) in NUMBERS {
                dt { (called) } dd { (settings.text(name)) " " span.quiet { "(" (unit) ")" } }
            }
            dt { "Network" } dd { (settings.text("network")) }
        }
        p.quiet { "The environment is shown to admin keys only." }
    }
}

fn form(visit: &Visit<'_>, settings: &Settings) -> Markup {
    let shown = |name: &str| visit.value(name, &settings.text(name)).to_owned();
    let is_ticked =
        |name: &str| if visit.is_form() { visit.form.has(name) } else { settings.value(name) == true };
    html! {
        form.stack method="post" action=(here(visit, "configuration").text()) {
            (settings.mark())
            div.row {
                label { "Runtime" select name="runtime" {
                    @for runtime in RUNTIMES { option selected[runtime.name == shown("runtime")] { (runtime.name) } }
                } }
                label { "Handler" input name="handler" value=(shown("handler")) required autocapitalize="off" spellcheck="false"; }
            }
            label.wide-field { "Description" input name="description" value=(shown("description")) maxlength="1000"; }
            div.grid { @for (name, called, unit) in NUMBERS {
                label { (called) input name=(name) value=(shown(name)) inputmode="numeric" size="8"; span.quiet { (unit) } }
            } }
            label { "Network" select name="network" {
                @for (value, called) in NETWORKS { option value=(value) selected[value == shown("network")] { (value) ": " (called) } }
            } }
            label { "Function that is sent the events given up" input name="dead_letter" value=(shown("dead_letter")) autocapitalize="off" spellcheck="false"; }
            label.wide-field { "Environment, a line KEY=VALUE for each variable"
                textarea name="env" rows="6" spellcheck="false" autocapitalize="off" { "\n" (visit.value("env", &environment(settings))) }
            }
            label.wide-field { "Layers, a line NAME:VERSION for each"
                textarea name="layers" rows="3" spellcheck="false" autocapitalize="off" { "\n" (visit.value("layers", &layers(settings))) }
            }
            label.tick { input type="checkbox" name="reuse" value="1" checked[is_ticked("reuse")]; "A process runs many events, as in the cloud (else each run has a fresh one)" }
            label.tick { input type="checkbox" name="spawn" value="1" checked[is_ticked("spawn")]; "Start a process for each run instead of forking one that has the code loaded" }
            button { "Save and deploy" }
        }
        h2 { "Delete" }
        form.stack method="post" action=(visit.link(&["functions", visit.part(0), "delete"]).text()) {
            p.quiet { "The function, its versions, aliases and triggers go; its runs and logs stay. Events that wait become dead letters." }
            button.danger data-ask={ "Delete the function " (visit.part(0)) "?" } { "Delete the function" }
        }
    }
}

fn environment(settings: &Settings) -> String {
    let variables = settings.value("env").as_object().cloned().unwrap_or_default();
    let lines =
        variables.iter().map(|(key, value)| format!("{key}={}\n", value.as_str().unwrap_or_default()));
    lines.collect()
}

fn layers(settings: &Settings) -> String {
    let layers = settings.value("layers").as_array().cloned().unwrap_or_default();
    layers.iter().map(|layer| format!("{}\n", layer.as_str().unwrap_or_default())).collect()
}

pub(in crate::api::console) fn save(visit: &Visit<'_>) -> Result<Shown, Problem> {
    match saved(visit) {
        Ok(()) => Shown::on(here(visit, "configuration"), "deployed"),
        Err(problem) => refused(visit, &problem, show),
    }
}

fn saved(visit: &Visit<'_>) -> Result<(), Problem> {
    let (mut settings, form) = (Settings::of_form(visit)?, &visit.form);
    for name in ["runtime", "handler", "description", "network"] {
        settings.set(name, form.word(name).into());
    }
    for (name, called, _) in NUMBERS {
        settings.set(name, number(called, form.word(name))?);
    }
    let dead_letter = form.word("dead_letter");
    settings.set("dead_letter", if dead_letter.is_empty() { Value::Null } else { dead_letter.into() });
    settings.set("env", Value::Object(variables(&before(settings.value("env")), &form.lines("env"))?));
    let layers = form.lines("layers");
    let layers = layers.lines().map(str::trim).filter(|layer| !layer.is_empty());
    settings.set("layers", layers.collect());
    for name in ["reuse", "spawn"] {
        settings.set(name, form.has(name).into());
    }
    settings.deploy(visit, visit.part(0), &archive(visit)?)
}

fn before(env: &Value) -> Map<String, Value> {
    env.as_object().cloned().unwrap_or_default()
}

/// A whole number, or nothing.
fn number(called: &str, text: &str) -> Result<Value, Problem> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let number: Result<u32, _> = text.parse();
    number
        .map(Value::from)
        .map_err(|_| Problem::new(400, format!("{called} must be a whole number, not {text:?}.")))
}

/// Variables as lines. A value of several lines cannot be written so: it stays as it was, whole, or its variable goes.
fn variables(before: &Map<String, Value>, text: &str) -> Result<Map<String, Value>, Problem> {
    let mut variables = Map::new();
    let long =
        |key: &str| before.get(key).and_then(Value::as_str).filter(|value| value.contains(['\n', '\r']));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong =
            || Problem::new(400, format!("The environment has a line that is not KEY=VALUE: {line:?}."));
        let (key, value) = line.split_once('=').ok_or_else(wrong)?;
        let mut value = value.to_owned();
        if let Some(whole) = long(key) {
            let shown = whole.replace("\r\n", "\n").replace('\r', "\n");
            let mut expected = shown.split('\n');
            let is_whole = expected.next() == Some(value.as_str())
                && expected.all(|part| lines.next().unwrap_or_default() == part);
            if !is_whole {
                let sentence = format!(
                    "The value of {key} has several lines, so it cannot be changed here: `fnlite deploy --env` can."
                );
                return Err(Problem::new(400, sentence));
            }
            value = whole.to_owned();
        }
        if variables.insert(key.trim().to_owned(), value.into()).is_some() {
            return Err(Problem::new(400, format!("The environment has {key} twice.")));
        }
    }
    Ok(variables)
}

pub(in crate::api::console) fn delete(visit: &Visit<'_>) -> Result<Shown, Problem> {
    visit.v1.send("DELETE", &visit.api(&["functions", visit.part(0)]), "text/plain", Vec::new())?;
    Shown::on(visit.link(&["functions"]), "deleted")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_environment_is_lines() {
        let check = |before: Value, text: &str, expected: Option<Value>| {
            let found = variables(&super::before(&before), text).ok().map(Value::Object);
            assert_eq!(found, expected, "{text:?}");
        };
        check(json!({}), "A=1\n\n B=x=y \n", Some(json!({"A": "1", "B": "x=y "})));
        check(json!({}), "A", None);
        check(json!({}), "A=1\nA=2", None);
        check(json!({"A": "1\n2\n3"}), "A=1\n2\n3\nB=4", Some(json!({"A": "1\n2\n3", "B": "4"})));
        check(json!({"A": "1\r\nB=2\r\n"}), "A=1\nB=2\n\nC=3", Some(json!({"A": "1\r\nB=2\r\n", "C": "3"})));
        check(json!({"A": "1\n2"}), "B=1", Some(json!({"B": "1"})));
        for changed in ["A=5", "A=1", "A=1\n3", "A=2\n2"] {
            check(json!({"A": "1\n2"}), changed, None);
        }
    }
}
