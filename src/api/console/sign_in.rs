//! Signing in, by a key or by a link that works once, and out.

use maud::html;
use tiny_http::Method;

use crate::api::console::HOME;
use crate::api::console::client::Target;
use crate::api::console::cookie;
use crate::api::console::page::{self, Shown};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;

/// Where whoever wants to see `target` signs in first.
pub(super) fn path_for(target: &str) -> String {
    let next = if target == HOME { "" } else { target };
    Target::of(&["console", "sign-in"]).with("next", next).text().to_owned()
}

pub(super) fn show(visit: &Visit<'_>) -> Result<Shown, Problem> {
    Ok(asked(200, visit.query.text("next"), ""))
}

/// The form, with what was wrong the last time.
fn asked(status: u16, next: &str, wrong: &str) -> Shown {
    let body = html! {
        main.alone id="main" {
            h1 { "fnlite" }
            form method="post" action="/console/sign-in" {
                input type="hidden" name="next" value=(next);
                label for="key" { "Key" }
                input id="key" name="key" type="password" autocomplete="current-password" required autofocus
                    aria-describedby="help" aria-invalid=[(!wrong.is_empty()).then_some("true")];
                @if !wrong.is_empty() { p.problem role="alert" { (wrong) } }
                button { "Sign in" }
            }
            p.quiet id="help" {
                "A key begins with " code { "fnl_" } ". On the server itself, " code { "fnlite console" }
                " prints a link that signs you in without one."
            }
        }
    };
    Shown::Whole(Box::new(page::html_answer(status, page::document("Sign in", &body))))
}

pub(super) fn by_key(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let next = visit.form.text("next");
    match visit.server.sessions.sign_in(visit.form.word("key")) {
        Some(token) => {
            // Only to pages of ours, as an address is written: a link to the form must not lead elsewhere behind it.
            let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
            let leads_up = next.contains("..") || next.to_ascii_lowercase().contains("%2e");
            let is_ours = next.starts_with(HOME) && is_plain && !leads_up;
            let next = if is_ours { next } else { HOME };
            let answer = page::to(next).with_header("Set-Cookie", cookie::set(visit.head, &token));
            Ok(Shown::Whole(Box::new(answer)))
        }
        None => Ok(match visit.server.failures.count(visit.peer) {
            None => asked(401, next, "This key is not known; it may have been revoked."),
            Some(wait_s) => {
                asked(429, next, &format!("Too many wrong keys came from here. Try again in {wait_s} s."))
            }
        }),
    }
}

/// The visitor goes on by a page of ours instead of being sent on at once: whoever followed a link from another site would come
/// without the cookie that he has just been given.
pub(super) fn by_ticket(visit: &Visit<'_>) -> Result<Shown, Problem> {
    // Whoever only looks whether the link leads anywhere does not use it up.
    if *visit.head.method() == Method::Head {
        return Ok(Shown::Whole(Box::new(page::html_answer(200, html! {}))));
    }
    let Some(token) = visit.server.sessions.enter(visit.query.text("ticket")) else {
        return Err(Problem::new(
            403,
            "This link was used already, or is too old. `fnlite console` prints a new one.",
        ));
    };
    let body = html! {
        meta http-equiv="refresh" content={ "0; url=" (HOME) };
        main.alone id="main" {
            h1 { "fnlite" }
            p { "You are signed in. " a href=(HOME) { "To the console" } }
        }
    };
    let answer = page::html_answer(200, page::document("Signed in", &body));
    Ok(Shown::Whole(Box::new(answer.with_header("Set-Cookie", cookie::set(visit.head, &token)))))
}

pub(super) fn out(visit: &Visit<'_>) -> Result<Shown, Problem> {
    cookie::token(visit.head).inspect(|token| visit.server.sessions.sign_out(token));
    let answer = page::to("/console/sign-in").with_header("Set-Cookie", cookie::clear(visit.head));
    Ok(Shown::Whole(Box::new(answer)))
}
