//! What functions may use at once: `/v1/functions/{name}/concurrency`, `…/versions/{version}/provisioned`, `/v1/concurrency`.

use serde::Serialize;

use crate::api::rest::Rest;
use crate::api::rest::answer;
use crate::api::rest::call::Call;
use crate::api::rest::fields::Fields;
use crate::error::{Error, Result};
use crate::http::response::Response;

#[derive(Serialize)]
struct FunctionBody {
    reserved_mb: Option<u32>,
    provisioned: Vec<ProvisionedBody>,
}

#[derive(Serialize)]
struct ProvisionedBody {
    version: String,
    instances: u32,
    parked: u32,
}

#[derive(Serialize)]
struct TotalBody {
    total_mb: u32,
    total_mb_max: u32,
    reserved_mb: u32,
}

pub(super) fn of_function(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name) = (call.namespace()?, call.function()?);
    let function = rest.parts.functions.find(&namespace, &name)?;
    let kept = rest.parts.concurrency.provisioned(&namespace, &name)?;
    let provisioned = kept.into_iter().map(|kept| ProvisionedBody {
        version: kept.qualifier,
        instances: kept.wanted,
        parked: kept.parked,
    });
    let reserved_mb = function.version.config.reserved_mb;
    Ok(answer::json(200, &FunctionBody { reserved_mb, provisioned: provisioned.collect() }))
}

pub(super) fn reserve(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name) = (call.namespace()?, call.function()?);
    let body = call.body.into_bytes()?;
    let mut fields = Fields::parse(&body)?;
    let reserved_mb = fields.number("reserved_mb")?;
    fields.nothing_else(&["reserved_mb"])?;
    rest.parts.concurrency.reserve(&namespace, &name, reserved_mb)?;
    Ok(Response::new(204))
}

pub(super) fn provision(rest: &Rest, call: Call) -> Result<Response> {
    let (namespace, name, version) = (call.namespace()?, call.function()?, call.second.clone());
    let instances = only_number(call, "instances")?;
    rest.parts.concurrency.provision(&namespace, &name, &version, instances)?;
    Ok(Response::new(204))
}

pub(super) fn total(rest: &Rest, _: Call) -> Result<Response> {
    let concurrency = &rest.parts.concurrency;
    Ok(answer::json(
        200,
        &TotalBody {
            total_mb: concurrency.total_mb(),
            total_mb_max: concurrency.total_mb_max(),
            reserved_mb: concurrency.reserved_mb()?,
        },
    ))
}

pub(super) fn set_total(rest: &Rest, call: Call) -> Result<Response> {
    rest.parts.concurrency.set_total_mb(only_number(call, "total_mb")?)?;
    Ok(Response::new(204))
}

/// The one field of a body that has one.
fn only_number(call: Call, name: &str) -> Result<u32> {
    let body = call.body.into_bytes()?;
    let mut fields = Fields::parse(&body)?;
    let number = fields.number(name)?.ok_or_else(|| Error::invalid(format!("{name} is required")))?;
    fields.nothing_else(&[name])?;
    Ok(number)
}
