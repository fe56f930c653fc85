//! Reserved, provisioned and total concurrency, in MB as in the API (contract 6.12, D26).

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::model::function::Namespace;
use crate::service::concurrency::Kept;

pub(super) fn put_reserved(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let mb = needed_count(call, "ReservedConcurrencyMem")?;
    call.parts.concurrency.reserve(&namespace, &name, Some(mb))?;
    Ok(Reply::done())
}

pub(super) fn get_reserved(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let function = call.parts.functions.find(&namespace, &name)?;
    Ok(Reply::of(json!({ "ReservedMem": function.version.config.reserved_mb })))
}

pub(super) fn delete_reserved(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    call.parts.concurrency.reserve(&namespace, &name, None)?;
    Ok(Reply::done())
}

pub(super) fn put_provisioned(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let qualifier = call.params.needed("Qualifier")?;
    let instances = needed_count(call, "VersionProvisionedConcurrencyNum")?;
    let kind = call.params.said("ProvisionedType")?.unwrap_or("Default");
    let by_the_clock = call.params.objects("TriggerActions")?.is_some_and(|actions| !actions.is_empty());
    if !kind.eq_ignore_ascii_case("Default") || by_the_clock {
        let sentence = "Instances are kept parked in a fixed number here: ProvisionedType is Default, without TriggerActions";
        return Err(Fault::new("InvalidParameterValue.ProvisionType", sentence));
    }
    call.parts.concurrency.provision(&namespace, &name, qualifier, instances)?;
    Ok(Reply::done())
}

pub(super) fn delete_provisioned(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let qualifier = call.params.needed("Qualifier")?;
    call.parts.concurrency.provision(&namespace, &name, qualifier, 0)?;
    Ok(Reply::done())
}

pub(super) fn get_provisioned(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let function = call.parts.functions.find(&namespace, &name)?;
    let mut kept = call.parts.concurrency.provisioned(&namespace, &name)?;
    let room_mb = function.version.config.reserved_mb.unwrap_or_else(|| call.parts.concurrency.total_mb());
    let taken: u32 = kept.iter().map(|kept| kept.wanted).sum();
    let left = (room_mb / function.version.config.memory_mb.max(1)).saturating_sub(taken);
    if let Some(qualifier) = call.params.said("Qualifier")? {
        kept.retain(|kept| kept.qualifier == qualifier);
    }
    let allocated: Vec<Value> = kept.iter().map(described).collect();
    Ok(Reply::of(json!({ "UnallocatedConcurrencyNum": left, "Allocated": allocated })))
}

pub(super) fn put_total(call: &Call<'_>) -> Result<Reply, Fault> {
    let mb = needed_count(call, "TotalConcurrencyMem")?;
    if call.namespace()? != Namespace::default() {
        let sentence = "all namespaces share what the host gives; leave Namespace out";
        return Err(Fault::new("UnsupportedOperation", sentence));
    }
    let set = call.parts.concurrency.set_total_mb(mb);
    set.map_err(|error| {
        Fault::from(error)
            .renamed("LimitExceeded.FunctionReservedConcurrencyMemory", "FailedOperation.ReservedExceedTotal")
    })?;
    Ok(Reply::done())
}

fn needed_count(call: &Call<'_>, name: &str) -> Result<u32, Fault> {
    call.params.count(name)?.ok_or_else(|| Fault::missing("MissingParameter", name))
}

fn described(kept: &Kept) -> Value {
    let status = if kept.parked >= kept.wanted { "Done" } else { "InProgress" };
    json!({
        "Qualifier": kept.qualifier,
        "AllocatedProvisionedConcurrencyNum": kept.wanted,
        "AvailableProvisionedConcurrencyNum": kept.parked,
        "Status": status,
        "StatusReason": "",
        "TriggerActions": [],
    })
}
