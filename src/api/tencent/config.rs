//! From parameters to a function's configuration and code, and what of the cloud's own fields is kept to be given back.
//!
//! What would be something else here than the caller thinks is refused: code from elsewhere, networks and file systems of the
//! cloud, dead letters to its queues.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::model::function::{Config, Env, FunctionName, Handler};
use crate::model::layer::{LayerName, LayerRef};
use crate::model::runtime::Runtime;
use crate::service::functions::Code;

/// Fields that mean nothing on one host and are kept to be given back (contract 6.1).
const ECHOED: &[&str] = &[
    "Role",
    "Tags",
    "ClsLogsetId",
    "ClsTopicId",
    "AutoDeployClsTopicIndex",
    "AutoCreateClsTopic",
    "PublicNetConfig",
    "IntranetConfig",
    "L5Enable",
    "DnsCache",
    "TraceEnable",
    "AsyncRunEnable",
    "InstallDependency",
];

/// What a new function is to be. Its code comes apart from it.
pub(super) fn created(params: &Params) -> Result<Config, Fault> {
    let name = params.said("Runtime")?;
    let name = name.ok_or_else(|| Fault::missing("MissingParameter.Runtime", "Runtime"))?;
    let runtime = runtime(name)?;
    let handler = params.said("Handler")?.unwrap_or(if runtime.name == "CustomRuntime" {
        "main"
    } else {
        "index.main_handler"
    });
    let mut config = Config::new(runtime, Handler::parse(handler, runtime.language)?);
    change(&mut config, params)?;
    // Asynchronous execution is never tried again (contract 4.4).
    if params.truth("AsyncRunEnable")? == Some(true) {
        config.event.retry_num = 0;
    }
    Ok(config)
}

/// The runtime of that name, in any case: old tools write it in their own way (contract 6.14).
fn runtime(name: &str) -> Result<Runtime, Fault> {
    let known =
        crate::model::runtime::RUNTIMES.iter().find(|runtime| runtime.name.eq_ignore_ascii_case(name));
    match known {
        Some(runtime) => Ok(*runtime),
        None => {
            Runtime::parse(name).map_err(|error| Fault::new("InvalidParameterValue.Runtime", error.message))
        }
    }
}

/// Makes of a configuration what the parameters say; what they do not name stays.
pub(super) fn change(config: &mut Config, params: &Params) -> Result<(), Fault> {
    refuse_unmeant(params)?;
    if let Some(description) = params.text("Description")? {
        description.clone_into(&mut config.description);
    }
    if let Some(memory_mb) = number(params, "MemorySize", "InvalidParameterValue.MemorySize")? {
        config.memory_mb = memory_mb;
    }
    if let Some(timeout_s) = number(params, "Timeout", "LimitExceeded.Timeout")? {
        config.timeout_s = timeout_s;
    }
    if let Some(init_timeout_s) = number(params, "InitTimeout", "LimitExceeded.InitTimeout")? {
        config.init_timeout_s = init_timeout_s;
    }
    if let Some(environment) = params.object("Environment")? {
        config.env = env(&environment)?;
    }
    if let Some(layers) = params.objects("Layers")? {
        config.layers = self::layers(&layers)?;
    }
    if let Some(letters) = params.object("DeadLetterConfig")? {
        config.event.dead_letter = dead_letter(&letters)?;
    }
    if let Some(wanted) = params.said("Runtime")?
        && !wanted.eq_ignore_ascii_case(config.runtime.name)
    {
        return Err(Fault::new(
            "InvalidParameterValue.Runtime",
            "the runtime of a function cannot be changed",
        ));
    }
    config.echo = echo(&config.echo, params)?;
    Ok(())
}

/// Gives a function the handler that the parameters name, if they name one.
pub(super) fn change_handler(config: &mut Config, params: &Params) -> Result<(), Fault> {
    if let Some(handler) = params.said("Handler")? {
        config.handler = Handler::parse(handler, config.runtime.language)?;
    }
    Ok(())
}

/// A number of the model's; what it can be is said there, so that too large a one gets the same code.
fn number(params: &Params, name: &str, code: &'static str) -> Result<Option<u32>, Fault> {
    let fits =
        |number| u32::try_from(number).map_err(|_| Fault::new(code, format!("{name} must not be {number}")));
    params.whole(name)?.map(fits).transpose()
}

