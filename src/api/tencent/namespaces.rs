//! Namespaces (contract 6.9).

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::times;
use crate::model::function::{NAMESPACE_DEFAULT, Namespace};
use crate::model::namespace::Space;

/// Most rows of a page of namespaces: old tools ask for a hundred (contract 6.14).
const LIMIT_MAX: u32 = 100;

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Fault> {
    let created = call.parts.namespaces.create(&name(call)?, description(call)?);
    created.map_err(|error| {
        Fault::from(error).renamed("InvalidParameterValue", "InvalidParameterValue.DefaultNamespace")
    })?;
    Ok(Reply::done())
}

pub(super) fn update(call: &Call<'_>) -> Result<Reply, Fault> {
    call.params.needed("Description")?;
    call.parts.namespaces.describe(&name(call)?, description(call)?)?;
    Ok(Reply::done())
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    let deleted = call.parts.namespaces.delete(&name(call)?);
    deleted.map_err(|error| {
        Fault::from(error).renamed("InvalidParameterValue", "FailedOperation.DeleteNamespace")
    })?;
    Ok(Reply::done())
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let window = call.window(LIMIT_MAX)?;
    let mut spaces = call.parts.namespaces.list()?;
    for key in call.params.objects("SearchKey")?.unwrap_or_default() {
        let value = key.text("Value")?.unwrap_or_default();
        match key.needed("Key")? {
            "Namespace" => spaces.retain(|space| space.name.as_str().contains(value)),
            "Description" => spaces.retain(|space| space.description.contains(value)),
            other => {
                let sentence = format!("there is no key {other}; there are Namespace and Description");
                return Err(Fault::new("InvalidParameterValue.SearchKey", sentence));
            }
        }
    }
    match call.params.said("Orderby")? {
        None | Some("Name") => {}
        Some("Updatetime") => spaces.sort_by_key(|space| space.modified_us),
        Some(_) => {
            return Err(Fault::new("InvalidParameterValue.OrderBy", "Orderby must be Name or Updatetime"));
        }
    }
    if call.goes_down(false)? {
        spaces.reverse();
    }
    let total = spaces.len();
    let page: Vec<Value> = window.cut(spaces).iter().map(described).collect();
    Ok(Reply::of(json!({ "Namespaces": page, "TotalCount": total })))
}

fn name(call: &Call<'_>) -> Result<Namespace, Fault> {
    Ok(Namespace::parse(call.params.needed("Namespace")?)?)
}

fn description<'a>(call: &'a Call<'_>) -> Result<&'a str, Fault> {
    Ok(call.params.text("Description")?.unwrap_or_default())
}

fn described(space: &Space) -> Value {
    json!({
        "Name": space.name.as_str(),
        "Description": space.description,
        "Type": NAMESPACE_DEFAULT,
        "AddTime": times::of(space.created_us),
        "ModTime": times::of(space.modified_us),
    })
}
