//! The server itself: health, version, how it is, doctor, backup, and this API's description.

use serde::Serialize;

use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::gauges::Gauges;
use crate::api::rest::{Rest, openapi};
use crate::error::Result;
use crate::http::response::Response;
use crate::service::doctor::Verdict;
use crate::store;

#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
    isolation_level: u8,
    network_policies: Vec<&'static str>,
}

#[derive(Serialize)]
struct VersionBody<'a> {
    name: &'a str,
    version: &'a str,
    sqlite: &'a str,
}

/// What this server is, and how it is now.
#[derive(Serialize)]
struct ApplianceBody<'a> {
    release: &'a str,
    sqlite: &'a str,
    started_us: i64,
    now_us: i64,
    url: Option<&'a str>,
    isolation_level: u8,
    #[serde(flatten)]
    gauges: Gauges,
}

#[derive(Serialize)]
struct DoctorBody<'a> {
    checks: Vec<CheckBody<'a>>,
}

#[derive(Serialize)]
struct CheckBody<'a> {
    name: &'a str,
    verdict: &'static str,
    detail: &'a str,
}

/// Alive: a worker answers. Says nothing else, so that it stays as cheap as it is.
pub(super) fn healthz(_: &Rest, _: Call) -> Result<Response> {
    Ok(Response::new(200).with_header("Content-Type", "text/plain; charset=utf-8").with_bytes(&b"ok\n"[..]))
}

pub(super) fn readyz(rest: &Rest, _: Call) -> Result<Response> {
    let ready = !rest.is_stopping();
    let host = &rest.parts.host;
    let network_policies = host.policies_known().names();
    let body = ReadyBody { ready, isolation_level: host.sandbox.level, network_policies };
    Ok(answer::json(if ready { 200 } else { 503 }, &body))
}

pub(super) fn version(_: &Rest, _: Call) -> Result<Response> {
    let (version, sqlite) = (env!("CARGO_PKG_VERSION"), store::sqlite_version());
    Ok(answer::json(200, &VersionBody { name: "fnlite", version, sqlite }))
}

pub(super) fn appliance(rest: &Rest, _: Call) -> Result<Response> {
    let parts = &rest.parts;
    let body = ApplianceBody {
        release: env!("CARGO_PKG_VERSION"),
        sqlite: store::sqlite_version(),
        started_us: parts.started_us,
        now_us: parts.clock.wall_us(),
        url: parts.triggers.base_url(),
        isolation_level: parts.host.sandbox.level,
        gauges: Gauges::read(rest)?,
    };
    Ok(answer::json(200, &body))
}

pub(super) fn doctor(rest: &Rest, call: Call) -> Result<Response> {
    let doctor = &rest.parts.doctor;
    let with_runtimes = call.query.truth("runtimes")?.unwrap_or(true);
    let checks = if with_runtimes { doctor.checks() } else { doctor.quick_checks() };
    let checks = checks.iter().map(|check| CheckBody {
        name: &check.name,
        verdict: match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        },
        detail: &check.detail,
    });
    Ok(answer::json(200, &DoctorBody { checks: checks.collect() }))
}

pub(super) fn backup(rest: &Rest, _: Call) -> Result<Response> {
    let file = rest.parts.store.backup_file()?;
    let length = file.metadata()?.len();
    Ok(Response::new(200)
        .with_header("Content-Type", "application/vnd.sqlite3")
        .with_header("Content-Disposition", "attachment; filename=\"fnlite.db\"")
        .with_file(file, length))
}

pub(super) fn description(_: &Rest, _: Call) -> Result<Response> {
    Ok(Response::new(200).with_header("Content-Type", "application/json").with_bytes(openapi::document()))
}
