//! The tab Code: the files of a function, each in an editor; saving deploys.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::api::console::functions::create::upload_button;
use crate::api::console::functions::deploy::{Settings, archive, files};
use crate::api::console::functions::{function, here, refused, tab};
use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::base::text;
use crate::instance::package::pack::{self, Source};

/// What the files of a function may have together to be edited here, bytes: dependencies are not written by hand, and a browser
/// is no place for them.
pub(in crate::api::console) const EDITED_BYTES_MAX: u64 = 1024 * 1024;

pub(in crate::api::console) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let function = function(visit)?;
    if !visit.may_change() {
        return tab(visit, &function, "", &html! { p.quiet { "Code is shown to admin keys only." } });
    }
    let settings = Settings::of(visit)?;
    let body = match files(&archive(visit)?, EDITED_BYTES_MAX)? {
        Some(files) => editor(visit, &files, &settings),
        None => html! {
            p { "This code has more than " (text::size(EDITED_BYTES_MAX)) " unpacked, which is more than can be edited here." }
        },
    };
    tab(visit, &function, "", &html! { (body) (whole(visit)) })
}

/// The archive as one.
fn whole(visit: &Visit<'_>) -> Markup {
    let place = visit.api(&["functions", visit.part(0), "code"]);
    html! {
        h2 { "The archive" }
        p { a.button href={ "/console" (place.text()) } { "Download" } }
        form.stack data-upload=(visit.link(&["functions", visit.part(0), "upload"]).text()) {
            label { "Replace all of it by a zip archive" input name="file" type="file" accept=".zip,application/zip" required; }
            (upload_button())
        }
    }
}

fn editor(visit: &Visit<'_>, files: &BTreeMap<String, Source>, settings: &Settings) -> Markup {
    let path = chosen(visit, files);
    let source = files.get(path);
    let there = source.map(|source| text_of(source));
    let content = match there {
        Some(None) => None,
        Some(Some(text)) => Some(visit.value("content", text)),
        None => Some(visit.value("content", "")),
    };
    html! {
        div.editor {
            nav.files aria-label="Files" {
                @for name in files.keys() {
                    a href=(here(visit, "").with("file", name).text()) aria-current=[(name == path).then_some("true")] { (name) }
                }
            }
            @match content {
                Some(content) => form method="post" action=(here(visit, "").text()) data-editor {
                    (settings.mark())
                    input type="hidden" name="was" value=(if source.is_some() { path } else { "" });
                    label { "File" input name="path" value=(visit.value("path", path)) required autocapitalize="off" spellcheck="false"; }
                    label.code { "Content"
                        // A browser leaves the first line end out.
                        textarea name="content" rows="24" spellcheck="false" autocapitalize="off" wrap="off" { "\n" (content) }
                    }
                    div.row {
                        button { "Save and deploy" }
                        @if files.len() > 1 && source.is_some() {
                            button.danger name="delete" value="1" data-ask={ "Delete " (path) " and deploy without it?" } { "Delete the file" }
                        }
                    }
                },
                None => p { "This file is no text, so it cannot be edited here." },
            }
        }
        form.filters action=(here(visit, "").text()) {
            @if !visit.other_namespace().is_empty() { input type="hidden" name="namespace" value=(visit.namespace()); }
            label { "Another file" input name="file" required placeholder="folder/name.py" autocapitalize="off" spellcheck="false"; }
            button.plain { "Begin it" }
        }
    }
}

/// What can be edited: text whose lines all end alike, since a browser hands them back with ends of its own.
fn text_of(source: &Source) -> Option<&str> {
    let text = std::str::from_utf8(&source.content).ok()?;
    let pairs = text.matches("\r\n").count();
    let (feeds, returns) = (text.matches('\n').count(), text.matches('\r').count());
    let are_alike = returns == pairs && (pairs == 0 || pairs == feeds);
    (are_alike && !text.contains('\0')).then_some(text)
}

/// The file that is shown: the one asked for, else the one that looks like the beginning.
fn chosen<'a>(visit: &'a Visit<'_>, files: &'a BTreeMap<String, Source>) -> &'a str {
    let asked = if visit.is_form() { visit.form.text("was") } else { visit.query.text("file") };
    if !asked.is_empty() {
        return asked;
    }
    let begins = |name: &&String| name.starts_with("index.") || matches!(name.as_str(), "bootstrap" | "main");
    files.keys().find(begins).or(files.keys().next()).map_or("", String::as_str)
}

pub(in crate::api::console) fn save(visit: &Visit<'_>) -> Result<Shown, Problem> {
    match saved(visit) {
        Ok(path) => Shown::on(here(visit, "").with("file", &path), "deployed"),
        Err(problem) => refused(visit, &problem, show),
    }
}

/// Deploys the function with one file written, moved or deleted; its path.
fn saved(visit: &Visit<'_>) -> Result<String, Problem> {
    let too_large = || Problem::new(413, "This code is too large to be edited here.");
    let settings = Settings::of_form(visit)?;
    let mut files = files(&archive(visit)?, EDITED_BYTES_MAX)?.ok_or_else(too_large)?;
    let (was, path) = (visit.form.text("was"), visit.form.text("path"));
    let before = files.remove(was);
    if visit.form.has("delete") {
        if files.is_empty() {
            return Err(Problem::new(400, "The last file cannot be deleted: delete the function."));
        }
    } else {
        let had_pairs = before.as_ref().and_then(text_of).is_some_and(|text| text.contains("\r\n"));
        let content = visit.form.lines("content");
        let content = if had_pairs { content.replace('\n', "\r\n") } else { content };
        // What could be executed still can; what begins like a program that is new can, too.
        let executable = before.map_or_else(|| content.starts_with("#!"), |before| before.executable);
        let source = Source { content: content.into_bytes(), executable };
        if files.insert(path.to_owned(), source).is_some() {
            return Err(Problem::new(409, format!("There is a file {path} already: open it and edit it.")));
        }
    }
    settings.deploy(visit, visit.part(0), &pack::pack(&files)?)?;
    Ok(if visit.form.has("delete") { String::new() } else { path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_would_change_is_not_edited() {
        for (content, is_edited) in [
            (&b"a\nb"[..], true),
            (b"a\r\nb\r\n", true),
            (b"", true),
            (b"a\r\nb\n", false),
            (b"a\rb", false),
            (b"a\0b", false),
            (b"\xff", false),
        ] {
            let source = Source { content: content.to_vec(), executable: false };
            assert_eq!(text_of(&source).is_some(), is_edited, "{content:?}");
        }
    }
}
