//! `fnlite doctor`: what the server found out about its host.

use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::wire::{Doctor, Verdict};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let answer = context.api()?.get("/v1/doctor", Vec::new())?;
    if context.out.json {
        return context.out.data(answer.body()).map(|()| Exit::Done);
    }
    context.out.data(render(&answer.json()?, &context.out).as_bytes())?;
    Ok(Exit::Done)
}

fn render(doctor: &Doctor, out: &Out) -> String {
    let width = doctor.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let lines = doctor.checks.iter().map(|check| {
        let mark = match check.verdict {
            Verdict::Ok => out.paint(Style::Good, "ok  "),
            Verdict::Warn => out.paint(Style::Bold, "note"),
            Verdict::Fail => out.paint(Style::Bad, "bad "),
        };
        format!("{mark}  {:width$}  {}\n", check.name, check.detail)
    });
    lines.collect()
}