fn env(environment: &Params) -> Result<Env, Fault> {
    let variables = environment.objects("Variables")?.unwrap_or_default();
    let pair =
        |variable: &Params| Ok((variable.needed("Key")?.to_owned(), variable.needed("Value")?.to_owned()));
    variables.iter().map(pair).collect()
}

/// The layers named; a single one without a name is how the last one is unbound (contract 6.5).
fn layers(layers: &[Params]) -> Result<Vec<LayerRef>, Fault> {
    if let [only] = layers
        && only.text("LayerName")?.is_none_or(str::is_empty)
    {
        return Ok(Vec::new());
    }
    let layer = |layer: &Params| {
        let name = LayerName::parse(layer.needed("LayerName")?)?;
        let number = layer.count("LayerVersion")?.filter(|number| *number > 0);
        let number = number.ok_or_else(|| Fault::missing("MissingParameter", "LayerVersion"))?;
        Ok(LayerRef { name, number })
    };
    layers.iter().map(layer).collect()
}

fn dead_letter(letters: &Params) -> Result<Option<FunctionName>, Fault> {
    let code = "InvalidParameterValue.DeadLetterConfig";
    let Some(name) = letters.said("Name")? else { return Ok(None) };
    if !letters.said("Type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("function")) {
        let sentence = "there are no queues of the cloud here: DeadLetterConfig takes Type function, and Name its \
                        name; every dead letter is kept in any case";
        return Err(Fault::new(code, sentence));
    }
    FunctionName::parse(name).map(Some).map_err(|error| Fault::new(code, error.message))
}

