//! Functions: created, updated, described, listed, copied, deleted.

use serde_json::json;

use crate::api::tencent::call::{Call, Reply};
use crate::api::tencent::config;
use crate::api::tencent::describe;
use crate::api::tencent::fault::Fault;
use crate::error::{Error, Kind};
use crate::model::alias::is_number;
use crate::model::function::{Config, FunctionName, LATEST};
use crate::store::listing::{FunctionQuery, Sort};

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Fault> {
    let name = call.function()?;
    let code = call.params.object("Code")?.ok_or_else(|| Fault::missing("MissingParameter.Code", "Code"))?;
    let code = config::code(&code)?;
    let code = code.ok_or_else(|| Fault::missing("MissingParameter.Code", "Code.ZipFile"))?;
    let config = config::created(call.params)?;
    let created = call.parts.functions.create(&call.namespace()?, &name, &config, code);
    created.map_err(refused)?;
    Ok(Reply::done())
}

/// The codes of what creates and changes functions: it is the layer that is missing, not a version of one.
fn refused(error: Error) -> Fault {
    Fault::from(error)
        .renamed("ResourceNotFound.LayerVersion", "ResourceNotFound.Layer")
        .renamed("LimitExceeded", "InvalidParameterValue.LimitExceeded")
}

pub(super) fn update_code(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let within = call.params.object("Code")?;
    let code = match within.as_ref().map(config::code).transpose()?.flatten() {
        Some(code) => Some(code),
        None => config::code(call.params)?,
    };
    let code =
        code.ok_or_else(|| Fault::new("InvalidParameterValue.Code", "ZipFile or Code.ZipFile is needed"))?;
    let mut fault = None;
    let change =
        |config: &mut _| config::change_handler(config, call.params).map_err(|it| keep(&mut fault, it));
    let updated = call.parts.functions.update(&namespace, &name, Some(code), change);
    updated.map_err(|error| fault.take().unwrap_or_else(|| error.into()))?;
    publish_if_asked(call)
}

pub(super) fn update_configuration(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let mut fault = None;
    let change = |config: &mut _| config::change(config, call.params).map_err(|it| keep(&mut fault, it));
    let updated = call.parts.functions.update(&namespace, &name, None, change);
    updated.map_err(|error| fault.take().unwrap_or_else(|| refused(error)))?;
    publish_if_asked(call)
}

/// A fault within a change goes around the service, which knows errors only.
fn keep(place: &mut Option<Fault>, fault: Fault) -> Error {
    *place = Some(fault);
    Error::new(Kind::Invalid, "the parameters are wrong")
}

