//! What all pages have in common: the frame around them, and the pieces they are made of.

use std::borrow::Cow;

use maud::{DOCTYPE, Markup, html};

use crate::api::console::assets;
use crate::api::console::client::Target;
use crate::api::console::guard::guarded;
use crate::api::console::problem::{Problem, heading};
use crate::api::console::visit::Visit;
use crate::base::text;
use crate::http::response::Response;

/// What comes of a visit.
#[derive(Debug)]
pub(super) enum Shown {
    /// A page.
    Page {
        status: u16,
        title: String,
        /// What was wrong with what a form asked for, if it is this page again because of that.
        wrong: String,
        body: Markup,
    },
    /// The visitor is sent on, with a sentence from [`DONE`] to be read there; empty for none.
    On(String),
    /// It cannot be shown.
    Problem(Problem),
    /// Something that is no page of the usual kind.
    Whole(Box<Response>),
}

impl Shown {
    pub(super) fn page(title: impl Into<String>, body: Markup) -> Result<Shown, Problem> {
        Ok(Shown::Page { status: 200, title: title.into(), wrong: String::new(), body })
    }

    /// The page of a form, shown again because what it asked for was refused.
    pub(super) fn refused(self, problem: &Problem) -> Shown {
        match self {
            Shown::Page { title, body, .. } => {
                Shown::Page { status: problem.status, title, wrong: problem.sentence.clone(), body }
            }
            other => other,
        }
    }

    /// On to `target`, where the sentence of `done` is read.
    pub(super) fn on(target: Target, done: &'static str) -> Result<Shown, Problem> {
        Ok(Shown::On(target.with("done", done).text().to_owned()))
    }

    pub(super) fn answer(self, visit: &Visit<'_>) -> Response {
        match self {
            Shown::Page { status, title, wrong, body } => {
                html_answer(status, framed(visit, &title, &wrong, &body))
            }
            Shown::On(path) => to(&path),
            Shown::Problem(problem) => {
                let body = html! {
                    h1 { (heading(problem.status)) }
                    p.problem role="alert" { (sentence(&problem.sentence)) }
                    p { a href=(visit.link(&[""]).text()) { "To the overview" } }
                };
                html_answer(problem.status, framed(visit, heading(problem.status), "", &body))
            }
            Shown::Whole(response) => *response,
        }
    }
}

/// What may be said at the top of a page after a form was sent; a link names one, so that nobody can have us say something else.
const DONE: &[(&str, &str)] = &[
    ("created", "The function is deployed. Try it on the tab Test."),
    ("deployed", "It is deployed: whatever begins from now on runs it."),
    ("deleted", "The function is deleted. Its runs and logs stay."),
    ("published", "A version is published."),
    ("changed", "It is changed."),
    ("added", "The trigger is there."),
    ("replayed", "What was replayed runs as new invocations."),
    ("dropped", "What was dropped is gone; the runs stay."),
    ("revoked", "The key is revoked: it is worth nothing any more."),
];

/// Where the pages are.
const NAV: &[(&str, &str)] = &[
    ("", "Overview"),
    ("functions", "Functions"),
    ("invocations", "Invocations"),
    ("logs", "Logs"),
    ("sql", "SQL"),
    ("dead-letters", "Dead letters"),
    ("keys", "Keys"),
    ("about", "About"),
];

fn framed(visit: &Visit<'_>, title: &str, wrong: &str, body: &Markup) -> Markup {
    let here = visit.path.trim_start_matches("/console/").split('/').next().unwrap_or_default();
    let done = DONE.iter().find(|(code, _)| *code == visit.query.text("done")).map(|(_, sentence)| sentence);
    document(
        title,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            header {
                a.brand href=(visit.link(&[""]).text()) { "fnlite" }
                nav aria-label="Pages" {
                    @for (path, name) in NAV {
                        a href=(visit.link(&[path]).text()) aria-current=[(here == *path).then_some("page")] { (name) }
                    }
                }
                form.out method="post" action="/console/sign-out" {
                    @if !visit.other_namespace().is_empty() { span.quiet { "namespace " (visit.namespace()) " " } }
                    span.quiet { "key: " (visit.scope.as_str()) }
                    button.plain { "Sign out" }
                }
            }
            main id="main" tabindex="-1" {
                @if let Some(done) = done { p.done role="status" { (done) } }
                @if !wrong.is_empty() { p.problem role="alert" { (sentence(wrong)) } }
                (body)
            }
        },
    )
}

/// A page for whoever may not be signed in.
pub(super) fn alone(status: u16, title: &str, text: &str) -> Response {
    let body = html! {
        main.alone id="main" {
            h1 { (title) }
            p { (sentence(text)) }
            p { a href="/console/" { "To the console" } }
        }
    };
    html_answer(status, document(title, &body))
}

