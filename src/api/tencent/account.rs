//! GetAccount: what is used, and what the limits are (contract 6.9, 8).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::fault::Fault;
use crate::model::limits;
use crate::store::listing::Used;

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Fault> {
    let spaces = call.parts.namespaces.list()?;
    let mut used: BTreeMap<String, Vec<Used>> =
        spaces.iter().map(|space| (space.name.to_string(), Vec::new())).collect();
    for function in call.parts.store.used()? {
        used.entry(function.namespace.clone()).or_default().push(function);
    }
    let total_mb = call.parts.concurrency.total_mb();
    let reserved_mb = call.parts.concurrency.reserved_mb()?;
    let namespaces: Vec<Value> =
        used.iter().map(|(name, functions)| usage(name, functions, total_mb)).collect();
    let limits: Vec<Value> = used.keys().map(|name| limit(name, total_mb)).collect();
    Ok(Reply::of(json!({
        "AccountUsage": {
            "NamespacesCount": namespaces.len(),
            "Namespace": namespaces,
            "TotalConcurrencyMem": total_mb,
            "TotalAllocatedConcurrencyMem": reserved_mb,
            "UserConcurrencyMemLimit": call.parts.concurrency.total_mb_max(),
        },
        "AccountLimit": { "NamespacesCount": NONE, "Namespace": limits },
    })))
}

/// What stands where there is no limit but the host's: clients read a number.
const NONE: u32 = 100_000;

fn usage(name: &str, functions: &[Used], total_mb: u32) -> Value {
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    json!({
        "Namespace": name,
        "Functions": names,
        "FunctionsCount": names.len(),
        "TotalConcurrencyMem": total_mb,
        "TotalAllocatedConcurrencyMem": functions.iter().map(|function| function.reserved_mb).sum::<i64>(),
        "TotalAllocatedProvisionedMem": functions.iter().map(|function| function.provisioned_mb).sum::<i64>(),
    })
}

fn limit(name: &str, total_mb: u32) -> Value {
    let each = limits::TRIGGERS_PER_KIND_MAX;
    json!({
        "Namespace": name,
        "FunctionsCount": NONE,
        "Trigger": {
            "Timer": each, "Cos": each, "Ckafka": each, "Apigw": each, "Total": 4 * each,
            "Cmq": 0, "Cls": 0, "Clb": 0, "Mps": 0, "Cm": 0, "Vod": 0, "Eb": 0,
        },
        "ConcurrentExecutions": total_mb / limits::MEMORY_MB_MIN,
        "TimeoutLimit": limits::TIMEOUT_S_MAX,
        "InitTimeoutLimit": limits::INIT_TIMEOUT_S_MAX,
        "TestModelLimit": 0,
        "RetryNumLimit": limits::RETRY_NUM_MAX,
        "MinMsgTTL": limits::MSG_TTL_S_MIN,
        "MaxMsgTTL": limits::MSG_TTL_S_MAX,
    })
}
