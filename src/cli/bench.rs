//! `fnlite bench`: how fast a function, or a page of the server, answers. What it measures with `--async` is on a page of its
//! own, `bench_async.rs`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::base::clock::{Clock, SystemClock};
use crate::base::length::Length;
use crate::base::text;
use crate::cli::api::{Api, Query, function_path};
use crate::cli::client::Call;
use crate::cli::exit::{Exit, Failure};
use crate::cli::histogram::Histogram;
use crate::cli::load::{self, Extent, Load, Report};
use crate::cli::output::{Out, Style};
use crate::cli::{Context, bench_async};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The function's name
    #[arg(required_unless_present_any = ["get", "post"], conflicts_with_all = ["get", "post"])]
    name: Option<String>,
    /// Connections, each with one request at a time, 1 to 1024
    #[arg(long, short, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) connections: u16,
    /// How long; the event is --data
    #[arg(long, short, default_value = "10s", value_name = "TIME")]
    duration: Length,
    /// So many requests, instead of for a time
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Hand events over instead of waiting for each run: how fast they are kept, then how fast all of them are run
    #[arg(long = "async", requires = "name")]
    is_async: bool,
    /// With --async: how long to wait at most until all of them were run; 0s does not wait
    #[arg(long, default_value = "1h", value_name = "TIME", requires = "is_async")]
    pub(super) wait: Length,
    /// Requests a second, all connections together, sent when they are due; without it, as fast as answers come
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// The event, JSON
    #[arg(long, default_value = "{}", value_name = "JSON")]
    data: String,
    /// Ask for this path instead of running a function
    #[arg(long, value_name = "PATH")]
    get: Option<String>,
    /// Send the event to this path, which may be another kind of server's (`scripts/bench` measures some beside ours)
    #[arg(long, value_name = "PATH", hide = true, conflicts_with = "get")]
    post: Option<String>,
}

/// The report as JSON.
#[derive(Debug, Serialize)]
struct Figures {
    connections: u16,
    duration_s: f64,
    rate_asked_per_s: Option<f64>,
    rate_per_s: f64,
    succeeded: u64,
    failed: u64,
    lost: u64,
    #[serde(flatten)]
    latencies: Latencies,
}

/// How long answers took.
#[derive(Debug, Serialize)]
pub(super) struct Latencies {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    if args.is_async {
        return bench_async::run(args, &mut api, &context.out);
    }
    let report = load(args, &api, Vec::new(), &context.out)?;
    let figures = figures(args, &report);
    let said = match context.out.json {
        true => serde_json::to_string(&figures).expect("numbers always become JSON"),
        false => render(&figures, &context.out),
    };
    context.out.data(said.as_bytes())?;
    Ok(if figures.failed + figures.lost == 0 { Exit::Done } else { Exit::FunctionFailed })
}

/// Puts the load on the server.
pub(super) fn load(args: &Args, api: &Api, query: Query, out: &Out) -> Result<Report, Failure> {
    let (method, path, body) = request(args);
    let (target, headers) = api.prepared(&path, query);
    let call = Call { method, target: &target, headers: &headers, body: body.as_bytes() };
    let (extent, said) = match args.count {
        Some(count) => (Extent::Times(count), format!("{count} times")),
        None => (Extent::For(args.duration.0), format!("for {}", args.duration)),
    };
    let load = Load {
        address: api.address().clone(),
        connections: args.connections.into(),
        extent,
        rate_per_s: args.rate,
    };
    out.note(&format!("{method} {target} at {} {said}", api.address()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    load::run(&load, &call, &clock).map_err(|error| api.unreachable(error))
}

/// The method, path and body to send over and over.
fn request(args: &Args) -> (&'static str, String, &str) {
    match (&args.get, &args.post) {
        (Some(path), _) => ("GET", path.clone(), ""),
        (None, Some(path)) => ("POST", path.clone(), &args.data),
        (None, None) => {
            let name = args.name.as_deref().unwrap_or_default();
            ("POST", function_path(name, "/invoke"), &args.data)
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("write a number from 0.001 to 1000000".to_owned()),
    }
}

fn figures(args: &Args, report: &Report) -> Figures {
    Figures {
        connections: args.connections,
        duration_s: report.elapsed.as_secs_f64(),
        rate_asked_per_s: args.rate,
        rate_per_s: report.rate_per_s(),
        succeeded: report.succeeded,
        failed: report.failed,
        lost: report.lost,
        latencies: Latencies::of(&report.latencies),
    }
}

impl Latencies {
    pub(super) fn of(latencies: &Histogram) -> Latencies {
        let ms = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1000.0;
        let quantile = |per_mille| ms(latencies.quantile_ns(per_mille));
        Latencies {
            p50_ms: quantile(500),
            p90_ms: quantile(900),
            p99_ms: quantile(990),
            p999_ms: quantile(999),
            max_ms: ms(latencies.most_ns()),
        }
    }

    /// A line for people.
    pub(super) fn render(&self) -> String {
        format!(
            "latency  p50 {:.3} ms  p90 {:.3} ms  p99 {:.3} ms  p99.9 {:.3} ms  max {:.3} ms",
            self.p50_ms, self.p90_ms, self.p99_ms, self.p999_ms, self.max_ms
        )
    }
}

fn render(figures: &Figures, out: &Out) -> String {
    let rate = out.paint(Style::Bold, &format!("{:.0} answers a second", figures.rate_per_s));
    let bad = figures.failed + figures.lost;
    let style = if bad == 0 { Style::Good } else { Style::Bad };
    let endings = out.paint(style, &format!("{} failed, {} without an answer", figures.failed, figures.lost));
    format!(
        "{rate} on {}, {} succeeded, {endings}\n{}\n",
        text::count(figures.connections.into(), "connection"),
        figures.succeeded,
        figures.latencies.render(),
    )
}