/// What is being loaded cannot be published before it is in force.
fn publish_if_asked(call: &Call<'_>) -> Result<Reply, Fault> {
    if call.params.truth("Publish")? != Some(true) {
        return Ok(Reply::done());
    }
    let (namespace, name) = call.names()?;
    call.parts.functions.wait_until_settled(&namespace, &name)?;
    call.parts.versions.publish(&namespace, &name, None)?;
    Ok(Reply::done())
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Fault> {
    if call.params.said("FunctionName")?.is_none() {
        let code = "InvalidParameter.FunctionNameOrResourceIdRequired";
        return Err(Fault::new(code, "FunctionName is needed"));
    }
    let (namespace, name) = call.names()?;
    let found = call.parts.versions.find(&namespace, &name, call.params.said("Qualifier")?);
    let (function, version) = found.map_err(|error| {
        Fault::from(error).renamed("ResourceNotFound.Qualifier", "ResourceNotFound.Version")
    })?;
    let triggers = crate::api::tencent::triggers::of_version(call, &function, &version)?;
    let code = match call.params.truth("ShowCode")? {
        Some(true) => call.parts.functions.entry_file(&version)?,
        _ => String::new(),
    };
    Ok(Reply::of(describe::function(&function, &version, triggers, &code)))
}

pub(super) fn address(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let found = call.parts.versions.find(&namespace, &name, call.params.said("Qualifier")?);
    let (_, version) = found.map_err(|error| {
        Fault::from(error).renamed("ResourceNotFound.Qualifier", "ResourceNotFound.FunctionVersion")
    })?;
    let url = call.links.to(call.host, &version.package, call.parts.clock.wall_us());
    Ok(Reply::of(json!({ "Url": url, "CodeSha256": version.package.to_string() })))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let window = call.window(LIST_LIMIT_MAX)?;
    let sort = match call.params.said("Orderby")? {
        None | Some("ModTime") => Sort::Modified,
        Some("AddTime") => Sort::Created,
        Some("FunctionName") => Sort::Name,
        Some(_) => {
            let sentence = "Orderby must be AddTime, ModTime or FunctionName";
            return Err(Fault::new("InvalidParameterValue.OrderBy", sentence));
        }
    };
    let mut query = FunctionQuery {
        namespace: call.namespace()?,
        name_part: call.params.said("SearchKey")?.map(str::to_owned),
        description_part: call.params.said("Description")?.map(str::to_owned),
        conditions: Vec::new(),
        sort,
        goes_down: call.goes_down(true)?,
        offset: window.offset,
        limit: window.limit,
    };
    for filter in call.params.objects("Filters")?.unwrap_or_default() {
        query.conditions.push(describe::condition(&filter)?);
    }
    if query.conditions.len() > FILTERS_MAX {
        return Err(Fault::new("InvalidParameterValue", format!("there are at most {FILTERS_MAX} Filters")));
    }
    let (functions, total) = call.parts.functions.listed(&query)?;
    let provisioned = call.parts.store.provisioned()?;
    let rows: Vec<_> = functions.iter().map(|function| describe::row(function, &provisioned)).collect();
    Ok(Reply::of(json!({ "Functions": rows, "TotalCount": total })))
}

/// Most rows of a page of functions.
const LIST_LIMIT_MAX: u32 = 100;
/// Most filters of a list (contract 6.6).
const FILTERS_MAX: usize = 10;

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    match call.params.said("Qualifier")? {
        None => call.parts.functions.delete(&namespace, &name)?,
        Some(qualifier) => delete_qualified(call, qualifier)?,
    }
    Ok(Reply::done())
}

/// Deletes one published version.
pub(super) fn delete_qualified(call: &Call<'_>, qualifier: &str) -> Result<(), Fault> {
    let (namespace, name) = call.names()?;
    if !is_number(qualifier) {
        let sentence = format!("only published versions can be deleted by Qualifier, not {qualifier}");
        call.parts.functions.find(&namespace, &name)?;
        let code = if qualifier == LATEST {
            "InvalidParameterValue.Qualifier"
        } else {
            "ResourceNotFound.Qualifier"
        };
        return Err(Fault::new(code, sentence));
    }
    let deleted = call.parts.versions.delete(&namespace, &name, qualifier);
    deleted
        .map_err(|error| Fault::from(error).renamed("ResourceInUse.Alias", "UnsupportedOperation.AliasBind"))
}

pub(super) fn copy(call: &Call<'_>) -> Result<Reply, Fault> {
    let (namespace, name) = call.names()?;
    let to_namespace = match call.params.said("TargetNamespace")? {
        Some(_) => call.namespace_at("TargetNamespace")?,
        None => namespace.clone(),
    };
    let to = FunctionName::parse(call.params.needed("NewFunctionName")?)?;
    let description = call.params.text("Description")?.map(str::to_owned);
    let keeps = call.params.truth("CopyConfiguration")?.unwrap_or(true);
    let replaces = call.params.truth("Override")? == Some(true);
    call.parts.functions.copy((&namespace, &name), (&to_namespace, &to), replaces, |config| {
        if !keeps {
            *config = Config::new(config.runtime, config.handler.clone());
        }
        if let Some(description) = description {
            config.description = description;
        }
    })?;
    Ok(Reply::done())
}
