//! The command line: one file per command, and this table of them.
//!
//! A command reads its arguments, asks the server over REST like anybody else, and prints. Data goes to stdout, the rest
//! to stderr; with `--json` the data is the server's own. Nothing here opens the database, which is the server's alone, but
//! `check` and `sql`, which look at the file where no server runs.
//! The exit codes (`exit.rs`) are part of the promise.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::base::clock::{Clock, SystemClock};
use crate::cli::api::{Answer, Api};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Out, Style};
use crate::cli::times::Times;
use crate::config;
use crate::config::typed::{TypedClient, TypedPlace};

mod alias;
mod api;
mod backup;
mod bench;
mod bench_async;
mod check;
pub mod client;
mod completions;
mod concurrency;
mod console;
mod dead;
mod delete;
mod deploy;
mod doctor;
mod event_config;
mod event_stream;
mod exit;
mod folder;
mod follow;
mod follow_logs;
mod grid;
pub mod histogram;
mod invoke;
mod keys;
mod layer;
mod level;
mod lines;
mod list;
pub mod load;
mod logs;
mod man;
mod moment;
mod namespace;
mod output;
pub mod reply;
mod runs;
mod self_test;
mod serve;
mod show;
mod sql;
mod state;
mod table;
mod tccli_env;
mod terminate;
mod times;
mod trigger;
mod version;

/// Serverless functions on a small host: one binary, one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "fnlite", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: TypedPlace,
    #[command(flatten)]
    client: TypedClient,
    /// Print JSON for programs
    #[arg(long, global = true)]
    json: bool,
    /// Show when something was, in UTC, instead of how long ago
    #[arg(long, global = true)]
    utc: bool,
}

const AFTER_HELP: &str = "\
Options are also read from FNLITE_* variables and from fnlite.toml; flags come first.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 the function failed, 4 not found, 5 denied, 78 unusable file or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::Args>),
    /// Deploy a function from a folder, a file or a zip; what is not given goes back to its default
    Deploy(deploy::Args),
    /// Run a function and print what it returns
    Invoke(invoke::Args),
    /// Show one run: how it went, what it was given, what it returned and printed
    Show(show::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// Print log lines
    Logs(logs::Args),
    /// Read runs, lines and functions by SQL; reads the file where no server runs
    Sql(sql::Args),
    /// List functions
    List(list::Args),
    /// Freeze a function's code and configuration under the next number
    Publish(version::PublishArgs),
    /// List and delete published versions
    Version(version::Args),
    /// Name versions, move the names, and split runs between two versions
    Alias(alias::Args),
    /// Make, list and delete namespaces
    Namespace(namespace::Args),
    /// Publish, list and delete layers, which functions share
    Layer(layer::Args),
    /// Reserve memory for functions, keep their processes parked, set the total
    Concurrency(concurrency::Args),
    /// Show or change how a function's asynchronous events are tried
    EventConfig(event_config::Args),
    /// Have timers, requests, objects and messages run functions
    Trigger(trigger::Args),
    /// End an asynchronous event
    Terminate(terminate::Args),
    /// Look at events that were given up, run them again, or let them go
    Dead(dead::Args),
    /// Delete a function with its versions, aliases and triggers; its runs and logs stay
    Delete(delete::Args),
    /// Copy the database into a file while the server runs
    Backup(backup::Args),
    /// Say whether the database is sound and what is in it; looks at the file where no server runs
    Check(check::Args),
    /// Make, list and revoke the keys of API callers
    Keys(keys::Args),
    /// Print a link that signs you in to the console, the server's own pages
    Console(console::Args),
    /// Print what makes tccli and the SDKs of Tencent Cloud speak with this server
    TccliEnv(tccli_env::Args),
    /// Put load on a function and measure it
    Bench(bench::Args),
    /// Say what this host gives and what is wrong
    Doctor(doctor::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
    /// Print the manual page, of all or of one command
    Man(man::Args),
}

/// What every command gets.
#[derive(Debug)]
struct Context {
    place: TypedPlace,
    client: TypedClient,
    out: Out,
    /// Whether instants are shown in UTC.
    utc: bool,
}

impl Context {
    /// The server meant.
    fn api(&self) -> Result<Api, Failure> {
        let client = config::client(self.place.clone(), self.client.clone());
        Api::new(client.map_err(|error| Failure::unusable(&error))?)
    }

    /// Asks for a change, and says that it is done.
    fn change(&self, method: &str, path: &str, body: Option<&Value>, done: &str) -> Result<Exit, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.api()?.send(method, path, Vec::new(), body.as_bytes())?.accepted()?;
        self.done(&answer, done)
    }

    /// Says that a change is done; to programs the server's own words, if it had any.
    fn done(&self, answer: &Answer, said: &str) -> Result<Exit, Failure> {
        match (self.out.json, answer.body()) {
            (true, []) => {}
            (true, body) => self.out.data(body)?,
            (false, _) => self.out.note(said),
        }
        Ok(Exit::Done)
    }

    /// How instants are shown, seen from now.
    fn times(&self) -> Times {
        Times { now_us: SystemClock.wall_us(), are_utc: self.utc }
    }
}

