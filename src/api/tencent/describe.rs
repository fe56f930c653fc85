//! Functions as the API describes them: every field of the contract's appendix A, those of the cloud as they were given or empty.

use serde_json::{Map, Value, json};

use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::api::tencent::times;
use crate::model::function::{Config, Env, EventConfig, Function, FunctionName, Version};
use crate::model::layer::LayerRef;
use crate::model::status::{Stand, Status};
use crate::store::concurrency::Provisioned;
use crate::store::listing::Condition;

/// Digits that the ids of resources are written with.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// GetFunction's answer.
pub(super) fn function(function: &Function, version: &Version, triggers: Value, code: &str) -> Value {
    let config = &version.config;
    let status = &function.status;
    let mut described = json!({
        "FunctionName": function.name.as_str(),
        "Namespace": function.namespace.as_str(),
        "FunctionId": resource_id(function.id),
        "FunctionVersion": version.qualifier,
        "Qualifier": version.qualifier,
        "Runtime": config.runtime.name,
        "Handler": config.handler.as_str(),
        "MemorySize": config.memory_mb,
        "Timeout": config.timeout_s,
        "InitTimeout": config.init_timeout_s,
        "Description": config.description,
        "Environment": { "Variables": variables(&config.env) },
        "Layers": config.layers.iter().map(layer).collect::<Vec<_>>(),
        "DeadLetterConfig": dead_letter(&config.event),
        "Triggers": triggers,
        "AddTime": times::of(function.created_us),
        "ModTime": times::of(version.created_us),
        "CodeSize": version.package_bytes,
        "CodeInfo": code,
        "CodeResult": if status.stand == Stand::CreateFailed { "failed" } else { "success" },
        "CodeError": if status.stand == Stand::CreateFailed { status.message.as_str() } else { "" },
        "ErrNo": 0,
        "Type": "Event",
        "Status": status.stand.as_str(),
        "StatusDesc": status.message,
        "StatusReasons": reasons(status),
        "AvailableStatus": "Available",
    });
    if let (Value::Object(fields), Value::Object(cloud)) = (&mut described, of_the_cloud(config)) {
        fields.extend(cloud);
    }
    described
}

/// The fields that only the cloud has: as they were given, or empty.
fn of_the_cloud(config: &Config) -> Value {
    let echo = Echo::of(config);
    json!({
        "AsyncRunEnable": echo.text_or("AsyncRunEnable", "FALSE"),
        "TraceEnable": echo.text_or("TraceEnable", "FALSE"),
        "InstallDependency": echo.text_or("InstallDependency", "FALSE"),
        "L5Enable": echo.text_or("L5Enable", "FALSE"),
        "DnsCache": echo.text_or("DnsCache", "FALSE"),
        "OnsEnable": "FALSE",
        "UseGpu": "FALSE",
        "Role": echo.text_or("Role", ""),
        "ClsLogsetId": echo.text_or("ClsLogsetId", ""),
        "ClsTopicId": echo.text_or("ClsTopicId", ""),
        "Tags": echo.get("Tags").unwrap_or_else(|| json!([])),
        "PublicNetConfig": echo.get("PublicNetConfig").unwrap_or_else(public_net),
        "IntranetConfig": { "IpFixed": "DISABLE", "IpAddress": [] },
        "VpcConfig": { "VpcId": "", "SubnetId": "" },
        "CfsConfig": { "CfsInsList": [] },
        "EipConfig": { "EipFixed": "FALSE", "Eips": [] },
        "AccessInfo": { "Host": "", "Vip": "" },
        "ProtocolType": "",
        "ProtocolParams": null,
        "InstanceConcurrencyConfig": null,
        "ImageConfig": null,
    })
}

