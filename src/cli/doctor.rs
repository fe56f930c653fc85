//! `fnlite doctor`: what the server found out about its host; with `--self-test`, whether the walls hold.

use crate::api::wire::{Doctor, Verdict};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::{Context, self_test};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run hostile functions on a server of their own, at every isolation level this host gives, and say what each
    /// could do; exits with 1 if a level does not hold what it promises
    #[arg(long)]
    self_test: bool,
    /// With --self-test: only this level
    #[arg(long, value_name = "N", requires = "self_test")]
    level: Option<u8>,
    /// With --self-test: also what takes a lot of memory, disk or time for some seconds
    #[arg(long, requires = "self_test")]
    heavy: bool,
    /// With --self-test: only these attempts
    #[arg(long, value_name = "NAME", requires = "self_test")]
    attempt: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.self_test {
        return self_test::run(args.level, args.heavy, &args.attempt, &context.out);
    }
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