/// What is said of the cloud, over what was said before.
fn echo(before: &str, params: &Params) -> Result<String, Fault> {
    let mut kept: Map<String, Value> = serde_json::from_str(before).unwrap_or_default();
    for name in ECHOED {
        if let Some(value) = params.raw(name) {
            kept.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(Value::Object(kept).to_string())
}

/// Refuses what a single host cannot mean.
fn refuse_unmeant(params: &Params) -> Result<(), Fault> {
    let refused = |name: &str, why: &str| {
        Fault::new("UnsupportedOperation", format!("{name} is not served here: {why}"))
    };
    if params.text("Type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("HTTP")) {
        let why = "web functions are not; Type is Event";
        return Err(Fault::new(
            "InvalidParameterValue.FunctionType",
            format!("Type HTTP is not served here: {why}"),
        ));
    }
    for (name, why) in [
        ("VpcConfig", "there is no private network of the cloud"),
        ("CfsConfig", "there is no file system of the cloud"),
        ("ImageConfig", "functions are packages, not images"),
        ("ProtocolType", "there are no web functions"),
    ] {
        if params.raw(name).is_some_and(says_something) {
            return Err(refused(name, why));
        }
    }
    if params.raw("InstanceConcurrencyConfig").is_some_and(says_something) {
        return Err(Fault::new(
            "InvalidParameterValue.InstanceConcurrencyConfig",
            "a process runs one event at a time; there are no web functions here",
        ));
    }
    if params.truth("InstallDependency")? == Some(true) {
        return Err(refused("InstallDependency", "put what the function needs into its package or a layer"));
    }
    if params.truth("IgnoreSysLog")? == Some(true) {
        return Err(refused("IgnoreSysLog", "the platform's lines are kept; searches can leave them out"));
    }
    if params.truth("UseGpu")? == Some(true) {
        return Err(refused("UseGpu", "there is none"));
    }
    Ok(())
}

/// Whether there is a text, number or truth anywhere in it that says something.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty() && !text.eq_ignore_ascii_case("FALSE"),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

/// Ways to bring code that only the cloud has.
const ELSEWHERE: &[&str] = &[
    "CosBucketName",
    "CosObjectName",
    "CosBucketRegion",
    "TempCosObjectName",
    "DemoId",
    "GitUrl",
    "ImageConfig",
];

/// The code in an object `Code`, or beside it in older requests; none where there is none.
pub(super) fn code(params: &Params) -> Result<Option<Code>, Fault> {
    for name in ELSEWHERE {
        if params.raw(name).is_some_and(says_something) {
            return Err(Fault::new(
                "UnsupportedOperation",
                format!("{name} is not served here: code comes as ZipFile"),
            ));
        }
    }
    let Some(text) = params.said("ZipFile")? else { return Ok(None) };
    let archive = STANDARD.decode(text.as_bytes()).map_err(|cause| {
        let sentence = format!("ZipFile must be a zip archive in base64: {cause}");
        Fault::new("InvalidParameterValue.ZipFileBase64BinasciiError", sentence)
    })?;
    Ok(Some(Code::Zip(archive)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params(serde_json::from_str(text).unwrap())
    }

    fn made(text: &str) -> Result<Config, Fault> {
        created(&params(text))
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let config = made(r#"{"Runtime":"python3.10"}"#).unwrap();
        assert_eq!((config.runtime.name, config.handler.as_str()), ("Python3.10", "index.main_handler"));
        assert_eq!((config.timeout_s, config.init_timeout_s, config.memory_mb), (3, 65, 128));
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let mut config = made(
            r#"{"Runtime":"Python3.10","Timeout":7,"Environment":{"Variables":[{"Key":"A","Value":"1"}]},
                "Layers":[{"LayerName":"deps","LayerVersion":2}],"Role":"r","Tags":[{"Key":"k","Value":"v"}]}"#,
        )
        .unwrap();
        change(&mut config, &params(r#"{"MemorySize":256,"Role":"s"}"#)).unwrap();
        assert_eq!((config.timeout_s, config.memory_mb, config.env.len()), (7, 256, 1));
        assert_eq!(config.layers[0].to_string(), "deps:2");
        assert_eq!(config.echo, r#"{"Role":"s","Tags":[{"Key":"k","Value":"v"}]}"#);
        let nothing = r#"{"Layers":[{"LayerName":"","LayerVersion":0}],"Environment":{"Variables":[]}}"#;
        change(&mut config, &params(nothing)).unwrap();
        assert!(config.layers.is_empty() && config.env.is_empty());
    }

    #[test]
    fn what_one_host_cannot_mean_is_refused_and_its_absence_is_not() {
        for (extra, code) in [
            (r#""VpcConfig":{"VpcId":"vpc-1","SubnetId":"s"}"#, "UnsupportedOperation"),
            (r#""CfsConfig":{"CfsInsList":[{"CfsId":"c"}]}"#, "UnsupportedOperation"),
            (r#""Type":"HTTP""#, "InvalidParameterValue.FunctionType"),
            (r#""ProtocolType":"WS""#, "UnsupportedOperation"),
            (r#""InstallDependency":"TRUE""#, "UnsupportedOperation"),
            (r#""DeadLetterConfig":{"Type":"topic","Name":"t"}"#, "InvalidParameterValue.DeadLetterConfig"),
            (r#""Timeout":-1"#, "LimitExceeded.Timeout"),
            (r#""Timeout":"x""#, "InvalidParameter"),
            (r#""Handler":"../x.y""#, "InvalidParameterValue.Handler"),
        ] {
            let fault = made(&format!(r#"{{"Runtime":"Python3.10",{extra}}}"#)).unwrap_err();
            assert_eq!(fault.code, code, "{extra}");
        }
        let empty = r#"{"Runtime":"Python3.10","VpcConfig":{"VpcId":"","SubnetId":""},"Type":"Event",
                        "CfsConfig":{"CfsInsList":[]},"InstallDependency":"FALSE"}"#;
        assert!(made(empty).is_ok());
        assert_eq!(made("{}").unwrap_err().code, "MissingParameter.Runtime");
        assert_eq!(made(r#"{"Runtime":"Java8"}"#).unwrap_err().code, "InvalidParameterValue.Runtime");
    }

    #[test]
    fn code_comes_as_a_zip_file_alone() {
        assert!(
            matches!(code(&params(r#"{"ZipFile":"UEs="}"#)), Ok(Some(Code::Zip(bytes))) if bytes == b"PK")
        );
        assert!(matches!(code(&params("{}")), Ok(None)));
        let refused = |text| code(&params(text)).unwrap_err().code;
        assert_eq!(refused(r#"{"ZipFile":"*"}"#), "InvalidParameterValue.ZipFileBase64BinasciiError");
        assert_eq!(refused(r#"{"CosBucketName":"b"}"#), "UnsupportedOperation");
    }
}