/// A row of ListFunctions.
pub(super) fn row(function: &Function, provisioned: &[Provisioned]) -> Value {
    let config = &function.version.config;
    let echo = Echo::of(config);
    let own = provisioned.iter().filter(|row| row.function_id == function.id);
    let instances: u32 = own.map(|row| row.instances).sum();
    json!({
        "FunctionName": function.name.as_str(),
        "FunctionId": resource_id(function.id),
        "Namespace": function.namespace.as_str(),
        "Runtime": config.runtime.name,
        "Description": config.description,
        "Type": "Event",
        "Status": function.status.stand.as_str(),
        "StatusDesc": function.status.message,
        "StatusReasons": reasons(&function.status),
        "AddTime": times::of(function.created_us),
        "ModTime": times::of(function.modified_us),
        "Tags": echo.get("Tags").unwrap_or_else(|| json!([])),
        "TotalProvisionedConcurrencyMem": instances.saturating_mul(config.memory_mb),
        "ReservedConcurrencyMem": config.reserved_mb,
        "AsyncRunEnable": echo.text_or("AsyncRunEnable", "FALSE"),
        "TraceEnable": echo.text_or("TraceEnable", "FALSE"),
    })
}

/// A condition of ListFunctions.
pub(super) fn condition(filter: &Params) -> Result<Condition, Fault> {
    let values = filter.texts("Values")?.unwrap_or_default();
    let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
    if values.is_empty() || values.len() > VALUES_MAX {
        return Err(Fault::new("InvalidParameterValue", format!("a filter has 1 to {VALUES_MAX} Values")));
    }
    match filter.needed("Name")? {
        "Status" => Ok(Condition::Status(values)),
        "Runtime" => Ok(Condition::Runtime(values)),
        "Type" | "FunctionType" => {
            Ok(if values.iter().any(|value| value == "Event") { Condition::Always } else { Condition::Never })
        }
        name @ ("AsyncRunEnable" | "TraceEnable" | "Role" | "ClsTopicId" | "ClsLogsetId") => {
            Ok(Condition::Said { name: name.to_owned(), values })
        }
        // No function here has any of these.
        "VpcId" | "SubnetId" | "CfsId" | "CfsMountInsId" | "Eip" | "Stamp" => Ok(Condition::Never),
        "PublicNetStatus" => Ok(if values.iter().any(|value| value == "ENABLE") {
            Condition::Always
        } else {
            Condition::Never
        }),
        name => match name.strip_prefix("tag-") {
            Some(key) => Ok(Condition::Tag { key: key.to_owned(), values }),
            None => Err(Fault::new("InvalidParameterValue.Filters", format!("there is no filter {name}"))),
        },
    }
}

/// Most values of a filter (contract 12.1).
const VALUES_MAX: usize = 20;

/// The id of a function as a resource: `lam-` and eight characters.
pub(super) fn resource_id(id: i64) -> String {
    let mut rest = id.unsigned_abs();
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
        rest /= 36;
    }
    format!("lam-{}", String::from_utf8_lossy(&digits))
}

fn variables(env: &Env) -> Vec<Value> {
    env.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn layer(layer: &LayerRef) -> Value {
    json!({ "LayerName": layer.name.as_str(), "LayerVersion": layer.number, "Status": "Active" })
}

fn dead_letter(event: &EventConfig) -> Value {
    match event.dead_letter.as_ref().map(FunctionName::as_str) {
        Some(name) => json!({ "Type": "function", "Name": name, "FilterType": "" }),
        None => json!({ "Type": "", "Name": "", "FilterType": "" }),
    }
}

fn reasons(status: &Status) -> Vec<Value> {
    if status.code.is_empty() {
        return Vec::new();
    }
    vec![json!({ "ErrorCode": status.code, "ErrorMessage": status.message })]
}

fn public_net() -> Value {
    json!({ "PublicNetStatus": "ENABLE", "EipConfig": { "EipStatus": "DISABLE", "EipAddress": [] } })
}

/// What was said of the cloud.
struct Echo(Map<String, Value>);

impl Echo {
    fn of(config: &Config) -> Echo {
        Echo(serde_json::from_str(&config.echo).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn text_or(&self, name: &str, other: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or(other).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_ids_are_lam_and_eight_characters() {
        assert_eq!(resource_id(1), "lam-00000001");
        assert_eq!(resource_id(36 * 36 + 35), "lam-0000010z");
    }
}