/// A whole document.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · fnlite" }
                link rel="icon" href=(assets::url("icon.svg"));
                link rel="stylesheet" href=(assets::url("console.css"));
                @for script in assets::scripts() { script src=(assets::url(script)) defer {} }
            }
            body { (body) }
        }
    }
}

/// An answer that is a page.
pub(super) fn html_answer(status: u16, page: Markup) -> Response {
    let answer = Response::new(status).with_header("Content-Type", "text/html; charset=utf-8");
    guarded(answer.with_bytes(page.into_string().into_bytes()))
}

/// An answer that sends on, by GET.
pub(super) fn to(path: &str) -> Response {
    guarded(Response::new(303).with_header("Location", path.to_owned()))
}

/// A sentence as people write it: `/v1`'s begin small and have no full stop.
pub(super) fn sentence(text: &str) -> Cow<'_, str> {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => {
            let stop = if text.ends_with(['.', '?', '!', ')']) { "" } else { "." };
            // A name keeps its own first letter: `timeout_s must be …`.
            let is_name = text.split(' ').next().is_some_and(|word| word.contains('_'));
            let first = if is_name { first.to_string() } else { first.to_uppercase().to_string() };
            Cow::Owned(format!("{first}{}{stop}", letters.as_str()))
        }
        None => Cow::Borrowed(text),
    }
}

/// An instant: how long ago, and when exactly for those who point at it. Nothing for 0.
pub(super) fn ago(visit: &Visit<'_>, us: i64) -> Markup {
    html! {
        @if us > 0 {
            time datetime=(text::rfc3339(us)) title={ (text::instant(us)) " UTC" } { (text::ago(visit.now_us, us)) }
        }
    }
}

/// An instant to the millisecond, in UTC.
pub(super) fn instant(us: i64) -> Markup {
    html! { time datetime=(text::rfc3339(us)) { (text::instant(us)) } }
}

/// The state of a run, in words and in colour.
pub(super) fn state(state: &str, status: u16) -> Markup {
    let look = match state {
        "succeeded" => "good",
        "failed" | "dead" | "expired" => "bad",
        "aborted" => "quiet",
        _ => "busy",
    };
    html! { span class={ "state " (look) } { (state) @if status != 200 && status != 202 && status != 0 { " " (status) } } }
}

/// One choice of a list of choices.
pub(super) fn choice(value: &str, shown: &str, chosen: &str) -> Markup {
    html! { option value=(value) selected[value == chosen] { (shown) } }
}

/// A table that may be wider than the screen; it can be reached and moved by the keyboard. A head that ends in `#` is that of
/// numbers.
pub(super) fn table(label: &str, heads: &[&str], rows: &Markup) -> Markup {
    let heads = heads.iter().map(|head| (head.trim_end_matches('#'), head.ends_with('#')));
    table_of(label, heads, rows)
}

/// The same, where heads may be any text: each with whether it is that of numbers.
pub(super) fn table_of<'a>(
    label: &str,
    heads: impl Iterator<Item = (&'a str, bool)>,
    rows: &Markup,
) -> Markup {
    html! {
        div.wide role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr {
                    @for (head, is_of_numbers) in heads { th.number[is_of_numbers] scope="col" { (head) } }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// Beyond that JSON is shown as it came: laid out, it could become many times as large.
const LAID_OUT_BYTES_MAX: usize = 256 * 1024;

/// JSON as people read it, if it is JSON and not too large; numbers, texts and the order of keys stay as they came.
pub(super) fn pretty(json: &str) -> String {
    if json.len() > LAID_OUT_BYTES_MAX {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            out.push(letter);
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match letter {
            '"' => {
                in_text = true;
                out.push(letter);
            }
            '{' | '[' => {
                while letters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                out.push(letter);
                let close = if letter == '{' { '}' } else { ']' };
                if letters.peek() == Some(&close) {
                    out.extend(letters.next());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Beyond some depth nothing is gained by moving further in, and deep nesting would make much of little.
fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(40)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_keeps_its_values() {
        assert_eq!(
            pretty(r#"{"a":[1.10,{}],"b":"x\"{,:","a":[ ]}"#),
            "{\n  \"a\": [\n    1.10,\n    {}\n  ],\n  \"b\": \"x\\\"{,:\",\n  \"a\": []\n}"
        );
        assert_eq!(pretty("9007199254740993"), "9007199254740993");
        assert_eq!(pretty("\"a b\""), "\"a b\"");
    }

    #[test]
    fn sentences_begin_and_end() {
        assert_eq!(sentence("no function \"x\" is deployed"), "No function \"x\" is deployed.");
        assert_eq!(sentence("timeout_s must be 1 to 900"), "timeout_s must be 1 to 900.");
        assert_eq!(sentence("What now?"), "What now?");
        assert_eq!(sentence(""), "");
    }
}
