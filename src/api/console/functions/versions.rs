//! The tab Versions and aliases.

use maud::{Markup, html};
use serde_json::json;

use crate::api::console::client::{Answer, JSON};
use crate::api::console::functions::{function, here, refused, tab};
use crate::api::console::page::{Shown, ago, instant, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Alias, Aliases, FunctionVersion, FunctionVersions};
use crate::base::text;

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (function, name) = (function(visit)?, visit.part(0));
    let versions: FunctionVersions = visit.v1.get(&visit.api(&["functions", name, "versions"]))?;
    let aliases: Aliases = visit.v1.get(&visit.api(&["functions", name, "aliases"]))?;
    let body = html! {
        h2 { "Versions" }
        (version_table(visit, &versions.versions))
        @if visit.may_change() { (publish_form(visit)) }
        h2 { "Aliases" }
        (alias_table(visit, &aliases.aliases))
        @if visit.may_change() { (alias_form(visit)) }
    };
    tab(visit, &function, "versions", &body)
}

fn version_table(visit: &Visit<'_>, versions: &[FunctionVersion]) -> Markup {
    let rows = html! {
        @for version in versions {
            tr {
                td { (version.version) }
                td { (version.runtime) }
                td.number { (version.memory_mb) " MB" }
                td.number { (version.timeout_s) " s" }
                td.number { (text::size(version.code_bytes)) }
                td { (instant(version.created_us)) }
                td.message { (version.description) }
                td { @if visit.may_change() && version.version != "$LATEST" {
                    (small_form(visit, &[("do", "delete-version"), ("version", &version.version)], "Delete", &format!("Delete version {}?", version.version)))
                } }
            }
        }
    };
    table(
        "Versions",
        &["Version", "Runtime", "Memory#", "Time-out#", "Code#", "Since (UTC)", "Description", ""],
        &rows,
    )
}

fn publish_form(visit: &Visit<'_>) -> Markup {
    html! {
        form.filters method="post" action=(here(visit, "versions").text()) {
            input type="hidden" name="do" value="publish";
            label { "Description" input name="description" value=(visit.value("description", "")) maxlength="1000" size="40"; }
            button { "Publish $LATEST" }
        }
    }
}

fn alias_table(visit: &Visit<'_>, aliases: &[Alias]) -> Markup {
    let rows = html! {
        @for alias in aliases {
            tr {
                td { (alias.alias) }
                td { (alias.version) }
                td { (split(alias)) }
                td { (ago(visit, alias.modified_us)) }
                td.message { (alias.description) }
                td { @if visit.may_change() && alias.alias != "$DEFAULT" {
                    (small_form(visit, &[("do", "delete-alias"), ("alias", &alias.alias)], "Delete", &format!("Delete the alias {}?", alias.alias)))
                } }
            }
        }
    };
    table("Aliases", &["Alias", "Version", "And", "Changed", "Description", ""], &rows)
}

/// What of the runs goes to the other version.
fn split(alias: &Alias) -> String {
    match (&alias.other_version, alias.weight, &alias.rule) {
        (Some(other), Some(weight), _) => format!("{other} for {} %", weight * 100.0),
        (Some(other), None, Some(rule)) => {
            format!("{other} where {} is {} {}", rule.key, rule.method, rule.expression)
        }
        _ => String::new(),
    }
}

fn alias_form(visit: &Visit<'_>) -> Markup {
    let field = |label: &str, name: &str, hint: &str| {
        html! { label { (label) input name=(name) value=(visit.value(name, "")) placeholder=(hint) size="12" autocapitalize="off" spellcheck="false"; } }
    };
    html! {
        form.filters method="post" action=(here(visit, "versions").text()) {
            input type="hidden" name="do" value="alias";
            (field("Alias", "alias", "prod"))
            (field("Version", "version", "$LATEST"))
            (field("Part of the runs goes to", "other_version", "none"))
            (field("How much of them, %", "weight", "10"))
            button { "Make or move it" }
        }
    }
}

/// A button with what it is about; what cannot be undone is asked about.
pub(super) fn small_form(visit: &Visit<'_>, says: &[(&str, &str)], button: &str, ask: &str) -> Markup {
    html! {
        form.inline method="post" action=(visit.path) {
            @for (name, value) in says { input type="hidden" name=(name) value=(value); }
            button.plain data-ask=[(!ask.is_empty()).then_some(ask)] { (button) }
        }
    }
}

pub(in crate::api::console) fn change(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let done = if visit.form.text("do") == "publish" { "published" } else { "changed" };
    match changed(visit) {
        Ok(_) => Shown::on(here(visit, "versions"), done),
        Err(problem) => refused(visit, &problem, show),
    }
}

fn changed(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let (form, name) = (&visit.form, visit.part(0));
    let delete = |kind: &str, which: &str| {
        visit.v1.send("DELETE", &visit.api(&["functions", name, kind, which]), JSON, Vec::new())
    };
    match form.text("do") {
        "publish" => {
            let body = json!({ "description": form.word("description") });
            visit.v1.put_json("POST", &visit.api(&["functions", name, "versions"]), &body)
        }
        "alias" => put_alias(visit),
        "delete-version" => delete("versions", form.word("version")),
        "delete-alias" => delete("aliases", form.word("alias")),
        _ => Err(Problem::new(400, "It is not said what to do.")),
    }
}

fn put_alias(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let form = &visit.form;
    let mut body = json!({ "version": form.word("version") });
    if form.has("other_version") {
        let percent: Result<f64, _> = form.word("weight").parse();
        let percent =
            percent.map_err(|_| Problem::new(400, "How much of the runs must be a number of per cent."))?;
        body["other_version"] = form.word("other_version").into();
        body["weight"] = (percent / 100.0).into();
    }
    visit.v1.put_json("PUT", &visit.api(&["functions", visit.part(0), "aliases", form.word("alias")]), &body)
}
