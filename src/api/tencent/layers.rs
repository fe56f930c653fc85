//! Layers (contract 6.12).

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::config;
use crate::api::tencent::fault::Fault;
use crate::api::tencent::times;
use crate::error::Error;
use crate::model::layer::{LayerName, LayerRef, LayerText, LayerVersion};
use crate::model::runtime::Runtime;

/// Most rows of a page of layers.
const LIMIT_MAX: u32 = 100;

pub(super) fn publish(call: &Call<'_>) -> Result<Reply, Fault> {
    let name = layer_name(call)?;
    let wanted = call.params.texts("CompatibleRuntimes")?;
    let wanted = wanted.ok_or_else(|| Fault::missing("MissingParameter", "CompatibleRuntimes"))?;
    let runtimes = wanted.into_iter().map(runtime).collect::<Result<Vec<_>, _>>()?;
    let content = call.params.object("Content")?;
    let content = content.ok_or_else(|| Fault::missing("MissingParameter", "Content"))?;
    let code = config::code(&content)?;
    let code = code.ok_or_else(|| Fault::new("InvalidParameterValue.Content", "Content needs ZipFile"))?;
    let text = LayerText {
        runtimes,
        description: call.params.text("Description")?.unwrap_or_default().to_owned(),
        license: call.params.text("LicenseInfo")?.unwrap_or_default().to_owned(),
    };
    let published = call.parts.layers.publish(&name, &text, code).map_err(|error| {
        let fault =
            Fault::from(error).renamed("InvalidParameterValue.ZipFile", "InvalidParameterValue.Content");
        fault.renamed("InvalidParameterValue", "InvalidParameterValue.CompatibleRuntimes")
    })?;
    Ok(Reply::of(json!({ "LayerVersion": published.layer.number })))
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Fault> {
    let found = call.parts.layers.find(&layer(call)?)?;
    let Value::Object(mut fields) = described(&found) else { return Ok(Reply::done()) };
    fields.insert("CodeSha256".to_owned(), found.package.to_string().into());
    let location = call.links.to(call.host, &found.package, call.parts.clock.wall_us());
    fields.insert("Location".to_owned(), location.into());
    Ok(Reply { fields, ..Reply::default() })
}

/// The newest version of each layer.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let window = call.window(LIMIT_MAX)?;
    let mut layers = call.parts.layers.list()?;
    // They come by name, newest first.
    layers.dedup_by(|later, earlier| later.layer.name == earlier.layer.name);
    if let Some(part) = call.params.said("SearchKey")? {
        layers.retain(|version| version.layer.name.as_str().contains(part));
    }
    if let Some(name) = call.params.said("CompatibleRuntime")? {
        let wanted = runtime(name)?;
        layers.retain(|version| version.runtimes.contains(&wanted));
    }
    let total = layers.len();
    let page: Vec<Value> = window.cut(layers).iter().map(described).collect();
    Ok(Reply::of(json!({ "Layers": page, "TotalCount": total })))
}

pub(super) fn versions(call: &Call<'_>) -> Result<Reply, Fault> {
    let name = layer_name(call)?;
    let mut versions = call.parts.layers.list()?;
    versions.retain(|version| version.layer.name == name);
    if versions.is_empty() {
        return Err(Fault::new("ResourceNotFound.Layer", format!("there is no layer {name}")));
    }
    let wanted = call.params.texts("CompatibleRuntime")?.unwrap_or_default();
    let wanted = wanted.into_iter().map(runtime).collect::<Result<Vec<_>, _>>()?;
    versions.retain(|version| wanted.is_empty() || wanted.iter().any(|name| version.runtimes.contains(name)));
    let rows: Vec<Value> = versions.iter().map(described).collect();
    Ok(Reply::of(json!({ "LayerVersions": rows })))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parts.layers.delete(&layer(call)?)?;
    Ok(Reply::done())
}

fn layer_name(call: &Call<'_>) -> Result<LayerName, Fault> {
    let wrong = |error: Error| Fault::new("InvalidParameterValue.LayerName", error.message);
    LayerName::parse(call.params.needed("LayerName")?).map_err(wrong)
}

fn layer(call: &Call<'_>) -> Result<LayerRef, Fault> {
    let name = layer_name(call)?;
    let number = call.params.count("LayerVersion")?;
    Ok(LayerRef { name, number: number.ok_or_else(|| Fault::missing("MissingParameter", "LayerVersion"))? })
}

/// The runtime's own spelling of its name.
fn runtime(name: &str) -> Result<String, Fault> {
    let known =
        crate::model::runtime::RUNTIMES.iter().find(|runtime| runtime.name.eq_ignore_ascii_case(name));
    match known {
        Some(runtime) => Ok(runtime.name.to_owned()),
        None => match Runtime::parse(name) {
            Ok(runtime) => Ok(runtime.name.to_owned()),
            Err(error) => Err(Fault::new("InvalidParameterValue.CompatibleRuntimes", error.message)),
        },
    }
}

fn described(version: &LayerVersion) -> Value {
    json!({
        "LayerName": version.layer.name.as_str(),
        "LayerVersion": version.layer.number,
        "CompatibleRuntimes": version.runtimes,
        "Description": version.description,
        "LicenseInfo": version.license,
        "AddTime": times::of(version.created_us),
        "Status": "Active",
        "Stamp": "",
        "Tags": [],
    })
}
