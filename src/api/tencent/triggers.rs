//! Triggers (contract 6.8): switched by words in requests, by numbers in answers.

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::api::tencent::times;
use crate::api::tencent::trigger_desc;
use crate::model::function::{Function, FunctionName, LATEST, Version};
use crate::model::trigger::{Kind, Placed, Spec, Trigger};
use crate::store::triggers::TriggerRef;

/// Most rows of a page of triggers.
const LIMIT_MAX: u32 = 100;

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let kind = kind(call)?;
    let trigger = Trigger {
        name: call.params.needed("TriggerName")?.to_owned(),
        spec: trigger_desc::read(kind, call.params.text("TriggerDesc")?.unwrap_or_default())?,
        qualifier: call.params.said("Qualifier")?.unwrap_or(LATEST).to_owned(),
        enabled: switch(call)?.unwrap_or(true),
        custom_argument: call.params.text("CustomArgument")?.unwrap_or_default().to_owned(),
        description: call.params.text("Description")?.unwrap_or_default().to_owned(),
        created_us: 0,
        modified_us: 0,
    };
    let made = call.parts.triggers.create(&namespace, &name, &trigger)?;
    Ok(Reply::of(json!({ "TriggerInfo": described(call, &made) })))
}

pub(super) fn update(call: &Call<'_>) -> Result<Reply, Fault> {
    let of = meant(call)?;
    if !matches!(of.kind, Kind::Timer | Kind::Ckafka | Kind::Http) {
        return Err(Fault::new(
            "InvalidParameterValue.Type",
            "only timer, ckafka and http triggers are updated",
        ));
    }
    let desc = call.params.text("TriggerDesc")?;
    if desc == Some("") {
        return Err(Fault::new("InvalidParameterValue.TriggerDesc", "TriggerDesc must not be empty"));
    }
    let changed = desc.map(|text| trigger_desc::read_change(of.kind, text)).transpose()?;
    let enabled = switch(call)?;
    let argument = call.params.text("CustomArgument")?.map(str::to_owned);
    let description = call.params.text("Description")?.map(str::to_owned);
    call.parts.triggers.update(&of, move |trigger| {
        if let Some(changed) = changed {
            changed.apply(&mut trigger.spec);
        }
        trigger.enabled = enabled.unwrap_or(trigger.enabled);
        trigger.custom_argument = argument.unwrap_or_else(|| trigger.custom_argument.clone());
        trigger.description = description.unwrap_or_else(|| trigger.description.clone());
        Ok(())
    })?;
    Ok(Reply::done())
}

pub(super) fn update_status(call: &Call<'_>) -> Result<Reply, Fault> {
    let enabled = switch(call)?.ok_or_else(|| Fault::missing("MissingParameter", "Enable"))?;
    call.parts.triggers.update(&meant(call)?, move |trigger| {
        trigger.enabled = enabled;
        Ok(())
    })?;
    Ok(Reply::done())
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parts.triggers.delete(&meant(call)?)?;
    Ok(Reply::done())
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let window = call.window(LIMIT_MAX)?;
    let mut triggers = call.parts.triggers.list(&namespace, &name)?;
    for filter in call.params.objects("Filters")?.unwrap_or_default() {
        let values = filter.texts("Values")?.unwrap_or_default();
        let part = filter.needed("Name")?;
        let field: fn(&Trigger) -> &str = match part {
            "Qualifier" => |trigger| &trigger.qualifier,
            "TriggerName" => |trigger| &trigger.name,
            "Description" => |trigger| &trigger.description,
            "Type" => |trigger| trigger.spec.kind().as_str(),
            _ => {
                return Err(Fault::new(
                    "InvalidParameterValue.Filters",
                    format!("there is no filter {part}"),
                ));
            }
        };
        triggers.retain(|placed| values.contains(&field(&placed.trigger)));
    }
    match call.params.said("OrderBy")? {
        None | Some("mod_time") => triggers.sort_by_key(|placed| placed.trigger.modified_us),
        Some("add_time") => triggers.sort_by_key(|placed| placed.trigger.created_us),
        Some(_) => {
            return Err(Fault::new("InvalidParameterValue.OrderBy", "OrderBy must be add_time or mod_time"));
        }
    }
    if call.goes_down(true)? {
        triggers.reverse();
    }
    let total = triggers.len();
    let page: Vec<Value> = window.cut(triggers).iter().map(|placed| listed(call, placed)).collect();
    Ok(Reply::of(json!({ "TotalCount": total, "Triggers": page })))
}

