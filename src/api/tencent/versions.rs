//! Published versions (contract 6.7).

use serde_json::json;

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::functions::delete_qualified;
use crate::api::tencent::times;

/// Most rows of a page of versions.
const LIMIT_MAX: u32 = 100;

pub(super) fn publish(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let description = call.params.text("Description")?;
    let version = call.parts.versions.publish(&namespace, &name, description)?;
    let config = &version.config;
    Ok(Reply::of(json!({
        "FunctionVersion": version.qualifier,
        "CodeSize": version.package_bytes,
        "MemorySize": config.memory_mb,
        "Description": config.description,
        "Handler": config.handler.as_str(),
        "Timeout": config.timeout_s,
        "Runtime": config.runtime.name,
        "Namespace": namespace.as_str(),
    })))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let window = call.window(LIMIT_MAX)?;
    let mut versions = call.parts.versions.list(&namespace, &name)?;
    let total = versions.len();
    match call.params.said("OrderBy")? {
        None => {}
        Some("AddTime" | "ModTime") => versions.sort_by_key(|version| version.created_us),
        Some(_) => {
            return Err(Fault::new("InvalidParameterValue.OrderBy", "OrderBy must be AddTime or ModTime"));
        }
    }
    if call.goes_down(false)? {
        versions.reverse();
    }
    let page = window.cut(versions);
    let names: Vec<_> = page.iter().map(|version| version.qualifier.clone()).collect();
    let rows: Vec<_> = page
        .iter()
        .map(|version| {
            json!({
                "Version": version.qualifier,
                "Description": version.config.description,
                "AddTime": times::of(version.created_us),
                "ModTime": times::of(version.created_us),
                "Status": "Active",
            })
        })
        .collect();
    Ok(Reply::of(json!({ "FunctionVersion": names, "Versions": rows, "TotalCount": total })))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    let qualifier = call.params.needed("Qualifier")?;
    delete_qualified(call, qualifier)?;
    Ok(Reply::done())
}