/// Runs the command line; `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // What cannot be printed (a closed pipe) has nobody to read it.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let context = Context { place: cli.place, client: cli.client, out: Out::new(cli.json), utc: cli.utc };
    // A panic has been printed where it happened; here it becomes an ordinary exit code instead of 101.
    let ended = catch_unwind(AssertUnwindSafe(|| run(cli.command, &context)));
    let failure = match ended {
        Ok(Ok(exit)) => return exit.into(),
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Exit::Error, "this is a fault of fnlite itself"),
    };
    if !failure.message.is_empty() {
        context.out.note(&format!("{} {}", context.out.paint(Style::Bad, "fnlite:"), failure.message));
    }
    failure.exit.into()
}

fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::run(*args, context),
        Command::Deploy(args) => deploy::run(&args, context),
        Command::Invoke(args) => invoke::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Runs(args) => runs::run(&args, context),
        Command::Logs(args) => logs::run(&args, context),
        Command::Sql(args) => sql::run(&args, context),
        Command::List(args) => list::run(&args, context),
        Command::Publish(args) => version::publish(&args, context),
        Command::Version(args) => version::run(&args, context),
        Command::Alias(args) => alias::run(&args, context),
        Command::Namespace(args) => namespace::run(&args, context),
        Command::Layer(args) => layer::run(&args, context),
        Command::Concurrency(args) => concurrency::run(&args, context),
        Command::EventConfig(args) => event_config::run(&args, context),
        Command::Trigger(args) => trigger::run(&args, context),
        Command::Terminate(args) => terminate::run(&args, context),
        Command::Console(args) => console::run(&args, context),
        Command::TccliEnv(args) => tccli_env::run(&args, context),
        Command::Dead(args) => dead::run(&args, context),
        Command::Delete(args) => delete::run(&args, context),
        Command::Backup(args) => backup::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Keys(args) => keys::run(&args, context),
        Command::Bench(args) => bench::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_command_lines_are_understood() {
        for line in [
            "serve --db x.db --listen 127.0.0.1:0 --socket x.sock",
            "serve --isolation-min 2 --drain-timeout 10s --log debug",
            "deploy hello folder --runtime Python3.10 --handler index.main_handler --timeout 3 --memory 128 --env A=b --env C=d",
            "invoke hello -d {} --json",
            "invoke hello -d -",
            "invoke hello -d {} --async --idempotency-key order-1",
            "invoke hello --async --wait",
            "invoke hello --async --wait=10s --json",
            "show 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "show --wait 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "show --wait=10s 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "logs hello --since 15m --status failed",
            "logs -f",
            "logs hello -f -q timeout --since 15m --json",
            "logs --request-id 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "runs hello --since 2h --until 1h --limit 5",
            "sql SELECT",
            "sql - -p 1 -p -2 --limit 10 --csv",
            "sql SELECT --file other.db --json",
            "sql --schema",
            "sql --schema logs",
            "list --json",
            "list --utc",
            "dead list",
            "dead list hello --since 2h --limit 5",
            "dead list --all --json",
            "dead show 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "dead replay 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae 5ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "dead replay --all hello",
            "dead drop 4ca7089c-3bb0-48cf-bcdb-26d130fed2ae",
            "dead drop --all",
            "delete hello -n other",
            "backup x.db",
            "check --json",
            "trigger add timer hello nightly 0_30_2_*_*_*_* --zone Europe/Berlin --argument x",
            "trigger add http hello --cors * --signed",
            "trigger add apigw hello /orders/{id} --method POST --passthrough --auth",
            "trigger add cos hello photos-1250000000 --suffix .jpg --off",
            "trigger add ckafka hello readings --brokers a:1,b:2 --wait 2s",
            "trigger list",
            "trigger list hello --json",
            "trigger enable hello nightly",
            "trigger disable hello nightly --type timer",
            "trigger remove hello photos-1250000000 --event cos:ObjectCreated:*",
            "trigger test hello --template cos_put",
            "console",
            "keys create ci --scope invoke",
            "keys list",
            "keys revoke 3",
            "bench hello -c 8 -d 10s",
            "bench hello --async -c 64 -d 10s",
            "bench hello --async --count 1000 --wait 0s --json",
            "bench --get /healthz --rate 200",
            "bench --post /hello.cgi --url http://127.0.0.1:8080",
            "doctor --url http://127.0.0.1:9980 --key x",
            "doctor --self-test --level 3 --heavy",
            "completions bash",
            "man deploy",
        ] {
            let words = std::iter::once("fnlite").chain(line.split(' '));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