/// Those that run a version, as GetFunction shows them.
pub(super) fn of_version(call: &Call<'_>, function: &Function, version: &Version) -> Result<Value, Fault> {
    let mut triggers = call.parts.triggers.list(&function.namespace, &function.name)?;
    let asked = call.params.said("Qualifier")?.unwrap_or(LATEST);
    triggers.retain(|Placed { trigger, .. }| {
        trigger.qualifier == asked || trigger.qualifier == version.qualifier
    });
    Ok(triggers.iter().map(|placed| described(call, placed)).collect())
}

fn kind(call: &Call<'_>) -> Result<Kind, Fault> {
    Ok(Kind::parse(call.params.needed("Type")?)?)
}

/// `Enable`: OPEN or CLOSE.
fn switch(call: &Call<'_>) -> Result<Option<bool>, Fault> {
    let wrong = |_| Fault::new("InvalidParameterValue.Enable", "Enable must be OPEN or CLOSE");
    if !call.params.has("Enable") {
        return Ok(None);
    }
    match call.params.said("Enable") {
        Ok(None) => Err(wrong(())),
        _ => call.params.truth("Enable").map_err(|_| wrong(())),
    }
}

fn meant(call: &Call<'_>) -> Result<TriggerRef, Fault> {
    let (namespace, name) = call.names()?;
    let kind = kind(call)?;
    let event = match (kind, call.params.said("TriggerDesc")?) {
        (Kind::Cos, Some(text)) => match trigger_desc::read(kind, text)? {
            Spec::Cos(cos) => Some(cos.event),
            _ => None,
        },
        (Kind::Cos, None) => {
            return Err(Fault::new(
                "InvalidParameterValue.TriggerDesc",
                "a cos trigger needs its TriggerDesc",
            ));
        }
        _ => None,
    };
    Ok(TriggerRef {
        function_id: call.parts.functions.find(&namespace, &name)?.id,
        kind,
        name: call.params.needed("TriggerName")?.to_owned(),
        qualifier: call.params.said("Qualifier")?.map(str::to_owned),
        event,
    })
}

fn described(call: &Call<'_>, placed: &Placed) -> Value {
    let Placed { id, function, trigger, .. } = placed;
    let address = call.parts.triggers.address(placed);
    json!({
        "TriggerName": trigger.name,
        "Type": trigger.spec.kind().as_str(),
        "TriggerDesc": trigger_desc::write_at(&trigger.spec, &address),
        "Enable": u8::from(trigger.enabled),
        "AvailableStatus": "Available",
        "Qualifier": trigger.qualifier,
        "CustomArgument": trigger.custom_argument,
        "Description": trigger.description,
        "AddTime": times::of(trigger.created_us),
        "ModTime": times::of(trigger.modified_us),
        "ResourceId": resource(&trigger.spec, function, *id),
        "BindStatus": if trigger.enabled { "on" } else { "off" },
        "TriggerAttribute": "single",
    })
}

/// What the cloud knows it by; tools read the service and the API of a gateway out of it (triggers 1.5).
fn resource(spec: &Spec, function: &FunctionName, id: i64) -> String {
    match spec {
        Spec::Apigw(apigw) => format!("service/{}/API/api-{id}", apigw.service),
        _ => format!("function/{function}/{id}"),
    }
}

fn listed(call: &Call<'_>, placed: &Placed) -> Value {
    let mut row = described(call, placed);
    row["BoundResources"] = "".into();
    row
}
